"""Mapped senders: who they are, what their templates make of a call, how they are answered, and what they are told."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone
from pydantic import ValidationError

from gelatoconnect.lib.problems import Rejected
from intake import mapping as mapping_module
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Call, Message
from intake.connectors.mapped import MappedConfig, credentials, signed
from intake.connectors.mapped.starters import PLAIN, Starter
from intake.models import Connector, Mapping, OrderRequest
from intake.pipeline import process_again
from orders.events import sweep
from orders.models import Delivery, Order
from orders.services import move
from tests.connectors.fakes import Fake
from tests.connectors.walk import walk

SECRET = "Bearer s3cret"
BODY = b'{"id":7000000000001,"name":"#1042","currency":"EUR"}'


def give(connector: Connector, starter: Starter = PLAIN, *, version: int = 1, **changes: Any) -> Mapping:
    """The connector's mapping from now on: the starting one, with changes."""
    fields = {
        name: getattr(starter, name) for name in ("submit", "cancel", "answer", "answer_type", "lookups", "sample")
    }
    return Mapping.objects.create(connector=connector, version=version, by="user:ada", **fields | changes)


def order(number: Any = "W-1001", *, url: str = "https://files.example/card.pdf", **changes: Any) -> dict[str, Any]:
    body = json.loads(PLAIN.sample) | {"number": number} | changes
    body["lines"][0]["file"] = url
    return body


@pytest.fixture
def shop(channel: Callable[..., Connector]) -> Connector:
    return channel("mapped", secret=SECRET)


@pytest.fixture
def tell(send: Callable[..., Any], shop: Connector) -> Callable[..., Any]:
    """`tell(body, path="…")`: a call with the right header."""
    return lambda body, **more: send(shop, body, **{"Authorization": SECRET} | more)


# --- who it is --------------------------------------------------------------------------------------
@pytest.mark.parametrize("config", [
    {"auth": "header", "secret": SECRET},
    {"auth": "header", "secret": "s3cret", "header": "X-Token"},
    {"auth": "basic", "secret": "pass:word", "user": "shop"},
    {"auth": "hmac", "secret": "key", "header": "X-Signature"},
    {"auth": "hmac", "secret": "key", "header": "X-Signature", "encoding": "base64", "prefix": "sha256="},
    {"auth": "query", "secret": "s3cret", "parameter": "token"},
])  # fmt: skip
def test_a_call_proves_who_sends_it(config: dict[str, Any], channel: Any, send: Any, customer: Any) -> None:
    connector = channel("mapped", **config)
    made = signed(Call(body=BODY), MappedConfig(**config))
    query = "".join(f"?{name}={value}" for name, value in made.query.items())
    assert send(connector, BODY, query=query, **made.headers).status_code == 503  # it is let in: there is no mapping
    wrong = signed(Call(body=BODY), MappedConfig(**config | {"secret": "other"}))
    query = "".join(f"?{name}={value}" for name, value in wrong.query.items())
    assert send(connector, BODY, query=query, **wrong.headers).json()["errors"][0]["code"] == "AUTH_INVALID"
    assert send(connector, BODY).json()["errors"][0]["code"] == "AUTH_MISSING"
    codes = [[problem["code"] for problem in each.problems] for each in OrderRequest.objects.order_by("id")]
    assert codes == [["MAPPING_MISSING"], ["AUTH_INVALID"], ["AUTH_MISSING"]]


def test_signatures_are_those_of_the_test_vectors() -> None:
    config = MappedConfig(auth="hmac", secret="shop-app-secret", header="X-Sig", encoding="base64")
    vector = "joQGhrC3zWx2NZO+vsL31msrRe4X+1UizHtneZBl9J8="
    given, wanted = credentials(Call(body=BODY, headers={"x-sig": vector}), config)
    assert given == wanted
    hexed = MappedConfig(auth="hmac", secret="shop-app-secret", header="X-Sig", prefix="sha256=")
    digest = hmac.new(b"shop-app-secret", BODY, hashlib.sha256).hexdigest()
    assert base64.b64decode(vector).hex() == digest
    given, wanted = credentials(Call(body=BODY, headers={"x-sig": f"sha256={digest.upper()}"}), hexed)
    assert given == wanted


@pytest.mark.parametrize("header", ["s3cret", "bearer s3cret", "Bearer s3cret2", "Basic !!!", "Bearer s3cr\u00e9t"])
def test_the_header_counts_letter_by_letter(header: str, shop: Connector, send: Any) -> None:
    assert send(shop, order(), Authorization=header).status_code == 401
    assert Order.objects.count() == 0


def test_without_a_secret_nobody_comes_in(channel: Any, send: Any, customer: Any) -> None:
    with pytest.raises(ValidationError):
        MappedConfig()
    connector = Connector.objects.create(name="open", type="mapped", customer=customer)
    assert send(connector, order()).json()["errors"][0]["code"] == "CONNECTOR_SETTINGS"


def test_secrets_are_not_kept(channel: Any, send: Any) -> None:
    connector = channel("mapped", secret="s3cret", header="X-Token")
    send(connector, order(), **{"X-Token": "s3cret"})
    send(connector, order(), **{"X-Token": "nearly"})
    assert ["x-token" in {name.lower() for name in each.headers} for each in OrderRequest.objects.all()] == [
        False,
        False,
    ]


# --- what it means ----------------------------------------------------------------------------------
def test_an_order_is_made_and_answered_by_the_templates(shop: Connector, tell: Any) -> None:
    mapping = give(shop)
    response = tell(order())
    made = Order.objects.get()
    assert (response.status_code, response.json()) == (201, {"result": "ok", "id": str(made.pk), "number": "W-1001"})
    assert (made.reference, made.source_id, made.shipment_method) == ("W-1001", "W-1001", "normal")
    assert OrderRequest.objects.get().mapping == mapping


def test_without_a_mapping_a_call_is_kept_and_can_be_read_later(shop: Connector, tell: Any) -> None:
    response = tell(order())
    assert (response.status_code, response.json()["errors"][0]["code"]) == (503, "MAPPING_MISSING")
    assert Order.objects.count() == 0
    give(shop)
    assert process_again(OrderRequest.objects.get(), by="user:ada").order == Order.objects.get()


def test_a_request_remembers_the_version_it_was_read_with(shop: Connector, tell: Any) -> None:
    first = give(shop)
    tell(order("1"))
    second = give(shop, version=2, note="Second")
    tell(order("2"))
    assert list(OrderRequest.objects.order_by("id").values_list("mapping", flat=True)) == [first.pk, second.pk]


def test_the_same_order_twice_is_one_order(shop: Connector, tell: Any) -> None:
    give(shop)
    first, second = tell(order()), tell(order())
    assert (first.status_code, second.status_code, first.json()) == (201, 200, second.json())
    assert Order.objects.count() == 1


@pytest.mark.parametrize("config", [{"key_header": "X-Event-Id"}, {"key_pointer": "/event/0/id"}])
def test_the_senders_key_counts_once(config: dict[str, str], channel: Any, send: Any) -> None:
    connector = channel("mapped", secret=SECRET, **config)
    give(connector)
    headers = {"Authorization": SECRET, "X-Event-Id": "e1"}
    body = order(event=[{"id": "e1"}])
    first, second = send(connector, body, **headers), send(connector, body, **headers)
    assert (first.content, first.status_code) == (second.content, second.status_code)
    other = send(connector, body | {"currency": "NOK"}, **headers)
    assert (other.status_code, Order.objects.count()) == (409, 1)
    assert [each.state for each in OrderRequest.objects.order_by("id")] == ["accepted", "rejected"]


def test_a_cancellation_is_told_by_its_path(shop: Connector, tell: Any) -> None:
    give(shop)
    tell(order(), path="orders")
    response = tell({"number": "W-1001", "reason": "Changed my mind"}, path="orders/W-1001/cancel", method="PUT")
    assert (response.status_code, response.json()["result"]) == (200, "ok")
    assert Order.objects.get().status == "canceled"


def test_a_refusal_is_answered_in_the_senders_words(shop: Connector, tell: Any) -> None:
    give(shop)
    response = tell(order(ship_to={"country": "Norway"}))
    assert (response.status_code, response.json()["result"]) == (422, "error")
    assert "ADDRESS_COUNTRY" in " ".join(problem["code"] for problem in response.json()["errors"])
    broken = tell(b"{broken")
    assert (broken.status_code, broken.json()["errors"][0]["code"]) == (400, "JSON_MALFORMED")
    assert Order.objects.count() == 0


def test_an_answer_may_be_xml(shop: Connector, tell: Any) -> None:
    said = '<answer ok="{{ accepted | lower }}">{{ order.referenceId | default(problems[0].message) | xml }}</answer>'
    give(shop, answer=said, answer_type="application/xml")  # fmt: skip
    fine, wrong = tell(order("<&>")), tell(b"{broken")
    assert (fine.content, fine["Content-Type"]) == (b'<answer ok="true">&lt;&amp;&gt;</answer>', "application/xml")
    assert (wrong.content[:19], wrong["Content-Type"]) == (b'<answer ok="false">', "application/xml")


def test_an_answer_template_that_fails_is_noted_and_the_order_is_made(shop: Connector, tell: Any) -> None:
    give(shop, answer="<a>{{ order.nothing }}</a>", answer_type="application/xml")
    response = tell(order())
    made = Order.objects.get()
    assert (response.status_code, response["Content-Type"]) == (201, "application/json")
    assert response.json()["id"] == str(made.pk)
    [note] = [each for each in OrderRequest.objects.get().problems if each["code"] == "MAPPING_ANSWER"]
    assert (note["severity"], note["details"]) == ("warning", {"template": "answer", "line": 1})


def test_a_template_that_is_wrong_says_where(shop: Connector, tell: Any) -> None:
    give(shop, submit='{\n"orderReferenceId": {{ request.nr | tojson }}\n}', answer="")
    [problem] = tell(order()).json()["errors"]
    assert problem["code"] == "TEMPLATE_UNDEFINED"
    assert problem["details"] == {"template": "submit", "line": 2}
    give(shop, version=2, submit='{\n"items": [,]}', answer="")
    [problem] = tell(order()).json()["errors"]
    assert (problem["code"], problem["details"]) == ("MAPPING_OUTPUT", {"template": "submit", "outputLine": 2})
    assert problem["message"].endswith('(line 2, column 11): "items": [,]}')


def test_a_template_that_runs_on_may_be_sent_again(shop: Connector, tell: Any) -> None:
    give(shop, submit="{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", answer="")
    assert tell(order()).status_code == 503
    assert OrderRequest.objects.get().problems[0]["code"] == "TEMPLATE_TIMEOUT"


def test_an_open_connector_is_told_whose_order_it_is(channel: Any, send: Any, customer: Any) -> None:
    connector = channel("mapped", secret=SECRET, customer=None)
    give(connector)
    send(connector, order(), **{"Authorization": SECRET, "Customer-Reference-ID": "acme"})
    assert Order.objects.get().customer == customer


# --- hostile input ----------------------------------------------------------------------------------
def mutated(value: Any) -> Iterator[Any]:
    """The value with each part dropped, null, or of another kind; at every level."""
    yield from (None, "", "x", -1, 10**30, 1.5, True, [], {}, [[]], [None], {"a": None})
    if isinstance(value, dict):
        for key in value:
            yield {name: inner for name, inner in value.items() if name != key}
            yield from ({**value, key: inner} for inner in mutated(value[key]))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in mutated(inner))


def test_whatever_a_template_makes_is_understood_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is changed, not the request: that reaches everything that is read of it."""
    good = {
        "sourceId": "1", "orderReferenceId": "1", "test": False, "shipBy": "2026-01-19", "source": {"a": 1},
        "ignore": None, "cancel": None, "shippingAddress": {"country": "NO"}, "metadata": {"a": 1},
        "items": [{"sku": "a", "quantity": 1, "files": [{"url": "https://x.example/a.pdf"}]}],
    }  # fmt: skip
    cancel = {"cancel": {"sourceId": "1", "reason": "x"}}
    said: list[str] = []
    monkeypatch.setattr(mapping_module, "render", lambda *_, **__: said[-1])
    message = Message(b"{}", mapping=Mapping(submit="a"))
    count = 0
    for data in [*mutated(good), *mutated(cancel)]:
        said.append(json.dumps(data))
        try:
            mapping_module.meaning_of(message)
        except Rejected as refusal:
            assert refusal.problems
            count += 1
    assert 50 < count < len(said)


@pytest.mark.parametrize(("body", "content_type", "status"), [
    (b"", "application/json", 400), (b"\xff\xfe\x00", "application/json", 400), (b"[" * 1000, "application/json", 400),
    (b'{"a":1,"a":2}', "application/json", 400), (b"null", "application/json", 422), (b"7", "text/plain", 422),
    (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "application/xml", 400), (b"<a>" * 100, "", 400),
    (b"a=%ff%fe", "application/x-www-form-urlencoded", 400), (b"&" * 5000, "application/x-www-form-urlencoded", 400),
    (b"a=\x00", "application/x-www-form-urlencoded", 422), (b"\x00\x01\x02", "text/csv", 422), (b"a;b\n", "text/csv", 422),
    (b"PK\x03\x04nothing", "application/vnd.ms-excel", 422),
])  # fmt: skip
def test_a_body_that_is_nothing_is_refused(
    body: bytes, content_type: str, status: int, shop: Connector, tell: Any
) -> None:
    give(shop)
    response = tell(body, content_type=content_type)
    assert (response.status_code // 100, Order.objects.count()) == (4, 0), response.content
    assert OrderRequest.objects.get().state == "rejected"


# --- settings ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("config", [
    {"auth": "none"}, {"secret": ""}, {"header": "A b"}, {"key_pointer": "event.id"}, {"postback_url": "ftp://x"},
    {"postback_events": "order.eaten"}, {"postback_headers": "no colon"}, {"postback_type": "json\r\nX: y"},
])  # fmt: skip
def test_settings_that_cannot_be_right_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MappedConfig(**{"secret": "s"} | config)


# --- the whole walk ---------------------------------------------------------------------------------
TEMPLATE = """{"number": {{ order.sourceId | tojson }}, "state": {{ event.kind | tojson }},
"lines": [{% for item in items %}{{ item.referenceId | tojson }}{% endfor %}],
"tracking": {{ tracking.tracking_code | default(none) | tojson }}, "why": {{ reason | tojson }}}"""


@pytest.fixture
def told(channel: Any, fake: Fake) -> Connector:
    connector = channel(
        "mapped", name="told", secret=SECRET, postback_url=fake.url + "/orders/{{ order.sourceId | urlencode }}/status",
        postback_headers="Authorization: Bearer theirs\nX-Shop: acme", postback_template=TEMPLATE,
        postback_events="order.shipped, order.cance*",
    )  # fmt: skip
    give(connector)
    return connector


def test_an_order_goes_its_way_and_its_sender_is_told(told: Connector, fake: Fake, send: Any, file_server: Any,
                                                      good_pdf: bytes, settings: Any) -> None:  # fmt: skip
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, fake.host]
    url = file_server.add("card.pdf", good_pdf)
    fake.on("POST", r"/orders/(.+)/status", (500, {}))
    response = send(told, order("W/1 2", url=url, shipping=""), Authorization=SECRET)
    walk(Order.objects.get(pk=response.json()["id"]))
    due = Delivery.objects.get(listener="postback", event__kind="order.shipped")
    assert (due.state, due.attempts, "was answered 500" in due.error) == ("due", 1, True)
    fake.on("POST", r"/orders/(.+)/status", (200, {}))
    Delivery.objects.filter(pk=due.pk).update(due=timezone.now())
    sweep()
    assert Delivery.objects.get(pk=due.pk).state == "done"
    first, second = fake.sent
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == str(due.event_id)
    assert (second.path, second.headers["authorization"]) == ("/orders/W/1%202/status", "Bearer theirs")
    assert second.headers["content-type"] == "application/json"
    said = second.data
    tracking = said.pop("tracking")
    assert said == {"number": "W/1 2", "state": "order.shipped", "lines": ["1"], "why": ""}
    assert tracking.startswith("GC")  # the label's
    assert "theirs" not in json.dumps(Delivery.objects.get(pk=due.pk).report)


def test_a_canceled_order_is_told_with_the_reason(told: Connector, fake: Fake, send: Any) -> None:
    fake.on("POST", r"/orders/.+/status", (200, {}))
    response = send(told, order(), Authorization=SECRET)
    move(Order.objects.get(pk=response.json()["id"]), Order.cancel, by="user:ada", reason="Out of paper")
    sweep()
    [sent] = fake.sent
    assert (sent.data["state"], sent.data["why"]) == ("order.canceled", "Out of paper")


@pytest.mark.parametrize(("config", "said"), [
    ({"postback_template": "{{ order.nothing }}"}, "TEMPLATE_UNDEFINED"),
    ({"postback_url": "https://x.example/{{ order.nothing }}"}, "TEMPLATE_UNDEFINED"),
])  # fmt: skip
def test_a_postback_template_that_fails_is_given_up_visibly(
    config: Any, said: str, channel: Any, fake: Fake, send: Any
) -> None:
    connector = channel("mapped", **{"secret": SECRET, "postback_url": f"{fake.url}/x"} | config)
    give(connector)
    response = send(connector, order(), Authorization=SECRET)
    move(Order.objects.get(pk=response.json()["id"]), Order.cancel, by="user:ada", reason="")
    sweep()
    delivery = Delivery.objects.get(listener="postback", event__kind="order.canceled")
    assert (delivery.state, said in delivery.error, fake.sent) == ("given_up", True, [])


def test_what_the_settings_do_not_ask_for_makes_no_delivery(told: Connector, shop: Connector, tell: Any, fake: Fake,
                                                            send: Any) -> None:  # fmt: skip
    give(shop)
    for response in (tell(order("1")), send(told, order("2"), Authorization=SECRET)):
        move(Order.objects.get(pk=response.json()["id"]), Order.cancel, by="user:ada", reason="")
    assert [each.event.kind for each in Delivery.objects.filter(listener="postback")] == ["order.canceled"]
    assert Delivery.objects.get(listener="postback").target == str(told.pk)


def test_without_a_template_everything_is_told_as_json(channel: Any, fake: Fake, send: Any) -> None:
    connector = channel("mapped", secret=SECRET, postback_url=f"{fake.url}/x", postback_method="PUT")
    give(connector)
    fake.on("PUT", "/x", (200, {}))
    response = send(connector, order(), Authorization=SECRET)
    move(Order.objects.get(pk=response.json()["id"]), Order.cancel, by="user:ada", reason="Late")
    sweep()
    [sent] = fake.sent
    assert sorted(sent.data) == ["event", "items", "order", "packages", "problems", "reason", "tracking"]
    assert (sent.data["order"]["sourceId"], sent.data["order"]["status"]) == ("W-1001", "canceled")


def test_the_example_is_an_order(shop: Connector, send: Any) -> None:
    give(shop)
    kind = CONNECTOR_TYPES["mapped"]
    call = kind.example(MappedConfig(secret=SECRET), number=7, sku="card-a6", file_url="https://files.example/a.pdf")
    assert send(shop, call.body, Authorization=call.headers["authorization"]).status_code == 201
    assert Order.objects.get().reference == "W-7"
