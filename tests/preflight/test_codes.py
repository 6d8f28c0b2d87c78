"""Codes are said as they are documented, in words that a customer understands."""

import re
from pathlib import Path

from intake.preflight.judging.codes import CODES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "preflight.md"
ROW = re.compile(r"^\| ((?:[A-Z][A-Z0-9_]+ ?)+)\| ([EWI]) \|", re.MULTILINE)
LETTERS = {"error": "E", "warning": "W", "info": "I"}


def test_the_page_lists_every_code_with_its_severity() -> None:
    listed = {code: severity for codes, severity in ROW.findall(PAGE.read_text()) for code in codes.split()}
    assert listed == {code: LETTERS[said.severity] for code, said in CODES.items()}


def test_every_text_is_a_sentence() -> None:
    assert [code for code, said in CODES.items() if not (said.message.endswith(".") and said.hint.endswith("."))] == []
