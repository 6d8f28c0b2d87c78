"""A folder on a server that speaks FTP (RFC 959, with the listings of RFC 3659), or FTP within TLS (RFC 4217).

Names travel as bytes here: what is UTF-8 is read as such, and what is not goes back exactly as it came.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from ftplib import FTP, Error, error_perm, error_temp
from typing import Any, BinaryIO

from gelatoconnect.lib.places.base import (
    MOST_ENTRIES,
    Account,
    Entry,
    Failed,
    Place,
    folders_of,
    is_one_step,
    steps,
    too_large,
    too_many,
)
from gelatoconnect.lib.places.ftp_client import Encrypted, Plain, end_encryption
from gelatoconnect.lib.places.reach import Line

PIECE = 256 * 1024


class Ftp(Place):
    def __init__(self, account: Account, *, seconds: float) -> None:
        self._line = Line(account, seconds=seconds)
        self._host = account.host
        try:
            with self._failures_told("the login"):
                self._ftp = Plain(self._line) if account.kind == "ftp" else (
                    Encrypted(self._line, pinned=account.certificate))  # fmt: skip
                self._log_in(account)
                if isinstance(self._ftp, Encrypted):
                    self._ftp.prot_p()
                self._base = self._enter(account.path)
                self._ftp.voidcmd("TYPE I")
        except BaseException:
            self._line.close()
            raise
        self._lists = True  # it has MLSD, as far as we know

    def entries(self, folder: str = "") -> list[Entry]:
        path = self._path(folder)
        with self._failures_told(folder):
            try:
                self._ftp.cwd(path)
            except error_perm:
                return []
            if self._lists:
                try:
                    return self._listed(folder)
                except error_perm as error:
                    if not _is_unknown(error):
                        raise
                    self._lists = False
            return self._looked_up(folder, path)

    def find(self, path: str) -> Entry | None:
        *above, name = steps(path)
        full = self._path(path)
        with self._failures_told(path):
            try:
                size = self._size(full)
            except error_perm:
                return None
            if size is None:
                return next((entry for entry in self.entries("/".join(above)) if entry.name == name), None)
            try:
                return Entry(name, size, _moment(self._ftp.voidcmd(f"MDTM {full}")[3:]))
            except error_perm:
                return Entry(name, size)

    def read(self, path: str, into: BinaryIO, *, max_bytes: int) -> bool:
        full, size = self._path(path), 0
        with self._failures_told(path):
            try:
                promised = self._size(full)
                connection = self._ftp.transfercmd(f"RETR {full}")
            except error_perm:
                if self.find(path) is None:
                    return False
                raise
            with connection:
                while piece := connection.recv(PIECE):
                    self._line.in_time()
                    size += len(piece)
                    if size > max_bytes:
                        raise too_large(path, max_bytes)
                    into.write(piece)
                end_encryption(connection)
            self._ftp.voidresp()
        if promised is not None and promised != size:
            raise Failed("FOLDER_INCOMPLETE", f"{self._host} sent {size:,} of {promised:,} bytes of {path!r}.")
        return True

    def write(self, path: str, content: bytes) -> None:
        with self._failures_told(path):
            with self._ftp.transfercmd(f"STOR {self._path(path)}") as connection:
                connection.sendall(content)
                end_encryption(connection)
            self._ftp.voidresp()

    def rename(self, old: str, new: str) -> bool:
        with self._failures_told(old):
            try:
                self._ftp.rename(self._path(old), self._path(new))
            except error_perm:
                if self.find(old) is None:
                    return False
                raise
        return True

    def remove(self, path: str) -> bool:
        with self._failures_told(path):
            try:
                self._ftp.delete(self._path(path))
            except error_perm:
                if self.find(path) is None:
                    return False
                raise
        return True

    def make_folder(self, folder: str) -> None:
        for path in folders_of(folder):
            with self._failures_told(path):
                try:
                    self._ftp.cwd(self._path(path))
                except error_perm:
                    try:
                        self._ftp.mkd(self._path(path))
                    except error_perm:  # somebody else was quicker, or it may not be made
                        self._ftp.cwd(self._path(path))

    def close(self) -> None:
        with suppress(OSError, EOFError, Error):
            self._line.socket.settimeout(2)
            self._ftp.quit()
        self._ftp.close()
        self._line.close()

    # --- how it is spoken ---
    def _log_in(self, account: Account) -> None:
        user, password = _sent(account.user or "anonymous"), _sent(account.password)
        try:
            FTP.login(self._ftp, user, password)  # noqa: S321
        except error_perm as error:
            raise Failed("FOLDER_LOGIN", f"{self._host} refuses the user {account.user!r}: {_said(error)}. "
                         "Check user and password.") from error  # fmt: skip

    def _enter(self, path: str) -> str:
        """The folder's whole path, as the server says it."""
        try:
            if path.strip():
                self._ftp.cwd(_sent(path))
            return self._ftp.pwd()
        except error_perm as error:
            raise Failed(
                "FOLDER_MISSING", f"{self._host} has no folder {path!r} for this user: {_said(error)}."
            ) from error

    def _path(self, path: str) -> str:
        return "/".join([self._base.rstrip("/"), *(_sent(step) for step in steps(path))]) or "/"

    def _size(self, full: str) -> int | None:
        """Of a file, in bytes; None when the server does not tell sizes. Raises error_perm when there is no such file."""
        try:
            return self._ftp.size(full)
        except error_perm as error:
            if not _is_unknown(error):
                raise
        if not self._lists:
            raise Failed(
                "FOLDER_PROTOCOL", f"{self._host} has neither MLSD nor SIZE: what is whole cannot be told there."
            )
        return None

    def _listed(self, folder: str) -> list[Entry]:
        found: list[Entry] = []

        def read(line: str) -> None:
            facts, _, name = line.partition(" ")
            said = dict(fact.lower().split("=", 1) for fact in facts.split(";") if "=" in fact)
            if said.get("type") in ("file", "dir") and is_one_step(name := _received(name)):
                size = said.get("size", said.get("sizd", "0"))
                found.append(Entry(name, int(size) if size.isdigit() else 0, _moment(said.get("modify", "")),
                                   said["type"] == "dir"))  # fmt: skip

        self._lines("MLSD", folder, read)
        return found

    def _looked_up(self, folder: str, path: str) -> list[Entry]:
        """Of servers without MLSD: the names, and then each by itself. What has no size is a folder."""
        names: list[str] = []
        try:
            self._lines(
                "NLST", folder, lambda line: names.append(_received(line.replace("\\", "/").rpartition("/")[2]))
            )
        except error_perm as error:
            if str(error)[:3] != "550":  # how some say that there is nothing
                raise
        found = []
        for name in filter(is_one_step, names):
            entry = self.find(f"{folder}/{name}")
            found.append(entry or Entry(name, is_folder=True))
        return found

    def _lines(self, command: str, folder: str, read: Callable[[str], Any]) -> None:
        seen = 0

        def counted(line: str) -> None:
            nonlocal seen
            seen += 1
            if seen > MOST_ENTRIES:
                raise too_many(folder)
            self._line.in_time()
            read(line)

        try:
            self._ftp.retrlines(command, counted)
        finally:
            with suppress(Error):
                self._ftp.voidcmd("TYPE I")

    @contextmanager
    def _failures_told(self, what: str) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message.rstrip(".")
            raise Failed("FOLDER_CERTIFICATE", f"The certificate of {self._host} is not valid: {why}. Mend it, or pin its "
                         "SHA-256 in the settings.") from error  # fmt: skip
        except (Error, EOFError, OSError, ValueError) as error:
            raise self._failure(error, what) from error

    def _failure(self, error: Exception, what: str) -> Failed:
        late = self._line.deadline.left <= 0 or isinstance(error, TimeoutError)
        if late:
            return Failed("FOLDER_TIMEOUT", f"{self._host} took too long ({what or 'the folder'}).")
        if isinstance(error, error_perm):
            return Failed("FOLDER_FORBIDDEN", f"{self._host} refuses {what or 'the folder'}: {_said(error)}. "
                          "Give the user the right to read, write, rename and delete there.")  # fmt: skip
        if isinstance(error, error_temp):
            return Failed("FOLDER_BUSY", f"{self._host} cannot do it now ({what or 'the folder'}): {_said(error)}.")
        if isinstance(error, EOFError | OSError):
            return Failed("FOLDER_UNREACHABLE", f"{self._host} hung up ({what or 'the folder'}).")
        return Failed("FOLDER_PROTOCOL", f"{self._host} does not speak FTP as it should ({what}): {_said(error)}.")


def _received(name: str) -> str:
    return name.encode("latin-1").decode("utf-8", "surrogateescape")


def _sent(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("latin-1")


def _moment(text: str) -> float:
    """A time as RFC 3659 §2.3 writes it, 20260131235959[.5], in UTC; 0 when it is none."""
    try:
        return datetime.strptime(text.strip()[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _is_unknown(error: Exception) -> bool:
    """Whether the server does not know the command (RFC 959 §4.2)."""
    return str(error)[:3] in ("500", "501", "502", "504")


def _said(error: Exception) -> str:
    return " ".join(_received(str(error)).split())[:200].rstrip(".")
