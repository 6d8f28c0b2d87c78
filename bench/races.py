"""`python -m bench.races`: processes that cancel, retry, reprocess and ship the same orders at the same moment.

On SQLite, or on the PostgreSQL server that DATABASE_URL names; in a database of its own. Ends with 1 when an order has two
winners, a history that is no path of the lifecycle, or a change that was lost.

This module is imported by processes in which Django is not set up yet: models are imported where they are used.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from time import perf_counter
from typing import Any
from uuid import UUID

from bench.environment import own_environment
from bench.report import Table, machine

VERBS = ("cancel", "retry", "reprocess", "ship")
ONCE = ("cancel", "retry", "ship")  # a second one would need a step in between that nobody takes here
PATIENCE = 60.0  # seconds that a process waits for the slowest one
CONTEXT = get_context("spawn")


@dataclass
class Racer:
    """What one process says that it did: moves that succeeded by order, refusals, and everything else that was raised."""

    won: list[tuple[UUID, str]] = field(default_factory=list)
    refused: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Race:
    """All of it, and what is wrong with the orders afterwards."""

    orders: int
    processes: int
    seconds: float
    racers: Sequence[Racer]
    faults: Sequence[str]

    @property
    def is_good(self) -> bool:
        return not self.faults

    def won(self) -> Counter[str]:
        return Counter(verb for racer in self.racers for _, verb in racer.won)


def start_orders(count: int) -> list[UUID]:
    """So many orders: by turns packaged, which one may ship, reprocess or cancel, and failed, which one may retry."""
    drafts, services = import_module("orders.drafts"), import_module("orders.services")
    models, senders = import_module("orders.models"), import_module("bench.senders")
    strict, found = import_module("gelatoconnect.lib.strict"), []
    customer, product = models.Customer.objects.get(), models.Product.objects.get()
    for number in range(count):
        body = strict.loads(senders.order_body(f"race-{number}", items=1), max_bytes=10_000)
        order = services.place(drafts.read(body), customer=customer, products=[product], by="connector:bench")
        order.items.update(packed=2)
        for verb in ("fail",) if number % 2 else ("accept", "release", "start", "finish", "package"):
            services.move(order, verb, by="system")
        found.append(order.pk)
    return found


def race(orders: Sequence[UUID], *, processes: int) -> Race:
    """Let the processes go; they meet before each order. DATABASE_URL in the environment is where the orders are."""
    barrier, answers = CONTEXT.Barrier(processes), CONTEXT.Queue()
    with ExitStack() as running:
        for number in range(processes):
            process = CONTEXT.Process(target=_run, args=(number, list(orders), barrier, answers), daemon=True)
            process.start()
            running.callback(process.join, PATIENCE)
        racers, started = [], 0.0
        for _ in range(processes):
            began, racer = answers.get(timeout=PATIENCE + len(orders))
            started = max(started, began)
            racers.append(racer)
        seconds = perf_counter() - started
    return Race(len(orders), processes, seconds, racers, list(_faults(racers, orders, processes)))


def _run(number: int, orders: list[UUID], barrier: Any, answers: Any) -> None:
    """One process: its verb on each order, read a moment before all of them let go, and then a finding signed off."""
    import_module("django").setup()
    models, services = import_module("orders.models"), import_module("orders.services")
    refusal, racer = import_module("django_fsm").TransitionNotAllowed, Racer()
    barrier.wait(PATIENCE)
    began = perf_counter()
    for pk in orders:
        order, verb = models.Order.objects.get(pk=pk), VERBS[number % len(VERBS)]
        barrier.wait(PATIENCE)
        try:
            services.move(order, verb, by=f"user:{number}")
            racer.won.append((pk, verb))
        except refusal:
            racer.refused += 1
        except Exception as error:
            racer.errors.append(f"{verb}: {type(error).__name__}")
        try:
            services.amend(order, by=f"user:{number}", sign_off=[{"code": f"F{number}", "path": "", "sha256": ""}])
        except Exception as error:
            racer.errors.append(f"amend: {type(error).__name__}")
    answers.put((began, racer))


def _faults(racers: Sequence[Racer], orders: Sequence[UUID], processes: int) -> Iterator[str]:
    for error, count in Counter(error for racer in racers for error in racer.errors).items():
        yield f"{count} × {error}"
    won: dict[UUID, Counter[str]] = {pk: Counter() for pk in orders}
    for pk, verb in (each for racer in racers for each in racer.won):
        won[pk][verb] += 1
    models = import_module("orders.models")
    found = models.Order.objects.filter(pk__in=orders).prefetch_related("events")
    for order in found:
        told = sorted(order.events.all(), key=lambda event: event.sequence)
        yield from (f"{order.reference}: {fault}" for fault in _faults_of(order, told, won[order.pk], processes))


def _faults_of(order: Any, told: Sequence[Any], won: Counter[str], processes: int) -> Iterator[str]:
    if [event.sequence for event in told] != list(range(1, order.sequence + 1)):
        yield f"its events are {[event.sequence for event in told]}, and it counts {order.sequence}"
    yield from steps_off_the_graph(told)
    if order.status != [event.target for event in told if event.target][-1]:
        yield f"it is {order.status}, which its history does not say"
    for verb in ONCE:
        if won[verb] > 1:
            yield f"{won[verb]} processes were told that they did {verb}"
    written = Counter(event.data["verb"] for event in told if event.by.startswith("user:") and event.target)
    if written != won:
        yield f"processes did {dict(won)}, its history says {dict(written)}"
    if len(order.sign_offs) != processes:
        yield f"{processes - len(order.sign_offs)} of {processes} findings were lost"


def steps_off_the_graph(told: Iterable[Any]) -> Iterator[str]:
    """What in a history is no arrow of the lifecycle, or does not begin where the last one ended."""
    table = import_module("orders.lifecycle").arrows()
    arrows = {(arrow.name, str(arrow.source), str(arrow.target)) for arrow in table}
    status = ""
    for event in told:
        if event.target:
            arrow = (event.data.get("verb"), event.source, event.target)
            born = not status and arrow in {(None, "", "received"), (None, "", "draft")}
            if not born and (arrow not in arrows or event.source != status):
                yield f"{event.sequence}: {arrow} after {status!r}"
            status = event.target


def table_of(run: Race) -> Table:
    table = Table(
        f"races: {run.processes} processes at once on each of {run.orders:,} orders",
        ["", *VERBS, "refused", "faults", "seconds"],
        notes=[f"Fault: {fault}" for fault in run.faults[:20]],
    )
    tried = Counter(VERBS[number % len(VERBS)] for number in range(run.processes))
    table.add("tried", *(tried[verb] * run.orders for verb in VERBS), "", "", "")
    won, refused = run.won(), sum(racer.refused for racer in run.racers)
    table.add("done", *(won[verb] for verb in VERBS), refused, len(run.faults), run.seconds)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.races", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000, metavar="N")
    parser.add_argument("--processes", type=int, default=8, metavar="N")
    asked = parser.parse_args()
    with own_environment() as environment:
        os.environ |= environment
        import_module("django").setup()
        print(f"{import_module('django.db').connection.vendor}, {machine()}", flush=True)
        import_module("bench.shop").open_shop()
        run = race(start_orders(asked.orders), processes=asked.processes)
        import_module("django.db").connections.close_all()
    print(table_of(run))
    sys.exit(0 if run.is_good else 1)


if __name__ == "__main__":
    main()
