"""Python's FTP client on our lines: to the host that was judged and to no other, and encrypted as the account says."""

import hashlib
import hmac
import re
import socket
import ssl
from contextlib import suppress
from ftplib import FTP, FTP_TLS, error_proto
from typing import Any

from gelatoconnect.lib.http.wire import SILENCE_SECONDS
from gelatoconnect.lib.places.base import Failed
from gelatoconnect.lib.places.reach import Line

LOWEST_PORT = 1024  # that data connections may go to


class Plain(FTP):
    """On a line that is there already; its data connections go to the same host, whatever the server says."""

    def __init__(self, line: Line) -> None:
        FTP.__init__(self, timeout=SILENCE_SECONDS, encoding="latin-1")  # noqa: S321  # a letter for each byte
        self.line, self.host = line, line.host
        self.sock, self.af = line.socket, line.socket.family
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[socket.socket, int | None]:
        connection, size = FTP.ntransfercmd(self, cmd, rest)  # noqa: S321
        self.line.data = connection
        return connection, size

    def makepasv(self) -> tuple[str, int]:
        host, port = super().makepasv()
        if port < LOWEST_PORT:
            raise error_proto(f"the server names port {port} for its data")  # noqa: S321
        return host, port


class Encrypted(Plain, FTP_TLS):
    """`pinned`: the SHA-256 of the certificate that the server must show, in hex; or it is verified for its name."""

    def __init__(self, line: Line, *, pinned: str) -> None:
        self.pinned = pinned
        self.context = ssl.create_default_context()
        if pinned:
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self._prot_p = False
        Plain.__init__(self, line)
        self.voidcmd("AUTH TLS")
        line.socket = self.sock = self._wrap(line.socket)
        self._shake_hands(self.sock)
        self.file = self.sock.makefile("r", encoding=self.encoding)

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[socket.socket, int | None]:
        """Encrypted as well, as part of the same session: servers ask for that, so that nobody else takes the data."""
        connection, size = Plain.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
            self.line.data = connection = self._wrap(connection, session=session)
            try:
                self._shake_hands(connection)
            except BaseException:
                connection.close()
                raise
        return connection, size

    def _wrap(self, sock: socket.socket, *, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        return self.context.wrap_socket(
            sock, server_hostname=self.host.strip("[]"), session=session, do_handshake_on_connect=False
        )

    def _shake_hands(self, sock: Any) -> None:
        """Known to the line by now, so that it ends in time. Raises Failed for another certificate than is pinned."""
        sock.do_handshake()
        self._check(sock)

    def _check(self, sock: Any) -> None:
        shown = hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        if self.pinned and not hmac.compare_digest(shown, re.sub("[^0-9a-f]", "", self.pinned.lower())):
            raise Failed("FOLDER_CERTIFICATE", f"{self.host} shows another certificate than the one in the settings; "
                         f"its SHA-256 is {shown}. Check with whoever runs it, then paste it.")  # fmt: skip


def end_encryption(connection: socket.socket) -> None:
    """Many servers hang up without saying so; whether all has arrived is seen by size and answer."""
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError):
            connection.unwrap()
