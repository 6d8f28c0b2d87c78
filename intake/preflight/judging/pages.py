"""Pages: how many, how large, with how much bleed."""

from collections.abc import Iterator

from intake.preflight.facts import Box, Facts, Page, Preview
from intake.preflight.geometry import meet
from intake.preflight.judging.finding import MM, Finding, plain, size_in_words
from intake.preflight.profile import Profile

LOOSE = 1.0
"""mm that a MediaBox without TrimBox may differ from the size with bleed."""
PLAY = 0.2
"""mm that the bleed may be short of what is asked for."""
SAME = 0.5
"""pt: boxes that differ by less are the same."""
SIDES = ("left", "bottom", "right", "top")
PAINTED, BARE = 0.5, 0.02  # shares of a strip along the trim


def pages(facts: Facts, profile: Profile) -> Iterator[Finding]:
    yield from page_count(facts, profile)
    shown = {preview["page"]: preview for preview in facts["previews"]}
    sizes = set()
    for number, page in enumerate(facts["pages"], 1):
        trim, guessed = trim_of(page, profile)
        if guessed:
            yield Finding(code="PAGE_TRIMBOX_MISSING", page=number)
        yield from _boxes(page, number)
        if profile.trim_width:
            yield from _size(page, number, trim, profile)
        if not profile.trim_width or _fits(trim, page["rotate"], profile, profile.size_error):
            yield from _bleed(page, number, trim, profile)
        yield from _paint(page, number, trim, shown.get(number), profile)
        sizes.add(tuple(round(side) for side in sides_of(trim, page["rotate"])))
    if len(sizes) > 1:
        yield Finding(code="PAGE_SIZE_INCONSISTENT", actual=[list(size) for size in sorted(sizes)[:10]], unit="mm")


def page_count(facts: Facts, profile: Profile) -> Iterator[Finding]:
    count, least, most, step = facts["page_count"], profile.pages_min, profile.pages_max, profile.pages_multiple
    if least <= count <= most and count % step == 0:
        return
    wanted = str(least) if least == most else f"{least} to {most}"
    wanted += f", in multiples of {step}" if step > 1 else ""
    yield Finding(code="PAGE_COUNT_MISMATCH", words={"count": count, "wanted": wanted}, actual=count,
                  limit={"min": least, "max": most, "multiple": step}, unit="pages")  # fmt: skip


def trim_of(page: Page, profile: Profile) -> tuple[Box, bool]:
    """The trimmed page (pt), and whether it had to be guessed: no TrimBox, or one that is the whole sheet with its bleed."""
    trim, media, bleed = page.get("trim") or page.get("art"), page["media"], profile.bleed * MM
    inset = [media[0] + bleed, media[1] + bleed, media[2] - bleed, media[3] - bleed]
    with_bleed = bool(bleed and profile.trim_width) and _fits(inset, page["rotate"], profile, LOOSE)
    if trim is None:
        return (inset if with_bleed else media), True
    is_sheet = max(abs(one - other) for one, other in zip(trim, media, strict=True)) < SAME
    return (inset, True) if is_sheet and with_bleed else (trim, False)


def sides_of(box: Box, rotate: int) -> tuple[float, float]:
    """Width and height in mm, as the page is looked at."""
    width, height = (box[2] - box[0]) / MM, (box[3] - box[1]) / MM
    return (height, width) if rotate % 180 else (width, height)


def _off(sides: tuple[float, float], width: float, height: float) -> float:
    """mm that the size differs, the worse side."""
    return max(abs(sides[0] - width), abs(sides[1] - height))


def _fits(box: Box, rotate: int, profile: Profile, play: float) -> bool:
    """Upright or lying."""
    sides = sides_of(box, rotate)
    width, height = profile.trim_width, profile.trim_height
    return min(_off(sides, width, height), _off(sides, height, width)) <= play


def _size(page: Page, number: int, trim: Box, profile: Profile) -> Iterator[Finding]:
    sides, wanted = sides_of(trim, page["rotate"]), [profile.trim_width, profile.trim_height]
    words = {"size": size_in_words(*sides), "wanted": size_in_words(*wanted)}
    off, lying = _off(sides, *wanted), _off(sides, wanted[1], wanted[0])
    if off > profile.size_error >= lying:
        yield Finding(code="PAGE_ORIENTATION_MISMATCH", page=number, words=words, actual=list(sides), limit=wanted,
                      unit="mm", box=trim)  # fmt: skip
        off = lying
    if off > profile.size_warning:
        yield Finding(code="PAGE_SIZE_MISMATCH", page=number, severity=None if off > profile.size_error else "warning",
                      words=words, actual=list(sides), limit=wanted, unit="mm", box=trim)  # fmt: skip


def bleed_of(page: Page, trim: Box) -> list[float]:
    """mm of the page's bleed beyond the trim: left, bottom, right, top."""
    media, bleed = page["media"], page.get("bleed", page["media"])
    low = [trim[side] - max(bleed[side], media[side]) for side in (0, 1)]
    high = [min(bleed[side], media[side]) - trim[side] for side in (2, 3)]
    return [max(0.0, side / MM) for side in low + high]


def _bleed(page: Page, number: int, trim: Box, profile: Profile) -> Iterator[Finding]:
    sides, wanted = dict(zip(SIDES, bleed_of(page, trim), strict=True)), profile.bleed
    least = min(sides.values())
    if not wanted or least >= wanted - PLAY:
        return
    missing = max(sides.values()) < PLAY
    short = ", ".join(f"{side} {plain(size)} mm" for side, size in sides.items() if size < wanted - PLAY)
    failed = missing or least < min(profile.bleed_error, wanted - PLAY)
    yield Finding(code="PAGE_BLEED_MISSING" if missing else "PAGE_BLEED_SHORT", page=number,
                  severity=None if failed else "warning", words={"wanted": plain(wanted), "sides": short},
                  actual=least, limit=wanted, unit="mm", box=page.get("bleed", page["media"]),
                  more={"sides": {side: round(size, 2) for side, size in sides.items()}})  # fmt: skip


def _boxes(page: Page, number: int) -> Iterator[Finding]:
    broken = set(page.get("boxes_broken", []))
    if "trim" in page and not _inside(page["trim"], page["media"]):
        broken.add("trim")
    if broken:
        yield Finding(code="PAGE_BOX_INVALID", page=number, words={"boxes": ", ".join(sorted(broken))},
                      more={"boxes": sorted(broken)})  # fmt: skip
    if page["user_unit"] != 1:
        yield Finding(
            code="PAGE_USERUNIT", page=number, words={"unit": plain(page["user_unit"])}, actual=page["user_unit"]
        )
    if page["rotate"]:
        yield Finding(
            code="PAGE_ROTATED", page=number, words={"degrees": page["rotate"]}, actual=page["rotate"], unit="degrees"
        )


def _inside(box: Box, outer: Box) -> bool:
    low = all(box[side] >= outer[side] - SAME for side in (0, 1))
    return low and all(box[side] <= outer[side] + SAME for side in (2, 3))


def _paint(page: Page, number: int, trim: Box, preview: Preview | None, profile: Profile) -> Iterator[Finding]:
    if not page["marks"] or (preview and preview["blank"]):
        yield Finding(code="PAGE_BLANK", page=number)
    for annotation in page.get("annotations", []):
        if meet(annotation["box"], trim):
            yield Finding(code="PDF_ANNOT_IN_TRIM", page=number, actual=annotation["kind"], box=annotation["box"])
    if preview is None or not profile.bleed or "paint_beyond" not in preview:
        return
    strips = zip(SIDES, preview["paint_beyond"], preview["paint_within"], strict=True)
    if bare := [side for side, beyond, within in strips if beyond < BARE and within > PAINTED]:
        yield Finding(code="PAGE_BLEED_EMPTY", page=number, words={"sides": ", ".join(bare), "wanted": plain(profile.bleed)},
                      box=trim, more={"sides": bare})  # fmt: skip
