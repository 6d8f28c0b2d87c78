"""How raw data reads on a page."""

import json
import re
from collections.abc import Iterator
from typing import Any

SHOWN = 100_000  # characters of a text; what is longer is cut
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def pretty(value: Any) -> str:
    """JSON with a line for each value, nothing else changed: doubled keys and every digit stay as they came.

    A text that is no JSON is shown as it is. A stranger may have made it: no more than SHOWN characters are built.
    """
    if not value:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text[:SHOWN]
    pieces, size = [], 0
    for piece in _indented(text):
        pieces.append(piece)
        size += len(piece)
        if size > SHOWN:
            break
    return "".join(pieces)[:SHOWN]


def _indented(text: str) -> Iterator[str]:
    depth, before = 0, ""
    for match in _TOKEN.finditer(text):
        token = match.group()
        depth -= token in ("}", "]")
        empty = before in ("{", "[") and token in ("}", "]")
        if before in ("{", "[", ",") or token in ("}", "]"):
            yield "" if empty else "\n" + "  " * depth
        elif before == ":":
            yield " "
        yield token
        depth += token in ("{", "[")
        before = token


def duration(seconds: float) -> str:
    """In the two largest units: "2 d 4 h", "35 min", "12 s"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((place for place, (amount, _) in enumerate(units) if amount), 3)
    return " ".join(f"{amount} {unit}" for amount, unit in units[first : first + 2] if amount) or "0 s"


def serious(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Errors, then warnings; without what is only said."""
    return [problem for tone in ("error", "warning") for problem in problems if problem.get("severity") == tone]
