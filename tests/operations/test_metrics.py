"""What Prometheus is told, read by Prometheus' own parser."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from gelatoconnect.lib.ids import first_id
from gelatoconnect.operations import heartbeats, metrics, requests, totals
from intake.models import OrderRequest
from orders import events
from orders.models import Attempt, Customer, Delivery, Event, Trigger
from tests.conftest import ApiClient, FileServer
from tests.factories import make_order

Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(requests, "_tally", None)


def scraped() -> dict[str, dict[str, float]]:
    """{sample: {labels: value}}; labels as "a=b,c=d"."""
    answer = Client().get("/metrics", headers={"Host": "localhost"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found.setdefault(sample.name.removeprefix("gelatoconnect_"), {})[labels] = sample.value
    return found


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute passes, as the counters see it."""
    monkeypatch.setattr(totals, "SETTLED", timedelta(seconds=-60))


def test_a_new_house_tells_zeros(db: None) -> None:
    found = scraped()
    assert found["oldest_due_delivery_seconds"] == {"": 0}
    assert set(found["deliveries"].values()) == {0}
    assert found["open_orders"]["status=received"] == 0
    assert [*found["build_info"].values()] == [1]
    assert "last_backup_timestamp_seconds" not in found


def test_open_orders_are_told_by_status(db: None) -> None:
    for status in ("received", "failed", "failed", "delivered"):
        make_order(status)
    found = scraped()["open_orders"]
    assert {name: count for name, count in found.items() if count} == {"status=received": 1, "status=failed": 2}
    assert "status=delivered" not in found


def test_what_waits_and_what_was_given_up_is_told_by_listener(customer: Customer) -> None:
    make_order(customer=customer)
    now = timezone.now()
    Delivery.objects.update(due=now - timedelta(seconds=90))
    (late, *_), listener = Delivery.objects.order_by("due"), "check"
    Delivery.objects.filter(pk=late.pk).update(listener=listener)
    event = Event.objects.latest("id")
    for number, (state, due) in enumerate([("due", 3600), ("given_up", 0), ("given_up", 0), ("done", 0)]):
        Delivery.objects.create(
            event=event, listener="webhook", target=str(number), state=state, due=now + timedelta(seconds=due)
        )
    found = scraped()
    assert found["deliveries"]["listener=check,state=due"] == 1
    assert found["deliveries"]["listener=webhook,state=later"] == 1
    assert found["deliveries"]["listener=webhook,state=given_up"] == 2
    assert 89 < found["oldest_due_delivery_seconds"][""] < 95


def test_no_more_is_counted_than_the_cap(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        make_order("failed")
    monkeypatch.setattr(metrics, "CAP", 3)
    found = scraped()
    assert found["open_orders"]["status=failed"] == 3
    assert sum(found["deliveries"].values()) == 3


def test_a_listener_that_is_no_more_is_told_as_long_as_it_has_deliveries(customer: Customer) -> None:
    event = Event.objects.create(kind="x", by="test", at=timezone.now(), sequence=1, customer=customer)
    Delivery.objects.create(event=event, listener='gone "x"\n', due=timezone.now())
    assert scraped()["deliveries"]['listener=gone "x"\n,state=due'] == 1


# --- counters -------------------------------------------------------------------------------------------
def test_requests_and_transitions_are_counted_once(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], file_server: FileServer, good_pdf: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settle(monkeypatch)
    url = file_server.add("card.pdf", good_pdf)
    for number in range(3):
        api.post("/api/orders", order_body(f"A-{number}", url=url))
    api.post("/api/orders", order_body() | {"items": []})
    events.sweep()
    for _ in range(3):
        totals.count()
    found = scraped()
    assert found["requests_total"] == {"channel=api,result=accepted": 3, "channel=api,result=rejected": 1}
    assert found["transitions_total"]["event=order.received"] == 3
    assert found["transitions_total"]["event=order.passed"] == 3
    assert found["delivery_attempts_total"]["listener=check,result=succeeded"] == 3
    api.post("/api/orders", order_body("A-9", url=url))
    totals.count()
    assert scraped()["requests_total"]["channel=api,result=accepted"] == 4


def test_what_is_younger_than_a_minute_is_left_for_the_next_time(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post("/api/orders", order_body())
    assert totals.count() == 0
    old = first_id(timezone.now() - timedelta(seconds=61))
    OrderRequest.objects.update(id=old)
    assert totals.count() == 1


def test_lost_sums_are_counted_again_from_the_beginning(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    monkeypatch.setattr(totals, "AT_ONCE", 2)
    for _ in range(3):
        make_order("passed")
    totals.count()
    first = scraped()["transitions_total"]
    assert first == {"event=order.received": 3, "event=order.passed": 3}
    totals.path().unlink()
    totals.count()
    assert scraped()["transitions_total"] == first


def test_events_that_change_no_status_do_not_stop_the_count(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    monkeypatch.setattr(totals, "AT_ONCE", 2)
    for number in range(5):
        Event.objects.create(kind="note", by="test", at=timezone.now(), sequence=number + 1)
    make_order("received")
    assert totals.count() == 3
    assert scraped()["transitions_total"] == {"event=order.received": 1}


def test_only_one_process_counts(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    make_order()
    with totals._alone() as mine:
        assert (mine, totals.count()) == (True, 0)
    assert totals.count() > 0


def test_durations_of_checks_are_a_histogram(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event.objects.create(kind="x", by="test", at=timezone.now(), sequence=1, customer=customer)
    delivery = Delivery.objects.create(event=event, listener="check", due=timezone.now(), state="done")
    for milliseconds in (7, 10, 11, 900, 1_000_000):
        Attempt.objects.create(delivery=delivery, at=timezone.now(), milliseconds=milliseconds, succeeded=True)
    totals.count()  # the first look sees how far the attempts go
    totals.count()
    assert "delivery_duration_seconds_count" not in scraped()
    settle(monkeypatch)
    totals.count()
    found = scraped()
    buckets = found["delivery_duration_seconds_bucket"]
    assert [buckets[f"le={limit},listener=check"] for limit in ("0.01", "0.025", "1", "900", "+Inf")] == [
        2,
        3,
        4,
        4,
        5,
    ]
    assert found["delivery_duration_seconds_sum"] == {"listener=check": pytest.approx(1000.928)}
    assert found["delivery_duration_seconds_count"] == {"listener=check": 5}


# --- requests to this machine -------------------------------------------------------------------------------
def test_requests_are_timed_by_door_and_result(api: ApiClient) -> None:
    api.get("/api/products")
    api.get("/api/orders/nothing")
    Client().get("/in/nothing")
    Client().get("/static/nothing")
    found = scraped()["http_request_duration_seconds_count"]
    assert found == {"door=api,result=2xx": 1, "door=api,result=4xx": 1, "door=in,result=4xx": 1}


def test_all_processes_of_the_machine_are_told_of_and_those_that_ended_too(db: None, settings: Any) -> None:
    script = (
        "import os, django; django.setup(); from django.conf import settings; from pathlib import Path;"
        f"settings.DATA_DIR = Path({str(settings.DATA_DIR)!r});"
        "from gelatoconnect.operations import requests;"
        "[requests._own().add('/api/products', 200, 0.02) for _ in range(1000)]"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings", "SECRET_KEY": "test"}
    running = [subprocess.Popen([sys.executable, "-c", script], env=env) for _ in range(2)]
    assert [process.wait(30) for process in running] == [0, 0]
    requests._own().add("/api/products", 200, 0.02)
    for _ in range(2):
        found = scraped()
        assert found["http_request_duration_seconds_count"] == {"door=api,result=2xx": 2001}
        assert found["http_request_duration_seconds_bucket"]["door=api,le=0.025,result=2xx"] == 2001
        assert found["http_request_duration_seconds_sum"]["door=api,result=2xx"] == pytest.approx(40.02)
    (folder,) = (settings.DATA_DIR / "requests").iterdir()
    assert len([*folder.glob("*-*")]) == 1


def test_a_folder_that_cannot_be_written_costs_no_request(db: None, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("a file where a folder should be")
    assert Client().get("/login").status_code == 200


# --- troubles ---------------------------------------------------------------------------------------------
def test_failing_endpoints_and_the_last_backup_are_told(customer: Customer) -> None:
    Trigger.objects.create(name="a", customer=customer, address="https://a.example", failing_since=timezone.now())
    Trigger.objects.create(name="b", customer=customer, address="https://b.example", active=False,
                           switched_off_at=timezone.now())  # fmt: skip
    heartbeats.write(heartbeats.folder() / "backup.json", {"timestamp": 1_700_000_000})
    found = scraped()
    assert found["endpoints"] == {"state=failing": 1, "state=switched_off": 1}
    assert found["last_backup_timestamp_seconds"] == {"": 1_700_000_000}


def test_a_scrape_asks_the_same_few_questions_however_much_there_is(customer: Customer) -> None:
    asked = []
    for _ in range(2):
        for _ in range(3):
            make_order("failed", customer=customer)
        with CaptureQueriesContext(connection) as queries:
            metrics.exposition()
        asked.append(len(queries))
    assert asked[0] == asked[1] < 15
