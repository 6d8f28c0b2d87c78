"""ZIP archives from strangers: looked through before anything is unpacked, then unpacked member by member, with caps.

Refused as a whole: names that lead out of the archive, links, encrypted members, archives inside, two members of one
name, members that share their bytes, more or larger members than allowed, and what unpacks to far more than it is.
Nothing is ever written under a member's own name.
"""

import hashlib
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gelatoconnect.lib.problems import Problem, Rejected

PIECE = 256 * 1024
MAX_DIRECTORY = 4 * 1024 * 1024  # bytes of the list of members
FREE_BYTES = 1024 * 1024  # a member of no more than this may be as empty as it likes
MAX_RATIO = 200  # unpacked bytes for each packed one; print files hardly ever reach 50
MAX_NAME = 240  # characters
_NESTED = (b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_NESTED_NAME = re.compile(r"\.(zip|zipx|jar|rar|7z|gz|tgz|bz2|xz|zst|tar|cab|iso|arj|lzh)$", re.IGNORECASE)
_END = b"PK\x05\x06"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@dataclass(frozen=True, slots=True)
class Limits:
    """members: how many; one, total: unpacked bytes of each and of all."""

    members: int = 500
    one: int = 1024**3
    total: int = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Member:
    """name: its path in the archive, with slashes, in Unicode's composed form. size: as the archive says, in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Unpacked:
    path: Path
    size: int
    sha256: str


class Archive:
    """An archive that has been looked through. Members are read one at a time."""

    def __init__(self, file: zipfile.ZipFile, limits: Limits) -> None:
        self._file, self._limits, self._read = file, limits, 0
        self._infos = {_name_of(info): info for info in file.infolist() if not info.is_dir()}
        self.members = [Member(name, info.file_size) for name, info in self._infos.items()]

    def unpack(self, name: str, *, into: Path) -> Unpacked:
        """A member as a new file in `into`, which the caller owns. Raises Rejected, and then nothing is kept."""
        info, size, digest = self._infos[name], 0, hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=into, prefix="member-", delete=False) as kept:
            try:
                with self._file.open(info) as packed:
                    while piece := packed.read(PIECE):
                        if not size and piece.startswith(_NESTED):
                            _refuse_nested(name)
                        size += len(piece)
                        self._count(name, size, len(piece), info)
                        digest.update(piece)
                        kept.write(piece)
            except BaseException as error:
                Path(kept.name).unlink()
                if isinstance(
                    error, (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
                ):
                    _refuse(
                        "ARCHIVE_DAMAGED", f"{name!r} cannot be unpacked: {str(error)[:100]}.", "Make the archive anew."
                    )
                raise
        return Unpacked(Path(kept.name), size, digest.hexdigest())

    def _count(self, name: str, size: int, more: int, info: zipfile.ZipInfo) -> None:
        """What was unpacked counts, whatever the archive says."""
        self._read += more
        if size > self._limits.one or self._read > self._limits.total or _is_bomb(size, info.compress_size):
            _refuse_bomb(name)


@contextmanager
def opened(path: Path, *, limits: Limits) -> Iterator[Archive]:
    """The archive in this file. Raises Rejected with the first thing that is wrong with it."""
    _look_at_end(path, limits)
    try:
        file = zipfile.ZipFile(path)
    except (
        zipfile.BadZipFile,
        UnicodeError,
        ValueError,
        EOFError,
        struct.error,
        NotImplementedError,
        OSError,
    ) as error:
        _refuse(
            "ARCHIVE_DAMAGED", f"It is no ZIP archive that can be read: {str(error)[:100]}.", "Make the archive anew."
        )
    with file:
        _look_through(file, path.stat().st_size, limits)
        yield Archive(file, limits)


def is_whole(path: Path) -> bool:
    """Whether it ends as an archive does: its list of members is written last."""
    return _end_of(path) is not None


def _end_of(path: Path) -> tuple[int, int, bytes] | None:
    """How many members the list has, how many bytes it is, and what stands before its end; None: there is no end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 65_557 - 20))
        tail = file.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        return None
    _, _, _, _, count, length, _, comment = struct.unpack("<4sHHHHIIH", tail[place : place + 22])
    if len(tail) != place + 22 + comment:
        return None
    return count, length, tail[max(0, place - 20) : place]


def _look_at_end(path: Path, limits: Limits) -> None:
    """Before the list of members is read into memory."""
    found = _end_of(path)
    if found is None:
        _refuse(
            "ARCHIVE_DAMAGED", "It does not end as a ZIP archive does.", "Make the archive anew, and send it whole."
        )
    count, length, before = found
    if before.startswith(b"PK\x06\x07") or count == 0xFFFF or length == 0xFFFFFFFF:
        _refuse("ARCHIVE_TOO_LARGE", "It is a ZIP64 archive.", "Send smaller archives.")
    if count > limits.members or length > MAX_DIRECTORY:
        _refuse_many(limits)


def _look_through(file: zipfile.ZipFile, size: int, limits: Limits) -> None:
    infos, names = file.infolist(), set()
    if len(infos) > limits.members:
        _refuse_many(limits)
    for info in infos:
        name = _name_of(info)
        _look_at(info, name, limits)
        if (folded := name.casefold()) in names:
            _refuse(
                "ARCHIVE_NAME_TWICE", f"Two members are called {name[:100]!r}.", "Give each file a name of its own."
            )
        names.add(folded)
    if sum(info.file_size for info in infos) > limits.total:
        _refuse("ARCHIVE_TOO_LARGE", f"Unpacked it is larger than {limits.total:,} bytes.", "Send smaller archives.")
    starts = [info.header_offset for info in infos]
    if len(set(starts)) < len(starts) or sum(info.compress_size for info in infos) > size:
        _refuse("ARCHIVE_OVERLAPS", "Members share their bytes, as in an archive that is made to explode.",
                "Make the archive anew.")  # fmt: skip


def _look_at(info: zipfile.ZipInfo, name: str, limits: Limits) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
        _refuse("ARCHIVE_LINK", f"{name[:100]!r} is a link or a device.", "Put the files themselves into the archive.")
    if info.flag_bits & 0x1:
        _refuse("ARCHIVE_ENCRYPTED", f"{name[:100]!r} is encrypted.", "Send the archive without a password.")
    if info.is_dir():
        return
    if _NESTED_NAME.search(name):
        _refuse_nested(name)
    if info.compress_type not in _METHODS:
        _refuse("ARCHIVE_METHOD", f"{name[:100]!r} is packed by a method other than deflate.", "Pack it as plain ZIP.")
    if info.file_size > limits.one or _is_bomb(info.file_size, info.compress_size):
        _refuse_bomb(name)


def _name_of(info: zipfile.ZipInfo) -> str:
    """The member's path with slashes. Raises Rejected when it leads anywhere else, on whatever system."""
    name = unicodedata.normalize("NFC", info.orig_filename.replace("\\", "/"))
    steps = name.removesuffix("/").split("/")
    wrong = re.match(r"[A-Za-z]:", name) or name.startswith("/") or not all(steps) or {".", ".."} & set(steps)
    if wrong or len(name) > MAX_NAME or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
        _refuse("ARCHIVE_NAME", f"The member {name[:100]!r} has a name that leads out of the archive, or cannot be shown.",
                "Pack files by names of their own, without ../, drives, or control characters.")  # fmt: skip
    return name


def _is_bomb(size: int, packed: int) -> bool:
    return size > FREE_BYTES and size > MAX_RATIO * max(packed, 1)


def _refuse_bomb(name: str) -> NoReturn:
    _refuse("ARCHIVE_BOMB", f"{name[:100]!r} unpacks to more than is believable or allowed.",
            "Send the file outside of an archive.")  # fmt: skip


def _refuse_nested(name: str) -> NoReturn:
    _refuse("ARCHIVE_NESTED", f"{name[:100]!r} is an archive inside the archive.", "Put the files into one archive.")


def _refuse_many(limits: Limits) -> NoReturn:
    _refuse("ARCHIVE_TOO_MANY", f"It has more than {limits.members} members.", "Send several archives.")


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise Rejected([Problem(code, message, hint=hint)])
