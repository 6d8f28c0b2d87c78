"""Shopify's webhooks: who may call, what becomes of an order, and what is odd."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gelatoconnect.lib.problems import Rejected
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Call, Message, Nothing, Submit
from intake.models import Connector, OrderRequest
from orders.events import sweep
from orders.models import CustomerProduct, Event, Order, Product
from tests.connectors.shopify_shop import SECRET, SHOP, order_of, post, signed

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "shopify"
VECTOR = b'{"id":7000000000001,"name":"#1042","currency":"EUR"}'
VECTOR_SIGNATURE = "joQGhrC3zWx2NZO+vsL31msrRe4X+1UizHtneZBl9J8="


@pytest.fixture
def connector(channel: Callable[..., Connector]) -> Connector:
    return channel("shopify", shop=SHOP, secret=SECRET)


# --- who may call ---------------------------------------------------------------------------------------
def verified(headers: dict[str, str], **config: Any) -> str:
    kind = CONNECTOR_TYPES["shopify"]
    try:
        settings = kind.Config.model_validate({"shop": SHOP, "secret": "shop-app-secret", **config})
        kind.verify(Call(headers=headers, body=VECTOR), settings)
    except Rejected as refusal:
        return refusal.problems[0].code
    return "fine"


@pytest.mark.parametrize(
    ("headers", "config", "said"),
    [({"x-shopify-hmac-sha256": VECTOR_SIGNATURE, "x-shopify-shop-domain": SHOP}, {}, "fine"),
     ({"x-shopify-hmac-sha256": VECTOR_SIGNATURE, "x-shopify-shop-domain": SHOP.upper()}, {}, "fine"),
     ({"x-shopify-hmac-sha256": VECTOR_SIGNATURE}, {"secret": "new", "former_secret": "shop-app-secret"}, "fine"),
     ({"x-shopify-hmac-sha256": VECTOR_SIGNATURE}, {"secret": "new"}, "SIGNATURE_INVALID"),
     ({"x-shopify-hmac-sha256": VECTOR_SIGNATURE.lower()}, {}, "SIGNATURE_INVALID"),
     ({"x-shopify-hmac-sha256": "é"}, {}, "SIGNATURE_INVALID"),
     ({}, {}, "SIGNATURE_MISSING"),
     ({"x-shopify-hmac-sha256": VECTOR_SIGNATURE, "x-shopify-shop-domain": "other.myshopify.com"}, {}, "SHOP_UNKNOWN")],
)  # fmt: skip
def test_only_the_shop_itself_may_call(headers: dict[str, str], config: dict[str, str], said: str) -> None:
    assert verified(headers, **config) == said


def test_a_call_with_a_wrong_signature_is_refused_and_nothing_is_made(connector: Connector, send: Any) -> None:
    headers = signed(b"something else", topic="orders/paid")
    assert send(connector, json.dumps(order_of()), **headers).status_code == 401
    assert (Order.objects.count(), Event.objects.count(), OrderRequest.objects.get().state) == (0, 0, "rejected")


def test_names_of_headers_are_read_in_any_case(connector: Connector, send: Any) -> None:
    body = json.dumps(order_of()).encode()
    headers = {name.replace("Hmac-Sha256", "Hmac-SHA256"): value for name, value in signed(body).items()}
    assert send(connector, body, **headers).status_code == 200
    assert Order.objects.get().reference == "#1042"


def test_settings_say_what_is_wrong_with_them() -> None:
    Config = CONNECTOR_TYPES["shopify"].Config
    good = {"shop": "https://Acme.myshopify.com/", "secret": "s"}
    assert Config.model_validate(good).shop == SHOP
    assert Config.model_validate(good | {"shop": "acme"}).shop == SHOP
    for wrong in ({"secret": ""}, {"shop": "a b"}, {"api_url": "proxy"}, {"metafield": "file"}, {"api_version": "new"}):
        with pytest.raises(ValueError, match="1 validation error"):
            Config.model_validate(good | wrong)


# --- what becomes of an order ---------------------------------------------------------------------------
def test_an_order_is_made_once_however_often_it_is_sent(connector: Connector, send: Any) -> None:
    first = post(send, connector, order_of(), topic="orders/create", id="w-1")
    again = post(send, connector, order_of(), topic="orders/create", id="w-1")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert (first.json()["received"], first.json()["id"]) == (True, str(Order.objects.get().pk))
    assert OrderRequest.objects.count() == 1
    other = post(send, connector, order_of(), topic="orders/paid", id="w-2")  # another topic of the same order
    assert (other.status_code, other.json()["id"]) == (200, first.json()["id"])
    assert (Order.objects.count(), OrderRequest.objects.count()) == (1, 2)
    order = Order.objects.get()
    assert (order.source_id, order.reference, order.channel, order.shipment_method) == (
        "7000000000001", "#1042", "shopify", "")  # fmt: skip


def test_an_order_waits_for_its_payment(connector: Connector, send: Any) -> None:
    assert post(send, connector, order_of(financial_status="pending"), topic="orders/create").status_code == 200
    assert (Order.objects.count(), OrderRequest.objects.get().state) == (0, "ignored")
    assert OrderRequest.objects.get().source_id == ""  # so that it is found when the shop is compared
    assert post(send, connector, order_of(), topic="orders/paid").status_code == 200
    assert Order.objects.get().source_id == "7000000000001"


def test_a_changed_address_is_changed_here_and_a_canceled_order_canceled(connector: Connector, send: Any) -> None:
    post(send, connector, order_of())
    moved = order_of()
    moved["shipping_address"]["address1"] = "Weg 4"
    post(send, connector, moved, topic="orders/updated")
    assert Order.objects.get().address.address_line1 == "Weg 4"
    post(
        send, connector, order_of(cancelled_at="2026-01-15T12:00:00Z", cancel_reason="fraud"), topic="orders/cancelled"
    )
    assert (Order.objects.get().status, Event.objects.last().data["reason"]) == ("canceled", "fraud")


def test_an_order_that_was_canceled_before_it_came_is_not_made(connector: Connector, send: Any) -> None:
    post(send, connector, order_of(cancelled_at="2026-01-15T12:00:00Z"), topic="orders/cancelled")
    assert post(send, connector, order_of(), topic="orders/create").status_code == 200
    assert Order.objects.count() == 0


def test_lines_that_are_not_printed_here_are_left_out_with_a_note(
    connector: Connector, send: Any, product: Product
) -> None:
    order = order_of()
    order["line_items"] += [
        {"id": 2, "sku": "POSTCARD", "title": "Postcard", "quantity": 1, "price": "2.00"},
        {"id": 3, "sku": "SHIRT", "title": "Shirt", "quantity": 1, "price": "20.00"},
        {"id": 4, "title": "Gift card", "gift_card": True, "quantity": 1, "price": "20.00"},
    ]
    CustomerProduct.objects.create(customer=connector.customer, sku="POSTCARD", product=product,
                                   file_url="https://files.example/postcard.pdf")  # fmt: skip
    post(send, connector, order)
    made = Order.objects.get()
    assert [(item.reference, item.sku, item.files.get().url) for item in made.items.all()] == [
        ("88000000001", "card-a6", "https://files.example/card.pdf"), ("2", "POSTCARD", "https://files.example/postcard.pdf"),
    ]  # fmt: skip
    assert [each["code"] for each in made.problems] == ["SHIPMENT_METHOD_UNMAPPED", "ITEM_LEFT_OUT", "ITEM_LEFT_OUT"]
    assert [each["severity"] for each in made.problems] == ["info", "info", "info"]


def test_a_test_order_is_marked(connector: Connector, send: Any) -> None:
    post(send, connector, order_of(test=True))
    assert Order.objects.get().test is True


def test_a_refused_order_is_answered_200_and_stands_on_the_requests_page(connector: Connector, send: Any) -> None:
    order = order_of()
    del order["shipping_address"]
    answer = post(send, connector, order)
    assert (answer.status_code, [each["code"] for each in answer.json()["problems"]]) == (200, ["ADDRESS_MISSING"])
    found = OrderRequest.objects.get()
    assert (found.state, found.source_id, Order.objects.count()) == ("rejected", "7000000000001", 0)


def test_the_example_is_an_order(connector: Connector, send: Any, product: Product) -> None:
    kind = CONNECTOR_TYPES["shopify"]
    call = kind.example(kind.Config.model_validate_json(connector.settings), number=1, sku=product.uid,
                        file_url="https://files.example/a.pdf")  # fmt: skip
    assert send(connector, call.body, **call.headers).status_code == 200
    assert Order.objects.get().items.get().product == product


# --- what is odd ----------------------------------------------------------------------------------------
def mutations(value: Any) -> Iterator[Any]:
    """The value with one thing in it dropped, null, or of another kind, at every level."""
    if isinstance(value, dict):
        for key, inner in value.items():
            rest = {name: each for name, each in value.items() if name != key}
            yield rest
            yield rest | {key.upper(): inner}
            yield from (rest | {key: each} for each in mutations(inner))
    elif isinstance(value, list):
        yield dict(enumerate(value))
        yield from (
            [*value[:place], each, *value[place + 1 :]]
            for place, inner in enumerate(value)
            for each in mutations(inner)
        )
    yield from (None, "", "x", 0, -1, 1.5, 10**30, True, [], {}, [None], [[1]], {"a": None}, {"value": "x"}, "é" * 3000)


@pytest.mark.parametrize(
    "sample", ["mixed", "metafield-fetched", "fulfillment-requested", "redact", "cancellation-requested"]
)
def test_whatever_is_odd_in_it_is_understood_or_refused(sample: str) -> None:
    kind = CONNECTOR_TYPES["shopify"]
    said, call = (json.loads((SAMPLES / f"{sample}.{ending}").read_text()) for ending in ("json", "call.json"))
    config = kind.Config.model_validate(call["config"])
    count = 0
    for each in mutations(said):
        body = json.dumps(each, ensure_ascii=False).encode()
        incoming = kind.incoming(Call(headers={"x-shopify-topic": call["topic"]}, body=body), config)
        try:
            assert kind.later(incoming, config) in (True, False)
            kind.parse(Message(body, call["topic"], config=config))
        except Rejected as refusal:
            assert all(problem.code and problem.message for problem in refusal.problems)
        count += 1
    assert count > 100


def test_ids_beyond_53_bits_are_kept_digit_by_digit() -> None:
    kind = CONNECTOR_TYPES["shopify"]
    config = kind.Config.model_validate({"shop": SHOP, "secret": SECRET})
    body = json.dumps(order_of(id=9_007_199_254_740_993)).encode()
    meaning = kind.parse(Message(body, "orders/create", config=config))
    assert isinstance(meaning, Submit)
    assert meaning.source_id == "9007199254740993"


def test_an_unknown_topic_and_an_unknown_payment_make_nothing() -> None:
    kind = CONNECTOR_TYPES["shopify"]
    config = kind.Config.model_validate({"shop": SHOP, "secret": SECRET})
    for topic, order in (("orders/delete", order_of()), ("orders/create", order_of(financial_status="barter"))):
        assert isinstance(kind.parse(Message(json.dumps(order).encode(), topic, config=config)), Nothing)


def test_every_recorded_order_goes_through_the_door_without_a_fault(connector: Connector, send: Any) -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        if path.name.endswith((".call.json", ".meaning.json")) or "shop-redact" in path.name:
            continue
        topic = json.loads(path.with_suffix(".call.json").read_text())["topic"]
        body = path.read_bytes()
        assert send(connector, body, **signed(body, topic=topic)).status_code in (200, 400), path.name
    sweep()


def test_signatures_are_those_of_the_vector() -> None:
    mine = base64.b64encode(hmac.new(b"shop-app-secret", VECTOR, hashlib.sha256).digest()).decode()
    assert mine == VECTOR_SIGNATURE == signed(VECTOR)["X-Shopify-Hmac-Sha256"]
