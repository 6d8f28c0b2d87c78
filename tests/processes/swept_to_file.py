"""Loaded into a worker under test: a stand-in for the deliveries, which says in a file that it was asked to sweep,
and then is busy for BUSY seconds."""

import os
from pathlib import Path
from time import sleep
from typing import Any

from orders import events


def due(**_: Any) -> list[str]:
    return []


def sweep(*, seconds: float) -> int:
    Path(os.environ["SWEPT"]).write_text(f"{seconds:g}")
    sleep(float(os.environ.get("BUSY", "0")))
    return 0


events.due, events.sweep = due, sweep
