"""The orders' list, its CSV, and what is done to a selection."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django_fsm import TransitionNotAllowed

from gelatoconnect.lib import lists
from orders.actions import ACTIONS, Action, actions_of, bulk_actions
from orders.filters import VIEWS, OrderFilter, conditions_of
from orders.models import Order
from orders.pages import MAX_SELECTED, actor, asked, list_page, shown, staff_only
from orders.texts import serious

COLUMNS = (
    ("Order", ""),
    ("Recipient", ""),
    ("Status", ""),
    ("Problems", ""),
    ("Items", "num wide"),
    ("Channel", "wide"),
    ("Age", "fit"),
    ("Ship by", "fit"),
)
CSV = {
    "id": lambda order: order.pk,
    "reference": lambda order: order.reference,
    "customer": lambda order: order.customer.reference,
    "channel": lambda order: order.channel,
    "recipient": lambda order: order.address.name,
    "country": lambda order: order.country,
    "items": lambda order: order.item_count,
    "status": lambda order: order.status,
    "held": lambda order: "yes" if order.held else "no",
    "problems": lambda order: " ".join(problem["code"] for problem in order.problems),
    "shipment_method": lambda order: order.shipment_method,
    "currency": lambda order: order.currency,
    "created_at": lambda order: order.created_at.isoformat(timespec="seconds"),
    "status_since": lambda order: order.status_since.isoformat(timespec="seconds"),
    "ship_by": lambda order: order.ship_by,
}


@staff_only("orders.view_order")
@require_GET
def order_list(request: HttpRequest) -> HttpResponse:
    chosen = _chosen(request)
    export = reverse("orders:csv") if request.user.has_perm("orders.export_order") else ""
    page = list_page(chosen, title="Orders", columns=COLUMNS, tabs=_tabs(chosen), csv_url=export)
    for order in page.rows:
        order.findings = serious(order.problems)
    return render(
        request,
        "list.html",
        {
            "section": "orders",
            "page": page,
            "row_template": "orders/_row.html",
            "bulk_url": reverse("orders:bulk"),
            "bulk_moves": [(each.name, each.label, each.style) for each in bulk_actions(request.user)],
            "empty_text": "As soon as a customer's system submits an order, it stands here.",
        },
    )


@staff_only("orders.export_order")
@require_GET
def order_csv(request: HttpRequest) -> StreamingHttpResponse:
    return lists.csv_response(_chosen(request).qs, CSV, name="orders")


def _chosen(request: HttpRequest) -> OrderFilter:
    return OrderFilter(asked(request), queryset=shown())


def _tabs(chosen: OrderFilter) -> Iterable[tuple[str, str, str, bool]]:
    """The saved views with how many orders each holds; All is not counted."""
    current = chosen.data.get("view") or "all"
    for name, (label, _) in VIEWS.items():
        inside = [Order.objects.filter(condition) for condition in conditions_of(name)]
        count = lists.count_label(lists.capped_count(*inside)) if name != "all" else ""
        yield label, "?" if name == "all" else f"?view={name}", count, name == current


@staff_only("orders.view_order")
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Ask before something is done to a selection, then do it, order by order, and say what became of each."""
    action = ACTIONS.get(request.POST.get("action", ""))
    if action is None or not action.bulk:
        raise Http404
    if not request.user.has_perm(action.permission):
        raise PermissionDenied
    ids = request.POST.getlist("ids")
    if not 0 < len(ids) <= MAX_SELECTED:
        messages.error(request, f"Select between 1 and {MAX_SELECTED} orders.")
        return redirect("orders:list")
    orders = lists.rows_by_id(Order, ids).select_related("customer", "address").prefetch_related("items")
    return _ask(request, action, orders)


def _ask(request: HttpRequest, action: Action, orders: QuerySet[Order]) -> HttpResponse:
    may = {order: action in actions_of(order, user=request.user) for order in orders.order_by("-id")}
    sure = "sure" in request.POST
    form = action.asks(request.POST if sure else None) if action.asks else None
    if sure and (form is None or form.is_valid()):
        return _result(request, action, may, form.cleaned_data if form else {})
    count = sum(may.values())
    what = f"{count} order{'' if count == 1 else 's'}"
    return render(
        request,
        "confirm.html",
        {
            "section": "orders",
            "title": f"{action.label}: {what}?",
            "intro": "This cannot be undone." if action.danger else "",
            "objects": [_concerned(order) for order, allowed in may.items() if allowed],
            "skipped": [_concerned(order) for order, allowed in may.items() if not allowed],
            "form": form if count else None,
            "hidden": [("sure", "yes"), *(("ids", order.pk) for order, allowed in may.items() if allowed)],
            "style": "danger" if action.danger else "primary",
            "submit_label": f"{action.label}: {what}" if count else "",
            "action_name": action.name,
            "back_url": reverse("orders:list"),
        },
    )


def _concerned(order: Order) -> dict[str, str]:
    held = ", on hold" if order.held else ""
    return {
        "label": f"{order.reference} · {order.customer.name}",
        "url": order.get_absolute_url(),
        "note": f"{order.get_status_display()}{held}",  # type: ignore[attr-defined]
    }


def _result(request: HttpRequest, action: Action, may: dict[Order, bool], answers: dict[str, Any]) -> HttpResponse:
    rows = [_do(order, action, allowed, by=actor(request), **answers) for order, allowed in may.items()]
    done = sum(row["done"] for row in rows)
    return render(
        request,
        "orders/result.html",
        {"section": "orders", "title": f"{action.label}: {done} of {len(rows)} done", "rows": rows},
    )


def _do(order: Order, action: Action, allowed: bool, *, by: str, **answers: Any) -> dict[str, Any]:
    """One row of the result. Each order is a transaction of its own: one that is refused stops no other."""
    try:
        if not allowed:
            raise TransitionNotAllowed
        return {"order": action.run(order, by=by, **answers), "done": True}
    except TransitionNotAllowed:
        return {"order": Order.objects.select_related("customer", "address").get(pk=order.pk), "done": False}
