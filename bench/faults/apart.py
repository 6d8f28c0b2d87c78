"""A process in which Django is set up for the environment that is given: ours knows nothing of it."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bench.faults.receiver import CONTEXT


@dataclass(frozen=True, slots=True)
class Apart:
    pool: ProcessPoolExecutor

    def __call__(self, module: str, function: str, *arguments: Any) -> Any:
        return self.pool.submit(_call, module, function, arguments).result()


@contextmanager
def apart(env: dict[str, str]) -> Iterator[Apart]:
    """It calls a module's function there, one at a time, and says what it gave."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT, initializer=_set_up, initargs=(env,)) as pool:
        yield Apart(pool)


def _set_up(env: dict[str, str]) -> None:
    os.environ |= env
    import_module("django").setup()


def _call(module: str, function: str, arguments: tuple[Any, ...]) -> Any:
    """On a connection of its own: the one of the last time may be to a server that was restarted since."""
    try:
        return getattr(import_module(module), function)(*arguments)
    finally:
        import_module("django.db").connections.close_all()
