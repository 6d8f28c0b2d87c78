from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from orders import events
from orders.events import Listener, Permanent, TryLater, deliver, due, replay, sweep
from orders.models import Attempt, Delivery, Order
from orders.services import move


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list:
    """One listener to everything, which does what the test puts into `say`."""
    calls: list = []

    def handle(delivery: Delivery):
        calls.append(delivery.event.kind)
        return handle.say(delivery)

    handle.say = lambda delivery: None
    monkeypatch.setattr(events, "LISTENERS", {"ear": Listener("ear", ("*",), handle, delays=(5, 60))})
    calls.append(handle)
    return calls


def later_by(seconds: float) -> None:
    Delivery.objects.filter(state="due").update(due=timezone.now() - timedelta(seconds=seconds))


def test_a_delivery_is_done_once(heard: list, order: Order) -> None:
    assert sweep() == 1
    assert sweep() == 0
    assert heard[1:] == ["order.received"]
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.lease) == ("done", 1, None)
    assert Attempt.objects.get().succeeded is True


def test_a_failing_delivery_waits_longer_each_time_and_is_given_up_visibly(heard: list, order: Order) -> None:
    def fail(delivery: Delivery) -> None:
        raise TryLater("away")

    heard[0].say = fail
    sweep()
    delivery = Delivery.objects.get()
    assert delivery.state == "due"
    assert 3.9 < (delivery.due - timezone.now()).total_seconds() < 6.1
    later_by(0)
    sweep()
    assert 47 < (Delivery.objects.get().due - timezone.now()).total_seconds() < 73
    later_by(0)
    sweep()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.error) == ("given_up", 3, "away")
    assert [attempt.message for attempt in Attempt.objects.all()] == ["away"] * 3


def test_the_receivers_wish_to_wait_longer_is_honoured(heard: list, order: Order) -> None:
    def busy(delivery: Delivery) -> None:
        raise TryLater("busy", after=500)

    heard[0].say = busy
    sweep()
    assert (Delivery.objects.get().due - timezone.now()).total_seconds() > 499


def test_what_can_never_work_is_given_up_at_once(heard: list, order: Order) -> None:
    def never(delivery: Delivery) -> None:
        raise Permanent("gone")

    heard[0].say = never
    sweep()
    assert Delivery.objects.get().state == "given_up"


def test_a_given_up_delivery_can_be_sent_again(heard: list, order: Order) -> None:
    test_what_can_never_work_is_given_up_at_once(heard, order)
    heard[0].say = lambda delivery: None
    assert replay(Delivery.objects.all()) == 1
    sweep()
    assert Delivery.objects.get().state == "done"


def test_an_unexpected_error_of_a_listener_is_tried_again(heard: list, order: Order) -> None:
    heard[0].say = lambda delivery: 1 / 0
    sweep()
    assert (Delivery.objects.get().state, Delivery.objects.get().error) == ("due", "division by zero")


def test_a_worker_that_lost_its_lease_changes_nothing(heard: list, order: Order) -> None:
    def overtaken(delivery: Delivery):
        Delivery.objects.update(lease="00000000-0000-0000-0000-000000000001")  # another worker took it meanwhile
        return lambda: move(order, Order.accept, by="system")

    heard[0].say = overtaken
    sweep(seconds=0.1)
    assert Order.objects.get().status == "received"
    assert Delivery.objects.get().state == "due"
    assert Attempt.objects.count() == 0


def test_a_leased_delivery_is_nobody_elses_until_the_lease_ends(heard: list, order: Order) -> None:
    delivery = Delivery.objects.get()
    assert events._claim(delivery.pk) is not None
    assert deliver(delivery.pk) is False
    assert due(limit=10) == []
    later_by(1)  # the lease has run out: its worker is dead
    assert deliver(delivery.pk) is True
    assert Delivery.objects.get().attempts == 2


def test_a_sweeper_that_comes_late_does_not_do_it_again(heard: list, order: Order) -> None:
    [seen] = due(limit=10)
    assert deliver(seen) is True
    assert deliver(seen) is False
    assert (heard[1:], Delivery.objects.get().attempts, Attempt.objects.count()) == (["order.received"], 1, 1)


def test_the_conclusion_and_the_end_of_the_delivery_happen_together(heard: list, order: Order) -> None:
    def conclude() -> None:
        move(order, Order.accept, by="system")
        raise RuntimeError("too late")

    heard[0].say = lambda delivery: conclude
    sweep()
    assert Order.objects.get().status == "received"
    assert Delivery.objects.get().state == "due"


def test_a_conclusion_that_the_order_has_outrun_is_dropped(heard: list, order: Order) -> None:
    move(order, Order.cancel, by="user:ada")
    heard[0].say = lambda delivery: lambda: move(order, Order.accept, by="system")
    sweep()
    assert Order.objects.get().status == "canceled"
    assert {delivery.state for delivery in Delivery.objects.all()} == {"given_up"}


def test_one_orders_deliveries_to_one_target_keep_their_order(heard: list, order: Order) -> None:
    move(order, Order.accept, by="system")
    first, second = Delivery.objects.order_by("id")
    assert due(limit=10) == [first.pk]
    Delivery.objects.filter(pk=first.pk).update(state="done")
    assert due(limit=10) == [second.pk]


def test_of_workers_who_want_the_same_delivery_one_gets_it(heard: list, order: Order) -> None:
    """As it is when all of them have found it due: the first one's lease keeps the others out, attempt by attempt."""
    pk = Delivery.objects.get().pk
    inside: list = []

    def meanwhile(delivery: Delivery) -> None:
        heard[0].say = lambda delivery: None
        inside.append([deliver(pk), deliver(pk)])

    heard[0].say = meanwhile
    assert [deliver(pk), deliver(pk)] == [True, False]
    assert inside == [[False, False]]
    assert heard[1:] == ["order.received"]
    assert (Attempt.objects.count(), Delivery.objects.get().attempts) == (1, 1)


def test_a_frozen_workers_late_result_does_not_end_anothers_attempt(heard: list, order: Order) -> None:
    """It wakes when another has the delivery, and again when that one has ended it: neither changes what the other says."""
    pk = Delivery.objects.get().pk
    frozen = events._claim(pk)
    later_by(1)
    second = events._claim(pk)
    assert frozen is not None and second is not None and frozen.lease != second.lease
    events._end(frozen, None, Permanent("late"), at=timezone.now(), milliseconds=1)
    assert (Delivery.objects.get().state, Delivery.objects.get().lease) == ("due", second.lease)
    events._end(second, None, None, at=timezone.now(), milliseconds=1)
    events._end(frozen, None, Permanent("late"), at=timezone.now(), milliseconds=1)
    assert (Delivery.objects.get().state, Delivery.objects.get().error) == ("done", "")
    assert [attempt.succeeded for attempt in Attempt.objects.all()] == [True]


def test_an_event_has_one_delivery_to_a_listener_and_target(heard: list, order: Order) -> None:
    known = Delivery.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(event=known.event, order=order, listener="ear", due=timezone.now())
    assert Delivery.objects.count() == 1
    Delivery.objects.create(event=known.event, order=order, listener="ear", target="another", due=timezone.now())


def test_what_is_being_sent_is_not_sent_again_beside_it(heard: list, order: Order) -> None:
    """It has an end of its own; sent again, two would be under way, or the end of the first be lost."""
    pk = Delivery.objects.get().pk
    claimed = events._claim(pk)
    assert claimed is not None
    assert replay(Delivery.objects.all()) == 0
    row = Delivery.objects.get()
    assert (row.lease, row.attempts, row.due > timezone.now()) == (claimed.lease, 1, True)
    events._end(claimed, None, None, at=timezone.now(), milliseconds=1)
    assert replay(Delivery.objects.all()) == 1
