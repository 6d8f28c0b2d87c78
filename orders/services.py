"""The three writers of orders: place gives birth, move changes the status, amend changes everything else.

Each writes one Event in the same transaction, or nothing happened at all. `by` names the actor of the history:
"user:ada", "connector:shop", "carrier:manual" or "system".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from babel.numbers import get_currency_precision
from django.db import IntegrityError, transaction
from django.utils import timezone

from gelatoconnect.lib.failpoints import reached
from gelatoconnect.lib.problems import Problem
from orders import drafts, search, workdays
from orders.events import emit
from orders.lifecycle import STEPS
from orders.models import Address, Customer, Event, Item, Order, PrintFile, Product, SearchEntry


class Duplicate(Exception):
    """The sender asked that a reference be used once, and it has been used: `order_id` says by which order."""

    def __init__(self, order_id: UUID, reference: str) -> None:
        super().__init__(f"An order with the reference {reference!r} exists already.")
        self.order_id = order_id


def place(draft: drafts.Draft, *, customer: Customer, products: Sequence[Product | None], by: str, channel: str = "api",
          connector: UUID | None = None, once: bool = False, problems: Iterable[Problem] = (), source_id: str = "",
          source: Mapping[str, Any] = {}, test: bool = False, ship_by: date | None = None,
          also: Callable[[Order], object] = lambda order: None) -> Order:  # fmt: skip
    """Give birth to the order that `draft` asks for: Received, or Draft when it says so.

    products: one for each item, in order. once: refuse a reference that this customer has used before (Duplicate).
    source_id: the sender's own id of it, of which the connector has no other order (IntegrityError); source: what else
    its system needs to hear again. ship_by: instead of what the SLA promises (a draft is promised nothing before it is
    submitted). also: what is to be written in the same transaction.
    """
    try:
        with transaction.atomic():
            if once:
                _refuse_second(customer, draft.order_reference_id)
            order = _new_order(draft, customer=customer, channel=channel, connector=connector, once=once)
            order.source_id, order.source, order.test = source_id or None, dict(source), test
            order.ship_by = ship_by
            order.problems = [problem.as_dict() for problem in problems]
            if draft.order_type == "order":
                order.submit()
                order.ship_by = ship_by or workdays.ship_by(timezone.now(), _days(customer, products))
            # Keys are made here and foreign keys are checked at the commit: items go first, so that whoever listens may
            # ask for them, then the event, which numbers itself in the order.
            _insert_items(order, draft.items, products)
            kind = "order.received" if draft.order_type == "order" else "order.saved"
            emit(order, kind, by=by, target=order.status, channel=channel)
            order.address.save(force_insert=True)
            order.save(force_insert=True)
            SearchEntry(order=order, text=search.words_of(order)).save(force_insert=True)
            also(order)
    except IntegrityError:
        if once:  # another one was quicker
            _refuse_second(customer, draft.order_reference_id)
        raise
    return order


def move(order: Order, step: Callable | str, *, by: str, **answers: Any) -> Order:
    """Take one step of the lifecycle (`move(order, Order.finish, by="user:ada")`). The only thing that saves a status.

    answers: what the step asks for (reason, problems). Raises TransitionNotAllowed, and nothing has happened.
    """
    verb = step if isinstance(step, str) else step.__name__
    with changing(order) as fresh:
        source, since = fresh.status, fresh.status_since
        getattr(fresh, verb)(**answers)
        fresh.status_since = timezone.now()
        said: dict[str, Any] = {"reason": answers["reason"]} if answers.get("reason") else {}
        if verb == "submit" and fresh.ship_by is None:
            fresh.ship_by = workdays.ship_by(timezone.now(), _days(fresh.customer, _products_of(fresh)))
            said["changes"] = {"ship_by": [None, fresh.ship_by.isoformat()]}
        if fresh.problems and verb in ("fail", "accept"):
            said["problems"] = fresh.problems
        emit(fresh, STEPS[verb].event, by=by, source=source, target=fresh.status, verb=verb,
             seconds=(fresh.status_since - since).total_seconds(), **said)  # fmt: skip
    reached("move.done")
    return fresh


class Changes:
    """What `amend` can change, one method each. A method returns {what: [before, after]}, empty when nothing changed."""

    def address(self, order: Order, value: drafts.Address) -> dict[str, Any]:
        said, words = {}, search.words_of(order)
        for field in Address.FIELDS:
            before, after = getattr(order.address, field), getattr(value, field)
            if before != after:
                said[f"address.{field}"] = [before, after]
                setattr(order.address, field, after)
        order.country = order.address.country
        order.address.save()
        search.rewrite(order, before=words, after=search.words_of(order))
        return said

    def shipment_method(self, order: Order, value: str) -> dict[str, Any]:
        before, order.shipment_method = order.shipment_method, value
        return {"shipment_method": [before, value]} if before != value else {}

    def files(self, order: Order, value: Mapping[UUID, str]) -> dict[str, Any]:
        """New addresses of print files, by file id; what was known of the old content is forgotten."""
        said = {}
        for file in PrintFile.objects.filter(item__order=order, pk__in=value):
            said[f"file.{file.type}.{file.item_id}"] = [file.url, value[file.pk]]
            forgotten = PrintFile(pk=file.pk, item_id=file.item_id, type=file.type, url=value[file.pk])
            forgotten.save(force_update=True)
        return said

    def new_files(self, order: Order, value: Mapping[UUID, str]) -> dict[str, Any]:
        """A print file for items that have none, by item id: its address."""
        items = order.items.filter(pk__in=value, files=None)
        for item in items:
            PrintFile.objects.create(item=item, url=value[item.pk])
        return {f"item.{item.number}.file": [None, value[item.pk]] for item in items}

    def products(self, order: Order, value: Mapping[UUID, Product]) -> dict[str, Any]:
        """Products of items, by item id."""
        said = {}
        for item in order.items.filter(pk__in=value):
            said[f"item.{item.number}.product"] = [item.product_uid, value[item.pk].uid]
            item.product, item.product_uid = value[item.pk], value[item.pk].uid
            item.save()
        return said

    def cancel(self, order: Order, value: Mapping[UUID, int]) -> dict[str, Any]:
        """Pieces not to be made, by item id; never more than are not packed yet."""
        said = {}
        for item in order.items.filter(pk__in=value):
            before, item.canceled = item.canceled, min(item.canceled + value[item.pk], item.quantity - item.packed)
            if item.canceled != before:
                said[f"item.{item.number}.canceled"] = [before, item.canceled]
                item.save(update_fields=["canceled"])
        return said

    def hold(self, order: Order, value: tuple[str, datetime | None] | None) -> dict[str, Any]:
        """(reason, until) stops the order where it stands; None lets it go on."""
        before = _hold_of(order)
        order.held = value is not None
        order.hold_reason, order.hold_until = value or ("", None)
        after = _hold_of(order)
        said = {name: [before[name], after[name]] for name in after if name == "held" or before[name] != after[name]}
        return said if before["held"] or value else {}

    def sign_off(self, order: Order, value: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Findings ({code, path, sha256}) that a person lets pass, for as long as the file is the same."""
        new = [dict(finding) for finding in value if finding not in order.sign_offs]
        order.sign_offs = [*order.sign_offs, *new]
        return {f"finding {finding['code']} at {finding['path']}": ["error", "signed off"] for finding in new}

    def note(self, order: Order, value: str) -> dict[str, Any]:
        return {"note": [None, value]}


_KINDS: dict[str, Callable[[Any], str]] = {
    "hold": lambda value: "order.held" if value else "order.resumed",
    "note": lambda value: "order.noted",
    "sign_off": lambda value: "order.signed_off",
}


def amend(order: Order, *, by: str, reason: str = "", **changes: Any) -> Order:
    """Change an order without moving it: see Changes for what there is. Nothing changed: nothing is written."""
    with changing(order) as fresh:
        said: dict[str, Any] = {}
        for name, value in changes.items():
            said |= getattr(Changes(), name)(fresh, value)
        if said:
            only = next(iter(changes)) if len(changes) == 1 else ""
            kind = _KINDS[only](changes[only]) if only in _KINDS else "order.amended"
            more: dict[str, Any] = {"reason": reason} if reason else {}
            emit(fresh, kind, by=by, changes=said, **more)
    return fresh


def resume_due() -> int:
    """Let orders go on whose hold has run out; says how many."""
    over = Order.objects.filter(held=True, hold_until__lte=timezone.now())[:200]
    return len([amend(order, by="system", hold=None) for order in over])


@contextmanager
def changing(order: Order) -> Iterator[Order]:
    """The order read anew under its row lock, saved at the end of the same transaction."""
    with transaction.atomic():
        fresh = Order.objects.select_for_update(of=("self",)).select_related("customer", "address").get(pk=order.pk)
        yield fresh
        fresh.save()


def tell(order: Order, kind: str, *, by: str, **data: Any) -> Event:
    """Write an event that changes nothing on the order itself (a carrier's scan, a booked label)."""
    with changing(order) as fresh:
        return emit(fresh, kind, by=by, **data)


def minor_units(amount: Decimal | None, currency: str) -> int | None:
    """12.90 EUR → 1290; 500 JPY → 500 (ISO 4217 decimals)."""
    if amount is None:
        return None
    return int((amount * 10 ** get_currency_precision(currency or "EUR")).to_integral_value())


def major_units(amount: int | None, currency: str) -> Decimal | None:
    """1290 EUR → 12.90 (ISO 4217 decimals)."""
    return None if amount is None else Decimal(amount).scaleb(-get_currency_precision(currency or "EUR"))


def _hold_of(order: Order) -> dict[str, Any]:
    until = order.hold_until.isoformat() if order.hold_until else ""
    return {"held": order.held, "hold_reason": order.hold_reason, "hold_until": until}


def _refuse_second(customer: Customer, reference: str) -> None:
    first = (
        Order.objects.filter(customer=customer, reference=reference).order_by("id").values_list("pk", flat=True).first()
    )
    if first:
        raise Duplicate(first, reference)


def _new_order(draft: drafts.Draft, *, customer: Customer, channel: str, connector: UUID | None, once: bool) -> Order:
    address = Address(**draft.shipping_address.model_dump(include=set(Address.FIELDS)))
    retail = draft.retail_currency or draft.currency
    return Order(
        customer=customer, reference=draft.order_reference_id, address=address, channel=channel, connector=connector,
        status_since=timezone.now(),
        unique_reference=draft.order_reference_id if once else None, order_type=draft.order_type,
        country=address.country, currency=draft.currency, retail_currency=draft.retail_currency,
        retail_shipping_price=minor_units(draft.retail_shipping_price_incl_vat, retail),
        shipment_method=draft.shipment_method_uid, metadata=draft.metadata, extra=draft.model_extra or {},
        item_count=len(draft.items),
    )  # fmt: skip


def _days(customer: Customer, products: Iterable[Product | None]) -> list[int]:
    """Working days that each item takes: its product's own, or those of the customer's SLA."""
    own = [product.production_days if product else None for product in products]
    return [customer.sla_days if days is None else days for days in own] or [customer.sla_days]


def _products_of(order: Order) -> list[Product | None]:
    return [item.product for item in order.items.select_related("product")]


def _insert_items(order: Order, lines: Sequence[drafts.DraftItem], products: Sequence[Product | None]) -> None:
    currency = order.retail_currency or order.currency
    items, files = [], []
    for number, (line, product) in enumerate(zip(lines, products, strict=True), 1):
        items.append(
            Item(
                order=order,
                number=number,
                reference=line.item_reference_id,
                sku=line.sku,
                product=product,
                variant=line.product_variant,
                product_uid=product.uid if product else line.product_uid,
                product_name=line.product_name,
                quantity=line.quantity,
                retail_price=minor_units(line.retail_price_incl_vat, currency),
                metadata=line.metadata,
            )
        )
        files += [_new_file(items[-1], file) for file in line.files]
    Item.objects.bulk_create(items)
    PrintFile.objects.bulk_create(files)


def _new_file(item: Item, file: drafts.DraftFile) -> PrintFile:
    kept = {"sha256": file.kept, "fetched_at": timezone.now()} if file.kept else {}
    return PrintFile(item=item, type=file.type, url=file.url, md5=file.md5, **kept)
