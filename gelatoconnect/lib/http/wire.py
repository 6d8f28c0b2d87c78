"""One request and its answer, on a connection of its own, to the very place that was judged, within a deadline."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from time import monotonic
from typing import Any

from gelatoconnect.lib.http.addresses import Target, judge, vet
from gelatoconnect.lib.http.failures import Failed

# Seconds: for the resolver, for one place to accept the connection, and for the other side to say nothing.
RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
PIECE = 256 * 1024  # bytes read at once, at most


class Deadline:
    """The end of a call, for all of its steps together."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        return self._end - monotonic()

    def end(self) -> None:
        """Now, so that what the reader sees next is never taken for the end of the body."""
        self._end = monotonic()

    def at_most(self, seconds: float) -> float:
        """A time-out for one step, in seconds. Never zero, which sockets take for "do not wait"."""
        return max(0.001, min(seconds, self.left))


@contextmanager
def ask(
    target: Target, *, method: str, headers: Mapping[str, bytes], body: bytes = b"", deadline: Deadline
) -> "Iterator[Reply]":
    """Send the request; the answer's head is there, its body can be read until the block ends. Raises Failed."""
    with ExitStack() as stack:
        with _failures_told(target, deadline):
            sock = stack.enter_context(_connected(target, deadline))
            # A time-out of the socket begins anew with every byte: only hanging up bounds the whole.
            watchdog = Timer(deadline.left, hang_up, [sock, deadline])
            watchdog.daemon = True
            watchdog.start()
            stack.callback(watchdog.cancel)
            connection = HTTPConnection(target.host, target.port)
            connection.auto_open = 0
            connection.sock = sock
            connection.request(method, target.path, body or None, headers)
            response = stack.enter_context(connection.getresponse())
        yield Reply(response, target=target, deadline=deadline)


class Reply:
    """An answer whose head has been read. Header names are in lower case; `length` in bytes, when it is promised."""

    def __init__(self, response: HTTPResponse, *, target: Target, deadline: Deadline) -> None:
        self._response, self._target, self._deadline = response, target, deadline
        self.status = response.status
        self.headers: dict[str, str] = {}
        for name, value in response.headers.items():
            known = self.headers.get(name.lower())
            self.headers[name.lower()] = value if known is None else f"{known}, {value}"
        self._refuse_unclear_length(response.headers.get_all("content-length", []))
        self.length: int | None = response.length

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives, exactly as long as promised. Raises Failed when it is not, or comes too slowly."""
        left = self.length
        while left is None or left > 0:
            with _failures_told(self._target, self._deadline):
                piece = self._response.read1(PIECE if left is None else min(PIECE, left))
                if self._deadline.left <= 0:
                    raise TimeoutError
                if not piece and left is not None:
                    raise IncompleteRead(b"", left)
            if not piece:
                return
            if left is not None:
                left -= len(piece)
            yield piece

    def _refuse_unclear_length(self, lengths: list[str]) -> None:
        """What RFC 9112 §6.3 calls unrecoverable: lengths that differ or are none, a coding other than chunked."""
        host = self._target.host
        if self.headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise Failed("FETCH_PROTOCOL", f"{host} sent a transfer coding nobody asked for.", permanent=True)
        if len(set(lengths)) > 1 or not all(re.fullmatch("[0-9]{1,30}", length) for length in lengths):
            raise Failed("FETCH_PROTOCOL", f"{host} sent a length that is none.", permanent=False)


Place = tuple[socket.AddressFamily, Any]  # a family and an address of it, as sockets take them


def resolve(target: Target, *, seconds: float) -> list[Place]:
    """Every place where the target is, each of them judged. Raises Failed.

    This is asked once for a request, and the answer connected to: a second question might be answered differently.
    """
    vet(target)
    literal = target.literal
    if literal is not None:
        return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, (target.host, target.port))]
    places = [(family, place) for family, _, _, _, place in _looked_up(target, seconds=seconds)]
    for _, (address, *_) in places:
        judge(target, ip_address(address))
    return places


def _looked_up(target: Target, *, seconds: float) -> list[Any]:
    """What getaddrinfo says. It cannot be interrupted, so it is left behind in a thread when it takes too long."""
    answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise Failed("URL_UNRESOLVED", f"Nobody said in time where {target.host} is.") from None
    if isinstance(answer, OSError) or not answer:
        raise Failed("URL_UNRESOLVED", f"There is no host named {target.host}.")
    return answer


def _connected(target: Target, deadline: Deadline) -> socket.socket:
    """A connection to the first place that accepts one; encrypted and the certificate verified for the name, by https."""
    sock = dialled(resolve(target, seconds=deadline.at_most(RESOLVE_SECONDS)), deadline)
    sock.settimeout(deadline.at_most(SILENCE_SECONDS))
    if target.scheme == "https":
        return _trust().wrap_socket(sock, server_hostname=target.host, suppress_ragged_eofs=False)
    return sock


def dialled(places: list[Place], deadline: Deadline) -> socket.socket:
    """A connection to the first of the places that accepts one. Raises OSError."""
    reason: OSError = TimeoutError()
    for family, place in places:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(deadline.at_most(CONNECT_SECONDS))
        try:
            sock.connect(place)
        except OSError as error:
            sock.close()
            reason = error
        else:
            return sock
    raise reason


@cache
def _trust() -> ssl.SSLContext:
    """The certificates of the machine; SSL_CERT_FILE and SSL_CERT_DIR name others. Read once: it takes milliseconds."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def hang_up(sock: socket.socket, deadline: Deadline) -> None:
    """Wake whoever waits on the socket. Not SSLSocket.shutdown: it forgets the encryption under the reader's feet."""
    deadline.end()
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@contextmanager
def _failures_told(target: Target, deadline: Deadline) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _failure(error, target.host, late=deadline.left <= 0) from error


def _failure(error: Exception, host: str, *, late: bool) -> Failed:
    if late or isinstance(error, TimeoutError):
        return Failed("FETCH_TIMEOUT", f"{host} took too long.")
    match error:
        case ssl.SSLCertVerificationError():
            why = error.verify_message.rstrip(".")
            return Failed("FETCH_UNREACHABLE", f"The certificate of {host} is not valid: {why}.")
        case IncompleteRead() | ssl.SSLEOFError():
            return Failed("FETCH_INCOMPLETE", f"{host} ended the connection before everything had arrived.")
        case OSError():
            return Failed("FETCH_UNREACHABLE", f"{host} could not be reached, or hung up.")
        case _:
            return Failed("FETCH_PROTOCOL", f"{host} sent an answer that is not HTTP.", permanent=False)
