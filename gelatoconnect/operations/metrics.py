"""What Prometheus is told. Nearly all of it stands in the database, so it is the same whichever process is asked.

What is now (gauges) is asked at each scrape, by index and counted no further than CAP; what has happened so far (counters)
is added up by the timetable, see `totals`.
"""

import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import django
from django.conf import settings
from django.db import connection
from django.db.models import Case, QuerySet, When
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from gelatoconnect.operations import health, heartbeats, requests, totals
from intake.models import Connector
from orders import events
from orders.lifecycle import OPEN
from orders.models import Delivery, Order, Trigger

CAP = 10_000  # rows that are counted of one kind; more are told as this many
State = Delivery.State


def exposition() -> bytes:
    """Everything, in the text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now())
    return generate_latest(registry)


class _Now:
    """What prometheus_client collects: all families, as they are at this moment."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from build()
        yield from queue()
        yield from open_orders()
        yield from troubles()
        yield from machine()
        yield from counters(totals.read())
        yield requests.family()


def build() -> Iterator[Metric]:
    info = {"version": settings.VERSION, "python": platform.python_version(), "django": django.get_version(),
            "database": connection.vendor}  # fmt: skip
    yield gauge("build_info", "The version that runs; always 1.", [(info, 1)])


def queue() -> Iterator[Metric]:
    """What waits to be delivered, and what was given up."""
    yield gauge(
        "oldest_due_delivery_seconds",
        "For how long the delivery is due that would be made next.",
        [({}, health.oldest_due())],
    )
    known = waiting()
    found = [({"listener": name, "state": state}, getattr(known.get(name, Waiting()), state))
             for state in ("due", "later") for name in names(known)]  # fmt: skip
    found += [({"listener": name, "state": "given_up"}, count) for name, count in given_up(names(known)).items()]
    help = f"Deliveries that are due, that wait for their time, that were given up; no more than {CAP:,} are counted."
    yield gauge("deliveries", help, found)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A listener's deliveries that are to be made. since: when the oldest that is due became so."""

    due: int = 0
    later: int = 0
    since: datetime | None = None


def waiting() -> dict[str, Waiting]:
    """By listener, of the CAP that are due first: read from their own index, and counted by the database."""
    now = timezone.now()
    first = Delivery.objects.filter(state=State.DUE).order_by("due")
    rows = first.annotate(is_due=Case(When(due__lte=now, then=1), default=0)).values("listener", "is_due", "due")[:CAP]
    statement, values = rows.query.sql_with_params()
    counted = f"SELECT listener, SUM(is_due), COUNT(*), MIN(due) FROM ({statement}) AS waiting GROUP BY 1"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(counted, values)
        return {name: Waiting(due, count - due, _moment(since) if due else None) for name, due, count, since in cursor}


def _moment(said: Any) -> datetime:
    """As the database writes it: SQLite as text."""
    moment = said if isinstance(said, datetime) else datetime.fromisoformat(said)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def names(more: Iterable[str]) -> list[str]:
    """Every listener, and others of which deliveries are left."""
    return sorted({*events.LISTENERS, *more})


def given_up(listeners: Iterable[str]) -> dict[str, int]:
    """How many of each listener's."""
    gone = Delivery.objects.filter(state=State.GIVEN_UP)
    return counted({name: gone.filter(listener=name) for name in listeners})


def open_orders() -> Iterator[Metric]:
    found = counted({status.value: Order.objects.filter(status=status) for status in OPEN})
    help = f"Orders that have not ended, by status; no more than {CAP:,} of each are counted."
    yield gauge("open_orders", help, [({"status": status}, count) for status, count in found.items()])


def counted(parts: dict[str, QuerySet]) -> dict[str, int]:
    """How many rows each query finds, in one statement; each is found by index and counted no further than CAP."""
    ids = [part.order_by().values("pk")[:CAP].query.sql_with_params() for part in parts.values()]
    union = ", ".join(f"(SELECT COUNT(*) FROM ({statement}) AS part)" for statement, _ in ids)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {union}", [value for _, values in ids for value in values])
        return dict(zip(parts, cursor.fetchone(), strict=True))


def troubles() -> Iterator[Metric]:
    failing = Trigger.objects.filter(active=True).exclude(failing_since=None).count()
    off = Trigger.objects.exclude(switched_off_at=None).filter(active=False).count()
    yield gauge("endpoints", "Webhooks and mail triggers that fail, or were switched off for it.",
                [({"state": "failing"}, failing), ({"state": "switched_off"}, off)])  # fmt: skip
    wrong = Connector.objects.filter(active=True).exclude(pull_error="").count()
    yield gauge("channels_failing", "Channels that could not be asked when it was last tried.", [({}, wrong)])


def machine() -> Iterator[Metric]:
    beats = {
        name: min(each.age for each in group) for name, group in groupby(heartbeats.beats(), lambda each: each.name)
    }
    yield gauge("heartbeat_age_seconds", "Since any process of that kind was heard of.",
                [({"process": name}, round(age, 1)) for name, age in beats.items()])  # fmt: skip
    yield gauge("disk_free_bytes", "On the volume of the files.", [({}, shutil.disk_usage(settings.DATA_DIR).free)])
    backup = heartbeats.read(heartbeats.folder() / "backup.json")
    yield gauge("last_backup_timestamp_seconds", "When `manage.py backup` last ended well; nothing: never.",
                [({}, backup["timestamp"])] if "timestamp" in backup else [])  # fmt: skip


def counters(said: dict[str, Any]) -> Iterator[Metric]:
    yield counter("requests", "Order requests, by channel and by what became of them in the first minute.",
                  ["channel", "result"], said["requests"])  # fmt: skip
    yield counter(
        "transitions", "Changes of orders' status, by the event that tells of them.", ["event"], said["transitions"]
    )
    tried: dict[str, int] = {}
    for key, count in said["attempts"].items():
        listener, succeeded, _ = key.split("|")
        name = f"{listener}|{'succeeded' if succeeded == 'True' else 'failed'}"
        tried[name] = tried.get(name, 0) + count
    yield counter("delivery_attempts", "Attempts at deliveries, by listener and result.", ["listener", "result"], tried)
    yield _durations(said)


def _durations(said: dict[str, Any]) -> Metric:
    """How long attempts took; those of the listener `check` are the preflight of print files with their download."""
    found = HistogramMetricFamily(
        "gelatoconnect_delivery_duration_seconds",
        "How long attempts took, by listener; `check` downloads print files and looks into them.", labels=["listener"],
    )  # fmt: skip
    places: dict[str, list[int]] = {}
    for key, count in said["attempts"].items():
        listener, _, place = key.split("|")
        places.setdefault(listener, [0] * (totals.SLOWER + 1))[int(place)] += count
    for listener, counts in sorted(places.items()):
        found.add_metric(
            [listener], requests.cumulated(counts, totals.BUCKETS), said["milliseconds"].get(listener, 0) / 1000
        )
    return found


def gauge(name: str, help: str, rows: Iterable[tuple[dict[str, str], float]]) -> Metric:
    rows = list(rows)
    found = GaugeMetricFamily(f"gelatoconnect_{name}", help, labels=list(rows[0][0]) if rows else [])
    for labels, value in rows:
        found.add_metric(list(labels.values()), value)
    return found


def counter(name: str, help: str, labels: list[str], sums: dict[str, int]) -> Metric:
    found = CounterMetricFamily(f"gelatoconnect_{name}", help, labels=labels)
    for key, count in sorted(sums.items()):
        found.add_metric(key.split("|"), count)
    return found
