"""What the preflight tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from intake.preflight import Facts
from intake.preflight.reader import read_file


@pytest.fixture
def look(tmp_path: Path) -> Callable[[bytes], Facts]:
    """The facts of a file with this content."""

    def facts_of(content: bytes) -> Facts:
        path = tmp_path / "file"
        path.write_bytes(content)
        return read_file(path)

    return facts_of
