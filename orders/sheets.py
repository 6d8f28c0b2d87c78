"""The pages of a print file as pictures, with the lines of trim, bleed and safe zone and the findings drawn over them.

Lengths in mm from the top left of the sheet as it is seen.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from orders.models import PrintFile, Product

SAFE = 3  # mm inside the trim, where nothing that matters should stand: the knife may be off by as much

Sides = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding on a page. number: as beside it in the list of problems. box: where it is, None: the page as a whole.
    x, y: the middle of its label."""

    number: int
    severity: str
    box: Box | None = None
    x: float = 0
    y: float = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page with a preview. trim: where it is cut; bleed: how far the print should reach, as far as the page does;
    safe: what is cut away nowhere. label: radius of the marks' labels."""

    page: int
    width: float
    height: float
    trim: Box | None
    bleed: Box | None
    safe: Box | None
    marks: list[Mark]

    @property
    def label(self) -> float:
        return label_of(self.width, self.height)

    @property
    def boxed(self) -> list[Mark]:
        return [mark for mark in self.marks if mark.box]

    @property
    def unboxed(self) -> list[Mark]:
        return [mark for mark in self.marks if not mark.box]


def sheets_of(file: PrintFile, product: Product | None, problems: Sequence[dict[str, Any]] = ()) -> list[Sheet]:
    """The pages that have a preview. problems: what was found in the file, each with its `number`."""
    return [_sheet(seen, product, problems) for seen in _readable(file.previews)]


def elsewhere(problems: Iterable[dict[str, Any]], sheets: Sequence[Sheet]) -> list[Mark]:
    """What was found in the file as a whole, or on pages without a picture."""
    marked = {mark.number for sheet in sheets for mark in sheet.marks}
    return [Mark(each["number"], each["severity"]) for each in problems if each["number"] not in marked]


def label_of(width: float, height: float) -> float:
    return round(max(width, height) / 20, 2)


def upright(inner: Sequence[float], shown: Sequence[float], rotate: int) -> Sides:
    """A box of the page (left, bottom, right, top) as left, top, right, bottom from the top left of the part that is
    shown, as it is seen after its /Rotate; in the same unit."""

    def turned(x: float, y: float) -> tuple[float, float]:
        return {
            0: (x - shown[0], shown[3] - y),
            90: (y - shown[1], x - shown[0]),
            180: (shown[2] - x, y - shown[1]),
        }.get(rotate, (shown[3] - y, shown[2] - x))

    across, down = zip(turned(inner[0], inner[1]), turned(inner[2], inner[3]), strict=True)
    return min(across), min(down), max(across), max(down)


def _readable(previews: Any) -> list[dict[str, Any]]:
    """The previews that say which page they show and how large it is; what else stands there is left out."""

    def says(seen: Any) -> bool:
        sizes = [seen.get("width"), seen.get("height")] if isinstance(seen, dict) else [None]
        return all(isinstance(size, int | float) and size > 0 for size in sizes) and isinstance(seen.get("page"), int)

    return [seen for seen in previews if says(seen)] if isinstance(previews, list) else []


def _sheet(seen: dict[str, Any], product: Product | None, problems: Sequence[dict[str, Any]]) -> Sheet:
    width, height = seen["width"], seen["height"]
    trim = _trim_said(seen.get("trim")) or _trim_asked(width, height, product)
    bleed = _grown(trim, product.bleed, width, height) if trim and product else None
    safe = _grown(trim, -SAFE, width, height) if trim and min(trim.width, trim.height) > 2 * SAFE else None
    return Sheet(seen["page"], width, height, trim, bleed, safe, list(_marks(seen, problems)))


def _trim_said(trim: Any) -> Box | None:
    """The page's own trim box, which comes as [left, top, right, bottom]."""
    if not _is_box(trim):
        return None
    left, top, right, bottom = trim
    return Box(left, top, right - left, bottom - top)


def _trim_asked(width: float, height: float, product: Product | None) -> Box | None:
    """The product's trim size in the middle of the page, turned when the page is."""
    if product is None:
        return None
    trim = (product.trim_width, product.trim_height)
    across, down = trim if (width > height) == (trim[0] > trim[1]) else trim[::-1]
    return Box((width - across) / 2, (height - down) / 2, across, down)


def _grown(box: Box, by: float, width: float, height: float) -> Box:
    left, top = max(0, box.x - by), max(0, box.y - by)
    right, bottom = min(width, box.x + box.width + by), min(height, box.y + box.height + by)
    return Box(left, top, right - left, bottom - top)


def _is_box(found: Any) -> TypeGuard[list[float]]:
    return isinstance(found, list) and len(found) == 4 and all(isinstance(side, int | float) for side in found)


# --- findings ---------------------------------------------------------------------------------------
def _marks(seen: dict[str, Any], problems: Iterable[dict[str, Any]]) -> Iterator[Mark]:
    """What was found on this page. A finding that is on several pages says its place only for the first."""
    taken: list[tuple[float, float]] = []
    for problem in problems:
        details = problem.get("details", {})
        if seen["page"] not in details.get("pages", [details.get("page")]):
            continue
        box = _placed(details.get("box"), seen) if details.get("page") == seen["page"] else None
        if box:
            taken.append(_free_spot(box, taken, width=seen["width"], height=seen["height"]))
        yield Mark(problem["number"], problem["severity"], box, *(taken[-1] if box else ()))


def _placed(box: Any, seen: dict[str, Any]) -> Box | None:
    """A finding's box, as it lies on the sheet, and large enough to be seen; None when it lies outside of what is shown."""
    shown, width, height = seen.get("box"), seen["width"], seen["height"]
    if not _is_box(box) or not _is_box(shown):
        return None
    _, _, across, down = upright(shown, shown, seen.get("rotate", 0))
    if across <= 0 or down <= 0:
        return None
    left, top, right, bottom = upright(box, shown, seen.get("rotate", 0))
    left, right = left / across * width, right / across * width
    top, bottom = top / down * height, bottom / down * height
    if right < 0 or bottom < 0 or left > width or top > height:
        return None
    least = max(width, height) / 100
    spare = [max(0, least - length) / 2 for length in (right - left, bottom - top)]
    left, right = max(0, left - spare[0]), min(width, right + spare[0])
    top, bottom = max(0, top - spare[1]), min(height, bottom + spare[1])
    return Box(*(round(length, 2) for length in (left, top, right - left, bottom - top)))


def _free_spot(box: Box, taken: list[tuple[float, float]], *, width: float, height: float) -> tuple[float, float]:
    """Where its label stands: at the box's upper left corner, or beside the labels that are there already."""
    radius = label_of(width, height)
    x, y = (min(max(at, radius), side - radius) for at, side in ((box.x, width), (box.y, height)))
    while any(abs(x - other[0]) < 2 * radius and abs(y - other[1]) < 2 * radius for other in taken):
        x += 2 * radius
        if x > width - radius:
            x, y = radius, y + 2 * radius
        if y > height - radius:
            break
    return round(x, 2), round(min(y, height - radius), 2)
