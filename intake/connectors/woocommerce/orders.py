"""A WooCommerce order, as webhooks and the REST API (wc/v3) write it, read as a draft. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from gelatoconnect.lib.problems import Problem
from intake.connectors.base import Submit
from intake.connectors.loose import (
    get,
    line,
    links,
    money,
    number,
    pairs,
    plainly,
    quantity,
    rows,
    scalar,
    text,
    words,
    yes,
)  # fmt: skip
from orders.drafts import pointer, read

STREET = ("address_1", "address_2", "city", "postcode")
NAMES = ("first_name", "last_name", "company")
# Bundles and composites: what holds lines together, as a field of the line (Product Bundles' REST API: ids of lines) or as
# hidden meta (keys of the cart's lines).
CHILD_OF = ("bundled_by", "composite_parent")
PARENT_OF = ("bundled_items", "composite_children")
NOISE = ("_reduced_stock", "_wc", "_bundle", "_composite", "_stamp")  # hidden meta that is about the shop itself
PARTS = frozenset({"front", "back", "inside", "outside", "cover", "spine"})  # that a value may name by itself
CART_KEY = ("bundle_cart_key", "composite_cart_key", "cart_key")


@dataclass
class Line:
    """A line item. place: in the order as it came; files: [{type, url}]; quantity: what is left after refunds."""

    said: dict[str, Any]
    place: int
    names: dict[str, str]  # of print files → the part they print
    refunded: int = 0
    files: list[dict[str, str]] = field(default_factory=list)
    variant: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in rows(get(self.said, "meta_data", "meta")):
            self._sort(each)

    def _sort(self, meta: dict[str, Any]) -> None:
        """Print files, what the buyer chose, and the rest."""
        key, value = line(get(meta, "key", "name"), most=100), get(meta, "value")
        shown = words(get(meta, "display_key", "label")) or key
        part = self.names.get(plainly(key)) or self.names.get(plainly(shown))
        if part and (found := links(value) or links(get(meta, "display_value"))):
            taken = [each["url"] for each in self.files]
            self.files += [{"type": self._part(name, part), "url": url} for name, url in found if url not in taken]
        elif key and not key.startswith("_") and scalar(value):
            self.variant[shown] = words(get(meta, "display_value")) or words(value) or str(value)
        elif (
            key and (not key.startswith("_") or scalar(value)) and not key.startswith(NOISE) and len(str(value)) <= 2000
        ):
            self.metadata[key] = value

    def _part(self, name: str, part: str) -> str:
        """What the value says by itself, as in {"front": …}; else what the settings say of its name."""
        return self.names.get(plainly(name)) or (name.lower() if name.lower() in PARTS else part)

    @cached_property
    def quantity(self) -> int | str:
        asked = quantity(get(self.said, "quantity", "qty"))
        return asked - self.refunded if isinstance(asked, int) else asked

    @property
    def printed(self) -> bool:
        """Whether there is anything to make of it."""
        virtual = yes(get(self.said, "virtual")) or yes(get(self.said, "downloadable"))
        return not virtual and (isinstance(self.quantity, str) or self.quantity > 0)

    @cached_property
    def own(self) -> set[str]:
        """What other lines may call it: its id, and its keys in the cart."""
        return {name for name in (text(get(self.said, "id")), *map(self._hidden_text, CART_KEY)) if name}

    @cached_property
    def parents(self) -> set[str]:
        return set().union(*(self._named(name) for name in CHILD_OF))

    @cached_property
    def children(self) -> set[str]:
        return set().union(*(self._named(name) for name in PARENT_OF))

    def _named(self, name: str) -> set[str]:
        said = get(self.said, name)
        hidden = self._hidden(f"_{name}")
        every = [each for value in (said, hidden) for each in (_each(value))]
        return {found for each in every if (found := text(each)) and found != "0"}

    def _hidden_text(self, name: str) -> str:
        return text(self._hidden(f"_{name}")) or text(get(self.said, name))

    def _hidden(self, key: str) -> Any:
        metas = rows(get(self.said, "meta_data", "meta"))
        return next((get(each, "value") for each in metas if get(each, "key") == key), None)

    def holds(self, other: "Line") -> bool:
        """Whether the other line is a part of this one, a bundle or a composite."""
        return other is not self and bool(self.own & other.parents or self.children & other.own)

    def item(self, currency: str) -> dict[str, Any]:
        return {
            "itemReferenceId": text(get(self.said, "id"), most=120),
            "sku": line(get(self.said, "sku"), most=120),
            "productName": words(get(self.said, "name", "title"))[:200],
            "productVariant": self.variant,
            "quantity": self.quantity,
            "retailPriceInclVat": self._price(currency),
            "files": self.files[:20],
            "metadata": self.metadata,
        }

    def _price(self, currency: str) -> str | None:
        """Of one piece, VAT included: what the whole line costs, shared among its pieces; else its price."""
        asked, total = quantity(get(self.said, "quantity", "qty")), number(get(self.said, "total"))
        if total is None or not isinstance(asked, int) or asked < 1:
            return money(number(get(self.said, "price")), currency)
        return money((total + (number(get(self.said, "total_tax")) or 0)) / asked, currency)


def lines_of(order: dict[str, Any], names: dict[str, str]) -> list[Line]:
    refunded = _refunded(order)
    found = rows(get(order, "line_items", "items", "lines"))
    return [Line(each, place, names, refunded.get(text(get(each, "id")), 0) + _taken_back(get(each, "refunds")))
            for place, each in enumerate(found)]  # fmt: skip


def without_containers(lines: Iterable[Line]) -> tuple[list[Line], list[Problem]]:
    """A bundle is printed as its parts; or as itself, when it brings the print files and they bring none."""
    lines = list(lines)
    left_out: list[Line] = []
    for container in lines:
        parts = [each for each in lines if container.holds(each) and each not in left_out]
        if parts and container.files and not any(part.files for part in parts):
            left_out += parts
        elif parts:
            left_out.append(container)
    notes = [Problem("ITEM_BUNDLE", f"{words(get(each.said, 'name')) or 'A line'} is printed with the rest of its bundle.",
                     pointer("line_items", each.place), "info") for each in left_out]  # fmt: skip
    return [each for each in lines if each not in left_out], notes


def submit_of(order: dict[str, Any], *, id: str, print_files: str, shipment_methods: str) -> Submit | None:
    """The order to be made, or None when it has no line that could be printed. Raises Rejected."""
    names = {name: part or "default" for name, part in pairs(print_files).items()}
    lines, notes = without_containers(each for each in lines_of(order, names) if each.printed)
    if not lines:
        return None
    currency = text(get(order, "currency")).upper()
    shipping = next(iter(rows(get(order, "shipping_lines"))), {})
    draft = {
        "orderReferenceId": text(get(order, "number"), most=120) or id,
        "currency": currency,
        "retailShippingPriceInclVat": _shipping_price(order, currency),
        "shipmentMethodUid": method_of(shipping, shipment_methods),
        "metadata": _metadata(order, shipping),
        "shippingAddress": address_of(order),
        "items": [each.item(currency) for each in lines],
    }
    return Submit(read(draft), source_id=id, notes=tuple(notes))


def address_of(order: dict[str, Any]) -> dict[str, str]:
    """Where it is shipped to. The shop leaves shipping empty when it is as billing; e-mail is only there."""
    shipping, billing = get(order, "shipping", "shipping_address"), get(order, "billing", "billing_address")
    street = shipping if any(line(get(shipping, name)) for name in STREET) else billing
    person = shipping if any(line(get(shipping, name)) for name in NAMES) else billing
    return {
        "firstName": line(get(person, "first_name")),
        "lastName": line(get(person, "last_name")),
        "companyName": line(get(person, "company")),
        "addressLine1": line(get(street, "address_1", "address1")),
        "addressLine2": line(get(street, "address_2", "address2")),
        "city": line(get(street, "city")),
        "postCode": line(get(street, "postcode", "zip")),
        "state": re.sub(r"^JP(?=\d)", "", line(get(street, "state"))),  # JP13: the shop's way to write JP-13
        "country": line(get(street, "country")),
        "email": line(get(billing, "email")) or line(get(shipping, "email")),
        "phone": line(get(shipping, "phone")) or line(get(billing, "phone")),
    }


def method_of(shipping: dict[str, Any], table: str) -> str:
    """Our shipment method for the shop's, by its id ("flat_rate", or one instance: "flat_rate:3") or its title."""
    known = pairs(table)
    id, title = text(get(shipping, "method_id")), line(get(shipping, "method_title"))
    asked = (f"{id}:{text(get(shipping, 'instance_id'))}", title, id)
    return next((known[plainly(name)] for name in asked if plainly(name) in known), known.get("*", ""))


def _metadata(order: dict[str, Any], shipping: dict[str, Any]) -> dict[str, Any]:
    said = {"customerNote": text(get(order, "customer_note")), "shippingMethod": line(get(shipping, "method_title"))}
    found = {name: value for name, value in said.items() if value}
    for each in rows(get(order, "meta_data")):
        key, value = line(get(each, "key"), most=100), get(each, "value")
        if key and not key.startswith("_") and value not in (None, "") and len(str(value)) <= 2000:
            found[key] = value
    return found


def _shipping_price(order: dict[str, Any], currency: str) -> str | None:
    total = number(get(order, "shipping_total"))
    return None if total is None else money(total + (number(get(order, "shipping_tax")) or 0), currency)


def _refunded(order: dict[str, Any]) -> dict[str, int]:
    """Pieces taken back, by line; where the shop's refunds name their lines at all."""
    found: dict[str, int] = {}
    for refund in rows(get(order, "refunds")):
        for each in rows(get(refund, "line_items")):
            metas = rows(get(each, "meta_data"))
            named = next((get(meta, "value") for meta in metas if get(meta, "key") == "_refunded_item_id"), None)
            id = text(named) or text(get(each, "id"))
            found[id] = found.get(id, 0) + _pieces(get(each, "quantity"))
    return found


def _taken_back(refunds: Any) -> int:
    return sum(_pieces(get(each, "quantity", "qty")) for each in rows(refunds))


def _pieces(value: Any) -> int:
    return int(abs(number(value) or Decimal(0)))


def _each(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [get(each, "id") if isinstance(each, dict) else each for each in value.values()]
    return (
        [get(each, "id") if isinstance(each, dict) else each for each in value] if isinstance(value, list) else [value]
    )
