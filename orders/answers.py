"""What the API answers: the same types make the JSON and the OpenAPI schema."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import prefetch_related_objects
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orders import panels
from orders.deadlines import is_late
from orders.lifecycle import available
from orders.models import Address, Event, Item, Order, PrintFile, Product, ShipmentMethod
from orders.services import major_units


class Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)

    def json_data(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True, mode="json")


class SubmitAnswer(Answer):
    id: UUID
    order_reference_id: str
    created_at: datetime


class ProblemAnswer(Answer):
    code: str
    message: str
    path: str = ""
    severity: str = "error"
    hint: str = ""
    details: dict[str, Any] = {}


class ErrorAnswer(Answer):
    """RFC 9457 application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    errors: list[ProblemAnswer]


class AddressAnswer(Answer):
    id: UUID
    first_name: str
    last_name: str
    company_name: str
    address_line1: str
    address_line2: str
    city: str
    post_code: str
    state: str
    country: str
    email: str
    phone: str
    is_business: bool
    federal_tax_id: str
    state_tax_id: str
    registration_state: str


class PreviewAnswer(Answer):
    type: str
    url: str


class FileAnswer(Answer):
    id: UUID
    type: str
    url: str
    mime_type: str


class ItemEventAnswer(Answer):
    status: str
    created_at: datetime


class ItemAnswer(Answer):
    id: UUID
    item_reference_id: str
    product_uid: str
    product_name: str
    product_variant: dict[str, Any]
    quantity: int
    canceled_quantity: int
    files: list[FileAnswer]
    fulfillment_status: str
    page_count: int | None
    print_jobs: list[dict[str, Any]] = []
    event_log: list[ItemEventAnswer]
    previews: list[PreviewAnswer]
    retail_price_incl_vat: str | None
    metadata: dict[str, Any]


class PackageAnswer(Answer):
    id: UUID
    tracking_code: str
    tracking_url: str
    status: str
    weight: int


class ShipmentAnswer(Answer):
    shipment_method_uid: str
    shipment_method_name: str
    package_count: int
    initial_min_delivery_date: str | None = None
    initial_max_delivery_date: str | None = None
    packages: list[PackageAnswer]


class SummaryAnswer(Answer):
    """One row of a search."""

    id: UUID
    order_reference_id: str
    customer_reference_id: str
    order_type: str
    fulfillment_status: str
    financial_status: str
    channel: str
    currency: str
    country: str
    recipient_name: str
    item_count: int
    held: bool
    ship_by: str | None
    late: bool
    created_at: datetime
    updated_at: datetime


class SearchAnswer(Answer):
    orders: list[SummaryAnswer]
    next_cursor: str | None


class OrderAnswer(SummaryAnswer):
    retail_currency: str
    retail_shipping_price_incl_vat: str | None
    hold_reason: str
    shipping_address: AddressAnswer
    items: list[ItemAnswer]
    shipment: ShipmentAnswer
    problems: list[ProblemAnswer]
    actions: list[str]
    metadata: dict[str, Any]


class HistoryEntry(Answer):
    sequence: int
    event: str
    by: str
    at: datetime
    from_: str = Field(alias="from")
    to: str
    reason: str
    data: dict[str, Any]


class HistoryAnswer(Answer):
    history: list[HistoryEntry]


class ProductAnswer(Answer):
    """Trim and bleed in mm; pages per file."""

    product_uid: str
    name: str
    available: bool
    trim: dict[str, float]
    bleed: float
    pages: dict[str, int]
    formats: list[str]


class ProductsAnswer(Answer):
    products: list[ProductAnswer]


def summary_of(order: Order) -> dict[str, Any]:
    return {
        "id": order.pk, "order_reference_id": order.reference, "customer_reference_id": order.customer.reference,
        "order_type": order.order_type, "fulfillment_status": order.status, "financial_status": order.financial_status,
        "channel": order.channel, "currency": order.currency, "country": order.country, "item_count": order.item_count,
        "recipient_name": order.address.name, "held": order.held, "created_at": order.created_at,
        "updated_at": order.status_since, "ship_by": order.ship_by.isoformat() if order.ship_by else None,
        "late": is_late(order),
    }  # fmt: skip


def order_of(order: Order) -> OrderAnswer:
    prefetch_related_objects([order], "items__product", "items__files", "events")
    items = list(order.items.all())
    currency = order.retail_currency or order.currency
    log = [ItemEventAnswer(status=event.target, created_at=event.at) for event in order.events.all() if event.target]
    return OrderAnswer(
        **summary_of(order), retail_currency=order.retail_currency, hold_reason=order.hold_reason,
        retail_shipping_price_incl_vat=_amount(order.retail_shipping_price, currency),
        shipping_address=_address(order.address), items=[_item(item, log, currency) for item in items],
        shipment=_shipment(order), problems=[ProblemAnswer(**problem) for problem in order.problems],
        actions=actions_of(order), metadata=order.metadata,
    )  # fmt: skip


def actions_of(order: Order) -> list[str]:
    """What the customer's own system may do with the order now."""
    verbs = available(order, api=True)
    return [*verbs, "updateShipment"] if "cancel" in verbs else verbs


def history_of(order: Order) -> HistoryAnswer:
    """Everything that happened, but for the notes that staff leave each other."""
    return HistoryAnswer(
        history=[_entry(event) for event in order.events.exclude(kind="order.noted").order_by("sequence")]
    )


def product_of(product: Product) -> ProductAnswer:
    return ProductAnswer(
        product_uid=product.uid, name=product.name, available=product.available, bleed=product.bleed,
        trim={"width": product.trim_width, "height": product.trim_height}, formats=product.formats,
        pages={"min": product.pages_min, "max": product.pages_max, "multiple": product.pages_multiple},
    )  # fmt: skip


def _address(address: Address) -> AddressAnswer:
    return AddressAnswer.model_validate(address)


def _item(item: Item, log: list[ItemEventAnswer], currency: str) -> ItemAnswer:
    files = list(item.files.all())
    return ItemAnswer(
        id=item.pk, item_reference_id=item.reference, product_uid=item.product_uid, product_name=item.name,
        product_variant=item.variant, quantity=item.quantity, canceled_quantity=item.canceled,
        files=[FileAnswer(id=file.pk, type=file.type, url=file.url, mime_type=file.mime_type) for file in files],
        fulfillment_status=item.status, page_count=item.page_count, event_log=log,
        previews=[preview for file in files for preview in _previews(item.order, file)],
        retail_price_incl_vat=_amount(item.retail_price, currency), metadata=item.metadata,
    )  # fmt: skip


def _previews(order: Order, file: PrintFile) -> list[PreviewAnswer]:
    base = f"/api/orders/{order.pk}/files/{file.pk}/previews"
    return [PreviewAnswer(type=file.type, url=f"{base}/{seen['page']}") for seen in file.previews]


def _shipment(order: Order) -> ShipmentAnswer:
    uids = [word.strip() for word in order.shipment_method.split(",") if word.strip()]
    method = ShipmentMethod.objects.filter(uid__in=uids[:1]).first() if uids else None
    found = [PackageAnswer(**package) for answer in panels.PACKAGES for package in answer(order)]
    return ShipmentAnswer(shipment_method_uid=order.shipment_method, shipment_method_name=method.name if method else "",
                          package_count=len(found), packages=found)  # fmt: skip


def _entry(event: Event) -> HistoryEntry:
    data = {key: value for key, value in event.data.items() if key not in ("reason", "verb")}
    return HistoryEntry(sequence=event.sequence, event=event.kind, by=event.by, at=event.at, **{"from": event.source},
                        to=event.target, reason=event.data.get("reason", ""), data=data)  # fmt: skip


def _amount(minor: int | None, currency: str) -> str | None:
    """1290 EUR → "12.90"."""
    return None if minor is None else str(major_units(minor, currency))
