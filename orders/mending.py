"""Where a problem is mended: problems of one place stand together, with the fields that mend it."""

import re
from dataclasses import dataclass, field
from typing import Any

from django.forms import BoundField

from orders.actions import Amendment
from orders.forms import AmendForm
from orders.models import Item, Order
from orders.texts import serious

# Where a problem points (RFC 6901, into the submitted order) → the amendment that mends it.
PLACES = (
    (re.compile(r"^/shippingAddress\b"), "address"),
    (re.compile(r"^/shipmentMethodUid\b"), "shipment"),
    (re.compile(r"^/items/(\d+)/files/(\d+)"), "files"),
    (re.compile(r"^/items/(\d+)/product"), "products"),
    (re.compile(r"^/items/(\d+)"), ""),
)


@dataclass
class Mending:
    """Problems of one place; `fields` of the amendment that mends them, none when it has to be mended elsewhere."""

    where: str
    problems: list[dict[str, Any]] = field(default_factory=list)
    amendment: Amendment | None = None
    fields: list[BoundField] = field(default_factory=list)
    target: str = ""


def mendings(order: Order, allowed: dict[str, Amendment]) -> list[Mending]:
    """The order's serious problems by place, worst first; with their fields where `allowed` lets this person mend them."""
    forms: dict[str, AmendForm] = {}
    items = list(order.items.all())
    found: dict[tuple[str, str], Mending] = {}
    for problem in serious(order.problems):
        name, places = _amendment(problem.get("path", ""))
        where, target = _where(name, places, items)
        group = found.setdefault((name, target or where), Mending(where, target=target))
        group.problems.append(problem)
        if not group.fields and name in allowed:
            form = forms.setdefault(name, allowed[name].form(order=order, auto_id="mend-%s"))
            group.amendment = allowed[name]
            group.fields = [each for each in form if target in ("", each.name)]
    return list(found.values())


def _amendment(path: str) -> tuple[str, list[int]]:
    for pattern, name in PLACES:
        if match := pattern.match(path):
            return name, [int(place) for place in match.groups()]
    return "", []


def _where(name: str, places: list[int], items: list[Item]) -> tuple[str, str]:
    """What people call the place, and the form's field for it (empty: the whole form)."""
    if name in ("address", "shipment"):
        return {"address": "Recipient", "shipment": "Shipment method"}[name], ""
    if not places or places[0] >= len(items):
        return "Order", ""
    item = items[places[0]]
    label = f"Item {item.number}: {item.name}"
    files = list(item.files.all())
    if name == "files" and places[1] < len(files):
        file = files[places[1]]
        return f"{label}, {file.type} file", f"file-{file.pk}"
    return label, f"item-{item.pk}"
