"""The transactional outbox: emit, listen, deliver, sweep.

A change writes its Event and one Delivery for each listener in the same transaction; whatever leaves the house
happens in `deliver`, later, leased, as often as it takes. The database is the truth: lose the broker or kill a
worker, and a sweep finds the work again. Listeners may therefore run more than once; what they send carries the
event's id, the same on every attempt.
"""

import logging
import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from time import monotonic
from typing import Any, Protocol
from uuid import UUID, uuid4

from django.db import Error, InterfaceError, OperationalError, connection, models, transaction
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from gelatoconnect.lib import later, logs
from gelatoconnect.lib.failpoints import reached
from orders import turns
from orders.models import Attempt, Customer, Delivery, Event, Order

log = logging.getLogger(__name__)

# Standard Webhooks 1.0: at once, then after 5 s, 5 min, 30 min … 24 h; three days in all. Each ± 20 %.
DELAYS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
LEASE = 30.0  # seconds; renewed every third of it while the listener works
LONGEST = 900.0  # seconds after which a lease is no longer renewed

Conclusion = Callable[[], object]


class TryLater(Exception):
    """It did not work this time; `after` says in how many seconds at the earliest."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Permanent(Exception):
    """It will never work: give up, visibly."""


class Endpoints(Protocol):
    """Who watches over the endpoints that a listener's targets are (see orders.endpoints)."""

    def resting(self) -> Collection[str]:
        """Targets that are not called at present."""

    def admits(self, target: str) -> bool:
        """Whether it may be called now. Asked in the transaction that claims a delivery."""

    def ended(self, delivery: Delivery, failure: Exception | None, *, at: datetime, milliseconds: int) -> None:
        """An attempt has ended. Called in the transaction that records it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What follows events. `handle` runs outside any transaction and may return a conclusion, which is run in the
    transaction that ends the delivery: both happen, or neither. by_target: each target takes turns with the others."""

    name: str
    kinds: tuple[str, ...]
    handle: Callable[[Delivery], Conclusion | None]
    each: Callable[[Event], Iterable[str]] = field(default=lambda event: ("",))
    delays: tuple[float, ...] = DELAYS
    by_target: bool = False
    endpoints: Endpoints | None = None

    def hears(self, kind: str) -> bool:
        return any(fnmatchcase(kind, pattern) for pattern in self.kinds)


LISTENERS: dict[str, Listener] = {}


def listen(*kinds: str, name: str, **more: Any) -> Callable:
    """Register a listener for kinds of events (with wildcards). `each` names targets with a Delivery of their own."""

    def register(handle: Callable[[Delivery], Conclusion | None]) -> Callable:
        LISTENERS[name] = Listener(name, kinds, handle, **more)
        return handle

    return register


def emit(order: Order | None, kind: str, *, by: str, customer: Customer | None = None, source: str = "",
         target: str = "", seconds: float | None = None, **data: Any) -> Event:  # fmt: skip
    """Write the event and its deliveries. Refuses to run outside a transaction; the caller saves the order."""
    if not connection.in_atomic_block:
        raise RuntimeError("An event is written in the transaction of the change it tells of.")
    now = timezone.now()
    if order is not None:
        order.sequence += 1
        customer = order.customer
    event = Event(order=order, customer=customer, kind=kind, by=by, at=now, source=source, target=target,
                  seconds=seconds, sequence=order.sequence if order else 1, data=data)  # fmt: skip
    event.save(force_insert=True)
    deliveries = [
        Delivery(event=event, order=order, listener=listener.name, target=str(each), due=now)
        for listener in LISTENERS.values()
        if listener.hears(kind)
        for each in listener.each(event)
    ]
    if deliveries:
        Delivery.objects.bulk_create(deliveries)
        later.wake()
    return event


def due(*, limit: int, overdue: float = 0.0) -> list[UUID]:
    """Deliveries that may run now, in turns (see orders.turns): nobody's backlog delays the others.

    One order's deliveries to one target wait for each other; endpoints that rest, or are busy, are left out.
    """
    now = timezone.now()
    by_target = [name for name, listener in LISTENERS.items() if listener.by_target]
    return turns.ready(limit=limit, until=now - timedelta(seconds=overdue), listeners=tuple(LISTENERS),
                       by_target=by_target, resting=sorted(resting().union(turns.busy(now))))  # fmt: skip


def resting() -> set[str]:
    """Targets that are not called at present, because their endpoints fail."""
    return {target for each in LISTENERS.values() if each.endpoints for target in each.endpoints.resting()}


def sweep(*, seconds: float = 20.0) -> int:
    """Deliver whatever is due until nothing is left or the time is up; says how many. Safe anywhere, any number at once."""
    until, count = monotonic() + seconds, 0
    while monotonic() < until and (pks := due(limit=20)):
        random.shuffle(pks)  # several sweepers: fewer collisions
        for pk in pks:
            count += deliver(pk)
            if monotonic() >= until:
                break
    return count


def deliver(pk: UUID) -> bool:
    """One attempt at one delivery. False when another worker has it, or it is not due."""
    delivery = _claim(pk)
    if delivery is None:
        return False
    with logs.bound(delivery=pk, order=delivery.order_id, listener=delivery.listener):
        _attempt(delivery)
    return True


def _attempt(delivery: Delivery) -> None:
    reached("deliver.claimed")
    started, at = monotonic(), timezone.now()
    conclude: Conclusion | None = None
    failure: Exception | None = None
    try:
        with _lease_kept(delivery):
            reached("deliver.begun")
            conclude = _listener_of(delivery).handle(delivery)
            reached("deliver.done")
    except Exception as error:
        if isinstance(error, OperationalError | InterfaceError) and not connection.is_usable():
            raise  # our own database is away, which is not held against the receiver: as if this worker had died
        if not isinstance(error, TryLater | Permanent):
            log.exception("Delivery %s to %s failed", delivery.pk, delivery.listener)
        failure = error
    _end(delivery, conclude, failure, at=at, milliseconds=int((monotonic() - started) * 1000))


def _listener_of(delivery: Delivery) -> Listener:
    if delivery.listener not in LISTENERS:
        raise Permanent(f"Nothing listens by the name {delivery.listener!r} any more.")
    return LISTENERS[delivery.listener]


def is_last_attempt(delivery: Delivery) -> bool:
    """Whether giving up follows if this attempt fails."""
    return delivery.attempts > len(LISTENERS[delivery.listener].delays)


def replay(deliveries: models.QuerySet[Delivery]) -> int:
    """Send ended deliveries again, with their full number of attempts; says how many."""
    again = deliveries.exclude(state=Delivery.State.DUE)
    count = again.update(state=Delivery.State.DUE, due=timezone.now(), attempts=0, lease=None, ended_at=None)
    later.wake()
    return count


def hasten(order: Order, listener: str) -> bool:
    """Let the order's waiting delivery to this listener run at once, with its full number of attempts.

    False while one of them is at work: what it sees may be older than what the caller knows.
    """
    waiting = Delivery.objects.filter(order=order, listener=listener, state=Delivery.State.DUE)
    if not waiting.filter(lease=None).update(due=timezone.now(), attempts=0) and waiting.exists():
        return False
    later.wake()
    return True


def _claim(pk: UUID) -> Delivery | None:
    """Check and act in one UPDATE: of many workers one wins. The attempt counts from here, so a crash counts.

    A target that is called often enough at once is left alone; two workers who look at the same moment may both be let in.
    """
    found = Delivery.objects.filter(pk=pk, state=Delivery.State.DUE).values_list("listener", "target").first()
    if found is None:
        return None
    listener, token = LISTENERS.get(found[0]), uuid4()
    if listener and listener.endpoints:
        with transaction.atomic():
            if not (listener.endpoints.admits(found[1]) and _lease(pk, token)):
                transaction.set_rollback(True)
                return None
    elif not _lease(pk, token):
        return None
    known = Delivery.objects.select_related("event__customer", "order__customer", "order__address")
    return known.filter(pk=pk, lease=token).first()


def _lease(pk: UUID, token: UUID) -> bool:
    now = timezone.now()
    others = turns.running(now).filter(target=models.OuterRef("target"))
    many = models.Exists(others[turns.at_once() - 1 :])
    free = Delivery.objects.filter(models.Q(target="") | ~many, pk=pk, state=Delivery.State.DUE, due__lte=now)
    due = now + timedelta(seconds=LEASE)
    return bool(free.update(lease=token, due=due, attempts=models.F("attempts") + 1))


@contextmanager
def _lease_kept(delivery: Delivery) -> Iterator[None]:
    """Renew the lease while the work goes on, so that only a dead or frozen worker loses it."""
    stop = threading.Event()

    def renew() -> None:
        until = monotonic() + LONGEST
        while not stop.wait(LEASE / 3) and monotonic() < until:
            held = Delivery.objects.filter(pk=delivery.pk, lease=delivery.lease)
            with suppress(Error):  # the database may be back the next time
                held.update(due=timezone.now() + timedelta(seconds=LEASE))
            connection.close()

    thread = threading.Thread(target=renew, daemon=True, name="lease")
    thread.start()
    try:
        yield
    finally:
        stop.set()


def _end(delivery: Delivery, conclude: Conclusion | None, failure: Exception | None, **tried: Any) -> None:
    """Record the attempt together with its consequence, unless the lease was lost: then the result is dropped."""
    try:
        with transaction.atomic():
            if not _write(delivery, failure, **tried):
                log.warning("Delivery %s lost its lease; its result is dropped", delivery.pk)
            elif conclude and not failure:
                conclude()
    except TransitionNotAllowed as error:  # the order has moved on meanwhile: nothing is left to do
        _write(delivery, Permanent(str(error)), **tried)
    except Exception as error:
        log.exception("The conclusion of delivery %s failed", delivery.pk)
        _write(delivery, error, **tried)


@transaction.atomic
def _write(delivery: Delivery, failure: Exception | None, *, at: datetime, milliseconds: int) -> bool:
    state, when = _next(delivery, failure)
    ended = state != Delivery.State.DUE
    mine = Delivery.objects.filter(pk=delivery.pk, lease=delivery.lease).update(
        state=state, due=when, lease=None, error=str(failure or ""), ended_at=timezone.now() if ended else None
    )
    if mine:
        Attempt.objects.create(delivery=delivery, at=at, milliseconds=milliseconds, succeeded=failure is None,
                               message=str(failure or ""), report=delivery.report)  # fmt: skip
        listener = LISTENERS.get(delivery.listener)
        if listener and listener.endpoints:
            listener.endpoints.ended(delivery, failure, at=at, milliseconds=milliseconds)
    return bool(mine)


def _next(delivery: Delivery, failure: Exception | None) -> tuple[str, datetime]:
    now = timezone.now()
    if failure is None:
        return Delivery.State.DONE, now
    listener = LISTENERS.get(delivery.listener)
    if isinstance(failure, Permanent) or listener is None or is_last_attempt(delivery):
        return Delivery.State.GIVEN_UP, now
    wait = listener.delays[delivery.attempts - 1] * random.uniform(0.8, 1.2)  # noqa: S311
    return Delivery.State.DUE, now + timedelta(seconds=max(wait, getattr(failure, "after", None) or 0))
