"""The pages of a print file as pictures, with the lines of trim and bleed drawn over them. Lengths in mm, from top left."""

from dataclasses import dataclass
from typing import Any

from orders.models import PrintFile, Product


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page with a preview. trim: where it is cut; bleed: how far the print should reach, as far as the page does."""

    page: int
    width: float
    height: float
    trim: Box | None
    bleed: Box | None


def sheets_of(file: PrintFile, product: Product | None) -> list[Sheet]:
    return [_sheet(seen, product) for seen in _readable(file.previews)]


def _readable(previews: Any) -> list[dict[str, Any]]:
    """The previews that say which page they show and how large it is; what else stands there is left out."""

    def says(seen: Any) -> bool:
        sizes = [seen.get("width"), seen.get("height")] if isinstance(seen, dict) else [None]
        return all(isinstance(size, int | float) and size > 0 for size in sizes) and isinstance(seen.get("page"), int)

    return [seen for seen in previews if says(seen)] if isinstance(previews, list) else []


def _sheet(seen: dict[str, Any], product: Product | None) -> Sheet:
    width, height = seen["width"], seen["height"]
    trim = _trim_said(seen.get("trim")) or _trim_asked(width, height, product)
    bleed = _grown(trim, product.bleed, width, height) if trim and product else None
    return Sheet(seen["page"], width, height, trim, bleed)


def _trim_said(trim: Any) -> Box | None:
    """The page's own trim box, which comes as [left, top, right, bottom]."""
    if not isinstance(trim, list) or len(trim) != 4 or not all(isinstance(side, int | float) for side in trim):
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
