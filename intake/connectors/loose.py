"""Reading what shops really send: keys in another case, numbers as text, lists as objects, and much that is missing.

Nothing here raises for a value of the wrong kind: it is read as missing, and whoever needs it says so.
"""

import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from babel.numbers import get_currency_precision

from gelatoconnect.lib import strict
from gelatoconnect.lib.http import Answer
from gelatoconnect.lib.problems import Problem, Rejected
from intake.connectors.base import json_of
from orders.events import TryLater

MAX_BYTES = 4 * 1024 * 1024
MOST = Decimal(10) ** 11  # of any amount of money: what a draft can hold
ENVELOPES = ("order", "receipt", "data", "payload", "result", "results", "resource", "body")
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"https?://[^\s\"'<>|]+?(?=$|[\s\"'<>|]|,\s*https?://)", re.IGNORECASE)


def document(raw: bytes, *, marks: Iterable[str]) -> dict[str, Any]:
    """The object that the body spells, taken out of what it is wrapped in; `marks`: keys by which it is known.

    Raises Rejected: 400 for what is no JSON, 422 for what is no object.
    """
    said = strict.loads(raw, max_bytes=MAX_BYTES)
    found = said
    for _ in range(4):
        if isinstance(found, list):
            found = found[0] if len(found) == 1 else None
        if not isinstance(found, dict) or any(get(found, mark) is not None for mark in marks):
            break
        found = next((inner for name in ENVELOPES if isinstance(inner := get(found, name), dict | list)), found)
    if isinstance(found, dict):
        return found
    if isinstance(said, dict):
        return said
    raise Rejected([Problem("FIELD_TYPE", "The body is not one object.", hint="Send one order as a JSON object.")])


def get(data: Any, *names: str) -> Any:
    """The first of the names that has a value, whatever the case and the signs between its words; else None."""
    if not isinstance(data, dict):
        return None
    for name in names:
        if (value := data.get(name)) is not None:
            return value
    plain = {plainly(key): value for key, value in reversed(data.items()) if value is not None}
    return next((plain[key] for key in map(plainly, names) if key in plain), None)


@lru_cache(maxsize=4096)
def plainly(name: str) -> str:
    """A name without case and signs: "Print file", "print_file", "_printFile" → "printfile"."""
    return re.sub(r"[\W_]", "", name).casefold()


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or of an object that should be one ({"0": {…}, "1": {…}})."""
    if isinstance(value, dict):
        inner = list(value.values())
        value = inner if all(isinstance(each, dict) for each in inner) else [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any, *, most: int | None = None) -> str:
    """A text or a number as text, stripped; of anything else nothing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()[:most]


def line(value: Any, *, most: int | None = None) -> str:
    """A text in one line."""
    return " ".join(text(value).split())[:most]


def words(value: Any) -> str:
    """The text of a bit of HTML, in one line."""
    said = text(value)
    return line(html.unescape(_TAG.sub(" ", said))) if "<" in said or "&" in said else line(said)


def scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def yes(value: Any) -> bool:
    return value is True or text(value).lower() in ("1", "true", "yes", "on")


def number(value: Any) -> Decimal | None:
    try:
        found = Decimal(text(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < 10**20 else None


def quantity(value: Any) -> int | str:
    """How many: missing is one, "2.00" is two; what is no whole number stays as it is, to be complained of."""
    if value is None or value == "":
        return 1
    found = number(value)
    return int(found) if found is not None and found == found.to_integral_value() else text(value) or "?"


def money(amount: Decimal | None, currency: str) -> str | None:
    """As a draft has it: a decimal text with the currency's decimals; of what is below zero nothing."""
    if amount is None or not 0 <= amount < MOST:
        return None
    step = Decimal(1).scaleb(-get_currency_precision(currency or "EUR"))
    return str(amount.quantize(step, rounding=ROUND_HALF_UP))


def moment(value: Any) -> datetime | None:
    """Seconds since 1970 (or milliseconds, as it may be) as a moment."""
    seconds = number(value)
    if seconds is None or seconds <= 0:
        return None
    if seconds > 10**11:
        seconds /= 1000
    return datetime.fromtimestamp(float(seconds), UTC) if seconds < 10**11 else None


def listed(answer: Answer) -> list[dict[str, Any]]:
    """The objects of an answer that is a list. Raises TryLater for anything else, such as a page that says "maintenance"."""
    said = json_of(answer)
    if not isinstance(said, list):
        raise TryLater("The answer is no list: the other side may be in maintenance.")
    return rows(said)


def pairs(said: str) -> dict[str, str]:
    """A table as a person types it: "flat_rate=normal, express=express", or one in each line; left sides plainly."""
    parts = (part.partition("=") for part in re.split(r"[,;\n]", said) if part.strip())
    return {plainly(left) if left.strip() != "*" else "*": right.strip() for left, _, right in parts}


def links(value: Any) -> list[tuple[str, str]]:
    """Web addresses in a value, each with the name it stands under or "": a text, HTML with a link, JSON in a text,
    an object {url}, an object {front: …, back: …}, or a list of these."""
    if isinstance(value, str):
        return _links_of_text(value.strip())
    if isinstance(value, list):
        return [found for each in value for found in links(each)]
    if not isinstance(value, dict):
        return []
    if isinstance(url := get(value, "url", "src", "href", "file_url", "file", "link"), str) and links(url):
        return [(text(get(value, "type", "side", "placement"), most=40), found) for _, found in links(url)]
    return [(name or line(key, most=40), url) for key, each in value.items() for name, url in links(each)]


def _links_of_text(said: str) -> list[tuple[str, str]]:
    if said[:1] in ("{", "["):
        try:
            return links(strict.loads(said.encode(errors="replace"), max_bytes=64 * 1024))
        except Rejected:
            pass
    found = _LINK.findall(html.unescape(said) if "<" in said else said)
    return [("", url) for url in dict.fromkeys(found)]
