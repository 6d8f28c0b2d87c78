"""Health, readiness and who may see figures."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from gelatoconnect.celery import sweep
from gelatoconnect.operations import health, heartbeats
from orders.models import Customer, Delivery, Event
from tests.factories import make_order


@pytest.fixture(autouse=True)
def clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timetable that was heard of just now."""
    monkeypatch.setattr(heartbeats, "_last", {})
    heartbeats.beat("timetable")


def checks(client: Client | None = None, **headers: str) -> tuple[int, dict[str, str]]:
    answer = (client or Client()).get("/readyz", headers=headers)
    return answer.status_code, answer.json()["checks"]


def failed(client: Client | None = None) -> tuple[int, list[str]]:
    status, said = checks(client)
    return status, [name for name, how in said.items() if how != "ok"]


def owe(customer: Customer, *, seconds_ago: float, order: Any = None) -> Delivery:
    """A delivery that has been due for so long."""
    event = Event.objects.create(kind="clock.struck", by="test", at=timezone.now(), sequence=1, customer=customer)
    due = timezone.now() - timedelta(seconds=seconds_ago)
    return Delivery.objects.create(event=event, order=order, listener="clock-test", due=due)


# --- alive ----------------------------------------------------------------------------------------------
def test_health_asks_nothing_but_the_process(django_assert_num_queries: Any) -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content, answer["Cache-Control"]) == (200, b"ok\n", "no-store")


@pytest.mark.parametrize("path, status", [("/healthz", 200), ("/readyz", 200), ("/metrics", 403)])
def test_probes_answer_by_whatever_name_and_over_plain_http(db: None, settings: Any, path: str, status: int) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get(path, headers={"Host": "10.3.4.5:8000"})
    assert answer.status_code == status
    assert Client().get("/login", headers={"Host": "10.3.4.5:8000"}).status_code == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_only_read(db: None, path: str) -> None:
    assert Client().post(path).status_code == 405


# --- ready ----------------------------------------------------------------------------------------------
def test_all_is_well(db: None) -> None:
    assert checks() == (200, dict.fromkeys(["database", "migrations", "files", "deliveries", "timetable"], "ok"))


def test_a_database_that_does_not_answer(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise DatabaseError("connection refused by db.internal")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "cursor", refuse)
        status, names = failed()
    assert (status, names) == (503, ["database", "migrations", "deliveries"])


def test_a_migration_that_is_missing(db: None) -> None:
    MigrationRecorder(connection).migration_qs.filter(app="orders", name="0001_initial").delete()
    assert failed() == (503, ["migrations"])


def test_a_folder_that_cannot_be_written(db: None, settings: Any, tmp_path: Path) -> None:
    (settings.FILES_DIR / "incoming").mkdir(parents=True)
    shutil.rmtree(settings.FILES_DIR / "incoming")
    (settings.FILES_DIR / "incoming").write_text("a file where a folder should be")
    assert failed() == (503, ["files"])


@pytest.mark.parametrize("seconds, names", [(290, []), (310, ["deliveries"])])
def test_a_delivery_that_is_overdue(customer: Customer, seconds: float, names: list[str]) -> None:
    owe(customer, seconds_ago=seconds)
    assert failed() == (503 if names else 200, names)


def test_a_delivery_that_waits_for_an_earlier_one_is_nobodys_fault(customer: Customer, connector: Any) -> None:
    order = make_order(customer=customer)
    Delivery.objects.all().delete()
    owe(customer, seconds_ago=-3600, order=order)  # will be tried in an hour
    owe(customer, seconds_ago=7200, order=order)
    assert failed() == (200, [])


@pytest.mark.parametrize("seconds, names", [(50, []), (70, ["timetable"])])
def test_a_timetable_that_is_silent(db: None, seconds: float, names: list[str]) -> None:
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    for path in heartbeats.folder().iterdir():
        path.unlink()
    heartbeats.write(heartbeats.folder() / "timetable@a.json", {"name": "timetable", "host": "a", "at": at.isoformat()})
    assert failed() == (503 if names else 200, names)


def test_of_two_timetables_one_is_enough(db: None) -> None:
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    heartbeats.write(heartbeats.folder() / "timetable@b.json", {"name": "timetable", "host": "b", "at": old})
    assert failed() == (200, [])


def test_what_is_a_day_old_is_forgotten_and_what_is_broken_is_passed_over(db: None) -> None:
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    heartbeats.write(heartbeats.folder() / "worker@b.json", {"name": "worker", "host": "b", "at": old})
    (heartbeats.folder() / "worker@c.json").write_text("{half")
    heartbeats.write(heartbeats.folder() / "worker@d.json", {"name": "worker", "at": 7})
    assert [each.name for each in heartbeats.beats()] == ["timetable"]
    assert not (heartbeats.folder() / "worker@b.json").exists()


def test_strangers_hear_which_check_failed_but_not_why(customer: Customer, settings: Any) -> None:
    settings.METRICS_TOKEN = "let-me-see"
    owe(customer, seconds_ago=900)
    stranger = Client().get("/readyz")
    assert sorted(stranger.json()) == ["checks", "ready"]
    known = Client().get("/readyz", headers={"Authorization": "Bearer let-me-see"})
    assert known.json()["said"]["deliveries"] == (
        "The oldest has been due for 15 min: is a worker, or the timetable, running?"
    )


def test_details_of_a_fault_are_cleaned(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OSError("No space left on '/srv/files/lena-koch.pdf'")

    monkeypatch.setitem(health.CHECKS, "files", fail)
    assert Client().get("/readyz").json()["said"]["files"] == "OSError: No space left on ***"


# --- who may measure ------------------------------------------------------------------------------------
def measured(settings: Any, *, token: str = "", address: str = "127.0.0.1", **headers: str) -> int:
    settings.METRICS_TOKEN = token
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client().get("/metrics", headers=headers, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_without_a_token_this_machine_may(db: None, settings: Any, host: str) -> None:
    assert measured(settings, Host=host) == 200
    assert measured(settings, Host=host, address="::1") == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"address": "10.0.0.7", "Host": "localhost"},
        {"Host": "orders.example.com"},  # a proxy on this machine that passes the name on
        {"Host": "localhost.example.com"},
        {"Host": "localhost", "X_Forwarded_For": "203.0.113.9"},
        {"Host": "localhost", "X_Forwarded_Proto": "https"},
        {"Host": "localhost", "Forwarded": "for=203.0.113.9"},
        {"address": "", "Host": "localhost"},
    ],
)
def test_without_a_token_nobody_else_may(db: None, settings: Any, asked: dict[str, str]) -> None:
    assert measured(settings, **asked) == 403


@pytest.mark.parametrize(
    "said, status",
    [("Bearer s3cret-token", 200), ("bearer  s3cret-token ", 200), ("Bearer s3cret", 401), ("", 401),
     ("Basic s3cret-token", 401), ("Bearer s3cret-tokené", 401)],
)  # fmt: skip
def test_with_a_token_it_must_be_said_from_everywhere(db: None, settings: Any, said: str, status: int) -> None:
    assert measured(settings, token="s3cret-token", Host="localhost", Authorization=said) == status
    assert (
        measured(settings, token="s3cret-token", Host="any.example", address="10.0.0.7", Authorization=said) == status
    )


def test_the_timetable_beats_and_a_worker_too(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep()
    assert sorted(each.name for each in heartbeats.beats()) == ["timetable", "worker"]


def test_a_process_does_not_write_at_every_turn(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr(heartbeats, "write", lambda path, said: written.append(path))
    for _ in range(100):
        heartbeats.beat("worker")
    assert len(written) == 1
