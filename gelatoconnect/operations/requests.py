"""How long requests take. Each web process counts into a small file of its own, in memory that the kernel keeps, so that
whichever process is scraped tells of all those on its machine; what a process counted stays when it ends.
"""

import fcntl
import mmap
import os
import platform
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

BUCKETS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)  # milliseconds
DOORS = ("api", "in", "page")
RESULTS = ("2xx", "3xx", "4xx", "5xx")
ROW = len(BUCKETS) + 2  # its counts, those that are slower, and the sum of seconds
SIZE = len(DOORS) * len(RESULTS) * ROW


class Timed:
    """Counts each request by its door (/api, /in, or a page), its result and its time until the answer's head."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        response = self.get_response(request)
        if not request.path.startswith(settings.STATIC_URL):
            with suppress(OSError):  # a full disk costs the figure, not the request
                _own().add(request.path, response.status_code, perf_counter() - started)
        return response


class Tally:
    """The counts of this process."""

    def __init__(self, path: Path) -> None:
        self.pid, self.lock = os.getpid(), threading.Lock()
        path.write_bytes(bytes(SIZE * 8))
        with path.open("r+b") as file:
            self.values = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")

    def add(self, path: str, status: int, seconds: float) -> None:
        first = path.split("/", 2)[1]
        door = DOORS.index(first) if first in DOORS else len(DOORS) - 1
        result = min(max(status // 100, 2), 5) - 2
        start = (door * len(RESULTS) + result) * ROW
        place = next((place for place, limit in enumerate(BUCKETS) if seconds * 1000 <= limit), len(BUCKETS))
        with self.lock:
            self.values[start + place] += 1
            self.values[start + ROW - 1] += seconds


_tally: Tally | None = None
_lock = threading.Lock()


def _own() -> Tally:
    """Opened with the first request, and anew in a forked process; then what ended processes left is added up."""
    global _tally, _lock
    tally = _tally
    if tally is not None and tally.pid == os.getpid():
        return tally
    if tally is not None:  # forked: the lock may have been held by a thread that is not here
        _lock = threading.Lock()
    with _lock:
        if _tally is None or _tally.pid != os.getpid():
            with _folder(fcntl.LOCK_EX) as folder:
                _add_up_ended(folder)
                _tally = Tally(folder / f"{os.getpid()}-{uuid4().hex}")
        return _tally


@contextmanager
def _folder(lock: int) -> Iterator[Path]:
    """This machine's folder; locked, so that nothing is counted twice or not at all while it is tidied."""
    folder = settings.DATA_DIR / "requests" / (platform.node() or "localhost")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, lock)
        yield folder


def _add_up_ended(folder: Path) -> None:
    gone = [path for path in folder.glob("*-*") if not _is_alive(int(path.name.partition("-")[0]))]
    if gone:
        sums, ended = _sum([*gone, folder / "ended"]), folder / "ended"
        ended.with_suffix(".new").write_bytes(sums.tobytes())
        os.replace(ended.with_suffix(".new"), ended)
        for path in gone:
            path.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sum(paths: list[Path]) -> "array[float]":
    """Of several tallies; one of another version's layout is left out."""
    sums = array("d", bytes(SIZE * 8))
    for path in paths:
        content = path.read_bytes() if path.exists() else b""
        if len(content) == SIZE * 8:
            sums = array("d", (a + b for a, b in zip(sums, array("d", content), strict=True)))
    return sums


def family() -> Metric:
    """What all processes of this machine have counted, since the folder is there."""
    with _folder(fcntl.LOCK_SH) as folder:
        sums = _sum([*folder.glob("*-*"), folder / "ended"])
    found = HistogramMetricFamily(
        "gelatoconnect_http_request_duration_seconds",
        "How long requests to this machine took until their answer began, by door and result.", labels=["door", "result"],
    )  # fmt: skip
    for door, name in enumerate(DOORS):
        for result, kind in enumerate(RESULTS):
            start = (door * len(RESULTS) + result) * ROW
            counts = [int(count) for count in sums[start : start + ROW - 1]]
            if any(counts):
                found.add_metric([name, kind], cumulated(counts, BUCKETS), sums[start + ROW - 1])
    return found


def cumulated(counts: list[int], limits: tuple[int, ...]) -> list[tuple[str, float]]:
    """Counts of each bucket as Prometheus wants them: of everything up to a limit. limits: in milliseconds."""
    sums, sum = [], 0
    for limit, count in zip((*(f"{limit / 1000:g}" for limit in limits), "+Inf"), counts, strict=True):
        sum += count
        sums.append((limit, float(sum)))
    return sums
