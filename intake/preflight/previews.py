"""Pictures of the first pages, and what only a picture tells: is the page blank, does paint reach beyond the trim."""

from pathlib import Path

import pypdfium2
from PIL import Image, ImageChops, ImageOps

from intake.preflight.facts import Box, Facts, Page, Preview

PAGES = 3
SIDE = 600
"""Pixels of the longer side, at most."""
QUALITY = 80
WHITE = 250
"""From this brightness on (of 255) a pixel counts as paper."""
RING = 2 * 72 / 25.4
"""pt: how far on both sides of the trim one looks for paint."""


def make_previews(path: Path, facts: Facts, *, into: Path) -> list[Preview]:
    """page-1.jpg … in the folder `into`. What cannot be drawn is left out."""
    if facts["format"] == "pdf":
        return _of_pdf(path, facts, into)
    return _of_raster(path, facts, into)


def _of_raster(path: Path, facts: Facts, into: Path) -> list[Preview]:
    raster, made = facts["raster"], []
    with Image.open(path) as image:
        image.draft(None, (SIDE, SIDE))  # a JPEG is decoded at a fraction of its size
        for number in range(1, min(raster["frames"], PAGES) + 1):
            image.seek(number - 1)
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((SIDE, SIDE), reducing_gap=2)
            made.append(_keep(_flat(upright), number, into, box=[0, 0, raster["width"], raster["height"]], rotate=0))
    return made


def _flat(image: Image.Image) -> Image.Image:
    """RGB on white paper; 16-bit greys brought down to 8."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 257).convert("L")
    if image.mode in ("RGBA", "LA", "PA", "P"):
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _of_pdf(path: Path, facts: Facts, into: Path) -> list[Preview]:
    made = []
    with pypdfium2.PdfDocument(path) as pdf:
        for number, page in enumerate(facts["pages"][:PAGES], 1):
            drawn = pdf[number - 1]
            image = drawn.render(scale=SIDE / max(*drawn.get_size(), 1), may_draw_forms=False).to_pil().convert("RGB")
            image.thumbnail((SIDE, SIDE))
            box = _common(page["media"], page["crop"])
            preview = _keep(image, number, into, box=box, rotate=page["rotate"])
            if "trim" in page:
                upright = image.rotate(page["rotate"], expand=True)
                preview["paint_beyond"], preview["paint_within"] = _paint_around_trim(upright, page, box)
            made.append(preview)
    return made


def _keep(image: Image.Image, number: int, into: Path, *, box: Box, rotate: int) -> Preview:
    name = f"page-{number}.jpg"
    unfinished = into / f"{name}.part"
    image.save(unfinished, "JPEG", quality=QUALITY)
    unfinished.replace(into / name)
    blank = not any(image.convert("L").histogram()[:WHITE])
    return {"page": number, "file": name, "width": image.width, "height": image.height, "box": box, "rotate": rotate,
            "blank": blank}  # fmt: skip


def _common(media: Box, crop: Box) -> Box:
    """What viewers show: the CropBox as far as there is medium."""
    both = [max(media[0], crop[0]), max(media[1], crop[1]), min(media[2], crop[2]), min(media[3], crop[3])]
    return both if both[0] < both[2] and both[1] < both[3] else media


def _paint_around_trim(image: Image.Image, page: Page, shown: Box) -> tuple[Box, Box]:
    """Shares (0 to 1) of painted pixels in the strips outside and inside the trim: left, bottom, right, top."""
    painted = ImageChops.invert(image.convert("L")).point(lambda value: 255 if value > 255 - WHITE else 0)
    left, bottom, right, top = page["trim"]
    outside = [(left - RING, bottom, left, top), (left, bottom - RING, right, bottom),
               (right, bottom, right + RING, top), (left, top, right, top + RING)]  # fmt: skip
    inside = [(left, bottom, left + RING, top), (left, bottom, right, bottom + RING),
              (right - RING, bottom, right, top), (left, top - RING, right, top)]  # fmt: skip
    return [_share(painted, strip, shown) for strip in outside], [_share(painted, strip, shown) for strip in inside]


def _share(painted: Image.Image, strip: tuple[float, float, float, float], shown: Box) -> float:
    """Of a strip (pt) as it lies in the picture; 1 for what lies outside of it, where nothing can be said."""
    across, up = painted.width / (shown[2] - shown[0]), painted.height / (shown[3] - shown[1])
    left, right = round((strip[0] - shown[0]) * across), round((strip[2] - shown[0]) * across)
    top, bottom = round((shown[3] - strip[3]) * up), round((shown[3] - strip[1]) * up)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, painted.width), min(bottom, painted.height)
    if right <= left or bottom <= top:
        return 1.0
    counts = painted.crop((left, top, right, bottom)).histogram()
    return round(counts[255] / ((right - left) * (bottom - top)), 3)
