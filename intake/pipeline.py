"""Bytes in, orders out, in reading order: take (receive, read), then check.

`take` answers the sender: what came in is stored together with what was understood of it, or as a refused request
that says why. `check` judges a received order: files, then business rules.
"""

import hashlib
import logging
from dataclasses import replace

from django.db import DatabaseError, IntegrityError, transaction

from gelatoconnect.lib.problems import Problem, Rejected, errors
from intake.checks import check_data, check_rules, files
from intake.checks.base import Case, draft_of
from intake.checks.references import find_customer, find_products
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import ConnectorType, Incoming, Outcome
from intake.models import Connector, OrderRequest
from orders.drafts import Draft, pointer
from orders.events import Conclusion, TryLater, emit
from orders.lifecycle import Status
from orders.models import Customer, Order, PrintFile
from orders.services import Duplicate, move, place

log = logging.getLogger(__name__)

SECRET_HEADERS = {"authorization", "cookie", "x-api-key", "proxy-authorization"}


def take(incoming: Incoming, *, connector: Connector) -> Outcome:
    """Receive and read, with the sender on the line. The same key and content again give the first answer again."""
    request = receive(incoming, connector=connector)
    if first := _first_of(request):
        return first
    try:
        return read(request)
    except IntegrityError:
        if first := _first_of(request):  # another request with the same key was quicker
            return first
        raise
    except Exception as error:  # ours, not the sender's: they get a 5xx and send again; we keep what came
        _keep_unread(incoming, connector, error)
        raise


def receive(incoming: Incoming, *, connector: Connector) -> OrderRequest:
    """The request as it came: raw bytes, headers without secrets, fingerprint. Not saved yet."""
    return OrderRequest(
        connector=connector,
        customer=connector.customer,
        key=incoming.key or None,
        body=incoming.body,
        fingerprint=_fingerprint(incoming),
        content_type=incoming.content_type[:120],
        customer_reference=incoming.customer_reference[:120],
        headers={name: value for name, value in incoming.headers.items() if name.lower() not in SECRET_HEADERS},
    )


def read(request: OrderRequest, *, by: str = "") -> Outcome:
    """From the request's bytes to an order, or to the reasons why not. Order and request are stored together."""
    connector, kind = request.connector, CONNECTOR_TYPES[request.connector.type]
    try:
        case, warnings = understand(request)
        order = place(case.draft, customer=case.customer, products=case.products, by=by or f"connector:{connector.name}",
                      channel=kind.name, connector=connector.pk, problems=warnings,
                      once=case.draft.prevent_duplicate or connector.prevent_duplicates,
                      also=lambda order: _record(request, Outcome(201, order=order), kind))  # fmt: skip
        return Outcome(201, order=order, answer=request.answer)
    except Rejected as refusal:
        return _record(request, Outcome(refusal.status, problems=refusal.problems), kind)
    except Duplicate as refusal:
        problem = Problem("ORDER_DUPLICATE", str(refusal), pointer("orderReferenceId"),
                          hint="It was accepted before: use its id, or send another orderReferenceId.",
                          details={"id": str(refusal.order_id)})  # fmt: skip
        return _first_of(request) or _record(request, Outcome(409, problems=[problem]), kind)


def understand(request: OrderRequest) -> tuple[Case, list[Problem]]:
    """What the request asks for, checked as far as can be done at once; with the warnings. Raises Rejected.

    As much as is understood is noted on the request (unsaved), so that a refused one can be found by it.
    """
    draft = CONNECTOR_TYPES[request.connector.type].parse(bytes(request.mended_body or request.body))
    request.reference = draft.order_reference_id
    request.customer = customer = _customer_of(draft, request.connector, request.customer_reference)
    products, problems = find_products(draft, customer)
    case = Case(draft, customer, products)
    problems = [*check_data(case), *problems]
    if errors(problems) and draft.order_type == "order":
        raise Rejected(problems)
    return case, problems


def check(order: Order, *, last_attempt: bool) -> Conclusion | None:
    """Judge a received order: fetch and look into its files, apply the rules. Returns the verdict, to be concluded.

    Raises TryLater while a file cannot be fetched, until the last attempt: then that is the verdict.
    """
    if order.status != Status.RECEIVED:
        return None
    draft = draft_of(order)
    products, unknown = find_products(draft, order.customer)
    case = Case(draft, order.customer, products)
    seen = list(files.look_at(order))
    if not last_attempt and (outages := [each.outage for each in seen if each.outage]):
        raise TryLater(outages[0].message, after=outages[0].retry_after)
    found = [signed_off(problem, order, each) for each in seen for problem in each.problems]
    problems = [*check_data(case), *unknown, *found, *check_rules(case)]

    def conclude() -> None:
        for each in seen:
            _record_file(each)
        verdict = Order.fail if errors(problems) else Order.accept
        move(order, verdict, by="system", problems=problems)

    return conclude


def signed_off(problem: Problem, order: Order, seen: files.Seen) -> Problem:
    """The finding as a warning, when a person has let it pass in this very content."""
    finding = {"code": problem.code, "path": problem.path, "sha256": seen.file.sha256}
    if problem.severity != "error" or finding not in order.sign_offs:
        return problem
    return replace(problem, severity="warning", details={**problem.details, "signedOff": True})


def process_again(request: OrderRequest, *, by: str, body: bytes | None = None) -> Outcome:
    """Read a refused request once more, as it is or with a mended body. An accepted one gives its answer again."""
    with transaction.atomic():
        request = (
            OrderRequest.objects.select_for_update(of=("self",))
            .select_related("connector__customer")
            .get(pk=request.pk)
        )
        if request.state == OrderRequest.State.ACCEPTED:
            return Outcome(request.answer_status or 200, order=request.order, answer=request.answer, replayed=True)
        if body is not None:
            request.mended_body = body
        return read(request, by=by)


def _customer_of(draft: Draft, connector: Connector, customer_reference: str) -> Customer:
    customer = find_customer(connector, named=customer_reference or draft.customer_reference_id)
    if customer is None:
        raise Rejected(
            [
                Problem(
                    "CUSTOMER_MISSING",
                    "This connector is open to all customers: say whose order it is.",
                    pointer("customerReferenceId"),
                    hint="Send the header Customer-Reference-ID.",
                )
            ]
        )
    return customer


def _fingerprint(incoming: Incoming) -> str:
    return hashlib.sha256(incoming.customer_reference.encode() + b"\0" + incoming.body).hexdigest()


def _first_of(request: OrderRequest) -> Outcome | None:
    """The stored outcome of an earlier request with the same key. The same key with other content is refused."""
    if not request.key:
        return None
    first = OrderRequest.objects.select_related("order").filter(connector=request.connector, key=request.key).first()
    if first is None:
        return None
    if first.fingerprint != request.fingerprint:
        problem = Problem("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used before with another body.",
                          hint="Use a new key for each new request.")  # fmt: skip
        raise Rejected([problem], status=422)
    return Outcome(first.answer_status or 200, order=first.order, answer=first.answer, replayed=True)


def _record(request: OrderRequest, outcome: Outcome, kind: ConnectorType) -> Outcome:
    outcome = replace(outcome, answer=kind.answer(outcome))
    accepted = outcome.order is not None
    request.order, request.state = (
        outcome.order,
        OrderRequest.State.ACCEPTED if accepted else OrderRequest.State.REJECTED,
    )
    request.key = request.key if accepted else None  # a refused request may be mended and sent with the same key
    request.problems = [problem.as_dict() for problem in outcome.problems]
    request.answer_status, request.answer = outcome.status, outcome.answer
    with transaction.atomic(savepoint=False):
        request.save()
        if not accepted:
            named = {"id": str(request.pk), "referenceId": request.reference, "connector": request.connector.name}
            emit(None, "request.rejected", by=f"connector:{request.connector.name}", customer=request.customer,
                 request=named, problems=request.problems)  # fmt: skip
    return outcome


def _keep_unread(incoming: Incoming, connector: Connector, error: Exception) -> None:
    log.exception("A request of connector %s could not be read", connector.name)
    problem = Problem("REQUEST_FAILED", f"It could not be read because of a fault of ours: {type(error).__name__}.",
                      hint="Process it again once the fault is mended.")  # fmt: skip
    request = receive(incoming, connector=connector)
    request.key, request.state, request.problems = None, OrderRequest.State.REJECTED, [problem.as_dict()]
    try:
        request.save()
    except DatabaseError:
        log.exception("Nor could it be kept")


def _record_file(seen: files.Seen) -> None:
    if not seen.facts:
        return
    kept = files.shown(seen)
    PrintFile.objects.filter(pk=seen.file.pk).update(**kept)
    if kept["page_count"] and kept["page_count"] > (seen.file.item.page_count or 0):
        seen.file.item.page_count = kept["page_count"]
        seen.file.item.save(update_fields=["page_count"])
