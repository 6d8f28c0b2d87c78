"""A PDF as a whole: the good one, damage, locks, what does not belong into it, its PDF/X claim."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Pdf, String
from pypdf import PdfReader

from intake.preflight import DIGITAL, LARGE_FORMAT, SHEETFED
from intake.preflight.reader import read_file
from tests.preflight import samples
from tests.preflight.samples import BLEED, CARD, GOOD, MM, TRIM, add, card, claimed, codes, form, image, placed


def test_the_good_card_is_good_in_every_ready_profile(look: Callable) -> None:
    facts = look(card())
    for profile in (DIGITAL, SHEETFED, LARGE_FORMAT):
        assert codes(facts, replace(profile, trim_width=TRIM[0], trim_height=TRIM[1])) == {}


def test_facts_are_the_same_for_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    content, found = placed(ppi=300), []
    for place in ("a/one.pdf", "b/two.bin"):
        path = tmp_path / place
        path.parent.mkdir()
        path.write_bytes(content)
        found.append(read_file(path))
    assert found[0] == found[1]


def _turned(pdf: Pdf) -> None:
    pdf.pages[1].obj.Rotate = -90


def test_an_independent_reader_sees_the_same_boxes_and_pages(look: Callable) -> None:
    content = card(pages=3, change=_turned)
    facts, other = look(content), PdfReader(BytesIO(content))
    assert facts["page_count"] == len(other.pages) == 3
    for ours, theirs in zip(facts["pages"], other.pages, strict=True):
        assert ours["media"] == pytest.approx([float(side) for side in theirs.mediabox], abs=0.001)
        assert ours["trim"] == pytest.approx([float(side) for side in theirs.trimbox], abs=0.001)
        assert ours["rotate"] == (theirs.rotation or 0) % 360


def _root(**entries: Any) -> samples.Change:
    def change(pdf: Pdf) -> None:
        for key, value in entries.items():
            pdf.Root[f"/{key}"] = value

    return change


def _attached(pdf: Pdf) -> None:
    pdf.attachments["note.txt"] = b"note"


def _film(pdf: Pdf) -> None:
    pdf.Root.Film = pdf.make_indirect(Dictionary(Type=Name.Annot, Subtype=Name.RichMedia))


def _elsewhere(pdf: Pdf) -> None:
    stream = image(pdf, width=20, height=20)
    stream.F = String("http://example.com/picture")
    pdf.Root.Elsewhere = stream


def _hidden_layer(pdf: Pdf) -> None:
    layer = pdf.make_indirect(Dictionary(Type=Name.OCG, Name=String("Notes")))
    pdf.Root.OCProperties = Dictionary(OCGs=[layer], D=Dictionary(OFF=[layer]))
    add(pdf.pages[0].obj, "Properties", MC1=layer)


DOCUMENTS: dict[str, tuple[samples.Change, dict[str, str]]] = {
    "script": (_root(OpenAction=Dictionary(S=Name.JavaScript, JS=String("app.beep()"))), {"PDF_JAVASCRIPT": "warning"}),
    "form": (_root(AcroForm=Dictionary(Fields=[Dictionary(T=String("name"))])), {"PDF_FORM_FIELDS": "warning"}),
    "dynamic form": (_root(AcroForm=Dictionary(Fields=[], XFA=String("x"))), {"PDF_XFA": "error"}),
    "attachment": (_attached, {"PDF_EMBEDDED_FILES": "warning"}),
    "film": (_film, {"PDF_MULTIMEDIA": "warning"}),
    "picture kept elsewhere": (_elsewhere, {"PDF_EXTERNAL_REF": "error"}),
    "hidden layer": (_hidden_layer, {"PDF_LAYERS_HIDDEN": "warning"}),
    "PDF/X-4": (claimed("PDF/X-4"), {}),
    "PDF/X-4 without output intent": (claimed("PDF/X-4", intents=0), {"PDFX_CLAIM_INVALID": "warning"}),
    "PDF/X-4 with two output intents": (claimed("PDF/X-4", intents=2), {"PDFX_CLAIM_INVALID": "warning"}),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_has_no_place_in_a_print_file_is_said(look: Callable, kind: str) -> None:
    change, said = DOCUMENTS[kind]
    assert codes(look(card(change=change))) == said


def test_what_lies_in_a_hidden_layer_is_not_judged(look: Callable) -> None:
    content = GOOD + b"/OC /MC1 BDC BT /F2 3 Tf 50 50 Td (x) Tj ET 0.1 w 0 0 m 9 9 l S EMC 1 w 0 0 m 9 9 l S"
    said = codes(look(card(content, change=_hidden_layer)), info=True)
    del said["PDFX_MISSING"]
    assert said == {"PDF_LAYERS_HIDDEN": "warning", "FONT_NOT_EMBEDDED_INVISIBLE": "info"}


def test_transparency_contradicts_an_early_pdfx_claim_only(look: Callable) -> None:
    def change(version: str) -> samples.Change:
        def both(pdf: Pdf) -> None:
            claimed(version)(pdf)
            add(pdf.pages[0].obj, "ExtGState", G1=Dictionary(ca=0.5))

        return both

    content = GOOD + b"/G1 gs 0 0 9 9 re f"
    assert codes(look(card(content, change=change("PDF/X-4"))), info=True) == {
        "FONT_NOT_EMBEDDED_UNUSED": "info", "COLOR_TRANSPARENCY": "info"}  # fmt: skip
    assert codes(look(card(content, change=change("PDF/X-1a:2003")))) == {"PDFX_CLAIM_INVALID": "warning"}
    assert codes(look(card(content, change=change(""))), replace(CARD, pdfx="PDF/X-1a")) == {
        "PDFX_MISSING": "warning",
        "COLOR_TRANSPARENCY": "error",
    }


def test_a_stamp_on_the_page_is_said(look: Callable) -> None:
    def change(pdf: Pdf, flags: int = 4) -> None:
        stamp = form(pdf, b"0 0 9 9 re f")
        pdf.pages[0].obj.Annots = Array(
            [Dictionary(Subtype=Name.Stamp, F=flags, Rect=[20, 20, 90, 90], AP=Dictionary(N=stamp))]
        )

    assert codes(look(card(change=change))) == {"PDF_ANNOT_IN_TRIM": "warning"}
    assert codes(look(card(change=lambda pdf: change(pdf, 2)))) == {}


def test_locks_are_told_apart(look: Callable) -> None:
    assert codes(look(samples.locked())) == {"PDF_ENCRYPTED": "error"}
    assert codes(look(samples.restricted(extract=False))) == {"PDF_ENCRYPTED_RESTRICTED": "warning"}
    assert codes(look(samples.restricted(print_lowres=False, print_highres=False))) == {
        "PDF_ENCRYPTED_RESTRICTED": "error"
    }


def test_a_repaired_file_is_not_a_good_file(look: Callable) -> None:
    content = card().replace(b"startxref\n", b"startxref\n9")
    facts = look(content)
    assert facts["state"] == "read"
    assert codes(facts) == {"PDF_DAMAGED_RECOVERED": "error"}
    assert codes(facts, replace(CARD, repaired="warning")) == {"PDF_DAMAGED_RECOVERED": "warning"}


def test_a_truncated_file_is_corrupt_and_nothing_else(look: Callable) -> None:
    assert codes(look(card()[:25_000])) == {"FILE_CORRUPT": "error"}


def test_content_that_does_not_decode_is_corrupt(look: Callable) -> None:
    def change(pdf: Pdf) -> None:
        pdf.pages[0].obj.Contents = pikepdf.Stream(pdf, b"this is no zlib", Filter=Name.FlateDecode)

    assert codes(look(card(change=change))) == {"FILE_CORRUPT": "error"}


def test_a_file_is_weighed_and_its_name_compared(look: Callable) -> None:
    facts = look(card())
    assert codes(facts, replace(CARD, max_bytes_pdf=1000)) == {"FILE_TOO_LARGE": "error"}
    assert codes(facts, replace(CARD, formats=("jpeg", "png"))) == {"FILE_TYPE_UNSUPPORTED": "error"}
    assert codes(facts, name="card.jpg") == {"FILE_TYPE_MISMATCH": "warning"}
    assert codes(facts, name="card.PDF") == {}
    assert facts["pages"][0]["trim"][0] == pytest.approx(BLEED * MM, abs=0.001)
