"""What does the damage: a plan of faults over the time of a run, the same for the same seed, and the hand that does them."""

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Timer
from time import monotonic, sleep

import psutil

from bench.faults.house import House, flush
from bench.faults.receiver import Receiver

LEASE = 30.0  # seconds, of orders.events, which can be imported only where Django is set up
FROZEN = LEASE + 12  # seconds: long enough for others to take its work over
PAIR = 2  # frozen at the same time, so that others are left to be killed
GONE = 1.5  # seconds until a broker of the run's own is there again
KILLED = ("web", "web head", "worker", "worker head", "timetable")


@dataclass(frozen=True, slots=True)
class Faults:
    """How many of each."""

    kills: int = 50
    broker_kills: int = 10
    flushes: int = 10
    restarts: int = 5  # of the database
    freezes: int = 5


def plan(faults: Faults, *, seconds: float, seed: int) -> list[tuple[float, str]]:
    """(when, what), in the order of time. The first moments are left alone, and the last, so that what is frozen thaws."""
    chance = random.Random(seed)
    found: list[tuple[float, str]] = []
    for what, count in (("kill", faults.kills), ("broker", faults.broker_kills), ("flush", faults.flushes),
                        ("database", faults.restarts)):  # fmt: skip
        found += [(seconds * (0.03 + 0.94 * (n + chance.random()) / count), what) for n in range(count)]
    room = max(0.0, seconds - FROZEN - 4)
    rounds = -(-faults.freezes // PAIR)
    found += [(room * (n // PAIR) / max(1, rounds - 1) + 2 + n % PAIR, "freeze") for n in range(faults.freezes)]
    return sorted(found)


@dataclass
class Nemesis:
    """kill_broker, restart_database: how that is done here (False: there was no broker to be killed); a database that is a
    file is not restarted."""

    house: House
    receiver: Receiver
    kill_broker: Callable[[], bool]
    restart_database: Callable[[], None] | None
    seed: int
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._kinds: list[str] = []

    def run(self, faults: list[tuple[float, str]], *, seconds: float) -> None:
        """Each at its time. What cannot be done just now, since nobody of that kind is alive, is tried until it can."""
        begun = monotonic()
        acts: Mapping[str, Callable[[], bool]] = {
            "kill": self._kill, "broker": self._broker, "flush": self._flush, "database": self._database,
            "freeze": self._freeze,
        }  # fmt: skip
        for when, what in faults:
            sleep(max(0.0, begun + when - monotonic()))
            while not acts[what]():
                sleep(0.2)
                if monotonic() > begun + seconds + 60:
                    raise RuntimeError(f"A fault could not be made: {what}.")
        sleep(max(0.0, begun + seconds - monotonic()))

    def _kill(self) -> bool:
        """-9 for one process, of each kind in turn; but not for who is frozen, nor for a head that would take it along."""
        if not self._kinds:
            self._kinds = self._chance.sample(KILLED, len(KILLED))
        kind = self._kinds.pop()
        everybody = self.house.residents(kind.split()[0])
        frozen = {each.process.pid for each in everybody if _is_frozen(each.process)}
        holding = {each.head.pid for each in everybody if each.process.pid in frozen}
        heads = kind.endswith("head") or kind == "timetable"
        found = [each for each in everybody if each.is_head == heads
                 and each.process.pid not in (holding if heads else frozen)]  # fmt: skip
        if not found:
            return False
        with suppress(psutil.NoSuchProcess):
            self._chance.choice(found).process.send_signal(signal.SIGKILL)
            self.done[f"killed: {kind}"] += 1
            return True
        return False

    def _broker(self) -> bool:
        if not self.kill_broker():
            return False
        self.done["broker killed"] += 1
        return True

    def _flush(self) -> bool:
        if not flush(self.house.broker_url):
            return False
        self.done["broker flushed"] += 1
        return True

    def _database(self) -> bool:
        if self.restart_database is not None:
            self.restart_database()
            self.done["database restarted"] += 1
        return True

    def _freeze(self) -> bool:
        if self.receiver.is_waiting:
            return False
        self.receiver.freeze_next(FROZEN)
        self.done["frozen past its lease"] += 1
        return True


def _is_frozen(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() == psutil.STATUS_STOPPED
    return False


def brought_back(kill: Callable[[], bool], start: Callable[[], None]) -> Callable[[], bool]:
    """Kill it, and start it again a little later."""

    def act() -> bool:
        if killed := kill():
            Timer(GONE, start).start()
        return killed

    return act
