"""What a place is, whatever it speaks."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

MOST_ENTRIES = 100_000  # of one folder that are looked at
_PERMANENT = {"FOLDER_OUTSIDE", "FOLDER_HOST", "FOLDER_HOST_KEY", "FOLDER_CERTIFICATE", "FOLDER_LOGIN", "FOLDER_KEY"}


class Failed(Exception):
    """A place that could not be visited, or did not do what it was asked.

    code       UPPER_SNAKE, stable for ever.
    message    what happened and how to mend it, in sentences for whoever set the place up.
    permanent  trying again is useless until somebody changes the settings.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.permanent = code in _PERMANENT

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Account:
    """A folder, and how to get to it.

    port         0: the protocol's own
    path         the folder, as its server names it; on this machine below FOLDERS_ROOT
    private_key  for SFTP, in OpenSSH's or PEM format; with its passphrase, or without
    host_key     for SFTP: the server's, as "ssh-ed25519 AAAA…" or "SHA256:…"
    certificate  for FTPS: the SHA-256 of the server's, in hex; empty: it is verified as browsers do
    """

    kind: Literal["local", "ftp", "ftps", "sftp"] = "local"
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    private_key: str = ""
    passphrase: str = ""
    host_key: str = ""
    certificate: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies in a folder. size in bytes; changed: seconds since 1970, by the clock of where it lies."""

    name: str
    size: int = 0
    changed: float = 0.0
    is_folder: bool = False


class Place(ABC):
    """A folder that is visited. Paths are relative to it, with slashes. Whatever fails raises Failed."""

    @abstractmethod
    def __init__(self, account: Account, *, seconds: float) -> None:
        """Connect, where there is somewhere to connect to."""

    @abstractmethod
    def entries(self, folder: str = "") -> list[Entry]:
        """Files and folders in it, neither links nor anything else; of a folder that is not there: none."""

    @abstractmethod
    def find(self, path: str) -> Entry | None:
        """The file with this path, as it is now."""

    @abstractmethod
    def read(self, path: str, into: BinaryIO, *, max_bytes: int) -> bool:
        """Copy a whole file; False when it is not there any more."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Make a file, or replace it, in place: write beside and rename, where somebody else may be reading."""

    @abstractmethod
    def rename(self, old: str, new: str) -> bool:
        """Move a file, at once or not at all. False when it is not there any more: of several who move it, one does."""

    @abstractmethod
    def remove(self, path: str) -> bool:
        """Delete a file; False when it is not there any more."""

    @abstractmethod
    def make_folder(self, folder: str) -> None:
        """With those above it; nothing happens when it is there."""

    @abstractmethod
    def close(self) -> None:
        """Leave; never raises."""


def is_one_step(name: str) -> bool:
    """Whether a name stays in its folder, whoever reads it."""
    return bool(name) and name not in (".", "..") and not any(sign in name for sign in "/\\\0")


def steps(path: str) -> list[str]:
    """A path taken apart. Raises Failed when it leads out of its folder."""
    found = [step for step in path.split("/") if step]
    if not all(is_one_step(step) for step in found):
        raise Failed("FOLDER_OUTSIDE", f"{path[:200]!r} leads out of the folder.")
    return found


def folders_of(path: str) -> Iterator[str]:
    """The path's folders from above: "a/b" → "a", "a/b"."""
    found = steps(path)
    return ("/".join(found[: place + 1]) for place in range(len(found)))


def too_large(path: str, max_bytes: int) -> Failed:
    return Failed("FOLDER_FILE_TOO_LARGE", f"{path!r} is larger than {max_bytes:,} bytes.")


def too_many(folder: str) -> Failed:
    return Failed("FOLDER_TOO_FULL", f"More than {MOST_ENTRIES:,} files and folders lie in {folder or 'the folder'!r}.")
