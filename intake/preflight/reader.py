"""All facts of one file, in this process. Hostile files are why `pool` calls it in a child."""

from pathlib import Path

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
    return facts
