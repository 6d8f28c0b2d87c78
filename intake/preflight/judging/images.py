"""Images placed in a PDF: effective resolution and kind."""

from collections.abc import Iterator

from intake.preflight.facts import Box, Facts, Image
from intake.preflight.judging.finding import Finding, plain
from intake.preflight.profile import Profile

TINY = 16
"""Pixels: an image that is no wider and no higher is exempt (GWG 2022, R0031)."""


def images(facts: Facts, profile: Profile) -> Iterator[Finding]:
    pages: dict[int, list[Image]] = {}
    for image in facts["images"]:
        if not image["hidden"] and image["kind"] != "soft_mask":
            pages.setdefault(image["page"], []).append(image)
    for number, placed in pages.items():
        for bitmap in (True, False):
            counted = [
                one for one in placed if (one["bits"] == 1) is bitmap and max(one["width"], one["height"]) > TINY
            ]
            if counted:
                yield from _worst(counted, number, profile, bitmap=bitmap)
        yield from _kinds(placed, number)


def ppi_of(image: Image) -> float:
    """The smaller axis counts (GWG 2022, D0018)."""
    return min(image["ppi"])


def _worst(placed: list[Image], number: int, profile: Profile, *, bitmap: bool) -> Iterator[Finding]:
    """Of the page's images the coarsest, and the one that is finer than need be."""
    for image in {id(one): one for one in (min(placed, key=ppi_of), max(placed, key=ppi_of))}.values():
        pixels = image["width"], image["height"]
        yield from resolution(ppi_of(image), pixels, profile, bitmap=bitmap, page=number, box=image["box"])


def resolution(
    ppi: float, pixels: tuple[int, int], profile: Profile, *, bitmap: bool, page: int = 0, box: Box | None = None
) -> Iterator[Finding]:
    """What there is to say of an image of that many pixels, printed at that many pixels per inch."""
    error, warning = (
        (profile.ppi_1bit_error, profile.ppi_1bit_warning) if bitmap else (profile.ppi_error, profile.ppi_warning)
    )
    error, warning = error / profile.viewing_distance, warning / profile.viewing_distance
    kind = "IMG_1BIT_PPI" if bitmap else "IMG_PPI"
    if ppi <= error:
        code, limit = f"{kind}_LOW", error
    elif ppi <= warning:
        code, limit = f"{kind}_MARGINAL", warning
    elif ppi > profile.ppi_excess > 0 and not bitmap:
        code, limit = "IMG_PPI_EXCESS", profile.ppi_excess
    else:
        return
    words = {"ppi": plain(round(ppi, 1)), "pixels": f"{pixels[0]} × {pixels[1]}", "limit": plain(round(limit, 1))}
    yield Finding(code=code, page=page, words=words, actual=ppi, limit=limit, unit="ppi", box=box)


def _kinds(placed: list[Image], number: int) -> Iterator[Finding]:
    for code, found in (
        ("IMG_16BIT", [image for image in placed if image["bits"] == 16]),
        ("IMG_INDEXED", [image for image in placed if image["indexed"]]),
        ("IMG_LAB", [image for image in placed if image["colour"] == "lab"]),
    ):
        if found:
            yield Finding(code=code, page=number, actual=len(found), unit="images", box=found[0]["box"])
