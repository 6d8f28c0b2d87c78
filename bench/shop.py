"""The producer that is measured: its customer and products, and its programs as `manage.py up` runs them."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from django.conf import settings
from django.core.management import call_command

from bench.senders import KEY
from gelatoconnect.lib.secrets import hashed
from gelatoconnect.management.commands import up
from gelatoconnect.supervisor import Child
from intake.models import ApiKey, Connector
from orders.models import Customer, Product

PATIENCE = 20.0  # seconds for a program to start or to stop


def open_shop() -> Connector:
    """An empty database becomes a producer with one customer, who has a key and two products to order."""
    call_command("migrate", verbosity=0)
    for uid, width, height in (("card-a6", 105, 148), ("flyer-a5", 148, 210)):
        Product.objects.create(uid=uid, name=uid, trim_width=width, trim_height=height, weight=8, formats=["pdf"],
                               customs_description="Printed cards", hs_code="4909.00")  # fmt: skip
    customer = Customer.objects.create(reference="bench", name="Bench")
    connector = Connector.objects.create(name="bench", customer=customer)
    key, _, secret = KEY.partition(":")
    ApiKey.objects.create(connector=connector, key=key, secret_hash=hashed(secret))
    return connector


@contextmanager
def running(*names: str) -> Iterator[dict[str, int]]:
    """These programs of `manage.py up` while the block lasts, by name with their process id; the web answers."""
    children = [Child(program) for program in up.programs() if program.name in names]
    try:
        for child in children:
            child.tend()
        wait_for_web()
        yield {child.program.name: child.process.pid for child in children if child.process}
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
    """CPU time of a process and everything below it, user and system, as /proc/<pid>/stat counts it (proc(5))."""
    stats = [path.read_text().rpartition(")")[2].split() for path in _stats()]
    numbers = [int(path.parent.name) for path in _stats()]
    parents = {pid: int(stat[1]) for pid, stat in zip(numbers, stats, strict=True)}
    ticks = 0
    for pid, stat in zip(numbers, stats, strict=True):
        above = pid
        while above not in (0, head):
            above = parents.get(above, 0)
        if above == head:
            ticks += sum(map(int, stat[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _stats() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*/stat"))
