"""What orders show of their parcels: a panel on their page, and `shipment.packages` of the API's answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from orders import panels
from orders.lifecycle import Status
from orders.models import Delivery, Order
from shipping.models import Package
from shipping.packing import packable
from shipping.tracking import SEEN, WAY, path


@dataclass(frozen=True, slots=True)
class Missing:
    """A label that is not there yet. error: why the last attempt failed; given_up: nobody tries any more."""

    package: Package
    error: str
    given_up: bool


def packages_of(order: Order) -> QuerySet[Package]:
    """The order's live packages with everything that pages show of them."""
    live = Package.objects.live().filter(order=order)
    return live.select_related("account").prefetch_related("contents__item__product", "scans")


def labels_missing(order: Order, packages: Sequence[Package] | QuerySet[Package]) -> list[Missing]:
    """Labels that were asked for and are not there yet."""
    unlabeled = {str(package.pk): package for package in packages if not package.label}
    if not unlabeled:
        return []
    booked = Delivery.objects.filter(order=order, listener="label", target__in=unlabeled)
    return [Missing(unlabeled[each.target], each.error, each.state == Delivery.State.GIVEN_UP)
            for each in booked if each.state != Delivery.State.DONE]  # fmt: skip


@panels.panel("Packages", template="shipping/_packages.html")
def show_packages(order: Order, user: Any) -> dict[str, Any]:
    packages = list(packages_of(order))
    may_pack = packable(order) and user.has_perm("orders.pack_order")
    if not packages and not may_pack:
        return {}
    return {
        "packages": [{"package": package, "words": _words(order, package, user)} for package in packages],
        "may_pack": may_pack,
        "missing": labels_missing(order, packages),
    }


@panels.packages
def answer_packages(order: Order) -> list[dict[str, Any]]:
    """contents: how many of each item, by its id; carrier: the account it goes by. Both are for postbacks."""
    live = Package.objects.live().filter(order=order).select_related("account").prefetch_related("contents")
    return [
        {
            "id": package.pk, "tracking_code": package.tracking_code, "tracking_url": package.tracking_url,
            "status": package.status, "weight": package.weight,
            "carrier": package.account.name if package.account else "",
            "contents": {str(piece.item_id): piece.quantity for piece in package.contents.all()},
        }
        for package in live
    ]  # fmt: skip


def _words(order: Order, package: Package, user: Any) -> list[tuple[str, str]]:
    """What this person may say of the parcel now: (status, label) of everything that is further than it is."""
    on_its_way = any(path(order.status, status) for status in SEEN)
    if not on_its_way or not user.has_perm("orders.ship_order"):
        return []
    return [(status, Status(status).label) for status in WAY[WAY.index(package.status) + 1 :]]
