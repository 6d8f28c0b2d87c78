"""Which orders are late or due soon, and telling once that an order is late.

A promise (Order.ship_by) is made when an order is taken on and never moved silently: neither a hold nor a retry or a
reprocessing gives it more time. Of a late order it is told once, however often that is looked at.
"""

import logging
from datetime import date
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from orders import workdays
from orders.events import emit
from orders.lifecycle import BEFORE_SHIPPING, Status
from orders.models import Order
from orders.services import changing

log = logging.getLogger(__name__)

AT_ONCE = 200  # orders in one look
# Those that have not left the house yet and are meant to: a draft is promised nothing.
EXPECTED = tuple(status for status in BEFORE_SHIPPING if status != Status.DRAFT)


def late() -> Q:
    """Orders that should have left the house before today."""
    return Q(status__in=EXPECTED, ship_by__lt=workdays.today())


def due_soon() -> Q:
    """Orders that are to leave the house today or on the next working day."""
    today = workdays.today()
    return Q(status__in=EXPECTED, ship_by__gte=today, ship_by__lte=workdays.working_day(today, 1))


def is_late(order: Order, *, today: date | None = None) -> bool:
    return order.status in EXPECTED and order.ship_by is not None and order.ship_by < (today or workdays.today())


def untold() -> QuerySet[Order]:
    """Late orders of which that was not told yet."""
    return Order.objects.filter(late(), delayed_at=None).select_related("customer").order_by("status", "ship_by")


def tell_delays() -> int:
    """Tell of the orders that have become late; says of how many. Safe to run twice at the same time."""
    count = 0
    failed: set[UUID] = set()
    while found := list(untold().exclude(pk__in=failed)[:AT_ONCE]):
        for order in found:
            try:
                count += tell_delay(order)
            except Exception:  # the others are not to wait for it
                log.exception("It could not be told that order %s is late", order.pk)
                failed.add(order.pk)
    return count


def tell_delay(order: Order) -> bool:
    """`order.delayed`, unless the order has left, was canceled, or it was told before: that is looked at again under
    the row's lock."""
    today = workdays.today()
    with changing(order) as fresh:
        if fresh.delayed_at is not None or not is_late(fresh, today=today):
            return False
        assert fresh.ship_by is not None
        fresh.delayed_at = timezone.now()
        days, working = (today - fresh.ship_by).days, workdays.working_days_between(fresh.ship_by, today)
        delay = {"shipBy": fresh.ship_by.isoformat(), "days": days, "workingDays": working}
        emit(fresh, "order.delayed", by="system", reason=_words(fresh.ship_by, working), delay=delay)
    return True


def _words(ship_by: date, working: int) -> str:
    since = "no working day ago" if not working else f"{working} working day{'' if working == 1 else 's'} ago"
    return f"It was to leave by {ship_by:%Y-%m-%d}, {since}."
