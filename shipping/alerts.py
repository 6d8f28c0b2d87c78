"""Parcels that nobody has seen: a label was made, the order was handed over, and no scan has come since.

Only parcels that can be followed are watched, those with a tracking page: of others no carrier ever says anything. Each
is told of once (`package.not_scanned`); the next scan takes the warning away.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from gelatoconnect.lib.ids import first_id
from gelatoconnect.lib.problems import Problem
from orders.events import emit
from orders.lifecycle import Status
from orders.models import Order
from orders.services import changing
from shipping.models import Package
from shipping.tracking import NOT_SCANNED, told

log = logging.getLogger(__name__)

AT_ONCE = 200  # parcels in one look
GIVEN_UP_AFTER = timedelta(days=30)  # what nobody has followed for so long, nobody waits for


def waited_for() -> Q:
    """Parcels whose order has left the house, that carry a label, and that can be followed."""
    gone = Q(order__status__in=(Status.SHIPPED, Status.IN_TRANSIT), voided_at=None)
    return gone & Q(status__in=(Status.PACKAGED, Status.SHIPPED)) & ~Q(label="") & ~Q(tracking_url="")


def unscanned(now: datetime) -> QuerySet[Package]:
    """Those that were handed over and labeled SCAN_EXPECTED_HOURS ago, have not been seen, and were not told of yet.

    A parcel that stayed behind when its order left counts from its label.
    """
    since = now - timedelta(hours=settings.SCAN_EXPECTED_HOURS)
    handed_over = Q(status=Status.PACKAGED) | Q(status_at__lte=since)
    recent = Q(id__gte=first_id(since - GIVEN_UP_AFTER))
    found = Package.objects.filter(waited_for(), handed_over, recent, labeled_at__lte=since, missed_at=None)
    return found.select_related("order").order_by("id")


def tell_unscanned() -> int:
    """Tell of the parcels that should have been seen by now; says of how many. Safe to run twice at the same time."""
    count = 0
    failed: set[UUID] = set()
    now = timezone.now()
    while settings.SCAN_EXPECTED_HOURS and (found := list(unscanned(now).exclude(pk__in=failed)[:AT_ONCE])):
        for package in found:
            try:
                count += tell_unscanned_of(package, now=now)
            except Exception:  # the others are not to wait for it
                log.exception("It could not be told that parcel %s was not scanned", package.pk)
                failed.add(package.pk)
    return count


def tell_unscanned_of(package: Package, *, now: datetime) -> bool:
    """`package.not_scanned` and a warning on the order, unless a scan has come or it was told meanwhile: that is looked
    at again under the row's lock."""
    with changing(package.order) as order:
        known = unscanned(now).filter(pk=package.pk).first()
        if known is None or known.labeled_at is None:
            return False
        known.order, known.missed_at = order, now
        known.save(update_fields=["missed_at"])
        problem = _problem(known, order)
        order.problems = [*order.problems, problem.as_dict()]
        emit(order, "package.not_scanned", by="system", reason=problem.message, **told(known),
             labeledAt=known.labeled_at.isoformat())  # fmt: skip
    return True


def _problem(package: Package, order: Order) -> Problem:
    code = package.tracking_code or f"number {package.number}"
    behind = " It may still be in the house." if package.status == Status.PACKAGED else ""
    return Problem(
        NOT_SCANNED, f"No scan of parcel {code} has come for {settings.SCAN_EXPECTED_HOURS} hours.{behind}",
        severity="warning", hint="Ask the carrier, or record the scan that is missing.",
        details={"package": str(package.pk)},
    )  # fmt: skip
