"""The least that storing an order can cost: its rows, known in advance, inserted by the bare driver and by the ORM.

The rows are those that one real submission writes: its INSERT statements are recorded for the driver, its stored rows
are copied for the ORM. Each copy gets ids of its own. Everything but the inserting is prepared beforehand.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model

from bench.report import Cost
from bench.senders import order_body
from gelatoconnect.lib.ids import new_id, parse_id
from intake import pipeline
from intake.connectors.base import Incoming
from intake.models import Connector, OrderRequest
from orders.models import Address, Delivery, Event, Item, Order, PrintFile, SearchEntry

SINGLE = (Event, Address, Order, SearchEntry, OrderRequest)  # one row of each order, written by save()
SEVERAL = (Delivery, Item, PrintFile)  # written by bulk_create()

Statement = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one submission wrote: the statements as the driver got them, the rows by model, and the ids it made."""

    statements: list[Statement]
    single: list[tuple[type[Model], dict[str, Any]]]
    several: list[tuple[type[Model], list[dict[str, Any]]]]
    ids: list[UUID]


def record_submission(connector: Connector, *, items: int) -> Sample:
    """Submit the first order of an empty database, and note what that wrote."""
    statements: list[Statement] = []

    def record(execute: Callable, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT"):
            statements.append((sql, list(params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        outcome = pipeline.take(Incoming(body=order_body("recorded", items=items)), connector=connector)
    if outcome.order is None:
        raise RuntimeError(f"The sample order is refused: {outcome.problems}")
    single = [(model, model.objects.values().get()) for model in SINGLE]
    several = [(model, list(model.objects.values())) for model in SEVERAL]
    rows = [row for _, row in single] + [row for _, rows in several for row in rows]
    return Sample(statements, single, several, [row["id"] for row in rows if isinstance(row["id"], UUID)])


def insert_bare(count: int, sample: Sample) -> Cost:
    """So many copies of the statements, each copy in one transaction of the database's own driver."""
    copies = []
    for _ in range(count):
        ids = {id: new_id() for id in sample.ids}
        copies.append([(sql, [_renewed(value, ids) for value in params]) for sql, params in sample.statements])
    if connection.vendor == "sqlite":
        return _insert_by_sqlite(copies)
    options = connection.get_connection_params() | {"cursor_factory": psycopg.Cursor, "prepare_threshold": 5}
    with psycopg.connect(**options) as driver:
        return _cost_of(copies, partial(_insert_by_psycopg, driver))


def insert_by_orm(count: int, sample: Sample) -> Cost:
    """So many copies of the rows, each copy in one transaction, written as the product writes them."""
    copies = []
    for _ in range(count):
        ids = {id: new_id() for id in sample.ids}
        single = [(model, _renewed_row(row, ids)) for model, row in sample.single]
        several = [(model, [_renewed_row(row, ids) for row in rows]) for model, rows in sample.several]
        copies.append((single, several))
    return _cost_of(copies, _save)


def _save(copy: tuple[list, list]) -> None:
    single, several = copy
    with transaction.atomic():
        for model, row in single:
            model(**row).save(force_insert=True)
        for model, rows in several:
            model.objects.bulk_create([model(**row) for row in rows])


def _insert_by_sqlite(copies: list[list[Statement]]) -> Cost:
    driver = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, timeout=20)
    driver.executescript(settings.SQLITE_OPTIONS["init_command"])

    def insert(copy: list[Statement]) -> None:
        driver.execute("BEGIN IMMEDIATE")
        for sql, params in copy:
            driver.execute(sql, params).fetchall()
        driver.execute("COMMIT")

    try:
        return _cost_of([[(sql.replace("%s", "?"), params) for sql, params in copy] for copy in copies], insert)
    finally:
        driver.close()


def _insert_by_psycopg(driver: psycopg.Connection, copy: list[Statement]) -> None:
    with driver.transaction(), driver.cursor() as cursor:
        for sql, params in copy:
            cursor.execute(sql, params)


def _cost_of(copies: Iterable[Any], insert: Callable[[Any], None]) -> Cost:
    times = []
    started, spent = perf_counter(), process_time()
    for copy in copies:
        before = perf_counter()
        insert(copy)
        times.append((perf_counter() - before) * 1000)
    return Cost(times, len(times) / (perf_counter() - started), (process_time() - spent) * 1000 / len(times))


def _renewed(value: Any, ids: Mapping[UUID, UUID]) -> Any:
    """The value with a new id in place of a stored one, in the form that the driver had it in."""
    if isinstance(value, list):  # several rows in one statement, as arrays (PostgreSQL)
        return [_renewed(each, ids) for each in value]
    if isinstance(value, UUID):
        return ids.get(value, value)
    if isinstance(value, str) and (id := parse_id(value)) in ids:
        return ids[id].hex
    return value


def _renewed_row(row: dict[str, Any], ids: Mapping[UUID, UUID]) -> dict[str, Any]:
    return {name: _renewed(value, ids) for name, value in row.items() if not (name == "id" and isinstance(value, int))}
