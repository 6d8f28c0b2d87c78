"""WooCommerce, calls in: signatures, the ping, what is made of an order's states, and whatever else may come."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gelatoconnect.lib import signing
from gelatoconnect.lib.problems import Rejected
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Message
from intake.connectors.woocommerce import example_order
from intake.models import Connector, OrderRequest
from orders.models import Event, Order
from tests.connectors.mutations import mutations

WOO = CONNECTOR_TYPES["woocommerce"]
SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "woocommerce"
VECTOR = b'{"id":5012,"number":"5012","status":"processing"}'
FILE = "https://files.example/card.pdf"


def order(number: int = 5012, **changes: Any) -> dict[str, Any]:
    return example_order(number=number, sku="card-a6", file_url=FILE) | changes


@pytest.fixture
def shop(channel: Callable[..., Connector]) -> Connector:
    return channel("woocommerce", secret="woo-hook-secret", former_secret="old-secret", url="https://shop.example")


@pytest.fixture
def hook(shop: Connector, send: Callable[..., Any]) -> Callable[..., Any]:
    """`hook(order, topic="order.updated")`: the shop's webhook, signed."""

    def call(said: Any, *, topic: str = "order.created", secret: str = "woo-hook-secret", **more: str) -> Any:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        headers = {
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Source": "https://shop.example/",
            "X-WC-Webhook-Delivery-ID": "d1",
            "X-WC-Webhook-Signature": signing.in_base64(body, secret=secret),
        }
        return send(shop, body, **headers | more)

    return call


def codes(answer: Any) -> list[str]:
    return [problem["code"] for problem in answer.json().get("problems", answer.json().get("errors", []))]


def test_the_documented_signature_is_taken(shop: Connector, send: Callable[..., Any]) -> None:
    signature = "XtfBOt0YMRhdicOtS5Rit9LgrHQf++4NxYjzEeVzjGQ="
    answer = send(shop, VECTOR, **{"X-WC-Webhook-Topic": "order.created", "X-WC-Webhook-Signature": signature})
    assert (answer.status_code, codes(answer)) == (200, ["ORDER_NOTHING_TO_PRINT"])


def test_both_secrets_are_good_while_one_is_changed(hook: Callable[..., Any]) -> None:
    assert [hook(order(1), secret="old-secret").status_code, hook(order(2)).status_code] == [200, 200]
    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"X-WC-Webhook-Signature": "AAAA"}, "SIGNATURE_INVALID"), ({"X-WC-Webhook-Signature": ""}, "SIGNATURE_MISSING"),
     ({"X-WC-Webhook-Source": "https://other.example/"}, "SOURCE_FOREIGN")],
)  # fmt: skip
def test_a_call_that_is_not_from_this_shop_is_refused(
    hook: Callable[..., Any], headers: dict[str, str], code: str
) -> None:
    answer = hook(order(), **headers)
    assert (answer.status_code, codes(answer)) == (401, [code])
    assert Order.objects.count() == 0
    assert [request.state for request in OrderRequest.objects.all()] == ["rejected"]


@pytest.mark.parametrize("source", ["http://www.shop.example", "https://SHOP.example/", ""])
def test_the_shop_s_address_may_be_written_otherwise(hook: Callable[..., Any], source: str) -> None:
    assert hook(order(), **{"X-WC-Webhook-Source": source}).status_code == 200


def test_the_ping_of_a_new_webhook_is_answered_200_and_nothing_is_kept(
    shop: Connector, send: Callable[..., Any]
) -> None:
    answer = send(shop, b"webhook_id=17", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    assert OrderRequest.objects.count() == 0


@pytest.mark.parametrize("body", [b"webhook_id=17&x=1", b"webhook_id=", b'{"id":1}'])
def test_what_only_looks_like_a_ping_needs_a_signature(shop: Connector, send: Callable[..., Any], body: bytes) -> None:
    answer = send(shop, body, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, codes(answer)) == (401, ["SIGNATURE_MISSING"])


def test_a_paid_order_becomes_an_order(hook: Callable[..., Any]) -> None:
    answer = hook(order(), topic="order.created")
    made = Order.objects.get()
    assert (answer.status_code, answer.json()["id"]) == (200, str(made.pk))
    assert (made.reference, made.source_id, made.channel, made.currency) == ("5012", "5012", "woocommerce", "EUR")
    assert (made.address.name, made.address.email) == ("Lena Koch", "lena@example.com")
    item = made.items.get()
    assert (item.reference, item.product_uid, item.quantity, item.retail_price) == ("31", "card-a6", 2, 1290)
    assert [file.url for file in item.files.all()] == [FILE]


def test_the_same_state_sent_twice_is_one_request(hook: Callable[..., Any]) -> None:
    answers = [
        hook(order(), topic="order.created"),
        hook(order(), topic="order.updated", **{"X-WC-Webhook-Delivery-ID": "d2"}),
    ]
    assert answers[0].content == answers[1].content
    assert (OrderRequest.objects.count(), Order.objects.count()) == (1, 1)


def test_a_later_state_of_a_known_order_makes_no_second_one(hook: Callable[..., Any]) -> None:
    hook(order())
    answer = hook(order(date_modified_gmt="2026-01-15T09:30:09"), topic="order.updated")
    assert (answer.status_code, codes(answer)) == (200, ["ORDER_KNOWN"])
    assert (OrderRequest.objects.count(), Order.objects.count()) == (2, 1)


def test_another_address_in_the_shop_is_another_address_here(hook: Callable[..., Any]) -> None:
    hook(order())
    moved = order()["billing"] | {"address_1": "Weg 4"}
    assert codes(hook(order(billing=moved), topic="order.updated")) == ["ORDER_KNOWN", "ORDER_ADDRESS_CHANGED"]
    assert Order.objects.get().address.address_line1 == "Weg 4"


def test_an_order_is_made_once_it_is_paid(hook: Callable[..., Any]) -> None:
    said = [codes(hook(order(status=status))) for status in ("pending", "on-hold", "checkout-draft")]
    assert said == [["REQUEST_IGNORED"]] * 3
    assert Order.objects.count() == 0
    hook(order(), topic="order.updated")
    assert Order.objects.count() == 1


def test_an_order_whose_payment_failed_first_is_made_when_it_is_paid(hook: Callable[..., Any]) -> None:
    assert codes(hook(order(status="failed"), topic="order.updated")) == ["ORDER_NOT_MADE"]
    assert codes(hook(order(status="cancelled"), topic="order.updated")) == ["ORDER_NOT_MADE"]
    hook(order(), topic="order.updated")
    assert Order.objects.get().source_id == "5012"


@pytest.mark.parametrize("status", ["cancelled", "refunded", "failed", "trash"])
def test_an_order_that_ends_in_the_shop_is_canceled(hook: Callable[..., Any], status: str) -> None:
    hook(order())
    assert hook(order(status=status), topic="order.updated").status_code == 200
    assert Order.objects.get().status == "canceled"
    assert Event.objects.get(kind="order.canceled").data["reason"] == f"It is {status} in the shop."


def test_a_deleted_order_is_canceled(hook: Callable[..., Any]) -> None:
    hook({"id": 5012}, topic="order.deleted")
    hook(order(), topic="order.restored")
    assert Order.objects.get().status == "received"
    hook({"id": 5012}, topic="order.deleted", **{"X-WC-Webhook-Delivery-ID": "d9"})
    assert Order.objects.get().status == "canceled"


def test_completed_by_ourselves_is_nothing_new(hook: Callable[..., Any]) -> None:
    hook(order())
    events = Event.objects.count()
    assert codes(hook(order(status="completed"), topic="order.updated")) == ["REQUEST_IGNORED"]
    assert (Order.objects.get().status, Event.objects.count()) == ("received", events)


def test_a_line_that_nothing_is_known_of_is_left_out(hook: Callable[..., Any]) -> None:
    extra = {"id": 32, "name": "Candle", "sku": "CANDLE", "quantity": 1, "total": "9.00"}
    answer = hook(order(line_items=[*order()["line_items"], extra]))
    assert Order.objects.get().item_count == 1
    assert OrderRequest.objects.get().unmapped.get().sku == "CANDLE"
    assert answer.status_code == 200


def test_a_wrong_address_is_answered_200_and_shown(hook: Callable[..., Any]) -> None:
    answer = hook(order(billing={"first_name": "Lena", "address_1": "Weg 3", "country": "XX"}))
    assert (answer.status_code, "ADDRESS_COUNTRY_UNKNOWN" in codes(answer)) == (200, True)
    request = OrderRequest.objects.get()
    assert (request.state, request.source_id, request.reference) == ("rejected", "5012", "5012")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[1,2]", b'"x"', b"{", b"\xff", b'{"status":"processing"}', b'{"id":1}', b'{"id":1,"id":2}']
)
def test_what_is_no_order_is_kept_with_the_reason(hook: Callable[..., Any], body: bytes) -> None:
    answer = hook(body, topic="order.updated")
    assert answer.status_code in (200, 400)
    assert (OrderRequest.objects.get().state, Order.objects.count()) == ("rejected", 0)


@pytest.mark.parametrize("name", ["processing", "bundle", "odd-meta"])
def test_whatever_is_wrong_with_an_order_is_said(name: str) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    config = WOO.Config.model_validate({"secret": "s", "shipment_methods": "flat_rate=normal"})
    for body in mutations(sample):
        try:
            WOO.parse(Message(body, "order.updated", config=config))
        except Rejected as refusal:
            assert refusal.problems


def test_the_example_is_one_order(shop: Connector, send: Callable[..., Any]) -> None:
    config = WOO.Config.model_validate_json(shop.settings)
    call = WOO.example(config, number=77, sku="card-a6", file_url=FILE)
    assert send(shop, call.body, **call.headers).status_code == 200
    assert Order.objects.get().reference == "77"


@pytest.mark.parametrize("wrong", [{"secret": ""}, {"url": "shop.example"}, {"url": "http://shop.example"}, {"url": "https://a@b"},
                                   {"ship_as": "all done!"}, {"shipped_note": "loud"}])  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        WOO.Config.model_validate({"secret": "s"} | wrong)
