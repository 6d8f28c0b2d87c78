"""Images placed in PDFs: found wherever they are drawn from, measured as they are printed."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pikepdf import Array, Dictionary, Name, Pdf, String
from PIL import Image

from intake.preflight import judge
from tests.preflight.samples import CARD, GOOD, add, card, codes, form, image, placed


@pytest.mark.parametrize(("ppi", "said"), [
    (300, {}), (225, {}), (224, {"IMG_PPI_MARGINAL": "warning"}), (150, {"IMG_PPI_MARGINAL": "warning"}),
    (149, {"IMG_PPI_LOW": "error"}), (72, {"IMG_PPI_LOW": "error"})])  # fmt: skip
def test_resolution_is_that_on_paper(look: Callable, ppi: int, said: dict[str, str]) -> None:
    assert codes(look(placed(ppi=ppi))) == said


def test_resolution_does_not_change_with_a_turn(look: Callable) -> None:
    facts = look(placed(ppi=120, turn=b"0.8 0.6 -0.6 0.8 0 0 cm"))
    assert facts["images"][0]["ppi"] == pytest.approx([120, 120], abs=0.01)


def test_the_coarser_axis_counts_and_the_finding_says_where(look: Callable) -> None:
    facts = look(placed(ppi=300, turn=b"3 0 0 1 0 0 cm"))
    assert facts["images"][0]["ppi"] == pytest.approx([100, 300], abs=0.01)
    [found] = [one for one in judge(facts, CARD) if one.code == "IMG_PPI_LOW"]
    assert found.details["page"] == 1
    assert found.details["actual"] == pytest.approx(100, abs=0.01)
    assert (found.details["limit"], found.details["unit"]) == (149, "ppi")
    assert found.details["box"] == pytest.approx([180, 60, 396, 96], abs=0.1)


def test_from_further_away_less_is_enough(look: Callable) -> None:
    assert codes(look(placed(ppi=120)), replace(CARD, ppi_error=239, ppi_warning=299, viewing_distance=2.5)) == {}


def _drawn_by(how: str) -> bytes:
    def change(pdf: Pdf) -> None:
        page = pdf.pages[0].obj
        picture = image(pdf, width=100, height=100, space=Name.DeviceGray)
        drawing = form(pdf, b"q 36 0 0 36 0 0 cm /Im1 Do Q", XObject=Dictionary(Im1=picture))
        drawing.Matrix = Array([2, 0, 0, 2, 10, 10])
        if how == "form":
            add(page, "XObject", Fm1=drawing)
        elif how == "pattern":
            drawing.PatternType, drawing.XStep, drawing.YStep = 1, 100, 100
            add(page, "Pattern", P1=drawing)
        elif how == "annotation":
            drawing.BBox = Array([0, 0, 36, 36])
            page.Annots = Array(
                [Dictionary(Type=Name.Annot, Subtype=Name.Stamp, F=4, Rect=[20, 20, 92, 92], AP=Dictionary(N=drawing))]
            )
        elif how == "soft mask":
            add(page, "ExtGState", G1=Dictionary(SMask=Dictionary(S=Name.Luminosity, G=drawing)))

    pixels = bytes(range(256)) * 39 + bytes(16)
    calls = {"form": b"/Fm1 Do", "pattern": b"/Pattern cs /P1 scn 0 0 50 50 re f", "annotation": b"", "soft mask": b"/G1 gs",
             "inline": b"q 72 0 0 72 0 0 cm BI /W 100 /H 100 /BPC 8 /CS /G ID " + pixels + b" EI Q"}  # fmt: skip
    return card(GOOD + calls[how], change=change)


@pytest.mark.parametrize("how", ["form", "pattern", "annotation", "soft mask", "inline"])
def test_an_image_is_found_wherever_it_is_drawn_from(look: Callable, how: str) -> None:
    facts = look(_drawn_by(how))
    assert [one["ppi"] for one in facts["images"]] == [pytest.approx([100, 100])]
    assert ("IMG_PPI_LOW" in codes(facts)) == (how != "soft mask")


def test_a_tiny_image_is_exempt(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        add(pdf.pages[0].obj, "XObject", Im1=image(pdf, width=16, height=16))

    facts = look(card(GOOD + b"q 200 0 0 200 20 20 cm /Im1 Do Q", change=change))
    assert len(facts["images"]) == 1
    assert codes(facts) == {}


@pytest.mark.parametrize(("ppi", "said"), [
    (349, {"IMG_1BIT_PPI_LOW": "error"}), (599, {"IMG_1BIT_PPI_MARGINAL": "warning"}), (600, {})])  # fmt: skip
def test_black_and_white_images_need_more(look: Callable, ppi: int, said: dict[str, str]) -> None:
    assert codes(look(placed(ppi=ppi, space=Name.DeviceGray, bits=1))) == said


def test_kinds_of_images_are_noted(look: Callable) -> None:
    lab = Array([Name.Lab, Dictionary(WhitePoint=[0.96, 1, 0.82])])
    palette = Array([Name.Indexed, Name.DeviceGray, 1, String(b"\x00\xff")])
    assert codes(look(placed(ppi=300, space=Name.DeviceGray, bits=16)), info=True).get("IMG_16BIT") == "info"
    assert codes(look(placed(ppi=300, space=lab, channels=3)), info=True).get("IMG_LAB") == "info"
    assert codes(look(placed(ppi=300, space=palette, channels=1)), info=True).get("IMG_INDEXED") == "info"
    assert codes(look(placed(ppi=700)), info=True).get("IMG_PPI_EXCESS") == "info"


def _noise() -> bytes:
    out = BytesIO()
    Image.effect_noise((300, 150), 90).save(out, "JPEG")
    return out.getvalue()


FLATE, JPEG = zlib.compress(bytes(300 * 150)), _noise()


@pytest.mark.parametrize(("packed", "kind", "said"), [
    (FLATE, Name.FlateDecode, {}), (FLATE[:40], Name.FlateDecode, {"FILE_CORRUPT": "error"}),
    (b"these are no pixels", Name.FlateDecode, {"FILE_CORRUPT": "error"}),
    (JPEG, Name.DCTDecode, {}), (JPEG[:-2], Name.DCTDecode, {}), (JPEG + b"\n", Name.DCTDecode, {}),
    (JPEG[: len(JPEG) // 2], Name.DCTDecode, {"FILE_CORRUPT": "error"}),
    (b"these are no pixels", Name.DCTDecode, {"FILE_CORRUPT": "error"}),
])  # fmt: skip
def test_an_image_that_does_not_decode_makes_the_file_corrupt(
    look: Callable, packed: bytes, kind: Name, said: dict[str, str]
) -> None:
    def change(pdf: Pdf) -> None:
        picture = image(pdf, width=300, height=150, space=Name.DeviceGray)
        picture.write(packed, filter=kind)
        add(pdf.pages[0].obj, "XObject", Im1=picture)

    assert codes(look(card(GOOD + b"q 72 0 0 36 60 60 cm /Im1 Do Q", change=change))) == said
