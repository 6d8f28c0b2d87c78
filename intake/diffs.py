"""What a person changed in a body: a unified diff by lines, with the part of a line that differs."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

MAX_LINES = 2_000  # of either side; comparing takes longer than anybody waits beyond that
CONTEXT = 3  # equal lines around a change


@dataclass(frozen=True, slots=True)
class Line:
    """kind: "same", "removed", "added" or "gap"; old and new: line numbers, where it has one; parts: [(text, changed)]."""

    kind: str
    parts: tuple[tuple[str, bool], ...] = ()
    old: int | None = None
    new: int | None = None


def diff(before: str, after: str) -> list[Line] | None:
    """The changed lines with some around them; None when there are too many lines to compare."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MAX_LINES:
        return None
    found: list[Line] = []
    for number, group in enumerate(SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT)):
        if number:
            found.append(Line("gap"))
        for tag, a, b, c, d in group:
            found += _same(old, a, b, c) if tag == "equal" else _changed(old[a:b], new[c:d], a, c)
    return found


def _same(old: list[str], start: int, end: int, new: int) -> Iterator[Line]:
    for place in range(start, end):
        yield Line("same", ((old[place], False),), place + 1, new + place - start + 1)


def _changed(old: list[str], new: list[str], a: int, c: int) -> list[Line]:
    """First what was, then what is; of lines that stand in each other's place the part that differs."""
    pairs = list(enumerate(zip_longest(old, new), 1))
    removed = [Line("removed", _parts(was, is_), old=a + place) for place, (was, is_) in pairs if was is not None]
    added = [Line("added", _parts(is_, was), new=c + place) for place, (was, is_) in pairs if is_ is not None]
    return removed + added


def _parts(line: str, other: str | None) -> tuple[tuple[str, bool], ...]:
    if other is None:
        return ((line, False),)
    start = _common(line, other)
    end = min(_common(line[::-1], other[::-1]), len(line) - start, len(other) - start)
    middle = len(line) - end
    return tuple(
        part for part in ((line[:start], False), (line[start:middle], True), (line[middle:], False)) if part[0]
    )


def _common(a: str, b: str) -> int:
    """How many characters both begin with."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
