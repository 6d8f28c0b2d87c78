from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from gelatoconnect.lib import storage
from orders import search
from orders.events import LISTENERS, deliver, replay, sweep
from orders.models import Delivery, Event, Order, Trigger
from orders.payloads import payload
from orders.services import amend, move
from shipping import carriers
from shipping.carriers.base import Booking, Carrier, Failed, Parcel
from shipping.carriers.manual import Config
from shipping.models import CarrierAccount, Package, Scan
from shipping.packing import close, pack
from shipping.tracking import note
from tests.shipping.conftest import all_of, pieces

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OURS = ("label", "unpack", "void label", "parcels", "catch up")


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.events.LISTENERS", {name: LISTENERS[name] for name in OURS})


class FakeCarrier(Carrier):
    """Remembers what it was asked; `fails` is raised instead of an answer."""

    name, label, Config = "manual", "Fake", Config
    booked: list[tuple[Parcel, str, str]]
    voided: list[str]
    fails: Failed | None
    before: Callable[[], Any]

    def book(self, parcel: Parcel, service: str, *, key: str) -> Booking:
        type(self).before()
        self.booked.append((parcel, service, key))
        if self.fails:
            raise self.fails
        return Booking(f"ref-{key}", "FAKE1", "https://track.example/FAKE1", b"%PDF-label")

    def void(self, booking: Booking) -> None:
        if self.fails:
            raise self.fails
        self.voided.append(booking.carrier_reference)


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeCarrier]]:
    FakeCarrier.booked, FakeCarrier.voided, FakeCarrier.fails = [], [], None
    FakeCarrier.before = staticmethod(lambda: None)
    monkeypatch.setitem(carriers.CARRIERS, "manual", FakeCarrier)
    return FakeCarrier


def kinds(order: Order) -> list[str]:
    return list(Event.objects.filter(order=order).order_by("sequence").values_list("kind", flat=True))


def deliveries(listener: str) -> list[tuple[str, str]]:
    return list(Delivery.objects.filter(listener=listener).values_list("state", "error"))


# --- labels ----------------------------------------
def test_a_closed_package_gets_its_label(packaged: Order) -> None:
    sweep()
    package = Package.objects.get()
    assert package.tracking_code.startswith("GC")
    assert package.tracking_url == f"https://track.example/{package.tracking_code}"
    assert (package.account.name, package.service) == ("Parcel shop", "normal")
    page = PdfReader(BytesIO(storage.path_of(package.label).read_bytes())).pages[0].extract_text()
    assert "Ana Ruiz" in page
    event = Event.objects.get(kind="package.labeled")
    assert event.by == "carrier:manual"
    assert event.data["shipment"]["tracking"] == {"code": package.tracking_code, "url": package.tracking_url}


def test_the_order_is_found_by_its_tracking_code(packaged: Order) -> None:
    sweep()
    assert list(search.find(Order.objects.all(), Package.objects.get().tracking_code)) == [packaged]


def test_the_carrier_is_told_what_it_needs_to_know(packaged: Order, carrier: type[FakeCarrier]) -> None:
    sweep()
    parcel, service, key = carrier.booked[0]
    package = Package.objects.get()
    assert (service, key) == ("normal", str(package.pk))
    assert (parcel.reference, parcel.weight_g, parcel.number, parcel.count) == (packaged.reference, 40, 1, 1)
    assert (parcel.recipient.name, parcel.recipient.city, parcel.recipient.country) == ("Ana Ruiz", "Oslo", "NO")
    assert (parcel.sender.name, parcel.sender.country) == ("Gelato Print Works", "NO")
    assert [(content.description, content.quantity) for content in parcel.contents] == [("Card A6", 2), ("Card A6", 3)]


def test_each_package_gets_a_label_of_its_own(printed: Order, account: CarrierAccount) -> None:
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    close(printed, contents=pieces(printed, back=3), by="user:ada")
    sweep()
    assert len(set(Package.objects.values_list("tracking_code", flat=True))) == 2
    assert kinds(printed)[-3:] == ["order.packaged", "package.labeled", "package.labeled"]


def test_a_label_is_booked_once_though_the_delivery_runs_twice(packaged: Order, carrier: type[FakeCarrier]) -> None:
    sweep()
    replay(Delivery.objects.filter(listener="label"))
    sweep()
    assert len(carrier.booked) == 1
    assert kinds(packaged).count("package.labeled") == 1


def test_an_attempt_after_a_crash_uses_the_same_key(packaged: Order, carrier: type[FakeCarrier]) -> None:
    carrier.fails = Failed("The carrier is away.", retry_after=0)
    sweep()
    assert deliveries("label") == [("due", "The carrier is away.")]
    assert Package.objects.get().label == ""
    carrier.fails = None
    replay_now()
    assert [key for _, _, key in carrier.booked] == [str(Package.objects.get().pk)] * 2
    assert kinds(packaged).count("package.labeled") == 1


def replay_now() -> None:
    Delivery.objects.filter(state="due").update(due=NOON)
    sweep()


def test_what_a_carrier_will_never_take_is_given_up(packaged: Order, carrier: type[FakeCarrier]) -> None:
    carrier.fails = Failed("No such country.", permanent=True)
    sweep()
    assert deliveries("label") == [("given_up", "No such country.")]
    assert Package.objects.get().label == ""


@pytest.mark.parametrize("change", [{"active": False}, {"carrier": "pigeon"}, {"config": {"prefix": "?"}}])
def test_without_a_carrier_that_works_the_delivery_says_so_until_there_is_one(
    packaged: Order, account: CarrierAccount, change: dict[str, Any]
) -> None:
    CarrierAccount.objects.update(**change)
    sweep()
    state, error = deliveries("label")[0]
    assert state == "given_up"
    assert error
    assert Package.objects.get().label == ""
    account.save()
    replay(Delivery.objects.filter(listener="label"))
    sweep()
    assert Package.objects.get().label != ""


def test_of_several_active_accounts_the_first_by_name_is_taken(packaged: Order, account: CarrierAccount) -> None:
    CarrierAccount.objects.create(name="Another shop")
    CarrierAccount.objects.create(name="A closed shop", active=False)
    sweep()
    assert Package.objects.get().account.name == "Another shop"


def test_no_label_is_bought_for_an_order_that_was_canceled_meanwhile(
    packaged: Order, carrier: type[FakeCarrier]
) -> None:
    move(packaged, Order.cancel, by="user:ada", reason="Changed my mind")
    sweep()
    assert carrier.booked == []
    assert deliveries("label") == [("done", "")]


# --- the end of packages ----------------------------------------
@pytest.mark.parametrize("step", [Order.cancel, Order.reprocess])
def test_packages_of_an_order_that_ends_are_voided_here_and_at_the_carrier(
    packaged: Order, carrier: type[FakeCarrier], step: Callable
) -> None:
    sweep()
    move(packaged, step, by="user:ada", reason="Scratched")
    sweep()
    package = Package.objects.get()
    assert package.voided_at is not None
    assert carrier.voided == [f"ref-{package.pk}"]
    event = Event.objects.get(kind="package.voided")
    assert (event.by, event.data["package"]["id"]) == ("user:ada", str(package.pk))


def test_a_carrier_that_takes_nothing_back_keeps_no_package_alive(packaged: Order) -> None:
    sweep()
    move(packaged, Order.cancel, by="user:ada")
    sweep()
    assert Package.objects.live().count() == 0
    assert deliveries("void label") == [("done", "")]


def test_a_package_is_voided_once_though_the_delivery_runs_twice(packaged: Order) -> None:
    move(packaged, Order.cancel, by="user:ada")
    sweep()
    voided_at = Package.objects.get().voided_at
    replay(Delivery.objects.filter(listener="unpack"))
    sweep()
    assert Package.objects.get().voided_at == voided_at
    assert kinds(packaged).count("package.voided") == 1


def test_a_carrier_that_is_away_is_asked_again_to_take_the_label_back(
    packaged: Order, carrier: type[FakeCarrier]
) -> None:
    sweep()
    carrier.fails = Failed("The carrier is away.")
    move(packaged, Order.cancel, by="user:ada")
    sweep()
    assert deliveries("void label") == [("due", "The carrier is away.")]
    assert Package.objects.live().count() == 0
    carrier.fails = None
    replay_now()
    assert len(carrier.voided) == 1


def test_a_label_that_is_being_booked_when_its_order_is_canceled_is_given_back(
    packaged: Order, carrier: type[FakeCarrier]
) -> None:
    def cancel_meanwhile() -> None:
        move(packaged, Order.cancel, by="user:ada")
        for name in ("unpack", "void label"):  # another worker is quick
            deliver(Delivery.objects.get(listener=name).pk)

    carrier.before = staticmethod(cancel_meanwhile)
    sweep()
    assert len(carrier.booked) == 1
    assert deliveries("void label") == [("due", "The label is being booked.")]
    replay_now()
    assert carrier.voided == [f"ref-{Package.objects.get().pk}"]


def test_packages_of_the_second_production_stay_alive(packaged: Order) -> None:
    order = move(packaged, Order.reprocess, by="user:ada", reason="Scratched")
    for step in (Order.start, Order.finish):
        order = move(order, step, by="user:ada")
    order = close(order, contents=all_of(order), by="user:ada")
    sweep()
    first, second = Package.objects.order_by("id")
    assert (first.voided_at is None, second.voided_at is None) == (False, True)
    assert (second.number, first.label, second.label != "") == (1, "", True)


# --- orders and packages keep step ----------------------------------------
def test_packages_of_an_order_that_was_handed_over_by_hand_are_shipped(packaged: Order) -> None:
    sweep()
    move(packaged, Order.ship, by="user:ada")
    sweep()
    shipped = Event.objects.get(kind="order.shipped")
    assert Package.objects.get().status == "shipped"
    assert list(Scan.objects.values_list("status", "at", "by")) == [("shipped", shipped.at, "user:ada")]
    assert kinds(packaged)[-2:] == ["order.shipped", "package.status_updated"]


def test_packages_that_brought_their_order_on_its_way_stay_where_they_are(
    printed: Order, account: CarrierAccount
) -> None:
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    close(printed, contents=pieces(printed, back=3), by="user:ada")
    note(Package.objects.get(number=1), status="in_transit", at=NOON, by="carrier:manual")
    sweep()
    assert Order.objects.get().status == "in_transit"
    assert list(Package.objects.values_list("status", flat=True)) == ["in_transit", "packaged"]


def test_an_order_follows_its_packages_when_its_hold_ends(packaged: Order) -> None:
    amend(packaged, by="user:ada", hold=("Customs", None))
    note(Package.objects.get(), status="in_transit", at=NOON, by="carrier:manual")
    amend(packaged, by="user:ada", hold=None)
    sweep()
    assert Order.objects.get().status == "in_transit"


def test_an_order_with_nothing_to_catch_up_stays_where_it_is(packaged: Order) -> None:
    sweep()
    amend(packaged, by="user:ada", hold=("Customs", None))
    amend(packaged, by="user:ada", hold=None)
    sweep()
    assert Order.objects.get().status == "packaged"
    assert deliveries("catch up") == [("done", "")]


def test_the_whole_walk_is_told_without_a_gap(packaged: Order) -> None:
    sweep()
    move(packaged, Order.ship, by="user:ada")
    sweep()
    for hour, status in enumerate(("shipped", "in_transit", "delivered"), 1):
        note(Package.objects.get(), status=status, at=NOON.replace(hour=12 + hour), by="carrier:manual")
        sweep()
    assert Order.objects.get().status == "delivered"
    start = kinds(packaged).index("order.printed")
    assert kinds(packaged)[start:] == [
        "order.printed", "package.packed", "order.packaged", "package.labeled", "order.shipped",
        "package.status_updated", "package.status_updated", "order.in_transit", "package.status_updated",
        "order.delivered",
    ]  # fmt: skip
    numbers = Event.objects.filter(order=packaged).order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, len(numbers) + 1))
    assert list(Delivery.objects.exclude(state="done")) == []


# --- what customers are told ----------------------------------------
def test_the_news_that_an_order_is_shipped_says_how_to_follow_its_parcels(packaged: Order) -> None:
    sweep()
    move(packaged, Order.ship, by="user:ada")
    package = Package.objects.get()
    told = payload(Event.objects.get(kind="order.shipped"))["data"]
    assert told["shipment"] == {
        "packages": [
            {
                "id": str(package.pk),
                "trackingCode": package.tracking_code,
                "trackingUrl": package.tracking_url,
                "weight": 40,
            }
        ]
    }


def test_the_news_of_a_package_is_the_standard_payload(packaged: Order) -> None:
    sweep()
    note(Package.objects.get(), status="shipped", at=NOON, by="carrier:manual")
    told = payload(Event.objects.get(kind="package.status_updated"))["data"]
    assert set(told) == {"eventId", "sequence", "customer", "order", "package", "shipment"}
    assert set(told["shipment"]) == {"fulfillmentLocation", "method", "tracking"}
    assert set(told["package"]) == {"id", "items", "status", "weight"}


def test_an_order_without_parcels_tells_of_none(printed: Order) -> None:
    assert "shipment" not in payload(Event.objects.get(kind="order.printed"))["data"]


def test_a_trigger_for_packages_hears_of_them(packaged: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    Trigger.objects.create(name="Parcels", event="package.*", address="https://shop.example/hook")
    monkeypatch.setattr("orders.events.LISTENERS", {"trigger": LISTENERS["trigger"]})
    note(Package.objects.get(), status="shipped", at=NOON, by="carrier:manual")
    assert [each.event.kind for each in Delivery.objects.filter(listener="trigger")] == ["package.status_updated"]
