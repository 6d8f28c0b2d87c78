"""What Prometheus is told. Nearly all of it stands in the database, so it is the same whichever process is asked.

What is now (gauges) is asked at each scrape, by index and counted no further than CAP; what has happened so far (counters)
is added up by the timetable, see `totals`.
"""

import platform
import shutil
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import django
from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet
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
    due, later = waiting()
    found = [({"listener": name, "state": state}, counts.get(name, 0))
             for state, counts in (("due", due), ("later", later)) for name in names(due, later)]  # fmt: skip
    found += [({"listener": name, "state": "given_up"}, count) for name, count in given_up(names(due, later))]
    help = f"Deliveries that are due, that wait for their time, that were given up; no more than {CAP:,} are counted."
    yield gauge("deliveries", help, found)


def waiting() -> tuple[dict[str, int], dict[str, int]]:
    """How many deliveries of each listener are due, and how many wait for their time; of the CAP that are due first."""
    first = Delivery.objects.filter(state=State.DUE).order_by("due").values("pk")[:CAP]
    rows, now = Delivery.objects.filter(pk__in=first).order_by(), timezone.now()
    due = dict(rows.filter(due__lte=now).values_list("listener").annotate(count=Count("pk")))
    return due, dict(rows.filter(due__gt=now).values_list("listener").annotate(count=Count("pk")))


def names(*more: Iterable[str]) -> list[str]:
    """Every listener, and others of which deliveries are left."""
    return sorted({*events.LISTENERS, *(name for each in more for name in each)})


def given_up(listeners: Iterable[str]) -> list[tuple[str, int]]:
    """How many of each listener's, in one statement; each is found in the index and counted no further than CAP."""
    parts = [Delivery.objects.filter(listener=name, state=State.GIVEN_UP).order_by().values("listener")[:CAP]
             for name in listeners]  # fmt: skip
    return _counted(parts, "listener")


def open_orders() -> Iterator[Metric]:
    parts = [Order.objects.filter(status=status).order_by().values("status")[:CAP] for status in OPEN]
    found = dict(_counted(parts, "status"))
    rows = [({"status": status.value}, found.get(status.value, 0)) for status in OPEN]
    yield gauge("open_orders", f"Orders that have not ended, by status; at most {CAP:,} of each are counted.", rows)


def _counted(parts: list[QuerySet], column: str) -> list[tuple[str, int]]:
    """What several capped queries find, counted by the database in one statement."""
    statements, values = zip(*(part.query.sql_with_params() for part in parts), strict=True)
    union = " UNION ALL ".join(f"SELECT * FROM ({each}) AS part_{place}" for place, each in enumerate(statements))  # noqa: S608
    counted = f"SELECT {column}, COUNT(*) FROM ({union}) AS parts GROUP BY 1"  # noqa: S608  # Django wrote the parts
    with connection.cursor() as cursor:
        cursor.execute(counted, [value for each in values for value in each])
        return cursor.fetchall()


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
