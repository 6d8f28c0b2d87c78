"""One finding, before those of the same kind are gathered, and the words for numbers."""

from dataclasses import dataclass, field
from typing import Any

from gelatoconnect.lib.problems import Severity
from intake.preflight.facts import Box
from intake.preflight.judging.codes import CODES

MM = 72 / 25.4
"""pt in a millimetre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found on one page, or (page 0) in the whole file.

    words fill the code's texts; actual, limit, unit and more are for machines. Numbers are rounded here, at the end
    (GWG 2022, I00005).
    """

    code: str
    page: int = 0
    severity: Severity | None = None  # None: the code's usual one
    words: dict[str, Any] = field(default_factory=dict)
    actual: Any = None
    limit: Any = None
    unit: str = ""
    box: Box | None = None  # pt, in the page's space
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return CODES[self.code].message.format(**self.words)

    @property
    def hint(self) -> str:
        return CODES[self.code].hint.format(**self.words)

    @property
    def weight(self) -> Severity:
        return self.severity or CODES[self.code].severity

    @property
    def details(self) -> dict[str, Any]:
        said = {"actual": self.actual, "limit": self.limit, "unit": self.unit or None, "box": self.box} | self.more
        return {key: _rounded(value) for key, value in said.items() if value is not None}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value


def plain(value: float) -> str:
    """A number for people: at most two decimals, none where there are none."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def size_in_words(width: float, height: float) -> str:
    """mm."""
    return f"{plain(round(width, 1))} × {plain(round(height, 1))} mm"


def pages_in_words(numbers: list[int]) -> str:
    """Page 3; Pages 1, 2, 5 to 9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}{', ' if len(run) == 2 else ' to '}{run[-1]}" for run in runs]
    return ("Page " if len(numbers) == 1 else "Pages ") + ", ".join(words[:20]) + (" …" if len(words) > 20 else "")
