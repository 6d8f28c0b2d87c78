import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from orders.lifecycle import Status
from orders.models import Event, Order, ShipmentMethod
from orders.services import amend, move
from shipping.models import CarrierAccount, Package, Scan
from shipping.packing import close, pack
from shipping.tracking import SEEN, find_package, goal, note, path
from tests.factories import make_order
from tests.shipping.conftest import pieces

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BY = "carrier:manual"


@pytest.fixture
def package(packaged: Order) -> Package:
    return Package.objects.get()


@pytest.fixture
def two(printed: Order, account: CarrierAccount) -> list[Package]:
    """The packages of an order with two."""
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    close(printed, contents=pieces(printed, back=3), by="user:ada")
    return list(Package.objects.all())


def seen(package: Package, *statuses: str) -> str:
    """The order's status after these scans, an hour apart."""
    for hour, status in enumerate(statuses):
        order = note(package, status=status, at=NOON + timedelta(hours=hour), by=BY)
    return order.status


def moves(order: Order) -> list[str]:
    taken = Event.objects.filter(order=order, source__in=["packaged", *SEEN]).order_by("sequence")
    return [event.data["verb"] for event in taken]


def test_scans_lead_an_order_to_its_recipient(package: Package) -> None:
    assert seen(package, "shipped") == "shipped"
    assert seen(package, "in_transit") == "in_transit"
    assert seen(package, "delivered") == "delivered"
    assert moves(package.order) == ["ship", "travel", "arrive"]
    numbers = Event.objects.filter(order=package.order).order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("scans", "status", "verbs"),
    [
        (["in_transit"], "in_transit", ["ship", "travel"]),
        (["delivered"], "delivered", ["ship", "arrive"]),
        (["returned"], "returned", ["ship", "come_back"]),
        (["shipped", "delivered"], "delivered", ["ship", "arrive"]),
        (["delivered", "in_transit"], "delivered", ["ship", "arrive"]),
        (["delivered", "returned"], "returned", ["ship", "arrive", "come_back"]),
        (["returned", "delivered"], "returned", ["ship", "come_back"]),
        (["in_transit", "shipped", "in_transit"], "in_transit", ["ship", "travel"]),
    ],
)
def test_missing_scans_are_made_up_for_and_late_ones_change_nothing(
    package: Package, scans: list[str], status: str, verbs: list[str]
) -> None:
    assert seen(package, *scans) == status
    assert moves(package.order) == verbs
    assert Package.objects.get().status == status
    assert Scan.objects.count() == len(scans)


def test_the_same_scan_a_second_time_changes_nothing(package: Package, unchanged: Callable) -> None:
    note(package, status="shipped", at=NOON, place="Oslo", by=BY)
    before = unchanged()
    order = note(package, status="shipped", at=NOON, place="Oslo", by=BY)
    assert order.status == "shipped"
    assert unchanged() == before


def test_a_late_scan_is_kept_but_tells_nobody(package: Package) -> None:
    note(package, status="delivered", at=NOON, by=BY)
    told = Event.objects.count()
    note(package, status="in_transit", at=NOON - timedelta(hours=5), place="Hamar", by=BY)
    assert list(Scan.objects.values_list("status", flat=True)) == ["delivered", "in_transit"]
    assert Event.objects.count() == told
    assert (Package.objects.get().status, Package.objects.get().status_at) == ("delivered", NOON)


def test_a_status_that_is_none_of_a_parcels_is_refused(package: Package, unchanged: Callable) -> None:
    before = unchanged()
    for status in ("packaged", "canceled", "lost"):
        with pytest.raises(ValueError, match=status):
            note(package, status=status, at=NOON, by=BY)
    assert unchanged() == before


def test_a_new_status_is_told_in_the_standard_payload(package: Package) -> None:
    ShipmentMethod.objects.create(uid="normal", name="Letter post")
    Package.objects.update(tracking_code="GC1", tracking_url="https://track.example/GC1")
    note(package, status="in_transit", at=NOON, place="Hamar", message="Sorted", by=BY)
    event = Event.objects.get(kind="package.status_updated")
    items = {item.reference: str(item.pk) for item in package.order.items.all()}
    assert event.by == BY
    assert event.data == {
        "package": {
            "id": str(package.pk),
            "items": [
                {"id": items["front"], "quantity": 2, "referenceId": "front", "metadata": {}},
                {"id": items["back"], "quantity": 3, "referenceId": "back", "metadata": {}},
            ],
            "status": "in_transit",
            "weight": 40,
        },
        "shipment": {
            "fulfillmentLocation": {"country": "NO", "stateProvince": ""},
            "method": {"id": "normal", "name": "Letter post"},
            "tracking": {"code": "GC1", "url": "https://track.example/GC1"},
        },
        "scan": {"at": "2026-03-02T12:00:00+00:00", "place": "Hamar", "message": "Sorted", "by": BY},
        "changes": {"package.status": ["packaged", "in_transit"]},
    }


def test_the_reason_of_a_return_is_kept_with_the_move(package: Package) -> None:
    note(package, status="returned", at=NOON, message="Recipient moved", by=BY)
    assert Event.objects.get(kind="order.returned").data["reason"] == "Recipient moved"


def test_an_order_is_shipped_when_all_its_packages_are(two: list[Package]) -> None:
    assert seen(two[0], "shipped") == "packaged"
    assert seen(two[1], "shipped") == "shipped"


def test_one_package_on_its_way_is_enough_for_in_transit(two: list[Package]) -> None:
    assert seen(two[0], "in_transit") == "in_transit"
    assert seen(two[1], "shipped") == "in_transit"


def test_an_order_is_delivered_when_all_its_packages_are(two: list[Package]) -> None:
    assert seen(two[0], "delivered") == "in_transit"
    assert seen(two[1], "shipped", "delivered") == "delivered"


def test_an_order_is_returned_when_all_its_packages_are(two: list[Package]) -> None:
    assert seen(two[0], "delivered", "returned") == "in_transit"
    assert seen(two[1], "delivered") == "delivered"
    assert seen(two[1], "returned") == "returned"


def test_a_void_package_counts_no_more(two: list[Package], unchanged: Callable) -> None:
    Package.objects.filter(pk=two[1].pk).update(voided_at=NOON)
    assert seen(two[0], "shipped") == "shipped"
    told = Event.objects.count()
    assert seen(two[1], "delivered") == "shipped"
    assert Event.objects.count() == told
    assert Package.objects.get(pk=two[1].pk).status == "packaged"


def test_an_order_on_hold_stays_where_it_is_and_the_scan_is_kept(package: Package) -> None:
    amend(package.order, by="user:ada", hold=("Customs", None))
    assert seen(package, "shipped") == "packaged"
    assert Package.objects.get().status == "shipped"


def test_a_scan_of_an_order_that_was_canceled_moves_nothing(package: Package) -> None:
    move(package.order, Order.cancel, by="user:ada", reason="Changed my mind")
    assert seen(package, "in_transit") == "canceled"


def test_an_order_without_packages_is_where_it_is(db: None) -> None:
    order = make_order("packaged")
    assert goal(order) == "packaged"


def test_no_path_leads_backwards() -> None:
    way = [Status.PACKAGED, Status.SHIPPED, Status.IN_TRANSIT, Status.DELIVERED, Status.RETURNED]
    for place, status in enumerate(way):
        assert [path(status, earlier) for earlier in way[: place + 1]] == [()] * (place + 1)
    assert path(Status.PRINTED, Status.DELIVERED) == ()


def test_a_package_is_found_by_its_code_or_id_and_rather_a_live_one(two: list[Package]) -> None:
    assert find_package("") is None
    Package.objects.update(tracking_code="GC1")
    Package.objects.filter(pk=two[0].pk).update(voided_at=NOON)
    assert find_package(" GC1 ") == two[1]
    assert find_package(str(two[0].pk)) == two[0]
    assert find_package("GC2") is None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_two_scans_of_two_packages_at_the_same_time_both_count(two: list[Package]) -> None:
    start = threading.Barrier(2)

    def scan(package: Package) -> None:
        start.wait()
        try:
            for status in ("shipped", "shipped", "in_transit", "delivered"):
                note(package, status=status, at=NOON, by=BY)
        finally:
            connection.close()

    threads = [threading.Thread(target=scan, args=(package,)) for package in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    order = Order.objects.get()
    assert order.status == "delivered"
    assert Scan.objects.count() == 6
    numbers = Event.objects.filter(order=order).order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, order.sequence + 1))
    assert Event.objects.filter(kind="package.status_updated").count() == 6
    assert Event.objects.filter(kind="order.delivered").count() == 1
