"""Colour: RGB, spot inks, registration, ink sums, overprint and transparency."""

from collections.abc import Iterator

from intake.preflight.facts import Facts, Image, Page
from intake.preflight.judging.finding import Finding
from intake.preflight.profile import Profile

UNTAGGED = ("rgb", "cal-rgb")


def colours(facts: Facts, profile: Profile) -> Iterator[Finding]:
    images: dict[int, list[Image]] = {}
    for image in facts["images"]:
        if not image["hidden"] and image["kind"] == "image":
            images.setdefault(image["page"], []).append(image)
    for number, page in enumerate(facts["pages"], 1):
        if profile.colour != "any":
            yield from _rgb(page, number, images.get(number, []), profile)
        yield from _inks(page, number, profile)
        yield from _sums(page, number, profile)
        yield from _overprint(page, number, profile)


def _rgb(page: Page, number: int, images: list[Image], profile: Profile) -> Iterator[Finding]:
    """RGB is taken only in images that carry their profile; where the product is CMYK, not at all (GWG R0027, R0028)."""
    strict = profile.colour == "cmyk"
    refused = (*UNTAGGED, "icc-rgb") if strict else UNTAGGED
    drawn = [box for label, box in page["vector_colours"].items() if label.endswith("rgb")]
    placed = [image["box"] for image in images if image["colour"] in refused]
    what = " and ".join(name for name, boxes in (("text or drawings", drawn), ("images", placed)) if boxes)
    if what:
        yield Finding(code="COLOR_RGB_USED", page=number, severity="error" if strict else None, words={"what": what},
                      actual="rgb", limit=profile.colour, box=(drawn + placed)[0])  # fmt: skip


def _inks(page: Page, number: int, profile: Profile) -> Iterator[Finding]:
    planned = {name.casefold() for name in profile.spots}
    spots = [name for name in page["spots"] if name.casefold() not in planned]
    if spots and not profile.spots_allowed:
        yield Finding(code="COLOR_SPOT_UNEXPECTED", page=number, words={"spots": ", ".join(spots[:5])}, actual=spots,
                      limit=list(profile.spots))  # fmt: skip
    if page["registration"]:
        yield Finding(code="COLOR_REGISTRATION_USED", page=number)


def _sums(page: Page, number: int, profile: Profile) -> Iterator[Finding]:
    for code, ink, limit in (
        ("COLOR_TAC_HIGH", page.get("ink"), profile.ink_limit),
        ("COLOR_RICH_BLACK_TEXT", page.get("rich_black_text"), profile.rich_black_limit),
    ):
        if ink and 0 < limit < ink["percent"]:
            yield Finding(code=code, page=number, words={"percent": f"{ink['percent']:.0f}", "limit": f"{limit:.0f}"},
                          actual=ink["percent"], limit=limit, unit="percent", box=ink["box"])  # fmt: skip


def _overprint(page: Page, number: int, profile: Profile) -> Iterator[Finding]:
    if "white_overprint_text" in page:
        yield Finding(
            code="COLOR_WHITE_OVERPRINT", page=number, words={"what": "text"}, box=page["white_overprint_text"]
        )
    if "white_overprint_path" in page:
        yield Finding(code="COLOR_WHITE_OVERPRINT", page=number, severity="warning", words={"what": "objects"},
                      box=page["white_overprint_path"])  # fmt: skip
    if page["transparency"]:
        early = profile.pdfx in ("PDF/X-1a", "PDF/X-3")
        yield Finding(code="COLOR_TRANSPARENCY", page=number, severity="error" if early else None)
    if page["overprint"]:
        yield Finding(code="COLOR_OVERPRINT", page=number)
