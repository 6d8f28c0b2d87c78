"""Files by content: kept once under their sha256, below FILES_DIR, outside the web root."""

import hashlib
import os
import tempfile
import time
from pathlib import Path

from django.conf import settings

LEFT_BEHIND = 6 * 3600  # seconds


def path_of(sha256: str) -> Path:
    """Where the content with this hash is kept (whether or not it is there)."""
    return settings.FILES_DIR / "blobs" / sha256[:2] / sha256[2:4] / sha256


def previews_of(sha256: str) -> Path:
    return settings.FILES_DIR / "previews" / sha256[:2] / sha256


def incoming_dir() -> Path:
    """Where downloads land before their hash is known: the same volume, so that keeping one is a rename."""
    path = settings.FILES_DIR / "incoming"
    path.mkdir(parents=True, exist_ok=True)
    return path


def keep(temporary: Path, sha256: str) -> Path:
    """Move a finished file to its place, safely on the disk. The same content a second time replaces itself."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    path = path_of(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temporary, path)
    return path


def keep_file(temporary: Path) -> str:
    """Keep a finished file of the incoming folder; says its sha256."""
    with temporary.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    keep(temporary, sha256)
    return sha256


def keep_bytes(content: bytes) -> str:
    """Keep `content`, whole or not at all; says its sha256."""
    sha256 = hashlib.sha256(content).hexdigest()
    with tempfile.NamedTemporaryFile(dir=incoming_dir(), delete=False) as file:
        file.write(content)
    keep(Path(file.name), sha256)
    return sha256


def clear_incoming() -> int:
    """Remove what downloads left behind that were killed; says how many. None takes as long as LEFT_BEHIND."""
    old = [path for path in incoming_dir().iterdir() if path.stat().st_mtime < time.time() - LEFT_BEHIND]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
