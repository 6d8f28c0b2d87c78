"""The print files of an order: fetched through the guarded door, kept by content, looked into, judged."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from django.utils import timezone

from gelatoconnect.lib import http, storage
from gelatoconnect.lib.problems import Problem
from intake import preflight
from intake.models import FileFacts
from orders.drafts import is_handed_over, pointer
from orders.models import Order, PrintFile, Product
from orders.sheets import upright

# What the door says, as it is said of a print file.
CODES = {
    "FETCH_NOT_FOUND": "FILE_DOWNLOAD_NOT_FOUND",
    "FETCH_FORBIDDEN": "FILE_DOWNLOAD_FORBIDDEN",
    "FETCH_TIMEOUT": "FILE_DOWNLOAD_TIMEOUT",
    "FETCH_TOO_LARGE": "FILE_TOO_LARGE",
    "URL_INVALID": "FILE_URL_INVALID",
    "URL_FORBIDDEN": "FILE_URL_FORBIDDEN",
}
HANDING_OVER = 9_000.0  # seconds between two looks for a file that its sender will upload


@dataclass
class Seen:
    """A print file after it was fetched and looked into; `problems` is what speaks against it."""

    file: PrintFile
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    outage: http.Failed | None = None  # it could not be fetched this time, but may be later


def look_at(order: Order) -> Iterator[Seen]:
    """Each file of the order, fetched anew since the order was received, looked into and judged."""
    for place, item in enumerate(order.items.select_related("product").prefetch_related("files")):
        files = list(item.files.all())
        if not files and item.quantity_due:
            path = pointer("items", place, "files")
            yield Seen(PrintFile(item=item), problems=[Problem("FILE_MISSING", f"{item.name} has no print file.", path,
                                                               hint="Add a file by its address.")])  # fmt: skip
        for number, file in enumerate(files):
            yield _look(file, order, item.product, pointer("items", place, "files", number))


def _look(file: PrintFile, order: Order, product: Product | None, path: str) -> Seen:
    seen = Seen(file)
    if is_handed_over(file.url):
        if not file.sha256 or not storage.path_of(file.sha256).exists():
            return _not_handed_over(seen, path)
    elif file.fetched_at is None or file.fetched_at < order.status_since or not storage.path_of(file.sha256).exists():
        try:
            _fetch(file)
        except http.Failed as failure:
            seen.problems = [_unfetched(failure, file, path)]
            seen.outage = None if failure.permanent else failure
            return seen
    if file.md5 and (actual := _md5(storage.path_of(file.sha256))) != file.md5.lower():
        seen.problems.append(
            Problem(
                "FILE_HASH_MISMATCH",
                "The file is not the one that was announced: its MD5 differs.",
                path,
                hint="Send the right file, or correct its md5.",
                details={"actual": actual, "limit": file.md5},
            )
        )
    seen.facts = facts_of(file.sha256)
    if product is not None:
        findings = preflight.judge(cast(preflight.Facts, seen.facts), profile_of(product))
        seen.problems += [replace(found, path=path) for found in findings]
    return seen


def _not_handed_over(seen: Seen, path: str) -> Seen:
    """Waited for some twelve hours, attempt by attempt; whoever brings it wakes the check."""
    name = seen.file.url.partition(":")[2]
    message = f"The {seen.file.type} file {name!r} has not been handed over yet."
    seen.problems = [Problem("FILE_UPLOAD_MISSING", message, path, hint="Upload it, or send its address; then retry.")]
    if not seen.file.sha256:
        seen.outage = http.Failed("FETCH_STATUS", message, permanent=False, retry_after=HANDING_OVER)
    return seen


def _fetch(file: PrintFile) -> None:
    """Download and keep the content. Known at once, so that a second attempt does not fetch it again."""
    fetched = http.fetch(file.url, into=storage.incoming_dir())
    storage.keep(fetched.path, fetched.sha256)
    file.sha256, file.size, file.fetched_at = fetched.sha256, fetched.size, timezone.now()
    PrintFile.objects.filter(pk=file.pk, url=file.url).update(
        sha256=file.sha256, size=file.size, fetched_at=file.fetched_at
    )


def _unfetched(failure: http.Failed, file: PrintFile, path: str) -> Problem:
    code = CODES.get(failure.code, "FILE_DOWNLOAD_FAILED")
    return Problem(code, f"The {file.type} file could not be downloaded: {failure.message}", path,
                   hint=failure.hint or "Make the file available at its address, or send a new address; then retry.",
                   details={"url": file.url})  # fmt: skip


def facts_of(sha256: str) -> dict[str, Any]:
    """What preflight sees in the content; looked up when it has been seen before by this version of the checker."""
    known = FileFacts.objects.filter(sha256=sha256, version=preflight.VERSION).first()
    if known is None:
        facts = preflight.inspect(storage.path_of(sha256), previews=storage.previews_of(sha256))
        if facts["state"] == "unknown":  # a limit, or a crash: worth another look next time
            return dict(facts)
        known, _ = FileFacts.objects.get_or_create(sha256=sha256, version=preflight.VERSION, defaults={"facts": facts})
    return known.facts


def shown(seen: Seen) -> dict[str, Any]:
    """What the order keeps of a file's facts: type, pages, and its previews measured in mm."""
    facts, product = seen.facts, seen.file.item.product
    return {
        "mime_type": facts["mime"],
        "page_count": facts["page_count"] or None,
        "previews": [_sheet(preview, facts, product) for preview in facts["previews"]],
    }


def _sheet(preview: dict[str, Any], facts: dict[str, Any], product: Product | None) -> dict[str, Any]:
    """A page as its preview shows it: width and height, and the trim as [left, top, right, bottom] from its top left, in mm.

    box and rotate: the part of the page that is shown, as the file measures it (pt, or pixels), to place findings by.
    """
    box, rotate = preview["box"], preview["rotate"]
    sheet = {"page": preview["page"], "box": box, "rotate": rotate}
    if facts["format"] != "pdf":  # pixels have no size of their own: they fill the product
        sides = (
            (product.trim_width + 2 * product.bleed, product.trim_height + 2 * product.bleed) if product else (100, 100)
        )
        width, height = sides if (preview["width"] > preview["height"]) == (sides[0] > sides[1]) else sides[::-1]
        return sheet | {"width": width, "height": height}
    page = facts["pages"][preview["page"] - 1]
    _, _, width, height = _in_mm(upright(box, box, rotate))
    sheet |= {"width": width, "height": height}
    return sheet | {"trim": _in_mm(upright(page["trim"], box, rotate))} if "trim" in page else sheet


def _in_mm(lengths: Iterable[float]) -> list[float]:
    return [round(length * 25.4 / 72, 2) for length in lengths]


def profile_of(product: Product) -> preflight.Profile:
    """What the product asks of its print files."""
    names = ("ppi_error", "ppi_warning", "colour", "ink_limit", "text_min", "line_warning")
    own = {name: getattr(product, name) for name in names if getattr(product, name) not in (None, "")}
    return preflight.profile(
        product.print_profile, trim_width=product.trim_width, trim_height=product.trim_height, bleed=product.bleed,
        pages_min=product.pages_min, pages_max=product.pages_max, pages_multiple=product.pages_multiple,
        formats=tuple(product.formats), spots=tuple(product.spots), **own,
    )  # fmt: skip


def _md5(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()
