"""The problem report of an order: what its sender needs to mend it, in plain words and with the findings on the pages.

`report_of` says it once, for the page, the PDF (`report_pdf`) and the API. It holds nothing that is only ours: no
addresses of files, no names of people, no history.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from pydantic import Field

from orders.answers import Answer
from orders.mending import Mending, mendings
from orders.models import Item, Order, PrintFile
from orders.sheets import Sheet, sheets_of

UNITS = {"mm": "mm", "pt": "pt", "ppi": "ppi", "percent": "%", "pages": "pages", "images": "images"}


class Fault(Answer):
    """One problem. number: as on the pictures; path: into the submitted order (RFC 6901); place: where on the page;
    measured: by how much it is off; hint: how to mend it."""

    number: int
    severity: str
    code: str
    message: str
    hint: str
    path: str
    place: str
    measured: str


class Picture(Answer):
    """A page's preview: its address for the sender's key, its measures in mm and the findings on it."""

    url: str
    sheet: Sheet


class Part(Answer):
    """What was found in one place of the order: a print file, an item, the address. The fields of a file are empty for
    other places; unpictured: how many of its pages have no picture."""

    where: str
    faults: list[Fault]
    file: UUID | None = None
    file_type: str = ""
    file_name: str = ""
    page_count: int | None = None
    unpictured: int = 0
    pictures: list[Picture] = []
    sha256: str = Field("", exclude=True)


class Report(Answer):
    id: UUID
    order_reference_id: str
    customer: str
    received_at: datetime
    status: str
    error_count: int
    warning_count: int
    parts: list[Part]

    @property
    def said(self) -> str:
        """How much was found: "2 errors and 1 warning"."""
        found = ((self.error_count, "error"), (self.warning_count, "warning"))
        return " and ".join(counted(count, word) for count, word in found if count) or "No problems"


def report_of(order: Order) -> Report:
    """The order's serious problems by place, numbered as on its page."""
    places = {f"file-{file.pk}": (file, item) for item in order.items.all() for file in item.files.all()}
    parts = [_part(group, order, *places.get(group.target, (None, None))) for group in mendings(order, {})]
    weights = [fault.severity for part in parts for fault in part.faults]
    return Report(
        id=order.pk, order_reference_id=order.reference, customer=order.customer.name, received_at=order.created_at,
        status=order.get_status_display(), parts=parts, error_count=weights.count("error"),
        warning_count=weights.count("warning"),
    )  # fmt: skip


def _part(group: Mending, order: Order, file: PrintFile | None, item: Item | None) -> Part:
    sheets = sheets_of(file, item.product, group.problems) if file and item else []
    faults = [_fault(problem, sheets) for problem in group.problems]
    if file is None:
        return Part(where=group.where, faults=faults)
    base = f"/api/orders/{order.pk}/files/{file.pk}/previews"
    return Part(
        where=group.where, faults=faults, file=file.pk, file_type=file.type, file_name=name_of(file),
        page_count=file.page_count, unpictured=max(0, (file.page_count or 0) - len(sheets)), sha256=file.sha256,
        pictures=[Picture(url=f"{base}/{sheet.page}", sheet=sheet) for sheet in sheets],
    )  # fmt: skip


def _fault(problem: dict[str, Any], sheets: list[Sheet]) -> Fault:
    said = {name: problem.get(name, "") for name in ("number", "severity", "code", "message", "hint", "path")}
    return Fault(
        **said, place=next(_places(problem["number"], sheets), ""), measured=measured(problem.get("details", {}))
    )


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def name_of(file: PrintFile) -> str:
    """The last part of its address. The rest, where senders put keys, stays with us."""
    return unquote(PurePosixPath(urlsplit(file.url).path).name)


def measured(details: dict[str, Any]) -> str:
    """What was found against what was asked for, where both are measures: "Found 96 ppi, limit 149 ppi"."""
    unit = UNITS.get(str(details.get("unit")), "")
    actual, limit = _in_words(details.get("actual")), _in_words(details.get("limit"))
    if not (unit and actual and limit):
        return ""
    asked = "wanted" if isinstance(details["limit"], list) else "limit"
    return f"Found {actual} {unit}, {asked} {limit} {unit}"


def _in_words(measure: Any) -> str:
    """A number, or the sides of a page (width, height); nothing for what is neither."""
    sides = measure if isinstance(measure, list) else [measure]
    if not sides or not all(isinstance(side, int | float) and not isinstance(side, bool) for side in sides):
        return ""
    return " × ".join(f"{round(side, 2):g}" if abs(side) < 10_000 else str(round(side)) for side in sides)


def _places(number: int, sheets: list[Sheet]) -> Iterator[str]:
    for sheet in sheets:
        for mark in sheet.marks:
            if mark.number == number and (box := mark.box):
                yield (f"On page {sheet.page}, {box.x:.0f} mm from the left and {box.y:.0f} mm from the top: "
                       f"an area of {box.width:.0f} × {box.height:.0f} mm")  # fmt: skip
