"""The status page: what runs, what waits, what fails."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gelatoconnect.operations import heartbeats, status
from intake.models import Connector
from orders.models import AuditEntry, Customer, Delivery, Event, Trigger
from tests.factories import make_order, make_user


@pytest.fixture
def manager(db: None) -> Client:
    client = Client()
    client.force_login(make_user("Manager"))
    return client


@pytest.mark.parametrize(
    "role, answer", [("Administrator", 200), ("Manager", 200), ("Accountant", 200), ("Packaging user", 403)]
)
def test_who_may_see_it(db: None, role: str, answer: int) -> None:
    client = Client()
    assert client.get("/status").status_code == 302
    client.force_login(make_user(role))
    assert client.get("/status").status_code == answer


def test_a_new_house_shows_what_is_missing(manager: Client) -> None:
    page = manager.get("/status").content.decode()
    for said in (
        "Not ready",
        "It has not run here yet",
        "Nobody has been heard of yet",
        "Nothing waits",
        "None was made by",
    ):
        assert said in page


def test_everything_that_is_wrong_is_named(manager: Client, customer: Customer, settings: Any) -> None:
    now = timezone.now()
    heartbeats.write(
        heartbeats.folder() / "worker@press-1.json", {"name": "worker", "host": "press-1", "at": now.isoformat()}
    )
    old = (now - timedelta(days=3)).timestamp()
    heartbeats.write(heartbeats.folder() / "backup.json", {"timestamp": old, "file": "/b.tar", "bytes": 2048})
    event = Event.objects.create(kind="x", by="test", at=now, sequence=1, customer=customer)
    Delivery.objects.create(event=event, listener="webhook", due=now - timedelta(minutes=12))
    Delivery.objects.create(event=event, listener="check", due=now, state="given_up")
    Trigger.objects.create(
        name="Acme ERP", customer=customer, address="https://a.example", failing_since=now, failures=7
    )
    Connector.objects.create(name="acme-etsy", type="api", customer=customer, pull_error="Etsy does not answer.")
    AuditEntry.objects.create(by="system", action="erased", kind="retention", object_id="imports", name="x")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    page = manager.get("/status").content.decode()
    for said in ("press-1", "The oldest has been due for 12 min", "Acme ERP", "7 in a row", "acme-etsy",
                 "Etsy does not answer.", "more than two days old", "Does not answer"):  # fmt: skip
        assert said in page
    found = status.found()
    assert [(each.listener, each.due, each.given_up) for each in found.queues] == [("webhook", 1, 0), ("check", 0, 1)]
    assert [about for about, _, last in found.kept if last] == ["Imported files"]


def test_a_house_that_does_well_says_so(manager: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "_last", {})
    heartbeats.beat("timetable")
    heartbeats.write(
        heartbeats.folder() / "backup.json", {"timestamp": timezone.now().timestamp(), "file": "/b", "bytes": 1}
    )
    page = manager.get("/status").content.decode()
    assert ("Not ready" in page, "Every endpoint answers" in page, 'data-severity="warning"' in page) == (
        False,
        True,
        False,
    )


def test_it_asks_as_much_with_one_order_as_with_many(
    manager: Client, customer: Customer, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for _ in range(5):
        make_order(customer=customer)
    with django_assert_max_num_queries(40):
        manager.get("/status")
