"""What one file may cost. A limit that is hit is said, and never counts as passed."""

from dataclasses import dataclass, field

MEGABYTE = 1024 * 1024
PAGES = 2000
STREAM_BYTES = 64 * MEGABYTE  # of one decoded content stream
PIXEL_BYTES = 64 * MEGABYTE  # of packed images that are tried, all together
DEPTH = 24  # forms within forms
IMAGES_KEPT = 1000
FONTS_KEPT = 200
FILLS_KEPT = 5000  # of one page, for the ink estimate
PIXELS = 150_000_000  # A0 at 300 ppi has 139 million
FRAMES = 200
REPORT_BYTES = 8 * MEGABYTE  # what a child may answer
MEMORY = 1536 * MEGABYTE  # address space of the child
CPU_SECONDS = 60
OPEN_FILES = 64
PREVIEW_SECONDS = 20  # wall time for all previews of a file, after its facts
PREVIEW_BYTES = 2 * MEGABYTE  # the largest file that a child may write
FILTER_MEMORY = 256 * MEGABYTE
QPDF = {
    "doc_max_warnings": 500, "parser_max_nesting": 200, "flate_max_memory": FILTER_MEMORY,
    "png_max_memory": FILTER_MEMORY, "tiff_max_memory": FILTER_MEMORY, "run_length_max_memory": FILTER_MEMORY,
    "dct_max_memory": 2 * FILTER_MEMORY,
}  # fmt: skip


class LimitHit(Exception):
    """More of something than one file may have; the argument says of what."""


class Broken(Exception):
    """What the file uses does not decode; the argument says what."""


@dataclass
class Budget:
    """What is left to spend on a file; `noted` are limits that were passed over and not fatal."""

    left: dict[str, int] = field(
        default_factory=lambda: {"content tokens": 30_000_000, "placed images": 50_000, "drawn forms": 20_000}
    )
    noted: set[str] = field(default_factory=set)

    def spend(self, what: str, count: int = 1) -> None:
        self.left[what] -= count
        if self.left[what] < 0:
            raise LimitHit(f"too many {what}")
