"""Facts of the fonts that a PDF uses."""

import re
from typing import Any

import pikepdf

from intake.preflight.facts import Font
from intake.preflight.tokens import spelled

_SUBSET = re.compile(r"^[A-Z]{6}\+")
_PROGRAMS = ("/FontFile", "/FontFile2", "/FontFile3")
# First bytes of Type 1 (text and binary), TrueType, OpenType, collections and bare CFF.
_MAGIC = (b"%!", b"\x80\x01", b"\0\1\0\0", b"true", b"typ1", b"OTTO", b"ttcf", b"\1\0")


def describe_font(font: Any, *, page: int) -> Font:
    kind = spelled(font.get("/Subtype", "/unknown"))[1:]
    name = spelled(font.get("/BaseFont", font.get("/Name", "/unnamed")))[1:]
    program = font_program(font)
    return {
        "name": _SUBSET.sub("", name),
        "type": kind,
        "embedded": kind == "Type3" or program is not None,
        "subset": bool(_SUBSET.match(name)),
        "shown": False,
        "invisible": False,
        "page": page,
        "broken": False,
    }


def font_program(font: Any) -> Any:
    """The embedded font file (a stream), or None."""
    if str(font.get("/Subtype")) == "/Type0":
        descendants = font.get("/DescendantFonts")
        if not isinstance(descendants, pikepdf.Array) or not len(descendants):
            return None
        font = descendants[0]
    descriptor = font.get("/FontDescriptor") if isinstance(font, pikepdf.Dictionary) else None
    if not isinstance(descriptor, pikepdf.Dictionary):
        return None
    found = (descriptor.get(key) for key in _PROGRAMS)
    return next((program for program in found if isinstance(program, pikepdf.Stream)), None)


def is_broken(font: Any) -> bool:
    """Whether the embedded program does not decode or is none. Decodes it: ask only of fonts that are shown."""
    program = font_program(font)
    if program is None:
        return False
    try:
        return not program.read_bytes().startswith(_MAGIC)
    except pikepdf.PikepdfError:
        return True
