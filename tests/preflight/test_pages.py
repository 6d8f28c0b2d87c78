"""Pages are counted and measured: boxes, bleed, turns, units, blank ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pikepdf import Array, Name, Pdf

from intake.preflight import DIGITAL, judge
from tests.preflight import samples
from tests.preflight.samples import CARD, GOOD, MM, TRIM, add, card, codes, image


def changed(**entries: Any) -> samples.Change:
    def change(pdf: Pdf) -> None:
        for key, value in entries.items():
            pdf.pages[0].obj[f"/{key}"] = value

    return change


def _without(pdf: Pdf, *keys: str) -> None:
    for key in keys:
        del pdf.pages[0].obj[f"/{key}"]


BOXES: dict[str, tuple[bytes, dict[str, str]]] = {
    "9 mm too wide": (card(trim=(114, 148)), {"PAGE_SIZE_MISMATCH": "error"}),
    "half a millimetre too wide": (card(trim=(105.5, 148)), {"PAGE_SIZE_MISMATCH": "warning"}),
    "a hair too wide": (card(trim=(105.2, 148)), {}),
    "lying": (card(trim=(148, 105)), {"PAGE_ORIENTATION_MISMATCH": "warning"}),
    "turned upright for viewing": (card(trim=(148, 105), change=changed(Rotate=90)), {"PAGE_ROTATED": "warning"}),
    "1.5 mm of bleed": (card(bleed=1.5), {"PAGE_BLEED_SHORT": "error"}),
    "2.5 mm of bleed": (card(bleed=2.5), {"PAGE_BLEED_SHORT": "warning"}),
    "no bleed": (card(bleed=0), {"PAGE_BLEED_MISSING": "error"}),
    "no bleed and no trim box": (
        card(bleed=0, change=lambda pdf: _without(pdf, "TrimBox", "BleedBox")),
        {"PAGE_BLEED_MISSING": "error", "PAGE_TRIMBOX_MISSING": "warning"},
    ),
    "no trim box but room for bleed": (
        card(change=lambda pdf: _without(pdf, "TrimBox")),
        {"PAGE_TRIMBOX_MISSING": "warning"},
    ),
    "a trim box that is the whole sheet": (
        card(change=lambda pdf: pdf.pages[0].obj.__setitem__("/TrimBox", pdf.pages[0].obj.MediaBox)),
        {"PAGE_TRIMBOX_MISSING": "warning"},
    ),
    "a trim box outside of the sheet": (
        card(change=changed(TrimBox=Array([-20, 8.5, -20 + TRIM[0] * MM, 8.5 + TRIM[1] * MM]))),
        {"PAGE_BOX_INVALID": "error", "PAGE_BLEED_SHORT": "error"},
    ),
    "a trim box of words": (card(change=changed(TrimBox=Array([Name.a, 1, 2, 3]))), {
        "PAGE_BOX_INVALID": "error", "PAGE_TRIMBOX_MISSING": "warning"}),
    "no content": (card(b""), {"PAGE_BLANK": "warning"}),
    "white paint only": (card(b"1 g 0 0 500 500 re f"), {"PAGE_BLANK": "warning"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", BOXES)
def test_a_page_is_measured(look: Callable, fault: str) -> None:
    content, said = BOXES[fault]
    assert codes(look(content)) == said


def test_user_units_enlarge_the_page_and_lower_the_resolution(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        page = pdf.pages[0].obj
        page.UserUnit = 2
        for key in ("MediaBox", "TrimBox", "BleedBox"):
            page[f"/{key}"] = Array([float(side) / 2 for side in page[f"/{key}"]])
        add(page, "XObject", Im1=image(pdf, width=300, height=300))

    facts = look(card(GOOD + b"q 72 0 0 72 30 30 cm /Im1 Do Q", change=change))
    assert facts["pages"][0]["trim"] == pytest.approx([8.504, 8.504, 306.142, 428.031], abs=0.01)
    assert facts["images"][0]["ppi"] == [150, 150]
    assert codes(facts) == {"PAGE_USERUNIT": "warning", "IMG_PPI_MARGINAL": "warning"}


@pytest.mark.parametrize(("pages", "least", "most", "step", "fits"), [
    (1, 1, 1, 1, True), (2, 1, 1, 1, False), (8, 8, 64, 4, True), (10, 8, 64, 4, False), (4, 8, 64, 4, False)])  # fmt: skip
def test_pages_are_counted(look: Callable, pages: int, least: int, most: int, step: int, fits: bool) -> None:
    product = replace(CARD, pages_min=least, pages_max=most, pages_multiple=step)
    assert codes(look(card(pages=pages)), product) == ({} if fits else {"PAGE_COUNT_MISMATCH": "error"})


def test_the_same_fault_on_many_pages_is_said_once(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        for number in (0, 1, 2, 4):
            pdf.pages[number].obj.Rotate = 180

    facts = look(card(pages=5, change=change))
    [found] = [one for one in judge(facts, replace(CARD, pages_max=5)) if one.code == "PAGE_ROTATED"]
    assert found.message == "Pages 1 to 3, 5: The page is only turned for viewing, by 180°."
    assert found.details["pages"] == [1, 2, 3, 5]


def test_pages_of_different_size_are_said(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        pdf.pages[1].obj.TrimBox = Array([20, 20, 200, 200])

    assert codes(look(card(pages=2, change=change)), replace(DIGITAL, pages_max=2)) == {
        "PAGE_SIZE_INCONSISTENT": "warning"
    }
