"""Each part runs in a process, a folder and a database of its own."""

import os
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from bench.environment import own_environment
from bench.report import Table

PARTS = ("submit", "channels", "imports", "folder", "broker", "latency", "lists")


def measure(part: str, *sizes: Any) -> list[Table]:
    """What bench/<part>.py measures, there."""
    context = get_context("spawn")
    with own_environment() as environment, ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_measure, part, environment, sizes).result()


def _measure(part: str, environment: dict[str, str], sizes: tuple[Any, ...]) -> list[Table]:
    os.environ |= environment
    import_module("django").setup()
    tables = import_module(f"bench.{part}").measure(*sizes)  # imports models, which can be only now
    import_module("django.db").connections.close_all()
    return tables
