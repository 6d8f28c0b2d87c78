"""The folder on real servers: FTP, FTPS and SFTP; uploads that stall, several pollers, and status files that come back."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from ftplib import FTP
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any
from unittest import mock

import paramiko
import pytest

from gelatoconnect.lib.places.ftp import Ftp
from intake import polling
from intake.models import Connector, OrderRequest
from orders.events import replay, sweep
from orders.models import Delivery, Order
from orders.services import move
from tests.connectors.walk import walk
from tests.servers.ftp import PASSWORD, USER, FtpServer, make_certificate
from tests.servers.sftp import SftpServer

ROOT = Path(__file__).resolve().parents[2]
NOW: dict[str, Any] = {"stable_seconds": 0, "ready": "rename", "interval": 1}


class Site:
    """A server with a folder, and the connector to it."""

    def __init__(self, kind: str, home: Path, settings: Any) -> None:
        self.server: Any
        self.folder = home / "ftp"
        more: dict[str, Any] = {}
        if kind == "sftp":
            self.server = SftpServer(home)
            self.folder = self.server.folder
        else:
            certificate = home / "certificate.pem" if kind == "ftps" else None
            more = {"certificate": make_certificate(certificate)} if certificate else {}
            self.server = FtpServer(self.folder, certificate=certificate)
        settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, self.server.host]
        self.config = NOW | {"place": kind} | self.server.settings | more

    def put(self, name: str, content: Any) -> None:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.folder / folder).iterdir())


@pytest.fixture
def site(tmp_path: Path, settings: Any) -> Iterator[Callable[[str], Site]]:
    sites = []

    def make(kind: str) -> Site:
        sites.append(Site(kind, tmp_path, settings))
        return sites[-1]

    yield make
    for each in sites:
        each.server.close()


def pull(connector: Connector) -> str:
    """Ask it once; the error, if there is one."""
    polling.pull(Connector.objects.select_related("customer").get(pk=connector.pk))
    return Connector.objects.get(pk=connector.pk).pull_error


@pytest.mark.parametrize("kind", ["ftp", "ftps", "sftp"])
def test_an_order_walks_from_the_server_to_shipped_and_its_status_file_comes_back(
    site: Callable[[str], Site],
    channel: Callable[..., Connector],
    order_body: Callable[..., Any],
    good_pdf: bytes,
    kind: str,
) -> None:
    there = site(kind)
    connector = channel("folder", **there.config, status_files=True)
    there.put("Bestellung für Ana.json", order_body("F-1", url="print files/card.pdf"))
    there.put("print files/card.pdf", good_pdf)
    assert pull(connector) == ""
    assert (there.names("in"), there.names("processed"), there.names("work")) == (
        ["print files"], ["Bestellung für Ana.json", "print files"], [])  # fmt: skip

    order = walk(Order.objects.get())
    [name] = there.names("out")
    assert name.endswith(".json") and "_F-1_shipped_" in name
    said = json.loads(fetched(there, kind, f"out/{name}"))
    assert (said["orderReferenceId"], said["id"], said["status"], said["event"]) == (
        "F-1", str(order.pk), "shipped", "order.shipped")  # fmt: skip
    assert said["items"] == [{"itemReferenceId": "1", "quantity": 2}]
    assert len(said["packages"]) == 1
    assert said["file"] == "Bestellung für Ana.json"

    assert replay(Delivery.objects.filter(listener="postback", state="done")) == 1
    sweep(seconds=10)
    assert there.names("out") == [name]  # the same event is the same file


def fetched(there: Site, kind: str, path: str) -> bytes:
    """A file as the customer fetches it."""
    if kind != "ftp":
        return (there.folder / path).read_bytes()
    said = BytesIO()
    with FTP() as ftp:
        ftp.connect("127.0.0.1", there.server.port)
        ftp.login(USER, PASSWORD)
        ftp.retrbinary(f"RETR {path}", said.write)
    return said.getvalue()


def test_a_status_file_is_tried_again_while_the_server_is_gone(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any], settings: Any
) -> None:
    there = site("ftp")
    connector = channel("folder", **there.config, status_files=True)
    there.put("a.json", order_body("F-1"))
    pull(connector)
    connector.settings = json.dumps(json.loads(connector.settings) | {"password": "changed"})
    connector.save()
    order = Order.objects.get()
    move(order, Order.cancel, by="user:ada", reason="Not wanted")
    sweep(seconds=10)
    delivery = Delivery.objects.get(listener="postback")
    assert (delivery.state, delivery.attempts) == ("due", 1)
    assert delivery.error.startswith("FOLDER_LOGIN: 127.0.0.1 refuses the user 'acme'")
    assert not (there.folder / "out").exists()

    connector.settings = json.dumps(there.config | {"status_files": True})
    connector.save()
    Delivery.objects.filter(pk=delivery.pk).update(due=delivery.event.at)
    sweep(seconds=10)
    said = json.loads((there.folder / "out" / there.names("out")[0]).read_bytes())
    assert (said["status"], said["reason"]) == ("canceled", "Not wanted")


def test_without_the_setting_no_status_file_is_laid(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any]
) -> None:
    there = site("ftp")
    connector = channel("folder", **there.config)
    there.put("a.json", order_body("F-1"))
    pull(connector)
    move(Order.objects.get(), Order.cancel, by="user:ada", reason="Not wanted")
    sweep(seconds=10)
    assert Delivery.objects.get(listener="postback").state == "done"
    assert not (there.folder / "out").exists()


def test_an_upload_that_stalls_and_is_aborted_is_never_read_in_part(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any]
) -> None:
    there = site("ftp")
    connector = channel("folder", **there.config | {"ready": "stable", "stable_seconds": 0})
    orders = {"orders": [order_body(f"F-{number}") for number in range(20)]}
    whole = json.dumps(orders).encode()
    looks = []

    def look() -> None:
        assert pull(connector) == ""
        looks.append((OrderRequest.objects.count(), there.names("in")))

    pull(connector)
    ftp = FTP()
    ftp.connect("127.0.0.1", there.server.port)
    ftp.login(USER, PASSWORD)
    sending = ftp.transfercmd("STOR in/a.json")
    sending.sendall(whole[: len(whole) // 2])
    for _ in range(8):  # four seconds, in which it does not change
        look()
        sleep(0.5)
    ftp.sock.close()  # type: ignore[union-attr]
    sending.close()
    for _ in range(4):
        look()
    assert looks == [(0, ["a.json"])] * 12
    there.put("a.json", whole)
    assert [pull(connector) for _ in range(3)] == [""] * 3
    assert (Order.objects.count(), there.names("in"), there.names("processed")) == (20, [], ["a.json"])


def test_an_upload_that_grows_while_it_is_looked_at_is_read_when_it_is_whole(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any]
) -> None:
    there = site("sftp")
    connector = channel("folder", **there.config | {"ready": "stable", "stable_seconds": 1})
    (there.folder / "in").mkdir()
    whole, done = json.dumps(order_body("F-1")).encode() + b" " * 4_000, Event()

    def upload() -> None:
        key = paramiko.Ed25519Key.from_private_key_file(str(there.folder.parent / "user"))
        transport = paramiko.Transport(("127.0.0.1", there.server.port))
        transport.connect(username=there.config["user"], pkey=key)
        with paramiko.SFTPClient.from_transport(transport).open(f"{there.folder}/in/a.json", "wb") as file:  # type: ignore[union-attr]
            for start in range(0, len(whole), 400):
                file.write(whole[start : start + 400])
                file.flush()
                sleep(0.2)
        transport.close()
        done.set()

    thread = Thread(target=upload)
    thread.start()
    while not done.wait(0.1):
        pull(connector)
        assert OrderRequest.objects.count() == 0
    thread.join()
    for _ in range(40):
        pull(connector)
        if Order.objects.count():
            break
        sleep(0.1)
    assert bytes(OrderRequest.objects.get().body) == whole


@pytest.mark.parametrize(
    ("kind", "changes", "error"),
    [("ftp", {"password": "wrong"}, "FOLDER_LOGIN: 127.0.0.1 refuses the user 'acme': 530 Authentication failed."),
     ("sftp", {"host_key": "SHA256:" + "A" * 43}, "FOLDER_HOST_KEY: 127.0.0.1 shows another key"),
     ("sftp", {"host_key": ""}, "FOLDER_HOST_KEY: The settings do not say which key 127.0.0.1 must show. It shows"),
     ("ftps", {"certificate": ""}, "FOLDER_CERTIFICATE: The certificate of 127.0.0.1 is not valid"),
     ("ftp", {"host": "10.1.2.3"}, "FOLDER_HOST: 10.1.2.3 is not on the public internet.")],
)  # fmt: skip
def test_what_is_wrong_with_a_server_is_said_at_the_connector(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any], kind: str,
    changes: dict[str, Any], error: str,
) -> None:  # fmt: skip
    there = site(kind)
    there.put("a.json", order_body("F-1"))
    connector = channel("folder", **there.config | changes)
    assert pull(connector).startswith(error)
    assert there.names("in") == ["a.json"]
    assert not (there.folder / "work").exists()


def test_a_server_that_is_gone_is_asked_again(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any]
) -> None:
    there = site("ftp")
    connector = channel("folder", **there.config)
    there.put("a.json", order_body("F-1"))
    there.server.close()
    assert pull(connector).startswith("FOLDER_UNREACHABLE: 127.0.0.1 does not accept connections on port")
    assert Connector.objects.get().next_pull is not None


def test_a_file_that_may_not_be_read_stops_no_other(
    site: Callable[[str], Site], channel: Callable[..., Connector], order_body: Callable[..., Any]
) -> None:
    there = site("ftp")
    connector = channel("folder", **there.config)
    there.put("a.json", order_body("F-1"))
    there.put("b.json", order_body("F-2"))
    real = Ftp.read

    def read(self: Any, path: str, into: Any, *, max_bytes: int) -> bool:
        return real(self, "in/../no" if path == "in/a.json" else path, into, max_bytes=max_bytes)

    with mock.patch.object(Ftp, "read", read):
        assert pull(connector).startswith("FOLDER_OUTSIDE")
    assert list(Order.objects.values_list("reference", flat=True)) == ["F-2"]
    assert pull(connector) == ""
    assert Order.objects.count() == 2


# --- several pollers, as processes of their own -----------------------------------------------------
POLLER = """
import sys, django
django.setup()
from django.conf import settings
settings.FETCH_ALLOWED_HOSTS = [sys.argv[2]]
from intake import polling
from intake.models import Connector
connector = Connector.objects.select_related("customer").get(pk=sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(polling.pull(connector))
"""
SET_UP = """
import sys, json, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from intake.models import Connector
from orders.models import Customer, Product
Product.objects.create(uid="card-a6", name="Card A6", trim_width=105, trim_height=148, weight=8, formats=["pdf"],
                       customs_description="Printed cards", hs_code="4909.00")
customer = Customer.objects.create(reference="acme", name="Acme")
print(Connector.objects.create(name="acme-ftp", type="folder", customer=customer, settings=sys.argv[1]).pk)
"""


@pytest.mark.parametrize(("kind", "files"), [("ftp", 200), ("local", 50), ("sftp", 50)])
def test_of_two_hundred_files_four_pollers_make_two_hundred_orders(
    site: Callable[[str], Site], order_body: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str,
    files: int,
) -> None:  # fmt: skip
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "gelatoconnect.settings")
    if kind == "local":
        folder, config, host = tmp_path / "data/folders/acme", NOW | {"path": "acme"}, "127.0.0.1:1"
    else:
        there = site(kind)
        folder, config, host = there.folder, there.config, there.server.host
    (folder / "in").mkdir(parents=True)
    for number in range(files):
        (folder / "in" / f"order {number}.json").write_text(json.dumps(order_body(f"F-{number}")))

    def python(script: str, *args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *args]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    id = python(SET_UP, json.dumps(config)).communicate(timeout=60)[0].strip()
    pollers = [python(POLLER, id, host) for _ in range(4)]
    assert [each.stdout.readline() for each in pollers] == ["ready\n"] * 4  # type: ignore[union-attr]
    for each in pollers:
        each.stdin.write("\n")  # type: ignore[union-attr]
        each.stdin.flush()  # type: ignore[union-attr]
    taken = [int(each.communicate(timeout=120)[0]) for each in pollers]

    with sqlite3.connect(tmp_path / "data/gelatoconnect.sqlite3") as database:
        orders = Counter(reference for (reference,) in database.execute("SELECT reference FROM orders_order"))
        requests, states = database.execute(
            "SELECT count(*), count(DISTINCT state) FROM intake_orderrequest"
        ).fetchone()
        errors = database.execute("SELECT pull_error FROM intake_connector").fetchall()
    assert orders == {f"F-{number}": 1 for number in range(files)}
    assert (sum(taken), requests, states, errors) == (files, files, 1, [("",)])
    assert all(0 < count < files for count in taken)
    assert len(list((folder / "processed").iterdir())) == files
    assert list((folder / "in").iterdir()) == list((folder / "work").iterdir()) == []
