"""Labels are read again as printers, scanners and people would: as PDF, as bars and as text."""

from dataclasses import replace
from datetime import date
from io import BytesIO
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from pypdf import PdfReader

from shipping import labels
from shipping.carriers.base import Content, Failed, Parcel, Party

CODE = "GC123456789012345674"
PRODUCER = Party(
    name="", company="Print Works", line1="Karl Johans gate 1", post_code="0154", city="Oslo", country="NO"
)
POLE = Party(
    name="Łukasz Żak", line1="ul. Długa 5", post_code="31-147", city="Kraków", country="PL", phone="+48 600 100 200"
)
PARCEL = Parcel("ACME-1042", PRODUCER, POLE, weight_g=1340, packed_on=date(2026, 3, 2), service="express", number=1,
                count=2, contents=(Content("Greeting card A6", 25),))  # fmt: skip


def drawn(parcel: Parcel = PARCEL, **changes: Any) -> bytes:
    return labels.draw(replace(parcel, **changes), carrier="Parcel shop", code=CODE)


def to(**changes: Any) -> Parcel:
    return replace(PARCEL, recipient=replace(POLE, **changes))


def text_of(label: bytes) -> str:
    return " ".join(PdfReader(BytesIO(label)).pages[0].extract_text().split())


def name_on(label: bytes) -> str:
    """What stands between "To" and the street."""
    return text_of(label).partition(" TO ")[2].partition(" ul. Długa")[0]


def picture_of(label: bytes, *, scale: float = 4) -> Any:
    return pypdfium2.PdfDocument(label)[0].render(scale=scale).to_pil()


def test_a_label_is_one_page_of_100_by_150_mm() -> None:
    reader = PdfReader(BytesIO(drawn()))
    assert len(reader.pages) == 1
    box = reader.pages[0].mediabox
    assert (float(box.width) / 72 * 25.4, float(box.height) / 72 * 25.4) == pytest.approx((100, 150), abs=0.1)


def test_it_says_who_what_and_where_to() -> None:
    assert text_of(drawn()) == (
        "Parcel shop EXPRESS FROM Print Works Karl Johans gate 1 0154 OSLO NORWAY PARCEL 1 / 2 "
        "TO Łukasz Żak ul. Długa 5 31-147 KRAKÓW POLAND Tel. +48 600 100 200 "
        "REFERENCE ACME-1042 WEIGHT 1.34 kg PACKED 2026-03-02 25 × Greeting card A6 GC 1234 5678 9012 3456 74"
    )


@pytest.mark.parametrize("scale", [203 / 72, 300 / 72, 600 / 72])  # dots in 1/72 inch: what label printers have
def test_its_barcode_says_the_tracking_code(scale: float) -> None:
    found = zxingcpp.read_barcodes(picture_of(drawn(), scale=scale).convert("L"))
    assert [(code.format, code.text) for code in found] == [(zxingcpp.BarcodeFormat.Code128, CODE)]


def test_every_font_is_embedded_and_only_what_is_used_of_it() -> None:
    page = PdfReader(BytesIO(drawn(to(name="王小明")))).pages[0]
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    names = sorted(font["/BaseFont"].split("+")[1] for font in fonts if "/FontFile2" in font["/FontDescriptor"])
    assert (names, len(fonts)) == (["DroidSansFallback", "NotoSans-Bold", "NotoSans-Regular"], 3)
    assert len(drawn(to(name="王小明"))) < 100_000


def test_the_same_parcel_gives_the_same_bytes() -> None:
    assert drawn() == drawn()
    assert drawn() != drawn(weight_g=1350)


@pytest.mark.parametrize(
    "name",
    ["Søren Ærø-Weiß", "Łucja Źdźbło", "İpek Çağlayan", "Nguyễn Thị Ánh", "Ελένη Παπαδοπούλου", "Жанна Ёлкина",
     "王小明", "山田太郎", "ヤマダ タロウ", "김민수"],
)  # fmt: skip
def test_names_stand_as_they_are_written(name: str) -> None:
    assert name_on(drawn(to(name=name))) == name


def test_an_accent_sent_as_a_sign_of_its_own_joins_its_letter() -> None:
    assert name_on(drawn(to(name="Zoe\u0308"))) == "Zoë"


def test_a_smiley_is_left_out() -> None:
    assert name_on(drawn(to(name="Anna 🎉 O’Brien"))) == "Anna O’Brien"


@pytest.mark.parametrize("name", ["محمد", "שלום", "สมชาย", "Անի"])
def test_an_address_in_letters_that_no_font_has_is_refused(name: str) -> None:
    with pytest.raises(Failed, match="write the address in Latin letters") as refusal:
        drawn(to(name=name))
    assert refusal.value.permanent


def test_such_letters_elsewhere_become_question_marks() -> None:
    assert text_of(drawn(reference="بب-7")) == text_of(drawn(reference="??-7"))


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ({"country": "DE", "post_code": "53111", "city": "Bonn"}, ["ul. Długa 5", "53111 BONN", "GERMANY"]),
        ({"country": "US", "post_code": "94043", "city": "Mountain View", "state": "CA"},
         ["ul. Długa 5", "MOUNTAIN VIEW, CA 94043", "UNITED STATES"]),
        ({"country": "GB", "post_code": "SW1A 1AA", "city": "London"},
         ["ul. Długa 5", "LONDON", "SW1A 1AA", "UNITED KINGDOM"]),
        ({"country": "AE", "post_code": "", "city": "Dubai", "state": "Dubai"},
         ["ul. Długa 5", "Dubai", "UNITED ARAB EMIRATES"]),
        ({"country": "AE", "post_code": "", "city": "Jebel Ali", "state": "Dubai"},
         ["ul. Długa 5", "Jebel Ali", "Dubai", "UNITED ARAB EMIRATES"]),
        ({"country": "JP", "post_code": "100-0005", "city": "", "state": "東京都", "line1": "千代田区丸の内1丁目"},
         ["〒100-0005", "東京都", "千代田区丸の内1丁目", "JAPAN"]),
        ({"country": "TR", "post_code": "06690", "city": "Ankara"}, ["ul. Długa 5", "06690 ANKARA", "TURKEY"]),
        ({"country": "QQ", "post_code": "1", "city": "Nowhere"}, ["ul. Długa 5", "1 Nowhere", "QQ"]),
    ],
)  # fmt: skip
def test_addresses_are_written_in_the_order_of_their_country(address: dict[str, str], lines: list[str]) -> None:
    assert [text for text, _ in labels.address_lines(replace(POLE, **address))][1:] == lines


def test_the_longest_texts_stay_inside_the_margins() -> None:
    parcel = Parcel(
        "R" * 120, replace(PRODUCER, line1="Lange Gasse " * 16),
        Party("Freifrau " * 22, company="Donaudampfschifffahrtsgesellschaft" * 3, line1="W" * 200,
              line2="bitte zweimal klingeln " * 9, post_code="53111", city="Llanfairpwllgwyngyll" * 5, country="DE"),
        weight_g=134_000, packed_on=date(2026, 3, 2), service="worldwide priority signature " * 3, number=120, count=120,
        contents=tuple(Content("Photo book A5 with a long name", number) for number in range(99)),
    )  # fmt: skip
    picture = picture_of(labels.draw(parcel, carrier="Carrier " * 5, code=CODE)).convert("L")
    dark = picture.point(lambda shade: 255 if shade < 128 else 0).getbbox()
    left, top, right, bottom = (edge / 4 / 72 * 25.4 for edge in dark)
    assert (left >= 5.5, top >= 5.5, right <= 94.5, bottom <= 145.5) == (True, True, True, True)
    assert [code.text for code in zxingcpp.read_barcodes(picture)] == [CODE]


def test_a_code_too_long_for_its_barcode_is_refused() -> None:
    with pytest.raises(Failed, match="too long for a barcode"):
        labels.draw(PARCEL, carrier="Parcel shop", code="LONG" * 12)
