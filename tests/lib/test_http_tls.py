"""By https only a server with a valid certificate for the name is talked to."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gelatoconnect.lib import http
from gelatoconnect.lib.http import wire
from tests.lib.fake_dns import FakeDns
from tests.lib.hostile import Server, Visit, answer, failure, redirecting, saying, serving

Certify = Callable[..., ssl.SSLContext]


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FETCH_ALLOW_HTTP = True
    settings.FETCH_ALLOWED_HOSTS = ["127.0.0.1", "files.example"]
    FakeDns(monkeypatch).names = {"files.example": [["127.0.0.1"]]}


@pytest.fixture
def certify(tmp_path: Path) -> Certify:
    """Makes a server's side with a certificate of its own: `names` and addresses it is for, `days` it is valid."""

    def make(*names: str, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        kinds = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(kinds), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / "server.pem").write_bytes(secret + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        return context

    return make


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The certificate made by `certify` is one that the machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    wire._trust.cache_clear()
    yield
    wire._trust.cache_clear()


def address(server: Server, host: str) -> str:
    return f"https://{host}:{server.port}/"


@pytest.mark.parametrize("host", ["files.example", "127.0.0.1"])
def test_a_trusted_certificate_for_the_name_opens_the_door(
    host: str, certify: Certify, trusted: None, tmp_path: Path
) -> None:
    asked: list[str | None] = []
    tls = certify("files.example", "127.0.0.1")
    tls.sni_callback = lambda _, name, __: asked.append(name)
    content = os.urandom(200_000)
    with serving(saying(answer(content)), tls=tls) as server:
        fetched = http.fetch(address(server, host), into=tmp_path / "in")
        assert http.send(address(server, host), body=b"{}").status == 200
    assert fetched.path.read_bytes() == content
    assert asked == (["files.example"] * 2 if host == "files.example" else [None] * 2)


@pytest.mark.parametrize(
    ("name", "days", "why"),
    [("other.example", 1, "certificate is not valid for 'files.example'"), ("files.example", -1, "has expired")],
)
def test_a_trusted_certificate_for_another_name_or_time_does_not(
    name: str, days: int, why: str, certify: Certify, trusted: None, tmp_path: Path
) -> None:
    with serving(saying(answer(b"secret")), tls=certify(name, days=days)) as server:
        failed = failure(address(server, "files.example"), tmp_path / "in")
    assert (failed.code, failed.permanent, server.requests) == ("FETCH_UNREACHABLE", False, [])
    assert why in failed.message


def test_a_certificate_that_signed_itself_is_refused(certify: Certify, tmp_path: Path) -> None:
    with serving(saying(answer(b"secret")), tls=certify("files.example")) as server:
        failed = failure(address(server, "files.example"), tmp_path / "in")
        with pytest.raises(http.Failed) as sent:
            http.send(address(server, "files.example"), body=b"secret")
    assert (failed.code, failed.permanent, server.requests) == ("FETCH_UNREACHABLE", False, [])
    assert (
        failed.message
        == sent.value.message
        == "The certificate of files.example is not valid: self-signed certificate."
    )


def test_a_server_that_does_not_encrypt_is_not_talked_to_by_https(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=lambda: listener.accept()[0].sendall(b"220 ready\r\n"), daemon=True).start()
        failed = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/", tmp_path)
    assert (failed.code, failed.permanent) == ("FETCH_UNREACHABLE", False)


def test_a_body_without_length_must_end_with_a_proper_goodbye(certify: Certify, trusted: None, tmp_path: Path) -> None:
    """Encrypted, a connection that is cut can be told from one that ends: half a file is not taken for a whole one."""
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nhalf"), tls=certify("files.example")) as server:
        assert failure(address(server, "files.example"), tmp_path / "in").code == "FETCH_INCOMPLETE"
        assert http.send(address(server, "files.example")).body == b"half"


def test_the_deadline_holds_for_an_encrypted_connection(certify: Certify, trusted: None, tmp_path: Path) -> None:
    def drip(visit: Visit) -> None:
        visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            visit.say(b"a")
            visit.wait(0.02)

    with serving(drip, tls=certify("files.example")) as server:
        failed = failure(address(server, "files.example"), tmp_path / "in", seconds=0.5)
    assert (failed.code, failed.permanent) == ("FETCH_TIMEOUT", False)


def test_https_may_redirect_to_http_only_where_http_is_spoken(
    certify: Certify, trusted: None, tmp_path: Path, settings: Any
) -> None:
    tls = certify("files.example")
    with serving(saying(answer(b"there"))) as plain, serving(redirecting(plain.url()), tls=tls) as server:
        assert http.fetch(address(server, "files.example"), into=tmp_path / "in").size == 5
        settings.FETCH_ALLOW_HTTP = False
        assert failure(address(server, "files.example"), tmp_path / "other").code == "URL_FORBIDDEN"
    assert len(plain.requests) == 1
