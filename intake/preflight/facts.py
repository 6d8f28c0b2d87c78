"""What preflight says of a file: plain data, the same for the same bytes and the same VERSION.

Lengths are in pt (1/72 inch) after UserUnit, boxes `[left, bottom, right, top]` in the page's own space before /Rotate;
rasters are measured in pixels. Facts judge nothing: see `judging`.
"""

from typing import Any, NotRequired, TypedDict

VERSION = "1"
"""Of the checker; raise it whenever the same bytes may give other facts."""

State = str
"""read; empty; unsupported; locked (needs a password); corrupt (does not open, or what it uses does not decode);
unknown (we could not tell: see `system`)."""

Box = list[float]


class Least(TypedDict):
    """The smallest of its kind on a page: text height or line width, and where."""

    size: float
    box: Box
    font: NotRequired[str]


class Ink(TypedDict):
    """The most ink, as mean over a square of 15 mm, in percent of one full ink."""

    percent: float
    box: Box


class Annotation(TypedDict):
    kind: str
    prints: bool
    box: Box


class Page(TypedDict):
    media: Box
    crop: Box
    bleed: NotRequired[Box]
    trim: NotRequired[Box]
    art: NotRequired[Box]
    rotate: int
    user_unit: float
    marks: int  # visible painting operators that are not white
    transparency: bool
    overprint: bool
    blend_space: str
    vector_colours: dict[str, Box]  # colour space → where it was painted first
    spots: list[str]
    registration: bool
    boxes_broken: NotRequired[list[str]]
    text: NotRequired[Least]
    fine_text: NotRequired[Least]  # white, or of more than one ink
    line: NotRequired[Least]
    rich_black_text: NotRequired[Ink]
    white_overprint_text: NotRequired[Box]
    white_overprint_path: NotRequired[Box]
    ink: NotRequired[Ink]
    annotations: NotRequired[list[Annotation]]


class Font(TypedDict):
    name: str
    type: str
    embedded: bool
    subset: bool
    shown: bool  # painted visibly at least once
    invisible: bool  # only shown by text rendering mode 3 or 7, or in a hidden layer
    page: int  # where it was met first
    broken: bool  # the embedded font program does not decode


class Image(TypedDict):
    """One placement of an image on a page."""

    page: int
    kind: str  # image, stencil (1-bit mask painted in the current colour), soft_mask
    width: int
    height: int
    bits: int
    colour: str  # gray rgb cmyk, icc-…, cal-…, lab, separation, devicen, pattern, unknown
    indexed: bool
    alpha: bool  # has a soft mask
    ppi: list[float]  # along the image's own width and height, on paper
    box: Box
    hidden: bool  # in a layer that is off


class Layer(TypedDict):
    name: str
    visible: bool


class Intent(TypedDict):
    kind: str  # GTS_PDFX …
    condition: str
    profile_class: str  # four letters of the ICC header ("prtr"), empty without a profile
    profile_space: str  # "CMYK", "RGB ", "GRAY"


class Document(TypedDict):
    version: str
    encrypted: bool
    may_print: bool
    repaired: list[str]  # what the reader had to mend; a repaired file is not a good file
    notes: list[str]  # small faults without consequence
    pdfx: str
    intents: list[Intent]
    javascript: bool
    form_fields: int
    xfa: bool
    embedded_files: int
    multimedia: bool
    external_streams: bool
    external_references: bool
    postscript: bool
    opi: bool
    layers: list[Layer]
    producer: str


class Raster(TypedDict):
    width: int  # pixels, after the turn that EXIF asks for
    height: int
    turned: bool
    bits: int  # for each channel, from the header
    colour: str
    indexed: bool
    alpha: bool
    profile: str  # name of the embedded ICC profile; empty: none
    frames: int  # that would be printed
    stored: int  # with those that a camera adds for itself (MPO)
    lossless: bool


class Preview(TypedDict):
    page: int
    file: str
    width: int  # pixels
    height: int
    box: Box  # the part of the page that is shown (pt; pixels for rasters), before `rotate`
    rotate: int
    blank: bool
    paint_beyond: NotRequired[
        Box
    ]  # share of the ring of 2 mm outside the trim that is painted: left, bottom, right, top
    paint_within: NotRequired[Box]  # the same, just inside the trim


class Facts(TypedDict):
    version: str
    format: str  # pdf jpeg png tiff, or what it is instead
    mime: str
    bytes: int
    state: State
    trouble: str  # why it is not "read"
    system: list[dict[str, Any]]  # code SYS_…, what: a limit was hit, time or memory ran out, the reader died
    page_count: int
    pages: list[Page]
    fonts: list[Font]
    images: list[Image]
    image_count: int  # placements; `images` holds the 1,000 of lowest ppi when there are more
    document: NotRequired[Document]
    raster: NotRequired[Raster]
    previews: list[Preview]


def blank_facts(*, size: int, format: str = "unknown", mime: str = "application/octet-stream") -> Facts:
    """Facts of a file of which nothing is known yet but its size (bytes) and format."""
    return {
        "version": VERSION, "format": format, "mime": mime, "bytes": size, "state": "unknown", "trouble": "", "system": [],
        "page_count": 0, "pages": [], "fonts": [], "images": [], "image_count": 0, "previews": [],
    }  # fmt: skip
