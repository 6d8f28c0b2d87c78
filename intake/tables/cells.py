"""The cells of a table file, as text: CSV in whatever encoding and with whatever delimiter it has, and Excel workbooks.

A file comes from a stranger: its size, its cells and what it unpacks to have limits, and nothing in it is computed.
"""

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO, StringIO
from itertools import islice
from typing import Any, NoReturn

from charset_normalizer import from_bytes
from openpyxl import load_workbook

from gelatoconnect.lib.problems import Problem, Rejected

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 10_000
MAX_COLUMNS = 200
MAX_CELL = 32_767  # characters, as in Excel
MAX_CELLS = MAX_COLUMNS * MAX_ROWS
MAX_UNPACKED = 150 * 1024 * 1024
MAX_RATIO = 150  # of a packed part of some size
MAX_PARTS = 1_000
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SINGLE_BYTE = ("cp1252", "cp1250")
OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SAMPLE = 64 * 1024  # characters or bytes that are looked at to sense something
# Written before a cell by programs that guard against formulas, such as this one (lib.lists.safe_cell).
_GUARDED = re.compile("'(?=[=+@\t\r-])")
_BROKEN = re.compile("#(N/A|REF!|VALUE!|DIV/0!|NAME\\?|NUM!|NULL!|SPILL!|CALC!)")

Row = tuple[int, list[str]]  # the line in the file (the row in Excel) where it begins, from 1; its cells


@dataclass(frozen=True, slots=True)
class Cells:
    """What a file holds. encoding and delimiter: of a CSV file, sheet: of a workbook; empty for the other kind.
    broken: (line, place) of cells that hold an error of Excel's, and are empty here."""

    rows: list[Row]
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    broken: tuple[tuple[int, int], ...] = ()
    notes: tuple[Problem, ...] = ()


def cells_of(raw: bytes, *, name: str) -> Cells:
    """Every row that is not empty; the first is the header. Raises Rejected: too large, unreadable, or no table at all."""
    if len(raw) > MAX_BYTES:
        refuse("TABLE_TOO_LARGE", f"The file is larger than {MAX_BYTES // 1024**2} MB.", "Split it into several files.")
    if not raw.strip():
        refuse("TABLE_EMPTY", "The file is empty.", "Choose a file with a header and a row for each item.")
    if raw.startswith(OLD_EXCEL):
        refuse("TABLE_OLD_EXCEL", "The file is an old Excel file (.xls), or protected by a password.",
               "Save it as an Excel workbook (.xlsx) without a password, or as CSV.")  # fmt: skip
    if raw.startswith(b"PK"):
        return _workbook(raw)
    return _text(raw, name=name)


def refuse(code: str, message: str, hint: str, **details: Any) -> NoReturn:
    raise Rejected([Problem(code, message, hint=hint, details=details)])


# --- CSV --------------------------------------------------------------------------------------------
def _text(raw: bytes, *, name: str) -> Cells:
    encoding = sense_encoding(raw)
    try:
        if not encoding.startswith("utf") and _is_binary(raw[:SAMPLE].decode("latin-1")):
            _refuse_binary(name)
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        _refuse_encoding(raw, error.start, encoding)
    start, text, delimiter = 0, text.lstrip("\ufeff"), ""
    if told := re.match(r"sep=(.)\r?\n", text):  # Excel's own way to name the delimiter
        start, text, delimiter = 1, text[told.end() :], told[1]
    if _is_binary(text):
        _refuse_binary(name)
    if delimiter not in DELIMITERS:
        delimiter = sense_delimiter(text)
    rows = _limited((line + start, row) for line, row in _records(text, delimiter))
    if text.count('"') % 2 and any("\n" in cell for cell in rows[-1][1]):  # the last row swallowed all that follow it
        refuse("TABLE_QUOTE", f"A quotation mark in line {rows[-1][0]} opens a cell, and none closes it.",
               "Close it, or write quotation marks inside of cells twice.", line=rows[-1][0])  # fmt: skip
    return Cells(rows, encoding={"utf-8-sig": "utf-8"}.get(encoding, encoding), delimiter=delimiter)


def sense_encoding(raw: bytes) -> str:
    """By its byte order mark, as UTF-16 by its zero bytes, as UTF-8 when it is, else the likeliest single-byte encoding."""
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return encoding
    head = raw[:SAMPLE]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(0) > len(zeros) * 0.4:
            return encoding
    try:
        raw.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if _is_nearly_utf8(raw):
            _refuse_encoding(raw, error.start, "utf-8")
        at = max(0, error.start - SAMPLE // 2)
        best = from_bytes(raw[at : at + SAMPLE], cp_isolation=list(SINGLE_BYTE)).best()
        return best.encoding if best and best.encoding in SINGLE_BYTE[1:] and not _fits(raw, "cp1252") else "cp1252"


def _fits(raw: bytes, encoding: str) -> bool:
    """Whether it can be decoded, and what is not ASCII are letters and what stands in prose."""
    try:
        strange = {letter for letter in raw.decode(encoding) if not letter.isascii()}
    except UnicodeDecodeError:
        return False
    return all(letter.isalpha() or letter in "–—‘’“”„…€·°§«»®™\xa0½¼¾²³×´¿¡" for letter in strange)


def _is_nearly_utf8(raw: bytes) -> bool:
    """More letters of several bytes than bytes that fit nowhere: it is UTF-8 with a fault, and no other encoding."""
    text = raw.decode("utf-8", errors="replace")
    wrong = text.count("\ufffd")
    return sum(not letter.isascii() for letter in text) - wrong > wrong


def _refuse_encoding(raw: bytes, at: int, encoding: str) -> NoReturn:
    line = raw.count(b"\n", 0, at) + 1
    refuse("TABLE_ENCODING", f"Line {line} holds bytes that are not {encoding.upper().removesuffix('-SIG')}.",
           "Save the file as CSV UTF-8.", line=line)  # fmt: skip


def _refuse_binary(name: str) -> NoReturn:
    refuse("TABLE_UNREADABLE", f"{name[:80] or 'The file'} is neither a CSV file nor an Excel workbook.",
           "Save the table as CSV (UTF-8) or as an Excel workbook (.xlsx).")  # fmt: skip


def _is_binary(text: str) -> bool:
    head = text[:SAMPLE]
    return sum(letter < " " and letter not in "\t\r\n\f" for letter in head) > max(4, len(head) // 50)


def sense_delimiter(text: str) -> str:
    """The one that splits the first rows into most columns, the same number in each; quoted cells are left alone."""

    def score(delimiter: str) -> tuple[float, int]:
        try:
            counts = [len(row) for _, row in islice(_records(text[:SAMPLE], delimiter), 20)]
        except Rejected:
            return 0, 0
        wide = counts[0] if counts else 0
        return (sum(count == wide for count in counts) / len(counts), wide) if wide > 1 else (0, 0)

    head = max(DELIMITERS, key=lambda delimiter: (score(delimiter)[0] > 0.5, score(delimiter)[1], score(delimiter)[0]))
    return head if score(head)[1] else ","


def _records(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    line = 0
    while True:
        begun, line = line + 1, line
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a field beyond csv's own limit
            _refuse_cell(begun)
        line = reader.line_num
        yield begun, row


# --- Excel ------------------------------------------------------------------------------------------
def _workbook(raw: bytes) -> Cells:
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            _look_into(archive)
        book = load_workbook(BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        return _first_sheet(book.worksheets)
    except Rejected:
        raise
    except Exception:  # openpyxl raises whatever a malformed part leads it to
        refuse("TABLE_UNREADABLE", "The file is no Excel workbook that can be read.",
               "Open it in Excel and save it as an Excel workbook (.xlsx), or as CSV.")  # fmt: skip


def _look_into(archive: zipfile.ZipFile) -> None:
    """Before anything is parsed: how much it unpacks to, and that no part declares entities."""
    parts = archive.infolist()
    if "xl/workbook.xml" not in archive.namelist():
        refuse("TABLE_UNREADABLE", "The file is a zip archive, but not an Excel workbook.",
               "Send the table itself, as CSV or as an Excel workbook (.xlsx).")  # fmt: skip
    swollen = any(part.file_size > 1024**2 and part.file_size > MAX_RATIO * part.compress_size for part in parts)
    if len(parts) > MAX_PARTS or swollen or sum(part.file_size for part in parts) > MAX_UNPACKED:
        refuse("TABLE_TOO_LARGE", "The workbook unpacks to far more than a table of this size needs.",
               "Copy the rows into a new workbook, or save them as CSV.")  # fmt: skip
    for part in parts:
        if part.filename.endswith((".xml", ".rels")):
            content = archive.read(part)
            if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
                refuse(
                    "TABLE_UNREADABLE", "The workbook holds XML that Excel does not write.", "Save it anew in Excel."
                )


def _first_sheet(sheets: Iterable[Any]) -> Cells:
    """The first visible sheet with something in it; the others are named in a note, and not read."""
    found: Cells | None = None
    others = []
    for sheet in sheets:
        if sheet.sheet_state != "visible":
            continue
        if found is not None:
            others.append(sheet.title)
            continue
        broken: list[tuple[int, int]] = []
        sheet.reset_dimensions()  # what the file says of its own size is not believed
        rows = _limited(_sheet_rows(sheet, broken))
        if rows:
            found = Cells(rows, sheet=sheet.title, broken=tuple(broken))
    if found is None:
        refuse("TABLE_EMPTY", "The workbook has no sheet with rows.", "Fill in a header and a row for each item.")
    note = Problem("TABLE_SHEETS", f"Only the sheet {found.sheet!r} is read, not {', '.join(map(repr, others))}.",
                   severity="info", hint="Import each sheet as a file of its own.")  # fmt: skip
    return Cells(found.rows, sheet=found.sheet, broken=found.broken, notes=(note,) if others else ())


def _sheet_rows(sheet: Any, broken: list[tuple[int, int]]) -> Iterator[Row]:
    count = 0
    for line, cells in enumerate(sheet.iter_rows(), 1):
        count += len(cells)
        if count > MAX_CELLS:
            refuse("TABLE_TOO_LARGE", f"The sheet has more than {MAX_CELLS:,} cells.", "Remove what is not needed.")
        row = [_written(cell.value, cell) if cell.value is not None else "" for cell in cells]
        for place, value in enumerate(row):
            if value[:1] == "#" and _BROKEN.fullmatch(value):
                broken.append((line, place))
                row[place] = ""
        yield line, row


def _written(value: Any, cell: Any) -> str:
    """A cell's value as a person would write it; whole numbers without ".0", with the zeros that their format shows."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if value != value or value in (float("inf"), float("-inf")):
            return ""
        text = format(Decimal(repr(value)), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        shown = cell.number_format or ""
        return text.zfill(len(shown)) if text.isdigit() and shown.strip("0") == "" else text
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


# --- both -------------------------------------------------------------------------------------------
def _limited(rows: Iterable[Row]) -> list[Row]:
    """The rows that are not empty, their cells trimmed, within the limits."""
    found: list[Row] = []
    for line, row in rows:
        cells = [_trimmed(cell) for cell in row]
        if not any(cells):
            continue
        while cells and not cells[-1]:
            cells.pop()
        if len(cells) > MAX_COLUMNS:
            refuse("TABLE_TOO_WIDE", f"Line {line} has more than {MAX_COLUMNS} columns.", "Remove those not needed.",
                   line=line)  # fmt: skip
        if any(len(cell) > MAX_CELL for cell in cells):
            _refuse_cell(line)
        if len(found) > MAX_ROWS:
            refuse("TABLE_TOO_LONG", f"The file has more than {MAX_ROWS:,} rows.", "Split it into several files.",
                   line=line)  # fmt: skip
        found.append((line, cells))
    return found


def _trimmed(cell: str) -> str:
    return _GUARDED.sub("", cell.strip(" \t\r\n\f\v\xa0\ufeff"), count=1) if cell else cell


def _refuse_cell(line: int) -> NoReturn:
    refuse("TABLE_CELL_TOO_LONG", f"A cell in line {line} has more than {MAX_CELL:,} characters.",
           "Shorten it; or close the quotation mark that opens it, if one does.", line=line)  # fmt: skip
