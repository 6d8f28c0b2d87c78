"""Etsy: its webhook says only that a receipt was paid, which is then fetched; tracking codes are told back."""

import json
import re
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import Field, SecretStr, field_validator

from gelatoconnect.lib import signing
from gelatoconnect.lib.http import Answer
from gelatoconnect.lib.problems import Rejected
from intake.connectors.addresses import base_address
from intake.connectors.base import (
    Ask,
    Call,
    Incoming,
    Meaning,
    Message,
    Nothing,
    Storefront,
    Talk,
    Told,
    json_of,
    refuse,
)
from intake.connectors.etsy.receipts import ended, meaning_of, receipt_id
from intake.connectors.loose import document, get, pairs, plainly, rows, text, yes
from intake.connectors.oauth import Grant, authorized
from intake.connectors.schedule import Scheduled
from orders.events import TryLater

API = "https://openapi.etsy.com"
HOSTS = frozenset({"openapi.etsy.com", "api.etsy.com"})  # two names of the same API
FOUND = "receipt"  # the topic of what is a receipt already, because it was found when the shop was asked
PER_PAGE = 100
MAX_PAGE = 64 * 1024 * 1024  # bytes of a page of receipts
_RECEIPT = re.compile(r"(?:/v3)?/application/(?:shops/(\d{1,20})/)?receipts/(\d{1,20})/?")


class EtsyConfig(Scheduled):
    shop_id: str = Field(pattern=r"^\s*\d{1,20}\s*$", title="Shop id", description="A number, as Etsy's API shows it")
    secret: SecretStr = Field(
        SecretStr(""), title="Webhook secret",
        description="whsec_…, as Etsy's portal shows it; empty: webhooks are refused, and the shop is only asked",
    )  # fmt: skip
    former_secret: SecretStr = Field(
        SecretStr(""), title="Former webhook secret", description="Accepted too, while it is changed"
    )
    keystring: SecretStr = Field(min_length=1, title="Keystring", description="Of the app at Etsy")
    shared_secret: SecretStr = Field(
        SecretStr(""), title="Shared secret", description="Of the app; Etsy refuses calls without it since 2026"
    )
    refresh_token: SecretStr = Field(
        min_length=1, title="Refresh token",
        description="Of the shop's authorization, with the scopes transactions_r and transactions_w",
    )  # fmt: skip
    carriers: str = Field(
        "",
        title="Carriers",
        description="Ours = Etsy's: Royal Mail=royal-mail, *=dhl; * stands for any. Others are other",
    )
    note_to_buyer: str = Field("", max_length=500, title="Note to the buyer", description="Goes with the tracking code")
    send_bcc: bool = Field(False, title="Copy to the seller", description="Of the mail that tells the buyer")
    shipment_methods: str = Field(
        "",
        title="Shipment methods",
        description="The buyer's choice = ours: Express=express, *=normal; * stands for any",
    )
    api: str = Field(API, title="Address of the API")

    @field_validator("api")
    @classmethod
    def _api(cls, value: str) -> str:
        return base_address(value, like=API)

    @field_validator("secret", "former_secret")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            signing.key_of(value.get_secret_value())
        return value

    @property
    def secrets(self) -> list[str]:
        return [self.secret.get_secret_value(), self.former_secret.get_secret_value()]

    @property
    def receipts(self) -> str:
        return f"{self.api}/v3/application/shops/{self.shop_id.strip()}/receipts"

    @property
    def grant(self) -> Grant:
        keystring, refresh = self.keystring.get_secret_value(), self.refresh_token.get_secret_value()
        return Grant(f"{self.api}/v3/public/oauth/token", keystring, refresh)

    def ask(self, memory: dict[str, Any], method: str, url: str, form: dict[str, str] | None = None,
            **more: Any) -> Talk[Answer]:  # fmt: skip
        """The answer to a request in the shop's name."""
        shared = self.shared_secret.get_secret_value()
        key = self.keystring.get_secret_value() + (f":{shared}" if shared else "")
        body = urlencode(form or {}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}

        def asked(token: str) -> Ask:
            headers = {"Accept": "application/json", "x-api-key": key, "Authorization": f"Bearer {token}"}
            return Ask(method, url, headers | kind, body, **more)

        return (yield from authorized(asked, self.grant, memory))


class Etsy(Storefront):
    name = "etsy"
    label = "Etsy"
    about = "An Etsy shop: its paid receipts come by webhook or by asking; tracking codes go back."
    Config = EtsyConfig
    tells = ("order.shipped",)
    pulls = True

    def verify(self, call: Call, config: EtsyConfig) -> None:
        signing.verify(call.headers, call.body, secrets=config.secrets, now=time.time())

    def incoming(self, call: Call, config: EtsyConfig) -> Incoming:
        id = call.headers.get("webhook-id") or call.headers.get("svix-id", "")
        kind = call.content_type or "application/json"
        return Incoming(call.body, call.headers, kind, topic=_event_of(call.body), key=id[:200])

    def later(self, incoming: Incoming, config: EtsyConfig) -> bool:
        return incoming.topic != FOUND

    def resolve(self, message: Message, memory: dict[str, Any]) -> Talk[bytes | None]:
        said = document(message.body, marks=("resource_url", "event_type", "receipt_id"))
        if not _is_thin(said) or not _concerns_orders(message.topic):
            return None
        id = _named_in(said, message.config)
        answer = yield from message.config.ask(memory, "GET", f"{message.config.receipts}/{id}")
        _receipt_in(answer, id)
        return answer.body

    def parse(self, message: Message) -> Meaning:
        said = document(message.body, marks=("receipt_id", "transactions", "resource_url", "event_type"))
        if _is_thin(said) and not _concerns_orders(message.topic):
            return Nothing(f"{message.topic or 'It'} is not about an order.")
        return meaning_of(said, shipment_methods=message.config.shipment_methods)

    def postback(self, told: Told, config: EtsyConfig, memory: dict[str, Any]) -> Talk[None]:
        """A tracking code for each parcel that Etsy does not know yet; without any, only that it is shipped."""
        if not told.order.source_id:
            return
        url = f"{config.receipts}/{quote(told.order.source_id, safe='')}"
        answer = yield from config.ask(memory, "GET", url)
        receipt = _receipt_in(answer, told.order.source_id)
        known = {text(get(each, "tracking_code")) for each in rows(get(receipt, "shipments"))}
        wanted = [package for package in told.tracked if package["tracking_code"] not in known]
        forms = [_tracking(package, config) for package in wanted]
        if not told.tracked and not yes(get(receipt, "is_shipped")):
            forms = [{}]
        for form in forms:
            bcc = {"send_bcc": "true" if config.send_bcc else "false"}
            note = {"note_to_buyer": config.note_to_buyer} if config.note_to_buyer else {}
            yield from config.ask(memory, "POST", f"{url}/tracking", form | bcc | note)

    def pull(self, since: datetime, config: EtsyConfig, memory: dict[str, Any]) -> Talk[list[Incoming]]:
        """Receipts that wait to be produced, and those that ended. By when they were changed, not made: some are paid days
        after they were made."""
        changed = {"min_last_modified": str(int(since.timestamp()))}
        waiting = yield from _pages(changed | {"was_paid": "true", "was_shipped": "false"}, config, memory)
        canceled = yield from _pages(changed | {"was_canceled": "true"}, config, memory)
        found = [_found(each) for each in waiting if ended(each) or not isinstance(_judged(each, config), Nothing)]
        return found + [_found(each) for each in canceled if ended(each)]

    def example(self, config: EtsyConfig, *, number: int, sku: str, file_url: str) -> Call:
        """Etsy sends no more than the receipt's address: what has to be answered there is `example_receipt`."""
        data = {"event_type": "order.paid", "resource_url": f"{config.receipts}/{number}", "shop_id": config.shop_id}
        body = json.dumps(data).encode()
        headers = signing.signed(f"msg_{number}", int(time.time()), body, secret=config.secrets[0])
        return Call(headers={"content-type": "application/json"} | headers, body=body)


def _event_of(body: bytes) -> str:
    """What the call says it is about; what cannot be read is looked at later."""
    try:
        return text(get(document(body, marks=("event_type",)), "event_type", "type"), most=60).lower()
    except Rejected:
        return ""


def _concerns_orders(topic: str) -> bool:
    """order.paid, as the portal writes it too: ORDER_PAID."""
    return not topic or topic == FOUND or topic.lower().startswith(("order", "receipt"))


def _is_thin(said: dict[str, Any]) -> bool:
    return get(said, "receipt_id") is None and get(said, "transactions") is None


def _named_in(said: dict[str, Any], config: EtsyConfig) -> str:
    """The id of the receipt that a call points to. Raises Rejected unless it is at Etsy, and of our shop: our token goes
    nowhere else, and not even there by the address that was sent."""
    url = text(get(said, "resource_url"))
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    api = urlsplit(config.api)
    hosts = {api.netloc} | (HOSTS if api.netloc in HOSTS else set())
    match = _RECEIPT.fullmatch(parts.path.removeprefix(api.path))
    if parts.scheme != api.scheme or parts.netloc.lower() not in hosts or match is None:
        refuse("SOURCE_FOREIGN", f"{url[:200]!r} is no address of a receipt at {api.netloc}.", path="/resource_url",
               hint="Calls for other things than receipts cannot be taken.", status=422)  # fmt: skip
    shops = {shop for shop in (match[1], text(get(said, "shop_id"))) if shop}
    if shops - {config.shop_id.strip()}:
        refuse("SHOP_FOREIGN", f"It is about the shop {', '.join(shops)[:100]}, not {config.shop_id}.", path="/shop_id",
               hint="Give each shop a connector of its own.", status=422)  # fmt: skip
    return match[2]


def _receipt_in(answer: Answer, id: str) -> dict[str, Any]:
    """Raises TryLater when the answer is anything else, such as a page that says "maintenance"."""
    said = json_of(answer)
    if not isinstance(said, dict) or receipt_id(said) != id:
        raise TryLater("Etsy's answer is not the receipt that was asked for.")
    return said


def _tracking(package: dict[str, Any], config: EtsyConfig) -> dict[str, str]:
    table = pairs(config.carriers)
    carrier = table.get(plainly(text(package.get("carrier")))) or table.get("*") or "other"
    return {"tracking_code": package["tracking_code"], "carrier_name": carrier}


def _judged(receipt: dict[str, Any], config: EtsyConfig) -> Meaning | None:
    try:
        return meaning_of(receipt, shipment_methods=config.shipment_methods)
    except Rejected:
        return None


def _pages(asked: dict[str, str], config: EtsyConfig, memory: dict[str, Any]) -> Talk[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    offset = 0
    while True:
        query = urlencode(asked | {"limit": str(PER_PAGE), "offset": str(offset)})
        answer = yield from config.ask(memory, "GET", f"{config.receipts}?{query}", max_answer=MAX_PAGE)
        some = get(json_of(answer), "results")
        if not isinstance(some, list):
            raise TryLater("Etsy's answer is no list of receipts.")
        found += [each for each in rows(some) if receipt_id(each)]
        offset += PER_PAGE
        if len(some) < PER_PAGE:
            return found


def _found(receipt: dict[str, Any]) -> Incoming:
    """Its key is what Etsy says of it. One that ended has a name of its own: even when it is known, it is looked at."""
    id, end = receipt_id(receipt), ":ended" if ended(receipt) else ""
    body = json.dumps(receipt, separators=(",", ":")).encode()
    key = f"receipt:{id}:{text(get(receipt, 'updated_timestamp', 'update_timestamp'))}{end}"
    return Incoming(body, topic=FOUND, key=key[:200], source_id=id[:100] + end, recovered=True,
                    essence=key.encode())  # fmt: skip


def example_receipt(*, number: int, sku: str, file_url: str) -> dict[str, Any]:
    """A receipt as Etsy's API shows it: one line of two pieces, whose buyer gave the print file's address."""
    euros = {"divisor": 100, "currency_code": "EUR"}
    return {
        "receipt_id": number, "receipt_type": 0, "status": "Paid", "is_paid": True, "is_shipped": False, "is_gift": False,
        "name": "Lena Koch", "first_line": "Weg 3", "second_line": None, "city": "Bonn", "state": None, "zip": "53111",
        "country_iso": "DE", "buyer_email": "lena@example.com", "message_from_buyer": None, "gift_message": "",
        "created_timestamp": 1768469400, "updated_timestamp": 1768469404, "shipments": [], "refunds": [],
        "grandtotal": {"amount": 3070, **euros}, "total_shipping_cost": {"amount": 490, **euros},
        "transactions": [{
            "transaction_id": 41, "listing_id": 1234567890, "product_id": 93, "sku": sku, "title": "Photo card",
            "quantity": 2, "price": {"amount": 1290, **euros}, "is_digital": False, "expected_ship_date": None,
            "variations": [{"property_id": 54, "value_id": None, "formatted_name": "Personalization",
                            "formatted_value": file_url}],
        }],
    }  # fmt: skip
