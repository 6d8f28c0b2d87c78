"""The clock wakes the workers, and delivers by itself what nobody takes."""

import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from gelatoconnect.celery import TIMETABLE, Every
from gelatoconnect.lib import later
from gelatoconnect.management.commands import timetable
from orders import events
from orders.models import Customer, Delivery


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a listener of its own was given."""
    given: list[str] = []
    listener = events.Listener("clock-test", ("clock.*",), lambda delivery: given.append(delivery.event.kind))
    monkeypatch.setitem(events.LISTENERS, "clock-test", listener)
    return given


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    rung: list[None] = []
    monkeypatch.setattr(later, "_hint", lambda: rung.append(None))
    monkeypatch.setattr(later.transaction, "on_commit", lambda hint, **_: hint())
    return rung


def emit(customer: Customer, *, seconds_ago: float = 0.0) -> None:
    with transaction.atomic():
        event = events.emit(None, "clock.struck", by="test", customer=customer)
    Delivery.objects.filter(event=event).update(due=timezone.now() - timedelta(seconds=seconds_ago))


def test_what_nobody_takes_within_the_grace_is_delivered_here(
    customer: Customer, delivered: list[str], settings: Any, hints: list[None]
) -> None:
    settings.REDIS_URL = "redis://nobody.invalid"
    emit(customer, seconds_ago=4)
    hints.clear()
    timetable.keep_delivering(grace=3)
    assert len(hints) == 1
    assert delivered == ["clock.struck"]
    assert list(Delivery.objects.values_list("state", flat=True)) == [Delivery.State.DONE]


def test_within_the_grace_it_is_left_to_the_workers_who_are_woken(
    customer: Customer, delivered: list[str], settings: Any, hints: list[None]
) -> None:
    settings.REDIS_URL = "redis://nobody.invalid"
    emit(customer, seconds_ago=1)
    emit(customer, seconds_ago=1)
    hints.clear()
    timetable.keep_delivering(grace=3)
    assert len(hints) == 2
    assert delivered == []
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


def test_without_a_broker_nobody_else_is_waited_for(customer: Customer, delivered: list[str]) -> None:
    emit(customer)
    timetable.keep_delivering(grace=3)
    assert delivered == ["clock.struck"]


def test_with_a_broker_that_does_not_answer_nobody_else_is_waited_for(
    customer: Customer, delivered: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://nobody.invalid"
    monkeypatch.setattr(later, "_hint", lambda: None)
    later._breaker.failed()
    emit(customer)
    timetable.keep_delivering(grace=3)
    assert delivered == ["clock.struck"]


def test_with_nothing_due_nobody_is_woken(db: None, settings: Any, hints: list[None]) -> None:
    settings.REDIS_URL = "redis://nobody.invalid"
    timetable.keep_delivering(grace=3)
    assert hints == []


@pytest.mark.parametrize("entry", TIMETABLE, ids=lambda entry: entry.name)
def test_every_entry_of_the_timetable_can_be_called(entry: Every) -> None:
    assert callable(timetable.work(entry, grace=0))
    assert entry.seconds > 0


def test_the_timetable_says_each_name_once() -> None:
    names = [entry.name for entry in TIMETABLE]
    assert sorted(set(names)) == sorted(names)


def run_clock(work: Callable[[threading.Event], None], *, seconds: float) -> None:
    """In a thread with connections of its own, as the command does it, until the work sets the event."""
    stop = threading.Event()
    entry = Every(seconds, "tested", "")
    clock = threading.Thread(target=timetable.keep_doing, args=(entry, lambda: work(stop), stop))
    clock.start()
    clock.join(timeout=10)
    assert stop.is_set()


@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), ZeroDivisionError("a mistake")])
def test_whatever_goes_wrong_the_clock_goes_on(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def work(stop: threading.Event) -> None:
        calls.append(monotonic())
        if len(calls) == 3:
            stop.set()
        raise error

    with caplog.at_level(logging.WARNING):
        run_clock(work, seconds=0.02)
    assert len(calls) == 3
    assert len(caplog.records) == 3


def test_a_slow_entry_never_overlaps_itself() -> None:
    calls: list[tuple[float, float]] = []

    def work(stop: threading.Event) -> None:
        started = monotonic()
        sleep(0.05)
        calls.append((started, monotonic()))
        if len(calls) == 3:
            stop.set()

    run_clock(work, seconds=0.01)
    assert all(before[1] <= after[0] for before, after in pairwise(calls))


def test_the_clock_outlives_a_database_that_is_away_and_stops_when_asked(start: Callable, free_port: int) -> None:
    process = start("manage.py", "timetable", DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port}/none")
    for _ in range(2):
        while line := process.stdout.readline():
            if "sweep: the database does not answer" in line:
                break
        assert line, "the clock has stopped"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=8)
    assert process.returncode == 0
