"""Loaded into a worker under test: a stand-in for the deliveries, which says in a file that it was asked to sweep."""

import os
from pathlib import Path
from typing import Any

from orders import events


def due(**_: Any) -> list[str]:
    return []


def sweep(*, seconds: float) -> int:
    Path(os.environ["SWEPT"]).write_text(f"{seconds:g}")
    return 0


events.due, events.sweep = due, sweep
