from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.models import Attempt, Customer, Delivery, Order, Trigger
from tests.factories import make_customer, make_order


@pytest.fixture
def trigger(db: None) -> Trigger:
    return Trigger.objects.create(name="Shop's hook", event="order.received", address="https://shop.example/hook")


def told(**filters: Any) -> Delivery:
    return Delivery.objects.get(listener="trigger", **filters)


def end(delivery: Delivery, state: str = "given_up") -> Delivery:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state, attempts=10, ended_at=timezone.now(), error="It is away."
    )
    return delivery


def rows(client: Client, question: str = "") -> list[Delivery]:
    return client.get(f"/postbacks{question}").context["page"].rows


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    manager: Client, trigger: Trigger, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        make_order()
    with django_assert_num_queries(9):  # session, person, permissions (2), ids, page, triggers, both to choose from
        assert len(rows(manager)) == count


def test_what_customers_are_told_is_shown_and_the_rest_by_its_listener(manager: Client, trigger: Trigger) -> None:
    make_order()
    assert [(row.listener, str(row.to)) for row in rows(manager)] == [("trigger", "Shop's hook")]
    assert [(row.listener, row.to) for row in rows(manager, "?listener=check")] == [("check", "check")]


def test_filters_narrow_the_list(manager: Client, trigger: Trigger) -> None:
    acme = make_customer(reference="acme")
    mine, other = make_order(customer=acme), make_order()
    end(told(order=other))
    assert [row.order for row in rows(manager, "?customer=acme")] == [mine]
    assert [row.order for row in rows(manager, "?state=given_up")] == [other]
    assert [row.order for row in rows(manager, "?event=order.received&state=due")] == [mine]
    assert rows(manager, "?event=order.shipped") == []
    assert [row.order for row in rows(manager, f"?trigger={trigger.pk}")] == [other, mine]
    assert rows(manager, "?since=2999-01-01") == []


@pytest.mark.parametrize(
    "question",
    ["?state=x&trigger=x&customer=x&since=x&cursor=x&listener=x", "?event=%00", "?trigger=%00", "?since=0001-01-01"],
)
def test_questions_that_make_no_sense_are_answered_by_a_page(manager: Client, trigger: Trigger, question: str) -> None:
    make_order()
    assert manager.get(f"/postbacks{question}").status_code == 200


def test_a_delivery_shows_what_was_sent_what_came_back_and_what_follows(manager: Client, trigger: Trigger) -> None:
    order = make_order()
    delivery = told(order=order)
    report = {
        "request": {"method": "POST", "url": "https://shop.example/hook", "headers": {"webhook-signature": "v1,abc="},
                    "body": '{"type":"order.received"}'},
        "answer": {"status": 503, "body": "<h1>Sorry</h1>"},
    }  # fmt: skip
    for number in (1, 2):
        Attempt.objects.create(
            delivery=delivery, at=timezone.now(), milliseconds=number, succeeded=False, report=report
        )
    answer = manager.get(reverse("orders:delivery", args=[delivery.pk]))
    assert [each["attempt"].milliseconds for each in answer.context["tries"]] == [2, 1]
    shown = answer.content.decode()
    for part in (
        "v1,abc=",
        "&lt;h1&gt;Sorry&lt;/h1&gt;",
        "{\n  &quot;type&quot;: &quot;order.received&quot;\n}",
        "503",
    ):
        assert part in shown


def test_a_delivery_that_was_given_up_is_sent_again_with_all_its_attempts(manager: Client, trigger: Trigger) -> None:
    make_order()
    delivery = end(told())
    answer = manager.post(reverse("orders:replay"), {"ids": [str(delivery.pk)]})
    assert answer["Location"] == reverse("orders:delivery", args=[delivery.pk])
    assert Delivery.objects.filter(pk=delivery.pk).values_list("state", "attempts").get() == ("due", 0)


def test_a_selection_is_sent_again_and_what_is_due_comes_by_itself(manager: Client, trigger: Trigger) -> None:
    make_order(), make_order()
    first, second = Delivery.objects.filter(listener="trigger")
    end(first, "done")
    answer = manager.post(reverse("orders:replay"), {"ids": [str(first.pk), str(second.pk), "x"], "action": "replay"})
    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "1 will be sent again at once. Due anyway: 1."
    ]
    assert list(Delivery.objects.filter(listener="trigger").values_list("state", flat=True)) == ["due", "due"]


def test_sending_again_needs_permission(sign_in: Callable, trigger: Trigger) -> None:
    make_order()
    delivery = end(told())
    answer = sign_in("Accountant").post(reverse("orders:replay"), {"ids": [str(delivery.pk)]})
    assert (answer.status_code, Delivery.objects.get(pk=delivery.pk).state) == (403, "given_up")
    assert sign_in("Accountant", username="bob").get("/postbacks").context["bulk_moves"] == []


def test_a_trigger_that_is_gone_leaves_its_deliveries_readable(manager: Client, trigger: Trigger) -> None:
    order = make_order()
    trigger.delete()
    assert [row.to for row in rows(manager)] == ["trigger"]
    assert manager.get(reverse("orders:delivery", args=[told(order=order).pk])).status_code == 200
    assert (Order.objects.count(), Customer.objects.count()) == (1, 1)
