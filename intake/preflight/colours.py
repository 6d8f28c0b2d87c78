"""Colour spaces and the inks that a colour asks for (ISO 32000-1, 8.6)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pikepdf

from intake.preflight.tokens import spelled

PROCESS = {"Cyan", "Magenta", "Yellow", "Black", "All", "None"}
"""Names that are no spot colours (GWG 2022, I00003)."""

_DEVICE = {
    "/DeviceGray": ("gray", 1), "/G": ("gray", 1), "/DeviceRGB": ("rgb", 3), "/RGB": ("rgb", 3),
    "/DeviceCMYK": ("cmyk", 4), "/CMYK": ("cmyk", 4), "/CalGray": ("cal-gray", 1), "/CalRGB": ("cal-rgb", 3),
    "/CalCMYK": ("cmyk", 4), "/Lab": ("lab", 3), "/Pattern": ("pattern", 0),
}  # fmt: skip
_DEFAULTS = {"gray": "/DefaultGray", "rgb": "/DefaultRGB", "cmyk": "/DefaultCMYK"}
_ICC = {1: "icc-gray", 3: "icc-rgb", 4: "icc-cmyk"}
DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Space:
    """label: gray rgb cmyk, icc-…, cal-…, lab, separation, devicen, pattern, unknown; names: its colorants."""

    label: str
    components: int
    names: tuple[str, ...] = ()
    indexed: bool = False

    @property
    def spots(self) -> list[str]:
        return [name for name in self.names if name not in PROCESS]


UNKNOWN = Space("unknown", 0)
GRAY, RGB, CMYK, PATTERN = Space("gray", 1), Space("rgb", 3), Space("cmyk", 4), Space("pattern", 0)


def space_of(described: Any, named: dict[str, Any] | None = None, *, depth: int = 0) -> Space:
    """The colour space of a name or array; `named`: what the resources call by name, defaults among them."""
    named = named or {}
    if depth > DEEPEST:
        return UNKNOWN
    if isinstance(described, pikepdf.Name):
        return named_space(spelled(described), named, depth)
    if not isinstance(described, pikepdf.Array) or not len(described):
        return UNKNOWN
    family = spelled(described[0])
    if family in ("/ICCBased", "/Indexed", "/I", "/Separation", "/DeviceN") and len(described) < 2:
        return UNKNOWN
    if family == "/ICCBased":
        channels = int(described[1].get("/N", 0)) if isinstance(described[1], pikepdf.Stream) else 0
        return Space(_ICC.get(channels, "unknown"), channels)
    if family in ("/Indexed", "/I"):
        base = space_of(described[1], named, depth=depth + 1)
        return Space(base.label, 1, base.names, indexed=True)
    if family == "/Separation":
        return Space("separation", 1, (spelled(described[1])[1:],))
    if family == "/DeviceN":
        names = tuple(spelled(name)[1:] for name in described[1])  # type: ignore[union-attr]
        return Space("devicen", len(names), names)
    return named_space(family, {}, depth)


def named_space(name: str, named: dict[str, Any], depth: int = 0) -> Space:
    if name in _DEVICE:
        label, components = _DEVICE[name]
        default = named.get(_DEFAULTS[label]) if label in _DEFAULTS else None
        return Space(label, components) if default is None else space_of(default, depth=depth + 1)
    if name in named:
        return space_of(named[name], named, depth=depth + 1)
    return UNKNOWN


@dataclass(slots=True)
class Colour:
    """What is painted with: a space and its component values (none for patterns and unknown operands)."""

    space: Space
    values: Sequence[float] = ()
    white: bool = field(init=False)
    inks: tuple[float, ...] = field(init=False)  # CMYK, tint or DeviceN amounts; empty where only a conversion knows

    def __post_init__(self) -> None:
        label, values = self.space.label, self.values
        if len(values) != self.space.components or not values or self.space.indexed:
            self.white, self.inks = False, ()
        elif label in ("cmyk", "icc-cmyk", "separation", "devicen"):
            self.inks = tuple(values) if min(values) >= 0 and max(values) <= 1 else _within(values)
            self.white = not any(self.inks)
        elif label in ("gray", "icc-gray", "cal-gray"):
            self.inks, self.white = (1 - min(1.0, max(0.0, values[0])),), values[0] >= 1
        else:
            self.inks, self.white = (), label != "lab" and min(values) >= 1

    @property
    def multi_ink(self) -> bool:
        return sum(1 for ink in self.inks if ink > 0) > 1

    @property
    def percent(self) -> float:
        """The sum of all inks; a full ink is 100."""
        return 100 * sum(self.inks)

    @property
    def rich_black(self) -> bool:
        """Black from 85 % on with other inks below it (GWG 2022, R0015)."""
        return self.space.label in ("cmyk", "icc-cmyk") and len(self.inks) == 4 and self.inks[3] >= 0.85


def _within(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(min(1.0, max(0.0, value)) for value in values)
