"""The producer that is measured: its customer and products, and its programs as `manage.py up` runs them."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from django.conf import settings
from django.core.management import call_command

from bench.senders import KEY
from gelatoconnect.lib.secrets import hashed
from gelatoconnect.management.commands import up
from gelatoconnect.supervisor import Child
from intake.models import ApiKey, Connector
from orders.models import Customer, Product, ShipmentMethod

PATIENCE = 20.0  # seconds for a program to start or to stop


def open_shop() -> Connector:
    """An empty database becomes a producer with a product and two ways to send it, and one customer, who has a key."""
    call_command("migrate", verbosity=0)
    for uid in ("normal", "standard"):
        ShipmentMethod.objects.create(uid=uid, name=uid)
    Product.objects.create(uid="card-a6", name="Card A6", trim_width=105, trim_height=148, weight=8, formats=["pdf"],
                           customs_description="Printed cards", hs_code="4909.00")  # fmt: skip
    customer = Customer.objects.create(reference="bench", name="Bench")
    connector = Connector.objects.create(name="bench", customer=customer)
    key, _, secret = KEY.partition(":")
    ApiKey.objects.create(connector=connector, key=key, secret_hash=hashed(secret))
    return connector


@contextmanager
def running(*names: str) -> Iterator[dict[str, Child]]:
    """These programs of `manage.py up` while the block lasts, by name; the web answers."""
    children = [Child(program) for program in up.programs() if program.name in names]
    try:
        for child in children:
            child.tend()
        wait_for_web()
        yield {child.program.name: child for child in children}
    finally:
        for number in (signal.SIGCONT, signal.SIGTERM):
            for child in children:
                child.send(number)
        until = monotonic() + PATIENCE
        while monotonic() < until and not all(child.ended for child in children):
            sleep(0.05)
        for child in children:
            child.send(signal.SIGKILL)


def wait_for_web() -> None:
    until = monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((settings.BIND, settings.PORT), timeout=1).close()
            return
        except OSError:
            if monotonic() > until:
                raise
            sleep(0.1)


def processor_seconds(head: int) -> float:
    """CPU time of a process and of everything below it, user and system, as Linux says it in /proc (proc(5))."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            stats[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    ticks, below = 0, [head]
    for pid in below:
        ticks += int(stats[pid][11]) + int(stats[pid][12])
        below += [child for child, stat in stats.items() if int(stat[1]) == pid]
    return ticks / os.sysconf("SC_CLK_TCK")
