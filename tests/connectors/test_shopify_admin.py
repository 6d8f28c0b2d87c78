"""Shopify's Admin API: parcels and cancellations are told, requests of a merchant answered, missing orders found."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from intake import polling
from intake.connectors import CONNECTOR_TYPES
from intake.models import Connector, OrderRequest
from orders.events import replay, sweep
from orders.models import Delivery, Order, Product
from orders.services import move
from shipping import packing
from shipping.models import Package
from tests.conftest import FileServer
from tests.connectors.fakes import Fake, Sent
from tests.connectors.shopify_shop import API, Shop, order_of, post
from tests.connectors.walk import walk


@pytest.fixture
def shop(fake: Fake) -> Shop:
    return Shop(fake)


@pytest.fixture
def url(fake: Fake, file_server: FileServer, settings: Any, good_pdf: bytes) -> str:
    """The address of a good print file; both servers are allowed."""
    settings.FETCH_ALLOWED_HOSTS = [fake.host, f"127.0.0.1:{file_server.server.server_port}"]
    return file_server.add("card.pdf", good_pdf)


@pytest.fixture
def connector(channel: Callable[..., Connector], shop: Shop, product: Product) -> Connector:
    return channel("shopify", **shop.settings)


def postbacks() -> list[Delivery]:
    return list(Delivery.objects.filter(listener="postback").order_by("id"))


# --- parcels --------------------------------------------------------------------------------------------
def test_an_order_goes_its_whole_way_and_the_shop_is_told_of_the_parcel(
    connector: Connector, shop: Shop, send: Any, url: str
) -> None:
    order = order_of(url)
    order["line_items"].append({"id": 2, "sku": "SHIRT", "title": "Shirt", "quantity": 1, "price": "20.00"})
    work = shop.add(order)
    assert post(send, connector, order).status_code == 200
    made = walk(Order.objects.get())
    package = Package.objects.get()
    assert package.tracking_code
    tracking = {"number": package.tracking_code, "url": package.tracking_url, "company": "Parcel shop"}
    assert shop.fulfilments == [{
        "notify_customer": True, "tracking_info": {name: value for name, value in tracking.items() if value},
        "line_items_by_fulfillment_order": [{"fulfillment_order_id": work["id"], "fulfillment_order_line_items": [
            {"id": 88_000_000_002, "quantity": 2}]}],
    }]  # fmt: skip
    assert (shop.wrong, [each.state for each in postbacks()], made.status) == ([], ["done"], "shipped")
    kept = json.dumps(postbacks()[0].tries.get().report)
    assert ("shpat_token" in kept, package.tracking_code in kept) == (False, True)


def test_telling_of_a_parcel_twice_makes_no_second_fulfilment(
    connector: Connector, shop: Shop, send: Any, url: str
) -> None:
    shop.add(order_of(url))
    post(send, connector, order_of(url))
    walk(Order.objects.get())
    replay(Delivery.objects.filter(listener="postback"))
    sweep()
    assert (len(shop.fulfilments), [each.state for each in postbacks()]) == (1, ["done"])


def test_a_shop_that_is_away_is_told_later(connector: Connector, shop: Shop, fake: Fake, send: Any, url: str) -> None:
    shop.add(order_of(url))
    post(send, connector, order_of(url))
    away = [True]
    fake.on("POST", rf"{API}/fulfillments.json",
            lambda sent: (503, {}) if away[0] else shop._fulfil(sent))  # fmt: skip
    walk(Order.objects.get())
    assert ([each.state for each in postbacks()], shop.fulfilments) == (["due"], [])
    assert "was answered 503" in postbacks()[0].error
    away[0] = False
    Delivery.objects.filter(listener="postback").update(due=timezone.now())
    sweep()
    assert ([each.state for each in postbacks()], len(shop.fulfilments)) == (["done"], 1)


def test_without_a_token_it_is_said_what_is_missing(
    channel: Callable[..., Connector], shop: Shop, send: Any, url: str, product: Product
) -> None:
    connector = channel("shopify", **shop.settings | {"access_token": ""})
    post(send, connector, order_of(url))
    walk(Order.objects.get())
    assert [(each.state, "access token" in each.error) for each in postbacks()] == [("given_up", True)]
    assert shop.fake.sent == []


def test_each_parcel_is_a_fulfilment_with_its_own_pieces_and_number_and_none_is_told_twice(
    connector: Connector, shop: Shop, fake: Fake, send: Any, url: str
) -> None:
    shop.add(order_of(url))
    post(send, connector, order_of(url))
    order = walk(Order.objects.get(), to="printed")
    for _ in range(2):
        packing.pack(order, contents={order.items.get().pk: 1}, by="user:packer")
    sweep()
    order = move(Order.objects.get(), "package", by="user:packer")
    sweep()
    told: list[Sent] = []

    def once_then_away(sent: Sent) -> Any:
        told.append(sent)
        return (503, {}) if len(told) == 2 else shop._fulfil(sent)

    fake.on("POST", rf"{API}/fulfillments.json", once_then_away)
    move(Order.objects.get(), "ship", by="user:packer")
    sweep()
    assert ([each.state for each in postbacks()], len(shop.fulfilments)) == (["due"], 1)
    Delivery.objects.filter(listener="postback").update(due=timezone.now())
    sweep()
    assert [each.state for each in postbacks()] == ["done"]
    codes = list(Package.objects.order_by("number").values_list("tracking_code", flat=True))
    assert [each["tracking_info"]["number"] for each in shop.fulfilments] == codes
    assert [each["line_items_by_fulfillment_order"][0]["fulfillment_order_line_items"] for each in shop.fulfilments] == [
        [{"id": 88_000_000_002, "quantity": 1}], [{"id": 88_000_000_002, "quantity": 1}]]  # fmt: skip


def test_only_open_work_at_our_location_is_fulfilled(
    channel: Callable[..., Connector], shop: Shop, send: Any, url: str, product: Product
) -> None:
    connector = channel("shopify", **shop.settings, location_id="7", notify_buyer=False)
    shop.add(order_of(url), location=8)
    mine = shop.add(order_of(url), location=7)
    shop.add(order_of(url), location=7)["status"] = "cancelled"
    post(send, connector, order_of(url))
    walk(Order.objects.get())
    shares = [each["line_items_by_fulfillment_order"] for each in shop.fulfilments]
    assert [share["fulfillment_order_id"] for each in shares for share in each] == [mine["id"]]
    assert shop.fulfilments[0]["notify_customer"] is False


def test_work_that_the_shop_holds_back_is_told_later(connector: Connector, shop: Shop, send: Any, url: str) -> None:
    shop.add(order_of(url))["status"] = "on_hold"
    post(send, connector, order_of(url))
    walk(Order.objects.get())
    assert [(each.state, "on hold" in each.error) for each in postbacks()] == [("due", True)]
    assert shop.fulfilments == []


# --- a merchant's requests ------------------------------------------------------------------------------
def notify(send: Any, connector: Connector, kind: str) -> Any:
    answer = post(send, connector, {"kind": kind}, path="fulfillment_order_notification")
    sweep()
    return answer


def test_work_that_is_requested_is_fetched_and_accepted_whether_it_was_known_or_not(
    connector: Connector, shop: Shop, send: Any
) -> None:
    known, new = order_of(), order_of(id=7_000_000_000_002, name="#1043", financial_status="authorized")
    post(send, connector, known)
    works = [shop.add(known, request="submitted"), shop.add(new, request="submitted")]
    assert notify(send, connector, "FULFILLMENT_REQUEST").status_code == 200
    assert [each["request_status"] for each in works] == ["accepted", "accepted"]
    assert sorted(Order.objects.values_list("source_id", flat=True)) == ["7000000000001", "7000000000002"]
    notify(send, connector, "FULFILLMENT_REQUEST")
    asked = OrderRequest.objects.filter(topic="fulfillment_requested")
    assert [(each.state, each.order is not None) for each in asked] == [("accepted", True), ("accepted", True)]
    assert shop.wrong == []


def test_work_of_which_nothing_is_printed_is_turned_down(connector: Connector, shop: Shop, send: Any) -> None:
    order = order_of()
    order["line_items"][0]["gift_card"] = True
    work = shop.add(order, request="submitted")
    notify(send, connector, "FULFILLMENT_REQUEST")
    assert (work["request_status"], Order.objects.count()) == ("rejected", 0)


@pytest.mark.parametrize(("to", "said", "status"), [("created", "cancellation_accepted", "canceled"),
                                                    ("shipped", "cancellation_rejected", "shipped")])  # fmt: skip
def test_a_cancellation_is_answered_by_what_happened(
    connector: Connector, shop: Shop, send: Any, url: str, to: str, said: str, status: str
) -> None:
    work = shop.add(order_of(url), request="accepted")
    post(send, connector, order_of(url))
    walk(Order.objects.get(), to=to)
    work["request_status"] = "cancellation_requested"
    notify(send, connector, "CANCELLATION_REQUEST")
    assert (work["request_status"], Order.objects.get().status) == (said, status)


def test_a_cancellation_of_an_order_that_was_canceled_before_is_accepted(
    connector: Connector, shop: Shop, send: Any
) -> None:
    work = shop.add(order_of(), request="accepted")
    post(send, connector, order_of())
    post(send, connector, order_of(cancelled_at="2026-01-15T12:00:00Z"), topic="orders/cancelled")
    work["request_status"] = "cancellation_requested"
    notify(send, connector, "CANCELLATION_REQUEST")
    assert (work["request_status"], Order.objects.get().status) == ("cancellation_accepted", "canceled")


def test_a_cancellation_of_ours_hands_the_work_back(connector: Connector, shop: Shop, send: Any) -> None:
    work = shop.add(order_of(), request="accepted")
    post(send, connector, order_of())
    move(Order.objects.get(), Order.cancel, by="user:ada", reason="Out of paper")
    sweep()
    assert work["status"] == "incomplete"
    assert shop.fake.asked("POST", rf"{API}/.*/close.json")[0].data == {
        "fulfillment_order": {"message": "Out of paper"}
    }


def test_a_notification_of_an_unknown_kind_is_refused_and_nobody_asked(
    connector: Connector, shop: Shop, send: Any
) -> None:
    notify(send, connector, "PARTY")
    assert (OrderRequest.objects.get().problems[0]["code"], shop.fake.sent) == ("NOTIFICATION_KIND", [])


# --- metafields -----------------------------------------------------------------------------------------
def test_print_files_are_found_in_metafields(
    channel: Callable[..., Connector], shop: Shop, fake: Fake, send: Any, product: Product
) -> None:
    connector = channel("shopify", **shop.settings, metafield="print.file")
    fake.on("GET", rf"{API}/variants/501/metafields.json", (200, {"metafields": []}))
    value = json.dumps({"front": "https://files.example/front.pdf", "back": "https://files.example/back.pdf"})
    said = [{"namespace": "other", "key": "file", "value": "https://files.example/no.pdf"},
            {"namespace": "print", "key": "file", "value": value}]  # fmt: skip
    fake.on("GET", rf"{API}/products/401/metafields.json", (200, {"metafields": said}))
    order = order_of()
    order["line_items"][0]["properties"] = []
    answer = post(send, connector, order)
    assert (answer.status_code, answer.json(), Order.objects.count()) == (200, {"received": True}, 0)
    sweep()
    files = Order.objects.get().items.get().files.all()
    assert [(file.type, file.url) for file in files] == [
        ("front", "https://files.example/front.pdf"), ("back", "https://files.example/back.pdf")]  # fmt: skip
    assert fake.sent[0].query == {"namespace": "print", "key": "file"}


def test_an_order_that_brings_its_files_is_read_at_once(
    channel: Callable[..., Connector], shop: Shop, send: Any, product: Product
) -> None:
    connector = channel("shopify", **shop.settings, metafield="print.file")
    post(send, connector, order_of())
    assert (Order.objects.count(), shop.fake.sent) == (1, [])


# --- what never arrived ---------------------------------------------------------------------------------
def test_orders_that_never_arrived_are_found_page_by_page(
    connector: Connector, shop: Shop, fake: Fake, send: Any
) -> None:
    post(send, connector, order_of())
    lost = order_of(id=7_000_000_000_002, name="#1043")
    unpaid = order_of(id=7_000_000_000_003, name="#1044", financial_status="pending")
    post(send, connector, unpaid, topic="orders/create")

    def page(sent: Sent) -> Any:
        if sent.query.get("page_info") == "p2":
            return 200, {"orders": [lost, unpaid]}
        link = f'<https://elsewhere.example{API}/orders.json?limit=100&page_info=p2>; rel="next"'
        return 200, {"orders": [order_of()]}, {"Link": link}

    fake.on("GET", rf"{API}/orders.json", page)
    assert polling.pull(connector) == 1
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["#1042", "#1043"]
    found = OrderRequest.objects.get(recovered=True)
    assert (found.topic, found.source_id, found.state) == ("orders/paid", "7000000000002", "accepted")
    assert polling.pull(connector) == 0
    asked = fake.asked("GET", rf"{API}/orders.json")
    assert [each.query.get("page_info") for each in asked] == [None, "p2", None, "p2"]
    assert {name: asked[0].query[name] for name in ("status", "order")} == {"status": "any", "order": "updated_at asc"}
    unpaid["financial_status"] = "paid"
    assert polling.pull(connector) == 1
    assert Order.objects.count() == 3


def test_a_page_that_cannot_be_read_is_said_and_not_taken_for_an_empty_one(
    connector: Connector, fake: Fake, shop: Shop
) -> None:
    fake.on("GET", rf"{API}/orders.json", (200, b'{"orders": [{"id"'))
    assert polling.pull(connector) == 0
    connector.refresh_from_db()
    assert (connector.pulled_at, "no list of orders" in connector.pull_error) == (None, True)


def test_requests_whose_notification_was_lost_are_found_too(
    channel: Callable[..., Connector], shop: Shop, fake: Fake, product: Product
) -> None:
    connector = channel("shopify", **shop.settings, location_id="7")
    work = shop.add(order_of(financial_status="authorized"), request="submitted")
    fake.on("GET", rf"{API}/orders.json", (200, {"orders": []}))
    assert polling.pull(connector) == 1
    sweep()
    assert (work["request_status"], Order.objects.get().source_id) == ("accepted", "7000000000001")
    assert polling.pull(connector) == 0


def test_the_shop_is_asked_every_hour_unless_the_settings_say_otherwise() -> None:
    config: Any = CONNECTOR_TYPES["shopify"].Config.model_validate({"shop": "acme", "secret": "s"})
    now = timezone.now()
    assert (config.next_after(now), config.admin.url) == (
        now + timedelta(hours=1), "https://acme.myshopify.com/admin/api/2026-10")  # fmt: skip
