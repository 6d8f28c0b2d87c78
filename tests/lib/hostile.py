"""Web servers on this machine, well and badly behaved: each behaviour speaks to one connection on a raw socket."""

import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from threading import Event, Thread
from typing import Any

import pytest

from gelatoconnect.lib import http

Behaviour = Callable[["Visit"], None]


def failure(url: str, into: Path, **limits: Any) -> http.Failed:
    """How fetching fails, with nothing left behind in the directory."""
    with pytest.raises(http.Failed) as failed:
        http.fetch(url, into=into, **limits)
    assert list(into.glob("*")) == []
    return failed.value


@dataclass
class Server:
    """`requests` holds what was asked, head and body; `port` is where it listens on 127.0.0.1."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    closing: Event = field(default_factory=Event)

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass
class Visit:
    """One connection: what was asked of `path`, and how to speak."""

    sock: socket.socket
    server: Server
    path: str = ""

    def say(self, content: bytes) -> None:
        self.sock.sendall(content)

    def wait(self, seconds: float) -> None:
        """Pause; the end of the test ends the pause and the visit."""
        if self.server.closing.wait(seconds):
            raise ConnectionAbortedError


@contextmanager
def serving(behaviour: Behaviour, *, tls: SSLContext | None = None) -> Iterator[Server]:
    """A server that behaves like this on every connection, once it has been asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        Thread(target=_accept, args=(listener, server, behaviour, tls), daemon=True).start()
        yield server
        server.closing.set()
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: Server, behaviour: Behaviour, tls: SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            sock, _ = listener.accept()
            Thread(target=_meet, args=(sock, server, behaviour, tls), daemon=True).start()


def _meet(sock: socket.socket, server: Server, behaviour: Behaviour, tls: SSLContext | None) -> None:
    with suppress(OSError), sock, tls.wrap_socket(sock, server_side=True) if tls else sock as line:
        request = _request(line)
        server.requests.append(request)
        _, _, path = request.partition(b"\r\n")[0].partition(b" ")
        behaviour(Visit(line, server, path.partition(b" ")[0].decode()))


def _request(line: socket.socket) -> bytes:
    """Head and body of one request."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += _heard(line)
    head, _, body = seen.partition(b"\r\n\r\n")
    lengths = [int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += _heard(line)
    return head + b"\r\n\r\n" + body


def _heard(line: socket.socket) -> bytes:
    content = line.recv(65_536)
    if not content:
        raise ConnectionAbortedError
    return content


def answer(body: bytes = b"", *, status: str = "200 OK", head: str = "") -> bytes:
    """A proper answer; `head` holds more header lines, each ended by CRLF."""
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def saying(content: bytes) -> Behaviour:
    """Say this and hang up."""
    return lambda visit: visit.say(content)


def redirecting(location: str, *, status: str = "302 Found") -> Behaviour:
    return saying(answer(status=status, head=f"Location: {location}\r\n"))


def silence(visit: Visit) -> None:
    visit.wait(60)


def header_drip(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        visit.say(b"a")
        visit.wait(0.02)


def body_drip(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
    while True:
        visit.say(b"a")
        visit.wait(0.02)


def body_drip_without_length(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        visit.say(b"a")
        visit.wait(0.02)


def endless_chunks(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        visit.say(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")


def endless_trailer(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    while True:
        visit.say(b"X-More: and more\r\n" * 100)


def endless_continue(visit: Visit) -> None:
    while True:
        visit.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def endless_header_line(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        visit.say(b"a" * 0x4000)


def very_many_headers(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        visit.say(b"X-%d: a\r\n" % number)


def endless_body(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        visit.say(b"a" * 0x4000)


def gzip_bomb(visit: Visit) -> None:
    """20 MB of zeros in 20 kB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(bytes(20_000_000)) + packer.flush()
    visit.say(answer(packed, head="Content-Encoding: gzip\r\n"))


def reset(visit: Visit) -> None:
    """Half an answer, then RST instead of FIN."""
    visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 100)
    visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
