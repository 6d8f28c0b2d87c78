"""WooCommerce, the other way: what the shop is told when, that nothing is said twice, and what it is asked."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from gelatoconnect.lib import signing
from intake import polling
from intake.connectors.woocommerce import example_order
from intake.models import Connector, OrderRequest
from orders.events import replay, sweep
from orders.models import Delivery, Order
from orders.services import move
from tests.connectors.fakes import Answer, Fake, Sent
from tests.connectors.walk import walk

API = "/wp-json/wc/v3/orders"
KEYS = "Basic " + base64.b64encode(b"ck_1:cs_1").decode()


class Shop:
    """The REST API of a shop with the Shipment Tracking extension; refuses calls without its keys."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.orders: dict[str, dict[str, Any]] = {}
        self.notes: list[dict[str, Any]] = []
        self.tracking: list[dict[str, Any]] = []
        for method, path, answer in (
            ("GET", API, self._list), ("GET", rf"{API}/(\d+)", self._get), ("PUT", rf"{API}/(\d+)", self._put),
            ("GET", rf"{API}/\d+/notes", lambda sent: (200, self.notes)), ("POST", rf"{API}/\d+/notes", self._note),
            ("GET", rf"{API}/\d+/shipment-trackings", lambda sent: (200, self.tracking)),
            ("POST", rf"{API}/\d+/shipment-trackings", self._track),
        ):  # fmt: skip
            fake.on(method, path, self._guarded(answer))

    def add(self, number: int, *, file_url: str = "https://files.example/card.pdf", **changes: Any) -> dict[str, Any]:
        self.orders[str(number)] = example_order(number=number, sku="card-a6", file_url=file_url) | changes
        return self.orders[str(number)]

    @property
    def written(self) -> list[tuple[str, str]]:
        return [(sent.method, sent.path.removeprefix(API)) for sent in self.fake.sent if sent.method != "GET"]

    def _guarded(self, answer: Callable[..., Answer]) -> Callable[..., Answer]:
        def guarded(sent: Sent, *found: str) -> Answer:
            if sent.headers.get("authorization") != KEYS:
                return 401, {"code": "woocommerce_rest_cannot_view"}
            return answer(sent, *found)

        return guarded

    def _list(self, sent: Sent) -> Answer:
        statuses, page = sent.query["status"].split(","), int(sent.query["page"])
        found = [each for each in self.orders.values()
                 if each["status"] in statuses and each["date_modified_gmt"] >= sent.query["modified_after"]]  # fmt: skip
        return 200, found[(page - 1) * 100 : page * 100], {"X-WP-TotalPages": str(-(-len(found) // 100))}

    def _get(self, sent: Sent, id: str) -> Answer:
        return (
            (200, self.orders[id]) if id in self.orders else (404, {"code": "woocommerce_rest_shop_order_invalid_id"})
        )

    def _put(self, sent: Sent, id: str) -> Answer:
        self.orders[id].update(sent.data)
        return 200, self.orders[id]

    def _note(self, sent: Sent) -> Answer:
        self.notes.append(
            {
                "id": 1,
                "note": f"<p>{sent.data['note'].replace('&', '&amp;')}</p>",
                "customer_note": sent.data["customer_note"],
            }
        )
        return 201, self.notes[-1]

    def _track(self, sent: Sent) -> Answer:
        self.tracking.append(sent.data)
        return 201, sent.data


@pytest.fixture
def shop(fake: Fake) -> Shop:
    return Shop(fake)


@pytest.fixture
def connect(channel: Callable[..., Connector], fake: Fake) -> Callable[..., Connector]:
    def make(**config: Any) -> Connector:
        keys = {"secret": "s", "url": fake.url, "consumer_key": "ck_1", "consumer_secret": "cs_1"}
        return channel("woocommerce", **keys | config)

    return make


@pytest.fixture
def sold(
    shop: Shop, send: Callable[..., Any], file_server: Any, good_pdf: bytes, settings: Any
) -> Callable[..., Order]:
    """`sold(connector)`: an order of the shop that has arrived here."""

    def call(connector: Connector, number: int = 5012, *, content: Any = good_pdf) -> Order:
        settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, shop.fake.host]
        body = json.dumps(shop.add(number, file_url=file_server.add("card.pdf", content))).encode()
        answer = send(connector, body, **{"X-WC-Webhook-Topic": "order.created",
                                          "X-WC-Webhook-Signature": signing.in_base64(body, secret="s")})  # fmt: skip
        return Order.objects.get(pk=answer.json()["id"])

    return call


def test_an_order_is_walked_to_shipped_and_completed_in_the_shop(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop, send: Callable[..., Any]
) -> None:
    connector = connect(shipment_tracking=True, shipped_note="customer", providers="Parcel shop=Royal Mail, *=DHL",
                        tracking_meta="code=_tracking_number, url=_tracking_url")  # fmt: skip
    order = walk(sold(connector))
    code = shop.tracking[0]["tracking_number"]
    assert shop.written == [("POST", "/5012/shipment-trackings"), ("POST", "/5012/notes"), ("PUT", "/5012")]
    assert shop.tracking[0]["tracking_provider"] == "Royal Mail"
    assert [note["customer_note"] for note in shop.notes] == [True]
    assert code in shop.notes[0]["note"]
    assert shop.orders["5012"]["status"] == "completed"
    assert {"key": "_tracking_number", "value": code} in shop.orders["5012"]["meta_data"]

    # Our own change makes the shop send it once more: that is nothing new.
    body = json.dumps(shop.orders["5012"]).encode()
    answer = send(connector, body, **{"X-WC-Webhook-Topic": "order.updated",
                                      "X-WC-Webhook-Signature": signing.in_base64(body, secret="s")})  # fmt: skip
    sweep()
    assert [problem["code"] for problem in answer.json()["problems"]] == ["REQUEST_IGNORED"]
    assert (len(shop.written), Order.objects.get().status) == (3, order.status)


def test_a_postback_that_runs_twice_says_nothing_twice(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    walk(sold(connect(shipment_tracking=True, tracking_meta="code=_tracking_number")))
    written = shop.written
    replay(Delivery.objects.filter(listener="postback"))
    sweep()
    assert (shop.written, Delivery.objects.get(listener="postback").state) == (written, "done")


def test_a_shop_that_is_away_is_told_later(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    order = sold(connect())
    shop.fake.on("PUT", rf"{API}/5012", (502, b"Bad gateway"))
    walk(order)
    failed = Delivery.objects.get(listener="postback")
    assert (failed.state, failed.attempts, shop.orders["5012"]["status"]) == ("due", 1, "processing")
    shown = json.dumps([attempt.report for attempt in failed.tries.all()])
    assert KEYS not in shown
    shop.fake.routes.pop(0)
    Delivery.objects.filter(pk=failed.pk).update(due=timezone.now())
    sweep()
    assert (Delivery.objects.get(listener="postback").state, shop.orders["5012"]["status"]) == ("done", "completed")
    assert len(shop.notes) == 1


def test_a_maintenance_page_is_no_answer(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    order = sold(connect())
    shop.fake.on("GET", rf"{API}/5012/notes", (200, b"<html>Back soon</html>"))
    walk(order)
    assert (Delivery.objects.get(listener="postback").state, shop.written) == ("due", [])


@pytest.mark.parametrize(
    ("before", "ship_as", "after"),
    [("processing", "wc-shipped", "shipped"), ("processing", "none", "processing"), ("completed", "shipped", "completed"),
     ("refunded", "completed", "refunded")],
)  # fmt: skip
def test_the_status_in_the_shop(connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop, before: str,
                                ship_as: str, after: str) -> None:  # fmt: skip
    order = sold(connect(ship_as=ship_as, shipped_note="none"))
    shop.orders["5012"]["status"] = before
    walk(order)
    assert (shop.orders["5012"]["status"], shop.notes, shop.tracking) == (after, [], [])


def test_a_shop_without_the_extension_is_not_asked_again_and_again(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    order = sold(connect(shipment_tracking=True))
    shop.fake.on("GET", rf"{API}/5012/shipment-trackings", (404, {"code": "rest_no_route"}))
    walk(order)
    given_up = Delivery.objects.get(listener="postback")
    assert (given_up.state, shop.written) == ("given_up", [])
    assert "no Shipment Tracking" in given_up.error


def test_the_shop_hears_why_an_order_cannot_be_produced_and_that_it_is_canceled(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    order = sold(connect(), content=b"no pdf")
    sweep()
    order = Order.objects.get()
    assert order.status == "failed"
    move(order, Order.cancel, by="user:ada", reason="The buyer changed her mind")
    sweep()
    said = [(note["note"], note["customer_note"]) for note in shop.notes]
    assert said[0][0].startswith("<p>The print producer cannot produce it yet: ")
    assert said[1] == ("<p>Canceled at the print producer: The buyer changed her mind</p>", False)
    assert shop.orders["5012"]["status"] == "processing"


def test_a_shop_that_does_not_want_notes_gets_none(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    sold(connect(problem_notes=False), content=b"no pdf")
    sweep()
    assert shop.fake.sent == []


def test_a_shop_without_keys_is_told_and_asked_nothing(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    connector = connect(consumer_key="")
    walk(sold(connector))
    assert (polling.pull(connector), shop.fake.sent, Delivery.objects.get(listener="postback").state) == (0, [], "done")


def test_orders_that_never_arrived_are_found(connect: Callable[..., Connector], shop: Shop) -> None:
    connector, now = connect(), timezone.now().strftime("%Y-%m-%dT%H:%M:%S")
    for number in range(1, 121):
        shop.add(number, date_modified_gmt=now)
    shop.add(900, date_modified_gmt=(timezone.now() - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%S"))
    shop.add(901, date_modified_gmt=now, status="on-hold")
    assert polling.pull(connector) == 120
    assert (Order.objects.count(), OrderRequest.objects.filter(recovered=True).count()) == (120, 120)
    asked = shop.fake.asked("GET", API)[0].query
    assert (asked["status"], asked["dates_are_gmt"], asked["per_page"]) == ("processing", "true", "100")
    connector.refresh_from_db()
    assert (polling.pull(connector), OrderRequest.objects.count(), connector.pull_error) == (0, 120, "")


def test_an_order_that_ended_unheard_is_canceled(
    connect: Callable[..., Connector], sold: Callable[..., Order], shop: Shop
) -> None:
    connector = connect()
    sold(connector)
    shop.orders["5012"].update(status="cancelled", date_modified_gmt=timezone.now().strftime("%Y-%m-%dT%H:%M:%S"))
    for _ in range(2):
        polling.pull(Connector.objects.get())
    assert (Order.objects.get().status, OrderRequest.objects.count()) == ("canceled", 2)


def test_an_order_that_was_unpaid_when_it_was_heard_of_is_found(
    connect: Callable[..., Connector], shop: Shop, send: Callable[..., Any]
) -> None:
    connector, now = connect(), timezone.now().strftime("%Y-%m-%dT%H:%M:%S")
    body = json.dumps(shop.add(5012, status="pending")).encode()
    send(connector, body, **{"X-WC-Webhook-Signature": signing.in_base64(body, secret="s")})
    shop.add(5012, date_modified_gmt=now)
    assert polling.pull(connector) == 1
    assert Order.objects.get().source_id == "5012"


def test_a_shop_that_cannot_answer_is_asked_again(connect: Callable[..., Connector], shop: Shop) -> None:
    connector = connect()
    shop.fake.on("GET", API, (200, b"<html>Back soon</html>"))
    polling.pull(connector)
    connector.refresh_from_db()
    assert (connector.pulled_at, connector.pull_error) == (
        None,
        "The answer is no list: the other side may be in maintenance.",
    )
