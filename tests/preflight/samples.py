"""Print files made on the spot: a good A6 card, and what can be wrong with it."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pikepdf
import reportlab
from pikepdf import Array, Dictionary, Name, Pdf, Stream, String
from PIL import Image

from intake.preflight import DIGITAL, Facts, Profile, judge

MM = 72 / 25.4
TRIM, BLEED = (105.0, 148.0), 3.0  # mm
FONT_FILE = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
GROUND = b"0.1 0 0 0.1 k -50 -50 5000 5000 re f\n"
TEXT = b"BT /F1 12 Tf 0 0 0 1 k 60 200 Td (Hello) Tj ET\n"
GOOD = GROUND + TEXT

CARD = replace(DIGITAL, trim_width=TRIM[0], trim_height=TRIM[1])

Change = Callable[[Pdf], None]


def codes(facts: Facts, profile: Profile = CARD, *, name: str = "", info: bool = False) -> dict[str, str]:
    """Code → severity of what is said; notes only when asked for."""
    return {one.code: one.severity for one in judge(facts, profile, name=name) if info or one.severity != "info"}


def card(
    content: bytes = GOOD,
    *,
    trim: tuple[float, float] = TRIM,
    bleed: float = BLEED,
    pages: int = 1,
    change: Change | None = None,
) -> bytes:
    """A PDF of `pages` equal pages with TrimBox and embedded font F1 and bare font F2; `change` does what is wrong to it."""
    pdf = Pdf.new()
    fonts = Dictionary(F1=embedded_font(pdf), F2=pdf.make_indirect(bare_font()))
    width, height = trim[0] * MM, trim[1] * MM
    media = [0, 0, width + 2 * bleed * MM, height + 2 * bleed * MM]
    for _ in range(pages):
        page = pdf.add_blank_page(page_size=(media[2], media[3]))
        page.obj.TrimBox = Array([bleed * MM, bleed * MM, bleed * MM + width, bleed * MM + height])
        page.obj.BleedBox = Array(media)
        page.obj.Resources = Dictionary(Font=fonts)
        page.obj.Contents = pdf.make_stream(content)
    if change:
        change(pdf)
    return saved(pdf)


def saved(pdf: Pdf, **how: object) -> bytes:
    out = BytesIO()
    pdf.save(out, deterministic_id=not how, compress_streams=False, **how)
    return out.getvalue()


def embedded_font(pdf: Pdf) -> Dictionary:
    descriptor = Dictionary(Type=Name.FontDescriptor, FontName=Name("/ABCDEF+Vera"), Flags=32, ItalicAngle=0, Ascent=928,
                            Descent=-236, CapHeight=730, StemV=80, FontBBox=[-183, -236, 1287, 928],
                            FontFile2=pdf.make_stream(FONT_FILE.read_bytes()))  # fmt: skip
    return pdf.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.TrueType, BaseFont=Name("/ABCDEF+Vera"), FirstChar=32,
                                        LastChar=126, Widths=[600] * 95, Encoding=Name.WinAnsiEncoding,
                                        FontDescriptor=pdf.make_indirect(descriptor)))  # fmt: skip


def bare_font() -> Dictionary:
    return Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)


def image(
    pdf: Pdf, *, width: int, height: int, space: object = Name.DeviceCMYK, channels: int = 0, bits: int = 8
) -> Stream:
    """All its pixels are zero. channels: of a space that is more than a name."""
    channels = channels or {Name.DeviceGray: 1, Name.DeviceRGB: 3, Name.DeviceCMYK: 4}[space]
    row = (width * channels * bits + 7) // 8
    return pdf.make_stream(bytes(row * height), Type=Name.XObject, Subtype=Name.Image, Width=width, Height=height,
                           ColorSpace=space, BitsPerComponent=bits)  # fmt: skip


def form(pdf: Pdf, content: bytes, **resources: object) -> Stream:
    return pdf.make_stream(
        content, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 1000, 1000], Resources=Dictionary(**resources)
    )


def add(page: Dictionary, kind: str, **named: object) -> None:
    """Put named things into a page's resources: add(page, "XObject", Im1=…)."""
    resources = page.Resources
    if f"/{kind}" not in resources:
        resources[f"/{kind}"] = Dictionary()
    for name, thing in named.items():
        resources[f"/{kind}"][f"/{name}"] = thing


def placed(*, ppi: float, turn: bytes = b"", **kind: object) -> bytes:
    """A card with an image of 300 by 150 pixels at that resolution."""
    width, height = 300 * 72 / ppi, 150 * 72 / ppi

    def change(pdf: Pdf) -> None:
        add(pdf.pages[0].obj, "XObject", Im1=image(pdf, width=300, height=150, **kind))

    return card(GOOD + b"q %s %f 0 0 %f 60 60 cm /Im1 Do Q" % (turn, width, height), change=change)


def raster(kind: str, size: tuple[int, int], *, mode: str = "RGB", **how: object) -> bytes:
    out = BytesIO()
    colour = {"1": 0, "I;16": 9000}.get(mode, 120 if len(mode) == 1 else (120,) * len(mode))
    Image.new(mode, size, colour).save(out, kind, **how)
    return out.getvalue()


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:pdfxid="http://www.npes.org/pdfx/ns/id/">'
    b"<pdfxid:GTS_PDFXVersion>%s</pdfxid:GTS_PDFXVersion></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def claimed(version: str, *, intents: int = 1, **more: object) -> Change:
    """Says PDF/X in XMP and gives output intents."""

    def change(pdf: Pdf) -> None:
        pdf.Root.Metadata = pdf.make_stream(XMP % version.encode())
        profile = pdf.make_stream(bytes(12) + b"prtrCMYKLab " + bytes(104), N=4)
        intent = Dictionary(
            Type=Name.OutputIntent,
            S=Name.GTS_PDFX,
            OutputConditionIdentifier=String("FOGRA39"),
            DestOutputProfile=profile,
        )
        pdf.Root.OutputIntents = Array([intent] * intents)
        for key, value in more.items():
            pdf.Root[f"/{key}"] = value

    return change


# --- hostile ----------------------------------------------------------------------------------------
def self_drawing_form() -> bytes:
    def change(pdf: Pdf) -> None:
        drawing = form(pdf, b"/Fm1 Do 0 0 10 10 re f")
        drawing.Resources.XObject = Dictionary(Fm1=drawing)
        add(pdf.pages[0].obj, "XObject", Fm1=drawing)

    return card(GOOD + b"/Fm1 Do", change=change)


def form_bomb(*, levels: int, inner: bytes) -> bytes:
    """Each form draws the next ten times; the last one does `inner`."""

    def change(pdf: Pdf) -> None:
        picture = image(pdf, width=20, height=20, space=Name.DeviceGray)
        drawing = form(pdf, inner, XObject=Dictionary(Im1=picture))
        for _ in range(levels):
            drawing = form(pdf, b"/Fm1 Do " * 10, XObject=Dictionary(Fm1=drawing))
        add(pdf.pages[0].obj, "XObject", Fm1=drawing)

    return card(GOOD + b"/Fm1 Do", change=change)


def flate_bomb(*, megabytes: int) -> bytes:
    """The page's content unpacks to that many megabytes of spaces."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(megabytes)) + packer.flush()

    def change(pdf: Pdf) -> None:
        pdf.pages[0].obj.Contents = Stream(pdf, packed, Filter=Name.FlateDecode)

    return card(change=change)


def page_tree_loop() -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 3/Kids[2 0 R 2 0 R 3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj %s endobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 4\n0000000000 65535 f \n%strailer <</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(out),
    )


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        out += len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
    return out


def giant_png(side: int) -> bytes:
    """Says that it is `side` pixels wide and high; one bit each, all zero."""
    header = side.to_bytes(4, "big") * 2 + b"\1\0\0\0\0"
    return png([(b"IHDR", header), (b"IDAT", zlib.compress(bytes((side // 8 + 1) * 50), 9)), (b"IEND", b"")])


def text_bomb_png() -> bytes:
    """A compressed text chunk of 100 MB in a picture of one pixel."""
    packed = zlib.compress(bytes(100 << 20), 9)
    return png([(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0"), (b"zTXt", b"note\0\0" + packed),
                (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")])  # fmt: skip


def many_frames(count: int) -> bytes:
    out = BytesIO()
    frames = [Image.new("1", (4, 4)) for _ in range(count)]
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def locked() -> bytes:
    return saved(pikepdf.open(BytesIO(card())), encryption=pikepdf.Encryption(owner="o", user="u"))


def restricted(**allowed: bool) -> bytes:
    return saved(
        pikepdf.open(BytesIO(card())),
        encryption=pikepdf.Encryption(owner="o", user="", allow=pikepdf.Permissions(**allowed)),
    )
