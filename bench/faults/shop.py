"""The shop of these runs, and what is read of it afterwards. Imports models: only where Django is set up."""

from collections import defaultdict
from typing import Any

from bench.faults.history import PARTS, Fact, Left, Stored
from bench.shop import open_shop
from intake.models import OrderRequest
from orders.lifecycle import arrows
from orders.models import Delivery, Event, Order, Trigger
from shipping.models import CarrierAccount, Package


def open_house(receiver: str, secret: str) -> None:
    """A customer who sends orders and is told of everything, and a carrier whose labels are drawn here."""
    customer = open_shop().customer
    Trigger.objects.create(name="Bench's system", customer=customer, event="*", address=receiver, secret=secret)
    CarrierAccount.objects.create(name="Post office", carrier="manual")


def stored(prefix: str = "") -> list[Stored]:
    """Every order whose reference begins so, with all that happened to it."""
    facts: dict[Any, list[Fact]] = defaultdict(list)
    for event in Event.objects.filter(order__reference__startswith=prefix).iterator():
        facts[event.order_id].append(Fact(str(event.pk), event.sequence, event.kind, event.source, event.target))
    labels: dict[Any, list[str]] = defaultdict(list)
    for order, label in Package.objects.live().values_list("order", "label"):
        labels[order].append(label)
    requests: dict[Any, int] = defaultdict(int)
    for order in OrderRequest.objects.exclude(order=None).values_list("order", flat=True):
        requests[order] += 1
    orders = Order.objects.filter(reference__startswith=prefix).values_list("pk", "reference", "status", "sequence")
    return [Stored(str(pk), reference, status, sequence, facts[pk], labels[pk], requests[pk])
            for pk, reference, status, sequence in orders]  # fmt: skip


def left() -> list[Left]:
    """Deliveries that are not done."""
    found = Delivery.objects.exclude(state=Delivery.State.DONE).select_related("order")
    return [Left(each.order.reference if each.order else "–", each.listener, each.state, each.error) for each in found]


def moves() -> set[tuple[str, str]]:
    return {(str(arrow.source), str(arrow.target)) for arrow in arrows()}


def everything(prefix: str) -> tuple[list[Stored], list[Left], set[tuple[str, str]]]:
    """All that a history is judged by."""
    return stored(prefix), left(), moves()


def is_quiet(prefix: str) -> bool:
    """Nothing is due any more, and every order has its end."""
    if Delivery.objects.filter(state=Delivery.State.DUE).exists():
        return False
    orders = Order.objects.filter(reference__startswith=prefix)
    return not any(
        orders.filter(reference__endswith=letter).exclude(status=end).exists() for letter, end in PARTS.items()
    )
