"""What Cloudprinter hears of its orders: one signal for each item, with the signal key, tried again until it is taken."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from gelatoconnect import specimens
from intake.connectors.cloudprinter import Cloudprinter, Settings
from intake.models import Connector
from orders.events import sweep
from orders.models import Attempt, Delivery, Event, Order, Product
from orders.services import amend, move
from tests.conftest import FileServer
from tests.connectors.fakes import Fake, Sent
from tests.connectors.walk import walk

ORDER, ITEM, OTHER = "550000000001", "5500000000011", "5500000000012"
SIGNAL_KEY = "signal-key-0007"


@pytest.fixture
def signals(fake: Fake) -> Callable[[], list[Sent]]:
    """Cloudprinter's end: it takes signals that have its key; the signals so far."""

    def answer(sent: Sent) -> tuple[int, Any]:
        return (200, {"ok": True}) if sent.data.get("apikey") == SIGNAL_KEY else (401, {"message": "wrong key"})

    fake.on("POST", "/cloudsignal/2.0/status/", answer)
    return lambda: fake.asked("POST", "/cloudsignal/2.0/status/")


@pytest.fixture
def cloudprinter(channel: Callable[..., Connector], fake: Fake, product: Product) -> Connector:
    return channel("cloudprinter", key="inbound-key-0001", signal_key=SIGNAL_KEY,
                   signal_url=f"{fake.url}/cloudsignal/2.0/status/")  # fmt: skip


@pytest.fixture
def ordered(cloudprinter: Connector, send: Any) -> Callable[..., Order]:
    """An order of two items, as they send it."""

    def order(url: str, other: str = "") -> Order:
        config = Settings.model_validate_json(cloudprinter.settings)
        body = json.loads(Cloudprinter().example(config, number=1, sku="card-a6", file_url=url).body)
        items = body["order"]["items"]
        items.append(items[0] | {"id": OTHER, "count": 3, "files": [{"type": "product", "url": other or url}]})
        response = send(cloudprinter, body)
        assert response.status_code == 200, response.content
        return Order.objects.get()

    return order


def due_now() -> None:
    Delivery.objects.filter(state="due").update(due=timezone.now() - timedelta(seconds=1))
    sweep()


def said(sent: list[Sent]) -> list[tuple[str, str]]:
    return [(each.data["type"], each.data["item"]) for each in sent]


def test_an_order_walks_to_shipped_and_each_item_is_reported_at_each_step(
    ordered: Any, file_server: FileServer, good_pdf: bytes, signals: Any, settings: Any, fake: Fake
) -> None:
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, fake.host]
    order = walk(ordered(file_server.add("card.pdf", good_pdf)))
    steps = ("ItemRegistered", "ItemProduce", "ItemProduced", "ItemPacked", "ItemShipped")
    assert said(signals()) == [(step, item) for step in steps for item in (ITEM, OTHER)]
    shipped = signals()[-1]
    package = order.packages.get()
    at = Event.objects.get(kind="order.shipped").at
    assert shipped.headers["content-type"] == "application/json"
    assert shipped.data == {
        "apikey": SIGNAL_KEY, "type": "ItemShipped", "order": ORDER, "item": OTHER,
        "datetime": at.strftime("%Y-%m-%d %H:%M:%S GMT"), "tracking": package.tracking_code,
    }  # fmt: skip
    assert set(Delivery.objects.filter(listener="postback").values_list("state", flat=True)) == {"done"}
    assert SIGNAL_KEY not in "".join(str(attempt.report) for attempt in Attempt.objects.all())


def test_a_failed_check_is_an_error_of_each_item_with_its_own_cause_first(
    ordered: Any, file_server: FileServer, signals: Any, settings: Any, fake: Fake
) -> None:
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, fake.host]
    small = file_server.add("small.pdf", specimens.pdf(trim=(90, 120), bleed=3))
    ordered(small, file_server.add("bare.pdf", specimens.pdf(trim=(105, 148), bleed=0)))
    sweep()
    assert Order.objects.get().status == "failed"
    errors = [sent.data for sent in signals() if sent.data["type"] == "ItemError"]
    assert [(each["item"], each["cause"]) for each in errors] == [
        (ITEM, "PAGE_SIZE_MISMATCH"),
        (OTHER, "PAGE_BLEED_MISSING"),
    ]
    size, bleed = (next(each["message"] for each in Order.objects.get().problems if each["code"] == code)
                   for code in ("PAGE_SIZE_MISMATCH", "PAGE_BLEED_MISSING"))  # fmt: skip
    assert [each["message"] for each in errors] == [f"{size} {bleed}", f"{bleed} {size}"]


def test_a_canceled_order_and_a_canceled_item_are_told_of_once(ordered: Any, signals: Any) -> None:
    order = ordered("https://files.example/card.pdf")
    second = order.items.get(number=2)
    amend(order, by="user:ada", cancel={second.pk: 2})
    amend(order, by="user:ada", reason="Out of paper", cancel={second.pk: 1})
    amend(order, by="user:ada", shipment_method="express")
    move(order, Order.cancel, by="user:ada", reason="The client asked for it")
    sweep()
    canceled = [sent.data for sent in signals() if sent.data["type"] == "ItemCanceled"]
    assert [(each["item"], each["cause"], each["message"]) for each in canceled] == [
        (OTHER, "canceled", "Out of paper"),
        (ITEM, "canceled", "The client asked for it"),
    ]


def test_signals_are_sent_again_until_they_are_taken(ordered: Any, signals: Any, fake: Fake) -> None:
    answers = [(200, {}), (503, {}), (200, {}), (200, {})]
    fake.on("POST", "/cloudsignal/2.0/status/", lambda sent: answers.pop(0))
    ordered("https://files.example/card.pdf")
    sweep(seconds=5)
    delivery = Delivery.objects.get(listener="postback")
    assert (delivery.state, said(signals())) == ("due", [("ItemRegistered", ITEM), ("ItemRegistered", OTHER)])
    due_now()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, said(signals()[2:])) == (
        "done", 2, [("ItemRegistered", ITEM), ("ItemRegistered", OTHER)],
    )  # fmt: skip
    assert signals()[0].data == signals()[2].data  # the same signal, with the time of the event


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_signal_that_is_refused_is_given_up_with_what_they_said(
    ordered: Any, signals: Any, fake: Fake, status: int
) -> None:
    fake.on("POST", "/cloudsignal/2.0/status/", (status, {"message": f"No such item for {SIGNAL_KEY}"}))
    ordered("https://files.example/card.pdf")
    sweep(seconds=5)
    delivery = Delivery.objects.get(listener="postback")
    assert delivery.state == "given_up"
    assert f'was answered {status}: {{"message": "No such item for •••"}}' in delivery.error
    assert SIGNAL_KEY not in str(Attempt.objects.get(delivery=delivery).report)
