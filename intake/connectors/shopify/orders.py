"""A Shopify order, as webhooks and the Admin API (REST) write it, read as a draft. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gelatoconnect.lib.problems import Problem
from intake.checks.data import country_names
from intake.connectors.base import Cancel, Meaning, Nothing, Submit, refuse
from intake.connectors.loose import document, get, line, links, money, number, pairs, plainly, quantity, rows, text, yes
from orders.drafts import Draft, pointer, read

MARKS = ("line_items", "shipping_address", "financial_status", "order_number", "admin_graphql_api_id")
CANCELED = "orders/cancelled"
GONE = ("refunded", "voided")
FETCHED = "gelatoconnect_files"  # a key of a line: what its metafield said
MOST_KEPT = 2000  # characters of a property that are kept


@dataclass(frozen=True, slots=True)
class Reading:
    """How the connector's settings want orders read.

    names     of properties that bring a print file → the part it prints
    methods   the shop's shipping lines → our shipment methods
    only_paid orders wait for their payment
    service   only lines of this fulfilment service; empty: of all
    """

    names: dict[str, str] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    only_paid: bool = True
    service: str = ""


def file_names(said: str) -> dict[str, str]:
    """ "_print_url, _back=back" → which properties are print files, and of which part."""
    parts = (part.partition("=") for part in said.replace("\n", ",").split(",") if part.strip())
    return {plainly(name): part.strip().lower() or "default" for name, _, part in parts}


def order_in(body: bytes) -> dict[str, Any]:
    return document(body, marks=MARKS)


def order_id(order: dict[str, Any]) -> str:
    """The shop's own id of the order: the number, also where only "gid://shopify/Order/1" is given."""
    return text(get(order, "id", "admin_graphql_api_id")).rpartition("/")[2].partition("?")[0][:120]


def why_not(order: dict[str, Any], *, topic: str, reading: Reading) -> str:
    """Why nothing of the order is to be made now; empty: it is."""
    payment = text(get(order, "financial_status")).lower()
    if payment in GONE:
        return f"Its payment was {payment}."
    paid = payment in ("paid", "partially_refunded") or (not payment and topic == "orders/paid")
    if reading.only_paid and not paid:
        return f"It is not paid yet ({payment or 'unknown'}): it is made when Shopify says that it is."
    if text(get(order, "fulfillment_status")).lower() in ("fulfilled", "restocked"):
        return "It has been fulfilled already."
    return ""


def meaning_of(body: bytes, *, topic: str, reading: Reading) -> Meaning:
    """What an order webhook asks for. Raises Rejected."""
    order = order_in(body)
    id, name = order_id(order), line(get(order, "name"), most=120)
    if not id:
        refuse("ORDER_ID_MISSING", "The order has no id.", path="/id", hint="Send Shopify's whole order.", status=422)
    if topic == CANCELED or get(order, "cancelled_at"):
        return Cancel(source_id=id, reason=line(get(order, "cancel_reason"), most=200) or "Canceled in the shop")
    if why := why_not(order, topic=topic, reading=reading):
        return Nothing(
            why, "ORDER_WAITS", reference=name
        )  # without its id: it may still be found when shops are compared
    lines = [Line(each, place, reading) for place, each in enumerate(rows(get(order, "line_items")))]
    wanted = [each for each in lines if not each.left_out]
    if lines and not wanted:
        whys = "; ".join(dict.fromkeys(each.left_out for each in lines))
        return Nothing(f"Nothing of it is printed: {whys}.", "ORDER_NOTHING_TO_PRINT", id, name)
    if not isinstance(get(order, "shipping_address"), dict) and wanted:
        refuse("ADDRESS_MISSING", "The order has no shipping address: it is picked up, or was made without one.", status=422,
               path="/shippingAddress", hint="Give it a shipping address in Shopify, or mend it here.")  # fmt: skip
    return _submit(order, id, lines, reading)


def _submit(order: dict[str, Any], id: str, lines: list["Line"], reading: Reading) -> Submit:
    currency = line(get(order, "currency"), most=3).upper()
    method, notes = _method(order, reading)
    fees = [number(get(each, "price")) or Decimal() for each in rows(get(order, "shipping_lines"))]
    reference = line(get(order, "name"), most=120) or text(get(order, "order_number", "number")) or id
    draft: Draft = read({
        "orderReferenceId": reference, "currency": currency, "shipmentMethodUid": method,
        "retailShippingPriceInclVat": money(sum(fees, Decimal()), currency) if fees else None,
        "shippingAddress": _address(order), "metadata": _metadata(order),
        "items": [each.item(currency) for each in lines if not each.left_out],
    })  # fmt: skip
    notes += [each.note() for each in lines if each.left_out]
    notes += [note for each in lines if not each.left_out for note in each.doubts(currency)]
    source = {"order": id, "name": reference, "location": text(get(order, "location_id"))}
    return Submit(draft, id, {key: value for key, value in source.items() if value}, yes(get(order, "test")),
                  notes=tuple(notes))  # fmt: skip


@dataclass
class Line:
    """A line item. place: in the order as it came; left_out: why it is not printed here, in a few words."""

    said: dict[str, Any]
    place: int
    reading: Reading

    @property
    def left_out(self) -> str:
        service = line(get(self.said, "fulfillment_service")).lower()
        if yes(get(self.said, "gift_card")):
            return "gift cards are not printed"
        if get(self.said, "requires_shipping") is not None and not yes(get(self.said, "requires_shipping")):
            return "what needs no shipping is not printed"
        if number(get(self.said, "quantity")) == 0 or text(get(self.said, "fulfillment_status")).lower() == "fulfilled":
            return "what is fulfilled or removed is not printed again"
        if number(get(self.said, "fulfillable_quantity")) == 0:
            return "what is fulfilled or removed is not printed again"
        if self.reading.service and service and service != self.reading.service:
            return "another service fulfils it"
        return ""

    @property
    def what(self) -> str:
        title = line(get(self.said, "title", "name", "sku"), most=80)
        return title or f"Line {self.place + 1}"

    @property
    def price(self) -> Any:
        """Of one piece, in the shop's currency."""
        set_of = get(get(self.said, "price_set"), "shop_money")
        return get(self.said, "price") if get(self.said, "price") is not None else get(set_of, "amount")

    @property
    def properties(self) -> dict[str, Any]:
        return dict(named(get(self.said, "properties")))

    @property
    def quantity(self) -> int | str:
        """What is still to be fulfilled of it."""
        asked, left = quantity(get(self.said, "quantity")), number(get(self.said, "fulfillable_quantity"))
        return int(left) if isinstance(asked, int) and left is not None and 0 < left < asked else asked

    def files(self) -> list[dict[str, str]]:
        """From its properties; else what its metafield said."""
        found = [file for name, value in self.properties.items() for file in self._files_in(name, value)]
        if not found:
            found = [{"type": part or "default", "url": url} for part, url in links(get(self.said, FETCHED))]
        return list({(file["type"], file["url"]): file for file in found}.values())

    def _files_in(self, name: str, value: Any) -> Iterator[dict[str, str]]:
        part = self.reading.names.get(plainly(name))
        if part is None:
            return
        found = links(value)
        for inner, url in found:
            yield {"type": inner.lower() if inner and not inner.isdigit() else part, "url": url}
        if not found and (wrong := text(value, most=2048)) and ("url" in plainly(name) or "file" in plainly(name)):
            yield {"type": part, "url": wrong}  # for the checks to complain of

    def item(self, currency: str) -> dict[str, Any]:
        variant = line(get(self.said, "variant_title"), most=200)
        return {
            "itemReferenceId": text(get(self.said, "id", "admin_graphql_api_id")).rpartition("/")[2][:120],
            "sku": line(get(self.said, "sku"), most=120), "productName": line(get(self.said, "title", "name"), most=200),
            "productVariant": {"variant": variant} if variant and variant != "Default Title" else {},
            "quantity": self.quantity, "retailPriceInclVat": money(number(self.price), currency),
            "files": self.files(), "metadata": self.properties,
        }  # fmt: skip

    def note(self) -> Problem:
        return Problem("ITEM_LEFT_OUT", f"{self.what} was left out: {self.left_out}.",
                       pointer("line_items", self.place), "info")  # fmt: skip

    def doubts(self, currency: str) -> Iterator[Problem]:
        if self.price not in (None, "") and money(number(self.price), currency) is None:
            path = pointer("line_items", self.place, "price")
            yield Problem("PRICE_UNREADABLE", f"The price of {self.what} is no amount of money.", path, "warning",
                          "Parcels that cross a customs border need it.")  # fmt: skip


def named(value: Any) -> Iterator[tuple[str, Any]]:
    """Properties: a list of {name, value}, or an object. The first of a name counts; values that are very long do not."""
    if isinstance(value, dict) and not any(map(rows, value.values())) and get(value, "name") is None:
        entries = list(value.items())
    else:
        entries = [(get(each, "name", "key"), get(each, "value")) for each in rows(value)]
    seen = set()
    for name, said in entries:
        name = line(name, most=100)
        if name and name not in seen and said not in (None, "") and len(str(said)) <= MOST_KEPT:
            seen.add(name)
            yield name, said


def _address(order: dict[str, Any]) -> dict[str, Any]:
    to, customer = get(order, "shipping_address") or {}, get(order, "customer")
    first, last = line(get(to, "first_name")), line(get(to, "last_name"))
    if not first and not last:
        first, _, last = line(get(to, "name")).rpartition(" ")
    country = line(get(to, "country_code")) or line(get(to, "country"))
    return {
        "firstName": first, "lastName": last, "companyName": line(get(to, "company")),
        "addressLine1": line(get(to, "address1")), "addressLine2": line(get(to, "address2")), "city": line(get(to, "city")),
        "postCode": line(get(to, "zip", "postal_code")),
        "state": line(get(to, "province_code")) or line(get(to, "province")),
        "country": _codes().get(country.lower(), country),
        "email": line(get(order, "email")) or line(get(order, "contact_email")) or line(get(customer, "email")),
        "phone": line(get(to, "phone")) or line(get(order, "phone")) or line(get(customer, "phone"))
        or line(get(get(customer, "default_address"), "phone")),
    }  # fmt: skip


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Names of countries → their codes, for orders that only have the name."""
    return {name.lower(): code for code, name in country_names().items() if len(code) == 2}


def _method(order: dict[str, Any], reading: Reading) -> tuple[str, list[Problem]]:
    """Our shipment method for the buyer's; where the settings know none it is left to the producer, with a note."""
    asked = [
        line(get(each, name), most=200) for each in rows(get(order, "shipping_lines")) for name in ("code", "title")
    ]
    for each in filter(None, asked):
        if (known := reading.methods.get(plainly(each))) is not None:
            return known[:200], []
    known = reading.methods.get("*", "")
    if not any(asked) or known:
        return known[:200], []
    said = f"The shop's shipping {next(filter(None, asked))!r} is mapped to no shipment method."
    return "", [Problem("SHIPMENT_METHOD_UNMAPPED", said, "/shipmentMethodUid", "info",
                        "Name it in the connector's settings, if it matters.")]  # fmt: skip


def _metadata(order: dict[str, Any]) -> dict[str, Any]:
    """What the shop notes of the order: its attributes by name, the note, the tags."""
    tags = get(order, "tags")
    words = ", ".join(map(text, tags)) if isinstance(tags, list) else text(tags)
    said = {"note": text(get(order, "note"), most=5000), "tags": words[:MOST_KEPT]}
    return dict(named(get(order, "note_attributes"))) | {name: value for name, value in said.items() if value}


def reading_of(config: Any) -> Reading:
    return Reading(file_names(config.file_properties), pairs(config.shipment_methods), config.print_when == "paid",
                   config.fulfillment_service.strip().lower())  # fmt: skip
