"""A folder on a server that speaks SFTP. Its key must be the one in the settings before we say who we are."""

import base64
import hashlib
import hmac
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import paramiko
from paramiko import ECDSAKey, Ed25519Key, PKey, RSAKey, SSHException
from paramiko.sftp import SFTPError

from gelatoconnect.lib.http.wire import SILENCE_SECONDS
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
from gelatoconnect.lib.places.reach import Line

GREET_SECONDS = 15.0  # for its greeting, for the keys, and for the login
PIECE = 32 * 1024 * 8
_UNSUPPORTED = "Operation unsupported"


class Sftp(Place):
    def __init__(self, account: Account, *, seconds: float) -> None:
        self._host = account.host
        key = _private_key(account)
        self._line = Line(account, seconds=seconds)
        self._transport: paramiko.Transport | None = None
        try:
            with self._failures_told("the login"):
                self._sftp = self._opened(account, key)
                self._base = self._enter(account.path)
        except BaseException:
            self.close()
            raise

    def entries(self, folder: str = "") -> list[Entry]:
        found: list[Entry] = []
        with self._failures_told(folder):
            try:
                listed = self._sftp.listdir_attr(self._path(folder))
            except FileNotFoundError:
                return []
            if len(listed) > MOST_ENTRIES:
                raise too_many(folder)
            for each in listed:
                entry = _entry(each.filename, each)
                if entry is not None and is_one_step(entry.name):
                    found.append(entry)
        return found

    def find(self, path: str) -> Entry | None:
        with self._failures_told(path):
            try:
                entry = _entry(steps(path)[-1], self._sftp.lstat(self._path(path)))
            except FileNotFoundError:
                return None
        return None if entry is None or entry.is_folder else entry

    def read(self, path: str, into: BinaryIO, *, max_bytes: int) -> bool:
        size = 0
        with self._failures_told(path):
            try:
                file = self._sftp.open(self._path(path), "rb")
            except FileNotFoundError:
                return False
            with file:
                promised = file.stat().st_size or 0
                if promised > max_bytes:
                    raise too_large(path, max_bytes)
                file.prefetch(promised, 64)
                while piece := file.read(PIECE):
                    self._line.in_time()
                    size += len(piece)
                    if size > max_bytes:
                        raise too_large(path, max_bytes)
                    into.write(piece)
        if size < promised:
            raise Failed("FOLDER_INCOMPLETE", f"{self._host} sent {size:,} of {promised:,} bytes of {path!r}.")
        return True

    def write(self, path: str, content: bytes) -> None:
        with self._failures_told(path), self._sftp.open(self._path(path), "wb") as file:
            file.write(content)

    def rename(self, old: str, new: str) -> bool:
        """By POSIX's rename, where the server has it: the other one may be a link and a removal."""
        here, there = self._path(old), self._path(new)
        with self._failures_told(old):
            try:
                try:
                    self._sftp.posix_rename(here, there)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    if _UNSUPPORTED not in str(error):
                        raise
                    self._sftp.rename(here, there)
            except OSError:
                if self.find(old) is None:
                    return False
                raise
        return True

    def remove(self, path: str) -> bool:
        with self._failures_told(path):
            try:
                self._sftp.remove(self._path(path))
            except FileNotFoundError:
                return False
        return True

    def make_folder(self, folder: str) -> None:
        for path in folders_of(folder):
            with self._failures_told(path):
                try:
                    self._sftp.stat(self._path(path))
                except FileNotFoundError:
                    try:
                        self._sftp.mkdir(self._path(path))
                    except OSError:  # somebody else was quicker, or it may not be made
                        self._sftp.stat(self._path(path))

    def close(self) -> None:
        with suppress(Exception):
            if self._transport is not None:
                self._transport.close()
        self._line.close()

    # --- how it is spoken ---
    def _opened(self, account: Account, key: PKey | None) -> paramiko.SFTPClient:
        self._transport = transport = paramiko.Transport(self._line.socket)
        transport.daemon = True
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = GREET_SECONDS
        kind = account.host_key.split()[0] if account.host_key.strip() else ""
        if kind and not kind.startswith("SHA256:"):
            _ask_for_key(transport, kind)
        transport.start_client(timeout=GREET_SECONDS)
        if not transport.is_alive() or not transport.initial_kex_done:
            raise TimeoutError
        self._check(transport.get_remote_server_key(), account.host_key)
        try:
            if key is not None:
                transport.auth_publickey(account.user, key)
            else:
                transport.auth_password(account.user, account.password)
        except paramiko.AuthenticationException as error:
            what = "key" if key is not None else "password"
            raise Failed("FOLDER_LOGIN", f"{self._host} refuses the user {account.user!r}. "
                         f"Check user and {what}.") from error  # fmt: skip
        channel = transport.open_session(timeout=GREET_SECONDS)
        channel.settimeout(SILENCE_SECONDS)
        channel.invoke_subsystem("sftp")
        return paramiko.SFTPClient(channel)

    def _check(self, shown: PKey, pinned: str) -> None:
        fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(shown.asbytes()).digest()).decode().rstrip("=")
        words = pinned.split()
        if not words:
            raise Failed("FOLDER_HOST_KEY", f"The settings do not say which key {self._host} must show. It shows "
                         f"{shown.get_name()} {fingerprint}: check with whoever runs it, then paste it.")  # fmt: skip
        known = words[0].rstrip("=") if words[0].startswith("SHA256:") else f"{words[0]} {''.join(words[1:2])}"
        actual = fingerprint if words[0].startswith("SHA256:") else f"{shown.get_name()} {shown.get_base64()}"
        if not hmac.compare_digest(known.encode(), actual.encode()):
            raise Failed("FOLDER_HOST_KEY", f"{self._host} shows another key than the one in the settings: "
                         f"{shown.get_name()} {fingerprint}. Somebody may stand between: check with whoever runs it "
                         "before you paste it.")  # fmt: skip

    def _enter(self, path: str) -> str:
        try:
            base = self._sftp.normalize(path.strip() or ".")
            if not stat.S_ISDIR(self._sftp.stat(base).st_mode or 0):
                raise FileNotFoundError
        except FileNotFoundError as error:
            raise Failed("FOLDER_MISSING", f"{self._host} has no folder {path!r} for this user.") from error
        return base

    def _path(self, path: str) -> str:
        return "/".join([self._base.rstrip("/"), *steps(path)]) or "/"

    @contextmanager
    def _failures_told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (SSHException, SFTPError, EOFError, OSError, ValueError) as error:
            raise self._failure(error, what or "the folder") from error

    def _failure(self, error: Exception, what: str) -> Failed:
        if self._line.deadline.left <= 0 or isinstance(error, TimeoutError):
            return Failed("FOLDER_TIMEOUT", f"{self._host} took too long ({what}).")
        if isinstance(error, UnicodeError):
            return Failed("FOLDER_NAME", f"{self._host} has a file in {what} whose name is not UTF-8: rename it.")
        if isinstance(error, PermissionError) or "Failure" in str(error):
            return Failed("FOLDER_FORBIDDEN", f"{self._host} refuses {what}. "
                          "Give the user the right to read, write, rename and delete there.")  # fmt: skip
        if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
            return Failed("FOLDER_PROTOCOL", f"{self._host} and we share no kind of key or encryption: {error}.")
        if self._transport is None or not self._transport.is_active():
            return Failed("FOLDER_UNREACHABLE", f"{self._host} hung up ({what}).")
        return Failed("FOLDER_PROTOCOL", f"{self._host} does not speak SFTP as it should ({what}): {str(error)[:200]}.")


def _ask_for_key(transport: paramiko.Transport, kind: str) -> None:
    """Of a server's several keys the one that is pinned."""
    kinds = ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)
    try:
        transport.get_security_options().key_types = kinds
    except ValueError as error:
        raise Failed("FOLDER_HOST_KEY", f"{kind[:60]!r} is no kind of host key. Paste the server's key as ssh-keyscan "
                     "prints it, without the host's name, or its SHA256:… fingerprint.") from error  # fmt: skip


def _private_key(account: Account) -> PKey | None:
    text = account.private_key.strip()
    if not text:
        return None
    for kind in (Ed25519Key, ECDSAKey, RSAKey):
        with suppress(SSHException, ValueError, TypeError, IndexError, UnicodeError):
            return kind.from_private_key(io.StringIO(text + "\n"), password=account.passphrase or None)
    raise Failed("FOLDER_KEY", "The private key cannot be read. Paste it whole, in OpenSSH's or PEM format; check its "
                 "passphrase.")  # fmt: skip


def _entry(name: str, attributes: paramiko.SFTPAttributes) -> Entry | None:
    mode, changed = attributes.st_mode or 0, float(attributes.st_mtime or 0)
    if stat.S_ISDIR(mode):
        return Entry(name, changed=changed, is_folder=True)
    return Entry(name, attributes.st_size or 0, changed) if stat.S_ISREG(mode) else None
