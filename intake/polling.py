"""Asking the channels: those that do not call, and those that do, whose shops are compared with what has arrived.

Each on its own schedule, claimed so that one process at a time does it. What a channel holds and never sent is taken, and
marked as recovered.
"""

import logging
from datetime import timedelta
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import cast
from uuid import UUID

from django.db import connections
from django.utils import timezone

from gelatoconnect.lib.problems import Rejected
from intake import pipeline
from intake.connectors import CONNECTOR_TYPES, config_of, kind_of, memory_of
from intake.connectors.base import Incoming
from intake.connectors.schedule import Scheduled
from intake.doors import desk_of
from intake.models import Connector, OrderRequest
from intake.talks import hold
from orders.events import Permanent, TryLater
from orders.models import Order

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)  # of one pull; a process that dies holds its channel no longer
AT_ONCE = 8  # channels that one process asks at the same time
PATIENCE = 5.0  # seconds until others are begun: a slow one delays nobody else
OVERLAP = timedelta(hours=2)  # asked once more each time: orders that were being written when we asked last
FIRST = timedelta(days=3)  # how far back the first comparison looks
KEPT = 120  # characters of a source_id
AGAIN = timedelta(minutes=5)  # after a failure, at the latest


_slots = BoundedSemaphore(AT_ONCE)


def pull_due() -> int:
    """Begin to ask every channel whose time has come, and wait a little for them; says how many. Safe to run in several
    processes at once, and while slow channels of an earlier time are still being asked."""
    threads = []
    for pk in _due():
        if not _slots.acquire(blocking=False):
            break
        if claim(pk):
            threads.append(Thread(target=_in_slot, args=[pk], name="pull", daemon=True))
            threads[-1].start()
        else:
            _slots.release()
    until = monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return len(threads)


def claim(pk: UUID) -> bool:
    """Check and act in one UPDATE: of several processes one asks."""
    now = timezone.now()
    return bool(Connector.objects.filter(pk=pk, active=True, next_pull__lte=now).update(next_pull=now + LEASE))


def is_put_off(connector: Connector) -> bool:
    """Whether it has its quiet hours, however it came to be due in them; then it is asked at their end."""
    try:
        config = cast(Scheduled, config_of(connector))
    except Rejected:
        return False
    now = timezone.now()
    until = config.after_quiet(now)
    if until > now:
        Connector.objects.filter(pk=connector.pk).update(next_pull=until)
    return until > now


def pull(connector: Connector) -> int:
    """Ask one channel now, and note when to ask again; says how many requests came of it."""
    config, error, count, now = None, "", 0, timezone.now()
    try:
        config = cast(Scheduled, config_of(connector))
        if not config.interval:
            Connector.objects.filter(pk=connector.pk).update(next_pull=None)
            return 0
        kind = kind_of(connector)
        if kind.scans:
            count = kind.scan(desk_of(connector, config))
        else:
            since = (connector.pulled_at or now - FIRST) - OVERLAP
            found = hold(kind.pull(since, config, memory_of(connector)), connector)
            count, error = take_all(unknown(found, connector), connector)
    except (TryLater, Permanent, Rejected) as failure:
        error = str(failure)
    except Exception as failure:
        log.exception("Asking the channel %s failed", connector.name)
        error = f"A fault of ours: {type(failure).__name__}."
    note(connector, config, error=error)
    return count


def take_all(found: list[Incoming], connector: Connector) -> tuple[int, str]:
    """Take each; one that cannot be taken stops none of the others. Says how many came in, and the first failure."""
    count, error = 0, ""
    for incoming in found:
        try:
            pipeline.take(incoming, connector=connector)
            count += 1
        except Rejected as failure:
            error = error or str(failure)
        except Exception as failure:
            log.exception("%s of the channel %s could not be taken", incoming.source_id, connector.name)
            error = error or f"{incoming.source_id}: a fault of ours: {type(failure).__name__}."
    return count, error


def note(connector: Connector, config: Scheduled | None, *, error: str) -> None:
    """When it was asked, how that went, and when it is asked again: after a failure a little sooner, at the latest."""
    now = timezone.now()
    following = config.next_after(now) if config else now + AGAIN
    if error and following:
        following = config.after_quiet(min(following, now + AGAIN)) if config else now + AGAIN
    done = {} if error else {"pulled_at": now}
    Connector.objects.filter(pk=connector.pk).update(next_pull=following, pull_error=error[:2000], **done)


def unknown(found: list[Incoming], connector: Connector) -> list[Incoming]:
    """Those that have not arrived, as an order or as a request of whatever result; oldest first, as they are given.

    Ids are compared as requests keep them, cut to their column.
    """
    ids = [incoming.source_id[:KEPT] for incoming in found]
    known: set[str] = set()
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        orders = Order.objects.filter(connector=connector.pk, source_id__in=some)
        requests = OrderRequest.objects.filter(connector=connector, source_id__in=some)
        known |= {id or "" for id in orders.values_list("source_id", flat=True)}
        known |= set(requests.values_list("source_id", flat=True))
    return [incoming for incoming in found if incoming.source_id[:KEPT] not in known]


def _pulled() -> list[str]:
    return [name for name, kind in CONNECTOR_TYPES.items() if kind.pulls]


def _due() -> list[UUID]:
    waiting = Connector.objects.filter(type__in=_pulled(), active=True, next_pull__lte=timezone.now())
    return list(waiting.order_by("next_pull").values_list("pk", flat=True)[:64])


def _in_slot(pk: UUID) -> None:
    try:
        _in_thread(pk)
    finally:
        _slots.release()


def _in_thread(pk: UUID) -> None:
    try:
        connector = Connector.objects.select_related("customer").get(pk=pk)
        if not is_put_off(connector):
            pull(connector)
    except Exception:
        log.exception("A channel could not be asked")
    finally:
        connections.close_all()
