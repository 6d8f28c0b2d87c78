"""Submitting while the broker is well, frozen and dead: a sender must not notice."""

import os
import signal
from time import sleep

from django.conf import settings

from bench.report import Table, percentile
from bench.senders import rate, send_orders
from bench.shop import open_shop, running

COUNT = 400  # orders in each state
SETTLED = 0.5  # seconds between a signal and the next measurement


def measure() -> list[Table]:
    open_shop()
    table = Table(
        f"broker: {COUNT:,} orders over HTTP in each of its states",
        ["broker", "orders/s", "p50 ms", "p99 ms", "slowest ms", "errors", "p99 × up"],
    )
    with running("broker", "web") as programs:
        send_orders(40, port=settings.PORT, prefix="warm")
        usual = 0.0
        for state, number in (("up", None), ("frozen", signal.SIGSTOP), ("killed", signal.SIGKILL)):
            if number is not None:
                os.kill(programs["broker"], number)
                sleep(SETTLED)
            sent = send_orders(COUNT, port=settings.PORT, prefix=state)
            times = [percentile((each.milliseconds for each in sent), percent) for percent in (50, 99, 100)]
            usual = usual or times[1]
            table.add(state, rate(sent), *times, sum(each.status != 201 for each in sent), times[1] / usual)
    return [table]
