"""Whose turn it is: the due deliveries that may run now, fairly mixed, in one statement that never reads a whole backlog.

A listener inside the house is one party; of a listener that calls endpoints each endpoint is one. The parties take turns,
so that nobody waits behind another's backlog. Left out are endpoints that rest, and those that are called as often at
once as they may be; and whatever waits for an earlier delivery of its order to the same target.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, models

from orders.models import Delivery

AT_ONCE = 4  # deliveries to one target at the same time, at most; see `at_once`
WINDOW = 200  # of the longest due, whoever's they are, this many are mixed …
SHARE = 20  # … with so many of each listener's oldest

# Of one listener: asked so that only the index of listener, state and id fits. PostgreSQL would else read the whole table
# in the order of its ids whenever it takes a listener for busy that is not.
_OLDEST = "d.state >= 'due' AND d.state <= 'due'", "d.state DESC, d.id"
_LONGEST = "d.state = 'due'", "d.due"

_READY = """SELECT * FROM (SELECT d.id, d.listener, d.target, d.due FROM orders_delivery d
WHERE {due} AND d.due <= %s{only} AND NOT EXISTS (SELECT 1 FROM orders_delivery e WHERE e.order_id = d.order_id
AND e.listener = d.listener AND e.target = d.target AND e.state = 'due' AND e.id < d.id)
ORDER BY {order} LIMIT {most}) {name}"""
_TURNS = """SELECT id FROM (SELECT id, due, row_number() OVER (PARTITION BY listener, {party} ORDER BY due, id) AS turn
FROM ({ready}) AS ready) AS turns ORDER BY turn, due LIMIT %s"""


def at_once() -> int:
    """How many deliveries to one target may run at the same time: one worker is always left for the others."""
    return min(AT_ONCE, max(1, settings.WORKERS - 1))


def running(now: datetime) -> models.QuerySet[Delivery]:
    """Deliveries at work. A lease that has run out does not count: its worker is dead."""
    return Delivery.objects.filter(lease__isnull=False, state=Delivery.State.DUE, due__gt=now)


def busy(now: datetime) -> list[str]:
    """Targets that are called as often at once as they may be."""
    counted = running(now).exclude(target="").values("target").annotate(count=models.Count("pk"))
    return list(counted.filter(count__gte=at_once()).values_list("target", flat=True))


def ready(*, limit: int, until: datetime, listeners: Collection[str], by_target: Collection[str], resting: Collection[str]
          ) -> list[UUID]:  # fmt: skip
    """Deliveries due until then, in turns. by_target: the listeners of which each target is a party of its own."""
    sql, values = statement(limit=limit, until=until, listeners=listeners, by_target=by_target, resting=resting)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [id if isinstance(id, UUID) else UUID(id) for (id,) in cursor.fetchall()]


def statement(*, limit: int, until: datetime, listeners: Iterable[str], by_target: Collection[str],
              resting: Collection[str]) -> tuple[str, list[Any]]:  # fmt: skip
    due = connection.ops.adapt_datetimefield_value(until)
    skipped = f" AND d.target NOT IN ({_marks(resting)})" if resting else ""
    arms = [_arm(*_LONGEST, only=skipped, most=max(WINDOW, limit), name="longest")]
    values: list[Any] = [due, *resting]
    for number, listener in enumerate(listeners):
        mine = f" AND d.listener = %s{skipped if listener in by_target else ''}"
        arms.append(_arm(*_OLDEST, only=mine, most=SHARE, name=f"of_{number}"))
        values += [due, listener, *(resting if listener in by_target else ())]
    party = f"CASE WHEN listener IN ({_marks(by_target)}) THEN target ELSE '' END" if by_target else "''"
    return _TURNS.format(party=party, ready=" UNION ".join(arms)), [*by_target, *values, limit]


def _arm(due: str, order: str, *, only: str, most: int, name: str) -> str:
    return _READY.format(due=due, order=order, only=only, most=most, name=name)


def _marks(values: Collection[str] | Sequence[str]) -> str:
    return ", ".join(["%s"] * len(values))
