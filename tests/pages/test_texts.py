from typing import Any

import pytest

from orders.models import PrintFile, Product
from orders.sheets import Box, sheets_of
from orders.texts import SHOWN, duration, pretty
from orders.timeline import actor_of, title_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", ""),
        ({}, ""),
        ("no json", "no json"),
        ('{"a":{},"b":[],"c":[1,{"d":"x, {y}: \\"z\\""}]}',
         '{\n  "a": {},\n  "b": [],\n  "c": [\n    1,\n    {\n      "d": "x, {y}: \\"z\\""\n    }\n  ]\n}'),
        ("[1.10,1e400,-0,12345678901234567890]", "[\n  1.10,\n  1e400,\n  -0,\n  12345678901234567890\n]"),
        ('{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}'),
        ({"ü": None}, '{\n  "ü": null\n}'),
    ],
)  # fmt: skip
def test_json_gets_lines_and_stays_what_it_was(value: Any, shown: str) -> None:
    assert pretty(value) == shown


@pytest.mark.parametrize("value", ["x" * 200_000, "[" * 200_000, "[" * 900 + "1," * 90_000 + "1" + "]" * 900])
def test_no_text_becomes_longer_than_can_be_read(value: str) -> None:
    assert len(pretty(value)) == SHOWN


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.4, "0 s"), (12, "12 s"), (60, "1 min"), (95, "1 min 35 s"), (7_200, "2 h"), (187_300, "2 d 4 h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_events_and_actors_have_names_that_people_read() -> None:
    assert [title_of(kind) for kind in ("order.in_production", "package.status_updated")] == [
        "In production",
        "Package status updated",
    ]
    assert [actor_of(by) for by in ("user:ada", "connector:shop", "carrier:dhl", "system")] == [
        "ada", "shop (connector)", "dhl (carrier)", "system",
    ]  # fmt: skip


CARD = Product(trim_width=105, trim_height=148, bleed=3)


def file_with(**preview: Any) -> PrintFile:
    return PrintFile(previews=[{"page": 1, "width": 111, "height": 154} | preview])


def test_the_trim_stands_in_the_middle_of_a_page_that_does_not_say() -> None:
    assert sheets_of(file_with(), CARD)[0].trim == Box(3, 3, 105, 148)
    assert sheets_of(file_with(), CARD)[0].bleed == Box(0, 0, 111, 154)


def test_the_trim_is_turned_with_the_page() -> None:
    assert sheets_of(file_with(width=154, height=111), CARD)[0].trim == Box(3, 3, 148, 105)


def test_the_page_s_own_trim_goes_first_and_the_bleed_ends_with_the_page() -> None:
    sheet = sheets_of(file_with(trim=[1, 2, 106, 150]), CARD)[0]
    assert (sheet.trim, sheet.bleed) == (Box(1, 2, 105, 148), Box(0, 0, 109, 153))


def test_without_a_product_only_the_page_is_known() -> None:
    assert (sheets_of(file_with(), None)[0].trim, sheets_of(file_with(), None)[0].bleed) == (None, None)


@pytest.mark.parametrize("previews", [None, {}, "x", [None], [{"page": 1}], [{"page": "1", "width": 1, "height": 1}],
                                      [{"page": 1, "width": 0, "height": 1}]])  # fmt: skip
def test_previews_that_say_too_little_are_left_out(previews: Any) -> None:
    assert sheets_of(PrintFile(previews=previews), CARD) == []
