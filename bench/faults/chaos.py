"""Orders at full speed while everything is killed, frozen, flushed and restarted; then the history is read."""

import signal
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import psutil

from bench.faults import history
from bench.faults.apart import Apart, apart
from bench.faults.cluster import own_cluster
from bench.faults.floor import working
from bench.faults.history import Findings, Sent
from bench.faults.house import House, environment, open_house, own_broker, prepare
from bench.faults.nemesis import Faults, Nemesis, brought_back, plan
from bench.faults.receiver import Receiver, own_receiver
from bench.faults.senders import TOLD, sending
from bench.report import Table, percentile
from gelatoconnect.lib.secrets import new_signing_secret

DRAINED = 60.0  # seconds after the last fault in which everything is to have its end
GIVE_UP = 300.0  # seconds for which that is waited for


@dataclass(frozen=True, slots=True)
class Asked:
    minutes: float = 3.0
    rate: float = 20.0  # orders a second
    share: float = 0.1  # of the good orders, how many are told by webhook and go on to Shipped
    faults: Faults = field(default_factory=Faults)
    seed: int = 1


@dataclass(slots=True)
class Place:
    """Where a run takes place. broker, cluster: of the run's own, where the database is PostgreSQL."""

    name: str
    house: House
    receiver: Receiver
    broker: Any = None
    cluster: Any = None


@dataclass(slots=True)
class Run:
    """What came of it. drain: seconds, None when it was given up."""

    name: str
    sent: list[Sent]
    stored: int
    events: int
    hooks: int
    repeated: int
    faults: dict[str, int]
    findings: Findings
    drain: float | None
    undone: int  # faults of the plan that were not made
    fenced: int  # results that came too late and were dropped

    @property
    def is_good(self) -> bool:
        return not self.undone and self.findings.is_clean and self.drain is not None and self.drain <= DRAINED


@contextmanager
def place(database: str, *, own: bool = False) -> Iterator[Place]:
    """database: sqlite (with the broker that the house brings, unless it is to be the run's own) or postgresql (with a
    Redis of the run's own)."""
    secret = new_signing_secret()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
        receiver = stack.enter_context(own_receiver(folder, secret))
        cluster = stack.enter_context(own_cluster()) if database == "postgresql" else None
        broker = stack.enter_context(own_broker(folder)) if cluster or own else None
        env = environment(folder, database=cluster.url if cluster else "", broker=broker.url if broker else "",
                          receiver=receiver.host)  # fmt: skip
        prepare(env, receiver=receiver.host, secret=secret)
        house = stack.enter_context(open_house(env))
        name = "PostgreSQL, Redis" if cluster else "SQLite, its own broker"
        yield Place(name, house, receiver, broker, cluster)


def run(database: str, asked: Asked) -> Run:
    seconds = asked.minutes * 60
    with place(database) as here:
        house, receiver = here.house, here.receiver
        if here.broker is None:
            kill_broker = partial(_kill_own_broker, house)
        else:
            kill_broker = brought_back(here.broker.kill, here.broker.start)
        faults = asked.faults if here.cluster else replace(asked.faults, restarts=0)
        nemesis = Nemesis(
            house, receiver, kill_broker, here.cluster.restart_at_once if here.cluster else None, asked.seed
        )
        floor = house.env | {"REDIS_URL": house.broker_url}
        with apart(floor) as ask, working(floor), sending(
            round(seconds * asked.rate), rate=asked.rate, port=house.port, files=f"http://{receiver.host}",
            prefix="chaos", share=asked.share,
        ) as future:  # fmt: skip
            planned = plan(faults, seconds=seconds, seed=asked.seed)
            nemesis.run(planned, seconds=seconds)
            drain = _drained(ask, future)
            sent = future.result()
            stored, left, arrows = ask("bench.faults.shop", "everything", "chaos")
        hooks = receiver.hooks()
        done = dict(nemesis.done)
        done["frozen past its lease"] = len(receiver.frozen())
        fenced = house.words.count("lost its lease")
    events = sum(len(order.facts) for order in stored)
    findings = history.judge(sent, stored, hooks, left, arrows=arrows, told=TOLD)
    return Run(here.name, sent, len(stored), events, len(hooks), history.repeated(hooks), done, findings, drain,
               len(planned) - sum(done.values()), fenced)  # fmt: skip


def _drained(ask: Apart, future: "Future[list[Sent]]") -> float | None:
    """Seconds from now until everything that was sent has its end and nothing is due; None: it was given up."""
    begun = monotonic()
    while monotonic() < begun + GIVE_UP:
        if future.done() and ask("bench.faults.shop", "is_quiet", "chaos"):
            return monotonic() - begun
        sleep(1)
    return None


def _kill_own_broker(house: House) -> bool:
    """The supervisor starts it again. False: there was none."""
    for each in house.residents("broker"):
        with suppress(psutil.NoSuchProcess):
            each.process.send_signal(signal.SIGKILL)
            return True
    return False


def table(runs: list[Run], asked: Asked) -> Table:
    found = Table(
        f"chaos: {asked.minutes:g} minutes, {asked.rate:g} orders a second, {asked.share:.0%} told of and on to Shipped",
        ["", *(run.name for run in runs)],
    )
    for name, value in _rows():
        found.add(name, *(value(run) for run in runs))
    faults = sorted({name for run in runs for name in run.faults})
    for name in faults:
        found.add(f"fault: {name}", *(run.faults.get(name, 0) for run in runs))
    found.add("faults that could not be made", *(run.undone for run in runs))
    for mark, words in history.MARKS.items():
        found.add(words, *(run.findings.count(mark) for run in runs))
    for run in runs:
        found.notes += [f"{run.name}: {mark}: {each}" for mark, all in run.findings.missed.items() for each in all[:5]]
    return found


def _rows() -> list[tuple[str, Any]]:
    def accepted(run: Run) -> list[Sent]:
        return [each for each in run.sent if each.id]

    def answers(run: Run) -> list[float]:
        return [
            (ended - started) * 1000
            for each in run.sent
            for started, ended, status in each.attempts
            if status < 400 and status
        ]

    def whole(run: Run) -> list[float]:
        return [(each.attempts[-1][1] - each.attempts[0][0]) * 1000 for each in accepted(run)]

    return [
        ("orders sent", lambda run: len(run.sent)),
        ("accepted", lambda run: len(accepted(run))),
        ("stored", lambda run: run.stored),
        ("attempts without an answer or with a 5xx",
         lambda run: sum(status == 0 or status >= 500 for each in run.sent for _, _, status in each.attempts)),
        ("events", lambda run: run.events),
        ("webhooks received", lambda run: run.hooks),
        ("of them repeated", lambda run: run.repeated),
        ("results dropped, since their lease was lost", lambda run: run.fenced),
        ("p50 of an answer, ms", lambda run: percentile(answers(run), 50)),
        ("p99 of an answer, ms", lambda run: percentile(answers(run), 99)),
        ("p99 until accepted, resends and all, ms", lambda run: percentile(whole(run), 99)),
        ("drained after, s", lambda run: "never" if run.drain is None else run.drain),
    ]  # fmt: skip
