import itertools

import pytest
from django.db import models
from django_fsm import TransitionNotAllowed

from gelatoconnect.lib.problems import Problem
from orders.lifecycle import STEPS, Status, arrows, available
from orders.models import Event, Order
from orders.services import amend, move

# Spec: from → verb → to. Written out once more, so that a change of the table is a change of this test.
EXPECTED = {
    ("draft", "submit", "received"), ("received", "accept", "passed"), ("received", "fail", "failed"),
    ("passed", "release", "created"), ("failed", "retry", "received"),
    ("created", "start", "in_production"), ("in_production", "finish", "printed"), ("printed", "package", "packaged"),
    ("packaged", "ship", "shipped"), ("shipped", "travel", "in_transit"), ("in_transit", "arrive", "delivered"),
    ("shipped", "arrive", "delivered"),
    *((status, "come_back", "returned") for status in ("shipped", "in_transit", "delivered")),
    *((status, "fail", "failed") for status in ("created", "in_production", "printed")),
    *((status, "reprocess", "created") for status in ("created", "in_production", "printed", "packaged")),
    *((status, "cancel", "canceled") for status in
      ("draft", "received", "passed", "failed", "created", "in_production", "printed", "packaged")),
}  # fmt: skip


def test_the_table_has_exactly_the_arrows_of_the_specification() -> None:
    assert {(arrow.source, arrow.name, arrow.target) for arrow in arrows()} == EXPECTED


def test_there_are_thirteen_statuses() -> None:
    assert len(Status) == 13


@pytest.mark.parametrize(("status", "verb"), list(itertools.product(Status.values, STEPS)))
def test_a_verb_is_available_exactly_where_the_table_has_an_arrow(status: str, verb: str) -> None:
    order = Order(status=status)
    order._prefetched_objects_cache = {"items": models.QuerySet(Order).none()}
    possible = {arrow.name for arrow in order.get_available_status_transitions()}
    assert (verb in possible) == any(arrow[:2] == (status, verb) for arrow in EXPECTED)


def test_a_status_cannot_be_assigned(order: Order) -> None:
    with pytest.raises(AttributeError):
        order.status = Status.DELIVERED


def test_an_illegal_move_changes_nothing(order: Order) -> None:
    before = Event.objects.count()
    with pytest.raises(TransitionNotAllowed):
        move(order, Order.ship, by="user:ada")
    assert Order.objects.get(pk=order.pk).status == Status.RECEIVED
    assert Event.objects.count() == before


def test_a_hold_stops_the_way_forward_but_not_the_cancellation(order: Order) -> None:
    move(order, Order.accept, by="system")
    held = amend(order, by="user:ada", hold=("Customer asked", None))
    assert available(held, api=True) == ["cancel"]
    with pytest.raises(TransitionNotAllowed):
        move(held, Order.release, by="user:ada")
    amend(order, by="user:ada", hold=None)
    assert move(order, Order.release, by="user:ada").status == Status.CREATED


def test_a_failure_from_the_floor_becomes_a_problem(order: Order) -> None:
    for step in (Order.accept, Order.release, Order.start):
        move(order, step, by="system")
    failed = move(order, Order.fail, by="user:ada", reason="Press jam")
    assert [problem["message"] for problem in failed.problems] == ["Press jam"]
    assert move(order, Order.retry, by="user:ada").problems == []


def test_problems_of_the_checks_are_kept_and_told(order: Order) -> None:
    problem = Problem("PAGE_BLEED_MISSING", "No bleed", "/items/0/files/0")
    failed = move(order, Order.fail, by="system", problems=[problem])
    assert failed.problems == [problem.as_dict()]
    assert Event.objects.get(kind="order.failed").data["problems"] == [problem.as_dict()]
