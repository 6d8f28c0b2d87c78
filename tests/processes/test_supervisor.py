"""Programs are brought back when they die, stopped when asked, and gone when the supervisor is."""

import os
import signal
from collections.abc import Callable
from subprocess import Popen
from time import monotonic, sleep

import psutil
import pytest

from gelatoconnect import supervisor
from gelatoconnect.supervisor import Child, Program
from tests.processes.conftest import alive, children, linux_only, until

# Reads the programs as name=python code; `PATIENCE` is how long it waits for them at the end.
SUPERVISE = """
import os, sys
from gelatoconnect import supervisor
supervisor.PATIENCE = float(os.environ.get("PATIENCE", 8))
pairs = [argument.split("=", 1) for argument in sys.argv[1:]]
supervisor.Supervisor([
    supervisor.Program(name, [sys.executable, "-S", "-c", code], last=name.endswith("last")) for name, code in pairs
]).run()
"""
# The programs of `manage.py up`, without its preparation of a database.
RUN_ALL = """
import django; django.setup()
from gelatoconnect.management.commands import up
from gelatoconnect.supervisor import Supervisor
Supervisor(up.programs()).run()
"""
SLEEP = "import time; time.sleep(60)"
# A program with a child of its own, which stays in the session.
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{SLEEP}']).wait()"
# Says when it is ready, and by which signal it was asked to stop.
POLITE = """
import signal, sys, time
def stop(number, frame):
    time.sleep({slow}); print("stopped", flush=True); sys.exit()
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def supervise(start: Callable) -> Callable[..., "Popen[str]"]:
    return lambda *programs, **env: start("-c", SUPERVISE, *programs, **env)


def read_until(process: "Popen[str]", *lines: str) -> None:
    """Read the output until all of these lines were there."""
    missing = set(lines)
    while missing:
        line = process.stdout.readline() if process.stdout else ""
        assert line, f"it ended before it said {missing}"
        missing.discard(line.strip())


def test_a_killed_program_is_brought_back(supervise: Callable) -> None:
    process = supervise(f"web={SLEEP}")
    first = until(lambda: children(process.pid))
    first[0].kill()
    second = until(lambda: [child for child in children(process.pid) if child.pid != first[0].pid])
    assert len(second) == 1
    read_until(process, "web       | ended by SIGKILL; starting again in 0.5 s")


def test_the_children_of_a_killed_program_are_killed_too(supervise: Callable) -> None:
    process = supervise(f"web={FAMILY}")
    head, below = until(lambda: len(found := children(process.pid)) == 2 and found)
    head.kill()
    until(lambda: alive([below]) == [])


@linux_only
def test_nothing_is_left_when_the_supervisor_is_killed(supervise: Callable) -> None:
    process = supervise(f"web={SLEEP}", f"worker={SLEEP}")
    below = until(lambda: len(found := children(process.pid)) == 2 and found)
    process.send_signal(signal.SIGKILL)
    until(lambda: alive(below) == [], seconds=2)


@linux_only
def test_nothing_of_web_worker_clock_and_broker_is_left_when_the_supervisor_is_killed(
    start: Callable, free_port: int
) -> None:
    process = start("-c", RUN_ALL, PORT=str(free_port), WORKERS="2", WEB_WORKERS="2")
    # broker, web with 2 processes, worker with 2 processes, timetable
    below = until(lambda: len(found := children(process.pid)) == 8 and found, seconds=30)
    until(lambda: listens(below, free_port), seconds=30)
    process.send_signal(signal.SIGKILL)
    until(lambda: alive(below) == [], seconds=3)


def listens(processes: list[psutil.Process], port: int) -> bool:
    return any(c.laddr.port == port for process in processes for c in process.net_connections(kind="tcp"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_stops_all_and_succeeds(supervise: Callable, number: int) -> None:
    process = supervise(f"web={POLITE.format(slow=0)}", f"worker={POLITE.format(slow=0)}")
    read_until(process, "web       | ready", "worker    | ready")
    below = children(process.pid)
    process.send_signal(number)
    output, _ = process.communicate(timeout=5)
    assert process.returncode == 0
    assert sorted(output.splitlines()) == ["web       | stopped", "worker    | stopped"]
    assert alive(below) == []


def test_what_the_others_need_is_stopped_last(supervise: Callable) -> None:
    process = supervise(f"last={POLITE.format(slow=0)}", f"worker={POLITE.format(slow=0.5)}")
    read_until(process, "last      | ready", "worker    | ready")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=5)
    assert output.splitlines() == ["worker    | stopped", "last      | stopped"]


def test_whoever_does_not_stop_is_killed_with_all_below(supervise: Callable) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); {FAMILY}"
    process = supervise(f"web={deaf}", PATIENCE="0.5")
    read_until(process, "web       | ready")
    below = until(lambda: len(found := children(process.pid)) == 2 and found)
    started = monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert monotonic() - started < 3
    assert process.returncode == 0
    until(lambda: alive(below) == [])


def test_asked_twice_it_does_not_wait(supervise: Callable) -> None:
    process = supervise(f"web={POLITE.format(slow=30)}")
    read_until(process, "web       | ready")
    process.send_signal(signal.SIGINT)
    sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supervisor, "monotonic", clock)
    return clock


def live_once(child: Child, clock: Clock, *, seconds: float) -> None:
    """Start the child, let it end by itself, and let the supervisor notice after so many seconds of the clock."""
    child.tend()
    assert child.process is not None
    child.process.wait()
    clock.now += seconds
    child.tend()


def test_what_dies_at_once_is_started_ever_more_slowly(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    child = Child(Program("worker", ["false"]))
    for _ in range(9):
        live_once(child, clock, seconds=0.1)
        clock.now += 30
    pauses = [line.rsplit(" ", 2)[1] for line in capsys.readouterr().out.splitlines()]
    assert pauses == ["0.5", "1", "2", "4", "8", "16", "30", "30", "30"]


def test_what_ran_well_is_started_again_at_once(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    child = Child(Program("worker", ["false"]))
    live_once(child, clock, seconds=0.1)
    clock.now += 1
    live_once(child, clock, seconds=11)
    assert child.process is not None
    child.process.wait()
    assert capsys.readouterr().out.splitlines() == [
        "worker    | ended with exit code 1; starting again in 0.5 s",
        "worker    | ended with exit code 1; starting again",
    ]


def test_it_waits_out_the_pause(clock: Clock) -> None:
    child = Child(Program("worker", ["false"]))
    live_once(child, clock, seconds=0.1)
    clock.now += 0.4
    child.tend()
    assert child.process is None
    clock.now += 0.2
    child.tend()
    assert child.process is not None
    child.process.wait()


def test_a_program_that_is_not_there_is_said_and_tried_again(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    child = Child(Program("broker", ["/nowhere/redis-server"]))
    child.tend()
    assert child.process is None
    reason = "[Errno 2] No such file or directory: '/nowhere/redis-server'"
    assert capsys.readouterr().out == f"broker    | cannot be started ({reason}); starting again in 0.5 s\n"


def test_programs_that_keep_dying_leave_the_others_alone(supervise: Callable) -> None:
    process = supervise("broker=raise SystemExit(3)", f"web={SLEEP}")
    read_until(process, "broker    | ended with exit code 3; starting again in 0.5 s")
    web = [child.pid for child in children(process.pid)]
    read_until(process, "broker    | ended with exit code 3; starting again in 1 s")
    assert [child.pid for child in children(process.pid)] == web
    assert len(web) == 1


def test_a_process_outside_a_supervisor_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(supervisor, "die_with", asked.append)
    monkeypatch.delenv("GELATOCONNECT_SUPERVISED", raising=False)
    supervisor.end_with_parent()
    assert asked == []
    monkeypatch.setenv("GELATOCONNECT_SUPERVISED", "1")
    supervisor.end_with_parent()
    assert asked == [os.getsid(0)]
