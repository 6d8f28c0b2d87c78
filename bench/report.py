"""Figures become tables, for people and as JSON."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Table:
    title: str
    headings: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: Any) -> None:
        self.rows.append(cells)

    def __str__(self) -> str:
        cells = [[_shown(cell) for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in cells]
        return "\n".join([f"\n{self.title}", "", lines[0], "-" * len(lines[0]), *lines[1:], *self.notes])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one thing done many times took: each time (ms), times a second, and CPU for one (ms)."""

    times: Sequence[float]
    rate: float
    processor: float
    errors: int = 0


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many per cent of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -int(-len(ranked) * percent // 100) - 1)]


def median(values: Iterable[float]) -> float:
    return percentile(values, 50)


def machine() -> str:
    """What the figures were taken on, and how busy it was before (the load average of the last minute)."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, load {load:.1f}"


def _shown(cell: Any) -> str:
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else str(cell)
    return f"{cell:,.0f}" if cell >= 100 else f"{cell:.1f}" if cell >= 10 else f"{cell:.2f}"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first column is a name, the others are figures."""
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
