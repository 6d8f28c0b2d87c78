"""Print files made on the fly, for the demo, tests and benchmarks: pleasant to look at, and each as right or as wrong
as asked. The same arguments always give the same bytes, and each seed a picture of its own.

Lengths are in mm; inks in percent (cyan, magenta, yellow, black), at most 300 in sum.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFilter
from reportlab import rl_config
from reportlab.lib.colors import CMYKColor
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

FONTS = Path(__file__).resolve().parent.parent / "static" / "fonts"
EMBEDDED, BASE_14 = ("NotoSans-Bold", "NotoSans-Regular"), ("Helvetica-Bold", "Helvetica")
PASSWORD = "secret"  # noqa: S105  # of encrypted specimens
INCH = 25.4  # mm

Ink = tuple[int, int, int, int]
Size = tuple[float, float]


class Scene(NamedTuple):
    motif: str
    high: Ink  # the sky above
    low: Ink  # the sky at the horizon, or the paper
    glow: Ink
    far: Ink
    near: Ink
    accent: Ink


SCENES = (
    Scene("hills", (55, 12, 0, 0), (4, 0, 18, 0), (0, 12, 65, 0), (38, 6, 42, 0), (85, 35, 88, 28), (0, 70, 75, 0)),
    Scene("dots", (0, 4, 14, 0), (0, 4, 14, 0), (0, 22, 88, 0), (68, 8, 28, 0), (80, 62, 12, 0), (0, 74, 52, 0)),
    Scene("dots", (10, 4, 4, 0), (10, 4, 4, 0), (0, 45, 42, 0), (52, 0, 30, 0), (88, 58, 30, 10), (0, 30, 85, 0)),
    Scene("waves", (0, 14, 10, 0), (0, 5, 8, 0), (0, 8, 40, 0), (0, 38, 22, 0), (35, 88, 42, 20), (0, 62, 38, 0)),
    Scene("waves", (8, 0, 6, 0), (2, 0, 10, 0), (0, 28, 80, 0), (42, 2, 18, 0), (92, 62, 28, 14), (0, 68, 72, 0)),
    Scene("hills", (72, 32, 8, 0), (6, 6, 16, 0), (0, 14, 40, 0), (46, 18, 14, 0), (92, 62, 48, 36), (0, 60, 82, 0)),
    Scene("night", (100, 88, 34, 38), (78, 34, 30, 0), (58, 0, 52, 0), (88, 62, 34, 18), (100, 80, 46, 58), (50, 0, 62, 0)),
)  # fmt: skip


def pdf(
    *, trim: Size = (105, 148), bleed: float = 3, pages: int = 1, ppi: float = 300, embed_fonts: bool = True,
    text: str = "With best wishes", seed: int = 0, boxes: bool = True, encrypt: bool = False, truncated: bool = False,
    megabytes: float | None = None,
) -> bytes:  # fmt: skip
    """A design of CMYK picture, colour and text on each page, painted to the edge of the bleed.

    embed_fonts=False sets the text in Helvetica, which is not embedded. encrypt: it opens with PASSWORD only.
    truncated: the end is missing. megabytes: about so large, by an image of noise beneath the first page's design.
    """
    width, height = trim[0] + 2 * bleed, trim[1] + 2 * bleed
    trim_box = [edge * mm for edge in (bleed, bleed, bleed + trim[0], bleed + trim[1])]
    title, small = [_embedded(name) for name in EMBEDDED] if embed_fonts else BASE_14
    with _binary_streams():
        file = BytesIO()
        canvas = Canvas(
            file, pagesize=(width * mm, height * mm), invariant=True, initialFontName=small,
            trimBox=trim_box if boxes else None, bleedBox=[0, 0, width * mm, height * mm] if boxes else None,
            encrypt=StandardEncryption(PASSWORD, ownerPassword=f"owner of {PASSWORD}", strength=128) if encrypt else None,
        )  # fmt: skip
        canvas.setTitle(text)
        if megabytes:
            _pad(canvas, (width, height), megabytes=megabytes, seed=seed)
        for page in range(pages):
            words = (text if page == 0 else f"{page + 1}", f"{trim[0]:g} × {trim[1]:g} mm")
            _design(canvas, trim, bleed=bleed, ppi=ppi, words=words, fonts=(title, small), seed=seed + page)
            canvas.showPage()
        canvas.save()
    content = file.getvalue()
    return content[: len(content) * 2 // 3] if truncated else content


def image(
    format: str = "jpeg", *, size_mm: Size = (105, 148), ppi: float = 300, mode: str = "RGB", seed: int = 0
) -> bytes:
    """A picture as jpeg, png or tiff, that says its ppi; in RGB with the sRGB profile."""
    pixels = [max(1, round(edge / INCH * ppi)) for edge in size_mm]
    made = picture(pixels[0], pixels[1], seed=seed).convert(mode)
    file = BytesIO()
    extra = {"icc_profile": _srgb()} if mode == "RGB" else {}
    made.save(file, format, dpi=(ppi, ppi), **({"quality": 88} if format == "jpeg" else {}), **extra)
    return file.getvalue()


def picture(width: int, height: int, *, seed: int) -> Image.Image:
    """A CMYK picture of so many pixels: a landscape, the sky at night, confetti or waves."""
    scene, random = SCENES[seed % len(SCENES)], Random(seed)  # noqa: S311
    canvas = _sky(width, height, scene)
    if scene.motif == "dots":
        _scatter_dots(canvas, scene, random)
    elif scene.motif == "waves":
        _roll_waves(canvas, scene, random)
    else:
        if scene.motif == "night":
            _light_sky(canvas, scene, random)
        else:
            _raise_sun(canvas, scene, random)
        _raise_hills(canvas, scene, random)
    return canvas


def _design(
    canvas: Canvas, trim: Size, *, bleed: float, ppi: float, words: tuple[str, str], fonts: tuple[str, str], seed: int
) -> None:
    """A picture over the upper part of the page, and words on the rest."""
    scene = SCENES[seed % len(SCENES)]
    width, height = trim[0] + 2 * bleed, trim[1] + 2 * bleed
    foot = height * 0.3
    pixels = max(1, round(width / INCH * ppi)), max(1, round((height - foot) / INCH * ppi))
    photo = BytesIO()
    picture(*pixels, seed=seed).save(photo, "jpeg", quality=88)
    canvas.setFillColor(_colour(_mixed(scene.low, (0, 0, 0, 0), 0.55)))
    canvas.rect(0, 0, width * mm, height * mm, stroke=0, fill=1)
    canvas.drawImage(ImageReader(photo), 0, foot * mm, width * mm, (height - foot) * mm)
    canvas.setFillColor(_colour(scene.accent))
    canvas.rect(0, (foot - trim[1] * 0.012) * mm, width * mm, trim[1] * 0.012 * mm, stroke=0, fill=1)
    _set_words(canvas, trim, bleed=bleed, words=words, fonts=fonts, ink=scene.near, middle=foot / 2)


def _set_words(
    canvas: Canvas, trim: Size, *, bleed: float, words: tuple[str, str], fonts: tuple[str, str], ink: Ink, middle: float
) -> None:
    """Centred on the trimmed page, its title as large as fits."""
    title, note = words
    largest = trim[1] * 0.075 * mm
    size = min(largest, trim[0] * 0.84 * mm / max(stringWidth(title, fonts[0], 1), 0.1))
    canvas.setFillColor(_colour(ink))
    canvas.setFont(fonts[0], size)
    centre = (bleed + trim[0] / 2) * mm
    canvas.drawCentredString(centre, middle * mm - size * 0.1, title)
    canvas.setFont(fonts[1], max(8.5, largest * 0.25))
    canvas.drawCentredString(centre, middle * mm - largest * 0.75, note)


def _pad(canvas: Canvas, size: Size, *, megabytes: float, seed: int) -> None:
    side = size[1] / size[0]
    width = max(1, round(math.sqrt(megabytes * 1e6 / 4 / side)))
    height = max(1, round(width * side))
    noise = Random(seed).randbytes(width * height * 4)  # noqa: S311
    reader = ImageReader(Image.frombytes("CMYK", (width, height), noise))
    canvas.drawImage(reader, 0, 0, size[0] * mm, size[1] * mm)


# --- what pictures are made of ---------------------------------------------------------------------
def _sky(width: int, height: int, scene: Scene) -> Image.Image:
    """From the one ink above to the other below."""
    fall = Image.linear_gradient("L").resize((1, height), Image.Resampling.BILINEAR)
    column = Image.composite(
        Image.new("CMYK", (1, height), _tone(scene.low)), Image.new("CMYK", (1, height), _tone(scene.high)), fall
    )
    return column.resize((width, height))


def _raise_sun(canvas: Image.Image, scene: Scene, random: Random) -> None:
    width, height = canvas.size
    x, y = random.uniform(0.25, 0.75) * width, random.uniform(0.2, 0.3) * height
    halo = ImageChops.invert(Image.radial_gradient("L")).point(lambda light: max(0, light - 75) * 7 // 10)
    for mask, radius in ((halo, 0.8), (_disc(480), 0.085)):
        side = max(2, round(radius * min(width, height) * 2))
        canvas.paste(_tone(scene.glow), (int(x - side / 2), int(y - side / 2)), mask.resize((side, side)))


def _disc(side: int) -> Image.Image:
    """A mask that lets a circle through."""
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    return mask


def _light_sky(canvas: Image.Image, scene: Scene, random: Random) -> None:
    """Stars, and northern lights."""
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    for _ in range(160):
        x, y, radius = random.random() * width, random.random() * height * 0.7, width * random.uniform(0.0006, 0.0022)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_tone((6, 0, 10, 0)))
    for band in range(3):
        mask = Image.new("L", (160, 120))
        rays = ImageDraw.Draw(mask)
        phase, lean = random.uniform(0, 6), random.uniform(0.5, 1.3)
        for x in range(160):
            foot = 78 - band * 16 + 12 * math.sin(x / 26 * lean + phase) + 5 * math.sin(x / 9 + phase)
            rays.line((x, foot - random.uniform(22, 46), x, foot), fill=random.randint(60, 165 - band * 25))
        soft = mask.filter(ImageFilter.GaussianBlur(3)).resize((width, height), Image.Resampling.BICUBIC)
        canvas.paste(_tone(scene.glow), (0, 0), soft)


def _raise_hills(canvas: Image.Image, scene: Scene, random: Random) -> None:
    """Ridges, the nearer the darker, above water that reflects them."""
    width, height = canvas.size
    shore = int(height * 0.76)
    draw = ImageDraw.Draw(canvas)
    for layer in range(5):
        nearness = layer / 4
        top = height * (0.42 + 0.075 * layer)
        ridge = _ridge(random, rough=0.5 + 0.08 * layer)
        points = [
            (at * width / (len(ridge) - 1), top - rise * height * (0.2 - 0.025 * layer))
            for at, rise in enumerate(ridge)
        ]
        draw.polygon([(0, shore), *points, (width, shore)], fill=_tone(_mixed(scene.far, scene.near, nearness**1.4)))
    depth = height - shore
    mirrored = canvas.crop((0, shore - depth, width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    water = Image.blend(mirrored, Image.new("CMYK", mirrored.size, _tone(_mixed(scene.high, scene.near, 0.35))), 0.42)
    canvas.paste(water, (0, shore))
    for _ in range(26):
        x, y = random.random() * width, shore + random.random() ** 1.5 * depth
        long = random.uniform(0.03, 0.16) * width
        draw.line((x, y, x + long, y), fill=_tone(_mixed(scene.high, scene.low, 0.5)), width=max(1, height // 700))


def _ridge(random: Random, *, rough: float) -> list[float]:
    """Heights from 0 to 1 along a mountain ridge, by midpoint displacement."""
    line, swing = [random.random() for _ in range(4)], 0.5
    for _ in range(7):
        middles = [(a + b) / 2 + random.uniform(-swing, swing) / 2 for a, b in pairwise(line)]
        line = [height for pair in zip(line, middles, strict=False) for height in pair] + line[-1:]
        swing *= rough
    low, high = min(line), max(line)
    return [(height - low) / (high - low) for height in line]


def _scatter_dots(canvas: Image.Image, scene: Scene, random: Random) -> None:
    """Circles of transparent ink, printed over each other."""
    width, height = canvas.size
    for _ in range(44):
        radius = int(width * random.choice((0.02, 0.03, 0.05, 0.08, 0.13)))
        x, y = int(random.random() * width), int(random.random() * height)
        box = (x - radius, y - radius, x + radius, y + radius)
        mask = _disc(2 * radius).point(lambda light: light * 235 // 255)
        ink = Image.new("CMYK", mask.size, _tone(random.choice((scene.glow, scene.far, scene.near, scene.accent))))
        canvas.paste(ImageChops.lighter(canvas.crop(box), ink), box, mask)


def _roll_waves(canvas: Image.Image, scene: Scene, random: Random) -> None:
    """Bands of waves in front of a round sun, the nearer the darker."""
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    x, y, radius = width * random.uniform(0.3, 0.7), height * 0.36, width * 0.17
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_tone(scene.accent))
    for band in range(7):
        base, swing = height * (0.34 + 0.1 * band), height * random.uniform(0.025, 0.05)
        length, phase = width * random.uniform(0.5, 0.9), random.uniform(0, 6.28)
        crest = [
            (at * width / 120, base + swing * math.sin(at * width / 120 / length * 6.28 + phase)) for at in range(121)
        ]
        draw.polygon([(0, height), *crest, (width, height)], fill=_tone(_mixed(scene.far, scene.near, band / 6)))


def _mixed(one: Ink, other: Ink, share: float) -> Ink:
    """So much of the other ink, from 0 to 1, in the one."""
    c, m, y, k = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return c, m, y, k


def _tone(ink: Ink) -> tuple[int, ...]:
    return tuple(round(percent * 2.55) for percent in ink)


def _colour(ink: Ink) -> CMYKColor:
    return CMYKColor(*(percent / 100 for percent in ink))


def _embedded(name: str) -> str:
    registerFont(TTFont(name, FONTS / f"{name}.ttf"))
    return name


def _srgb() -> bytes:
    """The sRGB profile without the time at which it was made (bytes 24 to 35 of the header, ICC.1:2022)."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + bytes(12) + made[36:]


@contextmanager
def _binary_streams() -> Iterator[None]:
    """Streams as they are, not as ASCII text, in PDFs made meanwhile."""
    before, rl_config.useA85 = rl_config.useA85, 0
    try:
        yield
    finally:
        rl_config.useA85 = before
