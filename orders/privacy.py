"""What is known of a recipient: told when they ask for it, and forgotten when they want to be.

An order is forgotten when it has ended; until then it is needed. What stays is its skeleton: what was made, how many, for
how much, and the chain of its events without what they say of people. The apps above keep things of an order too: they
register a Keeper.
"""

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from gelatoconnect.lib import storage
from orders.answers import history_of, order_of
from orders.events import emit
from orders.lifecycle import ENDED, Status
from orders.models import Address, Attempt, Delivery, Event, Order, PrintFile, SearchEntry
from orders.services import changing

log = logging.getLogger(__name__)

# Nobody may ever scan a parcel: so long after it was shipped it counts as delivered.
ARRIVED_AFTER = timedelta(days=30)
OVER = (*ENDED, Status.FAILED, Status.DRAFT)
AT_ONCE = 500  # orders in one look for those that are due
ERASED = "(erased)"
STAYS = ("verb", "channel", "delay")  # of what an event says
PERSONAL = ("address", "note", "file", "reason")  # words in the names of changes that may tell of people


@dataclass(frozen=True, slots=True)
class Keeper:
    """What an app above keeps of an order's recipient.

    erase  blanks it, in the transaction that forgets the order; says the sha256 of contents that it needs no more
    tell   the same in words: JSON
    needs  which of these contents (sha256) it still needs for something else
    drop   what it has noted of a content that is removed
    """

    name: str
    erase: Callable[[Order], set[str]]
    tell: Callable[[Order], Any]
    needs: Callable[[set[str]], set[str]]
    drop: Callable[[str], object] = lambda sha256: None


KEEPERS: list[Keeper] = []


# --- forgetting ---------------------------------------------------------------------------------------
def ask_to_forget(orders: Iterable[Order]) -> int:
    """Mark the recipients: each is forgotten as soon as the order has ended (see forget_due). Says how many."""
    asked = Address.objects.filter(order__in=orders, erase_at=None)
    return asked.update(erase_at=timezone.now())


def forget_due() -> int:
    """Forget the marked recipients whose orders have ended; says how many. Safe to run twice at the same time."""
    count = 0
    failed: set[UUID] = set()
    while due := list(due_to_forget().exclude(pk__in=failed)[:AT_ONCE]):
        for order in due:
            try:
                count += erase(order, by="system")
            except Exception:  # the others are not to wait for it
                log.exception("The recipient of order %s could not be forgotten", order.pk)
                failed.add(order.pk)
    return count


def due_to_forget() -> Any:
    arrived = Q(status__in=(Status.SHIPPED, Status.IN_TRANSIT), status_since__lte=timezone.now() - ARRIVED_AFTER)
    asked = Order.objects.filter(address__erase_at__lte=timezone.now())
    return asked.filter(Q(status__in=OVER) | arrived).select_related("customer", "address").order_by("id")


def erase(order: Order, *, by: str) -> bool:
    """Forget the recipient of an order, wherever something of them stands. False when that was done before."""
    with changing(order) as fresh:
        new = not is_forgotten(fresh)
        gone = _erase_files(fresh) | {sha for keeper in KEEPERS for sha in keeper.erase(fresh)}
        _erase_address(fresh.address)
        _erase_order(fresh)
        erase_events(Event.objects.filter(order=fresh))
        if new:
            emit(fresh, "order.forgotten", by=by)
        for sha256 in gone - still_needed(gone):
            transaction.on_commit(partial(remove, sha256), robust=True)
    return new


def is_forgotten(order: Order) -> bool:
    return not order.address.name and order.events.filter(kind="order.forgotten").exists()


def _erase_address(address: Address) -> None:
    """All but the country: where orders go is counted."""
    for field in Address.FIELDS:
        if field != "country":
            setattr(address, field, False if field == "is_business" else "")
    address.erase_at = None
    address.save()


def _erase_order(order: Order) -> None:
    order.metadata, order.extra, order.source, order.hold_reason = {}, {}, {}, ""
    order.problems = [without_words(problem) for problem in order.problems]
    order.items.update(metadata={}, variant={})
    SearchEntry.objects.filter(order=order).update(text=f"{order.reference} {order.pk}".lower())


def _erase_files(order: Order) -> set[str]:
    files = PrintFile.objects.filter(item__order=order)
    gone = {sha for sha in files.values_list("sha256", flat=True) if sha}
    files.update(url=ERASED, md5="", sha256="", size=None, fetched_at=None, previews=[])
    return gone


def erase_events(events: Any) -> None:
    """What the events say of people, and what was sent and answered when they were told."""
    for event in events:
        if (kept := skeleton_of(event.data)) != event.data:
            Event.objects.filter(pk=event.pk).update(data=kept)
    told = Delivery.objects.filter(event__in=events)
    Attempt.objects.filter(delivery__in=told).update(report={}, message="")
    told.exclude(error="").update(error=ERASED)


def skeleton_of(data: dict[str, Any]) -> dict[str, Any]:
    """What an event may go on saying: the names of what changed, the codes of what was wrong, which request it was."""
    kept: dict[str, Any] = {name: data[name] for name in STAYS if name in data}
    if isinstance(data.get("changes"), dict):
        kept["changes"] = {name: [ERASED, ERASED] if any(word in name for word in PERSONAL) else change
                           for name, change in data["changes"].items()}  # fmt: skip
    if isinstance(data.get("problems"), list):
        kept["problems"] = [without_words(problem) for problem in data["problems"]]
    if isinstance(package := data.get("package"), dict):
        kept["package"] = {name: package[name] for name in ("id", "status", "weight") if name in package}
    if isinstance(request := data.get("request"), dict):
        kept["request"] = {name: request[name] for name in ("id", "connector") if name in request}
    if data.get("reason"):
        kept["reason"] = ERASED
    return kept


def without_words(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem's code and place: its message may quote what it found."""
    kept = {name: problem.get(name, "") for name in ("code", "path", "severity")}
    return kept | {"message": f"{problem.get('code', '')} {ERASED}".strip(), "hint": ""}


def still_needed(contents: set[str]) -> set[str]:
    """Which of these contents something else holds still: they are kept once, however many orders print them."""
    printed = set(PrintFile.objects.filter(sha256__in=contents).values_list("sha256", flat=True))
    return printed.union(*(keeper.needs(contents) for keeper in KEEPERS)) if contents else set()


def remove(sha256: str) -> None:
    """A content and the pictures of its pages, from the disk; unless an order has come to need it meanwhile."""
    if not still_needed({sha256}):
        drop(sha256)


def drop(sha256: str) -> None:
    """The same, whoever needs it."""
    storage.path_of(sha256).unlink(missing_ok=True)
    shutil.rmtree(storage.previews_of(sha256), ignore_errors=True)
    for keeper in KEEPERS:
        keeper.drop(sha256)


# --- telling ------------------------------------------------------------------------------------------
def export(orders: Iterable[Order]) -> dict[str, Any]:
    """Everything that is known of the recipient of these orders, as JSON."""
    return {"exportedAt": timezone.now().isoformat(), "orders": [_told(order) for order in orders]}


def _told(order: Order) -> dict[str, Any]:
    kept = {keeper.name: keeper.tell(order) for keeper in KEEPERS}
    more = {
        "shipBy": order.ship_by.isoformat() if order.ship_by else None,
        "extra": order.extra,
        "source": order.source,
    }
    return order_of(order).json_data() | more | {"history": history_of(order).json_data()["history"]} | kept
