"""What a product asks of its print files.

The ready choices follow the Ghent Workgroup 2022 specification (digital print, sheetfed CMYK, large format), except for
the resolution of DIGITAL: there GWG lets 95 ppi pass, which suits posters; print providers refuse below 150.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Lengths in mm; text, lines and ppi limits as printed (pt, pixels per inch). 0 turns a numeric check off."""

    trim_width: float = 0  # mm; 0: any size
    trim_height: float = 0
    bleed: float = 3
    pages_min: int = 1
    pages_max: int = 1
    pages_multiple: int = 1
    formats: tuple[str, ...] = ("pdf", "jpeg", "png", "tiff")
    max_bytes_pdf: int = 1000 * MEGABYTE
    max_bytes_raster: int = 300 * MEGABYTE

    ppi_error: float = 149  # colour and grey images: at or below fails (GWG R0031)
    ppi_warning: float = 224
    ppi_1bit_error: float = 549  # GWG R0032
    ppi_1bit_warning: float = 799
    ppi_excess: float = 600
    viewing_distance: float = 1  # m; further away, less is enough: limits are divided by it (GWG D0018)

    size_error: float = 1.0  # mm that the trim size may differ
    size_warning: float = 0.3
    bleed_error: float = 2.0  # mm; below fails, below `bleed` - 0.2 warns
    aspect_error: float = 1.0  # percent that a raster's side ratio may differ

    colour: Literal["any", "tagged", "cmyk"] = (
        "tagged"  # tagged: RGB warns unless it carries a profile; cmyk: RGB fails
    )
    spots: tuple[str, ...] = ()  # spot inks that the product is printed with
    spots_allowed: bool = False
    ink_limit: float = 0  # percent, mean over 15 mm square (GWG R0025); 0: not checked
    rich_black_limit: float = 280  # percent, for text (GWG R0015)
    text_min: float = 5  # pt
    fine_text_min: float = 5  # pt; white or of more than one ink (GWG R0016)
    line_error: float = 0.125  # pt
    line_warning: float = 0.25  # GWG R0018
    repaired: Literal["error", "warning"] = "error"
    pdfx: Literal["", "PDF/X-1a", "PDF/X-3", "PDF/X-4"] = ""  # demanded


DIGITAL = Profile(ppi_1bit_error=349, ppi_1bit_warning=599)
SHEETFED = Profile(colour="cmyk", ink_limit=320, fine_text_min=8)
LARGE_FORMAT = Profile(ppi_error=239, ppi_warning=299, viewing_distance=2.5, line_warning=0.15, rich_black_limit=0,
                       spots_allowed=True)  # fmt: skip
PROFILES = {"digital": DIGITAL, "sheetfed": SHEETFED, "large_format": LARGE_FORMAT}


def profile(name: str, **demands: Any) -> Profile:
    """The ready choice of that name (DIGITAL when there is none) with a product's own demands. No formats: all readable."""
    if not demands.get("formats", True):
        del demands["formats"]
    return replace(PROFILES.get(name, DIGITAL), **demands)
