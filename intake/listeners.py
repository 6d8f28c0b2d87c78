"""What intake does when orders change: checks follow every reception, senders are told in their own language."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from intake import pipeline, products, uploads
from intake.connectors import CONNECTOR_TYPES, config_of, kind_of, memory_of
from intake.connectors.base import Told
from intake.models import Connector, OrderRequest
from intake.records import message_of
from intake.talks import hold
from orders import panels
from orders.events import Conclusion, Permanent, is_last_attempt, listen
from orders.models import Delivery, Event

# A file server may be away for a while: about 40 minutes in all, then the order fails with the reason.
FETCH_DELAYS = (5, 30, 120, 600, 1_800)
# A check that was at work while a file was uploaded may not have seen it; it ends before long.
WAKE_DELAYS = (1, 2, 5, 15, 60, 300, 900)


@listen("order.received", name="check", delays=FETCH_DELAYS)
def check(delivery: Delivery) -> Conclusion | None:
    assert delivery.order is not None
    return pipeline.check(delivery.order, last_attempt=is_last_attempt(delivery))


@listen("request.received", name="read", delays=FETCH_DELAYS)
def read(delivery: Delivery) -> Conclusion | None:
    """A request that was put aside when it came."""
    request = OrderRequest.objects.select_related("connector__customer").get(pk=delivery.event.data["request"]["id"])
    return pipeline.read_later(request, last_attempt=is_last_attempt(delivery))


@listen("product.mapped", name="mapped", delays=(5, 60, 600))
def mapped(delivery: Delivery) -> None:
    """Try again what waited for a product that is mapped now."""
    event = delivery.event
    products.try_again(event.data["requests"], event.data["orders"], by=event.by)


def wanting(event: Event) -> Iterator[str]:
    """The connector through which the order came, when its type tells its senders of such events."""
    order = event.order
    kind = CONNECTOR_TYPES.get(order.channel) if order is not None and order.connector else None
    if kind is None or order is None or order.connector is None:
        return
    if any(fnmatchcase(event.kind, pattern) for pattern in kind.tells) and kind.wants(event.kind, order.connector):
        yield str(order.connector)


@listen("order.*", "package.*", name="postback", each=wanting, by_target=True)
def postback(delivery: Delivery) -> None:
    """Tell the order's sender, in its own words."""
    connector = Connector.objects.filter(pk=delivery.target, active=True).first()
    if connector is None:
        raise Permanent("The connector was removed or switched off.")
    talk = kind_of(connector).postback(told_of(delivery.event), config_of(connector), memory_of(connector))
    hold(talk, connector, report=delivery.report)


def answered_early(event: Event) -> Iterator[str]:
    """The connector of a refused request whose sender was told, before it was read, that it had arrived."""
    request = OrderRequest.objects.select_related("connector").filter(pk=event.data["request"]["id"]).first()
    kind = CONNECTOR_TYPES.get(request.connector.type) if request is not None else None
    if request is not None and kind is not None and kind.wants_refusal(request.topic):
        yield str(request.connector_id)


@listen("request.rejected", name="refusal", each=answered_early, by_target=True)
def refusal(delivery: Delivery) -> None:
    """Tell the sender of such a request that it was refused, in its own words."""
    event = delivery.event
    request = OrderRequest.objects.select_related("connector").get(pk=event.data["request"]["id"])
    talk = kind_of(request.connector).refusal(
        message_of(request), event.data["problems"], at=event.at, id=event.pk, request=request.pk
    )
    hold(talk, request.connector, report=delivery.report)


@listen("order.file_uploaded", name="wake", delays=WAKE_DELAYS)
def wake(delivery: Delivery) -> Conclusion | None:
    """A print file that was waited for has come: the checks that wait for it, or failed for want of it, go on."""
    assert delivery.order is not None
    return uploads.wake(delivery.order, delivery.event)


def told_of(event: Event) -> Told:
    order = event.order
    assert order is not None
    return Told(
        kind=event.kind, at=event.at, id=event.pk, order=order, items=list(order.items.select_related("product")),
        packages=[package for answer in panels.PACKAGES for package in answer(order)],
        reason=event.data.get("reason", ""), problems=event.data.get("problems", []),
        changes=event.data.get("changes", {}),
    )  # fmt: skip
