"""What a Cloudprinter document says: from its order to our draft. Pure, and tolerant of how things are written.

Names are found in any case and with any separator, lists as objects, objects as lists, numbers as text: JSON of two
versions and XML say the same in different ways.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from babel.numbers import get_currency_precision

from gelatoconnect.lib.problems import Problem
from intake.connectors.base import Submit
from orders.drafts import Draft, pointer, read

# What is read of an order, an item or a shipping; everything else is kept as metadata.
READ_OF_ORDER = frozenset(
    ["id", "orderid", "apikey", "creator", "addresses", "address", "items", "item", "shippingdate"]
)
READ_OF_ITEM = frozenset(["id", "itemid", "product", "count", "quantity", "options", "option", "files", "file"])
COUNTRIES = {"UK": "GB"}
DELIVERY = ("delivery", "shipping")
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_SHOWN_KEYS = (
    re.compile(rb"""(["']api[ _-]?key["']\s{0,99}:\s{0,99})("(?:[^"\\]|\\.)*"?|[^,}\]\s]+)""", re.IGNORECASE),
    re.compile(rb"""(<(?:\w{1,99}:)?api[_-]?key[^<>]{0,999}>)([^<]+)""", re.IGNORECASE),
    re.compile(rb"""(\bapi[_-]?key\s{0,99}=\s{0,99})("[^"]*"?|'[^']*'?|[^\s&>]+)""", re.IGNORECASE),
)


def submit_of(data: Any, methods: Mapping[str, str]) -> Submit:
    """The order that a document asks for. Raises Rejected with everything that is wrong with its form.

    methods: their shipment methods and priorities → ours (see `table`).
    """
    order = order_of(data)
    id, notes = id_of(order), []
    items = entries(get(order, "items", "item"), "item")
    currency = text(get(get(order, "costs"), "currency") or get(_invoice(order), "currency")).upper()
    method, said = _shipment_method(order, methods)
    day, unread = _day(text(get(order, "shipping_date")))
    notes += [*said, *unread, *_label_notes(order), *_nameless(items)]
    draft: Draft = read({
        "orderReferenceId": id,
        "currency": currency,
        "shipmentMethodUid": method,
        "shippingAddress": _address(order),
        "metadata": _rest(order, READ_OF_ORDER),
        "items": [_item(item, currency) for item in items],
    })  # fmt: skip
    source = {"order": id, "client_reference": text(get(get(order, "client"), "reference"))}
    return Submit(draft, source_id=id, source=source, ship_by=day, notes=tuple(notes))


def order_of(data: Any) -> dict[str, Any]:
    """The order itself, out of whatever it is wrapped in; an empty one when there is none."""
    if isinstance(data, list):
        return order_of(data[0]) if len(data) == 1 else {}
    if not isinstance(data, dict):
        return {}
    for wrapped in (get(data, "order"), get(data, "orders")):
        if isinstance(wrapped, dict | list):
            return order_of(wrapped)
    if get(data, "items", "item", "addresses", "address") is None:
        for inner in data.values():
            if isinstance(inner, dict) and get(inner, "items", "addresses", "order") is not None:
                return order_of(inner)
    return data


def id_of(order: dict[str, Any]) -> str:
    return text(get(order, "id", "order_id"))


def essence(order: dict[str, Any]) -> bytes:
    """The order without what is new each time it is sent: who wrote the document, and when."""
    same = {name: value for name, value in order.items() if norm(name) not in ("creator", "apikey")}
    return json.dumps(same, sort_keys=True).encode()


def table(lines: str) -> dict[str, str]:
    """ "dhl_parcel=standard, priority 1=express" as a table, their words in small letters."""
    pairs = [entry.partition("=") for entry in re.split(r"[,;\n]", lines) if entry.strip()]
    return {" ".join(theirs.lower().split()): ours.strip() for theirs, _, ours in pairs}


# --- reading what may be written in many ways -------------------------------------------------------
@lru_cache(maxsize=2048)
def norm(name: str) -> str:
    """A name without case, separators and namespace: "Customer Identification" → "customeridentification"."""
    return re.sub(r"[\W_]+", "", name.rpartition("}")[2].lower())


def is_apikey(name: str) -> bool:
    return norm(name) == "apikey"


def get(thing: Any, *names: str) -> Any:
    """The first of the named values that is there and says something."""
    if not isinstance(thing, dict):
        return None
    for name in names:
        if (value := thing.get(name)) not in _EMPTY:
            return value
    wanted = [norm(name) for name in names]
    return next((value for name, value in thing.items() if norm(name) in wanted and value not in _EMPTY), None)


def text(value: Any) -> str:
    """A value as text; empty when it is no single value."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value).strip()
    if isinstance(value, dict):
        return text(value.get("text"))
    return text(value[0]) if isinstance(value, list) and len(value) == 1 else ""


def entries(value: Any, singular: str) -> list[Any]:
    """A list: as one, as an object by number or by type, as XML's repeated children, or as a single entry."""
    if isinstance(value, list):
        return value
    if value in _EMPTY:
        return []
    if not isinstance(value, dict):
        return [value]
    if isinstance(inner := get(value, singular), dict | list):
        return entries(inner, singular)
    if all(isinstance(each, dict) for each in value.values()):
        return [each if name.isdigit() else {"type": name} | each for name, each in value.items()]
    return [value]


# --- the parts of an order --------------------------------------------------------------------------
def _address(order: dict[str, Any]) -> dict[str, Any]:
    found = [each for each in entries(get(order, "addresses", "address"), "address") if isinstance(each, dict)]
    meant = [each for each in found if text(get(each, "type")).lower() in DELIVERY]
    chosen = (meant or found or [{}])[0]
    words = text(get(chosen, "name")).split()
    country = text(get(chosen, "country", "country_code")).upper()
    return {
        "firstName": get(chosen, "firstname") or " ".join(words[:-1] or words),
        "lastName": get(chosen, "lastname") or " ".join(words[-1:] if len(words) > 1 else []),
        "companyName": get(chosen, "company"),
        "addressLine1": get(chosen, "street1", "street"),
        "addressLine2": get(chosen, "street2"),
        "postCode": get(chosen, "zip", "postcode"),
        "city": get(chosen, "city"),
        "state": get(chosen, "state"),
        "country": COUNTRIES.get(country, country),
        "email": get(chosen, "email"),
        "phone": get(chosen, "phone"),
        "federalTaxId": get(chosen, "customer identification"),
    }


def _item(item: Any, currency: str) -> Any:
    if not isinstance(item, dict):
        return item
    said = {
        "itemReferenceId": _item_id(item),
        "sku": get(item, "product"),
        "productVariant": _variant(get(item, "options", "option")),
        "retailPriceInclVat": _price(get(item, "price"), currency),
        "files": [_file(file) for file in entries(get(item, "files", "file"), "file")],
        "metadata": _rest(item, READ_OF_ITEM),
    }
    count = get(item, "count", "quantity")
    return said if count is None else said | {"quantity": count}


def _item_id(item: dict[str, Any]) -> str:
    return text(get(item, "id", "item_id") or get(item, "reference"))


def _file(file: Any) -> Any:
    if not isinstance(file, dict):
        return {"url": file}
    return {"type": text(get(file, "type")) or "default", "url": get(file, "url"), "md5": get(file, "md5sum", "md5")}


def _variant(options: Any) -> dict[str, Any]:
    """Options by type: how many of it, or which. One that is only named is there once."""
    flat = isinstance(options, dict) and not any(isinstance(value, dict | list) for value in options.values())
    if flat and get(options, "type") is None:
        return dict(options)
    found: dict[str, Any] = {}
    for option in entries(options, "option"):
        value = get(option, "count", "value", "text")
        if name := text(get(option, "type", "name") if isinstance(option, dict) else option):
            found[name] = text(value) if isinstance(value, dict | list) else 1 if value is None else value
    return found


def _price(value: Any, currency: str) -> Any:
    """Their four decimals, rounded to the coins of the currency. What is no amount is left to be refused."""
    if value is None:
        return None
    try:
        return str(Decimal(text(value)).quantize(Decimal(1).scaleb(-get_currency_precision(currency or "EUR"))))
    except InvalidOperation:
        return value


def _shipment_method(order: dict[str, Any], methods: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """Ours for their method and for their priority, best first; else the one for all others, if there is one."""
    shipping = get(order, "shipping")
    method = text(get(shipping, "method") if isinstance(shipping, dict) else shipping)
    theirs = (" ".join(method.lower().split()), f"priority {text(get(order, 'priority'))}")
    found = list(dict.fromkeys(methods[name] for name in theirs if name in methods))
    chosen = ",".join(found) or methods.get("*", "")
    if chosen or not method:
        return chosen, []
    return "", [Problem("SHIPMENT_METHOD_UNMAPPED", f"The shipment method {method[:60]!r} is none of ours.",
                        pointer("shipmentMethodUid"), "warning", "Add it to the connector's shipment methods.")]  # fmt: skip


def _day(written: str) -> tuple[date | None, list[Problem]]:
    """The day of `2026-01-17 12:00:00`, which is UTC unless it says otherwise."""
    if not written or written.startswith("0000"):
        return None, []
    try:
        at = datetime.fromisoformat(written)
        return (at.astimezone(UTC) if at.tzinfo else at).date(), []
    except (ValueError, OverflowError):
        return None, [Problem("SHIPPING_DATE_UNREADABLE", f"The shipping date {written[:40]!r} is no date.", "", "warning",
                              "Send it as YYYY-MM-DD HH:MM:SS; the customer's usual time holds.")]  # fmt: skip


def _label_notes(order: dict[str, Any]) -> list[Problem]:
    found = entries(get(order, "files"), "file")
    if not any("label" in text(get(each, "type")).lower() for each in found):
        return []
    return [Problem("SHIPPING_LABEL_UNUSED", "It brings a shipping label: it is kept with the order, but not used.",
                    pointer("metadata"), "info", "The label is booked here when the order is packed.")]  # fmt: skip


def _nameless(items: list[Any]) -> list[Problem]:
    return [Problem("ITEM_ID_MISSING", "The item has no id: Cloudprinter hears nothing of it.", pointer("items", place),
                    "warning", "Send the item's id.")
            for place, item in enumerate(items) if isinstance(item, dict) and not _item_id(item)]  # fmt: skip


def _invoice(order: dict[str, Any]) -> Any:
    return get(get(order, "shipping"), "invoice")


def _rest(thing: dict[str, Any], read: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if norm(name) not in read and value not in _EMPTY}


# --- for others than the parser ---------------------------------------------------------------------
def without_apikeys(body: bytes) -> bytes:
    """A document that cannot be read, with whatever follows the word apikey left out."""
    body = body.replace(b"\0", b"")  # UTF-16
    for pattern in _SHOWN_KEYS:
        body = pattern.sub(rb"\1hidden", body)
    return body


def example(number: int, *, sku: str, file_url: str) -> dict[str, Any]:
    id = f"55{number:010}"
    return {
        "id": id, "date": "2026-01-15 08:00:00", "priority": "2",
        "creator": {"id": 1, "name": "Cloudprinter.com", "version": "2.2", "date": "2026-01-15 08:00:00"},
        "client": {"id": 7, "name": "Acme", "date": "2026-01-15 07:59:10", "reference": f"acme-{number}"},
        "costs": {"currency": "EUR", "shipping": "4.2000", "items": "7.0000", "vat": "0.0000", "total": "11.2000"},
        "addresses": [{"type": "delivery", "company": "", "name": "Ana Ruiz", "street1": "Karl Johans gate 4",
                       "street2": "", "zip": "0154", "city": "Oslo", "country": "NO", "state": "",
                       "email": "ana@example.com", "phone": "+47 22 12 34 56"}],
        "shipping": {"method": "dhl_parcel", "consignor": "Acme"},
        "items": [{"id": f"{id}1", "reference": f"acme-{number}-1", "product": sku, "count": 1, "price": "7.0000",
                   "options": [{"type": "total_pages", "count": 1}], "files": [{"type": "product", "url": file_url}]}],
    }  # fmt: skip
