from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector
from orders.models import Customer, Event, Order
from orders.services import amend, move
from tests.conftest import ApiClient

Body = Callable[..., dict[str, Any]]


@pytest.fixture
def stranger(product: Any) -> ApiClient:
    other = Customer.objects.create(reference="other", name="Other")
    key = ApiKey(
        connector=Connector.objects.create(name="other-shop", customer=other), key="other", secret_hash=hashed("secret")
    )
    key.save()
    return ApiClient("other:secret")


def test_another_customers_order_does_not_exist(api: ApiClient, stranger: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    for ref in (id, "ACME-1"):
        for path in ("", "/history", "/actions"):
            assert stranger.get(f"/api/orders/{ref}{path}").status_code == 404
        for path in ("/cancel", "/submit", "/retry"):
            assert stranger.post(f"/api/orders/{ref}{path}").status_code == 404
        assert stranger.put(f"/api/orders/{ref}/shipment", {"shipmentMethodUid": "x"}).status_code == 404
    assert stranger.post("/api/orders/search", {"ids": [id]}).json()["orders"] == []
    assert [event.kind for event in Event.objects.all()] == ["order.received"]


def test_the_answer_tells_the_whole_order(api: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    order = api.get(f"/api/orders/{id}").json()
    assert order["shippingAddress"]["city"] == "Oslo"
    assert [item["fulfillmentStatus"] for item in order["items"]] == ["received"]
    assert order["actions"] == ["cancel", "updateShipment"]
    assert set(order) >= {
        "id",
        "orderReferenceId",
        "customerReferenceId",
        "orderType",
        "fulfillmentStatus",
        "financialStatus",
        "currency",
        "shippingAddress",
        "items",
        "shipment",
        "metadata",
        "problems",
        "actions",
    }


def test_a_canceled_order_cannot_be_canceled_again(api: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    assert api.post(f"/api/orders/{id}/cancel", {"reason": "changed my mind"}).json() == {"code": 200, "message": "OK"}
    response = api.post(f"/api/orders/{id}/cancel")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "ORDER_STATUS_CONFLICT")
    assert api.get(f"/api/orders/{id}/history").json()["history"][1]["reason"] == "changed my mind"


def test_part_of_an_order_is_canceled_by_item_and_quantity(api: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    assert api.post(f"/api/orders/{id}/cancel", {"items": [{"itemReferenceId": "1", "quantity": 1}]}).status_code == 200
    order = api.get(f"/api/orders/{id}").json()
    assert (order["fulfillmentStatus"], order["items"][0]["canceledQuantity"]) == ("received", 1)
    assert api.post(f"/api/orders/{id}/cancel", {"items": [{"itemReferenceId": "1", "quantity": 2}]}).status_code == 409
    assert api.post(f"/api/orders/{id}/cancel", {"items": [{"itemReferenceId": "1", "quantity": 1}]}).status_code == 200
    assert api.get(f"/api/orders/{id}").json()["fulfillmentStatus"] == "canceled"


def test_a_shipment_change_is_checked_and_refused_when_too_late(api: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    address = order_body()["shippingAddress"]
    assert api.put(f"/api/orders/{id}/shipment", {}).status_code == 422
    bad = api.put(f"/api/orders/{id}/shipment", {"shippingAddress": address | {"postCode": "x"}})
    assert (bad.status_code, bad.json()["errors"][0]["code"]) == (422, "ADDRESS_POSTCODE_FORMAT")
    assert [event.kind for event in Event.objects.all()] == ["order.received"]
    good = api.put(f"/api/orders/{id}/shipment", {"shippingAddress": address | {"city": "Bergen"}})
    assert good.json()["shippingAddress"]["city"] == "Bergen"
    api.post(f"/api/orders/{id}/cancel")
    assert api.put(f"/api/orders/{id}/shipment", {"shipmentMethodUid": "express"}).status_code == 409


def test_notes_of_the_staff_are_not_in_the_history_that_customers_read(api: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    amend(Order.objects.get(), by="user:ada", note="Customer is difficult")
    assert [entry["event"] for entry in api.get(f"/api/orders/{id}/history").json()["history"]] == ["order.received"]


def test_a_failed_order_can_be_retried(api: ApiClient, order_body: Body) -> None:
    id = api.post("/api/orders", order_body()).json()["id"]
    move(Order.objects.get(), Order.fail, by="system", reason="x")
    assert "retry" in api.get(f"/api/orders/{id}/actions").json()["actions"]
    assert api.post(f"/api/orders/{id}/retry").json()["fulfillmentStatus"] == "received"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["C", "B", "A"]),
        ({"orderReferenceIds": ["A", "C"]}, ["C", "A"]),
        ({"search": "ruiz"}, ["C", "B", "A"]),
        ({"search": "b"}, []),
        ({"search": "B"}, ["B"]),
        ({"countries": ["SE"]}, []),
        ({"fulfillmentStatuses": ["canceled"]}, ["B"]),
        ({"channels": ["api"], "customers": ["acme"], "currencies": ["EUR"]}, ["C", "B", "A"]),
        ({"startDate": "2020-01-01", "endDate": "2020-01-02"}, []),
        ({"startDate": "2020-01-01T00:00:00Z"}, ["C", "B", "A"]),
        ({"ids": ["not-an-id"]}, []),
    ],
)  # fmt: skip
def test_search_finds(api: ApiClient, order_body: Body, asked: dict, found: list[str]) -> None:
    for reference in "ABC":
        api.post("/api/orders", order_body(reference))
    api.post("/api/orders/B/cancel")
    response = api.post("/api/orders/search", asked)
    assert [row["orderReferenceId"] for row in response.json()["orders"]] == found


def test_search_pages_by_cursor_without_missing_or_repeating_a_row(api: ApiClient, order_body: Body) -> None:
    for number in range(5):
        api.post("/api/orders", order_body(f"N{number}"))
    seen, cursor = [], ""
    while cursor is not None:
        page = api.post("/api/orders/search", {"limit": 2, "cursor": cursor}).json()
        seen += [row["orderReferenceId"] for row in page["orders"]]
        cursor = page["nextCursor"]
    assert seen == ["N4", "N3", "N2", "N1", "N0"]


@pytest.mark.parametrize(
    "asked",
    [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"fulfillmentStatuses": ["nonsense"]}, {"startDate": "yesterday"},
     {"customers": ["nobody"]}, {"ids": 5}, [], {"search": "x" * 300}],
)  # fmt: skip
def test_a_bad_search_is_a_clear_4xx(api: ApiClient, asked: Any) -> None:
    response = api.post("/api/orders/search", asked)
    assert 400 <= response.status_code < 500
    assert response.json()["errors"][0]["code"] != ""


def test_a_search_costs_the_same_queries_for_one_and_three_rows(api: ApiClient, order_body: Body) -> None:
    counts = []
    for wanted in (1, 3):
        while Order.objects.count() < wanted:
            api.post("/api/orders", order_body(f"N{Order.objects.count()}"))
        with CaptureQueriesContext(connection) as queries:
            assert len(api.post("/api/orders/search", {}).json()["orders"]) == wanted
        counts.append(len(queries))
    assert counts == [3, 3]


@pytest.mark.parametrize("text", ["%", "_", "'", '"', "\\", "a\u0000b", "OR 1=1", '" OR *', "ruiz)", "\u202e"])
def test_odd_search_words_find_nothing_and_break_nothing(api: ApiClient, order_body: Body, text: str) -> None:
    api.post("/api/orders", order_body())
    response = api.post("/api/orders/search", {"search": text + "zzz"})
    assert response.status_code in (200, 400)
    assert response.json().get("orders", []) == []


@pytest.mark.parametrize("path", ["/api/nowhere", "/api/gelato/not-an-id/order", "/api/orders/a/b/c"])
def test_an_unknown_address_is_a_404_in_the_shape_of_errors(api: ApiClient, path: str) -> None:
    for response in (api.get(path), api.post(path), api.put(path)):
        assert (response.status_code, response.json()["errors"][0]["code"]) == (404, "NOT_FOUND")


def test_what_does_not_exist_is_named(api: ApiClient, connector: Connector) -> None:
    assert api.get("/api/orders/nope").json()["errors"][0]["code"] == "ORDER_UNKNOWN"
    foreign = "00000000-0000-7000-8000-000000000000"
    assert api.get(f"/api/gelato/order/{foreign}/x").json()["errors"][0]["code"] == "CONNECTOR_UNKNOWN"


def test_a_wrong_method_is_a_405_in_the_shape_of_errors(api: ApiClient) -> None:
    response = api.get("/api/orders/x/cancel")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (405, "METHOD_NOT_ALLOWED")
