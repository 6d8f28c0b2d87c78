"""All facts of one file, in this process. Hostile files are why `pool` calls it in a child."""

from pathlib import Path
from typing import Any

import pikepdf

from intake.preflight.facts import Facts, blank_facts
from intake.preflight.formats import MIME, READABLE, sniff
from intake.preflight.limits import QPDF
from intake.preflight.pdf import read_pdf
from intake.preflight.raster import read_raster

pikepdf.settings.set_qpdf_limits(**QPDF)  # type: ignore[arg-type]


def read_file(path: Path) -> Facts:
    """What the file is. Never raises for what is in the file, but memory and time may run out."""
    name = sniff(path)
    facts = blank_facts(size=path.stat().st_size, format=name, mime=MIME[name])
    if name == "empty":
        facts["state"], facts["trouble"] = "empty", "It has no content."
    elif name not in READABLE:
        facts["state"] = "unsupported"
    elif name == "pdf":
        read_pdf(path, facts)
    else:
        read_raster(path, facts)
    return _printable(facts)


def _printable(found: Any) -> Any:
    """Names from damaged files may hold what no database takes: halves of characters, and zero bytes."""
    if isinstance(found, str):
        return found.encode("utf-8", "replace").decode().replace("\0", "")
    if isinstance(found, dict):
        return {_printable(key): value if key == "images" else _printable(value) for key, value in found.items()}
    return [_printable(one) for one in found] if isinstance(found, list) else found
