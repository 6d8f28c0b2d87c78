"""How the endpoints of webhooks do: who rests, who is switched off, and whose owner is told.

By Standard Webhooks 1.0: an endpoint that is gone (410) is switched off; one that asks for it (429, 502, 504, or any
failure with a Retry-After) is called less often; one that does nothing but fail is switched off after its owner was told.

An endpoint rests while its `slow_until` lies ahead: its deliveries wait, and no attempt of theirs is used up. Then one of
them is tried; success ends it all, failure begins a longer rest.
"""

import random
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count, F, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from orders.events import TryLater, emit
from orders.models import Delivery, EndpointDay, Trigger

OPEN_AFTER = 3  # failures in a row; then the endpoint rests after each
REST = (30, 60, 120, 300, 600, 900)  # seconds, ± 20 %; the last one for ever
PROBE = 30  # seconds that one attempt at a resting endpoint has; longer than the longest call
SLOWER = {429, 502, 504}
GONE = 410
APART, WITHIN = timedelta(hours=12), timedelta(hours=24)  # the clock starts with failures so far apart, in such a time
PATIENCE = timedelta(days=5)  # of nothing but failures; then it is switched off
PAUSE_DAYS = 2  # without any attempt: what failed before that is not held against it (the longest delay is 28.8 hours)


def resting() -> list[str]:
    """Triggers whose endpoint is not called now."""
    return [str(pk) for pk in Trigger.objects.filter(slow_until__gt=timezone.now()).values_list("pk", flat=True)]


def admits(target: str) -> bool:
    """Whether it may be called. After a rest one attempt is let through: it takes the right to be the one."""
    rested = Trigger.objects.filter(pk=target).values_list("slow_until", flat=True).first()
    if rested is None:
        return True
    now = timezone.now()
    mine = Trigger.objects.filter(pk=target, slow_until__lte=now).update(slow_until=now + timedelta(seconds=PROBE))
    return bool(mine)


def ended(delivery: Delivery, failure: Exception | None, *, at: datetime, milliseconds: int) -> None:
    """Write what an attempt says of its endpoint. Failures of our own, before anything was sent, say nothing."""
    if "request" not in delivery.report:
        return
    if failure is None:
        _answered(delivery.target)
    else:
        trigger = Trigger.objects.select_for_update().filter(pk=delivery.target).first()
        if trigger is not None and trigger.channel == Trigger.Channel.WEBHOOK:
            _failed(trigger, delivery, failure)
    _count(delivery.target, at=at, milliseconds=milliseconds, succeeded=failure is None)


def switch_on(trigger: Trigger) -> None:
    """Call it again, as if it had never failed. What was given up meanwhile waits for somebody to send it again."""
    _forgive(trigger)
    trigger.active, trigger.switched_off_at, trigger.switched_off_why = True, None, ""
    trigger.save(update_fields=["active", "switched_off_at", "switched_off_why", *_STREAK])


def banner() -> dict[str, int]:
    """For pages: how many endpoints fail, and how many were switched off for it."""
    fails = Q(active=True) & (Q(failures__gte=OPEN_AFTER) | Q(warned_at__isnull=False))
    off = Q(active=False, switched_off_at__isnull=False)
    return Trigger.objects.aggregate(failing=Count("pk", filter=fails), switched_off=Count("pk", filter=off))


# --- an attempt ended ---------------------------------------------------------------------------------
_STREAK = ("failures", "failing_since", "slow_until", "warned_at")


def _answered(target: str) -> None:
    """A success ends every trouble. Of a healthy endpoint nothing is written, so its attempts do not queue here."""
    troubled = Q(failures__gt=0) | Q(failing_since__isnull=False) | Q(slow_until__isnull=False)
    Trigger.objects.filter(troubled, pk=target).update(failures=0, failing_since=None, slow_until=None, warned_at=None)


def _failed(trigger: Trigger, delivery: Delivery, failure: Exception) -> None:
    now = timezone.now()
    if not trigger.active:
        return
    if trigger.switched_off_at:  # somebody has switched it on since
        _forgive(trigger)
        trigger.switched_off_at, trigger.switched_off_why = None, ""
    _run_clock(trigger, now)
    trigger.failures += 1
    status = delivery.report.get("answer", {}).get("status")
    if status == GONE:
        _switch_off(trigger, now, "It answered 410: it wants no more of them.")
    elif trigger.warned_at and trigger.failing_since and now - trigger.failing_since >= PATIENCE:
        _switch_off(trigger, now, f"For {PATIENCE.days} days it did nothing but fail. The last time: {failure}")
    else:
        _rest(trigger, now, failure, slower=status in SLOWER)
        _warn(trigger, now, failure)
    trigger.save(update_fields=["active", "switched_off_at", "switched_off_why", *_STREAK])


def _run_clock(trigger: Trigger, now: datetime) -> None:
    """`failing_since` becomes, or stays, the failure with which its days begin."""
    since = trigger.failing_since
    if since is not None and _was_left_alone(trigger, now):
        _forgive(trigger)
        since = None
    started = trigger.warned_at is not None
    if since is None or (not started and now - since > WITHIN):
        trigger.failing_since = now


def _was_left_alone(trigger: Trigger, now: datetime) -> bool:
    """Nothing was tried for so long that this failure belongs to no row of failures."""
    return not EndpointDay.objects.filter(
        trigger=trigger, day__gte=(now - timedelta(days=PAUSE_DAYS)).date(), failed__gt=0
    ).exists()


def _rest(trigger: Trigger, now: datetime, failure: Exception, *, slower: bool) -> None:
    wish = _wish(failure)
    if not (slower or wish or trigger.slow_until or trigger.failures >= OPEN_AFTER):
        return
    wait = REST[min(max(0, trigger.failures - OPEN_AFTER), len(REST) - 1)] * random.uniform(0.8, 1.2)  # noqa: S311
    trigger.slow_until = now + timedelta(seconds=max(wait, wish))


def _wish(failure: Exception) -> float:
    """Seconds the receiver asked for, also when its trigger is one that tries only once."""
    for each in (failure, failure.__cause__):
        if isinstance(each, TryLater) and each.after:
            return each.after
    return 0.0


def _warn(trigger: Trigger, now: datetime, failure: Exception) -> None:
    """Its clock has started: failures, at least 12 hours apart within a day, and no success between them."""
    if trigger.warned_at or trigger.failing_since is None or now - trigger.failing_since < APART:
        return
    trigger.warned_at = now
    _tell("endpoint.failing", trigger, reason=str(failure), since=trigger.failing_since.isoformat(),
          off_at=(trigger.failing_since + PATIENCE).isoformat())  # fmt: skip


def _switch_off(trigger: Trigger, now: datetime, why: str) -> None:
    """At once, and its waiting deliveries are given up, where they are seen and can be sent again."""
    trigger.active, trigger.switched_off_at, trigger.switched_off_why = False, now, why[:300]
    waiting = Delivery.objects.filter(listener="trigger", target=str(trigger.pk), state=Delivery.State.DUE, lease=None)
    count = waiting.update(
        state=Delivery.State.GIVEN_UP, ended_at=now, error=f"Its endpoint was switched off: {trigger.switched_off_why}"
    )
    since = trigger.failing_since or now
    _tell("endpoint.switched_off", trigger, reason=why, since=since.isoformat(), given_up=count)


def _tell(kind: str, trigger: Trigger, **said: Any) -> None:
    told = {"id": str(trigger.pk), "name": trigger.name, "host": urlsplit(trigger.address).hostname or ""}
    emit(None, kind, by="system", customer=trigger.customer, trigger=told, **said)


def _forgive(trigger: Trigger) -> None:
    trigger.failures, trigger.failing_since, trigger.slow_until, trigger.warned_at = 0, None, None, None


def _count(target: str, *, at: datetime, milliseconds: int, succeeded: bool) -> None:
    """One more attempt of its day."""
    days = EndpointDay.objects.filter(trigger_id=target, day=at.date())
    more = {"milliseconds": F("milliseconds") + milliseconds, "slowest": Greatest(F("slowest"), milliseconds)}
    name = "delivered" if succeeded else "failed"
    more[name] = F(name) + 1
    if not days.update(**more) and Trigger.objects.filter(pk=target).exists():
        EndpointDay.objects.bulk_create([EndpointDay(trigger_id=target, day=at.date())], ignore_conflicts=True)
        days.update(**more)
