from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders import events, replays
from orders.models import Delivery, Event, Trigger
from orders.replays import Range
from tests.factories import make_customer, make_order

PATH = "/postbacks/range"


@pytest.fixture
def trigger(db: None) -> Trigger:
    return Trigger.objects.create(name="Shop's hook", event="order.received", address="https://shop.example/hook")


def ended(count: int, state: str = "given_up", **more: Any) -> list[Delivery]:
    """Deliveries of new orders, ended a minute ago; oldest first."""
    for _ in range(count):
        make_order(**more)
    found = Delivery.objects.filter(listener="trigger", state="due")
    pks = list(found.order_by("id").values_list("pk", flat=True))
    found.update(state=state, attempts=10, ended_at=timezone.now() - timedelta(minutes=1))
    return list(Delivery.objects.filter(pk__in=pks).order_by("id"))


def states() -> list[str]:
    return list(Delivery.objects.filter(listener="trigger").order_by("id").values_list("state", flat=True))


def run(name: str = replays.NAME) -> int:
    """Let the workers do what is due for this listener, and nothing else."""
    count = 0
    while pks := list(Delivery.objects.filter(listener=name, state="due").values_list("pk", flat=True)):
        count += sum(events.deliver(pk) for pk in pks)
    return count


def hidden(answer: Any) -> dict[str, str]:
    return dict(answer.context["hidden"])


def test_a_range_is_counted_before_it_is_sent_again(manager: Client, trigger: Trigger) -> None:
    ended(3), ended(1, "done")
    asked = manager.post(PATH, {"failed": "on"})
    assert (asked.context["title"], asked.context["submit_label"]) == (
        "3 deliveries will be sent again",
        "Send again: 3 deliveries",
    )
    assert states() == ["given_up"] * 3 + ["done"]
    done = manager.post(PATH, hidden(asked))
    assert [str(message) for message in get_messages(done.wsgi_request)] == ["3 deliveries are sent again."]
    assert states() == ["due"] * 3 + ["done"]
    assert manager.post(PATH, {}).context["title"] == "1 delivery will be sent again"


def test_a_range_is_narrowed_by_endpoint_event_customer_and_time(manager: Client, trigger: Trigger) -> None:
    acme = make_customer(reference="acme")
    ended(2), ended(1, customer=acme)
    other = Trigger.objects.create(name="Other", event="order.received", address="https://other.example", active=False)

    def count(**asked: str) -> str:
        return manager.post(PATH, asked).context["title"].split()[0]

    assert count(trigger=str(trigger.pk)) == "3"
    assert count(trigger=str(other.pk)) == "Nothing"
    assert count(customer="acme") == "1"
    assert (count(event="order.*"), count(event="order.shipped")) == ("3", "Nothing")
    assert (count(since="2001-01-01T00:00"), count(until="2001-01-01")) == ("3", "Nothing")
    assert (count(listener="trigger"), count(listener="postback")) == ("3", "Nothing")
    assert manager.post(PATH, {"since": "yesterday"}).context["form"].errors != {}


def test_a_second_click_sends_nothing_twice(manager: Client, trigger: Trigger) -> None:
    ended(2)
    question = hidden(manager.post(PATH, {"failed": "on"}))
    manager.post(PATH, question)
    Delivery.objects.filter(listener="trigger").update(state="given_up", ended_at=timezone.now())  # it failed again
    again = manager.post(PATH, question)
    assert [str(message) for message in get_messages(again.wsgi_request)][-1:] == ["Nothing was left to be sent again."]
    assert states() == ["given_up", "given_up"]


def test_a_large_range_is_sent_again_in_the_background_oldest_first(
    manager: Client, trigger: Trigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "AT_ONCE", 2)
    deliveries = ended(5)
    answer = manager.post(PATH, hidden(manager.post(PATH, {"failed": "on"})))
    id = UUID(answer["Location"].rsplit("/", 1)[1])
    assert states() == ["given_up"] * 5
    assert manager.get(answer["Location"]).context["found"].count == 5
    (first,) = Delivery.objects.filter(listener=replays.NAME)
    events.deliver(first.pk)
    assert states() == ["due", "due", "given_up", "given_up", "given_up"]
    found = replays.progress(id)
    assert found and (found.done, found.count, found.ended, found.by) == (2, 5, False, "user:ada")
    assert run() == 3
    found = replays.progress(id)
    assert found and (found.done, found.ended) == (5, True)
    assert states() == ["due"] * 5
    assert [each.id for each in replays.latest()] == [id]
    assert b"5 of 5" in manager.get(PATH).content
    assert [each.attempts for each in Delivery.objects.filter(pk__in=[each.pk for each in deliveries])] == [0] * 5


def test_nobody_is_told_of_it(trigger: Trigger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "AT_ONCE", 1)
    ended(2)
    Trigger.objects.create(name="Everything", event="*", address="https://all.example")
    replays.start(Range(asked_at=timezone.now()), by="user:ada")
    run()
    assert set(Delivery.objects.filter(event__kind__startswith="replay.").values_list("listener", flat=True)) == {
        replays.NAME
    }


def test_a_batch_that_dies_half_way_is_done_once(trigger: Trigger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is killed after it sent the batch, before the end is written: both are undone, and done again."""
    monkeypatch.setattr(replays, "AT_ONCE", 2)
    ended(4)
    _count, id = replays.start(Range(asked_at=timezone.now()), by="user:ada")
    assert id
    (first,) = Delivery.objects.filter(listener=replays.NAME)
    emit = replays.emit
    monkeypatch.setattr(replays, "emit", lambda *args, **said: 1 / 0)
    events.deliver(first.pk)
    assert (states(), Event.objects.filter(kind="replay.continued").count()) == (["given_up"] * 4, 0)
    monkeypatch.setattr(replays, "emit", emit)
    Delivery.objects.filter(pk=first.pk).update(due=timezone.now())
    run()
    found = replays.progress(id)
    assert found and (found.done, found.ended, states()) == (4, True, ["due"] * 4)


def test_two_who_ask_for_the_same_range_send_it_once(trigger: Trigger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "AT_ONCE", 2)
    ended(5)
    asked = Range(asked_at=timezone.now())
    ids = [replays.start(asked, by=by)[1] for by in ("user:ada", "user:bob")]
    while pks := list(Delivery.objects.filter(listener=replays.NAME, state="due").values_list("pk", flat=True)):
        for pk in pks:
            events.deliver(pk)
        # What was sent again fails at once.
        Delivery.objects.filter(listener="trigger", state="due").update(state="given_up", ended_at=timezone.now())
    found = [replays.progress(id) for id in ids if id]
    assert sum(each.done for each in found if each) == 5


def test_a_delivery_that_runs_is_in_no_range(trigger: Trigger) -> None:
    first, second = ended(2)
    lease = uuid4()
    Delivery.objects.filter(pk=first.pk).update(state="due", ended_at=None, lease=lease, due=timezone.now())
    assert replays.start(Range(asked_at=timezone.now()), by="user:ada") == (1, None)
    assert Delivery.objects.get(pk=first.pk).lease == lease
    assert replays.again(Delivery.objects.filter(pk__in=[first.pk, second.pk])) == 1


def test_the_range_begins_with_what_the_list_shows(manager: Client, trigger: Trigger) -> None:
    page = manager.get(f"/postbacks?trigger={trigger.pk}&event=order.shipped&since=2026-01-15")
    form = manager.get(page.context["range_url"]).context["form"]
    shown = {name: form[name].value() for name in ("trigger", "event", "since", "failed")}
    assert shown == {"trigger": str(trigger.pk), "event": "order.shipped", "since": "2026-01-15T00:00", "failed": True}


def test_sending_a_range_needs_permission(sign_in: Callable, trigger: Trigger) -> None:
    ended(1)
    browser = sign_in("Accountant")
    assert (browser.post(PATH, {"sure": "yes"}).status_code, states()) == (403, ["given_up"])
    assert browser.get(PATH).status_code == 403
    assert browser.get("/postbacks").context["range_url"] == ""


def test_a_range_that_nobody_asked_for_is_not_there(manager: Client) -> None:
    assert manager.get(reverse("orders:replay_progress", args=[uuid4()])).status_code == 404
