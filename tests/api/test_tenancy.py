"""What belongs to one customer does not exist for another: every address, method and kind of id, walked from the urls."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product as pairs
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.test import Client

from gelatoconnect.lib.secrets import hashed
from intake import uploads
from intake.models import ApiKey, Connector, OrderRequest
from orders.models import Customer, Delivery, Order, PrintFile, Product, Trigger
from orders.services import move
from shipping.models import Package
from tests.factories import make_order
from tests.routes import Route, routes

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
PUBLIC = {"api/schema", "api/docs", "api/<path:rest>"}
SECRET = "Zyxwona"
# Words that stand on everything of the other customer's.
MARKS = ("BETA-77", SECRET, "Qertz", "beta.example", "Beta Secret Gifts", "beta-shop", "BETATRACK", "beta-line")


@dataclass
class Tenant:
    connector: Connector
    order: Order
    ids: dict[str, UUID] = field(default_factory=dict)

    @property
    def customer(self) -> Customer:
        assert self.connector.customer is not None
        return self.connector.customer


def settle(reference: str, status: str, *, line: str, name: str = "Ana", last: str = "Ruiz") -> Tenant:
    """A customer with a connector, a key, a trigger, an order with a file, a parcel, deliveries and a request."""
    customer = Customer.objects.create(reference=reference, name=f"{reference.title()} Secret Gifts")
    connector = Connector.objects.create(name=f"{reference}-shop", customer=customer)
    ApiKey.objects.create(connector=connector, key=reference, secret_hash=hashed("secret"))
    trigger = Trigger.objects.create(
        name=f"{reference}-shop", customer=customer, event="*", address=f"https://{reference}.example/hook"
    )
    address = {"firstName": name, "lastName": last, "addressLine1": "Street 1", "city": "Oslo", "postCode": "0154",
               "country": "NO", "email": f"{last}@{reference}.example"}  # fmt: skip
    item = {"itemReferenceId": line, "productUid": "card-a6", "quantity": 2,
            "files": [{"url": f"https://{reference}.example/card.pdf"}]}  # fmt: skip
    order = make_order(status, customer=customer, product=Product.objects.get(), orderReferenceId=f"{reference.upper()}-77",
                       shippingAddress=address, items=[item], metadata={"note": name})  # fmt: skip
    Order.objects.filter(pk=order.pk).update(connector=connector.pk)
    package = Package.objects.create(order=order, number=1, tracking_code=f"{reference.upper()}TRACK")
    request = OrderRequest.objects.create(connector=connector, customer=customer, order=order, state="accepted",
                                          key="key-1", reference=order.reference, answer=name,
                                          fingerprint="x", body=b"{}")  # fmt: skip
    ids = {
        "order": order.pk,
        "item": order.items.get().pk,
        "file": PrintFile.objects.get(item__order=order).pk,
        "delivery": Delivery.objects.filter(order=order, target=str(trigger.pk)).latest("id").pk,
        "event": order.events.latest("id").pk,
        "connector": connector.pk,
        "customer": customer.pk,
        "package": package.pk,
        "request": request.pk,
        "trigger": trigger.pk,
    }
    Delivery.objects.filter(order=order).update(state="given_up")
    return Tenant(connector, order, ids)


@pytest.fixture(autouse=True)
def no_limit(settings: Any) -> None:
    """Walks are quicker than a key may be."""
    settings.API_RATE = 0


@pytest.fixture
def ours(product: Product) -> Tenant:
    return settle("acme", "failed", line="1")


@pytest.fixture
def theirs(product: Product) -> Tenant:
    return settle("beta", "failed", line="beta-line", name=SECRET, last="Qertz")


@pytest.fixture
def call() -> Callable[..., Any]:
    """`call("GET", "/api/orders", key="acme")`: what a customer's system is answered."""
    client = Client(raise_request_exception=False)

    def call(method: str, path: str, body: Any = None, *, key: str = "acme", query: str = "", **headers: str) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        said = {"X-API-KEY": f"{key}:secret"} if key else {}
        return client.generic(method, path + query, raw, content_type="application/json", headers=said | headers)

    return call


def everything(*, but: tuple[type, ...] = ()) -> dict[str, list[Any]]:
    """Every row of every table of ours."""
    found = [model for app in ("orders", "intake", "shipping") for model in apps.get_app_config(app).get_models()]
    return {model.__name__: sorted(map(repr, model.objects.values_list())) for model in found if model not in but}


def api_routes() -> list[Route]:
    return [each for each in routes() if each.path.startswith("api/") and each.path not in PUBLIC]


def addressed() -> list[Route]:
    return [each for each in api_routes() if set(each.names) - {"prefix", "connector"}]


def leaks(response: Any, *, said: str = "") -> list[str]:
    """The other customer's words in an answer, other than what the caller said itself."""
    raw = response.getvalue() if response.streaming else response.content
    text = raw.decode(errors="replace") + str(dict(response.headers))
    return (
        [mark for mark in MARKS if mark in text.replace(said, "")] if said else [each for each in MARKS if each in text]
    )


def shape_of(response: Any, said: str) -> tuple[int, str]:
    return response.status_code, response.content.decode().replace(said, "…")


def places(route: Route, theirs: Tenant, connectors: list[UUID]) -> Iterator[tuple[str, str]]:
    """The route with the other's ids where an id is asked for: (path, what was said). The long form is of the same views."""
    words = [str(theirs.order.pk), theirs.order.reference]
    if "connector" not in route.names:
        words += [theirs.order.pk.hex, *(str(id) for kind, id in theirs.ids.items() if kind != "order")]
    for word, connector in pairs(words, connectors if "connector" in route.names else connectors[:1]):
        values = dict.fromkeys(route.names, word) | {"prefix": "v4", "connector": connector, "page": 1}
        values |= {"file": theirs.ids["file"]} if "file" in route.names else {}
        yield route.filled(values), word


# --- whoever asks ----------------------------------------------------------------------------------


def test_each_address_with_an_id_of_anothers_answers_404_to_each_method_and_changes_nothing(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    body = {"reason": "x", "shipmentMethodUid": "express", "items": [{"id": str(theirs.ids["item"]), "quantity": 1}]}
    before, seen, wrong = everything(), 0, []
    for route in addressed():
        for path, said in places(route, theirs, [ours.connector.pk, theirs.connector.pk]):
            for method in METHODS if said == str(theirs.order.pk) else ("GET", "POST", "PUT"):
                response = call(method, path, body if method in ("POST", "PUT", "PATCH") else None)
                seen += 1
                allowed = {404, 405} | ({200} if method == "OPTIONS" else set())
                if response.status_code not in allowed or leaks(response, said=said):
                    wrong.append((method, path, response.status_code, leaks(response, said=said)))
    assert wrong == []
    assert everything() == before
    assert seen > 300


def test_what_is_anothers_and_what_is_nobodys_look_the_same(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    for route in addressed():
        values = {"prefix": "v4", "connector": ours.connector.pk, "page": 1}
        for method in ("GET", "POST", "PUT"):
            known, unknown = str(theirs.order.pk), str(uuid4())
            answers = [
                call(method, route.filled(dict.fromkeys(route.names, ref) | values), {}) for ref in (known, unknown)
            ]
            assert shape_of(answers[0], known) == shape_of(answers[1], unknown), (method, route.path)
    found = [call("GET", f"/api/v4/order/{id}/{ours.order.pk}") for id in (theirs.connector.pk, uuid4())]
    assert found[0].status_code == 404
    assert found[0].content == found[1].content


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-KEY": "beta:wrong"}, {"X-API-KEY": "beta"}, {"X-API-KEY": "gone:secret"}]
)
def test_who_proves_nothing_learns_nothing(theirs: Tenant, call: Callable[..., Any], headers: dict[str, str]) -> None:
    ApiKey.objects.create(
        connector=theirs.connector, key="gone", secret_hash=hashed("secret"), revoked_at=theirs.order.status_since
    )
    before = everything()
    for route in api_routes():
        values = dict.fromkeys(route.names, theirs.order.pk) | {
            "prefix": "v4",
            "connector": theirs.connector.pk,
            "page": 1,
        }
        for method in METHODS:
            response = call(method, route.filled(values), {"reason": "x"}, key="", **headers)
            assert (response.status_code, leaks(response)) in ((401, []), (405, [])), (method, route.path)
    assert everything() == before


# --- with more than a path ----------------------------------------------------------------------------


def test_lists_searches_and_bodies_with_anothers_ids_find_and_change_nothing_of_it(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    """Every address without an id in it, and those of an order of one's own, with the other's ids in query and body."""
    before = {name: [row for row in rows if "beta" in row.lower() or str(theirs.order.pk) in row]
              for name, rows in everything().items()}  # fmt: skip
    words = [str(theirs.ids[kind]) for kind in ("order", "item", "delivery", "trigger", "connector")]
    words += [theirs.order.reference, "beta"]
    names = ("id", "ids", "order", "orders", "delivery", "deliveries", "connector", "customer", "endpoint", "cursor")
    for route in api_routes():
        if "files/" in route.path:
            continue
        values = dict.fromkeys(route.names, ours.order.pk) | {"prefix": "v4", "connector": ours.connector.pk}
        for word in words:
            query = "?" + "&".join(f"{name}={word}" for name in names)
            body = {name: [word] if name.endswith("s") else word for name in names}
            body |= {"items": [{"id": word, "itemReferenceId": word, "quantity": 1}], "customerReferenceId": "beta"}
            for method, sent in (("GET", None), ("POST", body), ("PUT", body)):
                response = call(method, route.filled(values), sent, query=query)
                assert response.status_code < 500, (method, route.path, response.content)
                assert leaks(response, said=word) == [], (method, route.path, word)
    after = {name: [row for row in rows if "beta" in row.lower() or str(theirs.order.pk) in row]
             for name, rows in everything(but=(OrderRequest,)).items()}  # fmt: skip
    assert after == {name: rows for name, rows in before.items() if name != "OrderRequest"}
    assert OrderRequest.objects.filter(connector=theirs.connector).count() == 1


def searches(theirs: Tenant) -> list[dict[str, Any]]:
    order = theirs.order
    return [
        {"ids": [str(order.pk)]},
        {"orderReferenceId": order.reference},
        {"orderReferenceIds": [order.reference, "ACME-77"]},
        {"customers": ["beta"]},
        {"customers": ["acme", "beta"]},
        {"connectors": [str(theirs.connector.pk)]},
        {"search": SECRET},
        {"search": "qertz@beta.example"},
        {"search": order.reference},
        {"search": str(order.pk)},
        {"search": "BETATRACK"},
        {"countries": ["NO"], "channels": ["api"], "currencies": ["EUR"], "fulfillmentStatuses": ["failed"]},
        {"cursor": str(order.pk)},
        {"cursor": f"~{order.pk}"},
        {"limit": 100},
    ]


def test_no_search_finds_an_order_of_anothers(ours: Tenant, theirs: Tenant, call: Callable[..., Any]) -> None:
    for asked in searches(theirs):
        for path in (
            "/api/orders/search",
            f"/api/v4/order/{ours.connector.pk}/search",
            f"/api/v4/{ours.connector.pk}/order/search",
        ):
            response = call("POST", path, asked)
            found = {order["id"] for order in response.json().get("orders", [])}
            assert found <= {str(ours.order.pk)}, asked
            assert str(theirs.order.pk) not in response.content.decode()


def test_items_of_another_cannot_be_canceled_with_an_order_of_ones_own(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    before = everything()
    for named in ({"id": str(theirs.ids["item"])}, {"itemReferenceId": "beta-line"}):
        response = call("POST", f"/api/orders/{ours.order.pk}/cancel", {"items": [named | {"quantity": 1}]})
        assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "ITEM_UNKNOWN")
    assert everything() == before


def test_pictures_of_anothers_files_are_not_found_beside_an_order_of_ones_own(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any], settings: Any
) -> None:
    from gelatoconnect.lib import storage

    PrintFile.objects.update(sha256="a" * 64)
    folder = storage.previews_of("a" * 64)
    folder.mkdir(parents=True)
    (folder / "page-1.jpg").write_bytes(b"jpeg")
    own, other = (f"/api/orders/{ours.order.pk}/files/{each.ids['file']}/previews/1" for each in (ours, theirs))
    assert [call("GET", path).status_code for path in (own, other)] == [200, 404]


@pytest.mark.parametrize("reference", ["beta", "BETA", "nobody"])
def test_a_key_of_one_customer_speaks_for_no_other(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any], reference: str, order_body: Callable[..., Any]
) -> None:
    before = everything()
    for method, path, body in (
        ("GET", f"/api/orders/{theirs.order.pk}", None),
        ("POST", "/api/orders", order_body()),
        ("POST", "/api/orders/search", {}),
    ):
        response = call(method, path, body, **{"Customer-Reference-ID": reference})
        assert (response.status_code, leaks(response, said=reference)) == (403, [])
    assert everything() == before


def test_the_same_key_and_reference_of_two_customers_have_nothing_to_do_with_each_other(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any], order_body: Callable[..., Any]
) -> None:
    """Idempotency keys and order references are each customer's own."""
    Connector.objects.update(prevent_duplicates=True)
    response = call("POST", "/api/orders", order_body("BETA-77"), **{"Idempotency-Key": "key-2"})
    assert response.status_code == 201
    again = call("POST", "/api/orders", order_body("BETA-77"), key="beta", **{"Idempotency-Key": "key-2"})
    assert (again.status_code, leaks(again, said="BETA-77")) == (409, [])  # its own order of that reference
    assert again.json()["errors"][0]["details"]["id"] == str(theirs.order.pk)
    assert call("GET", "/api/orders/BETA-77").json()["id"] == response.json()["id"]


def test_an_open_connector_sees_what_came_through_it_and_of_a_customer_what_it_names(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    everybody = Connector.objects.create(name="everybody")
    ApiKey.objects.create(connector=everybody, key="all", secret_hash=hashed("secret"))
    path = f"/api/orders/{theirs.order.pk}"
    named = [call("GET", path, key="all", **{"Customer-Reference-ID": name}).status_code for name in ("acme", "beta")]
    assert (call("GET", path, key="all").status_code, named) == (404, [404, 200])
    assert call("POST", "/api/orders/search", {}, key="all").json()["orders"] == []


# --- below /in --------------------------------------------------------------------------------------------


def test_an_address_for_uploads_serves_its_own_file_through_its_own_connector(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    PrintFile.objects.update(url="handed-over:card.pdf")
    before = everything()
    own, other = (
        uploads.address_of(PrintFile.objects.get(pk=each.ids["file"]), each.connector.pk).rpartition("/")[2]
        for each in (ours, theirs)
    )
    here, there = f"/in/{ours.connector.pk}/files/", f"/in/{theirs.connector.pk}/files/"
    forged = own.replace(ours.ids["file"].hex, theirs.ids["file"].hex)
    for method, path in pairs(
        METHODS, [here + other, there + own, here + forged, there + forged, here + str(theirs.ids["file"])]
    ):
        response = call(method, path, {"x": 1})
        assert (response.status_code, leaks(response)) in ((403, []), (405, [])), (method, path)
    assert everything() == before
    assert call("PUT", here + own, {"x": 1}).status_code == 200


def test_the_door_of_another_connector_opens_to_no_key_of_ours(
    ours: Tenant, theirs: Tenant, call: Callable[..., Any]
) -> None:
    """Of a type with an address: what is tried there is kept as refused, and nothing else happens."""
    Connector.objects.filter(pk=theirs.connector.pk).update(
        type="mapped", settings='{"header_name": "X-Key", "secret": "s3cret"}'
    )
    before = everything(but=(OrderRequest,))
    for method, rest in pairs(METHODS, ("", f"/{theirs.order.pk}", "/order", f"/order/{theirs.order.pk}/cancel")):
        response = call(method, f"/in/{theirs.connector.pk}{rest}", {"id": "BETA-77", "cancel": True})
        assert response.status_code in (400, 401, 403, 404, 405, 422, 500), (method, rest)
        assert leaks(response) == []
    assert everything(but=(OrderRequest,)) == before
    assert (
        not OrderRequest.objects.filter(connector=theirs.connector, state="accepted")
        .exclude(order=theirs.order)
        .exists()
    )


def test_moves_through_ones_own_key_reach_only_ones_own(ours: Tenant, theirs: Tenant, call: Callable[..., Any]) -> None:
    """The same reference on both sides: the caller's own is meant."""
    Order.objects.filter(pk=ours.order.pk).update(reference="BETA-77")
    assert call("POST", "/api/orders/BETA-77/cancel", {"reason": "x"}).status_code == 200
    assert [Order.objects.get(pk=each.order.pk).status for each in (ours, theirs)] == ["canceled", "failed"]
    move(theirs.order, "cancel", by="user:ada")
