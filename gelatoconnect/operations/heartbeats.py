"""Who is alive: each process that matters leaves a note now and then, in a folder that all machines share (FILES_DIR)."""

import json
import os
import platform
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings

EVERY = 10.0  # seconds between two notes of one process
FORGOTTEN = timedelta(days=1)  # after which a silent process is not remembered any more
_last: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Beat:
    """The latest note of one kind of process on one machine."""

    name: str
    host: str
    at: datetime

    @property
    def age(self) -> float:
        """In seconds; never negative, whatever the clocks say."""
        return max(0.0, (datetime.now(UTC) - self.at).total_seconds())


def folder() -> Path:
    return settings.FILES_DIR / "heartbeats"


def beat(name: str = "timetable") -> None:
    """Leave a note, but not more often than needed."""
    if monotonic() - _last.get(name, -EVERY) < EVERY / 2:
        return
    _last[name] = monotonic()
    host = platform.node() or "localhost"
    write(folder() / f"{name}@{host}.json", {"name": name, "host": host, "at": datetime.now(UTC).isoformat()})


def beats() -> list[Beat]:
    """What is remembered, by name and machine. Old notes are cleared away on the way."""
    found = []
    for path in sorted(folder().glob("*@*.json")):
        said = read(path)
        with suppress(KeyError, ValueError, TypeError):
            each = Beat(str(said["name"]), str(said["host"]), datetime.fromisoformat(said["at"]))
            if each.age > FORGOTTEN.total_seconds():
                path.unlink(missing_ok=True)
            else:
                found.append(each)
    return found


def youngest(name: str) -> float | None:
    """Seconds since any process of that name left a note; None: none is remembered."""
    return min((each.age for each in beats() if each.name == name), default=None)


def write(path: Path, said: dict[str, Any]) -> None:
    """A small JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
        file.write(json.dumps(said))
    os.replace(file.name, path)


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote; empty when there is nothing, or nothing that can be read."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
