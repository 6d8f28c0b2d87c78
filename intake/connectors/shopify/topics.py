"""What Shopify sends besides orders: what a merchant asks of their fulfilment service, and the privacy topics. Pure."""

import json
from collections.abc import Callable

from intake.connectors.base import (
    Cancel,
    Export,
    Forget,
    Incoming,
    Meaning,
    Message,
    Nothing,
    Recipient,
    Several,
    refuse,
)
from intake.connectors.loose import document, get, line, rows, text
from intake.connectors.shopify.orders import meaning_of, reading_of

NOTIFIED = "fulfillment_order_notification"
REQUESTED, CANCELLATION = "fulfillment_requested", "cancellation_requested"  # made of such a notification
DATA_REQUEST, REDACT, SHOP_REDACT = "customers/data_request", "customers/redact", "shop/redact"


def kind_of_notification(body: bytes) -> str:
    kind = text(get(document(body, marks=("kind",)), "kind")).upper()
    if kind not in ("FULFILLMENT_REQUEST", "CANCELLATION_REQUEST"):
        refuse("NOTIFICATION_KIND", f"A notification of the kind {kind[:40]!r} is not known here.", status=422, path="/kind",
               hint="Shopify sends FULFILLMENT_REQUEST or CANCELLATION_REQUEST.")  # fmt: skip
    return kind


def _notified(message: Message) -> Meaning:
    """What was found when the shop was asked; as it came, a notification says nothing of its own."""
    said = document(message.body, marks=("found", "kind"))
    if get(said, "found") is None:
        kind_of_notification(message.body)
        return Nothing("The shop has not been asked yet what it wants.")
    found = [Incoming(text(get(each, "body")).encode(), topic=text(get(each, "topic")), key=text(get(each, "key")),
                      source_id=text(get(each, "key"))[:120]) for each in rows(get(said, "found"))]  # fmt: skip
    return Several(tuple(found)) if found else Nothing("Nothing is waiting for us in the shop.")


def _requested(message: Message) -> Meaning:
    """The merchant asks for the work: their lines at our location, whether or not it has been paid."""
    said = document(message.body, marks=("fulfillment_order",))
    order, work = get(said, "order"), get(said, "fulfillment_order")
    if not isinstance(order, dict):
        return Nothing("The order is not in the shop any more.", "ORDER_UNKNOWN")
    ids = {text(get(each, "line_item_id")) for each in rows(get(work, "line_items"))}
    lines = [each for each in rows(get(order, "line_items")) if not ids or text(get(each, "id")) in ids]
    body = json.dumps(order | {"line_items": lines}, ensure_ascii=False).encode()
    config = message.config.model_copy(update={"print_when": "at once"})
    return meaning_of(body, topic="orders/create", reading=reading_of(config))


def _cancellation(message: Message) -> Meaning:
    work = get(document(message.body, marks=("fulfillment_order",)), "fulfillment_order")
    asked = [get(each, "message") for each in rows(get(work, "merchant_requests"))]
    reason = next((line(each, most=200) for each in reversed(asked) if each), "")
    return Cancel(
        text(get(work, "order_id")), reason=reason or "Cancellation requested in the shop", awaits_answer=True
    )


def _recipient(message: Message, name: str) -> Recipient:
    said = document(message.body, marks=("customer", "shop_domain", "shop_id", name))
    customer, ids = get(said, "customer"), get(said, name)
    listed = ids.values() if isinstance(ids, dict) else ids if isinstance(ids, list) else [ids]
    found = [text(get(each, "id") if isinstance(each, dict) else each).rpartition("/")[2] for each in listed]
    email, phone = line(get(customer, "email"), most=254), line(get(customer, "phone"), most=40)
    return Recipient(tuple(id for id in found if id), email, phone, text(get(customer, "id"), most=40))


def _forget_shop(message: Message) -> Meaning:
    said = document(message.body, marks=("shop_domain", "shop_id"))
    named = text(get(said, "shop_domain")).lower()
    if named and named != message.config.shop:
        refuse("SHOP_UNKNOWN", f"{named[:100]} is not the shop of this connector.", status=422, path="/shop_domain")
    return Forget()


READINGS: dict[str, Callable[[Message], Meaning]] = {
    NOTIFIED: _notified,
    REQUESTED: _requested,
    CANCELLATION: _cancellation,
    DATA_REQUEST: lambda message: Export(_recipient(message, "orders_requested")),
    REDACT: lambda message: Forget(_recipient(message, "orders_to_redact")),
    SHOP_REDACT: _forget_shop,
}
