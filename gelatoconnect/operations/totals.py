"""Counters that survive every process: what has happened so far, counted from the rows that tell of it.

The timetable adds up what has come since it last looked, in ranges of ids, and keeps the sums in one small file that all
machines share. The sums are a function of the database: lose the file, and they are counted again from the beginning.
Rows younger than SETTLED are left for the next time, so that what is still being written is not passed over.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, F, IntegerField, Max, QuerySet, Sum, Value, When
from django.utils import timezone

from gelatoconnect.lib.ids import first_id
from gelatoconnect.operations import heartbeats
from intake.models import OrderRequest
from orders.models import Attempt, Event

SETTLED = timedelta(seconds=60)  # no transaction takes as long, and no clock is as wrong
AT_ONCE = 20_000  # rows of one table in one step
STEPS = 50  # in one run; what is more follows in the next
BUCKETS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000)  # milliseconds
SLOWER = len(BUCKETS)
Sums = dict[str, int]


def path() -> Path:
    return settings.FILES_DIR / "heartbeats" / "totals.json"


def read() -> dict[str, Any]:
    """requests {channel|result: n}, transitions {verb|target: n}, attempts {listener|result|bucket: n}, milliseconds
    {listener: sum}, and how far each was counted."""
    empty: dict[str, Any] = {"requests": {}, "transitions": {}, "attempts": {}, "milliseconds": {}, "counted": {}}
    return empty | heartbeats.read(path())


def count() -> int:
    """Count what is new; says how many steps it took. While another process counts, nothing is done."""
    steps = 0
    with _alone() as mine:
        if not mine:
            return 0
        said = read()
        settled = _settled(said["counted"])
        while steps < STEPS and any([_requests(said), _transitions(said), _attempts(said, until=settled)]):
            heartbeats.write(path(), said)
            steps += 1
        heartbeats.write(path(), said)
    return steps


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else is inside."""
    path().parent.mkdir(parents=True, exist_ok=True)
    with path().with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _requests(said: dict[str, Any]) -> bool:
    """By channel and by what had become of them a minute after they came."""
    rows = _next(OrderRequest.objects.order_by("id"), said, "requests")
    return rows is not None and _add(said["requests"], rows, "connector__type", "state")


def _transitions(said: dict[str, Any]) -> bool:
    rows = _next(Event.objects.order_by("id"), said, "transitions")
    return rows is not None and _add(said["transitions"], rows.exclude(target=""), "kind")


def _next(found: QuerySet, said: dict[str, Any], name: str) -> QuerySet | None:
    """The next rows whose ids are their age; None when there is none. Notes how far they go."""
    found = found.filter(id__lt=first_id(timezone.now() - SETTLED))
    if after := said["counted"].get(name):
        found = found.filter(id__gt=after)
    ids = list(found.values_list("id", flat=True)[:AT_ONCE])
    if not ids:
        return None
    said["counted"][name] = str(ids[-1])
    return found.model._default_manager.filter(id__gte=ids[0], id__lte=ids[-1]).order_by()


def _settled(counted: dict[str, Any]) -> int:
    """The newest attempt that was there a minute ago: their ids are no times, and are given before they are committed."""
    now = timezone.now().timestamp()
    if now - counted.get("seen_at", 0) >= SETTLED.total_seconds():
        newest = Attempt.objects.aggregate(newest=Max("id"))["newest"] or 0
        counted |= {"settled": counted.get("seen", 0), "seen": newest, "seen_at": now}
    return counted["settled"]


def _attempts(said: dict[str, Any], *, until: int) -> bool:
    """By listener, by how they ended, and by how long they took; up to that attempt."""
    after = said["counted"].get("attempts", 0)
    until = min(until, after + AT_ONCE)
    if until <= after:
        return False
    said["counted"]["attempts"] = until
    took = Case(*(When(milliseconds__lte=limit, then=Value(place)) for place, limit in enumerate(BUCKETS)),
                default=Value(SLOWER), output_field=IntegerField())  # fmt: skip
    new = Attempt.objects.filter(id__gt=after, id__lte=until).order_by()
    rows = new.annotate(listener=F("delivery__listener"), took=took)
    for row in rows.values("listener").annotate(sum=Sum("milliseconds")):
        said["milliseconds"][row["listener"]] = said["milliseconds"].get(row["listener"], 0) + row["sum"]
    return _add(said["attempts"], rows, "listener", "succeeded", "took")


def _add(sums: Sums, rows: QuerySet, *names: str) -> bool:
    for row in rows.values(*names).annotate(count=Count("id")):
        key = "|".join(str(row[name]) for name in names)
        sums[key] = sums.get(key, 0) + row["count"]
    return True
