"""The same webhook delivered many times at the same moment makes one order: on the database that is really used.

SQLite's test database lives in memory, where threads cannot wait for each other; so these tests work on a copy of it in a
file, opened as the product opens its own.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from intake.connectors import CONNECTOR_TYPES
from intake.models import Connector, OrderRequest
from orders.models import Event, Order, Product
from tests.connectors.tiny import Tiny, signed

SECRET, TIMES = "tiny-secret", 8
pytestmark = pytest.mark.django_db(transaction=True)
Answers = list[tuple[int, bytes]]


@pytest.fixture
def tiny(channel: Callable[..., Connector], product: Product, monkeypatch: pytest.MonkeyPatch) -> Connector:
    monkeypatch.setitem(CONNECTOR_TYPES, "tiny", Tiny())
    return channel("tiny", secret=SECRET)


@pytest.fixture
def on_disk(tiny: Connector, tmp_path: Path) -> Iterator[None]:
    """Other threads see what is committed so far, in a database that makes them wait for each other."""
    known = connection.settings_dict
    before = known["NAME"]
    if connection.vendor == "sqlite":
        copy = tmp_path / "copy.sqlite3"
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(copy)])
        known["NAME"] = str(copy)
    yield
    known["NAME"] = before


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """All of them in threads of their own, let go at the same moment."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            start.wait(timeout=20)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def there(ask: Callable[[], Any]) -> Any:
    """What the database of those threads holds."""
    return at_once([ask])[0]


def post(connector: Connector, body: dict[str, Any], **headers: str) -> Callable[[], tuple[int, bytes]]:
    raw = json.dumps(body).encode()

    def call() -> tuple[int, bytes]:
        client = Client(raise_request_exception=False)
        response = client.post(
            f"/in/{connector.pk}", raw, "application/json", headers=signed(raw, secret=SECRET, **headers)
        )
        return response.status_code, response.content

    return call


def kinds() -> list[str]:
    return list(Event.objects.order_by("sequence").values_list("kind", flat=True))


def test_one_webhook_delivered_eight_times_at_once_makes_one_order(
    tiny: Connector, on_disk: None, order_body: Callable[..., dict[str, Any]]
) -> None:
    answers = at_once([post(tiny, order_body() | {"id": "A-1"}, **{"x-id": "evt-1"})] * TIMES)
    assert {status for status, _ in answers} == {201}
    assert len({body for _, body in answers}) == 1
    assert there(lambda: (Order.objects.count(), OrderRequest.objects.count(), kinds())) == (1, 1, ["order.received"])


def test_eight_webhooks_of_one_order_at_once_make_one_order(
    tiny: Connector, on_disk: None, order_body: Callable[..., dict[str, Any]]
) -> None:
    """As a shop sends "created" and "paid" together: each has a key of its own."""
    body = order_body() | {"id": "A-1"}
    answers = at_once([post(tiny, body, **{"x-id": f"evt-{number}"}) for number in range(TIMES)])
    assert sorted(status for status, _ in answers) == [200] * (TIMES - 1) + [201]
    assert len({body for _, body in answers}) == 1
    assert there(lambda: (Order.objects.count(), OrderRequest.objects.count(), kinds())) == (
        1,
        TIMES,
        ["order.received"],
    )


def test_eight_different_contents_under_one_key_at_once_make_one_order(
    tiny: Connector, on_disk: None, order_body: Callable[..., dict[str, Any]]
) -> None:
    calls = [
        post(tiny, order_body(f"A-{number}") | {"id": f"A-{number}"}, **{"x-id": "evt-1"}) for number in range(TIMES)
    ]
    assert sorted(status for status, _ in at_once(calls)) == [201] + [409] * (TIMES - 1)
    assert there(lambda: (Order.objects.count(), OrderRequest.objects.filter(state="rejected").count())) == (
        1,
        TIMES - 1,
    )


def test_an_order_and_its_cancel_at_once_leave_no_order_to_be_made(
    tiny: Connector, on_disk: None, order_body: Callable[..., dict[str, Any]]
) -> None:
    calls = []
    for number in range(TIMES):
        id = f"A-{number}"
        calls += [post(tiny, order_body(id) | {"id": id}), post(tiny, {"id": id, "cancel": True})]
    assert {status for status, _ in at_once(calls)} <= {200, 201}
    assert there(lambda: set(Order.objects.values_list("status", flat=True))) <= {"canceled"}
