"""Raster files: every frame decoded, pixels against the product, what the header hides."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from intake.preflight import DIGITAL, SHEETFED
from tests.preflight import samples
from tests.preflight.samples import codes, raster

PHOTO = replace(DIGITAL, trim_width=100, trim_height=150, bleed=3)
GOOD = (1252, 1843)  # pixels: 106 by 156 mm at 300 ppi
LOW = (417, 614)  # at 100 ppi
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(("kind", "name", "mode"), [
    ("JPEG", "jpeg", "RGB"), ("JPEG", "jpeg", "CMYK"), ("PNG", "png", "RGB"), ("TIFF", "tiff", "CMYK"),
    ("JPEG", "jpeg", "L")])  # fmt: skip
def test_a_good_image_is_good(look: Callable, kind: str, name: str, mode: str) -> None:
    facts = look(raster(kind, GOOD, mode=mode))
    assert (facts["format"], facts["raster"]["width"], facts["raster"]["height"], facts["raster"]["bits"]) == (
        name,
        *GOOD,
        8,
    )
    assert facts["raster"]["colour"] == {"RGB": "rgb", "CMYK": "cmyk", "L": "gray"}[mode]
    assert codes(facts, PHOTO) == {}


def test_the_resolution_tag_is_not_believed(look: Callable) -> None:
    assert codes(look(raster("JPEG", LOW, dpi=(300, 300))), PHOTO) == {"IMG_PPI_LOW": "error"}
    assert codes(look(raster("JPEG", GOOD, dpi=(72, 72))), PHOTO) == {}


def test_proportions_and_lying_images_are_said(look: Callable) -> None:
    assert codes(look(raster("PNG", (1500, 1843))), PHOTO) == {"IMG_ASPECT_MISMATCH": "error"}
    assert codes(look(raster("PNG", GOOD[::-1])), PHOTO) == {"PAGE_ORIENTATION_MISMATCH": "warning"}


def test_a_camera_turned_image_is_measured_upright(look: Callable) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = look(raster("JPEG", GOOD[::-1], exif=exif))
    assert (facts["raster"]["width"], facts["raster"]["height"], facts["raster"]["turned"]) == (*GOOD, True)
    assert codes(facts, PHOTO) == {}


def test_depth_alpha_palette_and_profile_come_from_the_header(look: Callable) -> None:
    assert look(raster("PNG", (8, 8), mode="I;16"))["raster"]["bits"] == 16
    assert look(raster("TIFF", (8, 8), mode="1"))["raster"]["bits"] == 1
    assert look(raster("PNG", (8, 8), mode="RGBA"))["raster"]["alpha"] is True
    assert look(raster("PNG", (8, 8), mode="P"))["raster"]["indexed"] is True
    tagged = look(raster("JPEG", GOOD, icc_profile=SRGB))
    assert (tagged["raster"]["profile"], tagged["raster"]["colour"]) == ("sRGB built-in", "icc-rgb")
    assert codes(tagged, PHOTO, info=True) == {}
    assert codes(look(raster("JPEG", GOOD)), PHOTO, info=True) == {"IMG_NO_PROFILE": "info"}
    clear = look(raster("PNG", GOOD, mode="RGBA", icc_profile=SRGB))
    assert codes(clear, PHOTO, info=True) == {"IMG_ALPHA": "info"}


def test_an_rgb_image_fails_a_product_printed_from_cmyk(look: Callable) -> None:
    offset = replace(SHEETFED, trim_width=100, trim_height=150)
    assert codes(look(raster("JPEG", GOOD)), offset) == {"COLOR_RGB_USED": "error"}
    assert codes(look(raster("JPEG", GOOD, mode="CMYK")), offset) == {}


def test_more_images_than_pages_are_said_and_none_is_measured(look: Callable) -> None:
    facts = look(samples.many_frames(3))
    assert facts["page_count"] == 3
    assert codes(facts, PHOTO) == {"PAGE_COUNT_MISMATCH": "error"}


def test_the_cameras_second_image_is_not_printed(look: Callable) -> None:
    out = BytesIO()
    first, second = Image.new("RGB", GOOD), Image.new("RGB", (300, 200))
    first.save(out, "MPO", save_all=True, append_images=[second])
    facts = look(out.getvalue())
    assert (facts["format"], facts["raster"]["frames"], facts["raster"]["stored"]) == ("jpeg", 1, 2)
    assert codes(facts, PHOTO) == {}


@pytest.mark.parametrize(("kind", "how"), [("JPEG", {}), ("PNG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_good_header_over_missing_pixels_is_corrupt(look: Callable, kind: str, how: dict[str, str]) -> None:
    out = BytesIO()
    Image.effect_noise((400, 590), 90).save(out, kind, **how)
    assert codes(look(out.getvalue()), replace(PHOTO, ppi_error=50, ppi_warning=50)) == {}
    assert codes(look(out.getvalue()[: len(out.getvalue()) // 2]), PHOTO) == {"FILE_CORRUPT": "error"}


@pytest.mark.parametrize(("content", "found"), [
    (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "html"),
    (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
    (b"PK\x03\x04rest", "zip"), (b"RIFF\0\0\0\0WEBPVP8 ", "webp"), (b"GIF89a", "gif"), (b"8BPS\0\1", "psd"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "postscript"), (b"\0\0\0\x18ftypheic", "heic"), (b"no picture at all", "unknown"),
])  # fmt: skip
def test_other_formats_are_refused_by_their_content(look: Callable, content: bytes, found: str) -> None:
    facts = look(content)
    assert (facts["format"], facts["state"]) == (found, "unsupported")
    assert codes(facts, PHOTO, name="card.pdf") == {"FILE_TYPE_UNSUPPORTED": "error"}


def test_an_empty_file_is_only_empty(look: Callable) -> None:
    assert codes(look(b""), PHOTO) == {"FILE_EMPTY": "error"}
