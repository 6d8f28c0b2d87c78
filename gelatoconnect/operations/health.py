"""Ready or not: the few things without which no order goes its way."""

import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Exists, OuterRef
from django.utils import timezone

from gelatoconnect.lib import logs, storage
from gelatoconnect.operations import heartbeats
from orders import events
from orders.models import Delivery
from orders.texts import duration

log = logging.getLogger(__name__)

SILENT = 60.0  # seconds without a note of any timetable


class Unwell(Exception):
    """What is wrong, in words for staff."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. said: how it is, for staff only."""

    name: str
    ok: bool
    said: str


def readiness() -> list[Check]:
    """All of them, each whatever the others say."""
    return [_looked_at(name, look) for name, look in CHECKS.items()]


def _looked_at(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except Unwell as failure:
        return Check(name, False, str(failure))
    except Exception as error:  # whatever it was: not ready
        log.warning("Not ready: %s: %s", name, error)
        return Check(name, False, logs.clean_error(error))


def database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return f"{connection.display_name} answers."


def migrations() -> str:
    missing = sorted(known_migrations() - set(MigrationRecorder(connection).applied_migrations()))
    if missing:
        raise Unwell(f"{len(missing)} not applied, the first is {'.'.join(missing[0])}: run `manage.py migrate`.")
    return "All are applied."


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """Those of this version of the code; replaced ones left out."""
    return frozenset(MigrationLoader(None).graph.nodes)


def files() -> str:
    """The folder of the files takes one, and keeps what it was given."""
    with tempfile.NamedTemporaryFile(dir=storage.incoming_dir(), prefix="ready-") as file:
        file.write(b"ready")
        file.flush()
        os.fsync(file.fileno())
    return "Can be written."


def deliveries() -> str:
    age = oldest_due()
    if age > settings.READY_SECONDS:
        raise Unwell(f"The oldest has been due for {duration(age)}: is a worker, or the timetable, running?")
    return f"The oldest has been due for {duration(age)}." if age else "Nothing is overdue."


def oldest_due() -> float:
    """Seconds for which the oldest delivery has been due that could be made. Those that wait for an earlier one of their
    order, or for an endpoint that rests, do not count: nobody is late with them."""
    now, due = timezone.now(), Delivery.objects.filter(state=Delivery.State.DUE)
    earlier = due.filter(order=OuterRef("order"), listener=OuterRef("listener"), target=OuterRef("target"),
                         id__lt=OuterRef("id"))  # fmt: skip
    ready = due.filter(due__lte=now).exclude(Exists(earlier)).order_by("due")
    if resting := events.resting():
        ready = ready.exclude(target__in=resting)
    when = ready.values_list("due", flat=True).first()
    return max(0.0, (now - when).total_seconds()) if when else 0.0


def timetable() -> str:
    age = heartbeats.youngest("timetable")
    if age is None:
        raise Unwell("It has not run here yet: start `manage.py timetable`.")
    if age > SILENT:
        raise Unwell(f"Silent for {duration(age)}: start `manage.py timetable`.")
    return f"Heard of {duration(age)} ago."


CHECKS: dict[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "files": files,
    "deliveries": deliveries,
    "timetable": timetable,
}
