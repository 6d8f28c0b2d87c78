from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.health import days_of, health_of
from orders.models import Attempt, Delivery, EndpointDay, Trigger
from tests.factories import make_order


@pytest.fixture
def trigger(db: None) -> Trigger:
    return Trigger.objects.create(name="Shop's hook", event="order.received", address="https://u:pw@shop.example/hook")


def page(client: Client, trigger: Trigger) -> Any:
    return client.get(reverse("orders:endpoint", args=[trigger.pk]))


def day(trigger: Trigger, back: int, delivered: int, failed: int, **more: int) -> None:
    EndpointDay.objects.create(
        trigger=trigger, day=timezone.now().date() - timedelta(days=back), delivered=delivered, failed=failed, **more
    )


def test_the_page_adds_up_thirty_days(manager: Client, trigger: Trigger) -> None:
    day(trigger, 0, 7, 1, milliseconds=800, slowest=300)
    day(trigger, 29, 2, 0, milliseconds=200, slowest=900)
    day(trigger, 30, 100, 100)  # too long ago
    delivery = Delivery.objects.get(listener="trigger", order=make_order())
    for milliseconds in (10, 30, 500):
        Attempt.objects.create(delivery=delivery, at=timezone.now(), milliseconds=milliseconds, succeeded=True)
    answer = page(manager, trigger)
    days = answer.context["days"]
    assert (days.delivered, days.failed, days.success, days.mean, days.slowest) == (9, 1, 90.0, 100, 900)
    assert (len(days.days), answer.context["typical"], answer.context["badge"][0]) == (30, 30, "Fine")
    assert [(bar.good[1] > 0, bar.bad[1] > 0) for bar in answer.context["bars"]] == [
        (True, False), *[(False, False)] * 28, (True, True),
    ]  # fmt: skip
    assert [row.pk for row in answer.context["latest"]] == [delivery.pk]
    shown = answer.content.decode()
    assert ("9 delivered, 1 failed" in shown, "https://••••••••@shop.example/hook" in shown) == (True, True)
    assert [word for word in ("u:pw", "whsec_", " style=") if word in shown] == []


def test_an_endpoint_that_was_never_called_has_a_page(manager: Client, trigger: Trigger) -> None:
    answer = page(manager, trigger)
    assert (answer.status_code, answer.context["typical"], answer.context["days"].success) == (200, None, None)


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_queries_for_one_delivery_and_for_three(
    manager: Client, trigger: Trigger, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        make_order()
    # Session, person, permissions (2), trigger, days, latest, their triggers, what goes before them, ids and times of the
    # attempts, given up, waiting.
    with django_assert_num_queries(13):
        assert len(page(manager, trigger).context["latest"]) == count


def test_its_state_is_said(trigger: Trigger) -> None:
    now = timezone.now()
    assert health_of(trigger).state == "fine"
    trigger.failures, trigger.failing_since = 3, now
    assert (health_of(trigger).state, health_of(trigger).since) == ("failing", now)
    trigger.slow_until = now + timedelta(minutes=5)
    assert (health_of(trigger).state, health_of(trigger).until) == ("resting", trigger.slow_until)
    trigger.slow_until = now - timedelta(minutes=5)
    assert health_of(trigger).state == "failing"
    trigger.active, trigger.switched_off_at, trigger.switched_off_why = False, now, "It failed for 5 days."
    assert (health_of(trigger).state, health_of(trigger).why) == ("off", "It failed for 5 days.")


def test_days_on_which_nothing_happened_are_there(trigger: Trigger) -> None:
    day(trigger, 1, 1, 0)
    days = days_of(trigger).days
    assert [each.delivered for each in days] == [0] * 28 + [1, 0]
    assert days[-1].day == timezone.now().date()


def test_it_is_switched_on_again_and_what_was_given_up_is_offered(sign_in: Callable, trigger: Trigger) -> None:
    make_order()
    since = timezone.now()
    Delivery.objects.filter(listener="trigger").update(state="given_up", ended_at=since)
    Trigger.objects.update(
        active=False, failures=9, failing_since=since, slow_until=since, warned_at=since, switched_off_at=since,
        switched_off_why="It failed for 5 days.",
    )  # fmt: skip
    browser = sign_in("Administrator")
    before = page(browser, trigger)
    assert b"It failed for 5 days." in before.content
    assert before.context["given_up"] == "1"
    form = browser.get(before.context["again_url"]).context["form"]
    assert (form["trigger"].value(), form["since"].value()) == (str(trigger.pk), f"{since:%Y-%m-%dT%H:%M}")
    browser.post(reverse("orders:endpoint_on", args=[trigger.pk]))
    trigger.refresh_from_db()
    assert (trigger.active, trigger.failures, trigger.failing_since, trigger.slow_until, trigger.switched_off_at,
            trigger.warned_at, trigger.switched_off_why) == (True, 0, None, None, None, None, "")  # fmt: skip
    assert Delivery.objects.get(listener="trigger").state == "given_up"


def test_switching_on_needs_permission(sign_in: Callable, trigger: Trigger) -> None:
    Trigger.objects.update(active=False)
    answer = sign_in("Accountant").post(reverse("orders:endpoint_on", args=[trigger.pk]))
    assert (answer.status_code, Trigger.objects.get().active) == (403, False)
    assert page(sign_in("Print operator", username="bob"), trigger).status_code == 403
