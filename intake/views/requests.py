"""Requests: everything that came in, what was understood of it, what was answered; mending and processing it again."""

import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from gelatoconnect.lib import later, lists
from gelatoconnect.lib.ids import born
from gelatoconnect.lib.problems import Problem, Rejected
from intake import bodies, pipeline
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Incoming, Outcome
from intake.diffs import diff
from intake.filters import VIEWS, RequestFilter
from intake.flow import flow_of, is_capped, is_erased, next_read, understood_of
from intake.forms import MendForm
from intake.models import OrderRequest
from orders import events
from orders.models import Delivery
from orders.pages import MAX_SELECTED, actor, asked, list_page, staff_only
from orders.texts import pretty, serious

log = logging.getLogger(__name__)

COLUMNS = (("Reference", ""), ("Customer", ""), ("Connector", "wide"), ("Result", ""), ("Problem", ""), ("Order", "wide"),
           ("Time", "fit"))  # fmt: skip
HEAVY = ("body", "mended_body", "fetched_body", "headers", "answer")  # not read for a list
State = OrderRequest.State


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
        "intake/list.html",
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
    """The saved views; of those that wait for somebody, how many."""
    for name, (label, _) in VIEWS.items():
        count = ""
        if name in ("refused", "waiting"):
            count = lists.count_label(lists.capped_count(chosen.in_view(OrderRequest.objects.all(), "view", name)))
        yield label, "?" if name == "all" else f"?view={name}", count, name == (chosen.data.get("view") or "all")


@staff_only("intake.view_orderrequest")
@require_GET
def request_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = _found(pk)
    waiting = next_read(found)
    kind = CONNECTOR_TYPES.get(found.connector.type)
    understood = understood_of(found)
    may = request.user.has_perm("intake.process_orderrequest")
    can_process = may and found.order_id is None and not is_erased(found)
    return render(
        request,
        "intake/detail.html",
        {
            "section": "requests",
            "title": found.reference or "No reference",
            "found": found,
            "kind": kind,
            "received_at": born(found.pk),
            "flow": flow_of(found, understood, waiting=waiting is not None),
            "problems": _worst_first(found.problems),
            "headers": bodies.masked_headers(found.headers),
            "body": bodies.show(found.body, content_type=found.content_type),
            "fetched": bodies.show(found.fetched_body),
            "mended": bodies.show(found.mended_body, content_type=found.content_type),
            "changes": _changes(found) if found.mended_body else None,
            "understood": understood,
            "answer": bodies.show(found.answer.encode(errors="replace"), content_type="application/json"),
            "erased": is_erased(found),
            "capped": is_capped(found),
            "waiting": waiting,
            "can_process": can_process,
            "can_repeat": can_process and found.answer_status != 401,  # nobody proved to be its sender
            "can_download": may and bool(found.body),
        },
    )


@staff_only("intake.process_orderrequest")
@require_GET
def download(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The bytes as they came; for those who may mend them, because nothing is hidden in them."""
    found = get_object_or_404(OrderRequest, pk=pk)
    raw = bytes(found.body)
    if not raw:
        raise Http404
    kind = "application/octet-stream" if bodies.is_binary(raw) else "text/plain"
    return HttpResponse(raw, content_type=kind, headers={
        "Content-Disposition": f'attachment; filename="request-{found.pk}.{"bin" if "octet" in kind else "txt"}"',
        "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"})  # fmt: skip


@staff_only("intake.process_orderrequest")
@require_http_methods(["GET", "POST"])
def mend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The body in a form: to be checked, which stores nothing, or to be processed again."""
    found = _found(pk)
    raw = _now(found)
    if is_erased(found) or bodies.is_binary(raw):
        messages.error(request, "It cannot be mended here: there is no text of it.")
        return redirect("intake:detail", pk)
    text, broken = _editable(raw, found)
    data = request.POST if request.method == "POST" else None
    form = MendForm(data, initial={"body": text}, keep_crlf=b"\r\n" in raw)
    context: dict[str, Any] = {"broken": broken, "problems": _worst_first(found.problems), "checked": False}
    if form.is_valid():
        body = form.cleaned_data["body"].encode()
        if request.POST.get("action") != "check":
            return _told(request, found, again(found, by=actor(request), body=body))
        context |= {"checked": True, "problems": _checked(found, body), "understood": understood_of(found, body=body)}
    context |= {"section": "requests", "title": f"Mend {found}", "found": found, "form": form}
    return render(request, "intake/mend.html", context)


@staff_only("intake.process_orderrequest")
@require_POST
def process(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Read it once more, as it is."""
    found = get_object_or_404(OrderRequest, pk=pk)
    return _told(request, found, again(found, by=actor(request)))


@staff_only("intake.process_orderrequest")
@require_POST
def read_now(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A request that waits for a worker is next: its delivery is due now, or sent once more."""
    found = get_object_or_404(OrderRequest, pk=pk)
    waiting = next_read(found)
    if waiting is None:
        messages.info(request, "Nothing was done: it waits no more.")
    else:
        mine = Delivery.objects.filter(pk=waiting.pk)
        if not mine.filter(state=Delivery.State.DUE, lease=None).update(due=timezone.now()):
            events.replay(mine)
        later.wake()
        messages.success(request, "The next free worker reads it.")
    return redirect("intake:detail", pk)


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
        rows = [(each, again(each, by=actor(request))) for each in chosen]
        title = f"Process again: {sum(outcome.order is not None for _, outcome in rows)} of {len(rows)} are orders"
        return render(request, "intake/result.html", {"section": "requests", "title": title, "rows": rows})
    return redirect("intake:list")


def again(found: OrderRequest, *, by: str, body: bytes | None = None) -> Outcome:
    """Process it once more. A fault of ours is said like a refusal, so that one request stops no other."""
    if is_erased(found):
        problem = Problem("REQUEST_ERASED", "What it held was erased: there is nothing to process.")
        return Outcome(410, problems=[problem], state=State.REJECTED)
    try:
        return pipeline.process_again(found, by=by, body=body)
    except Rejected as refusal:
        return Outcome(refusal.status, problems=refusal.problems, state=State.REJECTED)
    except Exception as error:
        log.exception("Request %s could not be processed again", found.pk)
        problem = Problem("REQUEST_FAILED", f"A fault of ours: {type(error).__name__}.", hint="It is as it was before.")
        return Outcome(500, problems=[problem], state=State.REJECTED)


def _found(pk: UUID) -> OrderRequest:
    known = OrderRequest.objects.select_related("connector__customer", "customer", "order", "mapping")
    return get_object_or_404(known, pk=pk)


def _now(found: OrderRequest) -> bytes:
    """What is read of it today: mended before fetched before received."""
    return bytes(found.mended_body or found.fetched_body or found.body)


def _editable(raw: bytes, found: OrderRequest) -> tuple[str, bool]:
    """All of it as text to work on; JSON laid out where that loses nothing."""
    text, broken = bodies.decoded(raw, content_type=found.content_type)
    shown = bodies.show(raw, content_type=found.content_type)
    laid_out = pretty(text) if shown.kind == "JSON" and not shown.cut else ""
    return laid_out or text, broken


def _changes(found: OrderRequest) -> Any:
    """What a person changed, in the layout that the form shows; None: too much to compare."""
    before, _ = _editable(bytes(found.fetched_body or found.body), found)
    after, _ = _editable(bytes(found.mended_body or b""), found)
    return diff(bodies.mask(before), bodies.mask(after))


def _checked(found: OrderRequest, body: bytes) -> list[dict[str, Any]]:
    """What would be said against this body now. Nothing is stored."""
    incoming = Incoming(body, found.headers, found.content_type, topic=found.topic, source_id=found.source_id,
                        customer_reference=found.customer_reference, contents=found.contents)  # fmt: skip
    try:
        said = pipeline.dry_run(incoming, connector=found.connector)
    except Rejected as refusal:
        said = refusal.problems
    except Exception as error:
        log.exception("Request %s could not be checked", found.pk)
        said = [Problem("REQUEST_FAILED", f"A fault of ours: {type(error).__name__}.")]
    return _worst_first([problem.as_dict() for problem in said])


def _worst_first(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(problems, key=lambda problem: problem.get("severity") != "error")


def _ignore(request: HttpRequest, ids: list[str]) -> None:
    """Set aside what has not become an order; it can still be processed later."""
    refused = lists.rows_by_id(OrderRequest, ids).filter(order=None).exclude(state=State.ACCEPTED)
    messages.success(request, f"{refused.update(state=State.IGNORED)} ignored.")


def _told(request: HttpRequest, found: OrderRequest, outcome: Outcome) -> HttpResponse:
    why = outcome.problems[0].message if outcome.problems else ""
    if outcome.order is not None:
        said = "It was an order already" if outcome.replayed else "It is an order now"
        messages.success(request, f"{said}: {outcome.order.reference}.")
    elif outcome.state == State.RECEIVED:
        messages.success(request, "The next free worker reads it.")
    elif outcome.state == State.IGNORED:
        messages.info(request, f"Nothing is to be done: {why}")
    else:
        messages.error(request, f"Still refused: {why}")
    return redirect("intake:detail", found.pk)
