"""What is told to Site Flow clients: there is no fixed schema, so the connector may bring a template of its own. Pure."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from gelatoconnect.lib import sandbox
from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import Ask, Told
from orders.events import Permanent, TryLater

# Kinds of our events → the word of the status, and what Site Flow calls the event.
EVENTS = {
    "order.received": ("received", "Order Received"),
    "order.passed": ("validated", "Order Validated"),
    "order.created": ("printready", "Order Print Ready"),
    "order.in_production": ("processing", "Order In Production"),
    "order.printed": ("printed", "Component Printed"),
    "order.failed": ("error", "Order Errored"),
    "order.reprocessed": ("printready", "Order Reprinted"),
    "order.canceled": ("cancelled", "Order Cancelled"),
    "order.shipped": ("shipped", "Shipment Shipped"),
    "order.delivered": ("delivered", "Shipment Updated"),
    "order.returned": ("returned", "Shipment Updated"),
}
SUBMISSION = ("error", "Order Submission Error")
STATUSES = tuple(dict.fromkeys(word for word, _ in EVENTS.values()))
USUAL = ("received", "printready", "printed", "error", "cancelled", "shipped")


def words_of(told: Told) -> dict[str, Any]:
    """An event as the usual body says it, and as templates see it."""
    status, name = EVENTS[told.kind]
    errors = [each for each in told.problems if each.get("severity") == "error"]
    first = told.tracked[0] if told.tracked else {}
    shipments = [{"trackingNumber": each["tracking_code"], "trackingUrl": each["tracking_url"],
                  "status": each["status"], "weight": each.get("weight")} for each in told.tracked]  # fmt: skip
    return _body(
        name, status, told.at, str(told.id), order_id=str(told.order.pk), reference=told.order.reference,
        source=told.order.source, message=told.reason or _joined(errors), errors=errors,
        TrackingNumber=first.get("tracking_code", ""), TrackingURL=first.get("tracking_url", ""),
        items=[{"sourceItemId": each.reference, "sku": each.sku, "quantity": each.quantity_due} for each in told.items],
        shipments=shipments,
    )  # fmt: skip


def words_of_refusal(problems: list[dict[str, Any]], at: datetime, *, id: UUID, request: UUID, reference: str,
                     source: Mapping[str, Any]) -> dict[str, Any]:  # fmt: skip
    """A submission that was answered before it was read, and made no order. OrderId: as that answer said it."""
    status, name = SUBMISSION
    errors = [each for each in problems if each.get("severity") == "error"]
    return _body(
        name, status, at, str(id), order_id=str(request), reference=reference, source=source, message=_joined(errors),
        errors=errors, TrackingNumber="", TrackingURL="", items=[], shipments=[],
    )  # fmt: skip


def _body(name: str, status: str, at: datetime, event_id: str, *, order_id: str, reference: str, source: Mapping[str, Any],
          message: str, errors: list[dict[str, Any]], **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "Event": name, "SourceOrderId": reference, "OrderStatus": status, "OrderId": order_id, "EventId": event_id,
        "Timestamp": at.isoformat(), "Message": message, **more,
        "SourceAccount": source.get("account") or source.get("source") or "",
        "Errors": [{name: each.get(name, "") for name in ("code", "path", "message", "hint")} for each in errors],
    }  # fmt: skip


def post_of(said: dict[str, Any], config: Any, *, otherwise: str = "") -> Ask | None:
    """The request that tells it; None when there is nobody to tell. otherwise: the address that the order itself names.

    Raises Permanent when the connector's template fails on it.
    """
    url = config.postback_url or otherwise
    if not url:
        return None
    headers = {"Content-Type": config.postback_type, "Accept": "*/*"}
    password = config.postback_password.get_secret_value() if config.postback_password else ""
    if config.postback_url and (config.postback_user or password):  # never to an address that an order names
        headers["Authorization"] = "Basic " + base64.b64encode(f"{config.postback_user}:{password}".encode()).decode()
    return Ask(config.postback_method, url, headers, _rendered(said, config.postback_template).encode())


def _rendered(said: dict[str, Any], template: str) -> str:
    if not template.strip():
        return json.dumps(said, ensure_ascii=False)
    try:
        return sandbox.render(template, said)
    except Rejected as refusal:
        failure = TryLater if refusal.status == 503 else Permanent
        raise failure(f"The connector's postback template failed: {refusal}") from refusal


def _joined(errors: list[dict[str, Any]]) -> str:
    return "; ".join(str(each.get("message", "")) for each in errors)
