"""Channels that are asked: what never arrived is taken once and marked, one process at a time asks, failures are noted."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.utils import timezone

from intake import pipeline, polling
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import ConnectorType, Incoming, Message, Outcome, Submit, refuse
from intake.connectors.schedule import Scheduled
from intake.models import Connector, OrderRequest
from orders.drafts import read
from orders.events import Permanent, TryLater
from orders.models import Customer, Order, Product


class Shop(ConnectorType):
    """A shop that holds orders; `fails` is raised instead of an answer, `asked` notes since when it was asked."""

    name, label, Config, pulls = "shop", "Shop", Scheduled, True
    holds: list[Incoming] = []
    fails: Exception | None = None
    asked: list[datetime] = []

    def pull(self, since: datetime, config: Any, memory: dict[str, Any]) -> Any:
        self.asked.append(since)
        if self.fails:
            raise self.fails
        return list(self.holds)
        yield

    def parse(self, message: Message) -> Submit:
        body = json.loads(message.body)
        if "crash" in body:
            raise KeyError("lineItems")
        if "refuse" in body:
            refuse("ADDRESS_MISSING", "The order has no address.", status=422)
        return Submit(read(body), source_id=body["orderReferenceId"])

    def answer(self, outcome: Outcome, message: Message) -> str:
        return "{}"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    kind = Shop()
    kind.holds, kind.asked = [], []
    monkeypatch.setitem(CONNECTOR_TYPES, "shop", kind)
    return kind


@pytest.fixture
def connector(shop: Shop, customer: Customer, product: Product, noon: Any) -> Connector:
    return Connector.objects.create(name="acme-shop", type="shop", customer=customer, next_pull=timezone.now())


@pytest.fixture
def order(order_body: Callable[..., dict[str, Any]]) -> Callable[..., Incoming]:
    def make(id: str, **changes: Any) -> Incoming:
        return Incoming(json.dumps(order_body(id, **changes)).encode(), source_id=id, recovered=True)

    return make


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[datetime], None]]:
    """It is noon, or whatever time a test says."""
    clock = {"now": datetime(2026, 1, 15, 12, tzinfo=UTC)}
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock["now"])
    yield lambda at: clock.update(now=at)


def fresh(connector: Connector) -> Connector:
    return Connector.objects.select_related("customer").get(pk=connector.pk)


def requests() -> list[tuple[str, str, bool]]:
    return list(OrderRequest.objects.order_by("id").values_list("source_id", "state", "recovered"))


def test_an_order_that_never_arrived_is_taken_once_and_marked(
    shop: Shop, connector: Connector, order: Callable
) -> None:
    shop.holds = [order("1001"), order("1002")]
    assert polling.pull(connector) == 2
    assert polling.pull(fresh(connector)) == 0
    assert requests() == [("1001", "accepted", True), ("1002", "accepted", True)]
    assert sorted(Order.objects.values_list("source_id", flat=True)) == ["1001", "1002"]


def test_what_has_arrived_is_not_taken_again_whatever_became_of_it(
    shop: Shop, connector: Connector, order: Callable
) -> None:
    for incoming in (order("1001"), order("1002", refuse=True), order("1003")):
        pipeline.take(Incoming(incoming.body, source_id=incoming.source_id), connector=connector)
    OrderRequest.objects.filter(source_id="1003").delete()  # its order is what is left of it
    shop.holds = [order("1001"), order("1002"), order("1003"), order("1004")]
    assert polling.pull(connector) == 1
    assert requests() == [("1001", "accepted", False), ("1002", "rejected", False), ("1004", "accepted", True)]


def test_another_channel_s_ids_are_its_own(
    shop: Shop, connector: Connector, order: Callable, customer: Customer
) -> None:
    other = Connector.objects.create(name="other", type="shop", customer=customer)
    pipeline.take(order("1001"), connector=other)
    shop.holds = [order("1001")]
    assert polling.pull(connector) == 1


def test_many_are_compared_and_long_ids_too(shop: Shop, connector: Connector, order: Callable) -> None:
    long = "9" * 300
    shop.holds = [Incoming(b'{"refuse": 1}', source_id=f"{number}") for number in range(1203)]
    shop.holds.append(Incoming(b'{"refuse": 1}', source_id=long))
    assert polling.pull(connector) == 1204
    assert polling.pull(fresh(connector)) == 0


def test_one_that_cannot_be_taken_stops_none_of_the_others(shop: Shop, connector: Connector, order: Callable) -> None:
    shop.holds = [order("1001", crash=True), order("1002", refuse=True), order("1003")]
    assert polling.pull(connector) == 2
    assert fresh(connector).pull_error == "1001: a fault of ours: KeyError."
    assert [state for _, state, _ in requests()] == ["rejected", "rejected", "accepted"]
    assert polling.pull(fresh(connector)) == 0
    assert fresh(connector).pull_error == ""


def test_of_several_processes_one_asks(connector: Connector) -> None:
    assert [polling.claim(connector.pk), polling.claim(connector.pk)] == [True, False]


def test_a_channel_is_asked_since_the_last_success_and_a_little_before(
    shop: Shop, connector: Connector, noon: Callable
) -> None:
    first = timezone.now()
    polling.pull(connector)
    noon(first + timedelta(hours=1))
    shop.fails = TryLater("The shop is away.")
    polling.pull(fresh(connector))
    noon(first + timedelta(hours=2))
    shop.fails = None
    polling.pull(fresh(connector))
    assert shop.asked == [first - polling.FIRST - polling.OVERLAP, first - polling.OVERLAP, first - polling.OVERLAP]


def test_after_a_success_it_is_asked_by_its_schedule(connector: Connector) -> None:
    polling.pull(connector)
    after = fresh(connector)
    assert (after.pulled_at, after.next_pull) == (timezone.now(), timezone.now() + timedelta(hours=1))


@pytest.mark.parametrize(
    ("failure", "said"),
    [(TryLater("The shop is away."), "The shop is away."), (Permanent("The key was revoked."), "The key was revoked."),
     (KeyError("orders"), "A fault of ours: KeyError."), (TryLater("x" * 5000), "x" * 2000)],
)  # fmt: skip
def test_a_failure_is_noted_and_tried_sooner(shop: Shop, connector: Connector, failure: Exception, said: str) -> None:
    shop.fails = failure
    assert polling.pull(connector) == 0
    after = fresh(connector)
    assert (after.pull_error, after.pulled_at, after.next_pull) == (said, None, timezone.now() + polling.AGAIN)
    shop.fails = None
    polling.pull(after)
    assert fresh(connector).pull_error == ""


def test_settings_that_are_not_complete_are_a_failure(connector: Connector) -> None:
    connector.settings = '{"interval": "often"}'
    connector.save()
    assert polling.pull(connector) == 0
    assert "not complete: interval" in fresh(connector).pull_error


def test_nobody_is_asked_in_the_quiet_hours(shop: Shop, connector: Connector, noon: Callable) -> None:
    connector.settings = '{"interval": 30, "quiet_from": "22:00", "quiet_to": "06:00"}'
    connector.save()
    noon(datetime(2026, 1, 15, 21, 45, tzinfo=UTC))
    polling.pull(connector)
    assert fresh(connector).next_pull == datetime(2026, 1, 16, 6, tzinfo=UTC)
    noon(datetime(2026, 1, 15, 23, tzinfo=UTC))
    assert polling.is_put_off(connector)
    shop.fails = TryLater("The shop is away.")
    noon(datetime(2026, 1, 15, 21, 58, tzinfo=UTC))
    polling.pull(fresh(connector))
    assert fresh(connector).next_pull == datetime(2026, 1, 16, 6, tzinfo=UTC)  # not five minutes later


def test_the_lease_of_a_process_that_died_ends(connector: Connector, noon: Callable) -> None:
    assert polling.claim(connector.pk)
    noon(timezone.now() + polling.LEASE - timedelta(seconds=1))
    assert not polling.claim(connector.pk)
    noon(timezone.now() + timedelta(seconds=2))
    assert polling.claim(connector.pk)


def test_who_is_switched_off_or_never_to_be_asked_is_not_asked(
    shop: Shop, connector: Connector, customer: Customer
) -> None:
    Connector.objects.filter(pk=connector.pk).update(active=False)
    assert (polling._due(), polling.claim(connector.pk), polling.pull_due()) == ([], False, 0)
    never = Connector.objects.create(name="never", type="shop", customer=customer, settings='{"interval": 0}')
    assert polling.pull(never) == 0
    assert (fresh(never).next_pull, shop.asked) == (None, [])


def test_only_types_that_are_asked_are_due_and_the_longest_due_first(connector: Connector, customer: Customer) -> None:
    early = Connector.objects.create(name="early", type="shop", customer=customer)
    Connector.objects.filter(pk=early.pk).update(next_pull=timezone.now() - timedelta(hours=1))
    Connector.objects.create(name="api", type="api", customer=customer)
    Connector.objects.filter(pk=connector.pk).update(next_pull=timezone.now())
    assert polling._due() == [early.pk, connector.pk]


def test_a_slow_channel_delays_no_other(shop: Shop, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = (Connector.objects.create(name=name, type="shop", customer=customer) for name in ("slow", "quick"))
    asked: list[Any] = []
    done = Event()

    def ask(pk: Any) -> None:
        asked.append(pk)
        if pk == slow.pk:
            done.wait(10)

    monkeypatch.setattr(polling, "_in_thread", ask)
    monkeypatch.setattr(polling, "PATIENCE", 0.2)
    Connector.objects.update(next_pull=timezone.now())
    assert polling.pull_due() == 2
    Connector.objects.filter(pk=quick.pk).update(next_pull=timezone.now())
    assert polling.pull_due() == 1
    assert (sorted(map(str, asked[:2])), asked[2:]) == (sorted([str(slow.pk), str(quick.pk)]), [quick.pk])
    done.set()
