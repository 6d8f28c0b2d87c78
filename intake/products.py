"""Mapping what a customer calls a product to a product of ours, and trying again whatever has waited for it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django_fsm import TransitionNotAllowed

from intake import pipeline
from intake.models import OrderRequest, Unmapped
from orders import audit
from orders.events import TryLater, deliver, emit
from orders.lifecycle import Status
from orders.models import CustomerProduct, Delivery, Item, Order, Product
from orders.services import move

log = logging.getLogger(__name__)

AT_ONCE = 20  # requests and orders that are tried while the person waits; a worker tries the rest
IN_ONE = 100  # of the rest, in one delivery
PATIENCE = 5.0  # seconds in which a worker that was quicker may finish
CLOSE = 0.4  # likeness, 0 to 1, below which a product is not suggested; nor far below that of the best
COMPARED = 40  # products that are compared letter by letter, those that share most with the name

State = OrderRequest.State
NOTHING_TO_PRINT = {"ORDER_NOTHING_TO_PRINT"}


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of what waited. later: how many are tried by a worker."""

    mapping: CustomerProduct
    requests: list[OrderRequest] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    later: int = 0

    @property
    def made(self) -> int:
        return sum(request.order_id is not None for request in self.requests)


def map_to(unmapped: Unmapped, product: Product, *, by: str, attributes: Mapping[str, Any] = {}, file_url: str = "",
           every_variant: bool = False) -> Retried:  # fmt: skip
    """The name means this product from now on; every request and failed order that waited for it is tried again.

    attributes: variant options that every such item has; file_url: the print file of items that bring none;
    every_variant: the name means it whatever the options. What is tried is written with the mapping, so none is lost.
    """
    with transaction.atomic():
        variant = {} if every_variant else unmapped.variant
        named: dict[str, Any] = {
            "customer": unmapped.customer,
            "sku": unmapped.sku,
            "name": unmapped.name,
            "variant": variant,
        }
        known = CustomerProduct.objects.filter(**named).first()
        before = audit.state_of(known) if known else None
        mapping, _ = CustomerProduct.objects.update_or_create(
            **named, defaults={"product": product, "attributes": dict(attributes), "file_url": file_url})  # fmt: skip
        audit.record(mapping, before=before, by=by)
        names = _covered(unmapped, every_variant=every_variant)
        requests, orders = waiting_for(names), failed_for(unmapped, every_variant=every_variant)
        work = [("requests", id) for id in requests] + [("orders", id) for id in orders]
        events = [
            emit(None, "product.mapped", by=by, customer=unmapped.customer, mapping=str(mapping.pk),
                 requests=_ids(some, "requests"), orders=_ids(some, "orders"))
            for some in _batches(work)
        ]  # fmt: skip
        names.delete()
    first = work[:AT_ONCE]
    if events:
        _finish(events[0].pk)
    return Retried(
        mapping,
        list(OrderRequest.objects.filter(pk__in=_ids(first, "requests")).select_related("order").order_by("id")),
        list(Order.objects.filter(pk__in=_ids(first, "orders")).select_related("customer").order_by("id")),
        later=len(work) - len(first),
    )


def waiting_for(names: Iterable[Unmapped]) -> list[UUID]:
    """Requests that were refused, or set aside because nothing of them was to be printed; oldest first."""
    found = OrderRequest.objects.filter(unmapped__in=names, state__in=(State.REJECTED, State.IGNORED), order=None)
    waiting = found.distinct().order_by("id").only("state", "problems")
    return [each.pk for each in waiting if each.state == State.REJECTED or _codes(each) & NOTHING_TO_PRINT]


def failed_for(unmapped: Unmapped, *, every_variant: bool = False) -> list[UUID]:
    """Failed orders of the customer with an item of that name and no product; oldest first."""
    items = Item.objects.filter(order__customer=unmapped.customer, order__status=Status.FAILED, product=None)
    if unmapped.sku:
        items = items.filter(sku=unmapped.sku)
    else:
        items = items.filter(sku="", product_name=unmapped.name)
        if not every_variant:
            items = items.filter(variant=unmapped.variant)
    return list(items.order_by("order_id").values_list("order_id", flat=True).distinct())


def try_again(requests: Iterable[Any], orders: Iterable[Any], *, by: str) -> None:
    """Process the requests and retry the orders; what has moved on since is left as it is.

    A fault of ours stops none of the others: it is raised at the end, as TryLater.
    """
    failed: list[str] = []
    for request in OrderRequest.objects.filter(pk__in=list(requests), order=None).order_by("id"):
        try:
            pipeline.process_again(request, by=by)
        except Exception:
            log.exception("Request %s could not be processed again", request.pk)
            failed.append(str(request))
    for order in Order.objects.filter(pk__in=list(orders), status=Status.FAILED).order_by("id"):
        try:
            move(order, Order.retry, by=by)
        except TransitionNotAllowed:
            continue
    if failed:
        raise TryLater(f"Could not be processed again because of a fault of ours: {', '.join(failed[:20])}.")


def closest(name: str, products: Iterable[Product], *, most: int = 3) -> list[Product]:
    """Products whose uid or name is most like the name, the best first."""
    sought = _plain(name)
    pieces = _pieces(sought)
    shared = sorted(((len(pieces & _pieces(_plain(f"{each.uid} {each.name}"))), each) for each in products),
                    key=lambda found: -found[0])[:COMPARED]  # fmt: skip
    scored = [(max(_likeness(sought, each.uid), _likeness(sought, each.name)), each) for _, each in shared]
    best = max((score for score, _ in scored), default=0.0)
    scored.sort(key=lambda found: -found[0])
    return [each for score, each in scored[:most] if score >= max(CLOSE, best * 0.75)]


def _covered(unmapped: Unmapped, *, every_variant: bool) -> Any:
    """The gathered names that the mapping answers."""
    same = Q(pk=unmapped.pk)
    if every_variant:
        same |= Q(customer=unmapped.customer, sku=unmapped.sku, name=unmapped.name)
    return Unmapped.objects.filter(same)


def _batches(work: list[tuple[str, UUID]]) -> Iterator[list[tuple[str, UUID]]]:
    rest = iter(work)
    size = AT_ONCE
    while some := list(islice(rest, size)):
        yield some
        size = IN_ONE


def _ids(work: Iterable[tuple[str, UUID]], kind: str) -> list[str]:
    return [str(id) for what, id in work if what == kind]


def _finish(event: UUID) -> None:
    """Do it now, or wait a little for the worker that was quicker."""
    due = Delivery.objects.filter(event=event, listener="mapped")
    until = monotonic() + PATIENCE
    for pk in due.values_list("pk", flat=True):
        deliver(pk)
    while due.filter(lease__isnull=False).exists() and monotonic() < until:
        sleep(0.1)


def _codes(request: OrderRequest) -> set[str]:
    return {problem.get("code", "") for problem in request.problems}


def _plain(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


def _pieces(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)} | set(text.split())


def _likeness(sought: str, name: str) -> float:
    return SequenceMatcher(None, sought, _plain(name)).ratio()
