"""How what came in reads on a page: decoded, laid out by what it is, without secrets. Bytes of strangers: nothing here
may fail, whatever they are, and no more is built than a page shows.
"""

import csv
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO

from gelatoconnect.lib import xml
from gelatoconnect.lib.problems import Rejected
from orders.texts import SHOWN, pretty

MAX_XML = 2 * SHOWN  # bytes; what is longer is shown as it came
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 100, 40, 200  # of a table
HEX_SHOWN = 512  # bytes of what is no text
HIDDEN = "•••"

_NAMED = "api[_-]?key|token|secret|passw(?:or)?d|authorization|private[_-]?key|access[_-]?key"
# Short and bounded, so that no text makes them slow.
_NAME = rf"(?<![\w.-])[\w.-]{{0,40}}(?:{_NAMED})[\w.-]{{0,40}}"
SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_PAIR = re.compile(
    rf"""({_NAME}["']?\s{{0,9}}[:=]\s{{0,9}})("(?:[^"\\]|\\.)*"?|'[^'\n]*'?|(?:bearer|basic)\s+[^\s,;&<>]+|[^\s,;&<>{{}}\[\]"']+)""",
    re.IGNORECASE,
)
_START = rf"<(?:[\w.-]{{1,40}}:)?{_NAME}(?:\s[^<>]{{0,300}})?>"  # of an XML element
_ELEMENT = re.compile(rf"({_START})([^<]+)", re.IGNORECASE)
_CDATA = re.compile(rf"({_START}\s{{0,9}}<!\[CDATA\[)(.*?)(\]\]>)", re.IGNORECASE | re.S)
_MARKUP = re.compile(r"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?:[^<>"']|"[^"]*"|'[^']*')*>|[^<]+""", re.S)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Shown:
    """A body as a page shows it.

    kind   "JSON", "XML", "CSV", "text", "binary" or "" (there is none)
    rows   of a CSV: the first is its head; more: how many rows are left out
    size   bytes there are; cut: only the beginning is shown; broken: some bytes were no text
    """

    kind: str = ""
    text: str = ""
    size: int = 0
    rows: list[list[str]] = field(default_factory=list)
    more: int = 0
    cut: bool = False
    broken: bool = False


def show(body: bytes | memoryview | None, *, content_type: str = "") -> Shown:
    raw = bytes(body or b"")
    if not raw:
        return Shown()
    if is_binary(raw):
        return Shown("binary", hexdump(raw[:HEX_SHOWN]), len(raw), cut=len(raw) > HEX_SHOWN)
    text, broken = decoded(raw, content_type=content_type)
    if "csv" in content_type.lower() or "tab-separated" in content_type.lower():
        rows, more = table(text)
        if rows:
            return Shown("CSV", mask(text[:SHOWN]), len(raw), rows, more, len(text) > SHOWN, broken)
    kind, laid_out = _laid_out(text)
    return Shown(kind, mask(laid_out), len(raw), cut=len(laid_out) >= SHOWN, broken=broken)


def decoded(raw: bytes, *, content_type: str = "") -> tuple[str, bool]:
    """The text, and whether some bytes had to be replaced: by its byte order mark, else as UTF-8, else as it says itself."""
    marks = {BOM_UTF8: "utf-8-sig", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
    said = re.search(r"charset=[\"']?([\w-]{1,40})", content_type, re.IGNORECASE)
    tried = [*(name for mark, name in marks.items() if raw.startswith(mark)), "utf-8"]
    if said and said[1].lower() in ("iso-8859-1", "latin1", "windows-1252", "iso-8859-15", "utf-16"):
        tried.append(said[1])
    elif "csv" in content_type.lower():
        tried.append("cp1252")  # what spreadsheets write
    for encoding in tried:
        try:
            return visible(raw.decode(encoding)), False
        except UnicodeDecodeError:
            continue
    return visible(raw.decode("utf-8", errors="replace")), True


def visible(text: str) -> str:
    """The text without characters that no page can show: each becomes �."""
    return _CONTROL.sub("�", text)


def is_binary(raw: bytes) -> bool:
    """Whether it is no text: a file, an archive. NULs of UTF-16 do not count."""
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) and not len(raw) % 2:
        return False
    head = raw[:4096]
    return sum(byte < 9 or 13 < byte < 32 or byte == 127 for byte in head) > max(1, len(head) * 0.05)


def hexdump(raw: bytes) -> str:
    lines = []
    for start in range(0, len(raw), 16):
        row = raw[start : start + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:04x}  {row.hex(' '):<47}  {letters}")
    return "\n".join(lines)


def mask(text: str) -> str:
    """The text with the values of what looks like a secret hidden: "apiKey": "•••", token=•••, <Secret>•••</Secret>."""
    text = _PAIR.sub(lambda found: found[1] + (f'"{HIDDEN}"' if found[2][0] == '"' else HIDDEN), text)
    text = _CDATA.sub(lambda found: found[1] + HIDDEN + found[3], text)
    return _ELEMENT.sub(lambda found: found[1] + (HIDDEN if found[2].strip() else found[2]), text)


def masked_headers(headers: dict[str, str]) -> list[tuple[str, str]]:
    return sorted((visible(str(name)), HIDDEN if SECRET_NAME.search(str(name)) else mask(visible(str(value))))
                  for name, value in headers.items())  # fmt: skip


def table(text: str) -> tuple[list[list[str]], int]:
    """The beginning of a CSV as rows, and how many lines are left out; nothing when it cannot be read as one."""
    text = text[:SHOWN]
    head = text.partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    try:
        read = list(csv.reader(StringIO(text), delimiter=delimiter))
    except csv.Error:
        return [], 0
    rows = [[visible(cell)[:MAX_CELL] for cell in row[:MAX_COLUMNS]] for row in read if row]
    if not rows or len(rows[0]) < 2:
        return [], 0
    secret = {place for place, name in enumerate(rows[0]) if SECRET_NAME.search(name)}
    for row in rows[1:]:
        row[:] = [HIDDEN if place in secret and cell else mask(cell) for place, cell in enumerate(row)]
    return rows[: MAX_ROWS + 1], max(0, len(rows) - MAX_ROWS - 1)


def _laid_out(text: str) -> tuple[str, str]:
    start = text.lstrip()[:1]
    if start == "<" and len(text) <= MAX_XML:
        try:
            xml.loads(text.encode(), max_bytes=4 * MAX_XML)
        except Rejected:
            return "text", text[:SHOWN]
        return "XML", "\n".join(_indented(text))[:SHOWN]
    laid_out = pretty(text)
    return ("JSON" if start in ("{", "[") else "text"), laid_out


def _indented(text: str) -> Iterator[str]:
    """Well-formed XML with a line for each element; one that holds only text stays on its line. Nothing else is changed."""
    depth, line, open_ = 0, "", False  # open_: the line is a start tag, perhaps with text, whose end may follow on it
    for token in (found.group().strip() for found in _MARKUP.finditer(text)):
        if not token:
            continue
        ends = token.startswith("</")
        depth -= ends
        if open_ and (ends or not token.startswith("<")):
            line, open_ = line + token, not ends
            continue
        if line:
            yield line
        line = "  " * depth + token
        open_ = token[0] == "<" and token[1] not in "/!?" and not token.endswith("/>")
        depth += open_
    yield line
