"""WooCommerce: webhooks for orders in, statuses, notes and tracking back."""

import hashlib
import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from gelatoconnect.lib import signing
from intake.connectors.base import (
    Call,
    Cancel,
    Desk,
    Incoming,
    Meaning,
    Message,
    Nothing,
    Reply,
    Storefront,
    Talk,
    Told,
    refuse,
)
from intake.connectors.loose import document, get, line, text
from intake.connectors.woocommerce.orders import submit_of
from intake.connectors.woocommerce.shop import ENDED, ShopAccess, orders_since, tell
from orders.drafts import pointer

PING = re.compile(rb"webhook_id=\d{1,20}")
PRINT_FILES = "_print_url, print_url, Print file, _front=front, _back=back, _inside=inside, _cover=cover"


class WooConfig(ShopAccess):
    secret: SecretStr = Field(min_length=1, title="Webhook secret", description="As typed in the shop at the webhook")
    former_secret: SecretStr = Field(
        SecretStr(""), title="Former secret", description="Accepted too, while it is changed"
    )
    print_files: str = Field(
        PRINT_FILES, title="Meta with print files", json_schema_extra={"lines": 3},
        description="Names of a line's meta that hold addresses of print files, each with the part it prints",
    )  # fmt: skip
    shipment_methods: str = Field(
        "", title="Shipment methods",
        description="The shop's = ours: flat_rate=normal, Express parcel=express; * stands for any",
    )  # fmt: skip


class WooCommerce(Storefront):
    name = "woocommerce"
    label = "WooCommerce"
    about = "A shop's webhooks for orders; it is told what was shipped, and asked what got lost."
    Config = WooConfig
    tells = ("order.shipped", "order.canceled", "order.failed", "order.cancel_refused")
    pulls = True

    def verify(self, call: Call, config: WooConfig) -> None:
        if is_ping(call):
            return
        secrets = [config.secret.get_secret_value(), config.former_secret.get_secret_value()]
        signature = call.headers.get("x-wc-webhook-signature", "")
        if not signature:
            refuse("SIGNATURE_MISSING", "The call is not signed.", hint="Type a secret at the webhook in the shop.")
        if not signing.fits(signature, call.body, secrets=secrets):
            hint = "Type the same secret in the shop and in the connector's settings."
            refuse("SIGNATURE_INVALID", "The signature is not that of this body.", hint=hint)
        source = call.headers.get("x-wc-webhook-source", "")
        if source and config.url and _shop(source) != _shop(config.url):
            refuse("SOURCE_FOREIGN", f"The call comes from {source[:120]!r}, which is not this connector's shop.",
                   hint="Give each shop a connector of its own, or mend the shop's address in the settings.")  # fmt: skip

    def serve(self, call: Call, desk: Desk) -> Reply:
        """The ping of a new webhook is unsigned, so nothing is stored of it; the shop insists on 200."""
        return Reply(200, '{"received": true}') if is_ping(call) else super().serve(call, desk)

    def incoming(self, call: Call, config: WooConfig) -> Incoming:
        """The same state of an order comes several times, as created and as updated: its bytes are its key, which hold
        its id and when it was modified. A deletion says no more than the id: each delivery of it counts."""
        topic = call.headers.get("x-wc-webhook-topic", "")
        once = call.headers.get("x-wc-webhook-delivery-id", "") if topic == "order.deleted" else ""
        key = hashlib.sha256(b"\0".join([topic.encode() if once else b"", once.encode(), call.body])).hexdigest()
        return Incoming(call.body, call.headers, call.content_type or "application/json", topic=topic, key=key)

    def parse(self, message: Message) -> Meaning:
        if message.topic and not message.topic.startswith("order"):
            return Nothing(f"{message.topic} is not about an order.")
        order, config = document(message.body, marks=("line_items", "status", "id")), message.config
        id, number = text(get(order, "id")), line(get(order, "number"), most=120)
        if not id or len(id) > 100:
            refuse("FIELD_MISSING", "The order has no id.", hint="Send the order as the REST API shows it.", status=422,
                   path=pointer("id"))  # fmt: skip
        if message.topic == "order.deleted":
            # Out of the trash it comes back as it was: what is canceled here is not canceled for good in the shop.
            return Cancel(source_id=id, reason="It was deleted in the shop.", may_return=True)
        status = text(get(order, "status")).lower().removeprefix("wc-")
        if not status:
            refuse("FIELD_MISSING", "The order has no status.", hint="Send the order as the REST API shows it.", status=422,
                   path=pointer("status"))  # fmt: skip
        if status in ENDED:
            return Cancel(source_id=id, reason=f"It is {status} in the shop.", may_return=True)
        if status not in ("processing", "on-hold") or (status == "on-hold" and not config.on_hold):
            # Without its id: as long as it is not to be produced, the order has not arrived.
            return Nothing(f"It is {status} in the shop: only paid orders are produced.", reference=number or id)
        submit = submit_of(order, id=id, print_files=config.print_files, shipment_methods=config.shipment_methods)
        return submit or Nothing("None of its lines is something to print.", "ORDER_NOTHING_TO_PRINT", id, number or id)

    def postback(self, told: Told, config: WooConfig, memory: dict[str, Any]) -> Talk[None]:
        yield from tell(told, config)

    def pull(self, since: datetime, config: WooConfig, memory: dict[str, Any]) -> Talk[list[Incoming]]:
        return (yield from orders_since(since, config))

    def example(self, config: WooConfig, *, number: int, sku: str, file_url: str) -> Call:
        body = json.dumps(example_order(number=number, sku=sku, file_url=file_url)).encode()
        secret = config.secret.get_secret_value()
        headers = {
            "content-type": "application/json",
            "x-wc-webhook-topic": "order.created",
            "x-wc-webhook-source": f"{config.url or 'https://shop.example'}/",
            "x-wc-webhook-delivery-id": str(number),
            "x-wc-webhook-signature": signing.in_base64(body, secret=secret),
        }
        return Call(headers=headers, body=body)


def is_ping(call: Call) -> bool:
    """What a shop sends when a webhook is made, to see that somebody is there: unsigned, and nothing but its id."""
    return "x-wc-webhook-topic" not in call.headers and bool(PING.fullmatch(call.body.strip()))


def _shop(url: str) -> str:
    """Host and path, the same with and without www, https and a slash at the end."""
    try:
        parts = urlsplit(url.strip().lower())
    except ValueError:
        return url
    return (parts.netloc.removeprefix("www.") + parts.path).rstrip("/")


def example_order(*, number: int, sku: str, file_url: str) -> dict[str, Any]:
    """An order as the REST API shows it: one line of two pieces."""
    return {
        "id": number, "parent_id": 0, "number": str(number), "status": "processing", "currency": "EUR",
        "date_created_gmt": "2026-01-15T09:30:00", "date_modified_gmt": "2026-01-15T09:30:04",
        "shipping_total": "4.90", "shipping_tax": "0.00", "total": "30.70", "customer_note": "",
        "billing": {"first_name": "Lena", "last_name": "Koch", "address_1": "Weg 3", "city": "Bonn", "postcode": "53111",
                    "country": "DE", "email": "lena@example.com", "phone": "+49 228 123456"},
        "shipping": {"first_name": "", "last_name": "", "company": "", "address_1": "", "address_2": "", "city": "",
                     "state": "", "postcode": "", "country": ""},
        "shipping_lines": [{"id": 7, "method_id": "flat_rate", "method_title": "Parcel", "total": "4.90"}],
        "line_items": [{"id": 31, "name": "Photo card", "product_id": 93, "variation_id": 0, "quantity": 2, "sku": sku,
                        "price": 12.9, "total": "25.80", "total_tax": "0.00",
                        "meta_data": [{"id": 301, "key": "_print_url", "value": file_url}]}],
        "meta_data": [],
    }  # fmt: skip
