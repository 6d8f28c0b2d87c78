"""Where parcels have been seen, and what that says of their order.

Scans come late, twice and out of order. Each is kept once; a package's status only goes forward (shipped, in transit,
delivered, returned), and the order follows its packages along the arrows of the lifecycle, never back.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django_fsm import can_proceed

from gelatoconnect.lib.ids import parse_id
from orders.events import emit
from orders.lifecycle import STEPS, Status, arrows
from orders.models import Order, ShipmentMethod
from orders.services import changing, move
from shipping.models import Package, Scan

# How far a package has come; a scan that says less than is known changes nothing.
WAY: list[str] = [Status.PACKAGED, Status.SHIPPED, Status.IN_TRANSIT, Status.DELIVERED, Status.RETURNED]
SEEN = WAY[1:]  # what a scan can say
NOT_SCANNED = "PARCEL_NOT_SCANNED"  # the warning on an order whose parcel no scan has told of
VERBS = ("ship", "travel", "arrive", "come_back")  # the part of the lifecycle on which orders follow their packages


def note(package: Package, *, status: str, at: datetime, place: str = "", message: str = "", by: str) -> Order:
    """Keep the word that `package` was seen at `at` in `status` (one of SEEN); the order moves as far as that says.

    The same word (package, status, at) a second time changes nothing; of a voided package it is kept, no more.
    """
    if status not in SEEN:
        raise ValueError(f"{status!r} is no status of a parcel on its way.")
    with transaction.atomic():
        with changing(package.order) as order:
            known = Package.objects.get(pk=package.pk)
            said = {"place": place[:120], "message": message[:300], "by": by}
            _, new = Scan.objects.get_or_create(package=known, status=status, at=at, defaults=said)
            further = new and known.voided_at is None and WAY.index(status) > WAY.index(known.status)
            if further:
                changes = {"package.status": [known.status, status]}
                known.status, known.status_at, known.order = status, at, order
                _found(known, order)
                known.save(update_fields=["status", "status_at", "missed_at"])
                scan = {"at": at.isoformat(), **said}
                emit(order, "package.status_updated", by=by, **told(known), scan=scan, changes=changes)
        return follow_packages(order, by=by, reason=message) if further else order


def _found(package: Package, order: Order) -> None:
    """It was missed, and has been seen: the warning on its order goes."""
    package.missed_at = None
    order.problems = [problem for problem in order.problems if problem.get("code") != NOT_SCANNED
                      or problem.get("details", {}).get("package") != str(package.pk)]  # fmt: skip


def find_package(code: str) -> Package | None:
    """The package with this tracking code, or this id; rather a live one than one that was voided."""
    code, id = code.strip(), parse_id(code)
    named = (
        Package.objects.filter(pk=id) if id else Package.objects.filter(tracking_code=code).exclude(tracking_code="")
    )
    return named.select_related("order").order_by(F("voided_at").asc(nulls_first=True), "-id").first()


def follow_packages(order: Order, *, by: str, reason: str = "") -> Order:
    """Move the order to where its packages are, also over steps that no scan told of; as far as the lifecycle allows."""
    for verb in path(order.status, goal(order)):
        if not can_proceed(getattr(order, verb)):  # on hold: it follows when it is resumed
            break
        order = move(order, verb, by=by, **({"reason": reason} if "reason" in STEPS[verb].asks else {}))
    return order


def goal(order: Order) -> str:
    """The status that an order's live packages give it: that of the least advanced one, but one package on its way is
    enough for In Transit."""
    reached = [
        WAY.index(status) for status in Package.objects.live().filter(order=order).values_list("status", flat=True)
    ]
    if not reached:
        return order.status
    in_transit = WAY.index(Status.IN_TRANSIT)
    return WAY[max(min(reached), in_transit if max(reached) >= in_transit else 0)]


def path(source: str, target: str) -> tuple[str, ...]:
    """The fewest of VERBS that lead from one status to the other; none when no way leads there, as always backwards."""
    ways: dict[str, tuple[str, ...]] = {source: ()}
    queue = [source]
    while queue and target not in ways:
        here = queue.pop(0)
        for arrow in arrows():
            there = str(arrow.target)
            if arrow.name in VERBS and arrow.source == here and there not in ways:
                ways[there] = (*ways[here], arrow.name)
                queue.append(there)
    return ways.get(target, ())


def told(package: Package) -> dict[str, Any]:
    """What events tell of a package: `package` and `shipment` of the standard payload. Weight in g."""
    uid = package.order.shipment_method.partition(",")[0].strip()
    method = ShipmentMethod.objects.filter(uid=uid).first()
    items = [
        {"id": str(piece.item_id), "quantity": piece.quantity, "referenceId": piece.item.reference,
         "metadata": piece.item.metadata}
        for piece in package.contents.select_related("item")
    ]  # fmt: skip
    return {
        "package": {"id": str(package.pk), "items": items, "status": package.status, "weight": package.weight},
        "shipment": {
            "fulfillmentLocation": {"country": settings.PRODUCER_COUNTRY, "stateProvince": ""},
            "method": {"id": uid, "name": method.name if method else ""},
            "tracking": {"code": package.tracking_code, "url": package.tracking_url},
        },
    }
