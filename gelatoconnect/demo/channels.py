"""One connector of each type that is called, with an order of its own; and everybody else who takes part in that."""

import json
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings

from gelatoconnect.demo.stage import Answers
from intake.connectors import CONNECTOR_TYPES, config_of
from intake.connectors.base import ConnectorType
from intake.connectors.etsy import example_receipt
from intake.doors import desk_of
from intake.models import Connector, Mapping
from orders.models import Customer, Order

NOWHERE = "https://shop.example"  # a name that nobody has (RFC 2606)
SECRET = "demo-secret"  # noqa: S105  # public knowledge, like the demo's logins
STANDARD_SECRET = "whsec_ZGVtby1zZWNyZXQtb2YtdHdlbnR5LWZvdXItYnl0ZXM="  # noqa: S105
# Type → settings; {base} is the other side's address. Nobody is asked by the clock: the demo's shops are not there.
SETTINGS: dict[str, dict[str, Any]] = {
    "shopify": {"shop": "acme-demo.myshopify.com", "secret": SECRET, "access_token": SECRET, "api_url": "{base}",
                "shipment_methods": "Standard=standard", "interval": 0},
    "woocommerce": {"url": "{base}", "secret": SECRET, "consumer_key": "ck_demo", "consumer_secret": SECRET,
                    "shipment_methods": "flat_rate=standard", "interval": 0},
    "etsy": {"shop_id": "1111", "secret": STANDARD_SECRET, "keystring": SECRET, "refresh_token": SECRET, "api": "{base}",
             "interval": 0},
    "siteflow": {"token": "demo", "secret": SECRET, "currency": "EUR", "carriers": "standard=standard",
                 "postback_url": "{base}/siteflow"},
    "cloudprinter": {"key": SECRET, "signal_key": SECRET, "signal_url": "{base}/cloudsignal",
                     "shipment_methods": "dhl_parcel=standard"},
    "mapped": {"auth": "header", "header": "Authorization", "secret": SECRET, "postback_url": "{base}/mapped"},
    "redbubble": {"secret": SECRET, "postback_url": "{base}/redbubble"},
}  # fmt: skip


# An order as it lies in a folder, beside card.pdf.
FILE: dict[str, Any] = {
    "orderReferenceId": "FOLDER-1", "currency": "EUR", "shipmentMethodUid": "standard",
    "shippingAddress": {"firstName": "Ingrid", "lastName": "Berg", "addressLine1": "Strandgaten 12", "city": "Bergen",
                        "postCode": "5013", "country": "NO", "email": "ingrid@example.com"},
    "items": [{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 3, "files": [{"url": "card.pdf"}]}],
}  # fmt: skip


def settings_of(name: str, *, base: str) -> str:
    """The settings of a type, as a connector keeps them."""
    return json.dumps(SETTINGS[name]).replace("{base}", base)


def open_channel(name: str, *, customer: Customer, base: str = NOWHERE) -> Connector:
    """A connector of that type, with the mapping that its type begins with."""
    connector = Connector.objects.create(
        name=f"{customer.reference}-{name}", type=name, customer=customer, settings=settings_of(name, base=base)
    )
    if starter := getattr(CONNECTOR_TYPES[name], "starter", None):
        Mapping.objects.create(
            connector=connector, version=1, submit=starter.submit, cancel=starter.cancel, answer=starter.answer,
            answer_type=starter.answer_type, lookups=starter.lookups, sample=starter.sample, by="system",
        )  # fmt: skip
    return connector


def open_folder(*, customer: Customer, order: dict[str, Any], print_file: bytes) -> Connector:
    """A connector that looks into a folder of this machine, in which an order and its print file lie."""
    inbox = settings.FOLDERS_ROOT / customer.reference / "in"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "card.pdf").write_bytes(print_file)
    (inbox / "order.json").write_text(json.dumps(order))
    config = {"path": customer.reference, "ready": "rename", "interval": 0.5, "status_files": True}
    name = f"{customer.reference}-folder"
    return Connector.objects.create(name=name, type="folder", customer=customer, settings=json.dumps(config))


def table_of(*, file_url: str) -> bytes:
    """A CSV file of three orders; the quantity of the last one is a word."""
    head = "orderReferenceId;productUid;quantity;fileUrl;firstName;lastName;addressLine1;postCode;city;country"
    head += ";currency;retailPriceInclVat"
    to = "Lena;Koch;Am Weg 3;53111;Bonn;DE;EUR;4,90"
    rows = [f"SPRING-{number};card-a6;{count};{file_url};{to}" for number, count in enumerate(("10", "25", "a few"), 1)]
    return "\n".join([head, *rows]).encode()


def leave(connector: Connector) -> None:
    """The other side was there only for the demo."""
    connector.settings = settings_of(connector.type, base=NOWHERE)
    connector.save(update_fields=["settings"])


def call(connector: Connector, *, number: int, sku: str, file_url: str) -> Order | None:
    """One call as the sender makes it, verified and served as at the connector's address; the order, if there is one yet."""
    kind: ConnectorType = CONNECTOR_TYPES[connector.type]
    config = config_of(connector)
    said = kind.example(config, number=number, sku=sku, file_url=file_url)
    kind.verify(said, config)
    kind.serve(said, desk_of(connector, config))
    return Order.objects.filter(connector=connector.pk).order_by("-id").first()


def elsewhere(*, sku: str, file_url: Callable[[], str]) -> Answers:
    """What the shops answer when they are asked: an order's work, its notes, a receipt, a token. Everything else is well."""

    def answers(method: str, path: str, body: bytes) -> tuple[int, Any] | None:
        path = path.partition("?")[0]
        if found := re.search(r"/orders/(\d+)/fulfillment_orders\.json$", path):
            return 200, {"fulfillment_orders": [_work(int(found[1]))]}
        if path.endswith("/fulfillments.json"):
            return (200, {"fulfillments": []}) if method == "GET" else (201, {"fulfillment": {"id": 1}})
        if re.search(r"/wc/v3/orders/\d+/", path):
            return (200, []) if method == "GET" else (201, {})
        if found := re.search(r"/wc/v3/orders/(\d+)$", path):
            return 200, {"id": int(found[1]), "status": "processing", "meta_data": []}
        if path.endswith("/oauth/token"):
            return 200, {"access_token": "demo", "refresh_token": SECRET, "expires_in": 3600}
        if found := re.search(r"/receipts/(\d+)$", path):
            return 200, example_receipt(number=int(found[1]), sku=sku, file_url=file_url())
        return None

    return answers


def _work(order: int) -> dict[str, Any]:
    """A fulfilment order of Shopify for what `Shopify.example` orders."""
    line = {
        "id": 1,
        "line_item_id": order - 7_000_000_000_000 + 88_000_000_000,
        "quantity": 2,
        "fulfillable_quantity": 2,
    }
    return {"id": 99, "order_id": order, "status": "open", "request_status": "unsubmitted", "line_items": [line]}
