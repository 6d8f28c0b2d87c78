"""Requests: everything that came in, what was understood of it, what was answered; mending and processing it again."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from gelatoconnect.lib import lists
from gelatoconnect.lib.ids import born
from gelatoconnect.lib.problems import Rejected
from intake import pipeline
from intake.connectors import kind_of
from intake.connectors.base import Outcome, said_of
from intake.filters import VIEWS, RequestFilter
from intake.forms import MendForm
from intake.models import OrderRequest
from intake.records import message_of
from orders.pages import MAX_SELECTED, actor, asked, list_page, staff_only
from orders.texts import SHOWN, pretty, serious

COLUMNS = (("Reference", ""), ("Customer", ""), ("Connector", "wide"), ("Result", ""), ("Problem", ""), ("Order", "wide"),
           ("Time", "fit"))  # fmt: skip
HEAVY = ("body", "mended_body", "headers", "answer")  # not read for a list


@staff_only("intake.view_orderrequest")
@require_GET
def request_list(request: HttpRequest) -> HttpResponse:
    found = OrderRequest.objects.select_related("connector", "customer", "order").defer(*HEAVY)
    chosen = RequestFilter(asked(request), queryset=found)
    page = list_page(chosen, title="Requests", columns=COLUMNS, tabs=_tabs(chosen))
    for row in page.rows:
        row.received_at, row.findings = born(row.pk), serious(row.problems)
    may = request.user.has_perm("intake.process_orderrequest")
    return render(
        request,
        "list.html",
        {
            "section": "requests",
            "page": page,
            "row_template": "intake/_row.html",
            "bulk_url": reverse("intake:bulk"),
            "bulk_moves": [("process", "Process again", ""), ("ignore", "Ignore", "")] if may else [],
            "empty_text": "As soon as a connector sends something, it stands here, understood or not.",
        },
    )


def _tabs(chosen: RequestFilter) -> Iterator[tuple[str, str, str, bool]]:
    """The saved views; of those that wait for a person, how many."""
    refused = lists.count_label(lists.capped_count(chosen.in_view(OrderRequest.objects.all(), "view", "refused")))
    for name, (label, _) in VIEWS.items():
        count = refused if name == "refused" else ""
        yield label, "?" if name == "all" else f"?view={name}", count, name == (chosen.data.get("view") or "all")


@staff_only("intake.view_orderrequest")
@require_GET
def request_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(OrderRequest.objects.select_related("connector", "customer", "order"), pk=pk)
    return render(
        request,
        "intake/detail.html",
        {
            "section": "requests",
            "title": found.reference or "No reference",
            "found": found,
            "received_at": born(found.pk),
            "problems": sorted(found.problems, key=lambda problem: problem.get("severity") != "error"),
            "headers": sorted(found.headers.items()),
            "body": text_of(found.body),
            "mended_body": text_of(found.mended_body) if found.mended_body else "",
            "draft": _draft(found),
            "answer": pretty(found.answer),
            "can_process": request.user.has_perm("intake.process_orderrequest") and found.order_id is None,
        },
    )


@staff_only("intake.process_orderrequest")
@require_http_methods(["GET", "POST"])
def mend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The body in a form, to be mended and processed again."""
    found = get_object_or_404(OrderRequest.objects.select_related("connector"), pk=pk)
    now = text_of(found.mended_body or found.body)
    whole = bytes(found.mended_body or found.body).decode(errors="replace") if now["cut"] else now["text"]
    form = MendForm(request.POST if request.method == "POST" else None, initial={"body": whole})
    if form.is_valid():
        outcome = pipeline.process_again(found, by=actor(request), body=form.cleaned_data["body"].encode())
        return _told(request, found, outcome)
    context = {"section": "requests", "title": f"Mend {found}", "form": form, "submit_label": "Process again"}
    return render(request, "form.html", context | {"back_url": reverse("intake:detail", args=[pk])})


@staff_only("intake.process_orderrequest")
@require_POST
def process(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Read it once more, as it is."""
    found = get_object_or_404(OrderRequest, pk=pk)
    return _told(request, found, pipeline.process_again(found, by=actor(request)))


@staff_only("intake.process_orderrequest")
@require_POST
def ignore(request: HttpRequest, pk: UUID) -> HttpResponse:
    get_object_or_404(OrderRequest, pk=pk)
    _ignore(request, [str(pk)])
    return redirect("intake:detail", pk)


@staff_only("intake.process_orderrequest")
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Process a selection again as it is, with a row for each; or ignore it."""
    ids = request.POST.getlist("ids")
    if not 0 < len(ids) <= MAX_SELECTED:
        messages.error(request, f"Select between 1 and {MAX_SELECTED} requests.")
    elif request.POST.get("action") == "ignore":
        _ignore(request, ids)
    elif request.POST.get("action") == "process":
        chosen = lists.rows_by_id(OrderRequest, ids).order_by("-id")
        rows = [(each, pipeline.process_again(each, by=actor(request))) for each in chosen]
        title = f"Process again: {sum(outcome.order is not None for _, outcome in rows)} of {len(rows)} are orders"
        return render(request, "intake/result.html", {"section": "requests", "title": title, "rows": rows})
    return redirect("intake:list")


def text_of(body: bytes | memoryview | None) -> dict[str, Any]:
    """A body as people can read it: JSON indented, the beginning of what is very long; `cut`: how much there is."""
    raw = bytes(body or b"")
    text = pretty(raw.decode(errors="replace"))
    return {"text": text, "cut": len(raw) if len(text) == SHOWN else 0}


def _draft(found: OrderRequest) -> dict[str, Any]:
    """What the connector understands of the body now: the draft, or what stands against it."""
    try:
        meaning = kind_of(found.connector).parse(message_of(found))
    except Rejected as refusal:
        return {"problems": [problem.as_dict() for problem in refusal.problems]}
    return {"text": said_of(meaning)}


def _ignore(request: HttpRequest, ids: list[str]) -> None:
    """Set aside what has not become an order; it can still be processed later."""
    State = OrderRequest.State
    refused = lists.rows_by_id(OrderRequest, ids).filter(order=None).exclude(state=State.ACCEPTED)
    messages.success(request, f"{refused.update(state=State.IGNORED)} ignored.")


def _told(request: HttpRequest, found: OrderRequest, outcome: Outcome) -> HttpResponse:
    if outcome.order is not None:
        said = "It was an order already" if outcome.replayed else "It is an order now"
        messages.success(request, f"{said}: {outcome.order.reference}.")
    else:
        messages.error(request, f"Still refused: {outcome.problems[0].message}")
    return redirect("intake:detail", found.pk)
