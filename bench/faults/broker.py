"""Orders while the broker is well, then off, then frozen: their senders must not notice, and the work must go on."""

from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep

from bench.faults.apart import Apart, apart
from bench.faults.chaos import Place, place
from bench.faults.history import Sent
from bench.faults.senders import sending
from bench.report import Table, percentile

WELL = 3.0  # minutes that are measured before, at most
WARM = 10.0  # seconds
TWICE = 2.0  # of the usual p99, at most
BEHIND = 30.0  # seconds after the last order in which every one is to have its end


@dataclass(slots=True)
class State:
    """What was sent while the broker was so. waits: seconds from Received to Created; behind: until all had their end."""

    name: str
    sent: list[Sent]
    waits: list[float]
    behind: float
    usual: float = 0.0  # p99 of the answers while it was well, ms

    @property
    def times(self) -> list[float]:
        return [(each.attempts[-1][1] - each.attempts[0][0]) * 1000 for each in self.sent]

    @property
    def refused(self) -> int:
        """Orders that were not accepted at the first attempt."""
        return sum(not each.id or len(each.attempts) != 1 for each in self.sent)

    @property
    def slower(self) -> float:
        return percentile(self.times, 99) / self.usual

    @property
    def is_good(self) -> bool:
        return not self.refused and self.slower <= TWICE and self.behind <= BEHIND


def run(database: str, *, minutes: float, rate: float) -> list[State]:
    with place(database, own=True) as here, apart(here.house.env) as ask:
        send = partial(_send, here, ask, rate=rate)
        send("warm", seconds=WARM)
        found = [send("well", seconds=60 * min(minutes, WELL))]
        here.broker.kill()
        found.append(send("off", seconds=60 * minutes))
        here.broker.start()
        sleep(WARM)  # whoever gave it up tries it again
        here.broker.freeze()
        found.append(send("frozen", seconds=60 * minutes))
        here.broker.thaw()
    for state in found:
        state.usual = percentile(found[0].times, 99)
    return found


def _send(here: Place, ask: Apart, name: str, *, seconds: float, rate: float) -> State:
    count, files = round(seconds * rate), f"http://{here.receiver.host}"
    with sending(count, rate=rate, port=here.house.port, files=files, prefix=name, share=0.0) as future:
        sent = future.result()
    begun = monotonic()
    while not ask("bench.faults.shop", "is_quiet", name) and monotonic() < begun + 4 * BEHIND:
        sleep(0.2)
    return State(name, sent, ask("bench.faults.shop", "waits", name), monotonic() - begun)


def table(database: str, states: list[State], *, minutes: float, rate: float) -> Table:
    found = Table(
        f"broker, {database}: off and frozen for {minutes:g} minutes each, {rate:g} orders a second",
        ["broker", "orders", "not at once accepted", "p50 ms", "p99 ms", "p99 × well", "created after s, p50", "p99",
         "all ended after s"],
    )  # fmt: skip
    for state in states:
        times = [percentile(state.times, percent) for percent in (50, 99)]
        waits = [percentile(state.waits, percent) for percent in (50, 99)]
        found.add(state.name, len(state.sent), state.refused, *times, state.slower, *waits, state.behind)
    return found
