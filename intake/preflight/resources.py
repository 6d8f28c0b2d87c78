"""What content streams name: fonts, images, forms, colour spaces … each read once for the whole document."""

from dataclasses import dataclass, field
from typing import Any

import pikepdf

from intake.preflight.colours import CMYK, GRAY, RGB, UNKNOWN, Space, named_space, space_of
from intake.preflight.facts import Font
from intake.preflight.fonts import describe_font
from intake.preflight.geometry import IDENTITY, Matrix
from intake.preflight.limits import PIXEL_BYTES, STREAM_BYTES, Broken, LimitHit
from intake.preflight.pixels import is_broken_image
from intake.preflight.tokens import name_of, number, tokens_of

Key = tuple[int, int]
TOKENS_KEPT = 200_000  # of one stream; longer ones are read anew when they are drawn again


@dataclass(slots=True)
class Picture:
    """An image as it is stored, before it is placed."""

    kind: str
    width: int
    height: int
    bits: int
    space: Space
    alpha: bool = False
    source: Any = None

    @property
    def is_plain_cmyk(self) -> bool:
        return self.space.label in ("cmyk", "icc-cmyk") and self.bits == 8 and not self.space.indexed


@dataclass
class Shelf:
    """Everything that was read once: the second use of a font, image or form costs a look-up."""

    fonts: dict[Key, tuple[Font, Any]] = field(default_factory=dict)
    direct_fonts: list[tuple[Font, Any]] = field(default_factory=list)
    pictures: dict[Key, Picture] = field(default_factory=dict)
    streams: dict[Key, list[bytes]] = field(default_factory=dict)
    resources: dict[Key, "Resources"] = field(default_factory=dict)
    barren: set[Key] = field(default_factory=set)  # forms that paint nothing
    hidden_layers: set[Key] = field(default_factory=set)
    pixels_left: int = PIXEL_BYTES

    def resources_of(self, described: Any) -> "Resources":
        if not isinstance(described, pikepdf.Dictionary):
            return Resources({}, self)
        if not described.is_indirect:
            return Resources(described, self)
        return self.resources.setdefault(described.objgen, Resources(described, self))

    def font(self, described: Any, *, page: int) -> Font:
        if not described.is_indirect:
            self.direct_fonts.append((describe_font(described, page=page), described))
            return self.direct_fonts[-1][0]
        if described.objgen not in self.fonts:
            self.fonts[described.objgen] = describe_font(described, page=page), described
        return self.fonts[described.objgen][0]

    def tokens(self, stream: Any) -> list[bytes]:
        if (known := self.streams.get(stream.objgen)) is not None:
            return known
        tokens = tokens_of(content_of(stream))
        if len(tokens) < TOKENS_KEPT:
            self.streams[stream.objgen] = tokens
        return tokens

    def try_pixels(self, picture: Picture) -> None:
        """Raises Broken for an image that does not decode; large amounts are believed untried."""
        self.pixels_left -= int(picture.source.get("/Length", 0))
        row = (picture.width * picture.bits * picture.space.components + 7) // 8
        if self.pixels_left > 0 and is_broken_image(picture.source, size=picture.height * row):
            raise Broken("an image does not decode")

    def is_hidden(self, described: Any) -> bool:
        """Whether an optional content group, or a membership of groups, is off at the start."""
        if not isinstance(described, pikepdf.Dictionary):
            return False
        if str(described.get("/Type")) != "/OCMD":
            return described.objgen in self.hidden_layers
        groups = described.get("/OCGs")
        members = list(groups) if isinstance(groups, pikepdf.Array) else [groups] if groups is not None else []
        off = [group.objgen in self.hidden_layers for group in members if isinstance(group, pikepdf.Dictionary)]
        if not off:
            return False
        policy = str(described.get("/P", "/AnyOn"))
        return {"/AllOn": any(off), "/AnyOff": not any(off), "/AllOff": not all(off)}.get(policy, all(off))


def content_of(stream: Any) -> bytes:
    """The decoded bytes of a content stream. Raises Broken or LimitHit."""
    try:
        content = stream.read_bytes()
    except pikepdf.PikepdfError as error:
        if "memory" in str(error) or "limit" in str(error):
            raise LimitHit("a content stream unpacks to too much") from None
        raise Broken("a content stream does not decode") from None
    if len(content) > STREAM_BYTES:
        raise LimitHit("a content stream unpacks to too much")
    return content


class Resources:
    """A resource dictionary; what a name means is looked up once."""

    def __init__(self, described: Any, shelf: Shelf) -> None:
        self.described, self.shelf = described, shelf
        self.known: dict[tuple[str, bytes], Any] = {}

    def find(self, kind: str, token: bytes) -> Any:
        """The object that a name token stands for, or None."""
        key = (kind, token)
        if key not in self.known:
            self.known[key] = self._category(kind).get(name_of(token))
        return self.known[key]

    def _category(self, kind: str) -> dict[str, Any]:
        key = ("category", kind.encode())
        if key not in self.known:
            found = self.described.get(kind)
            self.known[key] = dict(found.items()) if isinstance(found, pikepdf.Dictionary) else {}
        return self.known[key]

    def font(self, token: bytes, *, page: int) -> Font | None:
        key = ("font", token)
        if key not in self.known:
            found = self.find("/Font", token)
            is_font = isinstance(found, pikepdf.Dictionary)
            self.known[key] = self.shelf.font(found, page=page) if is_font else None
        return self.known[key]

    def all_fonts(self, *, page: int) -> None:
        """Meet every font that is named here, whether or not it is shown."""
        if "fonts met" not in self.known:
            self.known["fonts met"] = True  # type: ignore[index]
            for name in self._category("/Font"):
                self.font(name.encode("utf-8", "surrogateescape"), page=page)

    def space(self, token: bytes) -> Space:
        key = ("space", token)
        if key not in self.known:
            self.known[key] = named_space(name_of(token), self._category("/ColorSpace"))
        return self.known[key]

    def device(self, space: Space) -> Space:
        """A device space, or what the resources put in its place (/DefaultRGB …)."""
        if not self._has_defaults():
            return space
        return self.space({GRAY: b"/DeviceGray", RGB: b"/DeviceRGB", CMYK: b"/DeviceCMYK"}[space])

    def _has_defaults(self) -> bool:
        key = ("defaults", b"")
        if key not in self.known:
            named = self._category("/ColorSpace")
            self.known[key] = any(name in named for name in ("/DefaultGray", "/DefaultRGB", "/DefaultCMYK"))
        return self.known[key]

    def picture(self, stream: Any) -> Picture:
        if (known := self.shelf.pictures.get(stream.objgen)) is None:
            known = self.shelf.pictures[stream.objgen] = self._picture_of(stream)
            self.shelf.try_pixels(known)
        return known

    def _picture_of(self, stream: Any) -> Picture:
        width, height = int(stream.get("/Width", 0)), int(stream.get("/Height", 0))
        alpha = isinstance(stream.get("/SMask"), pikepdf.Stream)
        if stream.get("/ImageMask", False):
            return Picture("stencil", width, height, 1, GRAY, alpha, stream)
        space = space_of(stream.get("/ColorSpace"), self._category("/ColorSpace"))
        return Picture("image", width, height, int(stream.get("/BitsPerComponent", 0)), space, alpha, stream)


def inline_picture(operands: list[bytes], resources: Resources) -> Picture:
    """The image that the keys between BI and ID describe, long or short (ISO 32000-1, 8.9.7)."""
    keys = operands[operands.index(b"BI") + 1 :]
    said = {_SHORT.get(key, key): keys[at + 1] for at, key in enumerate(keys[:-1]) if key.startswith(b"/")}
    width, height = int(number(said.get(b"/W", b"0"))), int(number(said.get(b"/H", b"0")))
    if said.get(b"/IM") == b"true":
        return Picture("stencil", width, height, 1, GRAY)
    return Picture("image", width, height, int(number(said.get(b"/BPC", b"8"))), _inline_space(keys, resources))


def _inline_space(keys: list[bytes], resources: Resources) -> Space:
    at = next((place for place, key in enumerate(keys) if _SHORT.get(key, key) == b"/CS"), None)
    if at is None:
        return UNKNOWN
    if keys[at + 1] != b"[":
        return resources.space(keys[at + 1])
    base = resources.space(keys[at + 3])  # [ /Indexed base …
    return Space(base.label, 1, base.names, indexed=True)


_SHORT = {
    b"/Width": b"/W",
    b"/Height": b"/H",
    b"/ImageMask": b"/IM",
    b"/BitsPerComponent": b"/BPC",
    b"/ColorSpace": b"/CS",
}


def matrix_of(form: Any) -> Matrix:
    """The /Matrix of a form or pattern."""
    found = form.get("/Matrix")
    if not isinstance(found, pikepdf.Array) or len(found) != 6:
        return IDENTITY
    a, b, c, d, e, f = map(float, found)  # type: ignore[arg-type]
    return (a, b, c, d, e, f)
