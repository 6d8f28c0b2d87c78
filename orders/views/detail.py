"""The page of one order, its files and pictures."""

import mimetypes
from typing import Any
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET

from gelatoconnect.lib import storage
from orders import panels
from orders.actions import Action, actions_of, amendments_of
from orders.api import preview_response
from orders.mending import Mending, mendings
from orders.models import Delivery, Item, Order, PrintFile, ShipmentMethod
from orders.pages import shown, staff_only
from orders.sheets import elsewhere, sheets_of
from orders.timeline import entry_of, progress
from orders.views.postbacks import name_targets

FORWARD = ("submit", "retry", "release", "start", "finish", "package", "ship", "travel", "arrive")
ICONS = {"hold": "circle-pause", "resume": "play", "retry": "rotate-cw", "cancel": "ban", "reprocess": "rotate-ccw"}


@staff_only("orders.view_order")
@require_GET
def order_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    order = find_order(pk)
    actions = actions_of(order, user=request.user)
    allowed = amendments_of(order, user=request.user)
    found = mendings(order, allowed)
    events = list(order.events.order_by("-sequence"))
    return render(
        request,
        "orders/detail.html",
        {
            "section": "orders",
            "title": order.reference,
            "order": order,
            "moves": _buttons(order, actions),
            "can_retry": "retry" in [action.name for action in actions],
            "amendments": allowed,
            "mendings": found,
            "problem_count": sum(len(group.problems) for group in found),
            "remarks": [problem for problem in order.problems if problem.get("severity") == "info"],
            "items": [_item(item, found) for item in order.items.all()],
            "method": ShipmentMethod.objects.filter(uid=order.shipment_method.partition(",")[0].strip()).first(),
            "panels": _panels(request, order),
            "entries": [entry_of(event) for event in events],
            "metadata": list(order.metadata.items()),
            "progress": progress(order, events),
            "notes": [entry_of(event) for event in events if event.kind == "order.noted"],
            "deliveries": _deliveries(request, order),
        },
    )


@staff_only("orders.view_order")
@require_GET
def preview(request: HttpRequest, pk: UUID, file: UUID, page: int) -> FileResponse:
    return preview_response(PrintFile.objects.filter(item__order=pk, pk=file).first(), page=page)


@staff_only("orders.view_order")
@require_GET
def print_file(request: HttpRequest, pk: UUID, file: UUID) -> FileResponse:
    """The content as it was fetched. A stranger made it: it is saved, never shown, and could do nothing if it were."""
    found = get_object_or_404(PrintFile.objects.select_related("item__order"), item__order=pk, pk=file)
    path = storage.path_of(found.sha256)
    if not found.sha256 or not path.exists():
        raise Http404
    kind = mimetypes.guess_extension(found.mime_type or "") or ""
    name = f"{found.item.order.reference}-{found.item.number}-{found.type}{kind}"
    response = FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/octet-stream")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def find_order(pk: UUID) -> Order:
    return get_object_or_404(shown().prefetch_related("items__product", "items__files"), pk=pk)


def _buttons(order: Order, actions: list[Action]) -> list[dict[str, Any]]:
    """What _moves.html draws. The next step stands out; what cannot be undone is told apart."""
    following = next((action for action in actions if action.name in FORWARD), None)
    return [
        {
            "name": action.name,
            "label": action.label,
            "style": "primary" if action == following else "danger-quiet" if action.danger else "",
            "icon": ICONS.get(action.name, ""),
            "needs_confirmation": action.needs_confirmation,
            "url": reverse("orders:act", args=[order.pk, action.name]),
        }
        for action in actions
    ]


def _item(item: Item, found: list[Mending]) -> dict[str, Any]:
    """An item with its files, the pictures of their pages, and what was found in each."""
    problems = {group.target: group.problems for group in found}
    files = [_file(file, item, problems.get(f"file-{file.pk}", [])) for file in item.files.all()]
    return {"item": item, "files": files, "variant": list(item.variant.items())}


def _file(file: PrintFile, item: Item, problems: list[dict[str, Any]]) -> dict[str, Any]:
    sheets = sheets_of(file, item.product, problems)
    return {"file": file, "sheets": sheets, "problems": problems, "elsewhere": elsewhere(problems, sheets),
            "unpictured": max(0, (file.page_count or 0) - len(sheets))}  # fmt: skip


def _panels(request: HttpRequest, order: Order) -> dict[str, list[str]]:
    """What the other apps show of the order, drawn with their templates, by place."""
    drawn: dict[str, list[str]] = {"main": [], "side": []}
    for panel in panels.PANELS:
        if context := panel.context(order, request.user):
            drawn[panel.place].append(render_to_string(panel.template, context | {"order": order}, request))
    return drawn


def _deliveries(request: HttpRequest, order: Order) -> dict[str, list[Delivery]]:
    """What follows from the order's events, newest first: what is still open, and what is done."""
    if not request.user.has_perm("orders.view_delivery"):
        return {}
    found = name_targets(order.deliveries.select_related("event").order_by("-id")[:100])
    done = Delivery.State.DONE
    return {
        "open": [each for each in found if each.state != done],
        "done": [each for each in found if each.state == done],
    }
