"""Tables of orders: a row for each item, rows with the same orderReferenceId are one order. Bytes → rows → drafts.

Pure: `read_table` reads the file, `drafts_of` says which orders its rows ask for, in the words of the API. What is wrong
with rows but cannot be seen in the draft they make (such as two addresses of one order) goes along as `rowProblems`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gelatoconnect.lib import strict
from gelatoconnect.lib.problems import Problem, Rejected
from intake.tables.cells import Cells, cells_of, refuse
from intake.tables.columns import Column, columns_of
from orders.drafts import Draft, pointer, read

ROW_PROBLEMS = "rowProblems"
TAKE_OUT = f"When that is settled, take it out of {ROW_PROBLEMS}."
MAX_DRAFT = 1024 * 1024  # bytes of one order as JSON
_WHOLE = re.compile(r"(\d+)([.,]0{1,2})?")
_GROUPED = re.compile(r"(\d{1,3})(?:([.,' \xa0])\d{3})+(?:([.,])\d{1,2})?")
_AMOUNT = re.compile(r"\d+(?:[.,]\d{1,2}|[.]\d{3,})?")


@dataclass(frozen=True, slots=True)
class Table:
    """A file as a table: rows are (line in the file, {column: text}), without the empty cells.

    encoding, delimiter: of a CSV file; sheet: of a workbook. problems: by line, what is wrong with a row as such.
    """

    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    notes: tuple[Problem, ...] = ()
    problems: Mapping[int, list[Problem]] = field(default_factory=dict)


def read_table(raw: bytes, *, name: str) -> Table:
    """The table in a CSV file or an Excel workbook. Raises Rejected: unreadable, too large, or no row below the header."""
    cells = cells_of(raw, name=name)
    columns = _header(cells.rows[0][1], width=max(len(row) for _, row in cells.rows))
    if len(cells.rows) < 2:
        refuse("TABLE_EMPTY", "There is a header, but no row below it.", "Fill in a row for each item.")
    width, problems = len(columns), _broken(cells, columns)
    rows = []
    for line, row in cells.rows[1:]:
        if len(row) > width:
            problems.setdefault(line, []).append(_too_many(line, row, width))
        rows.append((line, {name: value for name, value in zip(columns, row, strict=False) if value}))
    return Table(columns, rows, cells.encoding, cells.delimiter, cells.sheet, cells.notes, problems)


def _header(row: Sequence[str], *, width: int) -> list[str]:
    """The names of the columns. One without a name is called by its number."""
    names = [" ".join(name.split())[:120] or f"column {number}" for number, name in enumerate(row, 1)]
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if (other := first.setdefault(name.casefold(), number)) != number:
            refuse("TABLE_COLUMN_TWICE", f"The columns {other} and {number} are both called {name[:60]!r}.",
                   "Rename one of them, or remove it.")  # fmt: skip
    if width > 1 and len(names) == 1:
        refuse("TABLE_HEADER", "The first row is no header: it names one column, but the rows have more.",
               "Begin with a row that names every column.")  # fmt: skip
    return names


def _broken(cells: Cells, columns: Sequence[str]) -> dict[int, list[Problem]]:
    found: dict[int, list[Problem]] = {}
    for line, place in cells.broken:
        column = columns[place] if place < len(columns) else f"column {place + 1}"
        found.setdefault(line, []).append(Problem(
            "ROW_FORMULA_ERROR", f"The formula in {column!r} has no result; it is taken as empty.", severity="warning",
            hint="Mend the formula, or write the value.", details={"line": line, "column": column}))  # fmt: skip
    return found


def _too_many(line: int, row: Sequence[str], width: int) -> Problem:
    beyond = ", ".join(row[width:])[:80]
    return Problem("ROW_CELLS", f"The row has {len(row)} cells, but there are {width} columns.",
                   hint="Put quotation marks around a value that holds the delimiter.",
                   details={"line": line, "column": f"column {width + 1}", "value": beyond})  # fmt: skip


# --- orders -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Entry:
    """One order of a table. lines: of its items, in order; data: the draft in the API's words, as decoded JSON."""

    reference: str
    lines: list[int]
    data: dict[str, Any]
    problems: list[Problem]

    @property
    def body(self) -> bytes:
        """The order as one JSON document, which `order_of` reads."""
        more = {ROW_PROBLEMS: [problem.as_dict() for problem in self.problems]} if self.problems else {}
        return json.dumps(self.data | more, ensure_ascii=False, indent=1).encode()


def groups_of(table: Table, columns: Sequence[Column]) -> list[list[tuple[int, dict[str, str]]]]:
    """The rows of each order, in the order in which they first appear. A row without a reference stands alone."""
    name = next(column.name for column in columns if column.key == "orderReferenceId" and column.place == "order")
    groups: dict[str | int, list[tuple[int, dict[str, str]]]] = {}
    for line, row in table.rows:
        groups.setdefault(row.get(name) or line, []).append((line, row))
    return list(groups.values())


def drafts_of(table: Table) -> list[Entry]:
    """The orders that the rows ask for. Raises Rejected when the columns cannot be those of orders."""
    columns = columns_of(table.columns)
    return [_entry(group, columns, table.problems) for group in groups_of(table, columns)]


def _entry(rows: Sequence[tuple[int, dict[str, str]]], columns: Sequence[Column],
           found: Mapping[int, list[Problem]]) -> Entry:  # fmt: skip
    order: dict[str, Any] = {}
    address: dict[str, str] = {}
    metadata: dict[str, str] = {}
    problems: list[Problem] = []
    items, lines = [], [line for line, _ in rows]
    shared = {"order": order, "address": address, "metadata": metadata}
    for place, (line, row) in enumerate(rows):
        problems += found.get(line, ())
        item: dict[str, Any] = {}
        for column in columns:
            value = row.get(column.name)
            if value is None:
                continue
            if (target := shared.get(column.place)) is None:
                problems += _fill(item, column, value, place=place, line=line)
            elif target.setdefault(column.key, value) != value:
                problems.append(_differs(column, target[column.key], value, line=line, first=lines[0]))
        items.append(_with_file(item))
    problems += _price(order, lines[0])
    if metadata:
        order["metadata"] = metadata
    reference = order.get("orderReferenceId", "")
    return Entry(
        reference, lines, {"orderReferenceId": "", **order, "shippingAddress": address, "items": items}, problems
    )


def _fill(item: dict[str, Any], column: Column, value: str, *, place: int, line: int) -> list[Problem]:
    """Put a cell where it belongs in its item; says what is wrong with it."""
    at = pointer("items", place, column.key)
    if column.place == "file":
        item.setdefault("files", []).append({"type": column.key, "url": value})
    elif column.place == "itemMetadata":
        item.setdefault("metadata", {})[column.key] = value
    elif column.place == "productVariant":
        item.setdefault("productVariant", {})[column.key] = value
    elif column.key == "quantity":
        item["quantity"], fine = _quantity(value)
        if not fine:
            return [_number(column.name, value, at, line, "Write a whole number in digits, such as 25.")]
    elif column.key == "retailPriceInclVat":
        item[column.key], fine = amount(value)
        if not fine:
            return [_number(column.name, value, at, line, "Write an amount such as 4.90 or 4,90, without a currency.")]
    else:
        item[column.key] = value
    return []


def _with_file(item: dict[str, Any]) -> dict[str, Any]:
    """fileType and fileMd5 speak of the file in fileUrl."""
    kind, md5 = item.pop("fileType", ""), item.pop("fileMd5", "")
    for file in item.get("files", ()):
        if file["type"] == "default":
            file |= {"type": kind or "default", **({"md5": md5} if md5 else {})}
    return item


def _quantity(value: str) -> tuple[str, bool]:
    """A whole number: "2", "2.0", "2,00". What could also mean something else ("1.000") is not guessed."""
    match = _WHOLE.fullmatch(value)
    return (match[1], True) if match else (value, False)


def amount(value: str) -> tuple[str, bool]:
    """An amount with a point: "4,90" → "4.90", "1.234,50" → "1234.50". "1,234" could be two numbers, and is not guessed."""
    if _AMOUNT.fullmatch(value):
        return value.replace(",", "."), True
    match = _GROUPED.fullmatch(value)
    if match is None or match[2] == match[3] or (match[3] is None and value.count(match[2]) == 1):
        return value, False
    whole, decimals = value.rsplit(match[3], 1) if match[3] else (value, "")
    return re.sub(r"\D", "", whole) + (f".{decimals}" if decimals else ""), True


def _price(order: dict[str, Any], line: int) -> list[Problem]:
    key = "retailShippingPriceInclVat"
    if key not in order:
        return []
    order[key], fine = amount(order[key])
    return [] if fine else [_number(key, order[key], pointer(key), line, "Write an amount such as 4.90 or 4,90.")]


def _number(column: str, value: str, path: str, line: int, hint: str) -> Problem:
    return Problem("FIELD_TYPE", f"{column} {value[:40]!r} cannot be read as a number.", path, hint=hint,
                   details={"line": line, "column": column, "value": value[:200]})  # fmt: skip


def _differs(column: Column, before: str, value: str, *, line: int, first: int) -> Problem:
    path = pointer("shippingAddress", column.key) if column.place == "address" else pointer(column.key)
    path = pointer("metadata", column.key) if column.place == "metadata" else path
    return Problem(
        "ROW_DIFFERS", f"{column.name} is {value[:60]!r} in line {line}, but {before[:60]!r} in line {first}.", path,
        "warning" if column.place == "metadata" else "error",
        "Rows of one order go to one recipient: write the same in each, or give each order a reference of its own.",
        {"line": line, "column": column.name, "value": value[:200]},
    )  # fmt: skip


# --- back from JSON ---------------------------------------------------------------------------------
def order_of(body: bytes, *, defaults: Mapping[str, str] | None = None) -> tuple[Draft, list[Problem]]:
    """The draft in an Entry's body, mended or not, and the warnings about its rows. Raises Rejected with all the rest.

    defaults: values of the order (currency …) for those that are missing.
    """
    data = strict.loads(body, max_bytes=MAX_DRAFT)
    if not isinstance(data, dict):
        refuse("FIELD_TYPE", "The body is no JSON object.", "Send the order as {…}.")
    said = data.pop(ROW_PROBLEMS, None)
    problems = [problem for each in (said if isinstance(said, list) else []) if (problem := _still(each, data))]
    data = {key: value for key, value in (defaults or {}).items() if value} | data
    wrong = [problem for problem in problems if problem.severity == "error"]
    try:
        draft: Draft = read(data)
    except Rejected as refusal:
        told = {problem.path for problem in wrong if problem.path}
        raise Rejected([*problems, *(each for each in refusal.problems if each.path not in told)]) from None
    if wrong:
        raise Rejected(problems)
    return draft, problems


def _still(said: Any, data: dict[str, Any]) -> Problem | None:
    """A problem of a row, unless its value has been mended since."""
    try:
        problem = Problem(**said)
        details = dict(problem.details)
    except (TypeError, ValueError):
        return None
    if problem.severity not in ("error", "warning", "info") or not isinstance(problem.path, str):
        return None
    if problem.code == "FIELD_TYPE":
        return problem if str(value_at(data, problem.path))[:200] == details.get("value") else None
    return replace(problem, hint=f"{problem.hint} {TAKE_OUT}" if problem.severity == "error" else problem.hint)


def value_at(data: Any, path: str) -> Any:
    """What stands at a JSON pointer; None where nothing does."""
    for step in path.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        elif isinstance(data, dict):
            data = data.get(step)
        else:
            return None
    return data
