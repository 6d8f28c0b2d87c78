"""The owner's side of reading files elsewhere: warm processes (see `child`), lent to one file at a time."""

import atexit
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from intake.preflight.facts import Facts, Preview, blank_facts
from intake.preflight.formats import MIME, sniff
from intake.preflight.limits import PREVIEW_SECONDS

ROOT = Path(__file__).resolve().parents[2]
GRACE = 15
"""Seconds beyond the file's own limit after which the warm process itself counts as lost."""


class Gone(Exception):
    """The warm process died or does not answer."""


class Answer(NamedTuple):
    """facts, or {"code": "SYS_…", "what": …}; the previews made; the most memory used, in kB."""

    facts: Any
    previews: list[Preview] | None = None
    peak: int = 0


class Reader:
    """A warm process, started once. It forks for each file, outlives every fork and ends when its stdin closes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "intake.preflight.child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd=ROOT, env={}, start_new_session=True,
        )  # fmt: skip
        _all.add(self)

    def ask(self, path: Path, *, previews: Path | None, seconds: float) -> Answer:
        """Raises Gone."""
        question = {"path": str(path), "previews": previews and str(previews), "seconds": seconds}
        try:
            self._pipe("stdin").write(json.dumps(question).encode() + b"\n")
            facts, *rest = json.loads(self._line(time.monotonic() + seconds + PREVIEW_SECONDS + GRACE))
        except (OSError, ValueError) as error:
            raise Gone from error
        return Answer(facts, **rest[0] if rest else {})

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
        _all.discard(self)
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


_all: set[Reader] = set()
_idle: list[Reader] = []


def inspect(path: Path, *, previews: Path | None = None, seconds: float = 90) -> Facts:
    """Facts of the file, read in a process of its own with limits on memory, time and writing.

    `previews`: a folder for JPEGs of the first pages. `seconds`: of wall time for the facts. What cannot be told because
    a limit was hit, or because the reading process died, is in `system` of the facts. Raises OSError without the file.
    """
    name = sniff(path)
    if previews is not None:
        previews.mkdir(parents=True, exist_ok=True)
    answer = lend(path, previews=previews, seconds=seconds)
    if "state" in answer.facts:
        return answer.facts | {"previews": answer.previews or []}
    unknown = blank_facts(size=path.stat().st_size, format=name, mime=MIME[name])
    unknown["system"] = [answer.facts]
    return unknown


def lend(path: Path, *, previews: Path | None, seconds: float) -> Answer:
    """The answer of an idle Reader, or of a new one; one more try when it was found dead."""
    for _ in range(2):
        try:
            reader = _idle.pop()
        except IndexError:
            reader = Reader()
        try:
            answer = reader.ask(path.resolve(), previews=previews and previews.resolve(), seconds=seconds)
        except Gone:
            reader.stop()
        else:
            _idle.append(reader)
            return answer
    return Answer({"code": "SYS_CRASH", "what": "the reading process could not be kept alive"})


def close() -> None:
    """End all warm processes of this one."""
    _idle.clear()
    for reader in list(_all):
        reader.stop()


def _forget_all() -> None:
    _idle.clear()
    for reader in list(_all):
        reader.forget()
    _all.clear()


atexit.register(close)
os.register_at_fork(after_in_child=_forget_all)
