"""Site Flow clients at our address: what they send is taken once, what they ask is answered in their words."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import Message
from intake.connectors.siteflow import SiteFlow, SiteFlowConfig
from intake.connectors.siteflow.answers import WORDS, place_of
from intake.models import Connector, OrderRequest
from orders.events import sweep
from orders.lifecycle import Status
from orders.models import Event, Item, Order, PrintFile, ShipmentMethod
from orders.services import move
from tests.connectors.siteflow_client import ANA, SECRET, TOKEN, SiteFlowClient, order_of
from tests.factories import make_customer

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "siteflow"
UPLOAD = {"code": "Card", "path": "card.pdf"}


@pytest.fixture
def shop(channel: Any) -> SiteFlowClient:
    ShipmentMethod.objects.create(uid="normal", name="Normal")
    return SiteFlowClient(channel("siteflow", token=TOKEN, secret=SECRET, carriers="standard=normal"))


@pytest.fixture
def early(channel: Any) -> SiteFlowClient:
    return SiteFlowClient(channel("siteflow", name="early", token=TOKEN, secret=SECRET, answers="async"))


def states() -> list[tuple[str, str]]:
    return list(OrderRequest.objects.order_by("id").values_list("topic", "state"))


# --- orders are sent ---
def test_an_order_is_made_and_answered_in_site_flows_words(shop: SiteFlowClient, settings: Any) -> None:
    answer = shop("POST", "api/order", order_of(currency="EUR", tags=["rush"]))
    order = Order.objects.get()
    said = answer.json()
    assert (answer.status_code, said["success"], said["_id"]) == (201, True, str(order.pk))
    assert said["url"] == f"{settings.PUBLIC_URL}/in/{shop.connector.pk}/api/order/{order.pk}"
    assert said["order"]["_id"] == str(order.pk)
    assert said["order"]["orderData"]["sourceOrderId"] == "ACME-1"
    assert [(each["url"], each["fetch"], each["localFile"], each["code"]) for each in said["order"]["files"]] == [
        ("https://files.example/card.pdf", True, False, "Card")
    ]
    assert (order.reference, order.source_id, order.channel, order.shipment_method) == (
        "ACME-1",
        "ACME-1",
        "siteflow",
        "normal",
    )
    assert (order.address.first_name, order.address.last_name, order.metadata["tags"]) == ("Ana", "Ruiz", ["rush"])
    item = Item.objects.get()
    assert (item.sku, item.reference, item.quantity) == ("card-a6", "ACME-1-1", 2)
    assert states() == [("POST order", "accepted")]


@pytest.mark.parametrize(
    "path", ["order", "api/order", "siteflow/api/order", "sync/api/order", "api/order/route/books", "api/order/"]
)
def test_every_base_address_of_a_client_works(shop: SiteFlowClient, path: str) -> None:
    assert shop("POST", path, order_of()).status_code == 201
    assert Order.objects.count() == 1


def test_files_without_an_address_are_uploaded_to_the_one_they_are_given(shop: SiteFlowClient, good_pdf: bytes) -> None:
    said = shop("POST", "api/order", order_of("BOOK-1", UPLOAD)).json()["order"]
    [file] = said["files"]
    assert (file["fetch"], file["localFile"], file["path"], file["status"]) == (False, False, "card.pdf", "notreceived")
    sweep()
    assert Order.objects.get().status == "received"
    path = file["url"].partition("://")[2].partition("/")[2]
    answer = shop.client.put(f"/{path}", good_pdf, content_type="application/pdf")
    assert answer.json()["success"] is True
    sweep()
    assert Order.objects.get().status == "created"
    [file] = shop("GET", "api/files/order/BOOK-1").json()
    assert (file["url"], file["status"], file["fileSize"]) == ("", "received", len(good_pdf))


def test_local_files_are_awaited_and_said_to_be_so(shop: SiteFlowClient) -> None:
    said = shop("POST", "api/order", order_of("L-1", {"code": "Card", "path": "a/card.pdf", "localFile": True})).json()
    [file] = said["order"]["files"]
    assert (file["fetch"], file["localFile"], file["url"].startswith("http")) == (False, True, True)
    assert [problem["code"] for problem in Order.objects.get().problems] == ["FILE_LOCAL"]


def test_what_is_wrong_is_said_place_by_place(shop: SiteFlowClient) -> None:
    answer = shop("POST", "api/order", order_of(sku="nothing", shipments=[{"shipTo": ANA | {"isoCountry": "XX"}}]))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["name"]) == (400, 208, "ValidationError")
    assert [(each["path"], each["code"]) for each in error["validations"]] == [
        ("orderData.shipments[0].shipTo.isoCountry", "ADDRESS_COUNTRY_UNKNOWN"),
        ("orderData.items[0].sku", "PRODUCT_UNMAPPED"),
    ]
    assert not Order.objects.exists()
    assert states() == [("POST order", "rejected")]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"<order/>", 400, 400), (b"[]", 400, 208), (b"{}", 400, 208), (b"\xff", 400, 400), (b'{"a":1,"a":2}', 400, 400),
     (b"[" * 50 + b"]" * 50, 400, 400), (b'"' + b"x" * (1024 * 1024) + b'"', 413, 413)],
)  # fmt: skip
def test_what_is_no_order_is_refused(shop: SiteFlowClient, body: bytes, status: int, code: int) -> None:
    answer = shop("POST", "api/order", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["success"] is False
    assert not Order.objects.exists()


# --- the same order twice ---
def test_the_same_order_again_gives_the_first_answer_again(shop: SiteFlowClient) -> None:
    first, second = (shop("POST", "api/order", order_of()) for _ in range(2))
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert (Order.objects.count(), OrderRequest.objects.count()) == (1, 1)


def test_another_order_under_the_same_id_is_a_conflict(shop: SiteFlowClient) -> None:
    shop("POST", "api/order", order_of())
    answer = shop("POST", "api/order", order_of(tags=["other"]))
    assert (answer.status_code, answer.json()["error"]["name"]) == (409, "ConflictError")
    assert answer.json()["error"]["message"].startswith("This sourceOrderId was sent before with other content.")
    assert Order.objects.get().metadata.get("tags") is None


def test_a_refused_order_may_be_mended_and_sent_again(shop: SiteFlowClient) -> None:
    assert shop("POST", "api/order", order_of(shipments=[])).status_code == 400
    assert shop("POST", "api/order", order_of()).status_code == 201


def test_a_canceled_order_is_not_revived_by_a_late_repetition(shop: SiteFlowClient) -> None:
    shop("POST", "api/order", order_of())
    shop("PUT", "api/order/ACME-1/cancel")
    assert shop("POST", "api/order", order_of()).status_code == 201  # the first answer
    assert shop("POST", "api/order", order_of(tags=["new"])).status_code == 409
    assert [order.status for order in Order.objects.all()] == ["canceled"]


def test_accounts_of_a_service_user_have_orders_of_their_own(shop: SiteFlowClient) -> None:
    shop("POST", "api/order", order_of(), **{"x-oneflow-account": "one"})
    shop("POST", "api/order", order_of(tags=["two"]), **{"x-oneflow-account": "two"})
    assert sorted(Order.objects.values_list("source_id", flat=True)) == ["one/ACME-1", "two/ACME-1"]
    shop("PUT", "api/order/ACME-1/cancel", **{"x-oneflow-account": "one"})
    shop("PUT", "api/order/two/ACME-1/cancel")
    assert shop("PUT", "api/order/three/ACME-1/cancel").status_code == 404
    assert [order.status for order in Order.objects.all()] == ["canceled"] * 2


def test_an_open_connector_takes_orders_of_the_account_that_is_acted_for(channel: Any, product: Any) -> None:
    gifts = make_customer(reference="gifts")
    open_ = SiteFlowClient(channel("siteflow", customer=None, token=TOKEN, secret=SECRET))
    assert open_("POST", "api/order", order_of()).status_code == 400
    assert open_("POST", "api/order", order_of("B"), **{"x-oneflow-account": "gifts"}).status_code == 201
    assert Order.objects.get().customer == gifts


# --- tried dry ---
def test_a_good_order_is_valid_and_nothing_is_stored(shop: SiteFlowClient) -> None:
    answer = shop("POST", "api/order/validate", order_of(shipments=[{"shipTo": ANA, "carrier": {"alias": "pony"}}]))
    assert answer.status_code == 200
    assert (answer.json()["success"], answer.json()["valid"], answer.json()["validations"]) == (True, True, [])
    assert [each["code"] for each in answer.json()["warnings"]] == ["CARRIER_UNKNOWN"]
    assert not Order.objects.exists() and not OrderRequest.objects.exists()


def test_a_bad_order_is_not_valid_and_nothing_is_stored(shop: SiteFlowClient) -> None:
    answer = shop("POST", "api/order/validate", order_of(sku="nothing", items=[]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 208)
    assert [each["path"] for each in answer.json()["error"]["validations"]] == ["orderData.items"]
    assert not OrderRequest.objects.exists()


# --- answered at once ---
def test_what_is_answered_at_once_is_read_afterwards(early: SiteFlowClient, settings: Any) -> None:
    said = early("POST", "api/order", order_of()).json()
    request = OrderRequest.objects.get()
    url = f"{settings.PUBLIC_URL}/in/{early.connector.pk}/api/order/{request.pk}"
    assert (said["_id"], said["url"], said["sourceAccountId"]) == (str(request.pk), url, str(early.connector.pk))
    assert list(said) == ["_id", "url", "timestamp", "sourceAccountId"]
    assert not Order.objects.exists()
    assert early("GET", f"api/order/{said['_id']}").json()["status"] == "pending"
    sweep()
    order = Order.objects.get()
    assert early("GET", f"api/order/{said['_id']}").json()["_id"] == str(order.pk)
    assert early("POST", "api/order", order_of()).json() == said  # sent again
    assert early("POST", "api/order", order_of(tags=["x"])).status_code == 409
    assert Order.objects.count() == 1


def test_the_path_decides_how_it_is_answered(shop: SiteFlowClient, early: SiteFlowClient) -> None:
    assert set(shop("POST", "async/api/order", order_of()).json()) == {"_id", "url", "timestamp", "sourceAccountId"}
    assert "order" in early("POST", "sync/api/order", order_of()).json()


def test_what_is_answered_at_once_may_turn_out_to_be_wrong(early: SiteFlowClient) -> None:
    bad, worse = early("POST", "api/order", order_of(items=[])), early("POST", "api/order", b"not JSON")
    assert (bad.status_code, worse.status_code) == (201, 201)
    sweep()
    said = early("GET", f"api/order/{bad.json()['_id']}").json()
    assert (said["status"], said["error"]["code"]) == ("error", 208)
    assert states() == [("POST async/order", "rejected")] * 2
    assert not Order.objects.exists()
    assert early("POST", "api/order", order_of()).status_code == 201  # mended
    sweep()
    assert Order.objects.count() == 1


@pytest.mark.parametrize("named", ["ACME-1", "the id of the request"])
def test_an_order_that_was_not_read_yet_is_canceled(early: SiteFlowClient, named: str) -> None:
    id = early("POST", "api/order", order_of()).json()["_id"]
    answer = early("PUT", f"api/order/{named if named == 'ACME-1' else id}/cancel")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    sweep()
    assert not Order.objects.exists()
    assert states() == [("POST async/order", "ignored"), ("PUT request/ACME-1/cancel", "ignored")]
    assert early("GET", f"api/order/{id}").json()["status"] == "cancelled"


# --- canceled and changed ---
@pytest.mark.parametrize(
    "form", ["api/order/{id}/cancel", "order/ACME-1/cancel", "api/order/hp.acmeprint/ACME-1/cancel"]
)
def test_an_order_is_canceled_by_any_of_its_names(shop: SiteFlowClient, form: str) -> None:
    id = shop("POST", "api/order", order_of()).json()["_id"]
    answer = shop("PUT", form.format(id=id))
    assert (answer.status_code, answer.json()["success"], answer.json()["order"]["status"]) == (200, True, "cancelled")
    assert shop("PUT", form.format(id=id), b"null").status_code == 200  # again
    assert Order.objects.get().status == "canceled"
    assert Event.objects.filter(kind="order.canceled").count() == 1
    assert states()[1:] == [(f"PUT order/{id}/cancel", "accepted")] * 2


def test_it_may_be_too_late_to_cancel(shop: SiteFlowClient) -> None:
    shop("POST", "api/order", order_of())
    order = Order.objects.get()
    for verb in ("accept", "release", "start", "finish"):
        order = move(order, verb, by="user:ada")
    order.items.update(packed=2)
    order = move(move(order, "package", by="user:ada"), "ship", by="user:ada")
    answer = shop("PUT", "api/order/ACME-1/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, 409)
    assert Order.objects.get().status == "shipped"
    assert states()[1] == (f"PUT order/{order.pk}/cancel", "rejected")


@pytest.mark.parametrize("form", ["api/order/{id}", "api/order/ACME-1", "order/ACME-1/shipTo", "shipment/{id}/shipto",
                                  "shipment/{id}", "api/order/hp.acmeprint/ACME-1/address"])  # fmt: skip
@pytest.mark.parametrize("wrapped", [True, False])
def test_an_address_is_changed(shop: SiteFlowClient, form: str, wrapped: bool) -> None:
    id = shop("POST", "api/order", order_of()).json()["_id"]
    new = ANA | {"name": "Ana Berg", "address1": "Storgata 1", "companyName": "Berg AS"}
    body = order_of(shipments=[{"shipTo": new}]) if wrapped else new
    answer = shop("PUT", form.format(id=id), body)
    assert (answer.status_code, answer.json()["order"]["orderData"]["shipments"][0]["shipTo"]["address1"]) == (
        200,
        "Storgata 1",
    )
    address = Order.objects.get().address
    assert (address.last_name, address.address_line1, address.company_name) == ("Berg", "Storgata 1", "Berg AS")


def test_an_address_that_is_none_changes_nothing(shop: SiteFlowClient) -> None:
    shop("POST", "api/order", order_of())
    answer = shop("PUT", "api/order/ACME-1", {"shipTo": ANA | {"postcode": ""}})
    assert (answer.status_code, answer.json()["error"]["validations"][0]["path"]) == (
        400,
        "orderData.shipments[0].shipTo.postcode",
    )
    assert shop("PUT", "api/order/ACME-1", {}).status_code == 400
    assert Order.objects.get().address.post_code == "0154"
    assert not Event.objects.filter(kind="order.amended").exists()


# --- asked for ---
def test_orders_are_got_by_any_of_their_names(shop: SiteFlowClient) -> None:
    id = shop("POST", "api/order", order_of(customerName="Acme Gifts", currency="EUR")).json()["_id"]
    request = OrderRequest.objects.get().pk
    answers = [shop("GET", f"api/order/{each}") for each in (id, "ACME-1", request, "hp.acmeprint/ACME-1")]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({json.dumps(answer.json()["_id"]) for answer in answers}) == 1
    said = answers[0].json()
    assert (said["_id"], said["status"], said["destination"]) == (id, "pending", {"name": "hp.acmeprint"})
    data = said["orderData"]
    assert (data["sourceOrderId"], data["customerName"], data["currency"]) == ("ACME-1", "Acme Gifts", "EUR")
    assert data["shipments"][0]["shipTo"] == {
        "name": "Ana Ruiz", "companyName": "", "address1": "Karl Johans gate 4", "address2": "", "town": "Oslo",
        "postcode": "0154", "state": "", "isoCountry": "NO", "email": "", "phone": "",
    }  # fmt: skip
    assert data["shipments"][0]["carrier"] == {"alias": "standard"}
    assert [(each["sourceItemId"], each["sku"], each["quantity"]) for each in data["items"]] == [
        ("ACME-1-1", "card-a6", 2)
    ]


def test_an_order_in_error_says_why(shop: SiteFlowClient) -> None:
    shop("POST", "api/order", order_of())
    move(Order.objects.get(), Order.fail, by="user:ada", reason="The paper is out.")
    said = shop("GET", "api/order/ACME-1").json()
    assert (said["status"], said["error"]["message"]) == ("error", "The paper is out.")


def test_every_status_has_a_word_of_site_flows() -> None:
    assert set(WORDS) == set(Status)
    assert set(WORDS.values()) == {"pending", "cancelled", "error", "dataready", "printready", "complete", "shipped"}


def test_the_list_is_paged_newest_first(shop: SiteFlowClient) -> None:
    for number in range(5):
        shop("POST", "api/order", order_of(f"N-{number}"))
    pages = [shop("GET", f"api/order?page={page}&pagesize=2").json() for page in (1, 2, 3, 4)]
    assert [[each["orderData"]["sourceOrderId"] for each in page["data"]] for page in pages] == [
        ["N-4", "N-3"], ["N-2", "N-1"], ["N-0"], []]  # fmt: skip
    assert [page["total"] for page in pages] == [5] * 4
    odd = shop("GET", "api/order?page=-1&pagesize=99999999999").json()
    assert (odd["page"], odd["pagesize"], len(odd["data"])) == (1, 20, 5)
    assert shop("GET", "api/order?page=999999&pagesize=100").json()["data"] == []


def test_the_list_costs_as_much_for_three_orders_as_for_one(
    shop: SiteFlowClient, django_assert_num_queries: Any
) -> None:
    counts = []
    for number in range(3):
        shop("POST", "api/order", order_of(f"N-{number}"))
        with django_assert_num_queries(5) as asked:  # connector, orders, items, files, total
            shop("GET", "api/order")
        assert isinstance(asked, CaptureQueriesContext)
        counts.append(len(asked))
    assert counts == [5, 5, 5]


def test_orders_of_another_connector_do_not_exist(shop: SiteFlowClient, channel: Any) -> None:
    stranger = SiteFlowClient(channel("siteflow", name="other", customer=make_customer(), token=TOKEN, secret=SECRET))
    id = shop("POST", "api/order", order_of("ACME-1", UPLOAD)).json()["_id"]
    request = OrderRequest.objects.get().pk
    for name in (id, "ACME-1", request):
        assert stranger("GET", f"api/order/{name}").status_code == 404
        assert stranger("GET", f"api/files/order/{name}").status_code == 404
        assert stranger("PUT", f"api/order/{name}/cancel").status_code == 404
        assert stranger("PUT", f"api/order/{name}", {"shipTo": ANA}).status_code == 404
    assert stranger("GET", "api/order").json()["data"] == []
    assert Order.objects.get().status == "received"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "api/product"), ("POST", "api/order/1/2/3"), ("PUT", "api/shipment/shipped/7"), ("PUT", "api/order"),
     ("PUT", "api/order/a/b/c/d/cancel"), ("POST", "api/orders"), ("GET", "api/files/order")],
)  # fmt: skip
def test_what_is_not_there_is_said_in_site_flows_shape(shop: SiteFlowClient, method: str, path: str) -> None:
    answer = shop(method, path, b"{}" if method != "GET" else b"")
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["success"]) == (404, 404, False)


def test_too_many_calls_are_told_to_wait_in_its_shape(shop: SiteFlowClient, settings: Any) -> None:
    settings.API_RATE = 1
    answers = [shop("GET", "api/order") for _ in range(3)]
    assert answers[-1].status_code == 429
    assert (answers[-1].json()["error"]["name"], answers[-1]["Retry-After"]) == ("TooManyRequestsError", "1")


def test_settings_that_are_not_complete_are_ours_to_mend(channel: Any) -> None:
    connector = channel("siteflow", token=TOKEN, secret=SECRET)
    Connector.objects.filter(pk=connector.pk).update(settings="{}")
    answer = SiteFlowClient(connector)("POST", "api/order", order_of())
    assert (answer.status_code, answer.json()["error"]["name"]) == (503, "ServiceUnavailableError")


def test_places_are_written_as_site_flow_writes_them() -> None:
    assert place_of("/items/3/files/1/url") == "orderData.items[3].components[1].path"
    assert place_of("/orderData/items/0/shipmentIndex") == "orderData.items[0].shipmentIndex"
    assert place_of("") == "orderData"


# --- whatever is sent ---
def _mutations(value: Any, *, depth: int = 0) -> Iterator[Any]:
    """The value with each key or entry, at every level, dropped, empty, or of another kind."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(inside):
        for odd in (None, "", "x" * 3000, 0, -1, 1e300, True, [], {}, [[]], {"a": {}}, [inner, inner], {"0": inner},
                    str(inner), "NaN", "handed-over:" + "y" * 2040):  # fmt: skip
            changed = copy.copy(value)
            changed[key] = odd
            yield changed
        dropped = copy.copy(value)
        del dropped[key]
        yield dropped
        for mutant in _mutations(inner, depth=depth + 1):
            changed = copy.copy(value)
            changed[key] = mutant
            yield changed


@pytest.mark.parametrize("name", ["whole", "seen_in_the_wild", "uploads"])
def test_nothing_that_is_sent_breaks_the_reading(name: str) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    config = SiteFlowConfig.model_validate(json.loads((SAMPLES / f"{name}.call.json").read_text())["config"])
    kind, count = SiteFlow(), 0
    for mutant in _mutations(sample):
        raw = json.dumps(mutant).encode()
        for topic in ("POST order", "PUT order/1/shipto") if count % 5 == 0 else ("POST order",):
            try:
                kind.parse(Message(raw, topic, config=config))
            except Rejected as refusal:
                assert refusal.status in (400, 422) and refusal.problems
        count += 1
    assert count > 300


@pytest.mark.parametrize(
    "body", [{"sourceOrderId": {"a": 1}}, {"orderData": "x"}, {"orderData": [1, 2]}, 7, None, "x", []]
)
def test_odd_bodies_are_answered_at_the_door(shop: SiteFlowClient, body: Any) -> None:
    answer = shop("POST", "api/order", body)
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert not PrintFile.objects.exists()
