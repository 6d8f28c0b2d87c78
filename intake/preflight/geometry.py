"""Matrices `(a, b, c, d, e, f)` and boxes of the page (ISO 32000-1, 8.3.3); numbers in pt."""

from collections.abc import Iterable, Sequence
from math import hypot, sqrt

Matrix = tuple[float, float, float, float, float, float]

IDENTITY: Matrix = (1, 0, 0, 1, 0, 0)
FAR = 1e7
"""pt."""


def times(m: Sequence[float], n: Sequence[float]) -> Matrix:
    """m applied first, then n."""
    a, b, c, d, e, f = m
    g, h, i, j, k, l = n  # noqa: E741
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l)


def inverse(m: Matrix) -> Matrix | None:
    """The way back; None for a matrix that flattens everything."""
    a, b, c, d, e, f = m
    if not (area := a * d - b * c):
        return None
    return (d / area, -b / area, -c / area, a / area, (c * f - d * e) / area, (b * e - a * f) / area)


def scale_of(m: Matrix) -> float:
    """How much longer a length becomes, as mean of all directions."""
    return sqrt(abs(m[0] * m[3] - m[1] * m[2]))


def sides_of(m: Matrix) -> tuple[float, float]:
    """Lengths of the unit square's sides."""
    return hypot(m[0], m[1]), hypot(m[2], m[3])


def bounds(points: Iterable[tuple[float, float]], m: Matrix = IDENTITY) -> list[float]:
    """The smallest upright box around the points, after `m`."""
    a, b, c, d, e, f = m
    moved = [(a * x + c * y + e, b * x + d * y + f) for x, y in points]
    xs, ys = [x for x, _ in moved], [y for _, y in moved]
    return [_tidy(min(xs)), _tidy(min(ys)), _tidy(max(xs)), _tidy(max(ys))]


def _tidy(value: float) -> float:
    """Rounded, and within what a page can be: damaged files place things at infinity."""
    return round(max(-FAR, min(FAR, value)), 2) + 0.0


def corners(box: Sequence[float]) -> list[tuple[float, float]]:
    left, bottom, right, top = box
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


UNIT = corners((0, 0, 1, 1))


def meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
