"""Findings on the pictures of pages: where their marks stand, and what has no place in a picture."""

from typing import Any

import pytest

from orders.models import PrintFile
from orders.sheets import Box, elsewhere, sheets_of

SHOWN = {"page": 1, "width": 100, "height": 200, "box": [0, 0, 1000, 2000], "rotate": 0}


def found(number: int, *, severity: str = "warning", **details: Any) -> dict[str, Any]:
    return {"number": number, "severity": severity, "details": details}


def test_pixels_are_measured_by_the_size_that_they_fill() -> None:
    [sheet] = sheets_of(PrintFile(previews=[SHOWN]), None, [found(1, page=1, box=[100, 1500, 300, 1900])])
    assert [mark.box for mark in sheet.marks] == [Box(10, 10, 20, 40)]


def test_what_is_thinner_than_can_be_seen_is_marked_as_large_as_can_be_seen() -> None:
    [sheet] = sheets_of(PrintFile(previews=[SHOWN]), None, [found(1, page=1, box=[100, 1000, 500, 1000])])
    assert [mark.box for mark in sheet.marks] == [Box(10, 99, 40, 2)]


@pytest.mark.parametrize("box", [None, "x", [1, 2, 3], [-900, 0, -800, 100], [2000, 0, 2001, 1]])
def test_what_has_no_place_on_the_page_marks_its_caption(box: Any) -> None:
    [sheet] = sheets_of(PrintFile(previews=[SHOWN]), None, [found(1, page=1, box=box)])
    assert (sheet.boxed, [mark.number for mark in sheet.unboxed]) == ([], [1])


def test_previews_that_do_not_say_what_they_show_mark_their_captions() -> None:
    old = {"page": 1, "width": 100, "height": 200}
    [sheet] = sheets_of(PrintFile(previews=[old]), None, [found(1, page=1, box=[0, 0, 10, 10])])
    assert (sheet.boxed, [mark.number for mark in sheet.unboxed]) == ([], [1])


def test_a_finding_on_several_pages_has_its_place_on_the_first_and_marks_the_others() -> None:
    file = PrintFile(previews=[SHOWN, SHOWN | {"page": 2}, SHOWN | {"page": 3}])
    first, second, third = sheets_of(file, None, [found(7, page=1, pages=[1, 3], box=[0, 0, 500, 500])])
    assert [len(each) for each in (first.boxed, first.unboxed, second.marks, third.boxed, third.unboxed)] == [
        1,
        0,
        0,
        0,
        1,
    ]


def test_what_is_on_no_picture_is_told_of_the_file() -> None:
    problems = [found(1, page=1), found(2, page=9, box=[0, 0, 9, 9]), found(3)]
    sheets = sheets_of(PrintFile(previews=[SHOWN]), None, problems)
    assert [mark.number for mark in elsewhere(problems, sheets)] == [2, 3]


def test_labels_of_the_same_corner_stand_beside_each_other() -> None:
    problems = [found(number, page=1, box=[0, 1000, 500, 2000]) for number in range(40)]
    [sheet] = sheets_of(PrintFile(previews=[SHOWN]), None, problems)
    assert len({(mark.x, mark.y) for mark in sheet.marks}) == 40
    assert all(0 < mark.x < 100 and 0 < mark.y < 200 for mark in sheet.marks)


def test_the_safe_zone_is_three_millimetres_inside_the_trim() -> None:
    [sheet] = sheets_of(PrintFile(previews=[SHOWN | {"trim": [3, 4, 97, 196]}]), None)
    assert sheet.safe == Box(6, 7, 88, 186)
    [small] = sheets_of(PrintFile(previews=[SHOWN | {"trim": [3, 4, 9, 10]}]), None)
    assert small.safe is None
