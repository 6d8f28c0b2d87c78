"""`manage.py preflight`: what it says of files and folders, to people and to machines, and how it ends."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pikepdf import Name

from gelatoconnect import specimens
from gelatoconnect.management.commands.preflight import readable, watched
from tests.preflight.samples import GOOD, card, embedded_font, raster

RED, GREEN, PLAIN = "\x1b[31;1m", "\x1b[32;1m", "\x1b[0m"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good and bad files, one of them a folder deeper, and one that is hidden."""
    (tmp_path / "files" / "deeper").mkdir(parents=True)
    (tmp_path / "files" / "a.pdf").write_bytes(card())
    (tmp_path / "files" / "b.txt").write_bytes(b"no print file")
    (tmp_path / "files" / ".hidden").write_bytes(b"")
    (tmp_path / "files" / "deeper" / "c.pdf").write_bytes(card(bleed=0))
    return tmp_path / "files"


def run(*arguments: Any, **options: Any) -> tuple[list[str], int]:
    """The lines that are said, and the exit status."""
    said = StringIO()
    try:
        call_command("preflight", *map(str, arguments), stdout=said, **options)
    except SystemExit as end:
        return said.getvalue().splitlines(), int(end.code or 0)
    return said.getvalue().splitlines(), 0


def documents(*arguments: Any) -> dict[str, Any]:
    """File name → its JSON document."""
    lines, _ = run(*arguments, "--json")
    found = [json.loads(line) for line in lines]
    return {Path(each["file"]).name: each for each in found}


def codes(document: dict[str, Any], severity: str = "error") -> list[str]:
    return [problem["code"] for problem in document["problems"] if problem["severity"] == severity]


def test_a_good_file_passes(tmp_path: Path) -> None:
    (tmp_path / "card.pdf").write_bytes(card())
    lines, status = run(tmp_path / "card.pdf")
    assert (lines[0], status) == (f"{tmp_path}/card.pdf (pdf, 1 page): passed", 0)


def test_a_bad_file_fails_with_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "card.pdf").write_bytes(card(bleed=0))
    lines, status = run(tmp_path / "card.pdf")
    assert (lines[:3], status) == (
        [
            f"{tmp_path}/card.pdf (pdf, 1 page): failed",
            "  error   Page 1: There is no bleed; 3 mm are needed on every side. [PAGE_BLEED_MISSING]",
            "          Let backgrounds and images run 3 mm beyond the trim and export with that bleed.",
        ],
        1,
    )


def test_a_warning_does_not_fail(tmp_path: Path) -> None:
    (tmp_path / "card.jpg").write_bytes(card())
    lines, status = run(tmp_path / "card.jpg")
    assert (lines[0], status) == (f"{tmp_path}/card.jpg (pdf, 1 page): warned", 0)
    assert "[FILE_TYPE_MISMATCH]" in lines[1]


def test_folders_are_searched_through_and_what_is_hidden_is_left_out(folder: Path) -> None:
    lines, status = run(folder)
    assert [line for line in lines if not line.startswith("  ")] == [
        f"{folder}/a.pdf (pdf, 1 page): passed",
        f"{folder}/b.txt (unknown): failed",
        f"{folder}/deeper/c.pdf (pdf, 1 page): failed",
        "3 files: 2 failed, 1 passed.",
    ]
    assert status == 1


def test_machines_read_a_document_on_each_line(folder: Path) -> None:
    found = documents(folder)
    assert {name: (each["verdict"], each["format"], each["pageCount"]) for name, each in found.items()} == {
        "a.pdf": ("passed", "pdf", 1), "b.txt": ("failed", "unknown", 0), "c.pdf": ("failed", "pdf", 1),
    }  # fmt: skip
    assert codes(found["c.pdf"]) == ["PAGE_BLEED_MISSING"]


def test_without_a_product_any_size_and_number_of_pages_passes(tmp_path: Path) -> None:
    (tmp_path / "odd.pdf").write_bytes(card(trim=(61, 83), pages=7))
    assert run(tmp_path / "odd.pdf")[1] == 0


def test_a_product_demands_its_size_and_pages(tmp_path: Path, product: Any) -> None:
    (tmp_path / "odd.pdf").write_bytes(card(trim=(61, 83), pages=7))
    found = documents(tmp_path / "odd.pdf", "--product", product.uid)
    assert sorted(codes(found["odd.pdf"])) == ["PAGE_COUNT_MISMATCH", "PAGE_SIZE_MISMATCH"]


def test_a_profile_brings_its_thresholds_with_a_product_and_without(tmp_path: Path, product: Any) -> None:
    path = tmp_path / "rgb.pdf"
    path.write_bytes(card(b"0.5 0 0 rg " + GOOD[GOOD.index(b"k ") + 2 :]))
    for arguments in ([], ["--product", product.uid]):
        assert codes(documents(path, *arguments)["rgb.pdf"]) == []
        assert codes(documents(path, *arguments, "--profile", "sheetfed")["rgb.pdf"]) == ["COLOR_RGB_USED"]


def test_what_only_a_picture_shows_is_seen(tmp_path: Path) -> None:
    (tmp_path / "blank.png").write_bytes(raster("PNG", (1200, 1200), mode="L"))
    (tmp_path / "blank.pdf").write_bytes(card(b"0 0 0 0 k -50 -50 5000 5000 re f"))
    assert codes(documents(tmp_path)["blank.pdf"], "warning") == ["PAGE_BLANK"]


@pytest.mark.parametrize(
    "arguments", [["nowhere.pdf"], ["{}", "nowhere.pdf"], ["{}/empty"], ["{}", "--product", "nothing"]]
)
def test_what_cannot_be_judged_ends_with_another_status_and_says_nothing(
    db: None, folder: Path, arguments: list[str]
) -> None:
    (folder / "empty").mkdir()
    said = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("preflight", *(argument.format(folder) for argument in arguments), stdout=said)
    assert (refused.value.returncode, said.getvalue()) == (2, "")


def test_a_file_that_may_not_be_read_fails_and_the_others_are_judged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intake import preflight

    inspect = preflight.inspect

    def locked(path: Path, **more: Any) -> Any:
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied")
        return inspect(path, **more)

    monkeypatch.setattr(preflight, "inspect", locked)
    found = documents(folder)
    assert (codes(found["b.txt"]), found["a.pdf"]["verdict"]) == (["FILE_UNREADABLE"], "passed")


def test_verdicts_are_coloured_on_a_terminal_only(folder: Path) -> None:
    coloured, plain = run(folder, force_color=True)[0], run(folder)[0]
    assert coloured[0] == f"{folder}/a.pdf (pdf, 1 page): {GREEN}passed{PLAIN}"
    assert f"{folder}/b.txt (unknown): {RED}failed{PLAIN}" in coloured
    assert "\x1b" not in "".join(plain)


def test_names_from_files_do_not_steer_the_terminal(tmp_path: Path) -> None:
    def renamed(pdf: Any) -> None:
        font = embedded_font(pdf)
        del font.FontDescriptor
        font.BaseFont = Name("/Evil\x1b]0;owned\x07")
        pdf.pages[0].Resources.Font.F1 = font

    (tmp_path / "a\x1b[2Jb.pdf").write_bytes(card(change=renamed))
    lines, status = run(tmp_path)
    assert lines[0] == f"{tmp_path}/a�[2Jb.pdf (pdf, 1 page): failed"
    assert status == 1
    assert "Evil�]0;owned�" in lines[1]
    assert "\x1b" not in "".join(lines)


def test_a_name_that_is_no_text_is_shown_as_well_as_it_can_be(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.pdf", "wb") as file:
        file.write(card())
    lines, status = run(tmp_path)
    assert (lines[0], status) == (f"{tmp_path}/�.pdf (pdf, 1 page): passed", 0)
    assert readable("Ünïcode 日本") == "Ünïcode 日本"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("total", "said"), [(3, "\r\x1b[K1 of 3 …\r\x1b[K2 of 3 …\r\x1b[K"), (1, "")])
def test_progress_is_counted_on_a_terminal_while_there_are_several(
    monkeypatch: pytest.MonkeyPatch, total: int, said: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(watched(iter("abc"[:total]), total=total)) == list("abc"[:total])  # type: ignore[arg-type]
    assert terminal.getvalue() == said


def test_it_needs_no_database_and_leaves_silence_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "card.pdf").write_bytes(specimens.pdf(bleed=0))
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "manage.py", "preflight", str(tmp_path / "card.pdf"), "--json"]
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")
    assert json.loads(done.stdout)["verdict"] == "failed"
    assert not (tmp_path / "data" / "gelatoconnect.sqlite3").exists()
