"""The file that a backup is: a tar with the database, every file, manifest.json and, last, SHA256SUMS.

It appears under its name when it is whole and on the disk. Reading one back believes nothing in it: names are matched
against the few that there can be, and every byte against its sum.
"""

import hashlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from django.conf import settings

from gelatoconnect.backups.databases import POSTGRESQL, SQLITE, Impossible

MANIFEST, SUMS, SECRET = "manifest.json", "SHA256SUMS", "secret_key"
FOLDERS = ("blobs", "previews")
BLOB = re.compile(r"files/blobs/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")
PREVIEW = re.compile(r"files/previews/([0-9a-f]{2})/(\1[0-9a-f]{62})/[A-Za-z0-9_-][A-Za-z0-9_.-]*")
PIECE = 1024 * 1024
LARGEST_WORDS = 1 << 30  # bytes of the manifest, or of the sums


@dataclass
class Manifest:
    """What a backup says of itself. sealed: a word that only the right ENCRYPTION_KEYS can read."""

    made_at: str
    version: str
    database: str
    migrations: list[list[str]]
    sealed: str
    files: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)


class Hashing:
    """A file that is read once, and what its bytes add up to."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.sum = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self.file.read(size)
        self.sum.update(piece)
        return piece


# --- writing ----------------------------------------------------------------------------------------------
@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its name when all went well, and is gone otherwise; for its owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        _name(part, path)
        handle = os.open(path.parent, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    finally:
        part.unlink(missing_ok=True)


def _name(part: Path, path: Path) -> None:
    """Never over another one, where the volume knows how to say so."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        os.rename(part, path)


class Writer:
    """Adds members to a tar, and their sums."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.tar, self.sums = tar, {}  # type: tarfile.TarFile, dict[str, str]

    def add(self, name: str, path: Path) -> int | None:
        """Its size in bytes; None when the file is gone, which is no fault of a file that was erased."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        with file:
            member = tarfile.TarInfo(name)
            member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
            member.mtime = int(os.fstat(file.fileno()).st_mtime)
            hashing = Hashing(file)
            self.tar.addfile(member, hashing)  # type: ignore[arg-type]
        self.sums[name] = hashing.sum.hexdigest()
        return member.size

    def add_text(self, name: str, text: str) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            self.add(name, Path(file.name))


def kept_files() -> Iterator[tuple[str, Path]]:
    """Every content and every preview, by their names in a backup."""
    for folder in FOLDERS:
        for path in sorted((settings.FILES_DIR / folder).rglob("*")):
            name = f"files/{path.relative_to(settings.FILES_DIR).as_posix()}"
            if path.is_file() and (BLOB.fullmatch(name) or PREVIEW.fullmatch(name)):
                yield name, path


def write(target: Path, manifest: Manifest, *, database: Path, secret: Path | None) -> None:
    """All of a backup but its database is written here; that lies ready in `database`."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        writer = Writer(tar)
        manifest.bytes += writer.add(manifest.database, database) or 0
        for name, path in kept_files():
            size = writer.add(name, path)
            if size is None:
                continue
            manifest.files += 1
            manifest.bytes += size
            if (blob := BLOB.fullmatch(name)) and blob[3] != writer.sums[name]:
                manifest.damaged.append(name)
        if secret is not None:
            writer.add(SECRET, secret)
        writer.add_text(MANIFEST, json.dumps(asdict(manifest), indent=1))
        writer.add_text(SUMS, "".join(f"{sum}  {name}\n" for name, sum in writer.sums.items()))


# --- reading ----------------------------------------------------------------------------------------------
class Reader:
    """A backup that is there. Raises Impossible when it is none, or not whole."""

    def __init__(self, path: Path) -> None:
        try:
            self.tar = tarfile.open(path, "r:")  # noqa: SIM115
            members = self.tar.getmembers()
        except FileNotFoundError:
            raise Impossible(f"There is no file {path}.") from None
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Impossible(f"{path.name} is no backup, or not whole: {error}") from None
        self.members = {member.name: member for member in members}
        if len(self.members) != len(members) or SUMS not in self.members or MANIFEST not in self.members:
            raise Impossible(f"{path.name} is no backup, or not whole.")
        for member in members:
            _refuse_unless_known(member)
        self.sums = dict(_sum_line(line) for line in self._words(SUMS).splitlines())
        if set(self.sums) != set(self.members) - {SUMS}:
            raise Impossible(f"{path.name} does not hold what its sums speak of.")
        self.manifest = self._manifest()

    def _words(self, name: str) -> str:
        member = self.members[name]
        if member.size > LARGEST_WORDS:
            raise Impossible(f"{name} is too large.")
        file = self.tar.extractfile(member)
        return file.read().decode() if file else ""

    def _manifest(self) -> Manifest:
        words = self._words(MANIFEST)
        if hashlib.sha256(words.encode()).hexdigest() != self.sums[MANIFEST]:
            raise Impossible("The manifest is damaged.")
        try:
            manifest = Manifest(**json.loads(words))
        except (TypeError, ValueError):
            raise Impossible("The manifest cannot be read: is the backup of a newer version?") from None
        if manifest.database not in (SQLITE, POSTGRESQL) or manifest.database not in self.members:
            raise Impossible("There is no database in it.")
        return manifest

    def names(self) -> list[str]:
        """Its files, without the words about them."""
        return [name for name in self.members if name not in (MANIFEST, SUMS, SECRET, self.manifest.database)]

    def take_out(self, name: str, target: Path) -> None:
        """One member into a new file, its sum compared. Raises Impossible."""
        source, sum = self.tar.extractfile(self.members[name]), hashlib.sha256()
        assert source is not None
        with source, target.open("wb") as file:
            while piece := source.read(PIECE):
                sum.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        blob = BLOB.fullmatch(name)
        if sum.hexdigest() != self.sums[name] or (
            blob and blob[3] != sum.hexdigest() and name not in self.manifest.damaged
        ):
            target.unlink()
            raise Impossible(f"{name} is damaged: what was written is not what is there.")

    def close(self) -> None:
        self.tar.close()


def _refuse_unless_known(member: tarfile.TarInfo) -> None:
    known = (SQLITE, POSTGRESQL, SECRET, MANIFEST, SUMS)
    if not member.isreg() or not (
        member.name in known or BLOB.fullmatch(member.name) or PREVIEW.fullmatch(member.name)
    ):
        raise Impossible(f"{member.name!r} has no place in a backup.")


def _sum_line(line: str) -> tuple[str, str]:
    sum, _, name = line.partition("  ")
    return name, sum
