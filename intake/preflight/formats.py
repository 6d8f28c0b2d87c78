"""What a file is, by its first bytes: names and declared types are not believed."""

from pathlib import Path

HEAD = 1024
"""Bytes that are looked at; a PDF's header may sit anywhere in them (ISO 32000-1, annex H, note 13)."""

MIME = {
    "pdf": "application/pdf",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "psd": "image/vnd.adobe.photoshop",
    "heic": "image/heic",
    "svg": "image/svg+xml",
    "html": "text/html",
    "xml": "application/xml",
    "postscript": "application/postscript",
    "zip": "application/zip",
    "empty": "application/octet-stream",
    "unknown": "application/octet-stream",
}
READABLE = ("pdf", "jpeg", "png", "tiff")
ENDINGS = {
    "pdf": ("pdf",), "jpeg": ("jpg", "jpeg", "jpe", "jfif", "mpo"), "png": ("png",), "tiff": ("tif", "tiff"),
}  # fmt: skip

_MAGIC = [
    (b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"), (b"MM\0+", "tiff"), (b"GIF8", "gif"), (b"8BPS", "psd"), (b"%!PS", "postscript"),
    (b"\xc5\xd0\xd3\xc6", "postscript"), (b"PK\x03\x04", "zip"), (b"BM", "bmp"),
]  # fmt: skip


def sniff(path: Path) -> str:
    """The format by content: a key of MIME, "empty" or "unknown"."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return "empty"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif"):
        return "heic"
    return _markup(head) or ("pdf" if b"%PDF-" in head else "unknown")


def _markup(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start.startswith(b"<"):
        return ""
    if b"<svg" in start:
        return "svg"
    return "html" if b"<html" in start or start.startswith(b"<!doctype html") else "xml"
