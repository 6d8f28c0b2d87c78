"""RGB, spot inks, ink sums, overprint."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pikepdf import Array, Dictionary, Name, Pdf

from intake.preflight import SHEETFED
from tests.preflight.samples import CARD, GOOD, GROUND, TRIM, add, card, codes, image, placed


def test_rgb_is_a_warning_or_an_error_as_the_product_wants(look: Callable) -> None:
    drawn, picture = look(card(GOOD + b"1 0 0 rg 50 50 20 20 re f")), look(placed(ppi=300, space=Name.DeviceRGB))
    unused = look(card(GOOD + b"1 0 0 rg"))
    for facts, severity in ((drawn, "warning"), (picture, "warning"), (unused, None)):
        assert codes(facts) == ({"COLOR_RGB_USED": severity} if severity else {})
        assert codes(facts, replace(CARD, colour="any")) == {}
        assert codes(facts, replace(CARD, colour="cmyk")) == ({"COLOR_RGB_USED": "error"} if severity else {})


def test_tagged_rgb_images_pass_where_tagged_is_enough(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        tagged = Array([Name.ICCBased, pdf.make_stream(bytes(128), N=3)])
        add(pdf.pages[0].obj, "XObject", Im1=image(pdf, width=300, height=300, space=tagged, channels=3))

    facts = look(card(GOOD + b"q 72 0 0 72 50 50 cm /Im1 Do Q", change=change))
    assert facts["images"][0]["colour"] == "icc-rgb"
    assert codes(facts) == {}
    assert codes(facts, replace(CARD, colour="cmyk")) == {"COLOR_RGB_USED": "error"}


def _in_ink(name: str, paint: bytes = b"0 0 m 9 9 l 0 9 l f") -> bytes:
    def change(pdf: Pdf) -> None:
        tint = pdf.make_stream(b"{0 0 0}", FunctionType=4, Domain=[0, 1], Range=[0, 1] * 4)
        add(pdf.pages[0].obj, "ColorSpace", Cs1=Array([Name.Separation, Name(name), Name.DeviceCMYK, tint]))

    return card(GOOD + b"/Cs1 cs 1 scn " + paint, change=change)


def test_spot_colours_are_named_unless_the_product_has_them(look: Callable) -> None:
    facts = look(_in_ink("/PANTONE 185 C"))
    assert facts["pages"][0]["spots"] == ["PANTONE 185 C"]
    assert codes(facts) == {"COLOR_SPOT_UNEXPECTED": "warning"}
    assert codes(facts, replace(CARD, spots=("Pantone 185 c",))) == {}
    assert codes(look(_in_ink("/PANTONE 185 C", b""))) == {}
    assert codes(look(_in_ink("/Black"))) == {}
    assert codes(look(_in_ink("/All"))) == {"COLOR_REGISTRATION_USED": "warning"}


def test_ink_is_summed_over_a_square_of_15_mm(look: Callable) -> None:
    offset = replace(SHEETFED, trim_width=TRIM[0], trim_height=TRIM[1])
    wide, small = (
        look(card(GOOD + b"1 1 0.6 0.9 k 100 100 90 90 re f")),
        look(card(GOOD + b"1 1 0.6 0.9 k 100 100 20 20 re f")),
    )
    assert wide["pages"][0]["ink"]["percent"] == 350
    assert codes(wide, offset) == {"COLOR_TAC_HIGH": "warning"}
    assert codes(small, offset) == {}
    assert codes(wide) == {}


def test_the_ink_of_cmyk_images_is_summed_too(look: Callable) -> None:
    def heavy(pdf: Pdf) -> None:
        picture = pdf.make_stream(bytes([255, 255, 128, 255]) * 90_000, Type=Name.XObject, Subtype=Name.Image, Width=300,
                                  Height=300, ColorSpace=Name.DeviceCMYK, BitsPerComponent=8)  # fmt: skip
        add(pdf.pages[0].obj, "XObject", Im1=picture)

    facts = look(card(GOOD + b"q 72 0 0 72 50 50 cm /Im1 Do Q", change=heavy))
    assert facts["pages"][0]["ink"]["percent"] == pytest.approx(350, abs=1)


def test_black_text_of_many_inks_is_said(look: Callable) -> None:
    assert codes(look(card(GROUND + b"BT /F1 12 Tf 50 50 Td 0.7 0.7 0.7 1 k (x) Tj ET"))) == {
        "COLOR_RICH_BLACK_TEXT": "warning"
    }


@pytest.mark.parametrize(
    ("paint", "severity"), [(b"BT /F1 12 Tf 50 50 Td (x) Tj ET", "error"), (b"50 50 20 20 re f", "warning")]
)
def test_white_that_overprints_is_said(look: Callable, paint: bytes, severity: str) -> None:
    def change(pdf: Pdf) -> None:
        add(pdf.pages[0].obj, "ExtGState", G1=Dictionary(OP=True, op=True, OPM=1))

    assert codes(look(card(GROUND + b"/G1 gs 0 0 0 0 k " + paint, change=change))) == {
        "COLOR_WHITE_OVERPRINT": severity
    }
    assert (
        codes(look(card(GROUND + b"/G1 gs 0 0 0 1 k " + paint, change=change)), info=True)["COLOR_OVERPRINT"] == "info"
    )
