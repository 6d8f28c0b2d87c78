"""Shopify: order webhooks, a fulfilment service's notifications, and the privacy topics; fulfilments are told back."""

import json
import re
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from gelatoconnect.lib import signing
from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import (
    Call,
    Config,
    Incoming,
    Meaning,
    Message,
    Nothing,
    Outcome,
    Reply,
    Storefront,
    Submit,
    Talk,
    Told,
    refuse,
)
from intake.connectors.loose import document, get, text
from intake.connectors.schedule import Scheduled
from intake.connectors.shopify import admin as asking
from intake.connectors.shopify.orders import meaning_of, order_id, order_in, reading_of, why_not
from intake.connectors.shopify.topics import (
    CANCELLATION,
    DATA_REQUEST,
    NOTIFIED,
    READINGS,
    REDACT,
    REQUESTED,
    SHOP_REDACT,
    kind_of_notification,
)

ORDERS = ("orders/create", "orders/paid", "orders/updated", "orders/cancelled", "orders/fulfilled",
          "orders/partially_fulfilled")  # fmt: skip
FILES = "_print_url, print_url, _print_file, print_file, _front=front, _back=back"


class ShopifyConfig(Scheduled):
    shop: str = Field(min_length=1, title="Shop domain", description="acme.myshopify.com")
    secret: SecretStr = Field(min_length=1, title="API secret key", description="Of the app; it signs webhooks")
    former_secret: SecretStr = Field(SecretStr(""), title="Former API secret key",
                                       description="Good as well, while the secret is rotated")  # fmt: skip
    access_token: SecretStr = Field(SecretStr(""), title="Admin API access token",
                                    description="Needed for everything that is told to, or asked of, the shop")  # fmt: skip
    api_version: str = Field("2026-10", pattern=r"^(\d{4}-\d{2}|unstable)$", title="Admin API version")
    api_url: str = Field(
        "", title="Admin API address", description="Where it is not the shop's own: https://proxy.example"
    )
    location_id: str = Field("", pattern=r"^\d*$", title="Location id",
                             description="Ours in the shop, when we are its fulfilment service; empty: all")  # fmt: skip
    fulfillment_service: str = Field(
        "", title="Fulfilment service", description="Only lines of this handle; empty: all"
    )
    print_when: Literal["paid", "at once"] = Field("paid", title="Orders are made")
    file_properties: str = Field(FILES, title="Properties with print files", description="name, or name=type",
                                 json_schema_extra={"lines": 2})  # fmt: skip
    metafield: str = Field("", title="Metafield with the print file",
                           description="namespace.key, of the variant or the product")  # fmt: skip
    shipment_methods: str = Field("", title="Shipment methods", description="Standard=normal, Express=express, *=normal",
                                  json_schema_extra={"lines": 3})  # fmt: skip
    notify_buyer: bool = Field(True, title="Shopify tells the buyer when it is shipped")

    @field_validator("shop")
    @classmethod
    def _domain(cls, value: str) -> str:
        value = value.strip().lower().removeprefix("https://").removeprefix("http://").strip("/")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", value):
            raise ValueError("Write it as acme.myshopify.com.")
        return value if "." in value else f"{value}.myshopify.com"

    @field_validator("api_url")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
            raise ValueError("Write it as https://proxy.example.")
        return value

    @field_validator("metafield")
    @classmethod
    def _named(cls, value: str) -> str:
        value = value.strip()
        if value and not re.fullmatch(r"[^\s.]+(\.[^\s.]+)+", value):
            raise ValueError("Write it as namespace.key.")
        return value

    @property
    def admin(self) -> asking.Admin:
        base = self.api_url or f"https://{self.shop}"
        return asking.Admin(
            f"{base}/admin/api/{self.api_version}", self.access_token.get_secret_value(), self.location_id
        )


class Shopify(Storefront):
    name = "shopify"
    label = "Shopify"
    about = "A Shopify shop sends its orders by webhook, and is told of parcels."
    Config: ClassVar[type[Config]] = ShopifyConfig
    max_bytes = 4 * 1024 * 1024
    pulls = True
    tells = ("order.shipped", "order.canceled", "order.cancel_refused", "order.cancel_repeated")

    # --- a call ---
    def verify(self, call: Call, config: ShopifyConfig) -> None:
        signature = call.headers.get("x-shopify-hmac-sha256", "")
        if not signature:
            refuse("SIGNATURE_MISSING", "The call is not signed.", hint="Shopify sends X-Shopify-Hmac-Sha256.")
        secrets = [config.secret.get_secret_value(), config.former_secret.get_secret_value()]
        if not signing.fits(signature, call.body, secrets=secrets):
            refuse("SIGNATURE_INVALID", "The signature is not that of this body.",
                   hint="Check the app's API secret key in the connector's settings.")  # fmt: skip
        sender = call.headers.get("x-shopify-shop-domain", "").strip().lower()
        if sender and sender != config.shop:
            refuse("SHOP_UNKNOWN", f"The call comes from {sender[:100]}, which is not the shop of this connector.",
                   hint=f"Use the address of that shop's connector; this one is for {config.shop}.")  # fmt: skip

    def incoming(self, call: Call, config: ShopifyConfig) -> Incoming:
        topic = call.headers.get("x-shopify-topic", "").strip().lower()
        if call.path.rpartition("/")[2] == NOTIFIED:
            topic = NOTIFIED
        topic = topic or (call.path.lower() if "/" in call.path else "")
        id = call.headers.get("x-shopify-webhook-id") or call.headers.get("x-shopify-event-id") or ""
        return Incoming(call.body, call.headers, call.content_type or "application/json", topic,
                        f"{topic}:{id}"[:200] if id else "", source_id=_about(call.body, topic, config))  # fmt: skip

    def reply(self, outcome: Outcome) -> Reply:
        if outcome.order is None and outcome.replayed:  # what a request for data was answered is for the merchant alone
            return Reply(outcome.status, '{"received": true}', self.answers_in)
        return super().reply(outcome)

    def example(self, config: ShopifyConfig, *, number: int, sku: str, file_url: str) -> Call:
        order = {
            "id": 7_000_000_000_000 + number, "name": f"#{1000 + number}", "order_number": 1000 + number, "currency": "EUR",
            "financial_status": "paid", "fulfillment_status": None, "email": "lena@example.com", "test": False,
            "line_items": [{"id": 88_000_000_000 + number, "sku": sku, "title": "Card", "quantity": 2, "price": "12.90",
                            "requires_shipping": True, "properties": [{"name": "_print_url", "value": file_url}]}],
            "shipping_lines": [{"code": "Standard", "title": "Standard", "price": "4.90"}],
            "shipping_address": {"first_name": "Lena", "last_name": "Koch", "address1": "Weg 3", "city": "Bonn",
                                 "zip": "53111", "country_code": "DE"},
        }  # fmt: skip
        body = json.dumps(order, separators=(",", ":")).encode()
        signature = signing.in_base64(body, secret=config.secret.get_secret_value())
        headers = {"content-type": "application/json", "x-shopify-topic": "orders/paid", "x-shopify-hmac-sha256": signature,
                   "x-shopify-shop-domain": config.shop, "x-shopify-webhook-id": f"example-{number}"}  # fmt: skip
        return Call("POST", headers=headers, body=body)

    # --- a request ---
    def later(self, incoming: Incoming, config: ShopifyConfig) -> bool:
        if incoming.topic in (NOTIFIED, REQUESTED, CANCELLATION, DATA_REQUEST, REDACT, SHOP_REDACT):
            return True
        return bool(config.metafield) and self._lacks_files(incoming, config)

    def _lacks_files(self, incoming: Incoming, config: ShopifyConfig) -> bool:
        try:
            meaning = self.parse(Message(incoming.body, incoming.topic, config=config))
        except Rejected:
            return False
        return isinstance(meaning, Submit) and any(not item.files for item in meaning.draft.items)

    def resolve(self, message: Message, memory: dict[str, Any]) -> Talk[bytes | None]:
        config: ShopifyConfig = message.config
        if message.topic == NOTIFIED:
            found = yield from asking.asked_of_us(config.admin, kind_of_notification(message.body))
            said = [{"topic": each.topic, "key": each.key, "body": each.body.decode()} for each in found]
            return json.dumps({"found": said}).encode()
        if message.topic == REQUESTED:
            yield from self._answer_request(message)
        elif message.topic in ("", *ORDERS) and config.metafield:
            body = yield from asking.with_files(
                config.admin, message.body, metafield=config.metafield, reading=reading_of(config)
            )
            return body
        return None

    def _answer_request(self, message: Message) -> Talk[None]:
        """The work is taken, unless nothing of it is for us: what is wrong with it is mended here."""
        try:
            meaning = self.parse(message)
        except Rejected:
            meaning = None
        work = text(get(get(document(message.body, marks=("fulfillment_order",)), "fulfillment_order"), "id"))
        if isinstance(meaning, Nothing):
            yield from asking.reject_request(message.config.admin, work, why=meaning.why)
        else:
            yield from asking.accept_request(message.config.admin, work)

    def parse(self, message: Message) -> Meaning:
        reading = READINGS.get(message.topic)
        if reading is not None:
            return reading(message)
        if message.topic not in ("", *ORDERS):
            return Nothing(f"The topic {message.topic[:60]} means nothing here.")
        return meaning_of(message.body, topic=message.topic, reading=reading_of(message.config))

    # --- the other direction ---
    def postback(self, told: Told, config: ShopifyConfig, memory: dict[str, Any]) -> Talk[None]:
        order = text(told.order.source.get("order")) or told.order.source_id or ""
        if not order:
            return
        if told.kind == "order.shipped":
            yield from asking.ship(config.admin, told, order, notify=config.notify_buyer)
        elif config.admin.token:  # without it nobody has asked us through the API
            canceled = told.kind != "order.cancel_refused"
            yield from asking.answer_cancellation(config.admin, order, canceled=canceled, reason=told.reason)

    def pull(self, since: datetime, config: ShopifyConfig, memory: dict[str, Any]) -> Talk[list[Incoming]]:
        found = yield from asking.orders_since(config.admin, since)
        orders = [Incoming(json.dumps(each, ensure_ascii=False).encode(), topic="orders/paid", source_id=order_id(each),
                           recovered=True) for each in found]  # fmt: skip
        wanted = [each for each in orders if self._is_wanted(each, config)]
        if config.location_id:
            for kind in ("FULFILLMENT_REQUEST", "CANCELLATION_REQUEST"):
                wanted += yield from asking.asked_of_us(config.admin, kind)
        return wanted

    def _is_wanted(self, incoming: Incoming, config: ShopifyConfig) -> bool:
        """Whether something would be made of it, or said against it."""
        try:
            meaning = self.parse(Message(incoming.body, incoming.topic, config=config))
        except Rejected:
            return bool(incoming.source_id)
        return isinstance(meaning, Submit)


def _about(body: bytes, topic: str, config: ShopifyConfig) -> str:
    """The id of the order, so that a refused one is found by it too; none while it waits: it is still to be compared."""
    if topic not in ("", *ORDERS):
        return ""
    try:
        order = order_in(body)
    except Rejected:
        return ""
    waits = why_not(order, topic=topic, reading=reading_of(config)) and not get(order, "cancelled_at")
    return "" if waits and topic != "orders/cancelled" else order_id(order)
