"""Files come in whole and messages go out as they were meant."""

import hashlib
import os
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from gelatoconnect.lib import http
from tests.lib.fake_dns import FakeDns
from tests.lib.hostile import Visit, answer, failure, redirecting, saying, serving


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings: Any) -> None:
    settings.FETCH_ALLOW_HTTP = True
    settings.FETCH_ALLOWED_HOSTS = ["127.0.0.1", "files.example", "xn--bcher-kva.example"]
    settings.FETCH_MAX_BYTES = 10_000_000
    settings.FETCH_SECONDS = 5


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> FakeDns:
    dns = FakeDns(monkeypatch)
    dns.names = {"files.example": [["127.0.0.1"]], "xn--bcher-kva.example": [["127.0.0.1"]]}
    return dns


def headers_of(request: bytes) -> dict[str, str]:
    rows = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (row.split(": ", 1) for row in rows)}


# --- fetch ---------------------------------------------------------------------------------------


def test_a_file_is_fetched_with_its_size_and_hashes(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    with serving(saying(answer(content, head="Content-Type: Application/PDF; charset=x\r\n"))) as server:
        fetched = http.fetch(server.url("/card.pdf#page=1"), into=tmp_path / "new" / "folder")
    assert fetched == http.Fetched(
        path=fetched.path,
        size=3_000_000,
        sha256=hashlib.sha256(content).hexdigest(),
        md5=hashlib.md5(content).hexdigest(),
        content_type="application/pdf",
        url=server.url("/card.pdf"),
    )
    assert fetched.path.read_bytes() == content
    assert list((tmp_path / "new" / "folder").iterdir()) == [fetched.path]


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6;x=y\r\nnot fi\r\n2\r\nve\r\n0\r\nX-Late: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nnot five",
        b"HTTP/1.0 200 OK\r\nContent-Encoding: identity\r\n\r\nnot five",
        b"HTTP/1.1 200\r\ncontent-length: 8\r\nContent-Length: 8\r\n\r\nnot five and more",
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnot five",
    ],
)
def test_a_file_may_come_in_every_way_of_http(said: bytes, tmp_path: Path) -> None:
    with serving(saying(said)) as server:
        assert http.fetch(server.url(), into=tmp_path).path.read_bytes() == b"not five"


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    with serving(saying(answer(b""))) as server:
        assert http.fetch(server.url(), into=tmp_path).size == 0


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(tmp_path: Path, settings: Any) -> None:
    settings.FETCH_MAX_BYTES = 1000
    with serving(saying(answer(b"a" * 1000))) as server:
        http.fetch(server.url(), into=tmp_path).path.unlink()
        failed = failure(server.url(), tmp_path, max_bytes=999)
    assert (failed.code, failed.message) == ("FETCH_TOO_LARGE", "The file is larger than 999 bytes.")
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1001)) as server:
        assert failure(server.url(), tmp_path).code == "FETCH_TOO_LARGE"


def test_the_seconds_of_the_settings_bound_a_fetch(tmp_path: Path, settings: Any) -> None:
    settings.FETCH_SECONDS = 0.2
    with serving(lambda visit: visit.wait(60)) as server:
        assert failure(server.url(), tmp_path).code == "FETCH_TIMEOUT"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 For Ever"])
def test_a_redirect_is_followed(status: str, tmp_path: Path) -> None:
    def moved(visit: Visit) -> None:
        if visit.path == "/old/card":
            redirecting("new%20place?a=b#c", status=status)(visit)
        else:
            visit.say(answer(visit.path.encode()))

    with serving(moved) as server:
        fetched = http.fetch(server.url("/old/card"), into=tmp_path)
    assert fetched.path.read_bytes() == b"/old/new%20place?a=b"
    assert fetched.url == server.url("/old/new%20place?a=b")


def test_three_redirects_are_followed_and_utf8_is_understood(tmp_path: Path) -> None:
    def onward(visit: Visit) -> None:
        step = visit.path.count("%C3%BC")
        redirecting(f"{'ü' * (step + 1)}")(visit) if step < 3 else visit.say(answer(b"there"))

    with serving(onward) as server:
        assert http.fetch(server.url(), into=tmp_path).path.read_bytes() == b"there"
        assert len(server.requests) == 4


def test_a_redirect_may_be_longer_than_an_address_that_somebody_writes(tmp_path: Path) -> None:
    """Stores redirect to addresses with long signatures."""
    signature = "?signature=" + "a" * 4000

    def signed(visit: Visit) -> None:
        visit.say(answer(b"there")) if "?" in visit.path else redirecting(signature)(visit)

    with serving(signed) as server:
        assert http.fetch(server.url(), into=tmp_path).url == server.url("/" + signature)


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (404, "FETCH_NOT_FOUND", True), (410, "FETCH_NOT_FOUND", True),
        (401, "FETCH_FORBIDDEN", True), (403, "FETCH_FORBIDDEN", True),
        (408, "FETCH_STATUS", False), (429, "FETCH_STATUS", False),
        (500, "FETCH_STATUS", False), (502, "FETCH_STATUS", False), (503, "FETCH_STATUS", False),
        (204, "FETCH_STATUS", True), (206, "FETCH_STATUS", True), (300, "FETCH_STATUS", True),
        (304, "FETCH_STATUS", True), (400, "FETCH_STATUS", True), (418, "FETCH_STATUS", True),
    ],
)  # fmt: skip
def test_a_status_other_than_200_is_a_failure(status: int, code: str, permanent: bool, tmp_path: Path) -> None:
    with serving(saying(answer(b"sorry", status=f"{status} Status"))) as server:
        failed = failure(server.url(), tmp_path)
    assert (failed.code, failed.permanent, failed.retry_after) == (code, permanent, None)
    assert str(status) in failed.message


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [(429, "120", 120.0), (503, "7", 7.0), (503, "9" * 500, 86_400.0), (503, "soon", None), (503, "-1", None),
     (500, "120", None), (404, "120", None)],
)  # fmt: skip
def test_a_server_may_say_when_to_come_again(status: int, said: str, seconds: float | None, tmp_path: Path) -> None:
    with serving(saying(answer(status=f"{status} Busy", head=f"Retry-After: {said}\r\n"))) as server:
        assert failure(server.url(), tmp_path).retry_after == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(3600, 3600), (-3600, 0)])
def test_a_server_may_say_when_to_come_again_by_date(ahead: int, seconds: float, tmp_path: Path) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    with serving(saying(answer(status="503 Busy", head=f"Retry-After: {date}\r\n"))) as server:
        assert failure(server.url(), tmp_path).retry_after == pytest.approx(seconds, abs=5)


def test_a_request_asks_for_the_file_as_it_is(tmp_path: Path, dns: FakeDns) -> None:
    with serving(saying(answer(b""))) as server:
        http.fetch(f"http://BÜCHER.example:{server.port}/a b%2Fc?q=ü", into=tmp_path)
    (request,) = server.requests
    assert request.split(b"\r\n")[0] == b"GET /a%20b%2Fc?q=%C3%BC HTTP/1.1"
    headers = headers_of(request)
    assert re.fullmatch(r"GelatoConnect/[0-9][0-9.]*", headers.pop("user-agent"))
    assert headers == {
        "host": f"xn--bcher-kva.example:{server.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


def test_no_proxy_and_no_netrc_of_the_machine_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dns: FakeDns
) -> None:
    with serving(saying(answer(b"proxy"))) as proxy, serving(saying(answer(b"server"))) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        (tmp_path / "netrc").write_text("machine files.example login ada password secret")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        fetched = http.fetch(f"http://files.example:{server.port}/", into=tmp_path / "in")
    assert (fetched.path.read_bytes(), proxy.requests) == (b"server", [])
    assert "authorization" not in headers_of(server.requests[0])


def test_a_name_that_nobody_knows_may_be_known_later(dns: FakeDns, tmp_path: Path) -> None:
    failed = failure("https://nowhere.example/", tmp_path)
    assert (failed.code, failed.permanent) == ("URL_UNRESOLVED", False)
    assert failed.message == "There is no host named nowhere.example."


def test_a_server_that_is_not_there_may_be_there_later(tmp_path: Path) -> None:
    with serving(saying(b"")) as server:
        url = server.url()
    failed = failure(url, tmp_path)
    assert (failed.code, failed.permanent, failed.retry_after) == ("FETCH_UNREACHABLE", False, None)


# --- send ----------------------------------------------------------------------------------------


def test_a_message_is_sent_as_it_is() -> None:
    with serving(
        saying(answer(b"taken", status="202 Accepted", head="X-Id: 7\r\nX-More: a\r\nX-MORE: b\r\n"))
    ) as server:
        reply = http.send(
            server.url("/hook?a=b"),
            body='{"ü": 1}'.encode(),
            headers={"content-type": "application/json", "webhook-id": "7", "user-agent": "Mine", "X-Name": "Zoë"},
        )
    (request,) = server.requests
    assert request.split(b"\r\n")[0] == b"POST /hook?a=b HTTP/1.1"
    assert request.partition(b"\r\n\r\n")[2] == '{"ü": 1}'.encode()
    assert headers_of(request) == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "Mine",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "content-type": "application/json",
        "content-length": "9",
        "webhook-id": "7",
        "x-name": "Zoë",
    }
    assert reply == http.Answer(
        202, {"x-id": "7", "x-more": "a, b", "content-length": "5"}, b"taken", reply.milliseconds
    )
    assert 0 <= reply.milliseconds < 5000


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_sent_too(method: str) -> None:
    with serving(saying(answer(b"ok"))) as server:
        reply = http.send(server.url(), method=method)
    assert (reply.body, server.requests[0].split(b" ")[0]) == (b"ok", method.encode())


def test_an_answer_to_head_has_no_body() -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as server:
        reply = http.send(server.url(), method="HEAD")
    assert (reply.status, reply.headers, reply.body) == (200, {"content-length": "5000"}, b"")


@pytest.mark.parametrize("status", ["301 Moved", "307 Again", "400 Bad", "410 Gone", "500 Oh"])
def test_a_redirect_or_an_error_is_an_answer(status: str) -> None:
    def always(visit: Visit) -> None:
        visit.say(answer(b"why", status=status, head="Location: /elsewhere\r\n"))

    with serving(always) as server:
        reply = http.send(server.url(), body=b"{}")
    assert (reply.status, reply.body, len(server.requests)) == (int(status[:3]), b"why", 1)


def test_of_a_long_answer_only_the_beginning_is_kept() -> None:
    with serving(saying(answer(b"a" * 100_000))) as server:
        assert http.send(server.url()).body == b"a" * 4096
        assert http.send(server.url(), max_answer=100_000).body == b"a" * 100_000


def test_an_answer_knows_when_to_come_again() -> None:
    with serving(saying(answer(status="429 Slow Down", head="Retry-After: 30\r\n"))) as server:
        assert http.send(server.url()).retry_after == 30.0
    with serving(saying(answer())) as server:
        assert http.send(server.url()).retry_after is None


@pytest.mark.parametrize(
    "headers", [{"X-A": "b\r\nX-C: d"}, {"X-A": "b\r\n c"}, {"X-A": "b\n"}, {"X-A\r\nX-B": "c"}, {"X-A": "b\0"}]
)
def test_a_header_cannot_bring_another_with_it(headers: dict[str, str]) -> None:
    with serving(saying(answer())) as server:
        with pytest.raises(ValueError, match="line break"):
            http.send(server.url(), headers=headers)
        assert server.requests == []
