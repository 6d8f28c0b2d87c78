"""Whatever a server does, a call ends in time, within its bytes, with a code, and leaves nothing behind."""

import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from gelatoconnect.lib import http
from tests.lib import hostile
from tests.lib.hostile import Behaviour, answer, failure, saying, serving

SECONDS = 0.25
PATIENCE = 5.0  # seconds for what must end by itself
SLACK = 1.0  # seconds after the deadline, for a busy machine
MOST = 100_000

OK = "HTTP/1.1 200 OK\r\n"


def raw(head: str, body: str = "") -> Behaviour:
    return saying(f"{OK}{head}\r\n{body}".encode())


HOSTILE: dict[str, tuple[Behaviour, str]] = {
    "silence": (hostile.silence, "FETCH_TIMEOUT"),
    "header drip": (hostile.header_drip, "FETCH_TIMEOUT"),
    "body drip": (hostile.body_drip, "FETCH_TIMEOUT"),
    "body drip without length": (hostile.body_drip_without_length, "FETCH_TIMEOUT"),
    "endless trailer": (hostile.endless_trailer, "FETCH_TIMEOUT"),
    "endless 100 Continue": (hostile.endless_continue, "FETCH_TIMEOUT"),
    "endless chunks": (hostile.endless_chunks, "FETCH_TOO_LARGE"),
    "endless body": (hostile.endless_body, "FETCH_TOO_LARGE"),
    "huge Content-Length": (raw(f"Content-Length: {10**15}\r\n", "short"), "FETCH_TOO_LARGE"),
    "huge chunk": (raw("Transfer-Encoding: chunked\r\n", "7fffffffffffffff\r\nshort"), "FETCH_INCOMPLETE"),
    "negative chunk": (raw("Transfer-Encoding: chunked\r\n", "-5\r\n" + "a" * 2_000_000), "FETCH_TOO_LARGE"),
    "chunk of garbage": (raw("Transfer-Encoding: chunked\r\n", "zz\r\nabc"), "FETCH_INCOMPLETE"),
    "chunks that stop": (raw("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"), "FETCH_INCOMPLETE"),
    "short body": (raw("Content-Length: 10\r\n", "short"), "FETCH_INCOMPLETE"),
    "negative Content-Length": (raw("Content-Length: -5\r\n", "short"), "FETCH_PROTOCOL"),
    "two Content-Lengths": (raw("Content-Length: 5\r\nContent-Length: 6\r\n", "short"), "FETCH_PROTOCOL"),
    "Content-Length in words": (raw("Content-Length: five\r\n", "short"), "FETCH_PROTOCOL"),
    "Content-Length with 5000 digits": (raw(f"Content-Length: {'9' * 5000}\r\n", "short"), "FETCH_PROTOCOL"),
    "other transfer coding": (raw("Transfer-Encoding: gzip, chunked\r\n", "5\r\nshort\r\n0\r\n\r\n"), "FETCH_PROTOCOL"),
    "gzip bomb": (hostile.gzip_bomb, "FETCH_PROTOCOL"),
    "very many headers": (hostile.very_many_headers, "FETCH_PROTOCOL"),
    "endless header line": (hostile.endless_header_line, "FETCH_PROTOCOL"),
    "garbage": (saying(bytes(range(256)) * 50), "FETCH_PROTOCOL"),
    "no status": (saying(b"HTTP/1.1 OK\r\n\r\n"), "FETCH_PROTOCOL"),
    "another protocol": (saying(b"220 ftp.example ready\r\n"), "FETCH_PROTOCOL"),
    "nothing": (saying(b""), "FETCH_UNREACHABLE"),
    "reset": (hostile.reset, "FETCH_UNREACHABLE"),
}
PERMANENT = {"FETCH_TOO_LARGE", "other transfer coding", "gzip bomb"}


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings: Any) -> None:
    settings.FETCH_ALLOW_HTTP = True
    settings.FETCH_ALLOWED_HOSTS = ["127.0.0.1", "slow.example"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_download_from_a_hostile_server_ends_in_time_with_nothing_kept(name: str, tmp_path: Path) -> None:
    behaviour, code = HOSTILE[name]
    seconds = SECONDS if code == "FETCH_TIMEOUT" else PATIENCE
    with serving(behaviour) as server:
        started = monotonic()
        failed = failure(server.url(), tmp_path, max_bytes=MOST, seconds=seconds)
        assert monotonic() - started < SECONDS + SLACK
    assert (failed.code, failed.permanent) == (code, bool(PERMANENT & {code, name}))


@pytest.mark.parametrize(
    "name", ["silence", "header drip", "body drip", "endless trailer", "very many headers", "garbage", "reset"]
)
def test_a_message_to_a_hostile_server_ends_in_time(name: str) -> None:
    behaviour, code = HOSTILE[name]
    seconds = SECONDS if code == "FETCH_TIMEOUT" else PATIENCE
    with serving(behaviour) as server:
        started = monotonic()
        with pytest.raises(http.Failed) as failed:
            http.send(server.url(), body=b"{}", seconds=seconds)
        assert monotonic() - started < SECONDS + SLACK
    assert (failed.value.code, failed.value.permanent) == (code, False)


def test_a_receiver_that_does_not_read_does_not_hold_the_sender() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = monotonic()
        with pytest.raises(http.Failed) as failed:
            http.send(f"http://127.0.0.1:{deaf.getsockname()[1]}/", body=bytes(20_000_000), seconds=SECONDS)
        assert monotonic() - started < SECONDS + SLACK
    assert failed.value.code == "FETCH_TIMEOUT"


@pytest.mark.parametrize("behaviour", [hostile.endless_chunks, hostile.endless_body])
def test_of_an_endless_answer_only_the_beginning_is_taken(behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        reply = http.send(server.url(), seconds=PATIENCE, max_answer=100)
    assert (reply.status, reply.body) == (200, b"a" * 100)


def test_a_receiver_that_hangs_up_in_its_answer_has_answered() -> None:
    with serving(raw("Content-Length: 10\r\n", "short")) as server:
        reply = http.send(server.url(), seconds=PATIENCE)
    assert (reply.status, reply.body) == (200, b"short")


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    over = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60))
    started = monotonic()
    failed = failure("http://slow.example/", tmp_path, seconds=SECONDS)
    over.set()
    assert (failed.code, failed.permanent) == ("URL_UNRESOLVED", False)
    assert monotonic() - started < SECONDS + SLACK


def test_a_place_that_accepts_no_connection_is_not_waited_for(tmp_path: Path) -> None:
    """A full backlog: what arrives at it is dropped without a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        started = monotonic()
        failed = failure(f"http://127.0.0.1:{full.getsockname()[1]}/", tmp_path, seconds=SECONDS)
        assert monotonic() - started < SECONDS + SLACK
        for one in waiting:
            one.close()
    assert failed.code == "FETCH_TIMEOUT"


def test_redirects_share_one_deadline(tmp_path: Path) -> None:
    def slowly_on(visit: hostile.Visit) -> None:
        visit.wait(SECONDS * 0.6)
        hostile.redirecting("/")(visit)

    with serving(slowly_on) as server:
        started = monotonic()
        failed = failure(server.url(), tmp_path, seconds=SECONDS)
        assert monotonic() - started < SECONDS + SLACK
    assert (failed.code, len(server.requests)) == ("FETCH_TIMEOUT", 2)


@pytest.fixture
def files_of_at_most_1000_bytes() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [1500, MOST])
def test_a_disk_that_takes_no_more_is_not_the_fault_of_the_server(
    size: int, tmp_path: Path, files_of_at_most_1000_bytes: None
) -> None:
    with serving(saying(answer(b"a" * size))) as server, pytest.raises(OSError, match="File too large"):
        http.fetch(server.url(), into=tmp_path, seconds=PATIENCE)
    assert list(tmp_path.iterdir()) == []
