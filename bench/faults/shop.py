"""The shop of these runs, and what is read of it afterwards. Imports models: only where Django is set up."""

from collections import defaultdict
from typing import Any

from django.db import connection, transaction

from bench.faults.history import PARTS, Fact, Left, Stored
from bench.faults.senders import QUIET_KEY
from bench.shop import open_shop
from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector, OrderRequest
from orders.lifecycle import arrows
from orders.models import Customer, Delivery, Event, Order, Trigger
from shipping.models import CarrierAccount, Package


def open_house(receiver: str, secret: str) -> None:
    """A customer who is told of everything and one who wants to hear nothing, and a carrier whose labels are drawn here."""
    customer = open_shop().customer
    quiet = Connector.objects.create(name="quiet", customer=Customer.objects.create(reference="quiet", name="Quiet"))
    key, _, secret_word = QUIET_KEY.partition(":")
    ApiKey.objects.create(connector=quiet, key=key, secret_hash=hashed(secret_word))
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
    """All that a history is judged by, as it is at one moment."""
    with transaction.atomic():
        if connection.vendor == "postgresql":  # on SQLite a transaction sees one state anyway
            connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return stored(prefix), left(), moves()


def is_quiet(prefix: str) -> bool:
    """Nothing is due any more, and every order has its end."""
    if Delivery.objects.filter(state=Delivery.State.DUE).exists():
        return False
    orders = Order.objects.filter(reference__startswith=prefix)
    return not any(
        orders.filter(reference__endswith=letter).exclude(status=end).exists() for letter, end in PARTS.items()
    )


def waits(prefix: str) -> list[float]:
    """Seconds that each of these orders took from its reception until it was created."""
    times: dict[Any, dict[str, Any]] = defaultdict(dict)
    events = Event.objects.filter(order__reference__startswith=prefix, kind__in=("order.received", "order.created"))
    for order, kind, at in events.values_list("order", "kind", "at"):
        times[order][kind] = at
    return [
        (each["order.created"] - each["order.received"]).total_seconds() for each in times.values() if len(each) == 2
    ]
