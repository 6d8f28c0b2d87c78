"""Whatever is sent: never a 5xx, and never a row that breaks a list, a page or an export afterwards."""

import json
import logging
from collections.abc import Iterator
from itertools import islice
from itertools import product as product_of
from typing import Any

import pytest
from django.test import Client

from intake.connectors import CONNECTOR_TYPES
from intake.models import Connector, Mapping, OrderRequest
from orders.events import sweep
from orders.models import Customer, Delivery, Item, Order, PrintFile, Product, Trigger
from tests.conftest import ApiClient
from tests.connectors.mutations import mutations
from tests.connectors.test_doors_of_types import TYPES, changed, example, ring, settings_for
from tests.factories import make_order, make_user
from tests.lib.fake_dns import FakeDns
from tests.malformed import BODIES, CONTENT_TYPES, GOOD, HEADER_VALUES, HEADERS, QUERIES
from tests.routes import routes

PIECE = 25  # changes of one example
PAGES = 4  # of orders and requests that are opened each time; the lists hold them all


@pytest.fixture(autouse=True)
def no_limit(settings: Any) -> None:
    """Walks are quicker than a key may be."""
    settings.API_RATE = 0


@pytest.fixture
def failed(connector: Connector, product: Product) -> Order:
    """An order that may be canceled, retried and readdressed."""
    Trigger.objects.create(name="hook", customer=connector.customer, address="https://shop.example/hook")
    return make_order("failed", customer=connector.customer, product=product)


def endpoints(order: Order) -> list[tuple[str, str]]:
    trigger, delivery = Trigger.objects.get(), Delivery.objects.filter(order=order).latest("id")
    known = {"file": PrintFile.objects.get().pk, "page": 1}
    found = []
    for route in routes():
        if route.path.startswith("api/") and "connector" not in route.names and "rest" not in route.names:
            ref = trigger.pk if "endpoints" in route.path else delivery.pk if "deliveries" in route.path else order.pk
            path = route.filled(known | {"ref": ref})
            found += [(method, path) for method in ("POST", "PUT")]
    return [*found, ("POST", "/api/orders?dryRun=1")]


def spread(pks: Any) -> list[Any]:
    """Some of them, from the first to the last."""
    every = list(pks)
    return every[:: max(1, len(every) // PAGES)]


def shown_to(user: Any) -> Iterator[tuple[str, int]]:
    """Every list, page and export with what is in the database now: (path, status)."""
    client = Client(raise_request_exception=False)
    client.force_login(user)
    paths = ["/orders", "/orders?view=attention", "/orders.csv", "/requests", "/postbacks", "/analytics", "/products",
             "/products/mapped", "/channels", "/shipping", "/admin/orders/order/",
             "/admin/intake/orderrequest/"]  # fmt: skip
    orders, requests = (spread(model.objects.values_list("pk", flat=True)) for model in (Order, OrderRequest))
    paths += [f"/orders/{pk}{end}" for pk in orders for end in ("", "/report")]
    paths += [f"/requests/{pk}{end}" for pk in requests for end in ("", "/mend")]
    for path in paths:
        response = client.get(path, follow=True)
        b"".join(response.streaming_content) if response.streaming else None
        yield path, response.status_code


def broken() -> list[tuple[str, int]]:
    user = make_user("Administrator", is_staff=True, is_superuser=True)
    return [(path, status) for path, status in shown_to(user) if status not in (200, 404)]


def answers_of(api: ApiClient) -> list[int]:
    """The API reads all that it was sent."""
    pages, cursor = [api.post("/api/orders/search", {"limit": 100})], ""
    while cursor := pages[-1].json()["nextCursor"]:
        pages.append(api.post("/api/orders/search", {"limit": 100, "cursor": cursor}))
    ids = [order["id"] for page in pages for order in page.json()["orders"]]
    found = [api.get(f"/api/orders/{id}{end}") for id in spread(ids) for end in ("", "/history", "/report")]
    return [each.status_code for each in (*pages, *found)]


def test_there_are_more_than_72_of_them() -> None:
    assert len(BODIES) > 110
    assert len(QUERIES) > 150


def test_no_body_breaks_an_endpoint_or_what_is_shown_afterwards(
    api: ApiClient, failed: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeDns(monkeypatch)  # the test of an endpoint calls it
    wrong, accepted = [], 0
    takes = [
        (method, path)
        for method, path in endpoints(failed)
        if api.client.generic(method, path, headers=api.headers).status_code != 405
    ]
    for place, (method, path) in enumerate(takes):
        all_of_them = path.endswith(("/orders", "/search"))
        for name, body in BODIES.items() if all_of_them else islice(BODIES.items(), place % 3, None, 3):
            response = api.client.generic(method, path, body, content_type="application/json", headers=api.headers)
            accepted += response.status_code == 201
            if not 200 <= response.status_code < 500:
                wrong.append((method, path, name, response.status_code))
    assert (wrong, len(takes) >= 8) == ([], True)
    assert accepted > 20  # some of them are only odd
    assert set(answers_of(api)) == {200}
    assert broken() == []


def test_no_content_type_or_header_breaks_the_submission(api: ApiClient) -> None:
    raw, wrong = json.dumps(GOOD).encode(), []
    for type, body in product_of(CONTENT_TYPES, (raw, b"", b"\0\xff", b"--x\r\n")):
        response = api.client.generic("POST", "/api/orders", body, content_type=type, headers=api.headers)
        wrong += [(type, response.status_code)] * (not 200 <= response.status_code < 500)
    for name, value in product_of(HEADERS, HEADER_VALUES):
        headers = api.headers | {name: value}
        response = api.client.generic("POST", "/api/orders", raw, content_type="application/json", headers=headers)
        wrong += [(name, value[:20], response.status_code)] * (not 200 <= response.status_code < 500)
    assert wrong == []
    assert broken() == []


def test_no_value_at_any_key_breaks_the_submission_its_checks_or_what_is_shown_afterwards(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each key at each level dropped, null, or of another kind; then the checks look at what was accepted."""
    FakeDns(monkeypatch)
    wrong, accepted = [], 0
    for body in mutations(GOOD):
        response = api.post("/api/orders", body)
        accepted += response.status_code == 201
        wrong += [(body[:200], response.status_code)] * (not 200 <= response.status_code < 500)
    assert wrong == []
    assert accepted > 50
    with caplog.at_level(logging.ERROR, logger="orders.events"):
        sweep(seconds=10)
    assert [record.getMessage() for record in caplog.records if record.name == "orders.events"] == []
    assert set(answers_of(api)) == {200}
    assert broken() == []


@pytest.mark.parametrize(
    ("method", "end", "good"),
    [
        ("POST", "/search", {"ids": ["x"], "search": "ana", "limit": 5, "cursor": "x", "startDate": "2026-01-01",
                             "customers": ["acme"]}),
        ("POST", "/{id}/cancel", {"reason": "x", "items": [{"id": "x", "itemReferenceId": "1", "quantity": 1}]}),
        ("PUT", "/{id}/shipment", {"shipmentMethodUid": "normal", "shippingAddress": GOOD["shippingAddress"]}),
        ("POST", "/{id}/retry", {"reason": "x"}),
    ],
)  # fmt: skip
def test_no_value_at_any_key_breaks_what_is_asked_of_an_order(
    api: ApiClient, failed: Order, method: str, end: str, good: dict[str, Any]
) -> None:
    path = f"/api/orders{end.format(id=failed.pk)}"
    answers = {
        (response.status_code, body[:200])
        for body in mutations(good)
        for response in [api.client.generic(method, path, body, content_type="application/json", headers=api.headers)]
    }
    assert [each for each in answers if not 200 <= each[0] < 500] == []
    assert api.get(f"/api/orders/{failed.pk}").status_code == 200
    assert broken() == []


def test_no_question_breaks_a_list(api: ApiClient, failed: Order) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make_user("Administrator", is_superuser=True, is_staff=True))
    lists = (
        "/orders",
        "/orders.csv",
        "/requests",
        "/postbacks",
        "/shipping",
        "/imports",
        "/products",
        "/triggers",
        "/analytics",
    )
    wrong = []
    for place, query in enumerate(QUERIES):
        path = lists[(place + place // len(lists)) % len(lists)]
        response = client.get(f"{path}?{query}")
        wrong += [(path, query[:60], response.status_code)] * (response.status_code >= 500)
        if query.startswith(("limit", "cursor", "status", "since", "until", "order", "endpoint")):
            response = api.get(f"/api/deliveries?{query}")
            wrong += [("/api/deliveries", query[:60], response.status_code)] * (response.status_code >= 500)
    assert wrong == []


def test_no_word_in_a_path_breaks_anything(api: ApiClient, failed: Order) -> None:
    """Where an address asks for a word: a NUL, half a letter, another's separators, a very long one."""
    client, wrong = Client(raise_request_exception=False), []
    client.force_login(make_user("Administrator", is_superuser=True, is_staff=True))
    for route in routes():
        known = {"connector": Connector.objects.get().pk, "file": failed.pk, "pk": failed.pk, "prefix": "v4", "page": 1}
        for word in (
            "%00",
            "a%00b",
            "%ED%A0%80",
            "%FF",
            "%2e%2e%2fx",
            "a" * 3000,
            "%F0%9F%92%B6",
            "%25s",
            "{{7*7}}",
            "-1",
        ):
            path = route.filled(dict.fromkeys(route.names, word) | known)
            for caller in (api, client) if set(route.names) - set(known) else ():
                status = caller.get(path).status_code
                wrong += [(path[:80], status)] * (status >= 500)
    assert wrong == []


@pytest.mark.parametrize("name", TYPES)
def test_no_changed_example_breaks_a_door_or_what_is_shown_afterwards(
    customer: Customer, product: Product, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is who it says it is, and sends nonsense: its signature is taken for right."""
    kind = CONNECTOR_TYPES[name]
    connector = Connector.objects.create(
        name=name, type=name, customer=customer, settings=json.dumps(settings_for(name, salt="ours"))
    )
    if kind.mappable:
        texts = {part: getattr(kind.starter, part) for part in ("submit", "cancel", "answer", "answer_type", "lookups")}
        Mapping.objects.create(connector=connector, version=1, by="test", **texts)
    call = example(connector)
    monkeypatch.setattr(type(kind), "verify", lambda self, call, config: None)
    for body in [*islice(BODIES.values(), TYPES.index(name) % 4, None, 4), *nonsense(call.body)]:
        response = ring(connector, changed(call, body=body))
        assert 200 <= response.status_code < 500, (body[:300], response.status_code, response.content[:200])
    assert OrderRequest.objects.count() > 30
    assert broken() == []


def nonsense(body: bytes) -> Iterator[bytes]:
    """Changes of a good body: of its values when it is JSON; of its bytes in any case."""
    try:
        every = list(mutations(json.loads(body)))
        yield from islice(every, 0, None, max(1, len(every) // PIECE))
    except ValueError:
        pass
    for place in range(0, len(body), max(1, len(body) // 10)):
        yield body[:place]
        yield body[:place] + b"\xff\x00<" + body[place + 1 :]
        yield body[:place] + body[place : place + 40] * 20 + body[place:]


def test_what_a_file_is_called_breaks_nothing(api: ApiClient, failed: Order) -> None:
    """Texts of an order as far as the columns go, in what is shown and exported."""
    Item.objects.update(
        reference="\u202e<b>&\"'",
        product_name="=1+1",
        variant={"a": {"b": [None, 1e300]}},
        metadata={"x": "\ud83d\ude00"},
    )
    PrintFile.objects.update(url="javascript:alert(1)", type="<x>", mime_type="text/html", previews=[])
    assert broken() == []
    assert set(answers_of(api)) == {200}


def test_a_nul_is_refused_on_every_database(api: ApiClient) -> None:
    """PostgreSQL may not even be asked for one."""
    answers = [api.get(path) for path in ("/api/orders/%00", "/api/orders/a%00/history", "/api/deliveries?order=%00")]
    said = [(each.status_code, each.json()["errors"][0]["code"]) for each in answers]
    assert said == [(404, "ORDER_UNKNOWN"), (404, "ORDER_UNKNOWN"), (422, "FIELD_TYPE")]
