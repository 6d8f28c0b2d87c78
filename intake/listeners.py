"""What intake does when orders change: checks follow every reception, senders are told in their own language."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from intake import pipeline
from intake.connectors import CONNECTOR_TYPES, config_of, kind_of, memory_of
from intake.connectors.base import Told
from intake.models import Connector, OrderRequest
from intake.talks import hold
from orders import panels
from orders.events import Conclusion, Permanent, is_last_attempt, listen
from orders.models import Delivery, Event

# A file server may be away for a while: about 40 minutes in all, then the order fails with the reason.
FETCH_DELAYS = (5, 30, 120, 600, 1_800)


@listen("order.received", name="check", delays=FETCH_DELAYS)
def check(delivery: Delivery) -> Conclusion | None:
    assert delivery.order is not None
    return pipeline.check(delivery.order, last_attempt=is_last_attempt(delivery))


@listen("request.received", name="read", delays=FETCH_DELAYS)
def read(delivery: Delivery) -> Conclusion | None:
    """A request that was put aside when it came."""
    request = OrderRequest.objects.select_related("connector__customer").get(pk=delivery.event.data["request"]["id"])
    return pipeline.read_later(request, last_attempt=is_last_attempt(delivery))


def wanting(event: Event) -> Iterator[str]:
    """The connector through which the order came, when its type tells its senders of such events."""
    order = event.order
    kind = CONNECTOR_TYPES.get(order.channel) if order is not None and order.connector else None
    if kind is not None and order is not None and any(fnmatchcase(event.kind, pattern) for pattern in kind.tells):
        yield str(order.connector)


@listen("order.*", "package.*", name="postback", each=wanting)
def postback(delivery: Delivery) -> None:
    """Tell the order's sender, in its own words."""
    connector = Connector.objects.filter(pk=delivery.target, active=True).first()
    if connector is None:
        raise Permanent("The connector was removed or switched off.")
    talk = kind_of(connector).postback(told_of(delivery.event), config_of(connector), memory_of(connector))
    hold(talk, connector, report=delivery.report)


def told_of(event: Event) -> Told:
    order = event.order
    assert order is not None
    return Told(
        kind=event.kind, at=event.at, id=event.pk, order=order, items=list(order.items.select_related("product")),
        packages=[package for answer in panels.PACKAGES for package in answer(order)],
        reason=event.data.get("reason", ""), problems=event.data.get("problems", []),
    )  # fmt: skip
