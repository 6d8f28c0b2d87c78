"""How endpoints do, on a clock of the test's own: schedule, rests, the end of patience, and who is told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core import mail

from gelatoconnect.lib import http
from orders import endpoints, events
from orders.events import DELAYS, LISTENERS, deliver, due, replay, sweep
from orders.models import Attempt, Customer, Delivery, EndpointDay, Event, Order, Trigger
from orders.services import move
from tests.orders.test_turns import make_orders

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Endpoint:
    """Answers what the test says; `calls` are (seconds since the test's beginning, webhook-id)."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.start = clock, clock.now
        self.calls: list[tuple[float, str]] = []
        self.answer: Callable[[], http.Answer] = lambda: said(200)

    def send(self, url: str, *, headers: dict[str, str], **_: Any) -> http.Answer:
        self.calls.append(((self.clock.now - self.start).total_seconds(), headers["webhook-id"]))
        return self.answer()

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.calls]


def said(status: int, **headers: str) -> http.Answer:
    return http.Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"", 1)


def timed_out() -> http.Answer:
    raise http.Failed("FETCH_TIMEOUT", "It did not answer in time.")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock)
    return clock


@pytest.fixture
def endpoint(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    endpoint = Endpoint(clock)
    monkeypatch.setattr("orders.webhooks.http.send", endpoint.send)
    monkeypatch.setattr("orders.events.LISTENERS", {name: LISTENERS[name] for name in ("trigger", "endpoint-mail")})
    return endpoint


@pytest.fixture
def trigger(customer: Customer, endpoint: Endpoint) -> Trigger:
    return Trigger.objects.create(name="Hook", customer=customer, event="order.*", address="https://acme.example/hook")


def pass_time(clock: Clock, seconds: float, *, step: float = 60) -> None:
    end = clock.now + timedelta(seconds=seconds)
    while clock.now < end:
        clock.go(step)
        sweep()


def run_dry(clock: Clock) -> None:
    """Until nothing is due any more: the clock jumps from one attempt to the next."""
    while waiting := Delivery.objects.filter(state="due").order_by("due").first():
        rests = Trigger.objects.get().slow_until
        clock.now = max(clock.now, waiting.due, rests or waiting.due)
        sweep()


# --- the schedule -------------------------------------------------------------------------------------
@pytest.mark.parametrize("answer", [lambda: said(500), lambda: said(302), timed_out], ids=["500", "302", "time-out"])
def test_ten_attempts_in_three_days_with_one_id_and_then_it_is_given_up(
    trigger: Trigger, order: Order, endpoint: Endpoint, clock: Clock, answer: Callable
) -> None:
    endpoint.answer = answer
    sweep()
    run_dry(clock)
    assert len(endpoint.calls) == 10
    assert endpoint.times[0] == 0
    waits = [after - before for before, after in zip(endpoint.times, endpoint.times[1:], strict=False)]
    assert [round(wait / delay, 1) for wait, delay in zip(waits, DELAYS, strict=True)] == pytest.approx(
        [1] * 9, abs=0.21
    )
    assert 60 * HOUR < endpoint.times[-1] < 91 * HOUR
    assert {id for _, id in endpoint.calls} == {str(Event.objects.get(kind="order.received").pk)}
    delivery = Delivery.objects.get(listener="trigger")
    assert (delivery.state, delivery.attempts, delivery.tries.count()) == ("given_up", 10, 10)


def test_waits_are_spread_over_twenty_per_cent_either_way(
    trigger: Trigger, order: Order, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = lambda: said(500)
    waits = []
    for _ in range(60):
        Delivery.objects.update(state="due", due=clock.now, attempts=1)
        Trigger.objects.update(slow_until=None)
        sweep()
        waits.append((Delivery.objects.get(listener="trigger").due - clock.now).total_seconds())
    assert 240 <= min(waits) < 270 < 330 < max(waits) <= 360


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_beyond_the_schedule_in_both_forms(
    trigger: Trigger, order: Order, endpoint: Endpoint, clock: Clock, form: str
) -> None:
    """The schedule says 5 seconds. A date is read against the real clock, which the test's stands still beside."""
    wish = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True) if form == "date" else "10800"
    endpoint.answer = lambda: said(503, retry_after=wish)
    sweep()
    assert (Delivery.objects.get().due - clock.now).total_seconds() == pytest.approx(3 * HOUR, abs=30)
    assert (Trigger.objects.get().slow_until - clock.now).total_seconds() == pytest.approx(3 * HOUR, abs=30)


# --- slower, and resting --------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [429, 502, 504])
def test_an_endpoint_that_asks_for_it_is_called_less_often_for_all_its_orders(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock, status: int
) -> None:
    make_orders(customer, 5)
    endpoint.answer = lambda: said(status)
    sweep()
    assert len(endpoint.calls) == 1
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 0, 0, 1]
    clock.go(20)
    assert sweep() == 0
    endpoint.answer = lambda: said(200)
    clock.go(20)
    assert (sweep(), sweep()) == (5, 0)
    assert Trigger.objects.values_list("failures", "slow_until").get() == (0, None)


def test_after_failures_in_a_row_an_endpoint_rests_longer_each_time_and_one_attempt_is_made_between(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    make_orders(customer, 30)
    endpoint.answer = timed_out
    sweep()
    assert len(endpoint.calls) == 3  # of thirty
    pass_time(clock, 4 * HOUR, step=5)
    waits = [after - before for before, after in zip(endpoint.times[2:], endpoint.times[3:], strict=False)]
    for wait, rest in zip(waits, endpoints.REST, strict=False):
        assert 0.79 * rest <= wait <= 1.21 * rest + 5
    assert all(710 < wait < 1095 for wait in waits[5:])
    assert 18 <= len(endpoint.calls) <= 28
    assert sum(Delivery.objects.values_list("attempts", flat=True)) == len(endpoint.calls)  # none is used up by waiting
    endpoint.answer = lambda: said(200)
    pass_time(clock, 3 * HOUR, step=60)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"done"}


def test_of_many_who_would_try_a_rested_endpoint_one_does(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    make_orders(customer, 3)
    Trigger.objects.update(failures=5, slow_until=clock.now - timedelta(seconds=1))
    pks = list(Delivery.objects.values_list("pk", flat=True))
    assert [events._claim(pk) is not None for pk in pks] == [True, False, False]
    assert due(limit=20) == []
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    clock.go(endpoints.PROBE + 1)  # whoever tried it is dead
    assert len(due(limit=20)) == 3


def test_a_success_ends_every_trouble(trigger: Trigger, order: Order, endpoint: Endpoint, clock: Clock) -> None:
    before = clock.now - timedelta(days=2)
    Trigger.objects.update(failures=9, failing_since=before, warned_at=before, slow_until=before)
    sweep()
    trigger.refresh_from_db()
    assert (trigger.failures, trigger.failing_since, trigger.warned_at, trigger.slow_until) == (0, None, None, None)


def test_what_fails_in_the_house_is_not_held_against_the_endpoint(
    trigger: Trigger, order: Order, endpoint: Endpoint
) -> None:
    Trigger.objects.update(secret="no base64")
    sweep()
    assert (endpoint.calls, Delivery.objects.get().state) == ([], "given_up")
    assert (Trigger.objects.get().failures, EndpointDay.objects.count()) == (0, 0)


# --- switched off ---------------------------------------------------------------------------------------
def test_an_endpoint_that_is_gone_is_switched_off_and_what_waited_can_be_sent_when_it_is_on_again(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    orders = make_orders(customer, 4)
    endpoint.answer = lambda: said(410)
    sweep()
    trigger.refresh_from_db()
    assert (len(endpoint.calls), trigger.active, trigger.switched_off_at) == (1, False, clock.now)
    assert trigger.switched_off_why == "It answered 410: it wants no more of them."
    waited = Delivery.objects.filter(listener="trigger")
    assert set(waited.values_list("state", flat=True)) == {"given_up"}
    assert set(waited.filter(attempts=0).values_list("error", flat=True)) == {
        "Its endpoint was switched off: It answered 410: it wants no more of them."
    }
    move(orders[0], Order.accept, by="system")
    assert waited.count() == 4  # nothing new is begun
    endpoints.switch_on(trigger)
    endpoint.answer = lambda: said(200)
    assert replay(waited) == 4
    sweep()
    assert set(waited.values_list("state", flat=True)) == {"done"}
    assert [message.subject for message in mail.outbox] == ["The endpoint of Hook was switched off"]


def test_five_days_of_nothing_but_failures_are_told_first_and_then_it_is_switched_off(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = lambda: said(500)
    first = clock.now
    make_orders(customer, 30)
    pass_time(clock, 11 * HOUR, step=600)
    assert (mail.outbox, endpoints.banner()) == ([], {"failing": 1, "switched_off": 0})
    pass_time(clock, 3 * HOUR, step=600)
    trigger.refresh_from_db()
    assert timedelta(hours=12) <= trigger.warned_at - first <= timedelta(hours=12.5)
    (told,) = mail.outbox
    assert (told.to, told.subject) == (["orders@acme.example"], "The endpoint of Hook fails")
    assert "switched off on 2026-03-07 09:10 UTC" in told.body
    assert "The receiver answered 500." in told.body
    pass_time(clock, 4.4 * 24 * HOUR, step=1800)
    assert (Trigger.objects.get().active, len(mail.outbox)) == (True, 1)
    pass_time(clock, 4 * HOUR, step=1800)
    trigger.refresh_from_db()
    assert (trigger.active, len(mail.outbox)) == (False, 2)
    assert trigger.switched_off_at - first >= timedelta(days=5)
    assert Delivery.objects.filter(listener="trigger", state="due").count() == 0
    assert endpoints.banner() == {"failing": 0, "switched_off": 1}
    kinds = Event.objects.filter(order=None).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["endpoint.failing", "endpoint.switched_off"]


def test_failures_that_lie_close_together_start_no_clock(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    """A day of failures, all within an hour, and another such hour 30 hours later."""
    endpoint.answer = lambda: said(500)
    for _ in range(4):
        make_orders(customer, 3)
        pass_time(clock, HOUR, step=300)
        Delivery.objects.filter(state="due").update(state="given_up")
        clock.go(29 * HOUR)
    trigger.refresh_from_db()
    assert (trigger.warned_at, trigger.active, mail.outbox) == (None, True, [])
    assert trigger.failures > 3


def test_one_failure_long_after_the_others_does_not_switch_off(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = lambda: said(500)
    make_orders(customer, 1)
    sweep()
    run_dry(clock)
    assert Trigger.objects.get().warned_at is not None
    clock.go(30 * 24 * HOUR)
    make_orders(customer, 1)
    sweep()
    trigger.refresh_from_db()
    assert (trigger.active, trigger.failures, trigger.warned_at) == (True, 1, None)


def test_one_success_between_failures_starts_the_days_anew(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = lambda: said(500)
    make_orders(customer, 20)
    pass_time(clock, 100 * HOUR, step=1800)
    assert Trigger.objects.get().warned_at is not None
    endpoint.answer = lambda: said(200)
    make_orders(customer, 1)
    pass_time(clock, HOUR, step=600)
    endpoint.answer = lambda: said(500)
    make_orders(customer, 20)
    pass_time(clock, 30 * HOUR, step=1800)
    assert Trigger.objects.get().active is True
    assert [message.subject for message in mail.outbox] == ["The endpoint of Hook fails"] * 2


def test_an_endpoint_that_was_switched_on_by_hand_has_all_its_patience_again(
    trigger: Trigger, order: Order, endpoint: Endpoint, clock: Clock
) -> None:
    before = clock.now - timedelta(days=9)
    Trigger.objects.update(failures=99, failing_since=before, warned_at=before, switched_off_at=before, active=True,
                           switched_off_why="x")  # fmt: skip
    endpoint.answer = lambda: said(500)
    sweep()
    trigger.refresh_from_db()
    assert (trigger.active, trigger.failures, trigger.failing_since) == (True, 1, clock.now)
    assert (trigger.switched_off_at, trigger.switched_off_why) == (None, "")


def test_staff_are_told_of_an_endpoint_that_is_nobodys(
    trigger: Trigger, order: Order, endpoint: Endpoint, settings: Any
) -> None:
    settings.STAFF_EMAIL = "ops@print.example"
    Trigger.objects.update(customer=None)
    endpoint.answer = lambda: said(410)
    sweep()
    assert [message.to for message in mail.outbox] == [["ops@print.example"]]


def test_what_is_told_of_an_endpoint_is_told_to_no_trigger(trigger: Trigger, order: Order, endpoint: Endpoint) -> None:
    Trigger.objects.create(name="all", event="*", address="https://other.example/")
    endpoint.answer = lambda: said(410)
    sweep()
    about = Delivery.objects.filter(event__kind="endpoint.switched_off").values_list("listener", flat=True)
    assert set(about) == {"endpoint-mail"}


# --- its days ---------------------------------------------------------------------------------------------
def test_every_attempt_is_counted_to_its_day(
    trigger: Trigger, customer: Customer, endpoint: Endpoint, clock: Clock
) -> None:
    make_orders(customer, 2)
    sweep()
    clock.go(24 * HOUR)
    make_orders(customer, 1)
    endpoint.answer = lambda: said(500)
    sweep()
    days = EndpointDay.objects.values_list("day", "delivered", "failed")
    assert [(str(day), good, bad) for day, good, bad in days] == [("2026-03-02", 2, 0), ("2026-03-03", 0, 1)]
    tried = Attempt.objects.values_list("milliseconds", flat=True)
    assert sum(EndpointDay.objects.values_list("milliseconds", flat=True)) == sum(tried)
    assert max(EndpointDay.objects.values_list("slowest", flat=True)) == max(tried)


def test_an_attempt_that_lost_its_lease_is_not_counted(trigger: Trigger, order: Order, endpoint: Endpoint) -> None:
    def overtaken() -> http.Answer:
        Delivery.objects.update(lease="00000000-0000-0000-0000-000000000001")
        return said(410)

    endpoint.answer = overtaken
    assert deliver(Delivery.objects.get().pk) is True
    assert (EndpointDay.objects.count(), Attempt.objects.count(), Trigger.objects.get().active) == (0, 0, True)


def test_a_trigger_that_is_removed_while_it_is_called_leaves_the_delivery_ended(
    trigger: Trigger, order: Order, endpoint: Endpoint
) -> None:
    def removed() -> http.Answer:
        Trigger.objects.all().delete()
        return said(200)

    endpoint.answer = removed
    sweep()
    assert (Delivery.objects.get().state, EndpointDay.objects.count()) == ("done", 0)
