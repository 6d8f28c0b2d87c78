"""Every way out of the house, with every spelling of an address inside it: none of them connects to anything.

`test_http_addresses` has the door itself; this is about whoever goes through it, and those that need another way.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from gelatoconnect.lib import http
from gelatoconnect.lib.places import Account, Failed, visit
from gelatoconnect.lib.sandbox import RENDERERS, render
from intake import listeners
from intake.checks import files
from intake.connectors.base import Ask
from intake.models import Connector
from intake.polling import pull
from intake.preflight import inspect, pool
from intake.talks import hold
from orders.events import Permanent, TryLater
from orders.models import Customer, Delivery, Order, PrintFile, Product, Trigger
from orders.notifications import notify, try_out
from orders.payloads import Occasion
from tests.factories import make_order
from tests.lib.fake_dns import PUBLIC, Connections, FakeDns
from tests.lib.hostile import Visit, redirecting, serving
from tests.lib.test_http_addresses import FORBIDDEN_SPELLINGS, INSIDE_NAMES, INVALID_SPELLINGS, NOT_PUBLIC
from tests.preflight.samples import card

SPELLINGS = [
    *INVALID_SPELLINGS,
    *FORBIDDEN_SPELLINGS,
    *(f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in NOT_PUBLIC),
    *(f"https://{name}/" for name in INSIDE_NAMES),
    "http://127.0.0.1:{canary}/", "http://[::1]:{canary}/", "http://localhost:{canary}/", "https://loop.example:{canary}/",
    "https://moving.example/",
]  # fmt: skip
STORABLE = [
    url for url in SPELLINGS
    if len(url) <= 2048 and "\0" not in url and not any("\ud800" <= sign <= "\udfff" for sign in url)
]  # fmt: skip


class Canary:
    """Somebody inside, on 127.0.0.1: `visits` counts the connections that were made."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.visits = self.listener.getsockname()[1], 0
        Thread(target=self._sing, daemon=True).start()

    def _sing(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            sock.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    found = Canary()
    yield found
    found.listener.close()


class Ways:
    """Takes every spelling along a way, and says which of them led to a connection."""

    def __init__(self, canary: Canary, dns: FakeDns, connections: Connections) -> None:
        self.canary, self.dns, self.connections = canary, dns, connections

    def try_all(self, way: Callable[[str], object], spellings: list[str] = SPELLINGS) -> list[str]:
        found = []
        for spelling in spellings:
            self.dns.names["moving.example"] = [[PUBLIC], ["127.0.0.1"]]  # says one thing, then another
            for _ in range(2 if "moving" in spelling else 1):
                way(spelling.replace("{canary}", str(self.canary.port)))
            if [place for place in self.connections.attempts if place[0] != PUBLIC] or self.canary.visits:
                found.append(spelling)
            self.connections.attempts.clear()
            self.canary.visits = 0
        return found


@pytest.fixture
def ways(canary: Canary, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Ways:
    settings.FETCH_ALLOWED_HOSTS, settings.FETCH_ALLOW_HTTP = [], True
    dns, connections = FakeDns(monkeypatch), Connections(monkeypatch)
    dns.names = {name: [addresses] for name, addresses in INSIDE_NAMES.items()} | {"files.example": [[PUBLIC]]}
    connections.real = {("127.0.0.1", canary.port)}
    return Ways(canary, dns, connections)


@pytest.fixture
def order(customer: Customer, product: Product) -> Order:
    return make_order("received", customer=customer, product=product)


def test_there_are_more_than_78_of_them() -> None:
    assert len(set(SPELLINGS)) > 150


def test_a_canary_that_may_be_called_sings(ways: Ways, settings: Any) -> None:
    """The test of the test."""
    settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{ways.canary.port}"]

    def way(url: str) -> None:
        with pytest.raises(http.Failed):
            http.send(url)

    assert ways.try_all(way, ["http://127.0.0.1:{canary}/", "http://10.0.0.1/"]) == ["http://127.0.0.1:{canary}/"]


def test_print_files(ways: Ways, order: Order) -> None:
    def way(url: str) -> None:
        PrintFile.objects.update(url=url)
        [seen] = files.look_at(Order.objects.get())
        assert [problem.severity for problem in seen.problems] == ["error"], url

    assert ways.try_all(way, STORABLE) == []


def test_webhooks_and_the_test_of_an_endpoint(ways: Ways, order: Order) -> None:
    trigger = Trigger.objects.create(name="hook", customer=order.customer, event="*", address="https://x.example/")
    event = order.events.get()
    delivery = Delivery.objects.create(
        event=event, order=order, listener="trigger", target=str(trigger.pk), due=event.at, attempts=1
    )

    def way(url: str) -> None:
        Trigger.objects.update(address=url)
        with pytest.raises((Permanent, TryLater)):
            notify(delivery)
        assert try_out(Trigger.objects.get(), Occasion(event.kind, event)).failure, url

    assert ways.try_all(way, STORABLE) == []


def test_talks_with_other_systems(ways: Ways, connector: Connector) -> None:
    def way(url: str) -> None:
        def talk() -> Any:
            yield Ask("POST", url, body=b"{}")

        with pytest.raises((Permanent, TryLater)):
            hold(talk(), connector)

    assert ways.try_all(way) == []


def test_a_postback_to_an_address_that_an_order_brought(ways: Ways, customer: Customer, product: Product) -> None:
    settings = {"token": "key", "secret": "s3cret"}
    connector = Connector.objects.create(name="flow", type="siteflow", customer=customer, settings=json.dumps(settings))
    order = make_order("shipped", customer=customer, product=product)
    Order.objects.update(channel="siteflow", connector=connector.pk, source_id="1")
    event = order.events.get(kind="order.shipped")
    asked = []

    def way(url: str) -> None:
        Order.objects.update(source={"postback": url})
        delivery = Delivery(event=event, order=order, listener="postback", target=str(connector.pk))
        delivery.event.order = Order.objects.get()
        try:
            listeners.postback(delivery)
        except (Permanent, TryLater):
            asked.append(url)

    assert ways.try_all(way, STORABLE) == []
    assert len(asked) > 100  # it did try


def test_a_shop_that_is_asked_for_its_orders(ways: Ways, customer: Customer) -> None:
    connector = Connector.objects.create(name="woo", type="woocommerce", customer=customer)

    def way(url: str) -> None:
        config = {"url": url.replace("http://", "https://").rstrip("/"), "consumer_key": "ck", "consumer_secret": "cs",
                  "secret": "s3cret", "every": 5}  # fmt: skip
        connector.settings = json.dumps(config)
        connector.save()
        pull(connector)
        failed.append(Connector.objects.get(pk=connector.pk).pull_error)

    failed: list[str] = []
    assert ways.try_all(way, STORABLE) == []
    assert failed.count("") == STORABLE.count("")  # no address: it is not asked


@pytest.mark.parametrize("kind", ["ftp", "ftps", "sftp"])
def test_servers_of_folders(ways: Ways, kind: Any) -> None:
    hosts = {host_of(url) for url in SPELLINGS} | set(INSIDE_NAMES) | {"moving.example", "2130706433", "0x7f.1", "[::1"}

    def way(host: str) -> None:
        for port in (0, ways.canary.port):
            account = Account(kind=kind, host=host, port=port, user="x", password="x", host_key="SHA256:x")
            with pytest.raises(Failed), visit(account, seconds=2):
                pass

    assert ways.try_all(way, sorted(hosts)) == []


def host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def test_a_server_of_folders_that_sends_us_on_to_somebody_else(canary: Canary, settings: Any) -> None:
    """Its answer to PASV names an address of its choice; only its own is called."""
    elsewhere = socket.create_server(("127.0.0.2", 0))
    elsewhere.settimeout(0.5)
    high, low = divmod(elsewhere.getsockname()[1], 256)
    said = {b"USER": b"331 go on", b"PASS": b"230 in", b"PASV": b"227 ok (127,0,0,2,%d,%d)" % (high, low),
            b"CWD": b"250 ok", b"TYPE": b"200 ok", b"PWD": b'257 "/"', b"QUIT": b"221 bye"}  # fmt: skip
    asked: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = server.accept()
        with sock, sock.makefile("rb") as lines:
            sock.sendall(b"220 hello\r\n")
            for line in lines:
                asked.append(line.split()[0].upper())
                sock.sendall(said.get(asked[-1], b"502 no") + b"\r\n")

    Thread(target=serve, daemon=True).start()
    port = server.getsockname()[1]
    settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{port}"]
    account = Account(kind="ftp", host="127.0.0.1", port=port, user="x", password="x")
    with pytest.raises(Failed), visit(account, seconds=4) as place:
        place.entries()
    assert b"PASV" in asked
    with pytest.raises(TimeoutError):
        elsewhere.accept()
    server.close()
    elsewhere.close()


def test_redirects(ways: Ways, tmp_path: Path, settings: Any) -> None:
    location = [""]

    def redirect(visit: Visit) -> None:
        redirecting(location[0])(visit)

    with serving(redirect) as server:
        settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{server.port}"]
        ways.connections.real.add(server.place)

        def way(url: str) -> None:
            location[0] = url
            with pytest.raises(http.Failed):
                http.fetch(server.url(), into=tmp_path, seconds=4)
            ways.connections.attempts = [each for each in ways.connections.attempts if each != server.place]

        # What no header can carry, and what leads back to the server itself, is no address inside.
        sent = [url for url in STORABLE if url.isascii() and url.isprintable() and urlsafe(url)]
        assert len(sent) > 120
        assert ways.try_all(way, sent) == []


def urlsafe(url: str) -> bool:
    return "//" in url and not url.startswith(("//", " "))


# --- processes apart, which nobody watches from here: they have no network at all --------------------------


UNSHARE = (
    "import ctypes, sys; libc = ctypes.CDLL(None); sys.exit(bool(libc.unshare(1 << 30) and libc.unshare(5 << 28)))"
)


@pytest.mark.skipif(
    bool(subprocess.run([sys.executable, "-c", UNSHARE], check=False).returncode),
    reason="this kernel lets nobody into a network of their own",
)
def test_the_processes_for_templates_and_files_are_in_a_network_of_their_own(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "card.pdf").write_bytes(card())
    assert render("{{ 1 + 1 }}", {}) == "2"
    assert inspect(tmp_path / "card.pdf")["state"] == "read"
    ours = Path("/proc/self/ns/net").readlink()
    apart = [each for each in (*RENDERERS.all, *pool.READERS.all) if each.process.poll() is None]
    networks = {Path(f"/proc/{each.process.pid}/ns/net").readlink() for each in apart}
    assert len(apart) >= 2
    assert ours not in networks
    for each in apart:
        interfaces = Path(f"/proc/{each.process.pid}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        assert Path(f"/proc/{each.process.pid}/net/route").read_text().splitlines()[1:] == []
    assert canary.visits == 0


@pytest.mark.parametrize(
    "source",
    ["{% include 'http://127.0.0.1:{canary}/' %}", "{% import 'http://127.0.0.1:{canary}/' as x %}",
     "{% extends 'http://127.0.0.1:{canary}/' %}", "{{ 'http://127.0.0.1:{canary}/' | urlize }}", "{{ url_for('x') }}",
     "{{ ''.__class__.__mro__[1].__subclasses__() }}",
     "{{ cycler.__init__.__globals__.os.popen('curl 127.0.0.1:{canary}') }}"],
)  # fmt: skip
def test_a_template_calls_nobody(canary: Canary, source: str) -> None:
    try:
        render(source.replace("{canary}", str(canary.port)), {"order": {"id": 1}})
    except Exception as error:
        assert type(error).__name__ == "Rejected"
    assert canary.visits == 0
