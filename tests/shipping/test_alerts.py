"""Parcels that no carrier has scanned: told once, shown, and forgotten with the next scan."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from gelatoconnect.celery import TIMETABLE
from orders.events import sweep
from orders.models import Delivery, Event, Order, Trigger
from orders.services import move
from shipping import alerts
from shipping.models import Package
from shipping.packing import close, pack
from shipping.tracking import note
from tests.shipping.conftest import pieces

HOURS = 48


@pytest.fixture(autouse=True)
def watched(settings: Any) -> Any:
    settings.SCAN_EXPECTED_HOURS = HOURS
    return settings


def shipped(order: Order) -> Package:
    """Handed over by hand, its parcels with it."""
    order = move(order, Order.ship, by="user:ada")
    sweep()
    return Package.objects.get(order=order)


def age(package: Package, *, hours: float, label: float | None = None) -> None:
    """Handed over so many hours ago, and labeled before that."""
    then = timezone.now() - timedelta(hours=hours)
    made = timezone.now() - timedelta(hours=hours + 1 if label is None else label)
    Package.objects.filter(pk=package.pk).update(status_at=then, labeled_at=made)


@pytest.fixture
def silent(labeled: Order) -> Package:
    """A parcel that was handed over 49 hours ago and has not been seen since."""
    package = shipped(labeled)
    age(package, hours=HOURS + 1)
    return Package.objects.get(pk=package.pk)


def test_a_label_has_the_time_it_was_made(labeled: Order) -> None:
    made = Package.objects.get(order=labeled).labeled_at
    assert made is not None
    assert timezone.now() - made < timedelta(minutes=1)


def test_a_parcel_that_is_not_scanned_is_told_of_once(silent: Package) -> None:
    trigger = Trigger.objects.create(name="Hook", event="package.*", address="https://shop.example/hook")
    assert (alerts.tell_unscanned(), alerts.tell_unscanned()) == (1, 0)
    event = Event.objects.get(kind="package.not_scanned")
    words = f"No scan of parcel {silent.tracking_code} has come for 48 hours."
    assert (event.by, event.data["reason"], event.data["package"]["id"], event.data["package"]["status"]) == (
        "system", words, str(silent.pk), "shipped")  # fmt: skip
    assert event.data["shipment"]["tracking"]["code"] == silent.tracking_code
    assert list(Delivery.objects.filter(event=event, listener="trigger").values_list("target")) == [(str(trigger.pk),)]
    order = Order.objects.get()
    assert order.problems == [{
        "code": "PARCEL_NOT_SCANNED", "severity": "warning", "path": "", "message": words,
        "hint": "Ask the carrier, or record the scan that is missing.", "details": {"package": str(silent.pk)},
    }]  # fmt: skip
    assert (order.status, order.sequence) == ("shipped", event.sequence)


@pytest.mark.parametrize("status", ["in_transit", "delivered"])
def test_the_next_scan_takes_the_warning_away(silent: Package, status: str) -> None:
    alerts.tell_unscanned()
    note(silent, status=status, at=timezone.now(), by="carrier:dhl")
    package = Package.objects.get()
    assert (package.status, package.missed_at, Order.objects.get().problems) == (status, None, [])
    assert alerts.tell_unscanned() == 0


def test_other_warnings_stay_when_the_parcel_is_seen(silent: Package) -> None:
    other = {"code": "ADDRESS_NAME_MISSING", "severity": "warning", "message": "One name only."}
    another = {"code": "PARCEL_NOT_SCANNED", "severity": "warning", "details": {"package": "another"}}
    Order.objects.update(problems=[other, another])
    alerts.tell_unscanned()
    note(silent, status="in_transit", at=timezone.now(), by="carrier:dhl")
    assert Order.objects.get().problems == [other, another]


def test_the_hours_count_from_the_handing_over(labeled: Order) -> None:
    package = shipped(labeled)
    age(package, hours=HOURS - 1, label=HOURS * 3)
    assert alerts.tell_unscanned() == 0
    age(package, hours=HOURS + 1, label=HOURS - 1)  # its label was made again since
    assert alerts.tell_unscanned() == 0


@pytest.mark.parametrize("change", [
    {"label": ""}, {"tracking_url": ""}, {"voided_at": timezone.now()}, {"status": "in_transit"},
    {"missed_at": timezone.now()},
])  # fmt: skip
def test_of_a_parcel_that_nobody_can_wait_for_nothing_is_told(silent: Package, change: dict[str, Any]) -> None:
    Package.objects.update(**change)
    assert (alerts.tell_unscanned(), Event.objects.filter(kind="package.not_scanned").count()) == (0, 0)


def test_a_parcel_that_is_still_in_the_house_is_not_waited_for(labeled: Order) -> None:
    package = Package.objects.get(order=labeled)
    age(package, hours=HOURS * 2)
    assert alerts.tell_unscanned() == 0


def test_after_a_month_nobody_waits_any_more(silent: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    later = timezone.now() + timedelta(days=40)
    assert alerts.unscanned(later).count() == 0
    assert alerts.unscanned(timezone.now() + timedelta(days=20)).count() == 1


def test_a_parcel_that_stayed_behind_is_told_of_too(printed: Order, account: Any) -> None:
    first = pack(printed, contents=pieces(printed, front=2), by="user:ada")
    order = close(printed, contents=pieces(printed, back=3), by="user:ada")
    sweep()
    note(first, status="in_transit", at=timezone.now(), by="carrier:dhl")
    behind = Package.objects.exclude(pk=first.pk).get(order=order)
    Package.objects.update(labeled_at=timezone.now() - timedelta(hours=HOURS + 1))
    assert (Order.objects.get().status, behind.status) == ("in_transit", "packaged")
    assert alerts.tell_unscanned() == 1
    assert Event.objects.get(kind="package.not_scanned").data["reason"].endswith("It may still be in the house.")
    note(behind, status="shipped", at=timezone.now(), by="user:ada")
    assert (Package.objects.get(pk=behind.pk).missed_at, Order.objects.get().problems) == (None, [])


def test_with_no_hours_nothing_is_watched(silent: Package, watched: Any) -> None:
    watched.SCAN_EXPECTED_HOURS = 0
    assert (alerts.tell_unscanned(), Package.objects.get().missed_at) == (0, None)


def test_a_scan_that_comes_while_it_is_looked_at_is_enough(silent: Package) -> None:
    note(silent, status="in_transit", at=timezone.now(), by="carrier:dhl")
    assert not alerts.tell_unscanned_of(silent, now=timezone.now())
    assert Event.objects.filter(kind="package.not_scanned").count() == 0


def test_one_that_cannot_be_told_stops_no_other(silent: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(package: Package, **_: Any) -> bool:
        raise RuntimeError("disk full")

    monkeypatch.setattr(alerts, "tell_unscanned_of", broken)
    assert alerts.tell_unscanned() == 0


def test_the_lists_say_it_in_words(silent: Package, packer: Client) -> None:
    alerts.tell_unscanned()
    page = packer.get("/shipping?view=not_scanned")
    assert [(row.pk, ">Not scanned</span>" in page.content.decode()) for row in page.context["page"].rows] == [
        (silent.pk, True)
    ]
    assert {label: count for label, _, count, _ in page.context["page"].tabs}["Not scanned"] == "1"
    order = packer.get(f"/orders/{silent.order_id}").content.decode()
    assert ">Not scanned</span>" in order
    assert "Ask the carrier, or record the scan that is missing." in order
    assert "PARCEL_NOT_SCANNED" in packer.get("/orders").content.decode()


@pytest.fixture
def on_disk(transactional_db: None, silent: Package, tmp_path: Path) -> Iterator[None]:
    """SQLite's test database lives in memory, where threads cannot wait for each other: they work on a copy in a file."""
    known = connection.settings_dict
    before = known["NAME"]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(tmp_path / "copy.sqlite3")])
        known["NAME"] = str(tmp_path / "copy.sqlite3")
    yield
    known["NAME"] = before


@pytest.mark.usefixtures("on_disk")
def test_clocks_that_look_at_the_same_moment_tell_it_once(silent: Package) -> None:
    barrier, now = Barrier(4), timezone.now()

    def look(_: int) -> bool:
        barrier.wait()
        try:
            return alerts.tell_unscanned_of(silent, now=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(look, range(4))) == [False, False, False, True]


def test_the_timetable_asks_every_five_minutes() -> None:
    assert [(entry.seconds, entry.function) for entry in TIMETABLE if entry.name == "miss scans"] == [
        (300, "shipping.alerts.tell_unscanned")
    ]
