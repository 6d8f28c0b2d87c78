"""Cloudprinter as a print partner sees it: its documents are taken once, without their key, and each item is reported."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from pydantic import ValidationError

from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import Message, Submit
from intake.connectors.cloudprinter import Cloudprinter, Settings
from intake.models import Connector, OrderRequest
from orders.models import Event, Order, Product

KEY, SECOND = "inbound-key-0001", "inbound-key-0002"
SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "cloudprinter"
KIND = Cloudprinter()
CONFIG = Settings(key=KEY, signal_key="signal-key", shipment_methods="dhl_parcel=standard")


@pytest.fixture
def cloudprinter(channel: Callable[..., Connector]) -> Connector:
    return channel("cloudprinter", key=KEY, second_key=SECOND, signal_key="signal-key")


def document(number: int = 1, **changes: Any) -> dict[str, Any]:
    call = KIND.example(CONFIG, number=number, sku="card-a6", file_url="https://files.example/card.pdf")
    order = json.loads(call.body)["order"] | changes
    return {"order": {name: value for name, value in order.items() if value is not None}}


def as_xml(order: dict[str, Any], tag: str = "order") -> str:
    """As their XML says it: lists as repeated elements inside."""

    def inside(value: Any, name: str) -> str:
        if isinstance(value, dict):
            return "".join(f"<{key}>{inside(each, key)}</{key}>" for key, each in value.items())
        if isinstance(value, list):
            single = {"addresses": "address"}.get(name, name[:-1])
            return "".join(f"<{single}>{inside(each, single)}</{single}>" for each in value)
        return str(value)

    return f"<{tag}>{inside(order, tag)}</{tag}>"  # fmt: skip


def codes(response: Any) -> list[str]:
    return [error["code"] for error in response.json()["errors"]]


def kept() -> str:
    """Everything that is stored of requests, as one text."""
    return "".join(
        f"{bytes(each.body)!r}{each.headers}{each.answer}{each.problems}" for each in OrderRequest.objects.all()
    )


# --- the key ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", [KEY, SECOND])
def test_both_keys_are_taken_while_the_key_changes(
    cloudprinter: Connector, send: Any, product: Product, key: str
) -> None:
    assert send(cloudprinter, document(apikey=key)).status_code == 200


def test_the_key_may_also_stand_beside_the_order(cloudprinter: Connector, send: Any, product: Product) -> None:
    assert send(cloudprinter, {"apikey": KEY, **document(apikey=None)}).status_code == 200


@pytest.mark.parametrize(
    "key", ["", None, "wrong-key", KEY[:-1], KEY + "x", KEY.upper(), 0, True, [], {}, "é", [KEY, KEY]]
)
def test_a_wrong_key_is_refused_and_no_order_is_made(
    cloudprinter: Connector, send: Any, product: Product, key: Any
) -> None:
    order = document(apikey=None)
    order["order"]["apikey"] = key
    response = send(cloudprinter, order)
    assert (response.status_code, codes(response)) == (401, ["AUTH_KEY_INVALID"])
    assert response.json()["message"] == "The apikey of the order is missing or not valid."
    assert (Order.objects.count(), Event.objects.count()) == (0, 0)
    assert OrderRequest.objects.get().answer_status == 401


def test_no_key_is_ever_kept(cloudprinter: Connector, send: Any, product: Product) -> None:
    nested = document(1, note=f"our key is {KEY}", extra={KEY: [KEY, {"Api-Key": "other-secret"}]})
    sent = [
        nested, as_xml(document(2)["order"] | {"comment": f"<!-- {KEY} --> {KEY}"}), document(3, apikey="wrong-key-00"),
        json.dumps(document(4)).replace("inbound", "\\u0069nbound"), json.dumps(document(5))[:-1],
        as_xml(document(6)["order"])[:-1], f'<order apikey="{KEY}" id="7"', f"apikey={KEY}&order=1",
    ]  # fmt: skip
    for body in sent:
        send(cloudprinter, body, x_key=KEY)
    assert OrderRequest.objects.filter(state="accepted").count() == 3
    for secret in (KEY, "other-secret", "wrong-key-00"):
        assert secret not in kept()


def test_short_keys_and_half_a_table_of_methods_are_no_settings() -> None:
    for wrong in ({"key": "short"}, {"second_key": "short"}, {"signal_key": ""}, {"shipment_methods": "dhl_parcel"}):
        with pytest.raises(ValidationError):
            Settings.model_validate({"key": KEY, "signal_key": "signal-key"} | wrong)


# --- orders -----------------------------------------------------------------------------------------
def test_an_order_is_accepted_at_once(cloudprinter: Connector, send: Any, product: Product) -> None:
    response = send(cloudprinter, document(shipping_date="2026-01-17 12:00:00"))
    order = Order.objects.get()
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json() == {"message": "The order is accepted.", "order": "550000000001", "id": str(order.pk)}
    assert (order.source_id, order.reference, str(order.ship_by)) == ("550000000001", "550000000001", "2026-01-17")
    item = order.items.get()
    assert (item.reference, item.sku, item.product, item.quantity) == ("5500000000011", "card-a6", product, 1)
    assert (item.retail_price, item.variant) == (700, {"total_pages": 1})
    assert [(file.type, file.url) for file in item.files.all()] == [("product", "https://files.example/card.pdf")]


@pytest.mark.parametrize(
    "content_type", ["application/xml", "application/json", "text/plain", "application/octet-stream"]
)
def test_xml_is_taken_whatever_the_content_type_says_and_answered_as_xml(
    cloudprinter: Connector, send: Any, product: Product, content_type: str
) -> None:
    body = b"\xef\xbb\xbf \n" + as_xml(document()["order"]).encode()
    response = send(cloudprinter, body, content_type=content_type)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/xml")
    said = {child.tag: child.text for child in fromstring(response.content)}
    assert said == {"message": "The order is accepted.", "order": "550000000001", "id": str(Order.objects.get().pk)}
    assert OrderRequest.objects.get().content_type == "application/xml"


def test_utf_16_xml_is_read_too(cloudprinter: Connector, send: Any, product: Product) -> None:
    body = ('<?xml version="1.0" encoding="UTF-16"?>' + as_xml(document()["order"])).encode("utf-16")
    assert send(cloudprinter, body).status_code == 200


def test_json_is_taken_although_it_is_called_xml(cloudprinter: Connector, send: Any, product: Product) -> None:
    response = send(cloudprinter, document(), content_type="text/xml")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_a_refusal_says_everything_in_the_senders_own_words_and_may_be_mended(
    cloudprinter: Connector, send: Any, product: Product
) -> None:
    address = document()["order"]["addresses"][0]
    wrong = document(addresses=[address | {"zip": "1", "street1": ""}])
    response = send(cloudprinter, wrong)
    said = [(error["code"], error["path"]) for error in response.json()["errors"]]
    assert response.status_code == 422
    assert said == [
        ("ADDRESS_LINE1_MISSING", "/order/addresses/street1"),
        ("ADDRESS_POSTCODE_FORMAT", "/order/addresses/zip"),
    ]
    assert send(cloudprinter, wrong).status_code == 422
    assert Order.objects.count() == 0
    assert send(cloudprinter, document()).status_code == 200
    assert Order.objects.count() == 1


def test_a_refusal_of_xml_is_xml(cloudprinter: Connector, send: Any, product: Product) -> None:
    response = send(cloudprinter, as_xml(document()["order"] | {"items": []}))
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/xml")
    assert [[child.tag for child in error] for error in fromstring(response.content).iter("error")] == [
        ["code", "path", "message", "hint"]
    ]
    response = send(cloudprinter, as_xml(document()["order"] | {"apikey": "wrong"}))
    assert (response.status_code, response.headers["Content-Type"]) == (401, "application/xml")


# --- once -------------------------------------------------------------------------------------------
def test_the_same_order_again_is_the_first_answer_again(cloudprinter: Connector, send: Any, product: Product) -> None:
    first = send(cloudprinter, document())
    again = document(creator={"version": "2.2", "date": "2026-01-15 08:15:00"}, apikey=SECOND)
    assert [each.content for each in (send(cloudprinter, document()), send(cloudprinter, again))] == [first.content] * 2
    assert (Order.objects.count(), OrderRequest.objects.count()) == (1, 1)


def test_the_same_id_with_another_content_is_a_conflict_that_is_seen(
    cloudprinter: Connector, send: Any, product: Product
) -> None:
    send(cloudprinter, document())
    response = send(cloudprinter, as_xml(document(priority="1")["order"]))
    assert (response.status_code, response.headers["Content-Type"]) == (409, "application/xml")
    assert Order.objects.count() == 1
    assert [each.state for each in OrderRequest.objects.order_by("id")] == ["accepted", "rejected"]


# --- hostile ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "JSON_MALFORMED"),
        (b"order=1", 400, "JSON_MALFORMED"),
        (b'{"order":' * 100_000, 400, "JSON_TOO_DEEP"),
        (b'{"order":{"apikey":"inbound-key-0001","apikey":"x"}}', 400, "JSON_DUPLICATE_KEY"),
        (b'{"order":{"apikey":"inbound-key-0001","id":"\\ud800"}}', 400, "JSON_CHARACTER"),
        (b'{"order":{"apikey":"inbound-key-0001","id":"\\u0000"}}', 400, "JSON_CHARACTER"),
        (b'{"order":{"apikey":"inbound-key-0001","id":NaN}}', 400, "JSON_NUMBER"),
        (b"\xff{}", 400, "JSON_ENCODING"),
        (b"<order>", 400, "XML_MALFORMED"),
        (b"<a>" * 200_000, 400, "XML_TOO_DEEP"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><order><apikey>inbound-key-0001</apikey><id>&b;</id></order>', 400, "XML_DTD"),
        (b" " * (1024 * 1024 + 1), 413, "BODY_TOO_LARGE"),
    ],
)
def test_what_cannot_be_read_is_answered_in_its_shape_and_seen(
    cloudprinter: Connector, send: Any, body: bytes, status: int, code: str
) -> None:
    response = send(cloudprinter, body)
    found = (
        [error.findtext("code") for error in fromstring(response.content).iter("error")]
        if body.startswith(b"<")
        else codes(response)
    )
    assert (response.status_code, found) == (status, [code])
    assert [each["code"] for each in OrderRequest.objects.get().problems] == [code]
    assert KEY not in kept()


OTHERS = (None, "", "x", -1, 1e300, 10**30, True, [], {}, [[]], [None], {"a": {}}, {"text": []}, "9" * 300, [{}, 1])


def mutations(value: Any) -> Iterator[Any]:
    """The sample with one thing changed: every key and entry, on every level, dropped or made something else."""
    if not isinstance(value, dict | list):
        return
    for place in list(value) if isinstance(value, dict) else range(len(value)):
        shorter = deepcopy(value)
        del shorter[place]
        yield shorter
        for other in OTHERS:
            changed = deepcopy(value)
            changed[place] = other
            yield changed
        for inner in mutations(value[place]):
            changed = deepcopy(value)
            changed[place] = inner
            yield changed


@pytest.mark.parametrize("name", ["json-2.2.json", "odd-names-and-shapes.json"])
def test_no_document_breaks_the_parser(name: str) -> None:
    understood = 0
    for data in mutations(json.loads((SAMPLES / name).read_text())):
        body = json.dumps(data).encode()
        try:
            assert isinstance(KIND.parse(Message(body, config=CONFIG)), Submit)
            understood += 1
        except Rejected as refusal:
            assert refusal.problems
    assert understood > 200


def test_no_xml_breaks_the_parser() -> None:
    sample = json.loads((SAMPLES / "json-2.2.json").read_text())["order"]
    for data in mutations(sample):
        if isinstance(data, dict):
            body = as_xml({key: value for key, value in data.items() if value is not None}).encode()
            try:
                assert isinstance(KIND.parse(Message(body, config=CONFIG)), Submit)
            except Rejected as refusal:
                assert refusal.problems
