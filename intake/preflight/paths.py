"""Paths as tokens: their outline and the thin bars among them."""

from intake.preflight.facts import Box
from intake.preflight.geometry import IDENTITY, Matrix, bounds, corners, sides_of, times
from intake.preflight.tokens import number

BAR = 2.0
"""pt: a filled rectangle must be longer than this to be taken for a line."""
_TAKES = {b"m": 2, b"l": 2, b"c": 6, b"v": 4, b"y": 4, b"re": 4}


def outline_of(path: list[bytes], ctm: Matrix = IDENTITY) -> list[tuple[float, float]]:
    """The points of a path after `ctm`, control points of curves included: a hull, not the exact shape."""
    points: list[tuple[float, float]] = []
    for place, token in enumerate(path):
        if (count := _TAKES.get(token)) is None or place < count:
            continue
        values = [number(one) for one in path[place - count : place]]
        if token == b"re":
            x, y, width, height = values
            points += corners((x, y, x + width, y + height))
        else:
            points += zip(values[::2], values[1::2], strict=True)
    a, b, c, d, e, f = ctm
    return [(a * x + c * y + e, b * x + d * y + f) for x, y in points] or [(e, f)]


def thinnest_box(path: list[bytes], ctm: Matrix) -> tuple[float, Box] | None:
    """Of the rectangles in a filled path the one that is thinnest as a line, with its thickness (GWG 2022, I00004)."""
    thinnest: tuple[float, Box] | None = None
    for place in range(4, len(path), 5):
        if path[place] != b"re":
            break
        x, y, width, height = (number(one) for one in path[place - 4 : place])
        across, up = sides_of(times((width, 0, 0, height, x, y), ctm))
        if max(across, up) >= BAR and (thinnest is None or min(across, up) < thinnest[0]):
            thinnest = min(across, up), bounds(corners((x, y, x + width, y + height)), ctm)
    return thinnest
