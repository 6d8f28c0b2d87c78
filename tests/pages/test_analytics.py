from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from django.test import Client
from django.utils import timezone

from orders import analytics
from orders.models import Event, Order
from orders.services import move
from tests.factories import FAILURE, make_customer, make_order

pytestmark = pytest.mark.django_db


def since(days: int = 30) -> object:
    return analytics.start_of(days)


@contextmanager
def ago(*, days: float) -> Iterator[None]:
    """What happens inside happened so many days ago: the history itself cannot be changed."""
    now = timezone.now
    with mock.patch("django.utils.timezone.now", lambda: now() - timedelta(days=days)):
        yield


def test_orders_are_counted_on_the_day_they_were_received_once_each() -> None:
    retried = move(make_order("failed"), Order.retry, by="x")
    with ago(days=2):
        make_order()
    with ago(days=50):
        make_order()
    make_order("draft")
    days = analytics.volume(since(7))
    assert [count for _, count in days] == [0, 0, 0, 0, 1, 0, 1]
    assert days[-1][0] == timezone.now().date()
    assert retried.events.filter(kind="order.received").count() == 2


def test_customers_and_channels_stand_with_the_most_orders_first() -> None:
    acme = make_customer(reference="acme", name="Acme")
    other = make_order().customer
    make_order(customer=acme), make_order(customer=acme)
    assert analytics.by_customer(since()) == [("acme", "Acme", 2), (other.reference, other.name, 1)]
    assert analytics.by_channel(since()) == [("api", 3)]


def test_success_is_what_passed_of_what_was_judged_also_after_a_mend() -> None:
    make_order("failed"), make_order("received"), make_order("delivered")
    mended = move(make_order("failed"), Order.retry, by="x")
    move(mended, Order.accept, by="x")
    share = analytics.success(since())
    assert (share.part, share.whole) == (2, 3)


def test_without_orders_there_is_no_rate() -> None:
    assert (analytics.success(since()).percent, analytics.on_time(since()).percent) == (None, None)
    assert (analytics.failures(since()), analytics.stays(since()), analytics.late_now()) == ([], [], "0")


def test_failures_are_counted_once_for_each_order_and_code() -> None:
    order = make_order("failed")
    move(move(order, Order.retry, by="x"), Order.fail, by="x", problems=[FAILURE, FAILURE])
    make_order("failed")
    move(make_order("created"), Order.fail, by="x", reason="Paper jam")
    assert analytics.failures(since()) == [
        ("ADDRESS_POSTCODE_FORMAT", "123 is not a postcode of Germany.", 2),
        ("PRODUCTION_FAILED", "Paper jam", 1),
    ]


def test_orders_on_time_left_the_house_by_their_day() -> None:
    make_order("shipped"), make_order("delivered"), make_order("packaged")
    late = make_order("shipped")
    Order.objects.filter(pk=late.pk).update(ship_by=timezone.now().date() - timedelta(days=1))
    share = analytics.on_time(since())
    assert (share.part, share.whole) == (2, 3)


@pytest.mark.parametrize(
    ("count", "median", "p90"), [(1, 1, 1), (2, 1, 2), (3, 2, 3), (10, 5, 9), (11, 6, 10), (20, 10, 18)]
)
def test_the_time_in_a_status_is_told_by_nearest_rank(count: int, median: float, p90: float) -> None:
    order = make_order()
    Event.objects.bulk_create(
        Event(order=order, sequence=100 + number, kind="order.printed", by="x", at=timezone.now(), seconds=number,
              source="in_production", target="printed")
        for number in range(count, 0, -1)
    )  # fmt: skip
    found = [stay for stay in analytics.stays(since()) if stay.status == "in_production"]
    assert [(stay.label, stay.count, stay.median, stay.p90) for stay in found] == [
        ("In Production", count, median, p90)
    ]


def test_statuses_stand_in_the_order_of_an_order_s_life() -> None:
    make_order("shipped")
    statuses = [stay.status for stay in analytics.stays(since())]
    assert statuses == ["received", "passed", "created", "in_production", "printed", "packaged"]


def test_late_is_what_should_have_left_and_has_not() -> None:
    for status in ("created", "shipped", "canceled", "failed"):
        order = make_order(status)
        Order.objects.filter(pk=order.pk).update(ship_by=timezone.now().date() - timedelta(days=1))
    assert analytics.late_now() == "2"


@pytest.mark.parametrize(
    ("question", "days"), [("", 30), ("?days=7", 7), ("?days=90", 90), ("?days=x", 30), ("?days=9999999", 30)]
)
def test_the_page_covers_the_range_that_is_asked_for(manager: Client, question: str, days: int) -> None:
    make_order("failed")
    answer = manager.get(f"/analytics{question}")
    assert (answer.context["days"], len(answer.context["bars"]), answer.context["total"]) == (days, days, 1)


def test_the_chart_s_grid_reaches_a_round_number_above_the_highest_bar(manager: Client) -> None:
    for _ in range(5):
        make_order()
    answer = manager.get("/analytics?days=7")
    assert [count for count, _ in answer.context["grid"]] == [0, 2, 4, 6, 8]
    today = answer.context["bars"][-1]
    assert (today.count, today.height, today.y + today.height) == (5, 120.0, 200.0)


def test_the_page_costs_the_same_for_one_order_and_for_three(
    manager: Client, django_assert_num_queries: object
) -> None:
    for _ in range(2):
        make_order("shipped")
        with django_assert_num_queries(12):
            manager.get("/analytics")
