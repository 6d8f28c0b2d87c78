"""The clock: runs what the timetable lists, and keeps deliveries moving whatever state the broker is in."""

import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.utils.module_loading import import_string

from gelatoconnect.celery import SPELL, TIMETABLE, Every
from gelatoconnect.lib import later
from orders import events

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run the timetable until stopped. Several may run at once; with --grace 0 it needs no broker and no worker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grace", type=float, default=3.0, metavar="SECONDS",
            help="how long the workers have to take what is due before this process does it (default 3)",
        )  # fmt: skip

    def handle(self, *, grace: float, **options: Any) -> None:
        asked: list[int] = []  # a signal handler must not touch a lock, so it cannot set the event
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: asked.append(number))
        stop = threading.Event()
        clocks = [
            threading.Thread(target=keep_doing, args=(entry, work(entry, grace=grace), stop), name=entry.name, daemon=True)
            for entry in TIMETABLE
        ]  # fmt: skip
        for clock in clocks:
            clock.start()
        while not asked:
            sleep(0.2)
            if silent := [clock.name for clock in clocks if not clock.is_alive()]:
                raise CommandError(f"The clock stopped for: {', '.join(silent)}.")
        stop.set()
        deadline = monotonic() + SPELL
        for clock in clocks:
            clock.join(timeout=max(0.0, deadline - monotonic()))


def work(entry: Every, *, grace: float) -> Callable[[], object]:
    return partial(keep_delivering, grace=grace) if entry.name == "sweep" else import_string(entry.function)


def keep_delivering(*, grace: float) -> None:
    """Wake the workers for what is due; what they cannot hear of, or have not taken within the grace, deliver here."""
    for _ in events.due(limit=settings.WORKERS):
        later.wake()
    if events.due(limit=1, overdue=0.0 if later.reaches_nobody() else grace):
        events.sweep(seconds=SPELL)


def keep_doing(entry: Every, work: Callable[[], object], stop: threading.Event) -> None:
    """One thread for each entry: a slow one delays only itself, and never overlaps itself."""
    while not stop.is_set():
        do(entry.name, work)
        stop.wait(entry.seconds)


def do(name: str, work: Callable[[], object]) -> None:
    """Once, with its connections looked after as a request's are. Whatever goes wrong, the clock goes on."""
    try:
        close_old_connections()
        work()
        close_old_connections()
    except (OperationalError, InterfaceError) as error:
        log.warning("%s: the database does not answer: %s", name, str(error).strip())
        connections.close_all()
    except Exception:
        log.exception("%s failed", name)
        connections.close_all()
