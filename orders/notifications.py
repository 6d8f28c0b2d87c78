"""Telling customers: an event, matched by a trigger, becomes a signed webhook or an e-mail with the standard payload."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string

from orders import panels, webhooks
from orders.answers import PackageAnswer
from orders.events import Permanent, TryLater, listen
from orders.models import Delivery, Event, Order, Trigger

# What staff do among themselves is nobody else's business.
IN_HOUSE = frozenset(
    {"order.noted", "order.signed_off", "order.cancel_refused", "order.cancel_repeated", "order.forgotten",
     "request.received", "request.exported", "request.forgotten", "import.brought", "import.started", "import.ended",
     "product.mapped"}
)  # fmt: skip


def matching(event: Event) -> Iterator[str]:
    """Ids of the active triggers that want this event: the customer's own and those for all."""
    if event.kind in IN_HOUSE:
        return
    wanted = Trigger.objects.filter(Q(customer=event.customer_id) | Q(customer=None), active=True)
    for id, pattern in wanted.values_list("id", "event"):
        if fnmatchcase(event.kind, pattern):
            yield str(id)


@listen("*", name="trigger", each=matching)
def notify(delivery: Delivery) -> None:
    trigger = Trigger.objects.filter(pk=delivery.target, active=True).first()
    if trigger is None:
        raise Permanent("The trigger was removed or switched off.")
    try:
        if trigger.channel == Trigger.Channel.EMAIL:
            _mail(trigger, delivery)
        else:
            webhooks.post(trigger, delivery, body=json.dumps(payload(delivery.event), separators=(",", ":")).encode())
    except TryLater as failure:
        if not trigger.retry:
            raise Permanent(str(failure)) from failure
        raise


def payload(event: Event) -> dict[str, Any]:
    """The standard payload: what happened, when, to which order; package and shipment where the event tells of one.

    The envelope (type, timestamp, data) is that of Standard Webhooks 1.0; `data.sequence` orders an order's events.
    """
    data: dict[str, Any] = {"eventId": str(event.pk), "sequence": event.sequence}
    if event.customer:
        customer = event.customer
        data["customer"] = {"id": str(customer.pk), "name": customer.name, "referenceId": customer.reference}
    if event.order:
        data["order"] = _order(event.order, event)
    data |= {
        name: event.data[name]
        for name in ("package", "shipment", "problems", "reason", "request")
        if name in event.data
    }
    if event.order and "shipment" not in data and (parcels := _parcels(event.order)):
        data["shipment"] = {"packages": parcels}
    return {"type": event.kind, "timestamp": event.at.isoformat().replace("+00:00", "Z"), "data": data}


def _order(order: Order, event: Event) -> dict[str, Any]:
    return {
        "id": str(order.pk),
        "referenceId": order.reference,
        "metadata": order.metadata,
        "fulfillmentStatus": event.target or order.status,
        "items": [
            {"id": str(item.pk), "referenceId": item.reference, "quantity": item.quantity_due}
            for item in order.items.all()
        ],
    }


def _parcels(order: Order) -> list[dict[str, Any]]:
    """How to follow the order's parcels. Where each one is, is told by package.status_updated."""
    fields = {"id", "tracking_code", "tracking_url", "weight"}
    found = [PackageAnswer(**package) for answer in panels.PACKAGES for package in answer(order)]
    return [package.model_dump(include=fields, by_alias=True, mode="json") for package in found]


def _refused(event: Event, what: str) -> str:
    return f"Request {what}: {event.data.get('request', {}).get('referenceId') or 'unreadable'}"


def _mail(trigger: Trigger, delivery: Delivery) -> None:
    event = delivery.event
    context = {"event": event, "order": event.order, "customer": event.customer, "url": settings.PUBLIC_URL,
               "problems": event.data.get("problems", []), "reason": event.data.get("reason", "")}  # fmt: skip
    what = event.kind.partition(".")[2].replace("_", " ")
    about = f"Order {event.order.reference}: {what}" if event.order else _refused(event, what)
    subject = " ".join(about.split())
    message = EmailMessage(subject, render_to_string("emails/event.txt", context), to=[trigger.address],
                           headers={"Message-ID": f"<{event.pk}.{trigger.pk}@gelatoconnect>"})  # fmt: skip
    delivery.report = {"request": {"to": trigger.address, "subject": subject, "body": message.body}}
    try:
        message.send()
    except OSError as error:  # smtplib's errors are OSErrors
        raise TryLater(f"The mail server did not take it: {error}") from error
