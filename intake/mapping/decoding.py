"""What the bytes of a request spell, as plain data: JSON, XML, CSV (or a workbook) or a form.

Told by the bytes themselves first, since many senders call everything JSON, or a form.
"""

from typing import Any
from urllib.parse import parse_qsl

from gelatoconnect.lib import strict, xml
from gelatoconnect.lib.problems import Problem, Rejected
from intake.tables import read_table

MAX_FIELDS = 1000  # of a form
_SPACE = b" \t\r\n\xef\xbb\xbf"
_TABLES = ("csv", "tab-separated", "spreadsheet", "excel")


def data_of(body: bytes, *, content_type: str, max_bytes: int) -> Any:
    """JSON as it is; of XML the root's content (see lib.xml.data_of); of a table a list of rows by column; of a form its
    fields, a repeated one as a list. Raises Rejected."""
    if len(body) > max_bytes:
        raise strict.too_large(max_bytes)
    said, start = content_type.partition(";")[0].strip().lower(), body.lstrip(_SPACE)[:1]
    if any(word in said for word in _TABLES):
        return _rows(body)
    if start == b"<":
        return xml.data_of(xml.loads(body, max_bytes=max_bytes))
    if start in (b"{", b"[") or "json" in said:
        return strict.loads(body.lstrip(_SPACE), max_bytes=max_bytes)
    if "xml" in said:
        return xml.data_of(xml.loads(body, max_bytes=max_bytes))
    if "form-urlencoded" in said:
        return _fields(body)
    if said.startswith("text/") and b"\n" in body.strip():
        return _rows(body)
    return strict.loads(body.lstrip(_SPACE), max_bytes=max_bytes)


def _rows(body: bytes) -> list[dict[str, str]]:
    """Every row has every column; an empty cell is an empty text."""
    table = read_table(body, name="The body")
    return [{column: row.get(column, "") for column in table.columns} for _, row in table.rows]


def _fields(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:  # UnicodeDecodeError too
        problem = Problem("FORM_MALFORMED", f"The body is no form in UTF-8 with {MAX_FIELDS:,} fields or fewer.",
                          hint="Send it as application/x-www-form-urlencoded, or as JSON.")  # fmt: skip
        raise Rejected([problem], status=400) from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        value = value.replace("\0", "")
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
