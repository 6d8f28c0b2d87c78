"""Where a problem is mended: problems of one place stand together, with the fields that mend it."""

import re
from dataclasses import dataclass, field
from itertools import count
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
    (re.compile(r"^/items/(\d+)/files"), "files"),
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
    """The order's serious problems by place, worst first; with their fields where `allowed` lets this person mend them.

    Each problem gets a `number`, in reading order: by it the pictures of the pages point at the list.
    """
    forms: dict[str, AmendForm] = {}
    items = list(order.items.all())
    found: dict[tuple[str, str], Mending] = {}
    for problem in serious(order.problems):
        name, where, target = _place(problem.get("path", ""), items)
        group = found.setdefault((name, target or where), Mending(where, target=target))
        group.problems.append(problem)
        if not group.fields and name in allowed:
            form = forms.setdefault(name, allowed[name].form(order=order, auto_id="mend-%s"))
            group.amendment = allowed[name]
            group.fields = [each for each in form if target in ("", each.name)]
    numbers = count(1)
    for group in found.values():
        group.problems = [problem | {"number": next(numbers)} for problem in group.problems]
    return list(found.values())


def _place(path: str, items: list[Item]) -> tuple[str, str, str]:
    """The amendment that mends what stands at `path`, what people call the place, and the form's field for it.

    Both amendment and field are empty where there is none; only the field, where it is the whole form.
    """
    name, match = next(((name, match) for pattern, name in PLACES if (match := pattern.match(path))), ("", None))
    if match and not match.groups():
        return name, {"address": "Recipient", "shipment": "Shipment method"}[name], ""
    place, *rest = (int(number) for number in match.groups()) if match else (len(items),)
    if place >= len(items):
        return "", "Order", ""
    item, label = items[place], f"Item {items[place].number}: {items[place].name}"
    if not rest:
        return name, label, f"{'new' if name == 'files' else 'item'}-{item.pk}"
    files = list(item.files.all())
    if rest[0] >= len(files):
        return "", label, ""
    return name, f"{label}, {files[rest[0]].type} file", f"file-{files[rest[0]].pk}"
