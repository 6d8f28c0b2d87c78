"""Submitting while the broker is well, frozen and dead: a sender must not notice."""

import signal
from time import sleep

from django.conf import settings

from bench.report import Table, percentile
from bench.senders import Sent, rate, send_orders
from bench.shop import open_shop, running
from gelatoconnect.lib.broker import REST
from gelatoconnect.supervisor import Child

ROUNDS = 4  # the three states take turns, so that what else the machine does is shared among them
COUNT = 500  # orders in each state of each round
CLIENTS = 2  # few, so that they wait for the broker if for anything, and not for each other
STATES = ("up", "frozen", "killed")


def measure() -> list[Table]:
    open_shop()
    sent: dict[str, list[Sent]] = {state: [] for state in STATES}
    rates: dict[str, list[float]] = {state: [] for state in STATES}
    with running("broker", "web") as programs:
        send_orders(40, port=settings.PORT, prefix="warm")
        for number in range(ROUNDS):
            for state in STATES:
                bring(programs["broker"], state)
                found = send_orders(COUNT, port=settings.PORT, prefix=f"{state}-{number}", clients=CLIENTS)
                sent[state] += found
                rates[state].append(rate(found))
    return [figures(sent, rates)]


def bring(broker: Child, state: str) -> None:
    """Into that state; and wait until those who gave the broker up while it was away try it again."""
    if state == "frozen":
        broker.send(signal.SIGSTOP)
    else:
        broker.send(signal.SIGKILL)
        while not broker.ended:
            sleep(0.05)
        broker.tend()  # notices that it has ended
    sleep(REST + 1)
    if state == "up":
        broker.tend()  # starts it again


def figures(sent: dict[str, list[Sent]], rates: dict[str, list[float]]) -> Table:
    table = Table(
        f"broker: {ROUNDS * COUNT:,} orders over HTTP in each of its states, {CLIENTS} clients, in {ROUNDS} rounds",
        ["broker", "orders/s", "p50 ms", "p99 ms", "slowest ms", "errors", "p99 × up"],
    )
    usual = percentile((each.milliseconds for each in sent["up"]), 99)
    for state, found in sent.items():
        times = [percentile((each.milliseconds for each in found), percent) for percent in (50, 99, 100)]
        errors = sum(each.status != 201 for each in found)
        table.add(state, sum(rates[state]) / ROUNDS, *times, errors, times[1] / usual)
    return table
