"""The short version of `python -m bench.faults points`: killed once at each place, in real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ["take.committed", "deliver.claimed", "deliver.begun", "deliver.done", "wake", "move.done", "import.taken",
          "folder.claimed", "folder.committed", "aside.committed"]  # fmt: skip


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="processes are forked")
def test_nothing_is_lost_and_nothing_done_twice_wherever_the_process_is_killed(tmp_path: Path) -> None:
    report = tmp_path / "points.json"
    command = [sys.executable, "-m", "bench.faults", "points", "--times", "1", "--database", "sqlite", "--json", report]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    figures = json.loads(report.read_text())
    found = [dict(zip(figures["points"][0]["headings"], row, strict=True)) for row in figures["points"][0]["rows"]]
    assert [(each["place"], each["deaths"], each["wrong"]) for each in found] == [(place, 1, 0) for place in PLACES]
