"""A folder of this machine, below FOLDERS_ROOT.

Every step of a path is opened by itself and no link is followed, so that nobody who may write in the folder can lead us
out of it, not even between two steps.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from gelatoconnect.lib.places.base import MOST_ENTRIES, Account, Entry, Failed, Place, steps, too_large, too_many

PIECE = 256 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe without a writer would be waited for


class Local(Place):
    def __init__(self, account: Account, *, seconds: float) -> None:
        self._root = Path(settings.FOLDERS_ROOT).resolve()
        self._steps = steps(_below_root(account.path, self._root))
        with _failures_told(account.path):
            self._root.mkdir(parents=True, exist_ok=True)
        self.make_folder("")

    def entries(self, folder: str = "") -> list[Entry]:
        found: list[Entry] = []
        with (
            _failures_told(folder), suppress(FileNotFoundError), self._opened(steps(folder)) as descriptor,
            os.scandir(descriptor) as inside,
        ):  # fmt: skip
            for each in inside:
                if len(found) >= MOST_ENTRIES:
                    raise too_many(folder)
                with suppress(FileNotFoundError):  # it has gone meanwhile
                    if entry := _entry(each.name, each.stat(follow_symlinks=False)):
                        found.append(entry)
        return found

    def find(self, path: str) -> Entry | None:
        with _failures_told(path), suppress(FileNotFoundError), self._at(path) as (descriptor, name):
            entry = _entry(name, os.stat(name, dir_fd=descriptor, follow_symlinks=False))
            return None if entry is None or entry.is_folder else entry
        return None

    def read(self, path: str, into: BinaryIO, *, max_bytes: int) -> bool:
        with _failures_told(path), suppress(FileNotFoundError), self._at(path) as (descriptor, name):
            with open(os.open(name, _FILE, dir_fd=descriptor), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise Failed("FOLDER_NO_FILE", f"{path!r} is no file.")
                left = max_bytes  # it may grow while it is read
                while piece := file.read(PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise too_large(path, max_bytes)
                    into.write(piece)
            return True
        return False

    def write(self, path: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            _failures_told(path), self._at(path) as (descriptor, name),
            open(os.open(name, flags, 0o660, dir_fd=descriptor), "wb") as file,
        ):  # fmt: skip
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> bool:
        with _failures_told(old), self._at(new) as (there, new_name):
            try:
                with self._at(old) as (here, old_name):
                    os.rename(old_name, new_name, src_dir_fd=here, dst_dir_fd=there)
            except FileNotFoundError:
                return False
        return True

    def remove(self, path: str) -> bool:
        try:
            with _failures_told(path), self._at(path) as (descriptor, name):
                os.unlink(name, dir_fd=descriptor)
        except Failed as failure:
            if isinstance(failure.__cause__, FileNotFoundError):
                return False
            raise
        return True

    def make_folder(self, folder: str) -> None:
        with _failures_told(folder):
            above = os.open(self._root, _FOLDER)
            for step in [*self._steps, *steps(folder)]:
                try:
                    with suppress(FileExistsError):
                        os.mkdir(step, 0o770, dir_fd=above)
                    below = os.open(step, _FOLDER, dir_fd=above)
                finally:
                    os.close(above)
                above = below
            os.close(above)

    def close(self) -> None:
        pass

    @contextmanager
    def _opened(self, path: list[str]) -> Iterator[int]:
        """The folder with this path. Raises OSError, for a link too."""
        descriptor = os.open(self._root, _FOLDER)
        try:
            for step in [*self._steps, *path]:
                below = os.open(step, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _at(self, path: str) -> Iterator[tuple[int, str]]:
        *above, name = steps(path)
        with self._opened(above) as descriptor:
            yield descriptor, name


def _below_root(path: str, root: Path) -> str:
    """The path relative to the root, whichever way it is written. Raises Failed unless it lies below."""
    inside = path
    if path.startswith("/"):
        if path != str(root) and not path.startswith(f"{root}/"):
            raise Failed("FOLDER_OUTSIDE", f"The folder must lie below {root}: write its path from there. "
                         "The operator can set another FOLDERS_ROOT.")  # fmt: skip
        inside = path[len(str(root)) :]
    if not steps(inside):
        raise Failed("FOLDER_OUTSIDE", f"Name a folder below {root}, such as acme.")
    return inside


def _entry(name: str, status: os.stat_result) -> Entry | None:
    if stat.S_ISDIR(status.st_mode):
        return Entry(name, changed=status.st_mtime, is_folder=True)
    return Entry(name, status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _failures_told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{path!r}" if path else "The folder"
        if isinstance(error, PermissionError):
            raise Failed("FOLDER_FORBIDDEN", f"{where} may not be read or written by this system: {error.strerror}. "
                         "Give its user the right to.") from error  # fmt: skip
        raise Failed("FOLDER_UNREADABLE", f"{where} cannot be used: {error.strerror}. "
                     "Links are not followed.") from error  # fmt: skip
