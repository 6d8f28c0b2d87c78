"""The problem report of an order on A4, to be forwarded to whoever made the files. Texts are embedded in Noto Sans
(Latin, Greek, Cyrillic), and in Droid Sans Fallback what Chinese, Japanese and Korean need."""

from collections.abc import Iterator
from functools import cache, partial
from io import BytesIO
from itertools import groupby
from pathlib import Path
from threading import Lock
from unicodedata import normalize
from xml.sax.saxutils import escape

from django.conf import settings
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from gelatoconnect.lib import storage
from intake.reports import Fault, Part, Picture, Report, counted, report_of
from orders.models import Order
from orders.sheets import Box, Sheet

FONTS = settings.BASE_DIR / "static" / "fonts"
REGULAR, BOLD, EAST_ASIAN = "NotoSans-Regular", "NotoSans-Bold", "DroidSansFallback"
MARGIN = 18 * mm
INNER = A4[0] - 2 * MARGIN - 12  # a frame keeps 6 pt free on each side
PICTURE = (52 * mm, 70 * mm)  # at most
INK, GREY, RULE = HexColor("#1d2333"), HexColor("#5c6270"), HexColor("#d9dce3")
TONES = {"error": HexColor("#c8102e"), "warning": HexColor("#b45309"), "info": HexColor("#1d5fa8")}
# Over the pictures, as on the order's page: colour, dashes in pt.
LINES = {
    "trim": (HexColor("#d6007a"), []),
    "bleed": (HexColor("#0083c4"), [3, 2]),
    "safe": (HexColor("#1d8a3a"), [1, 2]),
}
SEVERITIES = {"error": "Error", "warning": "Warning"}
_registering = Lock()
DOT = 2.4 * mm  # radius of a number in a circle
STEP = 2.4 * DOT  # from one to the next
IN_A_ROW = int(PICTURE[0] // STEP)


def draw(report: Report) -> bytes:
    """The report as PDF, the same bytes for the same report."""
    file = BytesIO()
    title = f"Problem report {report.order_reference_id}"
    document = SimpleDocTemplate(file, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN,
                                 bottomMargin=MARGIN, title=title, author=settings.PRODUCER_NAME, invariant=1,
                                 initialFontName=_font(REGULAR))  # fmt: skip
    foot = partial(_foot, title=title)
    document.build(list(_story(report)), onFirstPage=foot, onLaterPages=foot)
    return file.getvalue()


def report_response(order: Order) -> HttpResponse:
    """The report of this order as a download named after it."""
    name = f"{order.reference} problems.pdf"
    headers = {"Content-Disposition": content_disposition_header(True, name)}
    return HttpResponse(draw(report_of(order)), content_type="application/pdf", headers=headers)


def _story(report: Report) -> Iterator[Flowable]:
    yield _text(settings.PRODUCER_NAME, size=9, colour=GREY)
    yield _text(f"Problem report: order {report.order_reference_id}", size=17, bold=True)
    yield _text(f"{report.customer}, received {report.received_at:%-d %B %Y}. {report.said}.", size=10)
    if report.error_count:
        yield _text("Errors have to be mended before the order can be printed. Warnings can be printed as they are, but "
                    "should be looked at.", size=9, colour=GREY)  # fmt: skip
    if any(part.pictures for part in report.parts):
        yield Spacer(0, 3 * mm)
        yield Legend()
    for part in report.parts:
        yield from _part(part)


def _part(part: Part) -> Iterator[Flowable]:
    first, *others = [_fault(fault) for fault in part.faults]
    yield KeepTogether([*_head(part), Spacer(0, 2 * mm), first])
    yield from others


def _head(part: Part) -> Iterator[Flowable]:
    yield Spacer(0, 5 * mm)
    yield _text(part.where, size=12, bold=True)
    if part.file_name:
        pages = f", {counted(part.page_count, 'page')}" if part.page_count else ""
        yield _text(part.file_name + pages, size=9, colour=GREY)
    if part.pictures:
        drawn = [DrawnPage(picture, storage.previews_of(part.sha256)) for picture in part.pictures]
        yield Spacer(0, 2 * mm)
        yield Table([drawn], hAlign="LEFT", style=_tight(), colWidths=[PICTURE[0] + 4 * mm] * len(drawn))
        if part.unpictured:
            yield _text(f"Checked, not pictured: {counted(part.unpictured, 'more page')}.", size=8, colour=GREY)


def _fault(fault: Fault) -> Flowable:
    said = [_text(f"{SEVERITIES.get(fault.severity, '')}: {fault.message}", size=10, bold=True)]
    details = [(fault.hint, INK), (". ".join(filter(None, (fault.measured, fault.place))), GREY), (fault.code, GREY)]
    said += [_text(text, size=9 if colour == INK else 8, colour=colour) for text, colour in details if text]
    return Table(
        [[Dot(fault.number, fault.severity), said]],
        colWidths=[8 * mm, INNER - 8 * mm],
        hAlign="LEFT",
        splitInRow=1,
        style=_tight(above=2),
    )


def _tight(*, above: float = 0) -> TableStyle:
    """Cells without room of their own. A table names a font even where it sets no text; ours, so that no other is used."""
    spaces = {"LEFTPADDING": 0, "RIGHTPADDING": 0, "TOPPADDING": above, "BOTTOMPADDING": above, "VALIGN": "TOP",
              "FONTNAME": _font(REGULAR)}  # fmt: skip
    return TableStyle([(name, (0, 0), (-1, -1), value) for name, value in spaces.items()])


def _foot(canvas: Canvas, document: SimpleDocTemplate, *, title: str) -> None:
    line = _text(f"{title} · page {document.page}", size=8, colour=GREY)
    line.wrapOn(canvas, INNER, 10 * mm)
    line.drawOn(canvas, MARGIN + 6, 9 * mm)


# --- what is drawn -----------------------------------------------------------------------------------
class DrawnPage(Flowable):
    """The preview of a page with trim, bleed, safe zone and the findings over it, and its number and size below."""

    def __init__(self, picture: Picture, previews: Path) -> None:
        super().__init__()
        self.sheet: Sheet = picture.sheet
        self.image = previews / f"page-{self.sheet.page}.jpg"
        self.scale = min(PICTURE[0] / self.sheet.width, PICTURE[1] / self.sheet.height)  # pt in a mm of the sheet
        self.width, self.drawn = self.sheet.width * self.scale, self.sheet.height * self.scale
        self.height = self.drawn + 6 * mm + -(-len(self.sheet.unboxed) // IN_A_ROW) * STEP

    def draw(self) -> None:
        canvas, sheet = self.canv, self.sheet
        canvas.translate(0, self.height - self.drawn)
        if self.image.exists():
            canvas.drawImage(str(self.image), 0, 0, self.width, self.drawn)
        _line(canvas, RULE)
        canvas.rect(0, 0, self.width, self.drawn)
        for name, (colour, dashes) in LINES.items():
            if box := getattr(sheet, name):
                _line(canvas, colour, dashes=dashes)
                self.rectangle(box)
        for mark in sheet.boxed:
            _line(canvas, TONES[mark.severity], width=1.2, tint=True)
            self.rectangle(mark.box, fill=1)
        for mark in sheet.boxed:
            _dot(canvas, mark.number, mark.severity, x=mark.x * self.scale, y=self.drawn - mark.y * self.scale)
        self.caption()

    def rectangle(self, box: Box | None, *, fill: int = 0) -> None:
        if box:
            left, bottom, width, height = box.x, self.sheet.height - box.y - box.height, box.width, box.height
            self.canv.rect(*(length * self.scale for length in (left, bottom, width, height)), fill=fill)

    def caption(self) -> None:
        text = _text(f"Page {self.sheet.page}: {self.sheet.width:g} × {self.sheet.height:g} mm", size=8, colour=GREY)
        text.wrapOn(self.canv, PICTURE[0], 10 * mm)
        text.drawOn(self.canv, 0, -4 * mm)
        for place, mark in enumerate(self.sheet.unboxed):
            row, column = divmod(place, IN_A_ROW)
            _dot(self.canv, mark.number, mark.severity, x=DOT + column * STEP, y=-5 * mm - DOT - row * STEP)


class Dot(Flowable):
    """The number of a problem, as it stands on the pictures."""

    def __init__(self, number: int, severity: str) -> None:
        super().__init__()
        self.number, self.severity = number, severity
        self.width = self.height = 2 * DOT

    def draw(self) -> None:
        _dot(self.canv, self.number, self.severity, x=DOT, y=DOT - 2)


class Legend(Flowable):
    """What the lines over the pictures mean."""

    height = 4 * mm

    def draw(self) -> None:
        x = 0.0
        said = {"trim": "Trim: where it is cut", "bleed": "Bleed: how far the print should reach",
                "safe": "Safe zone: 3 mm inside the trim"}  # fmt: skip
        for name, words in said.items():
            colour, dashes = LINES[name]
            _line(self.canv, colour, dashes=dashes, width=1)
            self.canv.line(x, 3, x + 5 * mm, 3)
            text = _text(words, size=8, colour=GREY)
            text.wrapOn(self.canv, 60 * mm, 5 * mm)
            text.drawOn(self.canv, x + 7 * mm, -1)
            x += 13 * mm + stringWidth(words, _font(REGULAR), 8)


def _line(
    canvas: Canvas, colour: Color, *, width: float = 0.6, dashes: list[int] | None = None, tint: bool = False
) -> None:
    canvas.setStrokeColor(colour)
    canvas.setLineWidth(width)
    canvas.setDash(dashes or [])
    canvas.setFillColor(colour, alpha=0.14 if tint else 1)


def _dot(canvas: Canvas, number: int, severity: str, *, x: float, y: float) -> None:
    canvas.setFillColor(TONES[severity], alpha=1)
    canvas.circle(x, y, DOT, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont(_font(BOLD), 8 if number < 100 else 6)
    canvas.drawCentredString(x, y - 2.8, str(number))


# --- texts -----------------------------------------------------------------------------------------------
def _text(text: str, *, size: float, bold: bool = False, colour: Color = INK) -> Paragraph:
    """A paragraph. Strangers wrote parts of it: nothing in it is markup."""
    name = _font(BOLD if bold else REGULAR)
    style = ParagraphStyle(name, fontName=name, fontSize=size, leading=size * 1.3, textColor=colour, splitLongWords=1)
    return Paragraph(_runs(text, bold=bold), style)


def _runs(text: str, *, bold: bool) -> str:
    """Escaped, and with another font named for the letters that need it; what no font has is shown as "?"."""
    own, other = _letters(BOLD if bold else REGULAR), _letters(EAST_ASIAN)
    shown = (
        letter if ord(letter) in own or ord(letter) in other else "?"
        for letter in " ".join(normalize("NFC", text).split())
    )
    runs = ((east, "".join(letters)) for east, letters in groupby(shown, key=lambda letter: ord(letter) not in own))
    return "".join(
        f'<font name="{_font(EAST_ASIAN)}">{escape(run)}</font>' if east else escape(run) for east, run in runs
    )


def _font(name: str) -> str:
    """The font's name in the document; registered once, for a second one of that name would mix up texts half-way."""
    with _registering:
        return _registered(name)


@cache
def _registered(name: str) -> str:
    registerFont(TTFont(f"report-{name}", FONTS / f"{name}.ttf"))
    return f"report-{name}"


@cache
def _letters(name: str) -> frozenset[int]:
    return frozenset(TTFont(name, FONTS / f"{name}.ttf").face.charToGlyph)
