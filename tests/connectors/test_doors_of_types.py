"""Every type of connector that has an address, at its door: its own example passes and makes an order; nothing else does."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pydantic import SecretStr

from intake.connectors import CONNECTOR_TYPES, config_of
from intake.connectors.base import Call
from intake.models import Connector, Mapping, OrderRequest
from orders.models import Customer, Event, Order, Product
from tests.factories import make_customer

TYPES = sorted(name for name, kind in CONNECTOR_TYPES.items() if kind.methods)
# Types whose senders prove who they are, but not what they say: a body on its way could be another one.
UNSIGNED_BODY = {"cloudprinter", "mapped", "redbubble", "siteflow"}
# Settings that are not just any text.
VALUES = {"shop_id": "1234567", "postback_headers": "X-Token: {}"}


def settings_for(name: str, *, salt: str) -> dict[str, Any]:
    """Complete settings of that type; every secret hangs on `salt`."""
    found: dict[str, Any] = {}
    for field, info in CONNECTOR_TYPES[name].Config.model_fields.items():
        if info.annotation is SecretStr:
            key = hashlib.sha256(f"{salt} {name} {field}".encode()).digest()
            found[field] = VALUES.get(field, "{}").format(f"whsec_{base64.b64encode(key).decode()}")
        elif info.is_required():
            found[field] = VALUES.get(field, f"{salt}-{field}")
    return found


@pytest.fixture
def connect(customer: Customer, product: Product) -> Callable[..., Connector]:
    """A connector of that type with the starting mapping, if it knows mappings."""

    def connect(name: str, *, salt: str = "ours", customer: Customer = customer) -> Connector:
        kind, settings = CONNECTOR_TYPES[name], json.dumps(settings_for(name, salt=salt))
        found = Connector.objects.create(name=f"{customer.reference}-{name}-{salt}", type=name, customer=customer,
                                         settings=settings)  # fmt: skip
        if kind.mappable:
            starter = kind.starter  # type: ignore[attr-defined]
            texts = {name: getattr(starter, name) for name in ("submit", "cancel", "answer", "answer_type", "lookups")}
            Mapping.objects.create(connector=found, version=1, by="test", **texts)
        return found

    return connect


def example(connector: Connector, number: int = 1) -> Call:
    kind = CONNECTOR_TYPES[connector.type]
    return kind.example(config_of(connector), number=number, sku="card-a6", file_url="https://files.example/card.pdf")


def ring(connector: Connector, call: Call) -> Any:
    address = f"/in/{connector.pk}" + (f"/{call.path}" if call.path else "")
    headers = {name: value for name, value in call.headers.items() if name != "content-type"}
    return Client(raise_request_exception=False).generic(
        call.method, address, call.body, content_type=call.content_type, query_params=dict(call.query), headers=headers
    )


def is_read_later(connector: Connector, call: Call) -> bool:
    kind, config = CONNECTOR_TYPES[connector.type], config_of(connector)
    return kind.later(kind.incoming(call, config), config)


def changed(call: Call, **changes: Any) -> Call:
    said = {name: getattr(call, name) for name in ("method", "path", "url_path", "query", "headers", "body")}
    return Call(**said | changes)


def nothing_happened() -> bool:
    return not Order.objects.exists() and not Event.objects.exists()


@pytest.mark.parametrize("name", TYPES)
def test_an_example_passes_and_makes_an_order(connect: Any, product: Product, name: str) -> None:
    connector = connect(name)
    call = example(connector)
    response = ring(connector, call)
    assert 200 <= response.status_code < 300, response.content
    request = OrderRequest.objects.get()
    if is_read_later(connector, call):
        assert (request.state, request.order) == ("received", None)
        assert [event.kind for event in Event.objects.all()] == ["request.received"]
        return
    order = Order.objects.get()
    assert (request.state, request.order, order.connector, order.channel) == ("accepted", order, connector.pk, name)
    assert (request.source_id, order.source_id) == (order.source_id, request.source_id)
    item = order.items.get()
    assert (item.product, [file.url for file in item.files.all()]) == (product, ["https://files.example/card.pdf"])


@pytest.mark.parametrize("name", TYPES)
def test_the_same_example_again_is_answered_the_same_and_makes_no_second_order(connect: Any, name: str) -> None:
    connector = connect(name)
    call = example(connector)
    first, second = ring(connector, call), ring(connector, call)
    assert second.status_code in (first.status_code, 200, 409)
    assert Order.objects.count() == (0 if is_read_later(connector, call) else 1)
    assert Event.objects.exclude(kind="request.rejected").count() == 1


@pytest.mark.parametrize("name", TYPES)
def test_a_call_with_other_secrets_is_refused(connect: Any, name: str) -> None:
    ours, stranger = connect(name), connect(name, salt="theirs")
    response = ring(ours, example(stranger))
    assert response.status_code == 401, response.content
    found = OrderRequest.objects.get()
    assert (found.connector, found.state, found.answer_status, found.order) == (ours, "rejected", 401, None)
    assert nothing_happened()


@pytest.mark.parametrize("name", TYPES)
def test_a_call_without_what_proves_it_is_refused(connect: Any, name: str) -> None:
    connector = connect(name)
    call = example(connector)
    kept = {name: value for name, value in call.headers.items() if name == "content-type"}
    bare = changed(call, headers=kept, query={}, body=call.body.replace(b'"apikey"', b'"other"'))
    response = ring(connector, bare)
    assert response.status_code in (400, 401), response.content
    assert nothing_happened()


@pytest.mark.parametrize("name", sorted(set(TYPES) - UNSIGNED_BODY))
def test_a_body_of_which_one_byte_changed_is_refused(connect: Any, name: str) -> None:
    connector = connect(name)
    call = example(connector)
    for place in (0, len(call.body) // 2, len(call.body) - 1):
        body = bytearray(call.body)
        body[place] ^= 1
        assert ring(connector, changed(call, body=bytes(body))).status_code == 401
    assert nothing_happened()


@pytest.mark.parametrize("name", TYPES)
def test_a_secret_of_which_one_byte_changed_is_refused(connect: Any, name: str) -> None:
    """Each header that came with the proof, one after the other, and the key in the body."""
    connector = connect(name)
    call = example(connector)
    secrets = [value for value in settings_for(name, salt="ours").values() if isinstance(value, str)]
    hidden = next((value.encode() for value in secrets if value.encode() in call.body and len(value) > 20), b"")
    tried = [changed(call, body=call.body.replace(hidden, hidden[:-1] + b"_"))] if hidden else []
    for header, value in call.headers.items():
        if any(word in header for word in ("signature", "hmac", "authorization", "api-key")):
            tried.append(changed(call, headers=dict(call.headers) | {header: _flipped(value)}))
    assert tried
    assert [ring(connector, each).status_code for each in tried] == [401] * len(tried)
    assert nothing_happened()


def _flipped(value: str) -> str:
    """Another letter near the end: the last of a base64 text says nothing, or only fills up."""
    place = len(value.rstrip("=")) - 2
    return value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]


@pytest.mark.parametrize("name", TYPES)
def test_two_customers_of_one_type_never_see_each_other(connect: Any, name: str) -> None:
    """Even when they have the same secrets and number their orders the same way."""
    ours, theirs = connect(name), connect(name, customer=make_customer(reference="beta"))
    call = example(ours)
    ring(ours, call)
    before = list(Order.objects.values_list("pk", "status", "sequence", "customer__reference"))
    response = ring(theirs, call)
    assert 200 <= response.status_code < 300, response.content
    assert (
        list(Order.objects.filter(connector=ours.pk).values_list("pk", "status", "sequence", "customer__reference"))
        == before
    )
    assert Order.objects.filter(connector=theirs.pk, customer__reference="beta").count() == len(before)
    for pk, *_ in before:
        assert str(pk) not in response.content.decode()


@pytest.mark.parametrize("name", TYPES)
def test_no_secret_of_a_connector_is_kept_with_its_requests(connect: Any, name: str) -> None:
    connector, stranger = connect(name), connect(name, salt="theirs")
    for call in (
        example(connector),
        example(stranger),
        changed(example(connector, 2), body=b"{" + example(connector, 2).body),
    ):
        ring(connector, call)
    for each in OrderRequest.objects.all():
        text = f"{bytes(each.body)!r}{each.headers}{each.answer}{each.problems}{each.topic}"
        for salt in ("ours", "theirs"):
            found = [key for key, value in settings_for(name, salt=salt).items() if "whsec_" in value and value in text]
            assert found == [], (each.answer_status, found)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(
    "body", [b"", b"\0", b"[" * 100_000, b"<a>" * 200_000, b'{"a":1,"a":2}', b"\xff\xfe\x00", b"a=%00&b"]
)
def test_no_call_of_a_stranger_breaks_a_door(connect: Any, name: str, body: bytes) -> None:
    connector = connect(name)
    call = example(connector)
    for each in (changed(call, body=body), changed(call, body=body, headers={}, query={"%00": "\0"})):
        assert 400 <= ring(connector, each).status_code < 500
    assert not Order.objects.exists()
