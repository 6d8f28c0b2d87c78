"""What is done for each meaning of a request: an order is made, canceled or changed, or nothing is to be done.

Each act stores the request together with what it did, and says the outcome. Raises Rejected with what speaks against it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction
from django_fsm import TransitionNotAllowed

from gelatoconnect.lib import logs
from gelatoconnect.lib.ids import parse_id
from gelatoconnect.lib.problems import Problem, Rejected, errors
from intake import privacy
from intake.checks import address_problems, check_data
from intake.checks.base import Case
from intake.checks.references import Catalogue, find_customer, match_products
from intake.connectors import kind_of
from intake.connectors.base import Cancel, Change, Export, Forget, Nothing, Outcome, Several, Submit
from intake.models import Connector, OrderRequest
from intake.records import State, first_of, message_of, put_aside, receive, record
from intake.unmapped import Missing
from orders.drafts import Draft, DraftFile, pointer
from orders.lifecycle import Status, available
from orders.models import Customer, Order
from orders.services import amend, move, place, tell

CANCELED_BEFORE = "ORDER_CANCELED_BEFORE"


def submit(request: OrderRequest, asked: Submit, *, by: str) -> Outcome:
    connector = request.connector
    if asked.source_id:
        was_made, was_canceled = _heard(connector, asked.source_id)
        if was_made and (known := _source(connector, asked.source_id)):
            return _again(request, asked, known, by=by)
        if was_canceled:
            return nothing(request, Nothing("It was canceled before it arrived.", CANCELED_BEFORE), by=by)
    case, warnings = prepare(request, asked)
    if not case.draft.items:
        return _nothing_to_print(request, warnings)
    try:
        order = place(case.draft, customer=case.customer, products=case.products, by=by, channel=kind_of(connector).name,
                      connector=connector.pk, problems=warnings, source_id=asked.source_id, source=asked.source,
                      test=asked.test, ship_by=asked.ship_by,
                      once=case.draft.prevent_duplicate or connector.prevent_duplicates,
                      also=lambda order: record(request, Outcome(201, order=order, problems=list(asked.notes))))  # fmt: skip
    except IntegrityError:
        if asked.source_id and (known := _source(connector, asked.source_id)):  # another one was quicker
            return _again(request, asked, known, by=by)
        raise
    logs.note(order=order.pk)
    if asked.source_id:
        _look_once_more(connector, asked.source_id, by=by)
    return Outcome(request.answer_status or 201, order=order, answer=request.answer, request=request.pk)


def prepare(request: OrderRequest, asked: Submit, *, known: Catalogue | None = None) -> tuple[Case, list[Problem]]:
    """The order as far as it can be judged at once; with the warnings. Raises Rejected.

    As much as is understood is noted on the request (unsaved), so that a refused one can be found by it. known: the
    catalogue of many orders, looked up beforehand.
    """
    draft = asked.draft
    request.reference, request.source_id = draft.order_reference_id, asked.source_id
    request.customer = customer = _customer_of(draft, request)
    _hand_over(draft, request)
    products, problems = match_products(draft, customer, known=known)
    kind, left_out = kind_of(request.connector), []
    if kind.mixed:
        left_out = [n for n, item in enumerate(draft.items) if products[n] is None and not item.files]
    missing = [n for n, product in enumerate(products) if product is None]
    request.missing = [Missing(draft.items[n], n not in left_out) for n in missing  # type: ignore[attr-defined]
                       if draft.items[n].sku or draft.items[n].product_name]  # fmt: skip
    notes = [*asked.notes, *(_left_out(draft, n) for n in left_out)]
    if left_out:
        kept = [n for n in range(len(products)) if n not in left_out]
        draft = draft.model_copy(update={"items": [draft.items[n] for n in kept]})
        products, problems = [products[n] for n in kept], match_products(draft, customer, known=known)[1]
    case = Case(draft, customer, products)
    found = [*check_data(case), *problems]
    if errors(found) and draft.order_type == "order" and draft.items:
        raise Rejected([*found, *notes])
    return case, [*found, *notes]


def cancel(request: OrderRequest, asked: Cancel, *, by: str) -> Outcome:
    """An order that was never made, because its request was refused, is canceled by setting that request aside."""
    request.source_id, request.reference = asked.source_id, asked.reference
    order = find_order(request.connector, asked.source_id, asked.reference)
    if order is None:
        if not asked.source_id:
            raise _unknown(asked.reference)
        waiting = OrderRequest.objects.filter(connector=request.connector, source_id=asked.source_id, order=None)
        waiting.exclude(state=State.ACCEPTED).update(state=State.IGNORED)
        code = "ORDER_NOT_MADE" if asked.may_return else CANCELED_BEFORE
        said = Problem(code, "Canceled; no order had been made of it.", severity="info")
        outcome = record(request, Outcome(200, problems=[said], state=State.IGNORED))
        _look_once_more(request.connector, asked.source_id, by=by)
        return outcome
    request.reference, request.customer = order.reference, order.customer
    if order.status == Status.CANCELED:
        with transaction.atomic():
            if asked.awaits_answer:
                tell(order, "order.cancel_repeated", by=by)
            return record(request, Outcome(200, order=order))
    try:
        with transaction.atomic():
            order = move(order, Order.cancel, by=by, reason=asked.reason)
            return record(request, Outcome(200, order=order))
    except TransitionNotAllowed:
        with transaction.atomic():
            tell(order, "order.cancel_refused", by="system", reason=f"It is {order.get_status_display()} already.")
        raise too_late(order) from None


def change(request: OrderRequest, asked: Change, *, by: str) -> Outcome:
    request.source_id, request.reference = asked.source_id, asked.reference
    order = find_order(request.connector, asked.source_id, asked.reference)
    if order is None:
        raise _unknown(asked.reference or asked.source_id)
    request.reference, request.customer = order.reference, order.customer
    if not changeable(order):
        raise too_late(order)
    if asked.address is not None and errors(found := list(address_problems(asked.address))):
        raise Rejected(found)
    changes: dict[str, Any] = {"address": asked.address, "shipment_method": asked.shipment_method}
    with transaction.atomic():
        order = amend(order, by=by, **{name: value for name, value in changes.items() if value is not None})
        return record(request, Outcome(200, order=order))


def nothing(request: OrderRequest, asked: Nothing, *, by: str) -> Outcome:
    request.source_id = request.source_id or asked.source_id
    request.reference = request.reference or asked.reference
    said = Problem(asked.code, asked.why, severity="info")
    return record(request, Outcome(200, problems=[said], state=State.IGNORED))


def several(request: OrderRequest, asked: Several, *, by: str) -> Outcome:
    with transaction.atomic():
        found = [receive(each, connector=request.connector) for each in asked.found]
        new = [each for each in found if not first_of(each)]
        for each in new:
            put_aside(each)
        said = Problem("REQUEST_SEVERAL", f"{len(new)} requests were made of it.", severity="info")
        return record(request, Outcome(200, problems=[said], state=State.IGNORED))


# Meaning → what is done for it.
ACTS: dict[type, Callable[..., Outcome]] = {
    Submit: submit, Cancel: cancel, Change: change, Nothing: nothing, Several: several,
    Export: privacy.export, Forget: privacy.forget,
}  # fmt: skip


def find_order(connector: Connector, source_id: str = "", reference: str = "") -> Order | None:
    """An order that came through the connector: by the sender's own id, by our id, or the latest with that reference."""
    orders = Order.objects.select_related("customer", "address").filter(connector=connector.pk)
    if source_id and (found := orders.filter(source_id=source_id).first()):
        return found
    if not reference:
        return None
    id = parse_id(reference)
    found = orders.filter(pk=id).first() if id else None
    return found or orders.filter(reference=reference).order_by("-id").first()


def changeable(order: Order) -> bool:
    """Whether its address and shipment method may still be changed by its sender."""
    return "cancel" in available(order, api=True)


def too_late(order: Order) -> Rejected:
    problem = Problem("ORDER_STATUS_CONFLICT", f"The order is {order.get_status_display()}: it is too late.",
                      hint="Orders can be canceled and changed until they are shipped.")  # fmt: skip
    return Rejected([problem], status=409)


def _source(connector: Connector, source_id: str) -> Order | None:
    orders = Order.objects.select_related("customer", "address")
    return orders.filter(connector=connector.pk, source_id=source_id).first()


def _again(request: OrderRequest, asked: Submit, order: Order, *, by: str) -> Outcome:
    """The same order once more. An address that the shop has changed since is changed here too, and a failed order tried."""
    request.reference, request.source_id, request.customer = order.reference, asked.source_id, order.customer
    said = [Problem("ORDER_KNOWN", "The order had been made before.", severity="info")]
    address = asked.draft.shipping_address
    with transaction.atomic():
        before = _address_before(order)
        if before not in (None, address) and changeable(order) and not errors(list(address_problems(address))):
            order = amend(order, by=by, address=address)
            said.append(Problem("ORDER_ADDRESS_CHANGED", "Its address was changed.", severity="info"))
            if order.status == Status.FAILED:
                order = move(order, Order.retry, by=by)
        return record(request, Outcome(200, order=order, problems=said))


def _address_before(order: Order) -> Any:
    """The address as the sender gave it last: what staff made of it since is not the sender's change."""
    before = OrderRequest.objects.filter(order=order).select_related("connector").order_by("-id").first()
    if before is None:
        return None
    try:
        meaning = kind_of(before.connector).parse(message_of(before))
    except Rejected:
        return None
    return meaning.draft.shipping_address if isinstance(meaning, Submit) else None


def _heard(connector: Connector, source_id: str) -> tuple[bool, bool]:
    """What earlier requests made of the sender's order: whether there is one, and whether it was canceled before it came."""
    requests = OrderRequest.objects.filter(connector=connector, source_id=source_id).order_by()
    earlier = list(requests.values_list("order_id", "state", "problems"))
    ignored = [problem["code"] for _, state, problems in earlier if state == State.IGNORED for problem in problems]
    return any(order for order, _, _ in earlier), CANCELED_BEFORE in ignored


def _look_once_more(connector: Connector, source_id: str, *, by: str) -> None:
    """An order and its cancellation that came at the same moment, neither seeing the other: whichever is stored last
    looks once more, so that the cancellation holds."""

    def look() -> None:
        order = _source(connector, source_id) if _heard(connector, source_id)[1] else None
        if order is None or order.status == Status.CANCELED:
            return
        try:
            move(order, Order.cancel, by=by, reason="It was canceled while it arrived.")
        except TransitionNotAllowed:  # the other one was quicker
            pass

    transaction.on_commit(look, robust=True)


def _nothing_to_print(request: OrderRequest, notes: list[Problem]) -> Outcome:
    said = Problem("ORDER_NOTHING_TO_PRINT", "No line of it is mapped to a product or brings a print file.", severity="info",
                   hint="Map its products, and it is read again.")  # fmt: skip
    infos = [replace(note, severity="info") for note in notes if note.code == "ITEM_LEFT_OUT"]
    return record(request, Outcome(200, problems=[said, *infos], state=State.IGNORED))


def _left_out(draft: Draft, place: int) -> Problem:
    item = draft.items[place]
    what = item.sku or item.product_name or item.product_uid or f"Line {place + 1}"
    return Problem("ITEM_LEFT_OUT", f"{what} is not printed here: no product is mapped to it, and it brings no print file.",
                   pointer("items", place), "info", "Map it to a product if it is to be printed.")  # fmt: skip


def _hand_over(draft: Draft, request: OrderRequest) -> None:
    """Print files that came with the request are not fetched: their content is here already."""
    if not request.contents:
        return
    for item in draft.items:
        item.files = [
            DraftFile.handed_over(file, request.contents[file.url]) if file.url in request.contents else file
            for file in item.files
        ]


def _customer_of(draft: Draft, request: OrderRequest) -> Customer:
    named = request.customer_reference or draft.customer_reference_id
    customer = find_customer(request.connector, named=named)
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


def _unknown(reference: str) -> Rejected:
    problem = Problem("ORDER_UNKNOWN", f"No order {reference[:120]!r} came through this connector.",
                      hint="Check the id, and that the order was accepted.")  # fmt: skip
    return Rejected([problem], status=404)
