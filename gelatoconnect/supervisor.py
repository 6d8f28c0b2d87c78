"""Several programs kept running as one: `manage.py up` hands its list to a Supervisor.

Each program is the head of a session of its own. What dies is started again, at once and then ever more slowly; what a
dead program leaves behind is killed; and when the supervisor itself is killed the kernel ends the programs with it
(Linux). A program's own children are its own affair: Celery ends its, the web application calls `end_with_parent`.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep

TICK = 0.1  # seconds between two looks at the programs
PATIENCE = 8.0  # seconds between "please stop" and kill
WELL = 10.0  # seconds after which a program counts as running well
LONGEST_PAUSE = 30.0  # seconds
_MARK = "GELATOCONNECT_SUPERVISED"
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None)
_print_lock = threading.Lock()


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent process is gone, however it went."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # gone before the kernel could be asked
        os._exit(1)


def end_with_parent() -> None:
    """For what a supervised program forks: its parent is the head of the session. Unsupervised it does nothing."""
    if os.environ.get(_MARK) and os.getpid() != (head := os.getsid(0)):
        die_with(head)


def say(name: str, line: str) -> None:
    """Print a line under the program's name; a reader who has gone away stops nothing."""
    try:
        with _print_lock:
            print(f"{name:<9} | {line.rstrip()}", flush=True)
    except OSError:
        pass


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `last`: stopped only when the others have ended, because they need it until then."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


class Child:
    """A Program while it is looked after."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread()
        self._started = 0.0
        self._pause = 0.0
        self._again = 0.0

    def tend(self) -> None:
        """Start it when it is time; notice when it has ended."""
        if self.process is not None and self.process.poll() is not None:
            self._bury(self.process.returncode)
        if self.process is None and monotonic() >= self._again:
            self._start()

    def _start(self) -> None:
        self._started = monotonic()
        try:
            self.process = subprocess.Popen(  # noqa: S603
                self.program.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True, preexec_fn=partial(die_with, os.getpid()),
                env={**os.environ, **self.program.env, _MARK: "1", "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        except OSError as error:
            self._plan_again(f"cannot be started ({error})")
            return
        self._reader = threading.Thread(target=self._repeat, args=(self.process,), daemon=True)
        self._reader.start()

    def _repeat(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            say(self.program.name, line)

    def _bury(self, code: int) -> None:
        self.send(signal.SIGKILL)
        self.process = None
        self._plan_again(f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}")

    def _plan_again(self, why: str) -> None:
        now = monotonic()
        well = now - self._started >= WELL
        self._pause = 0.0 if well else min(max(0.5, self._pause * 2), LONGEST_PAUSE)
        self._again = now + self._pause
        say(self.program.name, f"{why}; starting again{f' in {self._pause:g} s' if self._pause else ''}")

    def send(self, number: int) -> None:
        """SIGTERM asks the program, which asks its own children; SIGKILL ends the whole session."""
        if self.process is None:
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        except ProcessLookupError:
            pass

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def end(self) -> None:
        """Kill what is left of it, and let it have had its last word."""
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self._reader.join(timeout=1)


class Supervisor:
    def __init__(self, programs: Sequence[Program]) -> None:
        self.children = [Child(program) for program in programs]
        self._asked = 0  # how often it was asked to stop; a signal handler must not touch a lock

    def run(self) -> None:
        """Look after the programs until SIGINT, SIGTERM or SIGHUP; then stop them. Runs in the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self._ask_to_stop)
        try:
            while not self._asked:
                for child in self.children:
                    child.tend()
                sleep(TICK)
        finally:
            deadline = monotonic() + PATIENCE
            self._end([child for child in self.children if not child.program.last], deadline)
            self._end([child for child in self.children if child.program.last], deadline)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self._asked += 1

    def _end(self, children: Sequence[Child], deadline: float) -> None:
        """Asked to stop twice, it waits no longer."""
        for child in children:
            child.send(signal.SIGTERM)
        while monotonic() < deadline and self._asked < 2 and not all(child.ended for child in children):
            sleep(TICK / 2)
        for child in children:
            child.end()
