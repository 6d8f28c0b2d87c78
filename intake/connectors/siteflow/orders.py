"""A Site Flow order document, read as a draft. Pure.

Keys are found whatever their case, numbers may be texts, lists objects; what has no meaning here is kept as metadata.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import get_currency_precision

from gelatoconnect.lib.problems import Problem, Rejected, Severity
from intake.checks.data import currencies
from intake.connectors.base import Submit, refuse
from intake.connectors.loose import document, get, line, money, number, quantity, rows, text, yes
from intake.connectors.siteflow.shipments import (
    MARKS,
    Reading,
    address_of,
    data_of,
    day_of,
    goes_to,
    index_of,
    method_of,
)
from orders.drafts import HANDED_OVER, Draft, DraftFile, is_handed_over, pointer, read
from orders.workdays import working_day

KEPT = ("customerName", "email", "purchaseOrderNumber", "amount", "tax", "instructions", "tags", "extraData", "date",
        "deliveryDate", "printType", "misCode", "postbackAddress", "slaTimestamp")  # fmt: skip
KEPT_OF_ITEM = ("description", "sourceProductId", "printQuantity", "barcode", "dispatchAlert", "unitWeight", "unitCost",
                "unitPrice", "isoCountryOfOrigin", "harmonizedCode", "supplierPartAuxiliaryId", "extraData")  # fmt: skip
KEPT_OF_COMPONENT = ("code", "barcode", "componentId", "attributes", "preflight", "preflightProfile", "type", "paper",
                     "weight", "pages", "width", "height", "duplicate", "colour", "finish", "extraData")  # fmt: skip
KEPT_OF_SHIPMENT = ("sourceShipmentId", "carrier", "returnAddress", "attachments", "canShipEarly", "pspBranding",
                    "labelName", "dispatchAlert", "cost", "carrierFields", "shipByDate", "slaDays")  # fmt: skip
WEB = ("http", "https")
MOST_NAME = 120  # characters of the name of an awaited file


def known_as(body: bytes, *, account: str = "") -> str:
    """Under which id the connector knows the order: its sourceOrderId, after the source account where one is named;
    nothing when the document does not say."""
    try:
        order = document(body, marks=MARKS)
    except Rejected:
        return ""
    return _source_id(order, data_of(order), account)


def origin_of(body: bytes, *, account: str = "") -> tuple[str, dict[str, str]]:
    """The sourceOrderId and whose the document is, as far as it says; what Order.source holds of it."""
    try:
        order = document(body, marks=MARKS)
    except Rejected:
        return "", {"account": account} if account else {}
    data = data_of(order)
    return line(get(data, "sourceOrderId"), most=120), _origin(order, data, account)


def meaning_of(body: bytes, *, reading: Reading) -> Submit:
    """The order that the document asks for. Raises Rejected with everything that is wrong with its form."""
    order = document(body, marks=MARKS)
    data = data_of(order)
    return _Reader(order, data, reading).submit()


def _origin(order: Mapping[str, Any], data: Mapping[str, Any], account: str) -> dict[str, str]:
    postback = text(get(data, "postbackAddress"))
    source = {
        "account": _account_of(order, account),
        "destination": line(get(get(order, "destination"), "name", "id"), most=120),
        "source": line(get(get(order, "source"), "name", "id"), most=120),
        "postback": postback if scheme_of(postback) in WEB and len(postback) <= 2048 else "",
    }
    return {name: value for name, value in source.items() if value}


def _account_of(order: Mapping[str, Any], account: str) -> str:
    """Who sent it, where several send through one connector: the service user's account, or a source of its own."""
    source, destination = (line(get(get(order, name), "name", "id"), most=80) for name in ("source", "destination"))
    return account or (source if source != destination else "")


def _source_id(order: Mapping[str, Any], data: Mapping[str, Any], account: str) -> str:
    id, account = line(get(data, "sourceOrderId"), most=120), _account_of(order, account)
    return f"{account}/{id}"[:120] if account and id else id


def _kept(said: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    found = {name: get(said, name) for name in names}
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


class _Reader:
    """One order on its way to a draft; what is worth saying of it is gathered in `notes`."""

    def __init__(self, order: dict[str, Any], data: dict[str, Any], reading: Reading) -> None:
        self.order, self.data, self.reading = order, data, reading
        self.notes: list[Problem] = []
        self.at = ("orderData",) if data is not order else ()
        self.items = rows(get(data, "items", "item"))
        self.currency = line(get(data, "currency")).upper() or reading.currency.upper()

    def submit(self) -> Submit:
        shipment = self._shipment()
        to = get(shipment, "shipTo", "address")
        draft = _awaiting(read({
            "orderReferenceId": line(get(self.data, "sourceOrderId")),
            "currency": self.currency,
            "shipmentMethodUid": self._method(shipment),
            "shippingAddress": address_of(to if isinstance(to, dict) else {}, self.data),
            "items": [self._item(item, place) for place, item in enumerate(self.items)],
            "metadata": self._metadata(shipment),
        }))  # fmt: skip
        self._say_what_is_left_out(shipment)
        return Submit(
            draft, _source_id(self.order, self.data, self.reading.account),
            _origin(self.order, self.data, self.reading.account),
            ship_by=self._ship_by(shipment), notes=tuple(self.notes),
        )  # fmt: skip

    def _note(self, code: str, message: str, *path: str | int, severity: Severity = "warning", hint: str = "") -> None:
        self.notes.append(Problem(code, message, pointer(*self.at, *path), severity, hint))

    def _shipment(self) -> dict[str, Any]:
        """The one shipment of all items. Raises Rejected when they go to different addresses: an order has one here."""
        shipments = rows(get(self.data, "shipments", "shipment"))
        if not shipments:
            refuse("ORDER_SHIPMENT_MISSING", "The order has no shipment.", path=pointer(*self.at, "shipments"),
                   hint="Send one shipment with shipTo and carrier.", status=422)  # fmt: skip
        numbered = {index_of(each, place): each for place, each in reversed(list(enumerate(shipments)))}
        named = {index_of(item, 0): place for place, item in reversed(list(enumerate(self.items)))}
        used: list[dict[str, Any]] = []
        for index, place in named.items():
            shipment = numbered.get(index) or (shipments[0] if len(shipments) == 1 else None)
            if shipment is None:
                refuse("ORDER_SHIPMENT_UNKNOWN", f"There is no shipment {index}.", status=422,
                       path=pointer(*self.at, "items", place, "shipmentIndex"),
                       hint="Name the shipmentIndex of one of the shipments.")  # fmt: skip
            used.append(shipment)
        used = used[::-1] or shipments[:1]
        to = goes_to(used[0])
        if any(goes_to(each) != to for each in used):
            refuse("ORDER_SEVERAL_SHIPMENTS", "The items go to different addresses: an order has one address here.",
                   path=pointer(*self.at, "shipments"), hint="Send one order for each address.", status=422)  # fmt: skip
        if any(each is not used[0] for each in used):
            self._note("SHIPMENTS_JOINED", "Its shipments go to one address: they travel together.", "shipments")
        return used[0]

    def _method(self, shipment: Mapping[str, Any]) -> str:
        method, name = method_of(shipment, self.reading)
        if method is None and name:
            self._note("CARRIER_UNKNOWN", f"The carrier {name!r} is not in the connector's table: the cheapest is used.",
                       "shipments", 0, "carrier", hint="Add it to the carriers of the connector.")  # fmt: skip
        return method or ""

    def _item(self, item: Mapping[str, Any], place: int) -> dict[str, Any]:
        components = rows(get(item, "components", "component"))
        description = get(item, "description")
        if isinstance(description, dict):
            description = get(description, "name", "text", "title", "description")
        sku = line(get(item, "sku"))
        kept = [_component(each) for each in components]
        return {
            "itemReferenceId": line(get(item, "sourceItemId")),
            "sku": sku,
            "productName": line(description, most=200) if not sku else "",
            "quantity": quantity(get(item, "quantity")),
            "retailPriceInclVat": self._price(item, place),
            "files": list(self._files(components, place)),
            "metadata": _kept(item, KEPT_OF_ITEM) | ({"components": kept} if kept else {}),
        }

    def _files(self, components: Sequence[Mapping[str, Any]], place: int) -> Iterator[dict[str, Any]]:
        """A print file for each component: to be fetched, or awaited under its name."""
        seen: Counter[str] = Counter()
        for index, each in enumerate(components):
            code, path = line(get(each, "code"), most=32), text(get(each, "path"))
            type = code.lower() or f"part{index + 1}"
            seen[type] += 1
            type = f"{type}-{seen[type]}" if seen[type] > 1 else type
            local = yes(get(each, "localFile"))
            name = _name_of(path) or f"{type}.pdf"
            fetched = not local and _is_fetched(get(each, "fetch"), path)
            if local:
                self._note("FILE_LOCAL", f"The file {name!r} is awaited: there is no site storage here.",
                           "items", place, "components", index, "path",
                           hint="Upload it to the address that the answer names for it.")  # fmt: skip
            url = (path or name) if fetched else f"{HANDED_OVER}:{name}"
            yield {"type": type if len(components) > 1 else "default", "url": url}

    def _price(self, item: Mapping[str, Any], place: int) -> str | None:
        said = number(get(item, "unitPrice"))
        if said is None:
            return None
        price = money(said, self.currency if self.currency in currencies() else "")
        where = ("items", place, "unitPrice")
        if not self.currency or price is None:
            why = "it has no currency" if price is not None else "it is no price"
            self._note("PRICE_LEFT_OUT", f"The unit price {said} is only kept as a note: {why}.", *where,
                       hint="Send orderData.currency, or set a currency at the connector.")  # fmt: skip
            return None
        if Decimal(price) != said:
            decimals = get_currency_precision(self.currency)
            self._note(
                "PRICE_ROUNDED", f"The unit price {said} is rounded to {decimals} decimals.", *where, severity="info"
            )
        return price

    def _metadata(self, shipment: Mapping[str, Any]) -> dict[str, Any]:
        stock = [_kept(each, ("code", "quantity", "name", "unitPrice")) for each in self._stock()]
        more = {"stockItems": stock, "shipment": _kept(shipment, KEPT_OF_SHIPMENT)}
        return _kept(self.data, KEPT) | {name: value for name, value in more.items() if value}

    def _stock(self) -> list[dict[str, Any]]:
        return rows(get(self.data, "stockItems", "stockItem"))

    def _say_what_is_left_out(self, shipment: Mapping[str, Any]) -> None:
        for place, each in enumerate(self._stock()):
            what = f"{line(get(each, 'quantity')) or 1} × {line(get(each, 'code', 'name'), most=80) or '?'}"
            self._note("STOCK_ITEM_LEFT_OUT", f"{what} is a stock item: it is not printed here, only noted.",
                       "stockItems", place, hint="Add it to the parcel by hand.")  # fmt: skip
        if rows(get(shipment, "attachments")):
            self._note("ATTACHMENTS_LEFT_OUT", "The shipment's attachments are not printed here, only noted.",
                       "shipments", 0, "attachments", hint="Add them to the parcel by hand.")  # fmt: skip

    def _ship_by(self, shipment: Mapping[str, Any]) -> date | None:
        """The sender's own promise: a day, or working days from the day of the order."""
        said = (get(shipment, "shipByDate"), get(self.data, "shipByDate"), get(self.data, "slaTimestamp"))
        if day := next((day for value in said if (day := day_of(value))), None):
            return day
        days = number(get(shipment, "slaDays") or get(self.data, "slaDays"))
        if days is None or not 0 < days <= 365:
            return None
        return working_day(day_of(get(self.data, "date")) or datetime.now(UTC).date(), int(days))


def _component(said: Mapping[str, Any]) -> dict[str, Any]:
    local = {"localFile": True} if yes(get(said, "localFile")) else {}
    return _kept(said, KEPT_OF_COMPONENT) | local


def _is_fetched(fetch: Any, path: str) -> bool:
    """As the component says; where it does not say it, what is an address is fetched."""
    return scheme_of(path) in WEB if fetch in (None, "") else yes(fetch)


def _name_of(path: str) -> str:
    """The name under which a file is awaited: the end of its path."""
    return re.split(r"[/\\]", path.partition("?")[0])[-1].strip()[:MOST_NAME]


def scheme_of(said: str) -> str | None:
    """The scheme of an address, or None for what is none."""
    try:
        return urlsplit(said).scheme.lower()
    except ValueError:
        return None


def _awaiting(draft: Draft) -> Draft:
    """The draft, with the files that have only a name marked as such that are still to come."""
    for item in draft.items:
        item.files = [DraftFile.handed_over(file) if is_handed_over(file.url) else file for file in item.files]
    return draft
