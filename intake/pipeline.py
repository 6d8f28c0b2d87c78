"""Bytes in, orders out, in reading order: take (receive, read), then check.

`take` answers the sender: what came in is stored together with what was understood of it, or as a refused request
that says why. `check` judges a received order: files, then business rules.
"""

from dataclasses import replace
from functools import partial

from django.db import IntegrityError, transaction

from gelatoconnect.lib.failpoints import reached
from gelatoconnect.lib.problems import Problem, Rejected, errors
from intake.acts import ACTS, prepare
from intake.checks import check_data, check_rules, files
from intake.checks.base import Case, draft_of
from intake.checks.references import match_products
from intake.connectors import config_of, kind_of, memory_of
from intake.connectors.base import Incoming, Nothing, Outcome, Submit
from intake.models import Connector, OrderRequest
from intake.records import first_of, keep_unread, message_of, put_aside, receive, record
from intake.talks import hold
from orders.drafts import pointer
from orders.events import Conclusion, Permanent, TryLater
from orders.lifecycle import Status
from orders.models import Item, Order, PrintFile
from orders.services import Duplicate, move

State = OrderRequest.State
MAX_ID = 120  # characters of a sender's own id of an order
# Anybody who knows a connector's address can put such a request among those that staff process again, many at once.
UNPROVEN = Problem("REQUEST_UNPROVEN", "It did not prove who sent it: it is not processed as it is.",
                   hint="Have it sent again with the right key; or mend it by hand, if you know whose it is.")  # fmt: skip


def take(incoming: Incoming, *, connector: Connector) -> Outcome:
    """Receive and read, with the sender on the line. The same key and content again give the first answer again."""
    request = receive(incoming, connector=connector)
    try:
        return first_of(request) or _taken(request, incoming)
    except Rejected as refusal:  # the key was used for something else: that is visible too
        request.key = None
        return record(request, Outcome(refusal.status, problems=refusal.problems))
    except Exception as error:  # ours, not the sender's: they get a 5xx and send again; we keep what came
        keep_unread(incoming, connector, error)
        raise


def _taken(request: OrderRequest, incoming: Incoming) -> Outcome:
    try:
        if kind_of(request.connector).later(incoming, config_of(request.connector)):
            return put_aside(request)
        outcome = read(request)
    except IntegrityError:
        if first := first_of(request):  # another request with the same key was quicker
            return first
        raise
    reached("take.committed")
    return outcome


def read(request: OrderRequest, *, by: str = "") -> Outcome:
    """From the request's bytes to what they ask for, or to the reasons why not. Both are stored together."""
    try:
        meaning = kind_of(request.connector).parse(message_of(request))
        if len(getattr(meaning, "source_id", "")) > MAX_ID and not isinstance(meaning, Nothing):
            raise _too_long("source_id")  # cut, two of the sender's orders would be one
        return ACTS[type(meaning)](request, meaning, by=by or f"connector:{request.connector.name}")
    except Rejected as refusal:
        return record(request, Outcome(refusal.status, problems=refusal.problems))
    except Duplicate as refusal:
        problem = Problem("ORDER_DUPLICATE", str(refusal), pointer("orderReferenceId"),
                          hint="It was accepted before: use its id, or send another orderReferenceId.",
                          details={"id": str(refusal.order_id)})  # fmt: skip
        return first_of(request) or record(request, Outcome(409, problems=[problem]))


def read_later(request: OrderRequest, *, last_attempt: bool) -> Conclusion | None:
    """What a worker does with a request that was put aside: fetch what it points to, then read it.

    Raises TryLater while that cannot be had, until the last attempt: then that is the reason why it is refused.
    """
    if request.state != State.RECEIVED:
        return None
    connector = request.connector
    try:
        talk = kind_of(connector).resolve(message_of(request), memory_of(connector))
        request.fetched_body = hold(talk, connector) or request.fetched_body
    except Rejected as refusal:
        return partial(record, request, Outcome(refusal.status, problems=refusal.problems))
    except TryLater as failure:
        if not last_attempt:
            raise
        problem = Problem("SOURCE_UNREACHABLE", str(failure), hint="Process it again once the sender's system answers.")
        return partial(record, request, Outcome(422, problems=[problem]))
    except Permanent as failure:
        problem = Problem("SOURCE_REFUSED", str(failure), hint="Check the connector's settings; then process it again.")
        return partial(record, request, Outcome(422, problems=[problem]))
    return partial(read, request)


def dry_run(incoming: Incoming, *, connector: Connector) -> list[Problem]:
    """Everything that would be said against it, as far as that can be known without its files; nothing is stored."""
    request = receive(incoming, connector=connector)
    meaning = kind_of(connector).parse(message_of(request))
    if not isinstance(meaning, Submit):
        return []
    case, problems = prepare(request, meaning)
    return [*problems, *check_rules(case)]


def check(order: Order, *, last_attempt: bool) -> Conclusion | None:
    """Judge a received order: fetch and look into its files, apply the rules. Returns the verdict, to be concluded.

    Raises TryLater while a file cannot be fetched, until the last attempt: then that is the verdict.
    """
    if order.status != Status.RECEIVED:
        return None
    draft = draft_of(order)
    products, unknown = match_products(draft, order.customer)
    case = Case(draft, order.customer, products)
    seen = list(files.look_at(order))
    if not last_attempt and (outages := [each.outage for each in seen if each.outage]):
        raise TryLater(outages[0].message, after=outages[0].retry_after)
    found = [signed_off(problem, order, each) for each in seen for problem in each.problems]
    problems = [*check_data(case), *unknown, *found, *check_rules(case)]

    def conclude() -> None:
        for item, product in zip(order.items.all(), products, strict=True):
            if product is not None and item.product_id is None:  # mapped since
                Item.objects.filter(pk=item.pk).update(product=product, product_uid=product.uid)
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
        elif request.answer_status == 401:
            return Outcome(401, problems=[UNPROVEN])
        elif request.fetched_body is None and _is_read_later(request):
            return put_aside(request)
        return read(request, by=by)


def _too_long(name: str) -> Rejected:
    return Rejected([Problem("FIELD_TOO_LONG", f"The order's id has more than {MAX_ID} characters.", pointer(name),
                             hint="Send a shorter one.")])  # fmt: skip


def _is_read_later(request: OrderRequest) -> bool:
    incoming = Incoming(bytes(request.body), request.headers, request.content_type, topic=request.topic)
    try:
        return kind_of(request.connector).later(incoming, config_of(request.connector))
    except Rejected:  # the settings are not complete: reading it says so
        return False


def _record_file(seen: files.Seen) -> None:
    if not seen.facts:
        return
    kept = files.shown(seen)
    PrintFile.objects.filter(pk=seen.file.pk).update(**kept)
    if kept["page_count"] and kept["page_count"] > (seen.file.item.page_count or 0):
        seen.file.item.page_count = kept["page_count"]
        seen.file.item.save(update_fields=["page_count"])
