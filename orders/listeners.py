"""What follows inside orders: passed orders are released by themselves, triggers are told, and so are the owners of
endpoints that fail."""

from datetime import datetime
from functools import partial

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from orders import mails, notifications, replays  # noqa: F401  # registers their listeners
from orders.events import Conclusion, listen
from orders.lifecycle import Status
from orders.models import Delivery, Order
from orders.services import move


@listen("order.passed", "order.resumed", name="release")
def release(delivery: Delivery) -> Conclusion | None:
    """Unless the order is on hold or its customer's orders wait for approval."""
    order = delivery.order
    assert order is not None
    if order.status != Status.PASSED or order.held or order.customer.requires_approval:
        return None
    return partial(move, order, Order.release, by="system")  # type: ignore[return-value]


@listen("endpoint.failing", "endpoint.switched_off", name="endpoint-mail")
def tell_owner(delivery: Delivery) -> None:
    """By mail, since its webhooks do not reach it: the customer, or the house where it is nobody's or has no address."""
    event, said = delivery.event, delivery.event.data
    failing = event.kind == "endpoint.failing"
    what = "fails" if failing else "was switched off"
    subject = " ".join(f"The endpoint of {said['trigger']['name']} {what}".split())
    context = {"failing": failing, "trigger": said["trigger"], "reason": said["reason"], "given_up": said.get("given_up"),
               "since": datetime.fromisoformat(said["since"]), "customer": event.customer, "url": settings.PUBLIC_URL,
               "off_at": datetime.fromisoformat(said["off_at"]) if failing else None}  # fmt: skip
    address = (event.customer.email if event.customer else "") or settings.STAFF_EMAIL
    headers = {"Message-ID": f"<{event.pk}.endpoint@gelatoconnect>", "Auto-Submitted": "auto-generated"}
    mail = EmailMultiAlternatives(
        subject, render_to_string("emails/endpoint.txt", context), to=[address], headers=headers
    )
    mails.send(mail, report=delivery.report)
