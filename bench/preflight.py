"""How long preflight takes for the files in a folder: `python -m bench.preflight FOLDER`.

PDFs are timed against pdfinfo, pdffonts and pdfimages (Debian: poppler-utils) over the same files in the same run, each
file by both in turn. Preflight's time is that of `inspect`: all facts, the child process included.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also when it is run by its path

from intake.preflight import inspect
from intake.preflight.formats import sniff
from intake.preflight.pool import lend

POPPLER = (["pdfinfo", "-box"], ["pdffonts"], ["pdfimages", "-list"])
PATIENCE = 30  # seconds for one tool of poppler


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def poppler(path: Path) -> None:
    for command in POPPLER:
        try:
            subprocess.run([*command, str(path)], capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            pass


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def milliseconds(values: list[float]) -> str:
    return "  ".join(f"p{share * 100:.0f} {1000 * percentile(values, share):.1f} ms" for share in (0.5, 0.95, 0.99))


def compare(pdfs: list[Path]) -> None:
    ours, theirs = [], []
    for place, path in enumerate(pdfs):
        turns = [(ours, lambda path=path: inspect(path)), (theirs, lambda path=path: poppler(path))]
        for times, work in turns if place % 2 else turns[::-1]:
            times.append(seconds(work))
    print(f"{len(pdfs)} PDFs, {sum(path.stat().st_size for path in pdfs) / 1e6:.1f} MB")
    print(f"  preflight, all facts  {sum(ours):6.2f} s  {len(pdfs) / sum(ours):5.0f} a second  {milliseconds(ours)}")
    print(
        f"  poppler, three tools  {sum(theirs):6.2f} s  {len(pdfs) / sum(theirs):5.0f} a second  {milliseconds(theirs)}"
    )
    print(f"  ratio {sum(ours) / sum(theirs):.3f}")


def rasters(paths: list[Path]) -> None:
    times = [seconds(lambda path=path: inspect(path)) for path in paths]
    print(f"{len(paths)} images, decoded: {len(paths) / sum(times):.0f} a second  {milliseconds(times)}")


def memory(paths: list[Path]) -> None:
    peaks = [float(lend(path, previews=None, seconds=90).peak) for path in paths]
    print(f"peak memory of a child: p50 {percentile(peaks, 0.5) / 1024:.0f} MB, most {max(peaks) / 1024:.0f} MB")


def previews(paths: list[Path]) -> None:
    """What the previews cost beyond the facts."""
    made, extra = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(paths):
            bare = seconds(lambda path=path: inspect(path))
            start = time.perf_counter()
            made += len(inspect(path, previews=Path(folder) / str(number))["previews"])
            extra += max(0.0, time.perf_counter() - start - bare)
    print(f"previews: {made} pages, {made / extra if extra else 0:.0f} a second")


def main(folder: Path) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    pdfs = [path for path in paths if sniff(path) == "pdf"]
    images = [path for path in paths if sniff(path) in ("jpeg", "png", "tiff")]
    inspect(paths[0])  # starts the warm process
    if pdfs:
        compare(pdfs)
    if images:
        rasters(images)
    memory(pdfs + images)
    previews(pdfs + images)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
