"""What there is to tell of an event: the standard payload, as JSON or XML, and what templates are given besides.

An Occasion is an event to tell of, or a made-up one that stands for its kind: for trying, when none has happened yet.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings
from django.utils import timezone

from gelatoconnect.lib.ids import new_id
from gelatoconnect.lib.problems import Rejected
from gelatoconnect.lib.sandbox import render
from orders import panels
from orders.answers import AddressAnswer, ItemAnswer, OrderAnswer, PackageAnswer, ShipmentAnswer, order_of
from orders.models import Address, Event, Order

TELLS = ("package", "shipment", "problems", "reason", "request", "delay")  # of an event's own data
_NAME = re.compile(r"(?!xml)[A-Za-z_][A-Za-z0-9_.-]*", re.IGNORECASE)
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Occasion:
    """event: None stands for a made-up one. test: a person only tries the trigger, which the envelope says."""

    kind: str
    event: Event | None = None
    test: bool = False

    @property
    def id(self) -> UUID:
        """That of the event; of a try a new one, since receivers know the event's by heart."""
        return new_id() if self.event is None or self.test else self.event.pk

    def payload(self) -> dict[str, Any]:
        said = sample(self.kind) if self.event is None else payload(self.event)
        return said | {"test": True} if self.test else said

    def context(self) -> dict[str, Any]:
        """What templates see, all of it plain data. Names that do not apply are null, or empty: none is missing."""
        said = self.payload()
        data = said["data"]
        return {
            "payload": said, **said, "test": self.test, "sequence": data["sequence"], "title": words_of(self.kind),
            "customer": data.get("customer"), "order": self._order(data), "package": data.get("package"),
            "shipment": data.get("shipment"), "problems": data.get("problems") or [], "reason": data.get("reason") or "",
            "request": data.get("request"), "url": self._url(),
        }  # fmt: skip

    def _order(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """As the API answers it, with what the payload says of it."""
        told = data.get("order")
        if told is None:
            return None
        order = self.event.order if self.event else None
        whole = order_of(order).json_data() if order else sample_order()
        lines = {item["id"]: item for item in told["items"]}
        return whole | told | {"items": [item | lines.get(item["id"], {}) for item in whole["items"]]}

    def _url(self) -> str:
        """The order's page, for the staff."""
        order = self.event.order if self.event else None
        return f"{settings.PUBLIC_URL}{order.get_absolute_url()}" if order else ""


def words_of(kind: str) -> str:
    """ "order.in_production" → "in production"; "package.status_updated" → "package status updated"."""
    return kind.removeprefix("order.").replace(".", " ").replace("_", " ")


def rendered(template: str, source: str, context: dict[str, Any]) -> str:
    """What one of a trigger's templates makes. Raises Rejected; the problem's details name the template and the line."""
    try:
        return render(source, context)
    except Rejected as refusal:
        problems = [replace(problem, details={"template": template, **problem.details}) for problem in refusal.problems]
        raise Rejected(problems, status=refusal.status) from None


# --- the standard payload ----------------------------------------------------------------------------
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
    data |= {name: event.data[name] for name in TELLS if name in event.data}
    if event.order and "shipment" not in data and (parcels := _parcels(event.order)):
        data["shipment"] = {"packages": parcels}
    return _envelope(event.kind, event.at.isoformat(), data)


def _envelope(kind: str, at: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "timestamp": at.replace("+00:00", "Z"), "data": data}


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


# --- written down ------------------------------------------------------------------------------------
def as_json(said: dict[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)


def as_xml(said: dict[str, Any]) -> str:
    """The payload as XML, root <event>: an element for each key, in order.

    A list is one element with a child for each entry, named in the singular (items → item), or <entry>. A key that is no
    XML name becomes <entry key="…">. Null and empty are empty elements; true and false are words. Characters that XML
    cannot hold are left out.
    """
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(_element("event", said)) + "\n"


def _element(name: str, value: Any, key: str = "") -> Iterator[str]:
    start = f"{name} key={quoteattr(_plain(key))}" if key else name
    if isinstance(value, dict | list) and value:
        yield f"<{start}>"
        if isinstance(value, dict):
            for each, inner in value.items():
                yield from _element(each, inner) if _NAME.fullmatch(each) else _element("entry", inner, each or " ")
        else:
            single = name[:-1] if len(name) > 1 and name.endswith("s") and not key else "entry"
            for inner in value:
                yield from _element(single, inner)
        yield f"</{name}>"
    elif value is None or value in ("", [], {}):
        yield f"<{start}/>"
    else:
        text = json.dumps(value) if isinstance(value, bool | int | float) else _plain(str(value))
        yield f"<{start}>{escape(text, {chr(13): '&#13;'})}</{name}>"


def _plain(text: str) -> str:
    return _NO_XML.sub("", text)


# --- made up -----------------------------------------------------------------------------------------
_ID = "01990000-0000-7000-8000-00000000000"
_ITEM = {"id": f"{_ID}4", "referenceId": "1", "quantity": 2}
_ADDRESS = dict.fromkeys(Address.FIELDS, "") | {
    "id": f"{_ID}7", "first_name": "Ana", "last_name": "Ruiz", "address_line1": "Karl Johans gate 4", "city": "Oslo",
    "post_code": "0154", "country": "NO", "email": "ana@example.com", "is_business": False,
}  # fmt: skip


def sample_order() -> dict[str, Any]:
    """The order of made-up events, as the API would answer it."""
    now = timezone.now()
    item = ItemAnswer(
        id=UUID(f"{_ID}4"), item_reference_id="1", product_uid="card-a6", product_name="Card A6", product_variant={},
        quantity=2, canceled_quantity=0, files=[], fulfillment_status="created", page_count=1, event_log=[], previews=[],
        retail_price_incl_vat="12.90", metadata={},
    )  # fmt: skip
    shipment = ShipmentAnswer(
        shipment_method_uid="normal", shipment_method_name="Letter post", package_count=0, packages=[]
    )
    said: dict[str, Any] = {
        "id": f"{_ID}3", "order_reference_id": "SAMPLE-1", "customer_reference_id": "sample", "order_type": "order",
        "fulfillment_status": "created", "financial_status": "not_invoiced", "channel": "api", "currency": "EUR",
        "country": "NO", "recipient_name": "Ana Ruiz", "item_count": 1, "held": False, "late": False, "created_at": now,
        "updated_at": now, "retail_currency": "EUR", "retail_shipping_price_incl_vat": None, "hold_reason": "",
        "ship_by": now.date().isoformat(), "problems": [], "actions": [], "metadata": {}, "items": [item],
        "shipping_address": AddressAnswer.model_validate(_ADDRESS), "shipment": shipment,
    }  # fmt: skip
    return OrderAnswer(**said).json_data()


def sample(kind: str) -> dict[str, Any]:
    """A made-up payload of this kind, in the shape of the real ones. Nothing of it exists."""
    data: dict[str, Any] = {"eventId": f"{_ID}1", "sequence": 1,
                            "customer": {"id": f"{_ID}2", "name": "Sample Shop", "referenceId": "sample"}}  # fmt: skip
    group, _, what = kind.partition(".")
    if group == "request":
        data["request"] = {"id": f"{_ID}6", "referenceId": "SAMPLE-1", "connector": "sample-shop"}
    else:
        data["order"] = {"id": f"{_ID}3", "referenceId": "SAMPLE-1", "metadata": {}, "items": [_ITEM],
                         "fulfillmentStatus": what if group == "order" else "shipped"}  # fmt: skip
    if group == "package":
        data["package"] = {"id": f"{_ID}5", "items": [{**_ITEM, "metadata": {}}], "status": "shipped", "weight": 120}
        data["shipment"] = {"fulfillmentLocation": {"country": settings.PRODUCER_COUNTRY, "stateProvince": ""},
                            "method": {"id": "normal", "name": "Letter post"},
                            "tracking": {"code": "SAMPLE123", "url": "https://track.example/SAMPLE123"}}  # fmt: skip
    if kind in ("order.failed", "request.rejected"):
        data["problems"] = [{"code": "ADDRESS_POSTCODE_FORMAT", "message": "123 is not a postcode of Norway.", "hint":
                             "Send four digits.", "path": "/shippingAddress/postCode", "severity": "error"}]  # fmt: skip
    if kind in ("order.canceled", "order.held"):
        data["reason"] = "This is a sample."
    return _envelope(kind, timezone.now().isoformat(), data)
