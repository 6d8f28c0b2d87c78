"""What is said to a WooCommerce shop by its REST API (wc/v3): shipped orders, notes, and what orders it holds.

Everything may run twice: what the shop has already is asked first, and not written again.
"""

import base64
import hashlib
import html
import json
import re
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr, field_validator

from intake.connectors.addresses import base_address
from intake.connectors.base import Ask, Incoming, Talk, Told, ask_json, json_of
from intake.connectors.loose import get, listed, pairs, plainly, rows, text
from intake.connectors.schedule import Scheduled
from orders.events import Permanent, TryLater

PER_PAGE = 100
MAX_PAGE = 64 * 1024 * 1024  # bytes of a page of orders
ENDED = frozenset({"cancelled", "canceled", "refunded", "failed", "trash"})  # not wanted any more, or never paid
MOST = 1900  # characters of a note


class ShopAccess(Scheduled):
    """What is needed to speak to the shop, and what it wants to be told."""

    url: str = Field("", title="Shop's address", description="Such as https://shop.example; calls from another shop are "
                     "refused. Empty: nothing is told or asked")  # fmt: skip
    consumer_key: SecretStr = Field(
        SecretStr(""), title="Consumer key", description="Of a REST API key with read/write"
    )
    consumer_secret: SecretStr = Field(SecretStr(""), title="Consumer secret")
    on_hold: bool = Field(False, title="Produce orders that are on hold", description="Else only those in processing")
    ship_as: str = Field("completed", title="Status of shipped orders", description="completed, or one of the shop's own, "
                         "such as shipped; none: it stays as it is")  # fmt: skip
    shipped_note: Literal["private", "customer", "none"] = Field(
        "private", title="Note on shipping",
        json_schema_extra={"labels": {"private": "Private", "customer": "To the buyer, by e-mail", "none": "None"}},
    )  # fmt: skip
    problem_notes: bool = Field(True, title="Note when an order fails or is canceled here", description="Private")
    shipment_tracking: bool = Field(False, title="Shipment Tracking", description="The shop has this extension: add "
                                    "tracking codes to it")  # fmt: skip
    providers: str = Field("", title="Carriers in Shipment Tracking", description="Ours = theirs: dhl=DHL, *=Royal Mail; "
                           "* stands for any. Others are added with their link")  # fmt: skip
    tracking_meta: str = Field("", title="Tracking as order meta", description="What = key: code=_tracking_number, "
                               "url=_tracking_url, carrier=_tracking_provider")  # fmt: skip

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return base_address(value, like="https://shop.example") if value.strip() else ""

    @field_validator("ship_as")
    @classmethod
    def _status(cls, value: str) -> str:
        value = value.strip().lower().removeprefix("wc-")
        if not re.fullmatch(r"[a-z0-9_-]{0,40}", value):
            raise ValueError("Write it as the shop does, such as completed.")
        return "" if value == "none" else value

    @property
    def connected(self) -> bool:
        return bool(self.url and self.consumer_key.get_secret_value() and self.consumer_secret.get_secret_value())

    def ask(self, method: str, path: str, data: Any = None, **more: Any) -> Ask:
        keys = f"{self.consumer_key.get_secret_value()}:{self.consumer_secret.get_secret_value()}"
        basic = {"Authorization": "Basic " + base64.b64encode(keys.encode()).decode()}
        return ask_json(method, f"{self.url}/wp-json/wc/v3/{path}", data, headers=basic, **more)


def tell(told: Told, config: ShopAccess) -> Talk[None]:
    if not config.connected or not told.order.source_id:
        return
    path = f"orders/{quote(told.order.source_id, safe='')}"
    if told.kind == "order.shipped":
        yield from _shipped(path, told, config)
    elif config.problem_notes:
        yield from _note(path, _problem_note(told), config, to_customer=False)


def _shipped(path: str, told: Told, config: ShopAccess) -> Talk[None]:
    """Tracking first: the mail that goes out with the status shows it."""
    order = json_of((yield config.ask("GET", path)))
    if not text(get(order, "status")):
        raise TryLater("The shop's answer is no order: it may be in maintenance.")
    if config.shipment_tracking and told.tracked:
        yield from _track(path, told, config)
    if config.shipped_note != "none":
        yield from _note(path, _shipped_note(told), config, to_customer=config.shipped_note == "customer")
    changes = _changes(order, told, config)
    if changes:
        yield config.ask("PUT", path, changes)


def _changes(order: Any, told: Told, config: ShopAccess) -> dict[str, Any]:
    """What the order in the shop lacks. An order that ended there, or is completed, gets no other status."""
    changes: dict[str, Any] = {}
    status = text(get(order, "status")).removeprefix("wc-")
    if config.ship_as and status not in ENDED | {"completed", config.ship_as}:
        changes["status"] = config.ship_as
    known = {text(get(each, "key")): get(each, "value") for each in rows(get(order, "meta_data"))}
    wanted = [{"key": key, "value": value} for key, value in _meta(told, config).items() if known.get(key) != value]
    if wanted:
        changes["meta_data"] = wanted
    return changes


def _meta(told: Told, config: ShopAccess) -> dict[str, str]:
    fields = {"code": "tracking_code", "url": "tracking_url", "carrier": "carrier"}
    found = {}
    for what, key in pairs(config.tracking_meta).items():
        values = [text(package.get(fields.get(what, ""))) for package in told.tracked]
        if key and any(values):
            found[key] = ", ".join(dict.fromkeys(filter(None, values)))
    return found


def _track(path: str, told: Told, config: ShopAccess) -> Talk[None]:
    answer = yield config.ask("GET", f"{path}/shipment-trackings", accept=(404,))
    if answer.status == 404:
        raise Permanent(
            "The shop has no Shipment Tracking: install the extension, or switch it off in the connector's settings."
        )
    known = {text(get(each, "tracking_number")) for each in listed(answer)}
    for package in told.tracked:
        if package["tracking_code"] not in known:
            yield config.ask("POST", f"{path}/shipment-trackings", _tracking(package, told, config))


def _tracking(package: dict[str, Any], told: Told, config: ShopAccess) -> dict[str, str]:
    said = {"tracking_number": package["tracking_code"], "date_shipped": f"{told.at.astimezone(UTC):%Y-%m-%d}"}
    carrier, table = text(package.get("carrier")), pairs(config.providers)
    provider = table.get(plainly(carrier)) or table.get("*")
    if provider:
        return said | {"tracking_provider": provider}
    custom = {
        "custom_tracking_provider": carrier or "Parcel",
        "custom_tracking_link": text(package.get("tracking_url")),
    }
    return said | {name: value for name, value in custom.items() if value}


def _note(path: str, note: str, config: ShopAccess, *, to_customer: bool) -> Talk[None]:
    answer = yield config.ask("GET", f"{path}/notes")
    if _plain(note) not in {_plain(text(get(each, "note"))) for each in listed(answer)}:
        yield config.ask("POST", f"{path}/notes", {"note": note, "customer_note": to_customer})


def _plain(note: str) -> str:
    """A note as it was written, whatever the shop has made of its signs and links."""
    return re.sub(r"\W", "", html.unescape(re.sub(r"<[^<>]*>", "", note)))


def _shipped_note(told: Told) -> str:
    codes = [f"{each['tracking_code']} {text(each.get('tracking_url'))}".strip() for each in told.tracked]
    return "Shipped." + (f" Tracking: {'; '.join(codes)}" if codes else "")


def _problem_note(told: Told) -> str:
    reason = f": {told.reason}" if told.reason else "."
    if told.kind == "order.canceled":
        return f"Canceled at the print producer{reason}"[:MOST]
    if told.kind == "order.cancel_refused":
        return f"The print producer could not cancel it any more{reason}"[:MOST]
    errors = [problem for problem in told.problems if problem.get("severity", "error") == "error"]
    said = " ".join(f"{text(each.get('message'))} {text(each.get('hint'))}".strip() for each in errors)
    return f"The print producer cannot produce it yet{': ' + said if said else reason}"[:MOST]


def orders_since(since: datetime, config: ShopAccess) -> Talk[list[Incoming]]:
    """Orders to be produced, and orders that ended, changed since then."""
    if not config.connected:
        return []
    wanted = yield from _orders("processing,on-hold" if config.on_hold else "processing", since, config)
    ended = yield from _orders("cancelled,refunded,failed,trash", since, config)
    # Under a name of their own: an order that is known has to be looked at once more when it has ended.
    return [*(_found(order, "") for order in wanted), *(_found(order, ":ended") for order in ended)]


def _orders(statuses: str, since: datetime, config: ShopAccess) -> Talk[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    page, last = 0, False
    while not last:
        page += 1
        asked = {"status": statuses, "modified_after": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "dates_are_gmt": "true",
                 "per_page": PER_PAGE, "page": page, "orderby": "id", "order": "asc"}  # fmt: skip
        answer = yield config.ask("GET", f"orders?{urlencode(asked)}", max_answer=MAX_PAGE)
        some = listed(answer)
        found += [order for order in some if text(get(order, "id"))]
        pages = text(answer.headers.get("x-wp-totalpages"))
        last = not some or (page >= int(pages) if pages.isdecimal() else len(some) < PER_PAGE)
    return found


def _found(order: dict[str, Any], suffix: str) -> Incoming:
    body = json.dumps(order, separators=(",", ":")).encode()
    return Incoming(body, topic="order.found", key=f"found:{hashlib.sha256(body).hexdigest()}",
                    source_id=text(get(order, "id"), most=100) + suffix, recovered=True)  # fmt: skip
