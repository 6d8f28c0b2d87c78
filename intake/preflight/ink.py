"""How much ink lies on one place: an estimate from the colours asked for and the pixels of CMYK images.

A map of the page, one pixel a millimetre, on which each heavy object replaces what is below. What is not seen: inks added
by overprint and transparency, text, RGB before its conversion.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from typing import Any

import pikepdf
from PIL import Image, ImageDraw, ImageMath

from intake.preflight.facts import Box, Ink
from intake.preflight.geometry import Matrix, inverse, sides_of, times
from intake.preflight.pixels import filter_of

MM = 72 / 25.4
"""pt in a millimetre."""
CELL = 3  # mm
WINDOW = 5
"""Cells: 15 mm, the side of the square over which ink is averaged (GWG 2022, R0025)."""
LARGEST_MAP = 3000  # mm; larger pages are looked at in part
MOST_BYTES = 64_000_000  # of an image's decoded pixels


@dataclass(slots=True)
class HeavyFill:
    percent: float
    outline: list[tuple[float, float]]  # pt


@dataclass(slots=True)
class HeavyImage:
    stream: Any  # pikepdf.Stream of a DeviceCMYK image with 8 bits
    width: int
    height: int
    ctm: Matrix


def most_ink(patches: Iterable[HeavyFill | HeavyImage], media: Box) -> Ink | None:
    """The highest mean over a square of 15 mm on the page, in percent; None when nothing heavy was painted."""
    left, top = media[0], media[3]
    width = min(LARGEST_MAP, round((media[2] - left) / MM)) or 1
    height = min(LARGEST_MAP, round((top - media[1]) / MM)) or 1
    onto_map: Matrix = (1 / MM, 0, 0, -1 / MM, -left / MM, top / MM)
    page = Image.new("F", (width, height))
    draw = ImageDraw.Draw(page)
    for patch in patches:
        if isinstance(patch, HeavyImage):
            _paste(page, patch, onto_map)
        elif len(patch.outline) > 2:
            a, b, c, d, e, f = onto_map
            draw.polygon([(a * x + c * y + e, b * x + d * y + f) for x, y in patch.outline], fill=patch.percent)
    percent, column, row = _highest_mean(page)
    if not percent:
        return None
    x, y, side = left + column * CELL * MM, top - row * CELL * MM, WINDOW * CELL * MM
    return {"percent": round(percent, 1), "box": [round(x, 2), round(y - side, 2), round(x + side, 2), round(y, 2)]}


def _paste(page: Image.Image, patch: HeavyImage, onto_map: Matrix) -> None:
    across, up = sides_of(patch.ctm)
    size = min(max(1, round(across / MM)), LARGEST_MAP), min(max(1, round(up / MM)), LARGEST_MAP)
    inks, back = _inks_of(patch, size), inverse(times(patch.ctm, onto_map))
    if inks is None or back is None:
        return
    a, b, c, d, e, f = times(back, (size[0], 0, 0, -size[1], 0, size[1]))  # image space has its origin at the bottom
    coefficients = (a, c, e, b, d, f)
    layer = inks.transform(page.size, Image.Transform.AFFINE, coefficients)
    mask = Image.new("L", size, 255).transform(page.size, Image.Transform.AFFINE, coefficients)
    page.paste(layer, mask=mask)


def _inks_of(patch: HeavyImage, size: tuple[int, int]) -> Image.Image | None:
    """The sums of inks in percent, one pixel a millimetre. None when the pixels cannot be had cheaply."""
    try:
        pixels = _pixels_of(patch, size)
    except (pikepdf.PikepdfError, OSError, ValueError, SyntaxError, TypeError):
        return None
    if pixels is None or pixels.mode != "CMYK":
        return None
    small = pixels.resize(size, Image.Resampling.BOX)
    bands = dict(zip("cmyk", small.split(), strict=True))
    return ImageMath.lambda_eval(
        lambda given: (given["c"] + given["m"] + given["y"] + given["k"]) * (100 / 255), **bands
    )


def _pixels_of(patch: HeavyImage, size: tuple[int, int]) -> Image.Image | None:
    stream = patch.stream
    inverted = [float(one) for one in stream.get("/Decode", ())][:2] == [1, 0]
    kind = filter_of(stream)
    if kind == "/DCTDecode":
        pixels: Image.Image = Image.open(BytesIO(stream.read_raw_bytes()), formats=("JPEG",))
        inverted ^= "adobe" in pixels.info  # Pillow has turned those round already
        pixels.draft("CMYK", size)
    elif patch.width * patch.height * 4 <= MOST_BYTES and kind in ("/FlateDecode", "/LZWDecode", ""):
        pixels = Image.frombytes("CMYK", (patch.width, patch.height), stream.read_bytes())
    else:
        return None
    return pixels.point(lambda value: 255 - value) if inverted else pixels


def _highest_mean(page: Image.Image) -> tuple[float, int, int]:
    """The highest mean of a window of cells, with its column and row."""
    cells = page.reduce(CELL)
    columns, rows = cells.size
    values: list[float] = list(cells.get_flattened_data())  # type: ignore[arg-type]
    across, down = min(WINDOW, columns), min(WINDOW, rows)
    sums = [[0.0] * (columns + 1)]  # sums[row][column]: of all cells above and to the left
    for row in range(rows):
        line = [0.0, *accumulate(values[row * columns : (row + 1) * columns])]
        sums.append([above + here for above, here in zip(sums[-1], line, strict=True)])
    windows = [(row, column) for row in range(rows - down + 1) for column in range(columns - across + 1)]

    def total(place: tuple[int, int]) -> float:
        row, column = place
        below, right = row + down, column + across
        return sums[below][right] - sums[row][right] - sums[below][column] + sums[row][column]

    row, column = max(windows, key=total)
    return total((row, column)) / (across * down), column, row
