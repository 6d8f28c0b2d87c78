"""Redbubble: the Authorization value letter by letter, and a starting template that takes what little is known."""

import json
from typing import Any

import pytest

from intake.connectors import CONNECTOR_TYPES
from intake.connectors.mapped.starters import REDBUBBLE
from intake.connectors.redbubble import RedbubbleConfig
from intake.models import Connector, OrderRequest
from orders.models import CustomerProduct, Order
from orders.services import move
from tests.connectors.fakes import Fake
from tests.connectors.test_mapped import give
from tests.connectors.walk import walk

VALUE = "Token token=rb-value-001"


@pytest.fixture
def shop(channel: Any) -> Connector:
    return channel("redbubble", secret=VALUE)


@pytest.mark.parametrize("header", [None, "", "rb-value-001", VALUE.lower(), VALUE + "x", f"Bearer {VALUE}"])
def test_only_the_exact_value_is_let_in(header: str | None, shop: Connector, send: Any) -> None:
    give(shop, REDBUBBLE)
    headers = {} if header is None else {"Authorization": header}
    assert send(shop, REDBUBBLE.sample.encode(), **headers).status_code == 401
    assert (Order.objects.count(), OrderRequest.objects.get().state) == (0, "rejected")


def test_the_value_is_not_kept(shop: Connector, send: Any) -> None:
    give(shop, REDBUBBLE)
    assert send(shop, REDBUBBLE.sample.encode(), Authorization=VALUE).status_code == 201
    assert VALUE not in json.dumps(OrderRequest.objects.get().headers)


def test_an_order_without_a_mapping_is_kept_for_the_editor(shop: Connector, send: Any) -> None:
    response = send(shop, {"order": {"anything": 1}}, Authorization=VALUE)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (503, "MAPPING_MISSING")
    assert json.loads(bytes(OrderRequest.objects.get().body)) == {"order": {"anything": 1}}


def test_sent_again_it_is_the_same_order(shop: Connector, send: Any) -> None:
    give(shop, REDBUBBLE)
    first, second = (send(shop, REDBUBBLE.sample.encode(), Authorization=VALUE) for _ in range(2))
    assert (first.status_code, second.status_code, first.json()["id"]) == (201, 200, second.json()["id"])
    assert Order.objects.count() == 1


def test_an_unmapped_sku_of_product_info_waits_to_be_mapped(
    shop: Connector, send: Any, customer: Any, product: Any
) -> None:
    give(shop, REDBUBBLE)
    body = REDBUBBLE.sample.replace("card-a6", "rb-greeting-card").encode()
    assert [each["code"] for each in send(shop, body, Authorization=VALUE).json()["errors"]] == ["PRODUCT_UNMAPPED"]
    CustomerProduct.objects.create(customer=customer, product=product, sku="rb-greeting-card")
    assert send(shop, body, Authorization=VALUE).status_code == 201


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"order": []}', b'{"order": {"id": {}, "items": 5}}',
                                  b'{"order": {"id": 1, "items": [null, 5, "x"], "address": 7}}'])  # fmt: skip
def test_what_is_no_order_is_refused(body: bytes, shop: Connector, send: Any) -> None:
    give(shop, REDBUBBLE)
    assert send(shop, body, Authorization=VALUE).status_code in (400, 422)
    assert (Order.objects.count(), OrderRequest.objects.get().state) == (0, "rejected")


def test_an_order_goes_its_way_and_is_told(channel: Any, send: Any, fake: Fake, file_server: Any, good_pdf: bytes,
                                           settings: Any) -> None:  # fmt: skip
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, fake.host]
    connector = channel(
        "redbubble", secret=VALUE, postback_url=f"{fake.url}/told", postback_headers="Authorization: ours"
    )
    give(connector, REDBUBBLE)
    fake.on("POST", "/told", (200, {}))
    url = file_server.add("card.pdf", good_pdf)
    call = CONNECTOR_TYPES["redbubble"].example(RedbubbleConfig(secret=VALUE), number=9, sku="card-a6", file_url=url)
    response = send(connector, call.body, Authorization=call.headers["authorization"])
    walk(Order.objects.get(pk=response.json()["id"]))
    [sent] = fake.sent
    assert (sent.headers["authorization"], sent.data["event"]["kind"]) == ("ours", "order.shipped")
    assert (sent.data["order"]["sourceId"], [item["referenceId"] for item in sent.data["items"]]) == ("RB-9", ["1"])


def test_a_cancellation_is_told_by_its_path(shop: Connector, send: Any) -> None:
    give(shop, REDBUBBLE)
    send(shop, REDBUBBLE.sample.encode(), Authorization=VALUE)
    assert send(shop, {"order": {"id": "RB-5001"}}, path="cancel", Authorization=VALUE).status_code == 200
    made = Order.objects.get()
    assert made.status == "canceled"
    with pytest.raises(Exception, match="cancel"):
        move(made, Order.cancel, by="user:ada", reason="")
