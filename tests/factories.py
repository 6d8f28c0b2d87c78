"""Rows for tests, made through the real doors: orders are placed and moved, groups are those of the roles."""

from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import F

from gelatoconnect.lib.problems import Problem
from orders.drafts import Draft, read
from orders.models import Customer, Order, Product
from orders.services import move, place

_numbers = count(1)

FAILURE = Problem("ADDRESS_POSTCODE_FORMAT", "123 is not a postcode of Germany.", "/shippingAddress/postCode",
                  hint="Send five digits.")  # fmt: skip
# How an order comes to each status, step by step.
_WAY = ("accept", "release", "start", "finish", "package", "ship", "travel", "arrive")
_STATUSES = (
    "received",
    "passed",
    "created",
    "in_production",
    "printed",
    "packaged",
    "shipped",
    "in_transit",
    "delivered",
)
_WALKS: dict[str, tuple[str, ...]] = {status: _WAY[:steps] for steps, status in enumerate(_STATUSES)} | {
    "draft": (),
    "failed": ("fail",),
    "canceled": ("cancel",),
    "returned": (*_WAY, "come_back"),
}


def make_customer(**fields: Any) -> Customer:
    number = next(_numbers)
    return Customer.objects.create(**{"reference": f"customer-{number}", "name": f"Customer {number}"} | fields)


def make_product(**fields: Any) -> Product:
    known = {"uid": f"card-{next(_numbers)}", "name": "Card A6", "trim_width": 105, "trim_height": 148, "weight": 8}
    return Product.objects.create(**known | fields)


def make_draft(**changes: Any) -> Draft:
    """A good draft in the words of the API; keyword arguments replace its fields."""
    return read({
        "orderReferenceId": f"ORDER-{next(_numbers)}",
        "currency": "EUR",
        "shippingAddress": {"firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Karl Johans gate 4",
                            "city": "Oslo", "postCode": "0154", "country": "NO", "email": "ana@example.com"},
        "items": [{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 2,
                   "files": [{"type": "default", "url": "https://files.example/card.pdf"}]}],
    } | changes)  # fmt: skip


def make_order(
    status: str = "received", *, customer: Customer | None = None, product: Product | None = None, **changes: Any
) -> Order:
    """An order in that status, placed and then moved there one real step after the other."""
    if status == "draft":
        changes["orderType"] = "draft"
    draft = make_draft(**changes)
    product = product or make_product()
    order = place(
        draft, customer=customer or make_customer(), products=[product] * len(draft.items), by="connector:test"
    )
    for verb in _WALKS[status]:
        if verb == "package":
            order.items.update(packed=F("quantity"))
        answers = {"problems": [FAILURE]} if verb == "fail" else {}
        order = move(order, verb, by="system", **answers)
    return order


def make_user(role: str = "Manager", **fields: Any) -> User:
    """A person of the staff with the permissions that `role` has since the migrations (gelatoconnect.roles)."""
    user = User.objects.create_user(**{"username": f"{role.split()[0].lower()}-{next(_numbers)}"} | fields)
    user.groups.add(Group.objects.get(name=role))
    return user
