"""A file of the folder as it is read: copied whole, then taken apart into its orders."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings

from gelatoconnect.lib import storage
from gelatoconnect.lib.archives import Limits, is_whole, opened
from gelatoconnect.lib.places import Entry, Place
from gelatoconnect.lib.problems import Problem, Rejected
from intake.connectors.base import Incoming
from intake.connectors.folder.parts import BUNDLE, MAX_BYTES, Part, kind_of_file, parts_of, parts_of_bundle

KEPT_OF_REFUSED = 64 * 1024  # bytes of a file that cannot be taken apart, shown with its request
# What is said of a file whose end has not arrived yet.
_EARLY = {"JSON_MALFORMED", "JSON_ENCODING", "XML_MALFORMED", "FILE_EMPTY", "TABLE_EMPTY"}


@dataclass(slots=True)
class OrderFile:
    """A file that has been read. content: a copy; names: of the print files of each order;
    refusal: why it cannot be understood as a whole."""

    name: str
    sha256: str
    content: Path
    parts: list[Part] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)
    refusal: Rejected | None = None

    @property
    def is_bundle(self) -> bool:
        return self.name.lower().endswith(BUNDLE)

    @property
    def keys(self) -> list[str]:
        """Of its orders: the same content is the same order, whatever the file is called."""
        return [f"{self.sha256}:{number}" for number in range(1, len(self.parts) + 1)]

    @property
    def ends_early(self) -> bool:
        """Whether it may be the beginning of a file: archives have their list at the end, JSON and XML close."""
        if self.is_bundle:
            return not is_whole(self.content)
        return self.refusal is not None and any(problem.code in _EARLY for problem in self.refusal.problems)


@contextmanager
def reading(
    place: Place, path: str, entry: Entry, *, name: str, mapped: bool, group_by: str
) -> Iterator[OrderFile | None]:
    """The file's content and what it holds, until the block ends; None when it has gone meanwhile."""
    most = settings.FETCH_MAX_BYTES if name.lower().endswith(BUNDLE) else MAX_BYTES
    with tempfile.NamedTemporaryFile(dir=storage.incoming_dir(), prefix="folder-") as kept:
        content = Path(kept.name)
        if entry.size > most:
            problem = Problem("FILE_TOO_LARGE", f"The file is larger than {most // 1024**2:,} MiB.",
                              hint="Send fewer orders in one file.")  # fmt: skip
            yield OrderFile(name, hashlib.sha256(name.encode()).hexdigest(), content, refusal=Rejected([problem]))
            return
        if not place.read(path, cast(BinaryIO, kept), max_bytes=most):
            yield None
            return
        kept.flush()
        with content.open("rb") as read:
            file = OrderFile(name, hashlib.file_digest(read, "sha256").hexdigest(), content)
        _take_apart(file, mapped=mapped, group_by=group_by)
        yield file


def _take_apart(file: OrderFile, *, mapped: bool, group_by: str) -> None:
    try:
        if file.is_bundle:
            with opened(file.content, limits=limits()) as archive:
                file.parts = parts_of_bundle(archive, into=storage.incoming_dir(), mapped=mapped, group_by=group_by)
        else:
            file.parts = parts_of(file.content.read_bytes(), name=file.name, mapped=mapped, group_by=group_by)
    except Rejected as refusal:
        file.refusal = refusal


def limits() -> Limits:
    """Of what an archive may unpack to."""
    return Limits(one=settings.FETCH_MAX_BYTES, total=2 * settings.FETCH_MAX_BYTES)


def refused(file: OrderFile, refusal: Rejected) -> Incoming:
    """A file that cannot be taken apart is a request too: its beginning, and what is wrong with it."""
    with file.content.open("rb") as content:
        body = b"" if file.is_bundle else content.read(KEPT_OF_REFUSED)
    headers = {
        "file-name": file.name, "file-sha256": file.sha256, "body-sha256": hashlib.sha256(body).hexdigest(),
        "file-refused": json.dumps([problem.as_dict() for problem in refusal.problems]),
    }  # fmt: skip
    return Incoming(
        body, headers, kind_of_file(file.name) if body else "text/plain", topic=file.name, key=f"{file.sha256}:0"
    )
