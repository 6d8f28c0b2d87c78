"""A file of 10,000 rows: read, looked at, imported; beside it, in the same run, the same orders only placed."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from time import perf_counter, process_time
from typing import Any

from django.db import connection

from bench.report import Table
from bench.shop import open_shop
from gelatoconnect.lib import storage
from intake import imports
from intake.imports import preview
from intake.models import Import
from intake.tables import Entry, drafts_of, order_of, read_table
from orders.models import CustomerProduct, Order, Product
from orders.services import place

ORDERS = 5_000
ITEMS = 2
PLACED = 1_000  # orders that are only placed, for comparison
COLUMNS = ["orderReferenceId", "itemReferenceId", "productUid", "sku", "quantity", "fileUrl", "retailPriceInclVat",
           "currency", "firstName", "lastName", "addressLine1", "city", "postCode", "country", "email", "phone",
           "shipmentMethodUid", "metadata.shop"]  # fmt: skip


def measure() -> list[Table]:
    customer = open_shop().customer
    assert customer is not None
    product = Product.objects.get()
    skus = [CustomerProduct(customer=customer, sku=f"SKU-{n}", product=product) for n in range(0, ORDERS, 3)]
    CustomerProduct.objects.bulk_create(skus)
    raw = file_of(ORDERS)
    table = Table(f"imports: {ORDERS * ITEMS:,} rows, {ORDERS:,} orders, {len(raw) / 1024**2:.1f} MB of CSV",
                  ["step", "seconds", "orders/s", "CPU ms/order", "queries", "CPU × place"])  # fmt: skip
    read, entries = _timed(lambda: drafts_of(read_table(raw, name="orders.csv")))
    found = Import.objects.create(
        connector=imports.connector_of(customer, by="user:bench"), customer=customer, by="user:bench",
        file_name="orders.csv",
        sha256=storage.keep_bytes(raw), rows=ORDERS * ITEMS, orders=ORDERS,
        report=imports.told_of(read_table(raw, name="orders.csv")),
    )  # fmt: skip
    looked, report = _timed(lambda: preview.look(found, entries))
    placed, _ = _timed(lambda: [_place(entry, found, product) for entry in entries[:PLACED]])
    found.state = Import.State.RUNNING
    found.save()
    taken, _ = _timed(lambda: imports.take_all(found, entries))
    again, _ = _timed(lambda: imports.take_all(found, entries))
    if report["counts"]["fine"] != ORDERS or Order.objects.count() != ORDERS + PLACED:
        raise RuntimeError(
            f"Not every order was fine and imported once: {report['counts']}, {Order.objects.count():,}."
        )
    bare = placed[1] / PLACED
    for step, (seconds, spent, queries), count in (
        ("read", read, ORDERS), ("preview", looked, ORDERS), (f"place alone, {PLACED:,} orders", placed, PLACED),
        ("import", taken, ORDERS), ("the same import again", again, ORDERS),
    ):  # fmt: skip
        table.add(step, seconds, count / seconds, spent * 1000 / count, queries, spent / count / bare)
    return [table]


def file_of(orders: int) -> bytes:
    file = StringIO()
    writer = csv.writer(file, delimiter=";")
    writer.writerow(COLUMNS)
    for n in range(orders):
        named = ("", f"SKU-{n}") if n % 3 == 0 else ("card-a6", "")
        writer.writerows(
            [f"R-{n}", item, *named, 2, "https://files.example/card.pdf", "4,90", "EUR", "Ana", "Ruiz", "Karl Johans gate 4",
             "Oslo", "0154", "NO", "ana@example.com", "+47 22 12 34 56", "normal,standard", "bench"]
            for item in range(1, ITEMS + 1)
        )  # fmt: skip
    return file.getvalue().encode()


def _place(entry: Entry, found: Import, product: Product) -> None:
    """The least that makes an order of these rows: no request, no checks, no look for another one."""
    draft, _ = order_of(replace(entry, data=entry.data | {"orderReferenceId": f"placed-{entry.reference}"}).body)
    products = [product] * len(draft.items)
    place(draft, customer=found.customer, products=products, by="user:bench", connector=found.connector.pk)


def _timed(act: Callable[[], Any]) -> tuple[tuple[float, float, int], Any]:
    """(seconds, CPU seconds, queries), and what `act` gives."""
    with _counted() as counted:
        started, spent = perf_counter(), process_time()
        result = act()
        return (perf_counter() - started, process_time() - spent, len(counted)), result


@contextmanager
def _counted() -> Iterator[list[None]]:
    counted: list[None] = []

    def count(execute: Callable, *args: Any) -> Any:
        counted.append(None)
        return execute(*args)

    with connection.execute_wrapper(count):
        yield counted
