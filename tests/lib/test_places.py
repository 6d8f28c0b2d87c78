"""The door to folders: the same on this machine and on real servers; nothing outside, nobody unknown, nothing for ever."""

import io
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from gelatoconnect.lib.places import Account, Entry, Failed, Place, visit
from tests.servers.ftp import FtpServer, make_certificate
from tests.servers.sftp import SftpServer

KINDS = ["local", "ftp", "ftp without MLSD MLST", "ftp without SIZE MDTM", "ftps", "sftp"]


class Site:
    """A folder of some kind: `account` to visit it, `folder` to look at it from behind."""

    def __init__(self, kind: str, home: Path, settings: Any) -> None:
        self.server: Any = None
        self.folder = home / "folders" / "acme"
        if kind == "local":
            settings.FOLDERS_ROOT = home / "folders"
            self.account = Account(path="acme")
            return
        if kind == "sftp":
            self.server = SftpServer(home)
            self.folder = self.server.folder
        else:
            certificate = home / "certificate.pem" if kind == "ftps" else None
            pinned = make_certificate(certificate) if certificate else ""
            without = tuple(kind.split()[2:])
            self.server = FtpServer(self.folder, certificate=certificate, without=without)
        settings.FETCH_ALLOWED_HOSTS = [self.server.host]
        more = {"certificate": pinned} if kind == "ftps" else {}
        self.account = Account(kind=kind.split()[0], **self.server.settings, **more)  # type: ignore[arg-type]


@pytest.fixture(params=KINDS)
def site(request: Any, tmp_path: Path, settings: Any) -> Iterator[Site]:
    found = Site(request.param, tmp_path, settings)
    yield found
    if found.server:
        found.server.close()


@pytest.fixture
def place(site: Site) -> Iterator[Place]:
    with visit(site.account, seconds=20) as found:
        yield found


def content(place: Place, path: str, *, max_bytes: int = 10**7) -> bytes | None:
    said = io.BytesIO()
    return said.getvalue() if place.read(path, said, max_bytes=max_bytes) else None


def test_a_place_lists_reads_moves_and_removes_files(place: Place, site: Site) -> None:
    big = os.urandom(3_000_000)
    place.make_folder("in/deep")
    place.make_folder("in/deep")
    place.make_folder("work")
    place.write("in/grüße an alle.json", b"{}")
    place.write("in/deep/big.bin", big)
    (site.folder / "in" / "link.json").symlink_to("/etc/passwd")

    entries = sorted((each.name, each.is_folder) for each in place.entries("in") if each.name != "link.json")
    assert entries == [("deep", True), ("grüße an alle.json", False)]
    assert content(place, "in/deep/big.bin") == big
    found = place.find("in/deep/big.bin")
    assert found is not None and (found.size, found.is_folder) == (3_000_000, False)
    assert not found.changed or abs(found.changed - (site.folder / "in/deep/big.bin").stat().st_mtime) < 61
    assert place.rename("in/grüße an alle.json", "work/1 grüße.json") is True
    assert place.rename("in/grüße an alle.json", "work/2.json") is False
    assert [each.name for each in place.entries("work")] == ["1 grüße.json"]
    assert place.remove("work/1 grüße.json") is True
    assert place.remove("work/1 grüße.json") is False
    assert (place.entries("work"), place.entries("nowhere"), place.find("work/1.json")) == ([], [], None)
    assert content(place, "work/1.json") is None


def test_a_file_that_is_too_large_is_not_read_to_its_end(place: Place) -> None:
    place.write("big.bin", b"x" * 400_000)
    said = io.BytesIO()
    with pytest.raises(Failed) as failure:
        place.read("big.bin", said, max_bytes=300_000)
    assert failure.value.code == "FOLDER_FILE_TOO_LARGE"
    assert len(said.getvalue()) <= 300_000


@pytest.mark.parametrize("path", ["../x.json", "in/../../x.json", "in\\..\\x.json", "..", "in/\0"])
def test_no_path_leads_out_of_the_folder(place: Place, site: Site, path: str) -> None:
    (site.folder.parent / "x.json").write_bytes(b"secret")
    for act in (place.find, place.remove, place.entries, lambda at: place.write(at, b""), lambda at: content(place, at),
                lambda at: place.rename(at, "mine.json")):  # fmt: skip
        with pytest.raises(Failed) as failure:
            act(path)
        assert failure.value.code == "FOLDER_OUTSIDE"
    assert (site.folder.parent / "x.json").read_bytes() == b"secret"


@pytest.mark.parametrize("path", ["/etc", "../other", "", "/", ".."])
def test_a_local_folder_lies_below_the_root(tmp_path: Path, settings: Any, path: str) -> None:
    settings.FOLDERS_ROOT = tmp_path / "folders"
    with pytest.raises(Failed) as failure, visit(Account(path=path), seconds=5):
        pass
    assert failure.value.code == "FOLDER_OUTSIDE"


def test_a_local_folder_may_be_named_by_its_whole_path(tmp_path: Path, settings: Any) -> None:
    settings.FOLDERS_ROOT = tmp_path / "folders"
    with visit(Account(path=f"{tmp_path}/folders/acme"), seconds=5) as place:
        place.write("a.json", b"{}")
    assert (tmp_path / "folders/acme/a.json").read_bytes() == b"{}"


def test_no_link_is_followed_on_this_machine(tmp_path: Path, settings: Any) -> None:
    settings.FOLDERS_ROOT = root = tmp_path / "folders"
    outside = tmp_path / "outside"
    (outside / "in").mkdir(parents=True)
    (outside / "in" / "order.json").write_bytes(b"{}")
    root.mkdir()
    (root / "acme").symlink_to(outside)
    with pytest.raises(Failed), visit(Account(path="acme"), seconds=5):
        pass
    with visit(Account(path="beta"), seconds=5) as place:
        (root / "beta" / "in").symlink_to(outside / "in")
        (root / "beta" / "order.json").symlink_to(outside / "in" / "order.json")
        os.mkfifo(root / "beta" / "pipe.json")
        assert place.entries() == []
        assert place.find("order.json") is None
        for act in (lambda: place.entries("in"), lambda: content(place, "order.json"), lambda: content(place, "pipe.json"),
                    lambda: place.write("order.json", b""), lambda: place.rename("in/order.json", "mine.json")):  # fmt: skip
            with pytest.raises(Failed):
                act()
    assert (outside / "in" / "order.json").read_bytes() == b"{}"


@pytest.mark.parametrize("kind", ["ftp", "ftps", "sftp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254", "localhost"])
def test_a_server_inside_is_not_called_unless_it_is_listed(settings: Any, kind: Any, host: str) -> None:
    settings.FETCH_ALLOWED_HOSTS = ["127.0.0.1:1"]
    with pytest.raises(Failed) as failure, visit(Account(kind=kind, host=host, host_key="SHA256:x"), seconds=5):
        pass
    assert failure.value.code == "FOLDER_HOST"
    assert failure.value.permanent


def test_a_public_server_is_called_on_the_port_of_its_protocol_only() -> None:
    with pytest.raises(Failed) as failure, visit(Account(kind="sftp", host="93.184.216.34", port=25), seconds=5):
        pass
    assert failure.value.message == (
        "Port 25 is not called, only 22. The operator can allow it: FETCH_ALLOWED_HOSTS=93.184.216.34:25.")  # fmt: skip


@pytest.mark.parametrize("kind", ["ftp", "ftps", "sftp"])
def test_a_server_that_is_gone_is_said_so(settings: Any, kind: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{port}"]
    with pytest.raises(Failed) as failure, visit(Account(kind=kind, host="127.0.0.1", port=port), seconds=5):
        pass
    assert (failure.value.code, failure.value.permanent) == ("FOLDER_UNREACHABLE", False)


@pytest.mark.parametrize("greeting", [b"", b"220 hi\r\n", b"SSH-2.0-slow\r\n", b"2"])
@pytest.mark.parametrize("kind", ["ftp", "ftps", "sftp"])
def test_a_server_that_says_nothing_more_is_left_in_time(settings: Any, kind: Any, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{listener.getsockname()[1]}"]
        held: list[socket.socket] = []

        def greet() -> None:
            held.append(listener.accept()[0])
            held[0].sendall(greeting)

        Thread(target=greet, daemon=True).start()
        started = monotonic()
        account = Account(kind=kind, host="127.0.0.1", port=listener.getsockname()[1], host_key="SHA256:x")
        with pytest.raises(Failed) as failure, visit(account, seconds=1):
            pass
        assert monotonic() - started < 5
        assert failure.value.code in ("FOLDER_TIMEOUT", "FOLDER_UNREACHABLE")


@pytest.fixture
def changed(tmp_path: Path, settings: Any) -> Iterator[Callable[..., Failed]]:
    """`changed("sftp", host_key="…")`: how a visit with these settings changed fails."""
    servers = []

    def fail(kind: str, **changes: Any) -> Failed:
        site = Site(kind, tmp_path, settings)
        servers.append(site.server)
        account = Account(**{name: getattr(site.account, name) for name in Account.__slots__} | changes)
        with pytest.raises(Failed) as failure, visit(account, seconds=10):
            pass
        failure.value.server = site.server  # type: ignore[attr-defined]
        return failure.value

    yield fail
    for server in servers:
        server.close()


def test_without_a_pinned_key_nobody_is_talked_to_but_the_key_is_told(changed: Callable[..., Any]) -> None:
    failure = changed("sftp", host_key="")
    assert failure.code == "FOLDER_HOST_KEY"
    assert f"It shows ssh-ed25519 {failure.server.fingerprint}: check" in failure.message


@pytest.mark.parametrize(
    "pinned",
    ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "nonsense"],
)
def test_a_wrong_host_key_is_refused(changed: Callable[..., Any], pinned: str) -> None:
    assert changed("sftp", host_key=pinned).code == "FOLDER_HOST_KEY"


def test_a_host_key_may_be_pinned_by_its_fingerprint(tmp_path: Path, settings: Any) -> None:
    site = Site("sftp", tmp_path, settings)
    account = Account(kind="sftp", **site.server.settings | {"host_key": f"{site.server.fingerprint}="})
    with visit(account, seconds=10) as place:
        assert place.entries() == []
    site.server.close()


OTHER_KEY = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB
-----END OPENSSH PRIVATE KEY-----"""


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [("sftp", {"private_key": "", "password": "wrong"}, "FOLDER_LOGIN"), ("sftp", {"user": "nobody-here"}, "FOLDER_LOGIN"),
     ("sftp", {"private_key": OTHER_KEY}, "FOLDER_KEY"), ("sftp", {"path": "/nowhere/at/all"}, "FOLDER_MISSING"),
     ("ftp", {"password": "wrong"}, "FOLDER_LOGIN"), ("ftp", {"path": "nowhere"}, "FOLDER_MISSING"),
     ("ftp", {"user": "a\r\nDELE x"}, "FOLDER_PROTOCOL"),
     ("ftps", {"certificate": ""}, "FOLDER_CERTIFICATE"), ("ftps", {"certificate": "ab" * 32}, "FOLDER_CERTIFICATE")],
)  # fmt: skip
def test_wrong_settings_are_said_so_and_not_tried_again(
    changed: Callable[..., Any], kind: str, changes: dict[str, str], code: str
) -> None:
    failure = changed(kind, **changes)
    assert failure.code == code
    assert "wrong" not in failure.message.replace(str(changes.get("user")), "")  # no password in it


def test_a_listing_names_nothing_but_files_of_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    site = Site("ftp", tmp_path, settings)
    said = ["type=file;size=2;modify=20260101000000; ../up.json", "type=file;size=x;modify=y; a b.json", "nonsense",
            "type=cdir; .", "type=OS.unix=slink; l.json", "Type=dir;Modify=20260101000000; files"]  # fmt: skip
    with visit(site.account, seconds=5) as place:
        monkeypatch.setattr(place._ftp, "retrlines", lambda _, read: [read(line) for line in said])  # type: ignore[attr-defined]
        assert place.entries() == [Entry("a b.json", 0, 0.0), Entry("files", 0, 1767225600.0, True)]
    site.server.close()


def test_a_server_that_tells_neither_lists_nor_sizes_is_said_so(tmp_path: Path, settings: Any) -> None:
    site = Site("ftp without MLSD MLST SIZE", tmp_path, settings)
    (site.folder / "a.json").write_bytes(b"{}")
    with visit(site.account, seconds=5) as place, pytest.raises(Failed) as failure:
        place.entries()
    site.server.close()
    assert failure.value.code == "FOLDER_PROTOCOL"
