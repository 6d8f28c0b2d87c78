"""Whatever a receiver does, a delivery to it ends in time, with the right record, and delays nobody else."""

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from gelatoconnect.lib import http
from orders import events
from orders.events import LISTENERS, sweep
from orders.models import Attempt, Customer, Delivery, EndpointDay, Trigger
from tests.lib import hostile
from tests.lib.hostile import Behaviour, answer, saying, serving
from tests.orders.test_turns import make_orders

SECONDS = 0.5  # of a call, here; 20 at a customer's
SLACK = 2.0  # for a busy machine
MEGABYTE = 1024 * 1024


def hundred_megabytes(visit: hostile.Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MEGABYTE))
    for _ in range(1600):
        visit.say(b"a" * 65_536)


def refusing(status: str, head: str = "") -> Behaviour:
    return saying(answer(b"no", status=status, head=head))


# What it does, what becomes of the delivery, what is recorded, and what the endpoint's health is (failures, rests, on).
RECEIVERS: dict[str, tuple[Behaviour, str, str, tuple[int, bool, bool]]] = {
    "200": (saying(answer(b"ok")), "done", "", (0, False, True)),
    "204": (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), "done", "", (0, False, True)),
    "500": (refusing("500 Oops"), "due", "The receiver answered 500.", (1, False, True)),
    "302": (hostile.redirecting("http://127.0.0.1:1/"), "due", "The receiver answered 302.", (1, False, True)),
    "410": (refusing("410 Gone"), "given_up", "The receiver answered 410: it wants no more of them.", (1, False, False)),
    "429": (refusing("429 Slow", "Retry-After: 7200\r\n"), "due", "The receiver answered 429.", (1, True, True)),
    "503 with a date": (refusing("503 Busy", "Retry-After: Fri, 31 Dec 2999 23:59:59 GMT\r\n"), "due",
                        "The receiver answered 503.", (1, True, True)),
    "silence": (hostile.silence, "due", "FETCH_TIMEOUT", (1, False, True)),
    "header drip": (hostile.header_drip, "due", "FETCH_TIMEOUT", (1, False, True)),
    "body drip": (hostile.body_drip, "due", "FETCH_TIMEOUT", (1, False, True)),
    "reset": (hostile.reset, "due", "FETCH_UNREACHABLE", (1, False, True)),
    "garbage": (saying(bytes(range(256)) * 50), "due", "FETCH_PROTOCOL", (1, False, True)),
    "huge headers": (hostile.very_many_headers, "due", "FETCH_PROTOCOL", (1, False, True)),
    "one endless header": (hostile.endless_header_line, "due", "FETCH_PROTOCOL", (1, False, True)),
    "100 MB": (hundred_megabytes, "done", "", (0, False, True)),
    "endless chunks": (hostile.endless_chunks, "done", "", (0, False, True)),
    "gzip bomb": (hostile.gzip_bomb, "done", "", (0, False, True)),
    "nothing": (saying(b""), "due", "FETCH_UNREACHABLE", (1, False, True)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def short_calls_to_this_machine(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FETCH_ALLOWED_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr("orders.webhooks.http.send", limited(SECONDS))
    monkeypatch.setattr(events, "LISTENERS", {"trigger": LISTENERS["trigger"]})


def limited(seconds: float, send: Callable = http.send) -> Callable:
    return lambda url, **said: send(url, **said | {"seconds": seconds})


def hook(customer: Customer, url: str, **more: Any) -> Trigger:
    return Trigger.objects.create(name="Hook", customer=customer, event="order.*", address=url, **more)


def health() -> tuple[int, bool, bool]:
    failures, rests, on = Trigger.objects.values_list("failures", "slow_until", "active").get()
    return failures, rests is not None and rests > timezone.now(), on


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_delivery_to_any_receiver_ends_in_time_with_the_right_record(name: str, customer: Customer) -> None:
    behaviour, state, said, then = RECEIVERS[name]
    with serving(behaviour) as server:
        hook(customer, server.url())
        make_orders(customer, 1)
        started = monotonic()
        assert sweep() == 1
        assert monotonic() - started < SECONDS + SLACK
        assert len(server.requests) == 1
    delivery, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert (delivery.state, delivery.lease, delivery.attempts) == (state, None, 1)
    assert (attempt.message.partition(": ")[0] if said.isupper() else attempt.message) == said
    assert (attempt.succeeded, health()) == (state == "done", then)
    assert len(attempt.report.get("answer", {}).get("body", "")) <= 4096
    day = EndpointDay.objects.get()
    assert (day.delivered, day.failed, day.milliseconds) == (state == "done", state != "done", attempt.milliseconds)


def test_a_receiver_that_never_accepts_ends_in_time(customer: Customer) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        hook(customer, f"http://127.0.0.1:{full.getsockname()[1]}/")
        make_orders(customer, 1)
        started = monotonic()
        sweep()
        assert monotonic() - started < SECONDS + SLACK
        for one in waiting:
            one.close()
    assert Attempt.objects.get().message.startswith("FETCH_TIMEOUT")
    assert health() == (1, False, True)


@pytest.mark.parametrize("behaviour", [hundred_megabytes, hostile.gzip_bomb, hostile.endless_header_line])
def test_a_huge_answer_takes_little_memory(customer: Customer, behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        hook(customer, server.url())
        make_orders(customer, 1)
        tracemalloc.start()
        sweep()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 45 * MEGABYTE  # the gzip bomb is made in this process as well, of 20 MB


def test_every_attempt_passes_the_guarded_door(customer: Customer, settings: Any) -> None:
    """An address that was allowed, or public, when the trigger was made and is so no more."""
    with serving(saying(answer(status="500 Oops"))) as server:
        hook(customer, server.url())
        make_orders(customer, 1)
        sweep()
        assert len(server.requests) == 1
        settings.FETCH_ALLOWED_HOSTS = []
        Delivery.objects.update(due=timezone.now() - timedelta(seconds=1))
        sweep()
        assert len(server.requests) == 1
    assert Delivery.objects.get().error.startswith("URL_FORBIDDEN")


def test_no_redirect_is_followed(customer: Customer) -> None:
    with serving(saying(answer(b"inside"))) as inside, serving(hostile.redirecting(inside.url())) as server:
        hook(customer, server.url())
        make_orders(customer, 1)
        sweep()
        assert (len(server.requests), inside.requests) == (1, [])


# --- others are not delayed -------------------------------------------------------------------------------
@pytest.fixture
def on_disk(transactional_db: None, customer: Customer, tmp_path: Path) -> Iterator[None]:
    """SQLite's test database lives in memory, where threads cannot wait for each other: they work on a copy in a file."""
    known = connection.settings_dict
    before = known["NAME"]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(tmp_path / "copy.sqlite3")])
        known["NAME"] = str(tmp_path / "copy.sqlite3")
    yield
    known["NAME"] = before


def in_thread(work: Callable[[], None]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_an_endpoint_that_takes_its_whole_time_delays_nobody_else(
    on_disk: None, customer: Customer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four sweepers; one endpoint never answers and takes 5 seconds each time; the other's p95 stays below 2 seconds."""
    settings.WORKERS = 4
    monkeypatch.setattr("orders.webhooks.http.send", limited(5))
    over = threading.Event()
    waits: list[float] = []

    def sweeper() -> None:
        while not over.is_set():
            sweep(seconds=1)
            sleep(0.05)

    def feed() -> None:
        for _ in range(24):
            make_orders(customer, 1)
            sleep(0.15)

    def look() -> None:
        until = monotonic() + 30
        while monotonic() < until:
            done = Delivery.objects.filter(target=str(good.pk), state="done").select_related("event")
            waits[:] = [(each.ended_at - each.event.at).total_seconds() for each in done]
            if len(waits) == 24:
                return
            sleep(0.2)

    with serving(hostile.silence) as slow, serving(saying(answer())) as quick:
        hooks: list[Trigger] = []
        in_thread(lambda: hooks.extend([hook(customer, slow.url()), hook(customer, quick.url())])).join()
        good = hooks[1]
        threads = [in_thread(sweeper) for _ in range(4)]
        in_thread(feed).join()
        in_thread(look).join()
        over.set()
        for thread in threads:
            thread.join(timeout=15)
    assert len(waits) == 24
    assert sorted(waits)[int(0.95 * len(waits))] <= 2.0
    assert 1 <= len(slow.requests) <= 6  # never more than three at once, then it rests
