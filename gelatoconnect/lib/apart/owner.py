"""The owner's side of work done apart: warm processes (see `process`), each lent to one question at a time."""

import atexit
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
GRACE = 15
"""Seconds beyond all that a question may take after which the warm process itself counts as lost."""


class Gone(Exception):
    """The warm process died or does not answer."""


class Reader:
    """A warm process, started once. It forks for each question, outlives every fork and ends when its stdin closes."""

    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603  # one of our own modules
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd=ROOT, env={}, start_new_session=True,
        )  # fmt: skip
        os.set_blocking(self._pipe("stdin").fileno(), False)

    def ask(self, question: bytes, *, seconds: float) -> list[Any]:
        """What is said to a line of JSON. seconds: of wall time for all of it. Raises Gone."""
        deadline = time.monotonic() + seconds + GRACE
        try:
            self._write(question, deadline)
            return json.loads(self._line(deadline))
        except (OSError, ValueError) as error:
            raise Gone from error

    def _write(self, line: bytes, deadline: float) -> None:
        pipe, left = self._pipe("stdin"), memoryview(line)
        while left:
            if not select.select([], [pipe], [], max(0, deadline - time.monotonic()))[1]:
                raise Gone
            left = left[os.write(pipe.fileno(), left) :]

    def _line(self, deadline: float) -> bytes:
        pipe = self._pipe("stdout")
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            if not select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Gone
            parts.append(os.read(pipe.fileno(), 1 << 20))
            if not parts[-1]:
                raise Gone
        return b"".join(parts)

    def _pipe(self, name: str) -> Any:
        return getattr(self.process, name)

    def stop(self) -> None:
        """End it and whatever it is doing."""
        self._close()
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """In a forked owner: the process belongs to the other one; only let go of its pipes."""
        self._close()
        self.process.returncode = 0

    def _close(self) -> None:
        for name in ("stdin", "stdout"):
            self._pipe(name).close()


class Pool:
    """The warm processes of one kind: as many as questions were ever asked at the same time.

    module: its `__main__` calls `process.serve`.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.all: set[Reader] = set()
        self.idle: list[Reader] = []
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget_all)

    def ask(self, question: dict[str, Any], *, seconds: float, rest: float = 0) -> list[Any] | None:
        """What an idle process says to it, or a new one; once more when it was found dead. None: neither did.

        seconds: of wall time for the first word; rest: for what follows. Raises TypeError when it is no plain data.
        """
        line = json.dumps(question | {"seconds": seconds}).encode() + b"\n"
        for _ in range(2):
            try:
                reader = self.idle.pop()
            except IndexError:
                reader = Reader(self.module)
                self.all.add(reader)
            try:
                said = reader.ask(line, seconds=seconds + rest)
            except Gone:
                self.all.discard(reader)
                reader.stop()
            else:
                self.idle.append(reader)
                return said
        return None

    def close(self) -> None:
        """End all of them."""
        self.idle.clear()
        for reader in list(self.all):
            reader.stop()
        self.all.clear()

    def _forget_all(self) -> None:
        self.idle.clear()
        for reader in list(self.all):
            reader.forget()
        self.all.clear()
