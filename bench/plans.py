"""Which statements something executes, and how the database goes about them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    params: Any
    milliseconds: float


def statements_of(ask: Callable[[], Any]) -> list[Statement]:
    """What `ask` executes; each is then executed once more, alone and to its last row, for the time it takes."""
    found = []

    def record(execute: Callable, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        ask()
    return [Statement(sql, params, _milliseconds(sql, params)) for sql, params in found]


def shown(statement: Statement) -> str:
    """The statement without its long lists of columns."""
    return re.sub(r'SELECT ("\w+"\."\w+", )+"\w+"\."\w+" FROM', "SELECT … FROM", statement.sql)


def plan_of(statement: Statement) -> list[str]:
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN ANALYZE " if postgresql else "EXPLAIN QUERY PLAN ") + statement.sql, statement.params)
        return [f"    {row[0] if postgresql else row[3]}" for row in cursor.fetchall()]


def _milliseconds(sql: str, params: Any) -> float:
    with connection.cursor() as cursor:
        started = perf_counter()
        cursor.execute(sql, params)
        cursor.fetchall()
        return (perf_counter() - started) * 1000
