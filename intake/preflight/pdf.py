"""Facts of a PDF: opens it, reads the pages' boxes and walks their content."""

import re
from math import isfinite
from pathlib import Path
from typing import Any

import pikepdf

from intake.preflight.content import Walker
from intake.preflight.document import describe_document, hidden_layers
from intake.preflight.facts import Annotation, Box, Facts, Font, Image, Page
from intake.preflight.fonts import is_broken
from intake.preflight.geometry import Matrix, bounds, corners, times
from intake.preflight.limits import FONTS_KEPT, IMAGES_KEPT, PAGES, Broken, Budget, LimitHit
from intake.preflight.resources import Shelf, content_of, matrix_of
from intake.preflight.tokens import spelled, tokens_of

BOXES = {"media": "/MediaBox", "crop": "/CropBox", "bleed": "/BleedBox", "trim": "/TrimBox", "art": "/ArtBox"}
LETTER = [0.0, 0.0, 612.0, 792.0]
"""What readers take for a page without MediaBox."""
_LOST = re.compile(r"unable to (find trailer|recover)|treating stream as empty")
_REBUILT = re.compile(r"file is damaged|reconstruct|recover(ed|ing)? |expected endstream|loop|giving up|stream keyword")
HIDDEN, PRINT = 2, 4  # annotation flags, ISO 32000-1 table 165
_NOT_PAINTED = {"/Link", "/Popup", "/TrapNet", "/PrinterMark"}


def read_pdf(path: Path, facts: Facts) -> None:
    """Add what the PDF says to `facts`."""
    try:
        pdf = pikepdf.open(path, suppress_warnings=True)
    except pikepdf.PasswordError:
        facts["state"], facts["trouble"] = "locked", "A password is needed to open it."
        return
    except pikepdf.PikepdfError as error:
        facts["state"], facts["trouble"] = "corrupt", _without_path(error, path)
        return
    with pdf:
        try:
            _read_open(pdf, path, facts)
        except Broken as error:
            facts["state"], facts["trouble"] = "corrupt", str(error)
        except pikepdf.PikepdfError as error:
            facts["state"], facts["trouble"] = "corrupt", _without_path(error, path)


def _read_open(pdf: pikepdf.Pdf, path: Path, facts: Facts) -> None:
    facts["page_count"] = len(pdf.pages)
    facts["state"] = "read"
    facts["document"] = describe_document(pdf)
    shelf, budget = Shelf(hidden_layers=hidden_layers(pdf)), Budget()
    images: list[Image] = []
    try:
        for number, page in enumerate(pdf.pages, 1):
            if number > PAGES:
                raise LimitHit(f"more than {PAGES} pages")
            facts["pages"].append(_read_page(page.obj, shelf, budget, number=number, images=images))
    except LimitHit as hit:
        facts["system"].append({"code": "SYS_LIMIT", "what": str(hit)})
    facts["system"] += [{"code": "SYS_LIMIT", "what": what} for what in sorted(budget.noted)]
    facts["image_count"], facts["images"] = len(images), _kept(images)
    facts["fonts"] = _fonts_of(shelf)
    if not facts["page_count"]:
        facts["state"], facts["trouble"] = "corrupt", "It has no pages."
    _note_damage(facts, [_without_path(warning, path) for warning in pdf.get_warnings()])


def _note_damage(facts: Facts, warnings: list[str]) -> None:
    """What the reader had to mend. Asked after the walk: some damage shows only when a stream is used."""
    document = facts["document"]
    document["repaired"] = [text for text in warnings if _REBUILT.search(text) or _LOST.search(text)][:20]
    document["notes"] = [text for text in warnings if text not in document["repaired"]][:20]
    if lost := [text for text in warnings if _LOST.search(text)]:
        facts["state"], facts["trouble"] = "corrupt", lost[0]


def _without_path(said: object, path: Path) -> str:
    return str(said).replace(str(path), "").lstrip(": ")[:200]


# --- pages ------------------------------------------------------------------------------------------
def _read_page(page: Any, shelf: Shelf, budget: Budget, *, number: int, images: list[Image]) -> Page:
    unit = _number(page.get("/UserUnit"), 1.0)
    unit = unit if 0 < unit < 1e5 else 1.0
    facts = _boxes_of(page, unit)
    group = page.get("/Group")
    if isinstance(group, pikepdf.Dictionary) and isinstance(group.get("/CS"), pikepdf.Name):
        facts["blend_space"] = spelled(group["/CS"])[1:]
    ctm: Matrix = (unit, 0, 0, unit, 0, 0)
    walker = Walker(shelf, budget, page=number, ctm=ctm, images=images)
    try:
        walker.run(tokens_of(_content_of_page(page)), shelf.resources_of(_inherited(page, "/Resources")))
        if annotations := _walk_annotations(page, walker, ctm):
            facts["annotations"] = annotations
    except Broken as error:
        raise Broken(f"Page {number}: {error}.") from None
    walker.sheet.tell(facts)
    return facts


def _content_of_page(page: Any) -> bytes:
    content = page.get("/Contents")
    if isinstance(content, pikepdf.Stream):
        return content_of(content)
    if isinstance(content, pikepdf.Array):
        return b"\n".join(content_of(part) for part in content if isinstance(part, pikepdf.Stream))
    return b""


def _boxes_of(page: Any, unit: float) -> Page:
    found: dict[str, Box] = {}
    broken = []
    for name, key in BOXES.items():
        described = _inherited(page, key)
        if described is None:
            continue
        try:
            found[name] = _box(described, unit)
        except (ValueError, TypeError):
            broken.append(name)
    media = found.get("media")
    if media is None:
        media = [side * unit for side in LETTER]
        broken += [] if "media" in broken else ["media"]
    facts: Page = {
        "media": media, "crop": found.get("crop", media), "rotate": int(_number(_inherited(page, "/Rotate"), 0)) % 360,
        "user_unit": unit, "marks": 0, "transparency": False, "overprint": False, "blend_space": "",
        "vector_colours": {}, "spots": [], "registration": False,
    }  # fmt: skip
    for name in ("bleed", "trim", "art"):
        if name in found:
            facts[name] = found[name]  # type: ignore[literal-required]
    if broken:
        facts["boxes_broken"] = broken
    return facts


def _box(described: Any, unit: float) -> Box:
    """Left, bottom, right, top in pt. Raises ValueError for what is no box, or has no area."""
    a, b, c, d = (float(side) * unit for side in described)
    box = [min(a, c), min(b, d), max(a, c), max(b, d)]
    if not (box[2] > box[0] and box[3] > box[1] and max(map(abs, box)) < 1e7):
        raise ValueError(box)
    return [round(side, 4) for side in box]


def _inherited(page: Any, key: str) -> Any:
    """The page's own value, or that of the nearest node above it (only for keys that are inherited)."""
    node, steps = page, 0
    while isinstance(node, pikepdf.Dictionary) and steps < 50:
        if key in node:
            return node[key]
        if key not in ("/MediaBox", "/CropBox", "/Rotate", "/Resources"):
            return None
        node, steps = node.get("/Parent"), steps + 1
    return None


def _number(described: Any, default: float) -> float:
    try:
        found = float(described)
    except (TypeError, ValueError, OverflowError):
        return default
    return found if isfinite(found) else default


# --- annotations ---------------------------------------------------------------------------------------
def _walk_annotations(page: Any, walker: Walker, ctm: Matrix) -> list[Annotation]:
    """Walk the appearances that print, and say where they are."""
    listed = page.get("/Annots")
    found: list[Annotation] = []
    for one in listed if isinstance(listed, pikepdf.Array) else ():
        if not isinstance(one, pikepdf.Dictionary) or spelled(one.get("/Subtype")) in _NOT_PAINTED:
            continue
        flags = int(_number(one.get("/F"), 0))
        appearance = _appearance(one)
        if flags & HIDDEN or not flags & PRINT or appearance is None:
            continue
        try:
            rect = _box(one.get("/Rect"), 1.0)
            fitted = _fitted(appearance, rect)
        except (ValueError, TypeError):
            continue
        walker.draw_form(appearance, onto=times(fitted, ctm))
        found.append({"kind": spelled(one.get("/Subtype"))[1:], "prints": True, "box": bounds(corners(rect), ctm)})
    return found


def _appearance(annotation: Any) -> Any:
    appearances = annotation.get("/AP")
    normal = appearances.get("/N") if isinstance(appearances, pikepdf.Dictionary) else None
    if isinstance(normal, pikepdf.Dictionary) and "/AS" in annotation:
        normal = normal.get(spelled(annotation["/AS"]))
    return normal if isinstance(normal, pikepdf.Stream) else None


def _fitted(form: Any, rect: Box) -> Matrix:
    """The matrix that brings the appearance's transformed box onto the annotation's rectangle (ISO 32000-1, 12.5.5)."""
    left, bottom, right, top = bounds(corners(_box(form.get("/BBox"), 1.0)), matrix_of(form))
    across, up = (rect[2] - rect[0]) / ((right - left) or 1), (rect[3] - rect[1]) / ((top - bottom) or 1)
    return (across, 0, 0, up, rect[0] - left * across, rect[1] - bottom * up)


# --- what is reported ----------------------------------------------------------------------------------
def _kept(images: list[Image]) -> list[Image]:
    if len(images) <= IMAGES_KEPT:
        return images
    worst = sorted(range(len(images)), key=lambda place: (min(images[place]["ppi"]), place))[:IMAGES_KEPT]
    return [images[place] for place in sorted(worst)]


def _fonts_of(shelf: Shelf) -> list[Font]:
    """Fonts that are the same but for where they are described are one; what is wrong is never merged away."""
    merged: dict[tuple[str, str, bool, bool], Font] = {}
    for font, described in [*shelf.fonts.values(), *shelf.direct_fonts]:
        if font["shown"] and font["embedded"]:
            font["broken"] = is_broken(described)
        key = (font["name"], font["type"], font["embedded"], font["broken"])
        if (first := merged.setdefault(key, font)) is not font:
            first["shown"] |= font["shown"]
            first["invisible"] |= font["invisible"]
    fonts = sorted(merged.values(), key=lambda font: (font["embedded"], font["page"], font["name"], font["type"]))
    return fonts[:FONTS_KEPT]
