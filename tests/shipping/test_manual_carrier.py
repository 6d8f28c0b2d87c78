"""The shop's own carrier: a code that is always the same for a parcel, and a label that says it."""

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader

from shipping.carriers import CARRIERS, open_carrier
from shipping.carriers.base import Booking, Carrier, Failed, NotSupported
from shipping.carriers.manual import check_digit, tracking_code
from tests.shipping.test_labels import PARCEL

CONFIG = {"name": "Parcel shop", "tracking_url": "https://track.example/p/{code}?lang=en", "prefix": "GC"}


@pytest.fixture
def carrier() -> Carrier:
    return open_carrier("manual", CONFIG)


def test_a_booking_has_a_code_an_address_to_follow_it_and_a_label(carrier: Carrier) -> None:
    booking = carrier.book(PARCEL, "standard", key="parcel-1")
    code = tracking_code("parcel-1", prefix="GC")
    assert replace(booking, label=b"") == Booking(
        carrier_reference="parcel-1", tracking_code=code, tracking_url=f"https://track.example/p/{code}?lang=en"
    )
    said = PdfReader(BytesIO(booking.label)).pages[0].extract_text().split()
    assert (said[:3], "".join(said[-6:])) == (["Parcel", "shop", "STANDARD"], code)


def test_the_same_key_gives_the_same_booking(carrier: Carrier) -> None:
    first = carrier.book(PARCEL, "standard", key="parcel-1")
    assert open_carrier("manual", CONFIG).book(PARCEL, "standard", key="parcel-1") == first
    assert carrier.book(PARCEL, "standard", key="parcel-2").tracking_code != first.tracking_code


def test_it_works_with_nothing_filled_in() -> None:
    booking = open_carrier("manual", {}).book(PARCEL, "", key="parcel-1")
    assert (booking.tracking_code, booking.tracking_url) == (tracking_code("parcel-1", prefix="GC"), "")


def test_codes_are_prefix_digits_and_check_digit() -> None:
    codes = [tracking_code(f"parcel-{number}", prefix="AB") for number in range(2000)]
    assert len(set(codes)) == 2000
    assert {(code[:2], len(code), code[2:].isdecimal()) for code in codes} == {("AB", 20, True)}
    assert all(check_digit(code[2:-1]) == int(code[-1]) for code in codes)


@pytest.mark.parametrize(
    ("digits", "check"), [("7992739871", 3), ("0", 0), ("37828224631000", 5), ("1789372997", 4)]
)  # published examples of ISO/IEC 7812-1
def test_the_check_digit_is_that_of_iso_7812(digits: str, check: int) -> None:
    assert check_digit(digits) == check


def test_one_wrong_digit_is_found() -> None:
    digits = "12345678901234567"
    wrong = [
        digits[:place] + str(digit) + digits[place + 1 :]
        for place in range(len(digits))
        for digit in range(10)
        if str(digit) != digits[place]
    ]
    assert [other for other in wrong if check_digit(other) == check_digit(digits)] == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"tracking_url": "https://track.example/"}, "tracking_url: Value error, Write an address with {code}"),
        ({"tracking_url": "javascript:{code}"}, "tracking_url: Value error, Write an address with {code}"),
        ({"prefix": "gc-"}, "prefix: String should match pattern"),
        ({"name": "x" * 41}, "name: String should have at most 40 characters"),
    ],
)
def test_a_wrong_setting_is_said_and_nothing_is_booked(config: dict[str, object], says: str) -> None:
    with pytest.raises(Failed) as refusal:
        open_carrier("manual", config)
    assert refusal.value.permanent
    assert str(refusal.value).startswith(f"Own delivery is not set up. {says}")


def test_a_carrier_that_does_not_exist_is_said() -> None:
    with pytest.raises(Failed, match="There is no carrier 'pigeon'") as refusal:
        open_carrier("pigeon", {})
    assert refusal.value.permanent


@pytest.mark.parametrize("name", CARRIERS)
def test_every_carrier_stands_in_the_list_by_its_own_name(name: str) -> None:
    assert (CARRIERS[name].name, bool(CARRIERS[name].label)) == (name, True)


def test_what_a_shop_of_its_own_cannot_do_it_says(carrier: Carrier) -> None:
    for ask in (
        lambda: carrier.rates(PARCEL),
        lambda: carrier.void(Booking("parcel-1", "GC1")),
        lambda: carrier.track(["GC1"]),
        lambda: carrier.read(b"{}", headers={"Date": datetime(2026, 3, 2, tzinfo=UTC).isoformat()}),
    ):
        with pytest.raises(NotSupported, match="Own delivery"):
            ask()
