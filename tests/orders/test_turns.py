"""Whose turn it is."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from orders import events, turns
from orders.drafts import read
from orders.events import Listener, due, sweep
from orders.models import Customer, Delivery, Order
from orders.services import move, place

_number = iter(range(1, 1_000_000))


def make_orders(customer: Customer, count: int) -> list[Order]:
    drafts = [
        read({"orderReferenceId": f"R-{next(_number)}", "shippingAddress": {}, "items": [{"quantity": 1}]})
        for _ in range(count)
    ]
    return [place(draft, customer=customer, products=[None], by="test") for draft in drafts]


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A check of every order, a label, and two endpoints; `done` says who was served."""
    done: list[tuple[str, str]] = []

    def serve(delivery: Delivery) -> None:
        done.append((delivery.listener, delivery.target))

    each = lambda event: ("slow", "fast")  # noqa: E731
    monkeypatch.setattr(
        events,
        "LISTENERS",
        {
            "check": Listener("check", ("order.received",), serve),
            "label": Listener("label", ("order.passed",), serve),
            "trigger": Listener("trigger", ("order.passed", "order.created"), serve, each=each, by_target=True),
        },
    )
    return done


def parties(pks: list) -> list[tuple[str, str]]:
    rows = Delivery.objects.in_bulk(pks)
    return [(rows[pk].listener, rows[pk].target) for pk in pks]


def test_a_long_backlog_of_one_listener_does_not_hold_up_the_others(customer: Customer, listeners: list) -> None:
    first, *_ = make_orders(customer, turns.WINDOW + 50)
    move(first, Order.accept, by="system")  # behind all the checks
    assert set(parties(due(limit=4))) == {("check", ""), ("label", ""), ("trigger", "slow"), ("trigger", "fast")}
    assert parties(due(limit=20)).count(("check", "")) == 17
    assert parties(due(limit=2))[0] == ("check", "")  # the longest due first


def test_deliveries_of_a_listener_that_is_no_more_are_found_too(customer: Customer, listeners: list) -> None:
    make_orders(customer, 1)
    Delivery.objects.update(listener="former")
    assert sweep() == 1
    assert Delivery.objects.get().error == "Nothing listens by the name 'former' any more."


def test_a_target_is_called_by_so_many_at_once_and_no_more(customer: Customer, listeners: list, settings: Any) -> None:
    settings.WORKERS = 8
    for order in make_orders(customer, 6):
        move(order, Order.accept, by="system")
    slow = list(Delivery.objects.filter(target="slow").values_list("pk", flat=True))
    assert [events._claim(pk) is not None for pk in slow] == [True] * 4 + [False] * 2
    assert ("trigger", "slow") not in parties(due(limit=50))
    assert ("trigger", "fast") in parties(due(limit=50))
    assert sorted(Delivery.objects.filter(target="slow").values_list("attempts", flat=True)) == [0, 0, 1, 1, 1, 1]
    Delivery.objects.filter(pk=slow[0]).update(due=timezone.now() - timedelta(seconds=1))  # its worker is dead
    assert events._claim(slow[4]) is not None


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 1), (4, 3), (5, 4), (64, 4)])
def test_one_worker_is_always_left_for_the_others(settings: Any, workers: int, most: int) -> None:
    settings.WORKERS = workers
    assert turns.at_once() == most


def test_who_waits_behind_an_earlier_delivery_of_the_order_takes_nobodys_turn(
    customer: Customer, listeners: list
) -> None:
    orders = make_orders(customer, 30)
    for order in orders:
        move(order, Order.accept, by="system")
        move(order, Order.release, by="system")
    first = Delivery.objects.filter(target="fast", event__kind="order.passed")
    first.filter(order__in=orders[:25]).update(due=timezone.now() + timedelta(hours=1))
    ready = [
        pk for pk in due(limit=200) if pk in set(Delivery.objects.filter(target="fast").values_list("pk", flat=True))
    ]
    assert set(ready) == set(first.filter(order__in=orders[25:]).values_list("pk", flat=True))


def test_no_question_reads_the_whole_table(customer: Customer, listeners: list) -> None:
    make_orders(customer, 2)
    sql, values = turns.statement(limit=20, until=timezone.now(), listeners=["check", "trigger"],
                                  by_target=["trigger"], resting=["x"])  # fmt: skip
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(("EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN ") + sql, values)
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert "delivery_due" in plan
    assert plan.count("delivery_list") >= 2
    assert "orders_delivery_pkey" not in plan
    assert "Seq Scan on orders_delivery" not in plan
    assert "SCAN d" not in plan and "SCAN e" not in plan
