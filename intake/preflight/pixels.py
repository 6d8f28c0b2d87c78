"""Do the images that a PDF places decode? Only asked of what is cheap to try: one filter, Flate or JPEG."""

import zlib
from io import BytesIO
from typing import Any

import pikepdf
from PIL import Image

PIECE = 1 << 16
END_OF_IMAGE = b"\xff\xd9"
ENOUGH = 0.9
"""Share of the pixels that must be there; viewers forgive a last row that is missing."""


def is_broken_image(stream: Any, *, size: int) -> bool:
    """Whether the stream's data end before `size` bytes or make no sense. False where trying is not cheap."""
    kind = filter_of(stream)
    if kind == "/DCTDecode":
        return _is_broken_jpeg(stream.read_raw_bytes())
    if kind == "/FlateDecode":
        return _unpacked_size(stream.read_raw_bytes(), size) < ENOUGH * size
    return False


def filter_of(stream: Any) -> str:
    """The only filter of a stream; empty when there is none, or more than one."""
    filters = stream.get("/Filter")
    names = list(filters) if isinstance(filters, pikepdf.Array) else [filters] if filters is not None else []
    return str(names[0]) if len(names) == 1 else ""


def _unpacked_size(packed: bytes, enough: int) -> int:
    """Bytes that come out before the data end, break, or are enough."""
    unpacker, size = zlib.decompressobj(), 0
    try:
        while size < enough and not unpacker.eof:
            piece = unpacker.decompress(packed, PIECE)
            packed = unpacker.unconsumed_tail
            if not piece and not packed:
                break
            size += len(piece)
    except zlib.error:
        pass
    return size


def _is_broken_jpeg(packed: bytes) -> bool:
    try:
        image = Image.open(BytesIO(packed), formats=("JPEG",))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return not packed.startswith(b"\xff\xd8")  # of a kind that Pillow does not know, or too large to try
    try:
        _smallest(image)
    except (OSError, ValueError, SyntaxError):
        return _ends_flat(packed + END_OF_IMAGE)  # a marker that is only missing at the end is missed by nobody
    return False


def _ends_flat(packed: bytes) -> bool:
    """Whether the last tenth of the rows is of one colour, as decoders fill what is missing."""
    image = Image.open(BytesIO(packed), formats=("JPEG",))
    try:
        _smallest(image)
    except (OSError, ValueError, SyntaxError):
        return True
    last = image.crop((0, image.height - 1 - image.height // 10, image.width, image.height))
    return all(max(band.histogram()) == last.width * last.height for band in last.split())


def _smallest(image: Image.Image) -> None:
    """Decode at the smallest scale that the format gives: all of the data are read all the same."""
    image.draft(None, (1, 1))
    image.load()
