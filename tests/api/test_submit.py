from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail

from intake.models import OrderRequest
from orders.events import sweep
from orders.models import Delivery, Event, Order, Trigger
from orders.payloads import payload
from tests.conftest import ApiClient

Body = Callable[..., dict[str, Any]]


def codes(response: Any) -> list[tuple[str, str]]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return [(error["code"], error["path"]) for error in response.json()["errors"]]


def nothing_stored() -> bool:
    events = Event.objects.exclude(kind="request.rejected")
    return not (Order.objects.exists() or events.exists() or Delivery.objects.exists())


def test_an_order_is_received_and_its_request_kept_byte_for_byte(api: ApiClient, order_body: Body) -> None:
    response = api.post("/api/orders", order_body(colour="teal"))
    order = Order.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "id": str(order.pk),
        "orderReferenceId": "ACME-1",
        "createdAt": order.created_at.isoformat(),
    }
    assert (order.status, order.extra, order.customer.reference) == ("received", {"colour": "teal"}, "acme")
    request = OrderRequest.objects.get()
    assert (request.state, request.order, request.answer.encode()) == ("accepted", order, response.content)
    assert b'"colour": "teal"' in bytes(request.body)
    assert "X-Api-Key" not in request.headers


def test_both_path_forms_take_orders(api: ApiClient, order_body: Body, connector: Any) -> None:
    assert api.post(f"/api/gelato/{connector.pk}/order", order_body("A")).status_code == 201
    order = Order.objects.get()
    base = f"/api/gelato/order/{connector.pk}/{order.pk}"
    assert api.get(base).json()["id"] == str(order.pk)
    assert api.get(f"/api/gelato/order/{connector.pk}/A").json()["id"] == str(order.pk)
    assert api.put(f"{base}/shipment", {"shipmentMethodUid": "express"}).status_code == 200
    assert api.post(f"{base}/cancel").json() == {"code": 200, "message": "OK"}
    assert [entry["to"] for entry in api.get(f"{base}/history").json()["history"]] == ["received", "", "canceled"]


def test_a_connector_that_is_not_the_keys_own_is_unknown(api: ApiClient, order_body: Body) -> None:
    response = api.post("/api/gelato/00000000-0000-7000-8000-000000000000/order", order_body())
    assert response.status_code == 404
    assert nothing_stored()


@pytest.mark.parametrize(
    "key", ["", "acme", "acme:", "acme:wrong", "nobody:secret", "acme:secret:more", "ac\u00e9:\u00e9"]
)
def test_a_wrong_key_is_refused(api: ApiClient, order_body: Body, key: str) -> None:
    response = api.post("/api/orders", order_body(), **{"X-API-KEY": key})
    assert response.status_code == 401
    assert codes(response) == [("AUTH_KEY_INVALID", "")]
    assert response.headers["WWW-Authenticate"].startswith("ApiKey")
    assert nothing_stored()


def test_the_key_of_another_kind_of_connector_submits_nothing(api: ApiClient, order_body: Body, connector: Any) -> None:
    type(connector).objects.update(type="shop")
    response = api.post("/api/orders", order_body())
    assert (response.status_code, codes(response)) == (403, [("CONNECTOR_TYPE", "")])
    assert nothing_stored()


def test_everything_that_is_wrong_is_said_at_once(api: ApiClient, order_body: Body) -> None:
    body = order_body(currency="XYZ", items=[{"quantity": 1}, {"productUid": "nope", "files": [{"url": "ftp://x/y"}]}])
    body["shippingAddress"] |= {"postCode": "1", "email": "no", "country": "NO"}
    response = api.post("/api/orders", body)
    assert response.status_code == 422
    found = codes(response)
    for expected in [
        ("ADDRESS_POSTCODE_FORMAT", "/shippingAddress/postCode"), ("EMAIL_FORMAT", "/shippingAddress/email"),
        ("CURRENCY_UNKNOWN", "/currency"), ("PRODUCT_MISSING", "/items/0/productUid"),
        ("PRODUCT_UNKNOWN", "/items/1/productUid"), ("FILE_URL_INVALID", "/items/1/files/0/url"),
    ]:  # fmt: skip
        assert expected in found
    assert all(error["hint"] for error in response.json()["errors"])
    assert nothing_stored()
    refused = OrderRequest.objects.get()
    assert (refused.state, refused.reference, refused.customer.reference) == ("rejected", "ACME-1", "acme")


def test_a_dry_run_says_the_same_and_stores_nothing(api: ApiClient, order_body: Body) -> None:
    good = api.post("/api/orders?dryRun=true", order_body())
    assert (good.status_code, good.json()["valid"]) == (200, True)
    bad = api.post("/api/orders?dryRun=true", order_body(items=[{"productUid": "nope"}]))
    assert (bad.status_code, codes(bad)) == (422, [("PRODUCT_UNKNOWN", "/items/0/productUid")])
    assert nothing_stored()
    assert OrderRequest.objects.count() == 0


def test_the_same_idempotency_key_gives_the_same_answer(api: ApiClient, order_body: Body) -> None:
    first = api.post("/api/orders", order_body(), **{"Idempotency-Key": "k1"})
    again = api.post("/api/orders", order_body(), **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.content) == (200, first.content)
    assert Order.objects.count() == Event.objects.count() == OrderRequest.objects.count() == 1


def test_an_idempotency_key_with_another_body_is_refused(api: ApiClient, order_body: Body) -> None:
    api.post("/api/orders", order_body(), **{"Idempotency-Key": "k1"})
    response = api.post("/api/orders", order_body("OTHER"), **{"Idempotency-Key": "k1"})
    assert (response.status_code, codes(response)) == (422, [("IDEMPOTENCY_KEY_REUSED", "")])
    assert Order.objects.count() == 1


def test_a_refused_request_may_be_mended_under_the_same_key(api: ApiClient, order_body: Body) -> None:
    assert api.post("/api/orders", order_body(items=[]), **{"Idempotency-Key": "k1"}).status_code == 422
    assert api.post("/api/orders", order_body(), **{"Idempotency-Key": "k1"}).status_code == 201


def test_a_repeated_reference_is_refused_with_the_first_orders_id(api: ApiClient, order_body: Body) -> None:
    first = api.post("/api/orders", order_body())
    assert api.post("/api/orders", order_body()).status_code == 201  # nobody asked that it be used once
    response = api.post("/api/orders", order_body(preventDuplicate=True))
    assert (response.status_code, codes(response)) == (409, [("ORDER_DUPLICATE", "/orderReferenceId")])
    assert response.json()["errors"][0]["details"] == {"id": first.json()["id"]}
    assert Order.objects.count() == 2


def test_the_connectors_own_setting_prevents_duplicates_too(api: ApiClient, order_body: Body, connector: Any) -> None:
    connector.prevent_duplicates = True
    connector.save()
    assert [api.post("/api/orders", order_body()).status_code for _ in range(2)] == [201, 409]


def test_a_draft_may_be_incomplete_and_fails_with_its_problems_when_submitted(api: ApiClient, order_body: Body) -> None:
    body = order_body(orderType="draft", shippingAddress={})
    draft = api.post("/api/orders", body).json()["id"]
    seen = api.get(f"/api/orders/{draft}").json()
    assert (seen["fulfillmentStatus"], seen["actions"]) == ("draft", ["submit", "cancel", "updateShipment"])
    assert "ADDRESS_COUNTRY_MISSING" in [problem["code"] for problem in seen["problems"]]
    assert api.post(f"/api/orders/{draft}/submit").json()["fulfillmentStatus"] == "received"
    assert api.post(f"/api/orders/{draft}/submit").status_code == 409


def test_an_open_connector_needs_the_customer_named(api: ApiClient, order_body: Body, connector: Any) -> None:
    connector.customer = None
    connector.save()
    response = api.post("/api/orders", order_body())
    assert (response.status_code, codes(response)) == (422, [("CUSTOMER_MISSING", "/customerReferenceId")])
    assert api.post("/api/orders", order_body(), **{"Customer-Reference-ID": "nobody"}).status_code == 422
    assert api.post("/api/orders", order_body(), **{"Customer-Reference-ID": "acme"}).status_code == 201
    assert Order.objects.get().customer.reference == "acme"


def test_a_refused_request_is_told_to_those_who_want_to_hear_of_it(api: ApiClient, order_body: Body) -> None:
    Trigger.objects.create(name="mail", event="request.rejected", channel="email", address="orders@acme.example")
    api.post("/api/orders", order_body(items=[{"productUid": "nope"}]))
    assert sweep() == 1
    event = Event.objects.get()
    assert (event.kind, event.order, event.customer.reference) == ("request.rejected", None, "acme")
    assert payload(event)["data"]["request"]["referenceId"] == "ACME-1"
    assert mail.outbox[0].subject == "Request rejected: ACME-1"
    assert "nope" in mail.outbox[0].body
    assert Order.objects.count() == 0
    assert Delivery.objects.get().state == "done"


BAD_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"\xff\xfe",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": "\\ud800"}',
    b'{"a": "\\u0000"}',
    b'{"\\u0000": 1}',
    b'{"a": 1, "a": 2}',
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"items": {"a": 1}, "shippingAddress": [], "orderReferenceId": {}}',
    b'{"orderReferenceId": "x", "shippingAddress": null, "items": [null]}',
    b'{"orderReferenceId": true, "shippingAddress": {"country": 7}, "items": [{"quantity": 1e30}]}',
    b'{"orderReferenceId": "' + b"x" * 500 + b'", "shippingAddress": {}, "items": [{"quantity": -1}]}',
    b'{"orderReferenceId": "x", "shippingAddress": {}, "items": [{"quantity": 99999999999999999999}]}',
]


@pytest.mark.parametrize("place", range(len(BAD_BODIES)))
def test_a_bad_body_is_a_clear_4xx_and_poisons_nothing(api: ApiClient, place: int) -> None:
    response = api.post("/api/orders", BAD_BODIES[place])
    assert 400 <= response.status_code < 500
    assert codes(response) != []
    assert nothing_stored()
    assert api.post("/api/orders/search", {}).json() == {"orders": [], "nextCursor": None}


def test_a_body_over_the_limit_is_refused_unread(api: ApiClient) -> None:
    response = api.post("/api/orders", b'{"a": "' + b"x" * 10_000_000 + b'"}')
    assert (response.status_code, codes(response)) == (413, [("BODY_TOO_LARGE", "")])
    assert OrderRequest.objects.count() == 0


def test_a_fault_of_ours_is_a_500_and_what_came_is_kept(
    api: ApiClient, order_body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intake.acts.place", lambda *args, **more: 1 / 0)
    assert api.post("/api/orders", order_body()).status_code == 500
    kept = OrderRequest.objects.get()
    assert (kept.state, kept.problems[0]["code"]) == ("rejected", "REQUEST_FAILED")
    assert nothing_stored()


def test_more_requests_than_allowed_wait(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gelatoconnect.lib.limits.take", lambda key, rate: 0.4)
    response = api.get("/api/products")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert codes(response) == [("RATE_LIMITED", "")]


def test_the_catalogue_is_open_to_a_key(api: ApiClient) -> None:
    assert api.get("/api/products").json() == {"products": [{
        "productUid": "card-a6", "name": "Card A6", "available": True, "trim": {"width": 105.0, "height": 148.0},
        "bleed": 3.0, "pages": {"min": 1, "max": 1, "multiple": 1}, "formats": ["pdf"],
    }]}  # fmt: skip


def test_the_schema_and_its_reference_are_served_without_a_key(client: Any, db: None) -> None:
    schema = client.get("/api/schema")
    assert schema.status_code == 200
    assert schema.content.startswith(b"openapi: 3.1.0")
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert b"https://" not in page.content
