"""Fonts, small text and thin lines."""

from collections.abc import Iterator

from gelatoconnect.lib.problems import Severity
from intake.preflight.facts import Facts, Page
from intake.preflight.judging.finding import Finding, plain
from intake.preflight.profile import Profile

WHITE_OR_MIXED = "Text in white or in several inks"


def fonts(facts: Facts, profile: Profile) -> Iterator[Finding]:
    for font in facts["fonts"]:
        for applies, code in (
            (not font["embedded"] and font["shown"], "FONT_NOT_EMBEDDED"),
            (not font["embedded"] and font["invisible"] and not font["shown"], "FONT_NOT_EMBEDDED_INVISIBLE"),
            (not font["embedded"] and not font["invisible"] and not font["shown"], "FONT_NOT_EMBEDDED_UNUSED"),
            (font["broken"], "FONT_CORRUPT"),
            (font["type"] == "Type3" and font["shown"], "FONT_TYPE3"),
            (font["name"] == "Courier" and font["shown"], "FONT_COURIER"),
        ):
            if applies:
                yield Finding(code=code, page=font["page"], words={"font": font["name"]},
                              more={"font": font["name"], "type": font["type"]})  # fmt: skip


def small_things(facts: Facts, profile: Profile) -> Iterator[Finding]:
    for number, page in enumerate(facts["pages"], 1):
        yield from _text(page, number, profile)
        line, limit = page.get("line"), profile.line_warning
        if line and line["size"] < limit:
            severity: Severity | None = None if line["size"] < profile.line_error else "warning"
            yield Finding(code="LINE_TOO_THIN", page=number, severity=severity,
                          words={"size": plain(line["size"]), "limit": plain(limit)}, actual=line["size"], limit=limit,
                          unit="pt", box=line["box"])  # fmt: skip


def _text(page: Page, number: int, profile: Profile) -> Iterator[Finding]:
    """The smallest text, or else the smallest that needs to be larger because of its colour."""
    for kind, least, limit in (
        ("Text", page.get("text"), profile.text_min),
        (WHITE_OR_MIXED, page.get("fine_text"), profile.fine_text_min),
    ):
        if least and least["size"] < limit:
            yield Finding(code="FONT_TEXT_TOO_SMALL", page=number,
                          words={"kind": kind, "size": plain(least["size"]), "limit": plain(limit)},
                          actual=least["size"], limit=limit, unit="pt", box=least["box"],
                          more={"font": least["font"]})  # fmt: skip
            return
