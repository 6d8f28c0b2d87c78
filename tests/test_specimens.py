"""Specimens are what they say: read again by other libraries than those that made them."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pikepdf
import pypdfium2
import pytest
from PIL import Image, ImageCms, ImageStat

from gelatoconnect import specimens


@contextmanager
def first_page(**made: Any) -> Iterator[Any]:
    with pikepdf.open(BytesIO(specimens.pdf(**made))) as document:
        yield document.pages[0]


def in_mm(box: Any) -> list[float]:
    return [round(float(edge) / 72 * 25.4, 1) for edge in box]


def fonts_of(page: Any) -> dict[str, bool]:
    """Font name → whether it is embedded."""
    fonts = list(page.Resources.Font.values())
    return {str(font.BaseFont)[1:]: "/FontDescriptor" in font and "/FontFile2" in font.FontDescriptor for font in fonts}


def images_of(page: Any) -> list[Any]:
    return [each for each in page.Resources.XObject.values() if each.Subtype == "/Image"]


def test_a_good_file_has_its_boxes_where_they_belong() -> None:
    with first_page(trim=(105, 148), bleed=3) as page:
        assert in_mm(page.MediaBox) == in_mm(page.BleedBox) == [0, 0, 111, 154]
        assert in_mm(page.TrimBox) == [3, 3, 108, 151]


def test_without_boxes_only_the_size_of_the_sheet_is_said() -> None:
    with first_page(boxes=False) as page:
        assert [key for key in page.obj if key.endswith("Box")] == ["/MediaBox"]
        assert in_mm(page.MediaBox) == [0, 0, 111, 154]


def test_without_bleed_the_sheet_is_the_trimmed_page() -> None:
    with first_page(bleed=0) as page:
        assert in_mm(page.MediaBox) == in_mm(page.TrimBox) == [0, 0, 105, 148]


def test_the_design_is_painted_to_every_edge_of_the_bleed() -> None:
    page = pypdfium2.PdfDocument(specimens.pdf(seed=6))[0].render(scale=1).to_pil().convert("RGB")
    width, height = page.size
    edges = [(0, 0, width, 3), (0, height - 3, width, height), (0, 0, 3, height), (width - 3, 0, width, height)]
    lightest = [page.crop(edge).convert("L").getextrema()[1] for edge in edges]
    assert [light < 250 for light in lightest] == [True] * 4


def test_its_fonts_are_embedded_unless_asked_otherwise() -> None:
    with first_page() as page:
        fonts = {name.split("+")[1]: embedded for name, embedded in fonts_of(page).items()}
        assert fonts == {"NotoSans-Bold": True, "NotoSans-Regular": True}
    with first_page(embed_fonts=False) as page:
        assert fonts_of(page) == {"Helvetica-Bold": False, "Helvetica": False}


@pytest.mark.parametrize("ppi", [72, 150, 300])
def test_its_picture_has_the_resolution_that_was_asked_for(ppi: int) -> None:
    with first_page(ppi=ppi) as page:
        inches = float(page.MediaBox[2]) / 72
        seen = [(round(image.Width / inches), str(image.ColorSpace)) for image in images_of(page)]
    assert seen == [(ppi, "/DeviceCMYK")]


def test_its_text_can_be_read() -> None:
    page = pypdfium2.PdfDocument(specimens.pdf(text="Łódź, Ærø"))[0]
    assert page.get_textpage().get_text_range().split("\r\n") == ["Łódź, Ærø", "105 × 148 mm"]


def test_it_has_so_many_pages_and_each_is_another() -> None:
    document = pypdfium2.PdfDocument(specimens.pdf(pages=4, ppi=50))
    shown = [page.render(scale=0.5).to_pil().tobytes() for page in document]
    assert (len(shown), len(set(shown))) == (4, 4)


@pytest.mark.parametrize("made", [{}, {"encrypt": True}, {"megabytes": 1}, {"truncated": True}, {"embed_fonts": False}])
def test_the_same_arguments_give_the_same_bytes(made: dict[str, Any]) -> None:
    assert specimens.pdf(ppi=72, **made) == specimens.pdf(ppi=72, **made)


def test_each_seed_has_a_picture_of_its_own() -> None:
    pictures = {specimens.picture(80, 60, seed=seed).tobytes() for seed in range(21)}
    assert len(pictures) == 21


@pytest.mark.parametrize("seed", range(7))
def test_no_picture_asks_for_more_than_300_percent_of_ink(seed: int) -> None:
    inks = specimens.picture(90, 90, seed=seed).get_flattened_data()
    assert max(map(sum, inks)) <= 3.0 * 255
    assert ImageStat.Stat(specimens.picture(90, 90, seed=seed).convert("L")).stddev[0] > 10


def test_an_encrypted_file_opens_with_its_password_only() -> None:
    content = specimens.pdf(ppi=72, encrypt=True)
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(BytesIO(content))
    assert len(pikepdf.open(BytesIO(content), password=specimens.PASSWORD).pages) == 1


def test_a_truncated_file_cannot_be_read_whole() -> None:
    whole, part = specimens.pdf(ppi=72), specimens.pdf(ppi=72, truncated=True)
    assert (part, len(part)) == (whole[: len(part)], len(whole) * 2 // 3)
    with pytest.raises(pikepdf.PdfError):
        pikepdf.open(BytesIO(part))


@pytest.mark.parametrize("megabytes", [0.5, 5])
def test_it_can_be_made_large(megabytes: float) -> None:
    size = len(specimens.pdf(ppi=72, megabytes=megabytes)) / 1e6
    assert size == pytest.approx(megabytes, abs=0.1)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_a_picture_says_its_size_its_resolution_and_its_profile(format: str) -> None:
    made = specimens.image(format, size_mm=(76, 76), ppi=254, seed=3)
    image = Image.open(BytesIO(made))
    assert (image.format, image.size, image.mode) == (format.upper(), (760, 760), "RGB")
    assert [round(float(each)) for each in image.info["dpi"]] == [254, 254]
    profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    assert ImageCms.getProfileDescription(profile).strip() == "sRGB built-in"
    assert made == specimens.image(format, size_mm=(76, 76), ppi=254, seed=3)


@pytest.mark.parametrize(
    ("format", "mode"), [("jpeg", "CMYK"), ("tiff", "CMYK"), ("png", "L"), ("png", "RGBA"), ("tiff", "1")]
)
def test_a_picture_comes_in_the_mode_that_was_asked_for(format: str, mode: str) -> None:
    assert Image.open(BytesIO(specimens.image(format, ppi=72, mode=mode))).mode == mode
