"""The staff on the floor, in a process of its own: orders are started, finished, packed and handed over, as fast as it goes.

Two people take hold of the same orders, so that many a step is tried twice at the same moment.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from time import sleep
from typing import Any

from bench.faults.receiver import CONTEXT

PEOPLE = 2
AT_ONCE = 60  # orders that one looks at before looking again
PAUSE = 0.2  # seconds


@contextmanager
def working(env: dict[str, str]) -> Iterator[None]:
    """People work while the block lasts."""
    stop = CONTEXT.Event()
    process = CONTEXT.Process(target=work, args=(env, stop), daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join(20)
        process.kill()


def work(env: dict[str, str], stop: Any) -> None:
    os.environ |= env
    import_module("django").setup()
    people = [Thread(target=_person, args=(f"user:floor-{number}", stop), daemon=True) for number in range(PEOPLE)]
    for person in people:
        person.start()
    for person in people:
        person.join()


def _person(by: str, stop: Any) -> None:
    """Whatever goes wrong, the database above all, the next look tries again."""
    database = import_module("django.db")
    advance = _advancing(by)
    while not stop.is_set():
        try:
            advance(stop)
        except database.Error:
            database.connections.close_all()
        sleep(PAUSE)
    database.connections.close_all()


def _advancing(by: str) -> Callable[[Any], None]:
    """One look at everything that is to be shipped, and a step with each of it. Models can be imported only here."""
    models, services = import_module("orders.models"), import_module("orders.services")
    packing, parcels = import_module("shipping.packing"), import_module("shipping.models")
    illegal = (import_module("django_fsm").TransitionNotAllowed, import_module("gelatoconnect.lib.problems").Rejected)

    def close(order: Any) -> None:
        contents = {item.pk: item.quantity_due - item.packed for item in order.items.all()}
        packing.close(order, contents=contents, by=by)

    def ship(order: Any) -> None:
        if parcels.Package.objects.live().filter(order=order).exclude(label="").exists():
            services.move(order, "ship", by=by)

    steps: dict[str, Callable[[Any], object]] = {
        "packaged": ship, "printed": close,
        "in_production": lambda order: services.move(order, "finish", by=by),
        "created": lambda order: services.move(order, "start", by=by),
    }  # fmt: skip

    def advance(stop: Any) -> None:
        for status, step in steps.items():
            orders = list(models.Order.objects.filter(status=status, reference__endswith="s").order_by("id")[:AT_ONCE])
            random.shuffle(orders)
            for order in orders:
                if stop.is_set():
                    return
                try:
                    step(order)
                except illegal:  # the other one was quicker
                    pass

    return advance
