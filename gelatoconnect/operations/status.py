"""What the status page shows: what runs, what waits, what fails, how much room is left, and since when there is a backup."""

import platform
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
from django.conf import settings
from django.db import connection
from django.utils import timezone

from gelatoconnect import retention
from gelatoconnect.lib import broker
from gelatoconnect.lib.ids import born
from gelatoconnect.operations import health, heartbeats, metrics
from intake.channels import Channel, channels
from orders.models import Attempt, AuditEntry, Trigger

ROOM = 0.05  # of the disk; less is too little
STALE = timedelta(days=2)  # after which a backup is old


@dataclass(frozen=True, slots=True)
class Queue:
    """One listener's deliveries. since: when the oldest of them that are due became so."""

    listener: str
    due: int
    later: int
    given_up: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Backup:
    at: datetime
    file: str
    bytes: int

    @property
    def is_stale(self) -> bool:
        return timezone.now() - self.at > STALE


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes on the volume of the data."""

    free: int
    total: int

    @property
    def is_short(self) -> bool:
        return self.free < self.total * ROOM


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at this moment. endpoints: those that fail or were switched off for it; channels: those with problems."""

    checks: list[health.Check]
    beats: list[heartbeats.Beat]
    last_attempt: datetime | None
    queues: list[Queue]
    endpoints: list[Trigger]
    channels: list[Channel]
    broker: tuple[bool, str]
    disk: Disk
    database: int | None
    backup: Backup | None
    versions: list[tuple[str, str]]
    kept: list[tuple[str, int, datetime | None]]

    @property
    def is_ready(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def due(self) -> int:
        return sum(queue.due for queue in self.queues)

    @property
    def given_up(self) -> int:
        return sum(queue.given_up for queue in self.queues)


def found() -> Status:
    usage = shutil.disk_usage(settings.DATA_DIR)
    troubled = Trigger.objects.select_related("customer").order_by("name")
    return Status(
        checks=health.readiness(),
        beats=heartbeats.beats(),
        last_attempt=Attempt.objects.order_by("-id").values_list("at", flat=True).first(),
        queues=queues(),
        endpoints=list(troubled.exclude(failing_since=None, switched_off_at=None)[:100]),
        channels=[each for each in channels() if each.problems],
        broker=broker_state(),
        disk=Disk(usage.free, usage.total),
        database=database_bytes(),
        backup=last_backup(),
        versions=versions(),
        kept=kept(),
    )


def queues() -> list[Queue]:
    """Those in which something waits or was given up, the longest first."""
    known = metrics.waiting()
    names = metrics.names(known)
    given_up = metrics.given_up(names)
    found = [Queue(name, each.due, each.later, given_up[name], each.since)
             for name in names for each in [known.get(name, metrics.Waiting())]]  # fmt: skip
    return sorted((each for each in found if each.due or each.later or each.given_up), key=lambda each: -each.due)


def broker_state() -> tuple[bool, str]:
    if not settings.REDIS_URL:
        return True, "None: the workers look into the database every second."
    try:
        broker.client(settings.REDIS_URL).ping()
    except Exception:  # whatever it is: it does not answer
        return False, "Does not answer: the timetable delivers, more slowly."
    return True, "Answers."


def database_bytes() -> int | None:
    if connection.vendor == "sqlite":
        path = Path(str(connection.settings_dict["NAME"]))
        return path.stat().st_size if path.is_file() else None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return cursor.fetchone()[0]


def last_backup() -> Backup | None:
    """The last that `manage.py backup` made; others are not known of."""
    said = heartbeats.read(heartbeats.folder() / "backup.json")
    try:
        return Backup(datetime.fromtimestamp(said["timestamp"], tz=UTC), str(said["file"]), int(said["bytes"]))
    except (KeyError, TypeError, ValueError):
        return None


def versions() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        database = f"{connection.display_name} {cursor.fetchone()[0]}"
    return [("GelatoConnect", settings.VERSION), ("Database", database), ("Python", platform.python_version()),
            ("Django", django.get_version()), ("System", f"{platform.system()} {platform.release()}")]  # fmt: skip


def kept() -> list[tuple[str, int, datetime | None]]:
    """What is erased after how many days (0: never), and when something was last."""
    last: dict[str, datetime] = {}
    for rule in retention.RULES:
        steps = [step.name for step in rule.steps]
        entry = AuditEntry.objects.filter(kind=retention.KIND, object_id__in=steps).order_by("-id").first()
        if entry:
            last[rule.about] = born(entry.pk)
    return [(rule.about, rule.days, last.get(rule.about)) for rule in retention.RULES]
