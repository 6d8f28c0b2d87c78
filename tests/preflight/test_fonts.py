"""Fonts, small text and thin lines."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pikepdf import Dictionary, Name, Pdf

from intake.preflight import SHEETFED
from tests.preflight.samples import GOOD, GROUND, TRIM, card, codes


@pytest.mark.parametrize(("content", "code", "severity"), [
    (b"BT /F2 12 Tf 50 50 Td (Hi) Tj ET", "FONT_NOT_EMBEDDED", "error"),
    (b"BT /F2 12 Tf 50 50 Td [(H) -20 <69>] TJ ET", "FONT_NOT_EMBEDDED", "error"),
    (b"BT /F2 12 Tf 3 Tr 50 50 Td (Hi) Tj ET", "FONT_NOT_EMBEDDED_INVISIBLE", "info"),
    (b"BT /F2 12 Tf 50 50 Td () Tj ET", "FONT_NOT_EMBEDDED_UNUSED", "info"),
    (b"", "FONT_NOT_EMBEDDED_UNUSED", "info"),
])  # fmt: skip
def test_a_font_must_be_embedded_where_it_is_seen(look: Callable, content: bytes, code: str, severity: str) -> None:
    said = {key: value for key, value in codes(look(card(GOOD + content)), info=True).items() if key.startswith("FONT")}
    assert said == {code: severity}


def test_a_damaged_font_program_is_said(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        pdf.pages[0].obj.Resources.Font.F1.FontDescriptor.FontFile2 = pdf.make_stream(b"no font")

    assert codes(look(card(change=change))) == {"FONT_CORRUPT": "warning"}


@pytest.mark.parametrize(("content", "size"), [
    (b"BT /F1 4 Tf 50 50 Td (x) Tj ET", 4),
    (b"BT /F1 1 Tf 4 0 0 4 50 50 Tm (x) Tj ET", 4),
    (b"q 0.5 0 0 0.5 0 0 cm BT /F1 8 Tf 50 50 Td (x) Tj ET Q", 4),
    (b"BT /F1 6 Tf 50 50 Td (x) Tj ET", None),
])  # fmt: skip
def test_text_is_measured_as_it_is_printed(look: Callable, content: bytes, size: float | None) -> None:
    facts = look(card(GOOD + b"0 g " + content))
    assert facts["pages"][0]["text"]["size"] == pytest.approx(size or 6)
    assert codes(facts) == ({"FONT_TEXT_TOO_SMALL": "warning"} if size else {})


def test_white_text_must_be_larger_offset(look: Callable) -> None:
    offset = replace(SHEETFED, trim_width=TRIM[0], trim_height=TRIM[1])
    content = GROUND + b"BT /F1 6 Tf 50 50 Td %s (x) Tj ET"
    assert codes(look(card(content % b"0 0 0 0 k")), offset) == {"FONT_TEXT_TOO_SMALL": "warning"}
    assert codes(look(card(content % b"0.5 0.5 0 0 k")), offset) == {"FONT_TEXT_TOO_SMALL": "warning"}
    assert codes(look(card(content % b"0 0 0 1 k")), offset) == {}


@pytest.mark.parametrize(("content", "said"), [
    (b"0.1 w 50 50 m 100 100 l S", {"LINE_TOO_THIN": "error"}),
    (b"0 w 50 50 m 100 100 l S", {"LINE_TOO_THIN": "error"}),
    (b"0.2 w 50 50 m 100 100 l S", {"LINE_TOO_THIN": "warning"}),
    (b"q 0.1 0 0 0.1 0 0 cm 2 w 50 50 m 100 100 l S Q", {"LINE_TOO_THIN": "warning"}),
    (b"50 50 100 0.1 re f", {"LINE_TOO_THIN": "error"}),
    (b"0.25 w 50 50 m 100 100 l S", {}),
    (b"0.1 w 50 50 m 100 100 l n", {}),
    (b"q 0.1 w Q 50 50 m 100 100 l S", {}),
])  # fmt: skip
def test_lines_are_measured_as_they_are_printed(look: Callable, content: bytes, said: dict[str, str]) -> None:
    assert codes(look(card(GOOD + b"0 0 0 1 K " + content))) == said


def test_names_that_are_no_unicode_are_read(look: Callable) -> None:
    content = card(GOOD + b"BT /F_N 12 Tf 50 50 Td (x) Tj ET", change=_named_f_n).replace(b"/F_N", b"/F\xe9N")
    content = content.replace(b"/Odd-Name", b"/Odd\xe9Name")
    [bare] = [font for font in look(content)["fonts"] if not font["embedded"] and font["shown"]]
    assert bare["name"] == "Odd?Name"


def _named_f_n(pdf: Pdf) -> None:
    pdf.pages[0].obj.Resources.Font["/F_N"] = Dictionary(Subtype=Name.Type1, BaseFont=Name("/Odd-Name"))


def test_drawn_fonts_and_courier_are_noted(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        fonts = pdf.pages[0].obj.Resources.Font
        fonts.F1.BaseFont = Name.Courier
        fonts.F3 = Dictionary(Subtype=Name.Type3, Name=Name.Drawn)

    content = GOOD + b"BT /F3 1 Tf 50 50 Td (x) Tj ET"
    said = codes(look(card(content, change=change)), info=True)
    assert {code: severity for code, severity in said.items() if code in ("FONT_TYPE3", "FONT_COURIER")} == {
        "FONT_TYPE3": "info", "FONT_COURIER": "info"}  # fmt: skip
    assert not {"FONT_TYPE3", "FONT_COURIER"} & codes(look(card()), info=True).keys()
