"""The worker: woken by a hint, it sweeps for a spell, and wakes the next one when there is more."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gelatoconnect import celery
from gelatoconnect.lib import later
from orders import events
from tests.processes.conftest import RedisServer, alive, children, linux_only, until

WORKER = ["-m", "celery", "-q", "-A", "gelatoconnect", "worker", "--without-gossip", "--without-mingle"]
STAND_IN = ["-I", "tests.processes.swept_to_file"]
SUPERVISE = """
import sys
from gelatoconnect.supervisor import Program, Supervisor
Supervisor([Program("worker", [sys.executable, *sys.argv[1:]])]).run()
"""
WAKE = """
import time, django
django.setup()
from gelatoconnect.lib import broker, later
broker.PATIENCE = 5
later.wake()
time.sleep(1)
"""


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []
    monkeypatch.setattr(later, "wake", lambda: calls.append(None))
    return calls


@pytest.mark.parametrize(("due", "wakes"), [(0, 0), (1, 0), (2, 1)])
def test_a_worker_wakes_the_next_when_there_is_work_for_two(
    due: int, wakes: int, woken: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "due", lambda *, limit: list(range(due))[:limit])
    monkeypatch.setattr(events, "sweep", lambda *, seconds: due)
    celery.sweep()
    assert len(woken) == wakes


def test_a_worker_whose_spell_is_over_wakes_another_for_the_rest(
    woken: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    spells: list[float] = []

    def work_on(*, seconds: float) -> int:
        spells.append(seconds)
        now[0] += seconds
        return 7

    monkeypatch.setattr(celery, "monotonic", lambda: now[0])
    monkeypatch.setattr(events, "due", lambda *, limit: [])
    monkeypatch.setattr(events, "sweep", work_on)
    celery.sweep()
    assert spells == [celery.SPELL]
    assert len(woken) == 1


def test_a_sleeping_worker_is_woken_and_sweeps(start: Callable, redis_url: str, tmp_path: Path) -> None:
    swept = tmp_path / "swept"
    worker = start(*WORKER, "-I", "tests.processes.swept_to_file", REDIS_URL=redis_url, WORKERS="1", SWEPT=str(swept))
    until(lambda: children(worker.pid), seconds=30)
    start("-c", WAKE, REDIS_URL=redis_url)
    assert until(lambda: swept.exists() and swept.read_text(), seconds=20) == "5"


@linux_only
def test_a_worker_ends_with_the_supervisor_in_the_middle_of_its_work(
    start: Callable, redis_server: RedisServer, tmp_path: Path
) -> None:
    swept, settings = tmp_path / "swept", {"REDIS_URL": redis_server.url, "WORKERS": "2", "BUSY": "60"}
    process = start("-c", SUPERVISE, *WORKER, *STAND_IN, **settings, SWEPT=str(swept))
    below = until(lambda: len(found := children(process.pid)) == 3 and found, seconds=30)
    start("-c", WAKE, REDIS_URL=redis_server.url)
    until(swept.exists, seconds=20)
    process.kill()
    until(lambda: alive(below) == [], seconds=3)


def test_a_worker_without_a_broker_says_what_to_run_instead(start: Callable) -> None:
    worker = start(*WORKER)
    output, _ = worker.communicate(timeout=30)
    assert worker.returncode == 1
    expected = "REDIS_URL is not set, so nothing wakes a worker: run `manage.py timetable --grace 0` instead."
    assert output.strip().splitlines()[-1] == expected


def test_celery_waits_for_no_broker_and_keeps_nothing() -> None:
    conf = celery.app.conf
    assert conf.broker_transport_options["socket_timeout"] == 2
    assert conf.task_publish_retry is False
    assert conf.accept_content == ["json"]
    assert conf.result_backend is None
