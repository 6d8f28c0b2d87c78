"""What a walk through a page's content has seen: the extremes, and where they were."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite

from intake.preflight.colours import Colour
from intake.preflight.facts import Box, Ink, Least, Page
from intake.preflight.ink import HeavyFill, HeavyImage, most_ink
from intake.preflight.limits import FILLS_KEPT

HEAVY = 220
"""Percent of ink from which on a fill is kept for the estimate of the mean."""

Where = Callable[[], Box]


@dataclass(slots=True)
class Sheet:
    """Gathers while a page is walked; `as_facts` says it."""

    marks: int = 0
    transparency: bool = False
    overprint: bool = False
    colours: dict[str, Box] = field(default_factory=dict)
    names: dict[str, Box] = field(default_factory=dict)
    least: dict[str, Least] = field(default_factory=dict)  # text, fine_text, line
    rich_black: Ink | None = None
    white_overprint: dict[str, Box] = field(default_factory=dict)  # text, path
    heavy: list[HeavyFill | HeavyImage] = field(default_factory=list)

    def paint(self, colour: Colour, where: Where) -> None:
        """A visible mark in this colour."""
        if not colour.white:
            self.marks += 1
        label = colour.space.label
        if label not in self.colours:
            self.colours[label] = where()
        for name in colour.space.names:
            if name not in self.names:
                self.names[name] = where()

    def smallest(self, kind: str, size: float, where: Where, **more: str) -> None:
        if isfinite(size) and (kind not in self.least or size < self.least[kind]["size"]):
            self.least[kind] = {"size": round(size, 4), "box": where(), **more}  # type: ignore[typeddict-item]

    def black_text(self, colour: Colour, where: Where) -> None:
        if self.rich_black is None or colour.percent > self.rich_black["percent"]:
            self.rich_black = {"percent": round(colour.percent, 1), "box": where()}

    def overprinted_white(self, kind: str, where: Where) -> None:
        if kind not in self.white_overprint:
            self.white_overprint[kind] = where()

    def weigh(self, patch: HeavyFill | HeavyImage) -> None:
        if len(self.heavy) < FILLS_KEPT:
            self.heavy.append(patch)

    def tell(self, page: Page) -> None:
        """Put what was seen into the page's facts."""
        page["marks"], page["transparency"], page["overprint"] = self.marks, self.transparency, self.overprint
        page["vector_colours"] = self.colours
        page["spots"] = sorted(name for name in self.names if name not in ("All", "None") and name not in _PROCESS)
        page["registration"] = "All" in self.names
        if self.heavy and (ink := most_ink(self.heavy, page["media"])):
            page["ink"] = ink
        for kind, least in self.least.items():
            page[kind] = least  # type: ignore[literal-required]
        if self.rich_black:
            page["rich_black_text"] = self.rich_black
        for kind, box in self.white_overprint.items():
            page[f"white_overprint_{kind}"] = box  # type: ignore[literal-required]


_PROCESS = {"Cyan", "Magenta", "Yellow", "Black"}
