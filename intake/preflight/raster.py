"""Facts of JPEG (MPO too), PNG and TIFF images: every frame is decoded, the header alone is not believed."""

import struct
import warnings
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ImageCms import ImageCmsProfile, PyCMSError, getProfileDescription

from intake.preflight.facts import Facts, Raster
from intake.preflight.limits import FRAMES, PIXELS

FORMATS = {"jpeg": ("JPEG", "MPO"), "png": ("PNG",), "tiff": ("TIFF",)}
ORIENTATION = 0x0112  # EXIF
TURNED = (5, 6, 7, 8)  # orientations that swap width and height
BITS_PER_SAMPLE, COMPRESSION = 258, 259  # TIFF 6.0 tags
LOSSY_TIFF = (6, 7, 34712)  # JPEG, old and new, and JPEG 2000
_COLOURS = {"1": "gray", "L": "gray", "I": "gray", "F": "gray", "CMYK": "cmyk", "LAB": "lab", "YCbCr": "rgb"}

_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error, TypeError, KeyError)

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = PIXELS // 2  # Pillow refuses above twice as many
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def read_raster(path: Path, facts: Facts) -> None:
    """Add what the image says to `facts`."""
    try:
        with Image.open(path, formats=FORMATS[facts["format"]]) as image:
            facts["raster"] = _describe(image, path)
            facts["page_count"] = facts["raster"]["frames"]
            facts["state"] = "read"
            _decode(image, facts)
    except Image.DecompressionBombError:
        facts["state"] = "unknown"
        facts["system"].append({"code": "SYS_LIMIT", "what": f"more than {PIXELS // 1_000_000} million pixels"})
    except _BROKEN as error:
        said = str(error).replace(str(path), "the file")[:200]
        if "too large" in said:  # Pillow's own limits on text and profiles
            facts["state"] = "unknown"
            facts["system"].append({"code": "SYS_LIMIT", "what": "something in it unpacks to too much"})
        else:
            facts["state"], facts["trouble"] = "corrupt", said


def _decode(image: Image.Image, facts: Facts) -> None:
    """Every frame, up to the limit. The further images of an MPO are the camera's own and are not printed."""
    frames = facts["raster"]["frames"]
    for frame in range(min(frames, FRAMES)):
        if frame:
            image.seek(frame)
        image.load()
    if frames > FRAMES:
        facts["system"].append({"code": "SYS_LIMIT", "what": f"more than {FRAMES} images in one file"})


def _describe(image: Image.Image, path: Path) -> Raster:
    turned = image.getexif().get(ORIENTATION, 1) in TURNED
    width, height = (image.height, image.width) if turned else image.size
    return {
        "width": width, "height": height, "turned": turned, "bits": _bits(image, path), "colour": _colour(image),
        "indexed": image.mode == "P", "alpha": _has_alpha(image), "profile": _profile(image),
        "frames": 1 if image.format == "MPO" else getattr(image, "n_frames", 1),
        "stored": getattr(image, "n_frames", 1),
        "lossless": image.format == "PNG" or (image.format == "TIFF" and _tag(image, COMPRESSION, 1) not in LOSSY_TIFF),
    }  # fmt: skip


def _tag(image: Image.Image, tag: int, default: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return value[0] if isinstance(value, tuple) else value


def _bits(image: Image.Image, path: Path) -> int:
    """For each channel, from the header: Pillow's mode says RGB for 16 bit too."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # signature, IHDR length and name, width, height: then the bit depth
    return _tag(image, BITS_PER_SAMPLE, 1) if image.format == "TIFF" else 8


def _colour(image: Image.Image) -> str:
    if image.mode in ("P", "PA") and image.palette is not None:
        return "rgb"
    found = _COLOURS.get(image.mode, "gray" if image.mode.startswith(("I;", "L")) else "rgb")
    return f"icc-{found}" if image.info.get("icc_profile") and found != "lab" else found


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _profile(image: Image.Image) -> str:
    content = image.info.get("icc_profile")
    if not content:
        return ""
    try:
        return getProfileDescription(ImageCmsProfile(BytesIO(content))).strip()[:100] or "unnamed"
    except (PyCMSError, OSError, TypeError):
        return "unreadable"
