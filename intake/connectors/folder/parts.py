"""One order file → its orders, each as a request of its own. Pure but for the archive that is unpacked."""

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from gelatoconnect.lib import strict, xml
from gelatoconnect.lib.archives import Archive
from gelatoconnect.lib.problems import Problem, Rejected
from intake.tables import Table, drafts_of, read_table
from intake.tables.columns import columns_of

MAX_BYTES = 20 * 1024 * 1024  # of an order file
MAX_ORDERS = 5_000  # in one file
TABLES = (".csv", ".tsv", ".xlsx")
BUNDLE = ".zip"
KINDS = {
    ".json": "application/json",
    ".xml": "application/xml",
    **dict.fromkeys(TABLES, "text/csv"),
    BUNDLE: "application/zip",
}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Part:
    """One order. folder: where the print files that it names are looked for, below that of the order files."""

    body: bytes
    content_type: str
    folder: str = ""


def kind_of_file(name: str) -> str:
    """The content type of an order file, by its name; empty for what is no order file."""
    return KINDS.get(PurePosixPath(name.lower()).suffix, "")


def parts_of(raw: bytes, *, name: str, mapped: bool = False, group_by: str = "") -> list[Part]:
    """Raises Rejected when the file cannot be read, or holds no order. mapped: the words are the sender's own."""
    suffix = PurePosixPath(name.lower()).suffix
    if len(raw) > MAX_BYTES:
        _refuse("FILE_TOO_LARGE", f"The order file is larger than {MAX_BYTES // 1024**2} MiB.",
                "Send fewer orders in one file.")  # fmt: skip
    if not raw.strip(b" \t\r\n" + _BOM):
        _refuse("FILE_EMPTY", "The file is empty.", "Write the order into it.")
    if suffix in TABLES:
        found = _groups(raw, name, group_by) if mapped else [Part(each.body, "application/json") for each in
                                                             drafts_of(read_table(raw, name=name))]  # fmt: skip
    else:
        found = _of_xml(raw) if suffix == ".xml" else _of_json(raw.removeprefix(_BOM))
    if not found:
        _refuse("FILE_EMPTY", "The file holds no order.", "Write the order into it.")
    if len(found) > MAX_ORDERS:
        _refuse(
            "FILE_TOO_MANY_ORDERS", f"The file holds more than {MAX_ORDERS:,} orders.", "Split it into several files."
        )
    return found


def parts_of_bundle(archive: Archive, *, into: Path, mapped: bool = False, group_by: str = "") -> list[Part]:
    """The orders of all order files in the archive, of those that lie least deep. Raises Rejected."""
    named = [member.name for member in archive.members if kind_of_file(member.name) and not is_hidden(member.name)]
    depth = min((name.count("/") for name in named), default=0)
    found: list[Part] = []
    for name in sorted(name for name in named if name.count("/") == depth):
        kept = archive.unpack(name, into=into)
        try:
            if kept.size > MAX_BYTES:
                _refuse("FILE_TOO_LARGE", f"The order file {name!r} is larger than {MAX_BYTES // 1024**2} MiB.",
                        "Send fewer orders in one file.")  # fmt: skip
            raw = kept.path.read_bytes()
        finally:
            kept.path.unlink()
        folder = name.rpartition("/")[0]
        found += [replace(part, folder=folder) for part in parts_of(raw, name=name, mapped=mapped, group_by=group_by)]
    if not found:
        _refuse("BUNDLE_WITHOUT_ORDER", "The archive holds no order file.",
                "Put a .json, .xml or .csv file with the order into it.")  # fmt: skip
    return found


def is_hidden(name: str) -> bool:
    """Files of the other side's system, such as .DS_Store, and of its archiver, such as __MACOSX/._order.json."""
    return any(step.startswith((".", "__MACOSX")) for step in name.split("/"))


def _of_json(raw: bytes) -> list[Part]:
    data = strict.loads(raw, max_bytes=MAX_BYTES)
    orders = data
    if isinstance(data, dict):
        orders = next((value for key, value in data.items() if key.lower() == "orders"), None)
    if not isinstance(orders, list):
        return [Part(raw, "application/json")]
    return [Part(_as_json(order), "application/json") for order in orders]


def _of_xml(raw: bytes) -> list[Part]:
    """<orders><order>…</order>…</orders> holds several; anything else is one, as it came."""
    root = xml.loads(raw, max_bytes=MAX_BYTES)
    names = {str(child.tag).rpartition("}")[2].lower() for child in root}
    if names != {"order"}:
        return [Part(raw, "application/xml")]
    return [Part(_as_json(xml.data_of(child)), "application/json; from=xml") for child in root]


def _groups(raw: bytes, name: str, group_by: str) -> list[Part]:
    """The rows of each order as a table of their own, for a mapping to read."""
    table = read_table(raw, name=name)
    column = group_by or _number_column(table)
    if column and column not in table.columns:
        _refuse(
            "TABLE_COLUMN_MISSING", f"No column is called {column!r}.", "Correct the connector's setting, or the file."
        )
    groups: dict[str | int, list[dict[str, str]]] = {}
    for line, row in table.rows:
        groups.setdefault(row.get(column) or line, []).append(row)
    return [Part(_as_csv(table.columns, rows), "text/csv") for rows in groups.values()]


def _number_column(table: Table) -> str:
    try:
        columns = columns_of(table.columns)
    except Rejected:
        return ""
    return next((each.name for each in columns if (each.place, each.key) == ("order", "orderReferenceId")), "")


def _as_csv(columns: list[str], rows: list[dict[str, str]]) -> bytes:
    said = io.StringIO()
    writer = csv.writer(said)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return said.getvalue().encode()


def _as_json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise Rejected([Problem(code, message, hint=hint)])
