from collections.abc import Callable, Iterable
from typing import Any

from django.test import Client
from django.urls import reverse

from orders.models import Event, Order
from orders.services import move
from tests.factories import make_order


def post(client: Client, action: str, orders: Iterable[Order], **more: str) -> Any:
    return client.post(reverse("orders:bulk"), {"action": action, "ids": [str(order.pk) for order in orders], **more})


def statuses(*orders: Order) -> list[str]:
    return [Order.objects.get(pk=order.pk).status for order in orders]


def test_a_selection_is_asked_about_before_anything_happens(manager: Client) -> None:
    created, shipped = make_order("created"), make_order("shipped")
    answer = post(manager, "cancel", [created, shipped])
    assert [each["label"].split(" · ")[0] for each in answer.context["objects"]] == [created.reference]
    assert [each["label"].split(" · ")[0] for each in answer.context["skipped"]] == [shipped.reference]
    assert (answer.context["style"], answer.context["submit_label"]) == ("danger", "Cancel: 1 order")
    assert statuses(created, shipped) == ["created", "shipped"]


def test_what_was_confirmed_is_done_order_by_order_in_the_person_s_name(manager: Client) -> None:
    first, second = make_order("created"), make_order("failed")
    answer = post(manager, "cancel", [first, second], sure="yes", reason="Customer withdrew")
    assert [(row["order"].reference, row["done"]) for row in answer.context["rows"]] == [
        (second.reference, True),
        (first.reference, True),
    ]
    assert statuses(first, second) == ["canceled", "canceled"]
    said = Event.objects.filter(kind="order.canceled").values_list("by", "data__reason")
    assert list(said) == [("user:ada", "Customer withdrew")] * 2


def test_a_reason_that_is_asked_for_must_be_given(manager: Client) -> None:
    order = make_order("created")
    answer = post(manager, "cancel", [order], sure="yes", reason="")
    assert list(answer.context["form"].errors) == ["reason"]
    assert statuses(order) == ["created"]


def test_an_order_that_moved_on_meanwhile_is_left_and_named(manager: Client) -> None:
    moved, still = make_order("created"), make_order("created")
    post(manager, "start", [moved, still])
    move(moved, Order.start, by="user:bob")
    answer = post(manager, "start", [moved, still], sure="yes")
    assert {row["order"].reference: row["done"] for row in answer.context["rows"]} == {
        moved.reference: False,
        still.reference: True,
    }
    assert Event.objects.filter(kind="order.in_production").count() == 2


def test_a_selection_of_which_nothing_can_be_done_offers_no_button(manager: Client) -> None:
    answer = post(manager, "release", [make_order("shipped")])
    assert answer.context["submit_label"] == ""


def test_a_selection_is_held_and_resumed(manager: Client) -> None:
    orders = [make_order("created"), make_order("packaged")]
    post(manager, "hold", orders, sure="yes", reason="Stock-taking")
    assert list(Order.objects.values_list("held", "hold_reason")) == [(True, "Stock-taking")] * 2
    post(manager, "resume", orders, sure="yes")
    assert list(Order.objects.values_list("held", flat=True)) == [False, False]


def test_a_role_does_in_bulk_only_what_it_may_do_singly(sign_in: Callable) -> None:
    order = make_order("created")
    operator = sign_in("Print operator")
    assert post(operator, "cancel", [order], sure="yes", reason="No").status_code == 403
    assert statuses(order) == ["created"]
    post(operator, "start", [order], sure="yes")
    assert statuses(order) == ["in_production"]


def test_only_what_is_meant_for_selections_is_done_to_one(manager: Client) -> None:
    order = make_order("received")
    assert [post(manager, action, [order], sure="yes").status_code for action in ("fail", "accept", "", "x")] == [
        404
    ] * 4
    assert statuses(order) == ["received"]


def test_too_many_or_none_at_all_are_refused(manager: Client) -> None:
    order = make_order("created")
    for ids in ([], [str(order.pk)] * 201):
        answer = manager.post(reverse("orders:bulk"), {"action": "start", "ids": ids, "sure": "yes"})
        assert (answer.status_code, answer["Location"]) == (302, "/orders")
    assert statuses(order) == ["created"]


def test_ids_that_are_none_are_left_out(manager: Client) -> None:
    order = make_order("created")
    ids = [str(order.pk), "nonsense", "00000000-0000-7000-8000-000000000000"]
    answer = manager.post(reverse("orders:bulk"), {"action": "start", "ids": ids, "sure": "yes"})
    assert [row["done"] for row in answer.context["rows"]] == [True]
