"""What is promised, by the producer's calendar, and telling once that it was not kept."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gelatoconnect import checks
from gelatoconnect.celery import TIMETABLE
from orders import deadlines, workdays
from orders.answers import order_of
from orders.lifecycle import Status
from orders.models import Delivery, Event, Order, Trigger
from orders.payloads import payload
from orders.services import amend, move, place
from orders.timeline import entry_of
from orders.workdays import closed_days, day_that_counts, is_working_day, today, working_day
from tests.conftest import ApiClient
from tests.factories import make_customer, make_draft, make_order, make_product, make_user


@pytest.fixture(autouse=True)
def norway(settings: Any) -> Any:
    settings.PRODUCER_COUNTRY, settings.PRODUCER_REGION, settings.CLOSED_DAYS = "NO", "", []
    settings.PRODUCER_TIME_ZONE, settings.ORDER_CUTOFF = "Europe/Oslo", "14:00"
    return settings


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`at(2026, 11, 26, 9)`: what time it is, UTC."""

    def set_clock(*moment: int) -> None:
        now = datetime(*moment, tzinfo=UTC)  # type: ignore[misc]
        monkeypatch.setattr("django.utils.timezone.now", lambda: now)

    return set_clock


def overdue(status: str = "created", *, days: int = 1, **changes: Any) -> Order:
    order = make_order(status, **changes)
    Order.objects.filter(pk=order.pk).update(ship_by=today() - timedelta(days=days))
    return Order.objects.get(pk=order.pk)


# --- the calendar ------------------------------------------------------------------------------------------
def test_working_days_leave_out_the_weekend() -> None:
    assert working_day(date(2026, 11, 26), 3) == date(2026, 12, 1)


def test_public_holidays_of_the_producer_s_country_are_free() -> None:
    assert working_day(date(2026, 12, 23), 2) == date(2026, 12, 28)  # Christmas Day is a Friday
    assert [is_working_day(date(2026, 5, day)) for day in (13, 14, 15)] == [True, False, True]  # Ascension Day


def test_a_region_has_holidays_of_its_own(norway: Any) -> None:
    norway.PRODUCER_COUNTRY = "DE"
    assert is_working_day(date(2026, 1, 6))
    norway.PRODUCER_REGION = "BY"
    assert not is_working_day(date(2026, 1, 6))  # Epiphany


def test_the_weekend_is_that_of_the_country(norway: Any) -> None:
    norway.PRODUCER_COUNTRY = "AE"
    assert [is_working_day(date(2026, 11, day)) for day in (27, 28, 29)] == [True, False, False]
    norway.PRODUCER_COUNTRY = "EG"
    assert [is_working_day(date(2026, 11, day)) for day in (27, 28, 29)] == [False, False, True]


def test_own_closed_days_are_free(norway: Any) -> None:
    norway.CLOSED_DAYS = ["2026-12-31", "2026-07-20..2026-07-31", "12-24"]
    assert working_day(date(2026, 7, 17), 1) == date(2026, 8, 3)
    assert [is_working_day(date(year, 12, 24)) for year in (2026, 2027)] == [False, False]
    assert [is_working_day(date(year, 12, 31)) for year in (2026, 2027)] == [False, True]


def test_a_range_of_closed_days_may_cross_the_year() -> None:
    days = [closed_days(["2026-12-30..2027-01-02"], year) for year in (2026, 2027)]
    assert [sorted(day.day for day in found) for found in days] == [[30, 31], [1, 2]]


def test_a_leap_day_is_closed_in_the_years_that_have_one() -> None:
    assert (closed_days(["02-29"], 2027), closed_days(["02-29"], 2028)) == (set(), {date(2028, 2, 29)})


@pytest.mark.parametrize(
    "word", ["tomorrow", "2026-13-01", "02-30", "2026-12-31..2026-12-01", "12-24..12-26", "", ".."]
)
def test_what_is_no_day_is_named(word: str) -> None:
    with pytest.raises(ValueError, match=repr(word).replace(".", r"\.")):
        closed_days([word], 2026)


def test_a_country_without_known_holidays_still_has_weekends(norway: Any) -> None:
    norway.PRODUCER_COUNTRY = "IC"
    assert working_day(date(2026, 11, 27), 1) == date(2026, 11, 30)


def test_the_calendar_ends_somewhere() -> None:
    assert working_day(date(9999, 12, 30), 5) == date.max
    assert working_day(date(1, 1, 1), 1) == date(1, 1, 2)


def test_the_days_of_a_year_are_made_once_whoever_asks_first() -> None:
    workdays._worked.cache_clear()
    barrier = Barrier(8)

    def ask(_: int) -> bool:
        barrier.wait()
        return is_working_day(date(2026, 12, 25))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [False] * 8


@pytest.mark.parametrize(("moment", "day"), [
    ((2026, 11, 26, 12, 59), date(2026, 11, 26)),  # a Thursday, 13:59 in Oslo
    ((2026, 11, 26, 13, 0), date(2026, 11, 27)),  # 14:00
    ((2026, 11, 27, 13, 0), date(2026, 11, 30)),  # Friday afternoon
    ((2026, 11, 28, 8, 0), date(2026, 11, 30)),  # Saturday morning
    ((2026, 11, 25, 23, 30), date(2026, 11, 26)),  # still Wednesday in UTC, 00:30 on Thursday in Oslo
    ((2026, 7, 1, 12, 0), date(2026, 7, 2)),  # summer time: 14:00 in Oslo
    ((2026, 12, 24, 14, 0), date(2026, 12, 28)),  # after the cut-off before Christmas
])  # fmt: skip
def test_what_comes_after_the_cut_off_counts_from_the_next_working_day(moment: tuple[int, ...], day: date) -> None:
    assert day_that_counts(datetime(*moment, tzinfo=UTC)) == day  # type: ignore[misc]


# --- the promise --------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_promise_is_the_customer_s_sla_from_the_day_that_counts(at: Callable) -> None:
    customer = make_customer(sla_days=2)
    at(2026, 11, 26, 9)
    assert make_order(customer=customer).ship_by == date(2026, 11, 30)
    at(2026, 11, 26, 15)
    assert make_order(customer=customer).ship_by == date(2026, 12, 1)


@pytest.mark.django_db
@pytest.mark.parametrize(("own", "ship_by"), [
    ([None, None], date(2026, 12, 1)), ([1, 1], date(2026, 11, 27)), ([1, None], date(2026, 12, 1)),
    ([5, 1], date(2026, 12, 3)), ([0, 0], date(2026, 11, 26)),
])  # fmt: skip
def test_the_item_that_takes_longest_decides(at: Callable, own: list[int | None], ship_by: date) -> None:
    at(2026, 11, 26, 9)
    line = {"productUid": "card", "quantity": 1, "files": [{"url": "https://files.example/card.pdf"}]}
    draft = make_draft(items=[line, line])
    products = [make_product(production_days=days) for days in own]
    order = place(draft, customer=make_customer(sla_days=3), products=products, by="connector:test")
    assert order.ship_by == ship_by


@pytest.mark.django_db
def test_the_sender_s_own_promise_wins(at: Callable) -> None:
    at(2026, 11, 26, 9)
    order = place(make_draft(), customer=make_customer(), products=[make_product()], by="x", ship_by=date(2026, 12, 24))
    assert Order.objects.get(pk=order.pk).ship_by == date(2026, 12, 24)


@pytest.mark.django_db
def test_a_draft_is_promised_nothing_before_it_is_submitted(at: Callable) -> None:
    at(2026, 11, 2, 9)
    order = make_order("draft")
    assert order.ship_by is None
    at(2026, 11, 26, 9)
    order = move(order, Order.submit, by="connector:test")
    assert order.ship_by == date(2026, 12, 1)
    assert order.events.get(sequence=order.sequence).data["changes"] == {"ship_by": [None, "2026-12-01"]}


@pytest.mark.django_db
def test_no_step_and_no_hold_moves_a_promise(at: Callable) -> None:
    at(2026, 11, 26, 9)
    failed, created = make_order("failed"), make_order("created")
    at(2026, 12, 10, 9)
    amend(created, by="user:ada", hold=("Wait", None))
    amend(created, by="user:ada", hold=None)
    move(created, Order.reprocess, by="user:ada", reason="Wrong paper")
    move(failed, Order.retry, by="user:ada")
    assert set(Order.objects.values_list("ship_by", flat=True)) == {date(2026, 12, 1)}


# --- late and due soon ---------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_late_is_what_has_not_left_by_its_day() -> None:
    made = {status: overdue(status) for status in Status.values if status != "draft"}
    late = set(Order.objects.filter(deadlines.late()).values_list("status", flat=True))
    assert late == {"received", "passed", "failed", "created", "in_production", "printed", "packaged"}
    assert {status for status, order in made.items() if deadlines.is_late(order)} == late


@pytest.mark.django_db
def test_today_is_the_producer_s_day(at: Callable) -> None:
    order = make_order("created")
    Order.objects.filter(pk=order.pk).update(ship_by=date(2026, 11, 26))
    at(2026, 11, 26, 22, 59)
    assert not Order.objects.filter(deadlines.late()).exists()
    at(2026, 11, 26, 23, 1)  # past midnight in Oslo
    assert Order.objects.filter(deadlines.late()).exists()


@pytest.mark.django_db
def test_due_soon_is_today_and_the_next_working_day(at: Callable) -> None:
    at(2026, 11, 27, 9)  # a Friday
    days = [date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 30), date(2026, 12, 1)]
    for day in days:
        Order.objects.filter(pk=make_order("created").pk).update(ship_by=day)
    Order.objects.filter(pk=make_order("shipped").pk).update(ship_by=days[1])
    found = Order.objects.filter(deadlines.due_soon()).order_by("ship_by")
    assert list(found.values_list("ship_by", flat=True)) == [date(2026, 11, 27), date(2026, 11, 30)]


@pytest.mark.django_db
def test_the_list_says_late_and_due_soon_in_words() -> None:
    manager = Client()
    manager.force_login(make_user())
    late, soon, later = overdue(), make_order("created"), make_order("created")
    Order.objects.filter(pk=soon.pk).update(ship_by=today())
    Order.objects.filter(pk=later.pk).update(ship_by=today() + timedelta(days=30))
    page = manager.get("/orders")
    text = page.content.decode()
    assert (text.count(">Late</span>"), text.count(">Due soon</span>")) == (1, 1)
    counts = {label: count for label, _, count, _ in page.context["page"].tabs}
    assert (counts["Late"], counts["Due soon"]) == ("1", "1")
    found = [[row.pk for row in manager.get(f"/orders?view={view}").context["page"].rows] for view in ("late", "due")]
    assert found == [[late.pk], [soon.pk]]


def test_the_api_says_until_when_and_whether_it_is_late(api: ApiClient, connector: Any, product: Any) -> None:
    order = overdue(customer=connector.customer, product=product)
    row = api.post("/api/orders/search").json()["orders"][0]
    assert (row["shipBy"], row["late"]) == ((today() - timedelta(days=1)).isoformat(), True)
    whole = order_of(order).json_data()
    assert (whole["shipBy"], whole["late"]) == (row["shipBy"], True)


# --- telling --------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_of_a_late_order_it_is_told_once(at: Callable) -> None:
    at(2026, 11, 26, 9)
    order = make_order("created")
    trigger = Trigger.objects.create(name="Hook", event="order.delayed", address="https://shop.example/hook")
    at(2026, 12, 1, 9)
    assert deadlines.tell_delays() == 0
    at(2026, 12, 3, 9)
    assert (deadlines.tell_delays(), deadlines.tell_delays()) == (1, 0)
    event = Event.objects.get(kind="order.delayed")
    assert (event.by, event.source, event.target) == ("system", "", "")
    assert event.data == {
        "reason": "It was to leave by 2026-12-01, 2 working days ago.",
        "delay": {"shipBy": "2026-12-01", "days": 2, "workingDays": 2},
    }
    fresh = Order.objects.get(pk=order.pk)
    assert (fresh.delayed_at, fresh.status, fresh.sequence) == (event.at, "created", event.sequence)
    assert payload(event)["data"]["delay"] == event.data["delay"]
    assert list(Delivery.objects.filter(event=event, listener="trigger").values_list("target")) == [(str(trigger.pk),)]
    assert (entry_of(event).title, entry_of(event).icon) == ("Delayed", "clock")


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["draft", "shipped", "in_transit", "delivered", "returned", "canceled"])
def test_of_what_has_left_or_was_canceled_nothing_is_told(status: str) -> None:
    order = overdue(status)
    before = order.sequence
    assert deadlines.tell_delays() == 0
    assert not deadlines.tell_delay(order)
    assert Order.objects.values_list("sequence", "delayed_at").get() == (before, None)


@pytest.mark.django_db
def test_an_order_that_left_while_it_was_looked_at_is_not_told() -> None:
    stale = overdue("packaged")
    move(stale, Order.ship, by="user:ada")
    assert (deadlines.tell_delay(stale), Event.objects.filter(kind="order.delayed").count()) == (False, 0)


@pytest.mark.django_db
def test_an_order_is_not_told_a_second_time_when_it_is_made_again(at: Callable) -> None:
    order = overdue()
    assert deadlines.tell_delays() == 1
    move(order, Order.reprocess, by="user:ada", reason="Wrong paper")
    assert deadlines.tell_delays() == 0


@pytest.mark.django_db
def test_one_that_cannot_be_told_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _second = overdue(days=9), overdue()
    real = deadlines.tell_delay

    def broken(order: Order) -> bool:
        if order.pk == first.pk:
            raise RuntimeError("disk full")
        return real(order)

    monkeypatch.setattr(deadlines, "tell_delay", broken)
    assert deadlines.tell_delays() == 1


@pytest.mark.django_db
def test_many_are_told_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "AT_ONCE", 2)
    customer, product = make_customer(), make_product()
    for _ in range(5):
        overdue(customer=customer, product=product)
    assert deadlines.tell_delays() == 5


@pytest.fixture
def late_order(transactional_db: None) -> Order:
    return overdue()


@pytest.fixture
def on_disk(late_order: Order, tmp_path: Path) -> Iterator[None]:
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
def test_clocks_that_look_at_the_same_moment_tell_it_once(late_order: Order) -> None:
    order = late_order
    barrier = Barrier(4)

    def look(_: int) -> bool:
        barrier.wait()
        try:
            return deadlines.tell_delay(order)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(look, range(4))) == [False, False, False, True]


@pytest.mark.django_db
def test_the_question_goes_by_an_index() -> None:
    with CaptureQueriesContext(connection) as asked:
        list(deadlines.untold()[:1])
    if connection.vendor == "sqlite":  # PostgreSQL scans a table of no rows whatever there is
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked.captured_queries[0]['sql']}")
            assert "order_ship_by" in str(cursor.fetchall())


def test_the_timetable_asks_every_minute() -> None:
    assert [(entry.seconds, entry.function) for entry in TIMETABLE if entry.name == "tell delays"] == [
        (60, "orders.deadlines.tell_delays")
    ]


# --- wrong settings -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "value", "id"), [
    ("PRODUCER_TIME_ZONE", "Europe/Olso", "gelatoconnect.E020"), ("ORDER_CUTOFF", "2 pm", "gelatoconnect.E021"),
    ("CLOSED_DAYS", ["Christmas"], "gelatoconnect.E022"), ("PRODUCER_REGION", "BY", "gelatoconnect.E023"),
    ("SCAN_EXPECTED_HOURS", -1, "gelatoconnect.E024"), ("PRODUCER_COUNTRY", "IC", "gelatoconnect.W020"),
])  # fmt: skip
def test_a_wrong_setting_of_the_calendar_is_said_at_the_start(norway: Any, name: str, value: Any, id: str) -> None:
    assert checks.calendar() == []
    setattr(norway, name, value)
    assert [said.id for said in checks.calendar()] == [id]
