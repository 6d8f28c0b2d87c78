"""Hostile files end with a code, and the next file is read as if nothing had been."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import psutil
import pytest
from PIL import Image

from gelatoconnect.lib.apart import owner
from intake.preflight import inspect, pool
from tests.preflight import samples
from tests.preflight.samples import CARD, card, codes, raster

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a form that draws itself": (samples.self_drawing_form, "SYS_LIMIT"),
    "ten billion images": (lambda: samples.form_bomb(levels=10, inner=b"/Im1 Do "), "SYS_LIMIT"),
    "a stream of 300 MB": (lambda: samples.flate_bomb(megabytes=300), "SYS_LIMIT"),
    "a stream of 80 MB": (lambda: samples.flate_bomb(megabytes=80), "SYS_LIMIT"),
    "a page tree that loops": (samples.page_tree_loop, "FILE_CORRUPT"),
    "2,500 million pixels": (lambda: samples.giant_png(50_000), "SYS_LIMIT"),
    "a note of 100 MB": (samples.text_bomb_png, "SYS_LIMIT"),
    "201 images": (lambda: samples.many_frames(201), "SYS_LIMIT"),
    "half a file": (lambda: card()[:20_000], "FILE_CORRUPT"),
    "a web page": (lambda: b"<html><body>Please log in", "FILE_TYPE_UNSUPPORTED"),
    "nothing": (lambda: b"", "FILE_EMPTY"),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(content: bytes) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pdf"
        path.write_bytes(content)
        return path

    return written


@pytest.fixture
def own_reader() -> Iterator[None]:
    """A warm process of the test's own, so that it may be treated badly."""
    pool.READERS.close()
    yield
    pool.READERS.close()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_ends_with_a_code_and_the_next_is_read_as_usual(write: Callable, kind: str) -> None:
    make, code = HOSTILE[kind]
    assert codes(inspect(write(make())))[code] == "error"
    assert codes(inspect(write(card()))) == {}


def test_forms_that_draw_nothing_cost_nothing(write: Callable) -> None:
    start = time.monotonic()
    facts = inspect(write(samples.form_bomb(levels=20, inner=b"")))
    assert facts["system"] == []
    assert time.monotonic() - start < 5


def test_the_child_reads_what_this_process_would_read(write: Callable, look: Callable) -> None:
    content = samples.placed(ppi=120)
    assert inspect(write(content)) == look(content)


def test_out_of_time_is_said(write: Callable) -> None:
    path = write(card(b"q Q " * 6_000_000))
    facts = inspect(path, seconds=0.3)
    assert (facts["state"], facts["system"][0]["code"], facts["format"]) == ("unknown", "SYS_TIMEOUT", "pdf")
    assert codes(facts) == {"SYS_TIMEOUT": "error"}
    assert codes(inspect(write(card()))) == {}


def test_a_killed_child_is_a_crash_and_its_parent_lives_on(write: Callable, own_reader: None) -> None:
    good, long = write(card()), write(card(b"q Q " * 6_000_000))
    inspect(good)
    [reader] = pool.READERS.all

    def strike() -> None:
        for child in psutil.Process(reader.process.pid).children():
            child.kill()

    timer = Timer(0.5, strike)
    timer.start()
    facts = inspect(long)
    timer.join()
    assert facts["system"][0]["code"] == "SYS_CRASH"
    assert codes(inspect(good)) == {}
    assert set(pool.READERS.all) == {reader}
    assert reader.process.poll() is None


def test_a_dead_warm_process_is_replaced(write: Callable, own_reader: None) -> None:
    good = write(card())
    inspect(good)
    [first] = pool.READERS.all
    os.kill(first.process.pid, signal.SIGKILL)
    assert codes(inspect(good)) == {}
    [second] = pool.READERS.all
    assert second is not first


def test_nothing_outlives_the_owner(write: Callable) -> None:
    path = write(card())
    script = f"""
import json, os, psutil, signal
from pathlib import Path
from intake.preflight import inspect
inspect(Path({str(path)!r}))
while len(children := psutil.Process().children(recursive=True)) < 2:
    pass
print(json.dumps([child.pid for child in children]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=owner.ROOT, timeout=20, check=False)
    left = json.loads(done.stdout)
    assert len(left) >= 2  # the warm process, and the child that waits for the next file
    deadline = time.monotonic() + 5
    while any(map(_is_running, left)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in left if _is_running(pid)] == []


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_forked_owner_starts_its_own_reader(write: Callable, own_reader: None) -> None:
    path = write(card())
    before = inspect(path)
    [ours] = pool.READERS.all
    readable, writable = os.pipe()
    if not (child := os.fork()):
        try:
            same = inspect(path) == before
            os.write(writable, json.dumps([same, [one.process.pid for one in pool.READERS.all]]).encode())
            pool.READERS.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    same, theirs = json.loads(os.read(readable, 1000))
    assert same
    assert len(theirs) == 1
    assert theirs != [ours.process.pid]
    assert inspect(path) == before
    assert set(pool.READERS.all) == {ours}


def test_the_child_knows_no_secrets(write: Callable, own_reader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush")
    inspect(write(card()))
    [reader] = pool.READERS.all
    assert psutil.Process(reader.process.pid).environ() == {}


MAY_LEAVE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"


def test_the_child_has_no_network(write: Callable, own_reader: None) -> None:
    if subprocess.run([sys.executable, "-c", MAY_LEAVE], check=False).returncode:
        pytest.skip("this kernel lets nobody leave its network")
    inspect(write(card()))
    [reader] = pool.READERS.all
    table = Path(f"/proc/{reader.process.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in table] == ["lo"]


# --- previews ---------------------------------------------------------------------------------------
def test_previews_of_the_first_pages_are_made(write: Callable, tmp_path: Path) -> None:
    facts = inspect(write(card(pages=5)), previews=tmp_path / "seen")
    assert [(one["page"], one["file"]) for one in facts["previews"]] == [
        (1, "page-1.jpg"),
        (2, "page-2.jpg"),
        (3, "page-3.jpg"),
    ]
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == ["page-1.jpg", "page-2.jpg", "page-3.jpg"]
    first = facts["previews"][0]
    with Image.open(tmp_path / "seen" / "page-1.jpg") as image:
        assert image.format == "JPEG"
        assert image.size == (first["width"], first["height"])
        assert max(image.size) == 600
    assert first["box"] == facts["pages"][0]["media"]
    assert inspect(write(card(pages=5)))["previews"] == []


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "RGBA", "P", "L", "I;16", "1"])
def test_a_raster_of_any_mode_has_a_preview(write: Callable, tmp_path: Path, mode: str) -> None:
    facts = inspect(write(raster("TIFF", (1200, 800), mode=mode)), previews=tmp_path / "seen")
    assert [(one["width"], one["height"]) for one in facts["previews"]] == [(600, 400)]


def test_paint_that_stops_at_the_trim_is_seen(write: Callable, tmp_path: Path) -> None:
    left, bottom, right, top = inspect(write(card()))["pages"][0]["trim"]
    ground = b"0 0.5 0.5 0 k %f %f %f %f re f" % (left, bottom, right - left, top - bottom)
    assert codes(inspect(write(card(ground)), previews=tmp_path / "seen")) == {"PAGE_BLEED_EMPTY": "warning"}
    assert codes(inspect(write(card()), previews=tmp_path / "seen"), CARD) == {}


def test_a_preview_that_cannot_be_made_is_no_failure_of_the_facts(write: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    (folder / "page-1.jpg").mkdir(parents=True)
    facts = inspect(write(card()), previews=folder)
    assert facts["previews"] == []
    assert codes(facts) == {}


# --- limits -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("limit", "said"), [
    ("MEMORY = 300 << 20", {"code": "SYS_MEMORY", "what": "reading took too much memory"}),
    ("CPU_SECONDS = 1", {"code": "SYS_TIMEOUT", "what": "reading took too long"})])  # fmt: skip
def test_a_child_ends_at_its_limits(write: Callable, limit: str, said: dict[str, str]) -> None:
    path = write(card(b"12 q Q " * 3_000_000))
    reader = subprocess.Popen([sys.executable, "-c", f"from intake.preflight import child; child.{limit}; child.main()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=owner.ROOT)  # fmt: skip
    with reader:
        reader.stdin.write(json.dumps({"path": str(path), "previews": None, "seconds": 30}).encode() + b"\n")
        reader.stdin.flush()
        assert json.loads(reader.stdout.readline())[0] == said
        reader.stdin.close()
        assert reader.wait(10) == 0
