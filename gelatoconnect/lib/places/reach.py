"""The way to a server: its host judged and resolved once, the connection made to the very place that was judged."""

import socket
from threading import Timer

from gelatoconnect.lib.http import Failed as Unreached
from gelatoconnect.lib.http.addresses import Target, read_host
from gelatoconnect.lib.http.wire import RESOLVE_SECONDS, SILENCE_SECONDS, Deadline, dialled, hang_up, resolve
from gelatoconnect.lib.places.base import Account, Failed

PORTS = {"ftp": 21, "ftps": 21, "sftp": 22}


class Line:
    """A connection that ends when its time is over, however slowly the other side drips."""

    def __init__(self, account: Account, *, seconds: float) -> None:
        self.deadline = Deadline(seconds)
        self.host = account.host
        self.socket = _connected(account, self.deadline)
        self.data: socket.socket | None = None  # a second connection to the same host
        self._watchdog = Timer(self.deadline.left, self._hang_up)
        self._watchdog.daemon = True
        self._watchdog.start()

    def in_time(self) -> None:
        """Raises TimeoutError when the time is over."""
        if self.deadline.left <= 0:
            raise TimeoutError

    def _hang_up(self) -> None:
        for sock in filter(None, (self.socket, self.data)):
            hang_up(sock, self.deadline)

    def close(self) -> None:
        self._watchdog.cancel()
        self.socket.close()


def _connected(account: Account, deadline: Deadline) -> socket.socket:
    usual = PORTS[account.kind]
    try:
        target = Target(account.kind, read_host(account.host), account.port or usual, ports=(usual,))
        places = resolve(target, seconds=deadline.at_most(RESOLVE_SECONDS))
    except Unreached as failure:
        hint = "Check the host's name." if failure.code != "URL_FORBIDDEN" else (
            f"The operator can allow it: FETCH_ALLOWED_HOSTS={account.host}:{account.port or usual}.")  # fmt: skip
        code = "FOLDER_HOST" if failure.permanent else "FOLDER_UNREACHABLE"
        raise Failed(code, f"{failure.message} {hint}") from failure
    try:
        sock = dialled(places, deadline)
    except OSError as error:
        late = isinstance(error, TimeoutError)
        said = "took too long to answer" if late else "does not accept connections"
        raise Failed("FOLDER_UNREACHABLE", f"{account.host} {said} on port {target.port}. "
                     "Check that the server is running, and its firewall.") from error  # fmt: skip
    sock.settimeout(deadline.at_most(SILENCE_SECONDS))
    return sock
