"""The file as a whole: can it be read, is it of a kind and size that is taken, could we tell at all."""

from collections.abc import Iterator
from pathlib import PurePath

from intake.preflight.facts import Facts
from intake.preflight.formats import ENDINGS
from intake.preflight.judging.finding import Finding
from intake.preflight.profile import MEGABYTE, Profile

SPOKEN = {"pdf": "PDF", "jpeg": "JPEG", "png": "PNG", "tiff": "TIFF", "html": "a web page (HTML)", "svg": "SVG",
          "xml": "XML", "webp": "WebP", "gif": "GIF", "bmp": "BMP", "psd": "a Photoshop document", "heic": "HEIC",
          "postscript": "PostScript or EPS", "zip": "a ZIP archive or Office document"}  # fmt: skip


def system(facts: Facts) -> Iterator[Finding]:
    for one in facts["system"]:
        yield Finding(code=one["code"], words={"what": one["what"]}, more={"what": one["what"]})


def file_itself(facts: Facts, profile: Profile, name: str) -> Iterator[Finding]:
    if facts["state"] == "empty":
        yield Finding(code="FILE_EMPTY", actual=0, unit="bytes")
        return
    yield from _kind(facts, profile, name)
    yield from _weight(facts, profile)
    if facts["state"] == "corrupt":
        yield Finding(code="FILE_CORRUPT", more={"reason": facts["trouble"]})
    elif facts["state"] == "locked":
        yield Finding(code="PDF_ENCRYPTED")


def _kind(facts: Facts, profile: Profile, name: str) -> Iterator[Finding]:
    kind = facts["format"]
    spoken = SPOKEN.get(kind, "of a kind that we do not know")
    if kind not in profile.formats:
        accepted = ", ".join(SPOKEN[one] for one in profile.formats)
        yield Finding(code="FILE_TYPE_UNSUPPORTED", words={"kind": spoken, "accepted": accepted}, actual=kind,
                      limit=list(profile.formats))  # fmt: skip
    ending = PurePath(name).suffix.lower().lstrip(".")
    if ending and kind in ENDINGS and ending not in ENDINGS[kind]:
        yield Finding(code="FILE_TYPE_MISMATCH", words={"kind": spoken, "ending": ending}, actual=kind, limit=ending)


def _weight(facts: Facts, profile: Profile) -> Iterator[Finding]:
    most = profile.max_bytes_pdf if facts["format"] == "pdf" else profile.max_bytes_raster
    if facts["bytes"] > most:
        words = {"megabytes": f"{facts['bytes'] / MEGABYTE:.0f}", "most": f"{most / MEGABYTE:.0f}"}
        yield Finding(code="FILE_TOO_LARGE", words=words, actual=facts["bytes"], limit=most, unit="bytes")
