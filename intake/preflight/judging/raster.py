"""A raster file as a page: its pixels against the product's size with bleed. Its own resolution tag lies and is ignored."""

from collections.abc import Iterator

from intake.preflight.facts import Facts, Raster
from intake.preflight.judging.finding import Finding, plain, size_in_words
from intake.preflight.judging.images import resolution
from intake.preflight.judging.pages import page_count
from intake.preflight.profile import Profile

INCH = 25.4  # mm


def raster(facts: Facts, profile: Profile) -> Iterator[Finding]:
    image = facts["raster"]
    miscounted = list(page_count(facts, profile))
    yield from miscounted
    if profile.trim_width and not miscounted:  # of too many images nobody knows which one is meant
        yield from _against_product(image, profile)
    for preview in facts["previews"]:
        if preview["blank"]:
            yield Finding(code="PAGE_BLANK", page=preview["page"])
    yield from _kinds(image, profile)


def _against_product(image: Raster, profile: Profile) -> Iterator[Finding]:
    width, height = profile.trim_width + 2 * profile.bleed, profile.trim_height + 2 * profile.bleed
    pixels, wanted = f"{image['width']} × {image['height']}", size_in_words(width, height)
    off, lying = _aspect_off(image, width, height), _aspect_off(image, height, width)
    if off > profile.aspect_error >= lying:
        yield Finding(code="PAGE_ORIENTATION_MISMATCH", words={"size": f"{pixels} pixels", "wanted": wanted},
                      actual=[image["width"], image["height"]], limit=[width, height])  # fmt: skip
        off, width, height = lying, height, width
    if off > profile.aspect_error:
        yield Finding(code="IMG_ASPECT_MISMATCH", words={"pixels": pixels, "off": plain(round(off, 1)), "wanted": wanted},
                      actual=off, limit=profile.aspect_error, unit="percent")  # fmt: skip
    ppi = min(image["width"] / width, image["height"] / height) * INCH
    bitmap = image["bits"] == 1 and not image["indexed"]
    yield from resolution(ppi, (image["width"], image["height"]), profile, bitmap=bitmap)


def _aspect_off(image: Raster, width: float, height: float) -> float:
    """Percent by which the side ratio differs from that of width and height."""
    ratio = image["width"] / image["height"] * height / width
    return 100 * (max(ratio, 1 / ratio) - 1)


def _kinds(image: Raster, profile: Profile) -> Iterator[Finding]:
    if image["colour"].endswith("rgb") and profile.colour == "cmyk":
        yield Finding(
            code="COLOR_RGB_USED", severity="error", words={"what": "the image"}, actual=image["colour"], limit="cmyk"
        )
    for applies, code in (
        (not image["profile"] and image["colour"] not in ("gray", "lab"), "IMG_NO_PROFILE"),
        (image["bits"] == 16, "IMG_16BIT"),
        (image["alpha"], "IMG_ALPHA"),
        (image["indexed"], "IMG_INDEXED"),
        (image["colour"] == "lab", "IMG_LAB"),
    ):
        if applies:
            yield Finding(code=code)
