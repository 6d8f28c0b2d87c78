"""What Site Flow clients are told: at their address, in the usual body or in one of their own, until it is heard."""

import base64
import json
from typing import Any

import pytest

from intake.connectors.siteflow.postbacks import STATUSES
from orders.events import sweep
from orders.models import Attempt, Delivery, Order
from orders.services import move
from shipping.models import CarrierAccount, Package
from tests.connectors.fakes import Fake
from tests.connectors.siteflow_client import SECRET, TOKEN, SiteFlowClient, order_of
from tests.connectors.walk import walk

HOOK = "/hooks/print"


@pytest.fixture
def shop(channel: Any, fake: Fake) -> Any:
    """`shop(…)`: a client whose connector has these settings besides."""

    def make(**config: Any) -> SiteFlowClient:
        return SiteFlowClient(channel("siteflow", token=TOKEN, secret=SECRET, **config))

    return make


def told(fake: Fake, method: str = "POST") -> list[dict[str, Any]]:
    return [sent.data for sent in fake.asked(method, HOOK)]


def test_an_order_walks_through_the_house_and_its_sender_hears_of_it(
    shop: Any, fake: Fake, file_server: Any, good_pdf: bytes, settings: Any
) -> None:
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, fake.host]
    client = shop(postback_url=fake.url + HOOK, postback_method="PUT", postback_user="gifts", postback_password="s:ä")
    fake.on("PUT", HOOK, (200, {}))
    card = {"code": "Card", "path": file_server.add("card.pdf", good_pdf), "fetch": "true"}
    id = client("POST", "api/order", order_of("ACME-1", card)).json()["_id"]
    order = walk(Order.objects.get())
    said = told(fake, "PUT")
    assert [each["OrderStatus"] for each in said] == ["received", "printready", "printed", "shipped"]
    assert [each["Event"] for each in said] == [
        "Order Received",
        "Order Print Ready",
        "Component Printed",
        "Shipment Shipped",
    ]
    shipped, package = said[-1], Package.objects.get(order=order)
    assert package.tracking_code
    assert (shipped["SourceOrderId"], shipped["OrderId"]) == ("ACME-1", id)
    assert (shipped["TrackingNumber"], shipped["TrackingURL"]) == (package.tracking_code, package.tracking_url)
    assert shipped["items"] == [{"sourceItemId": "ACME-1-1", "sku": "card-a6", "quantity": 2}]
    assert [each["trackingNumber"] for each in shipped["shipments"]] == [package.tracking_code]
    assert len({each["EventId"] for each in said}) == 4
    sent = fake.sent[-1]
    assert sent.headers["authorization"] == "Basic " + base64.b64encode("gifts:s:ä".encode()).decode()
    assert sent.headers["content-type"] == "application/json"
    shown = client("GET", f"api/order/{id}").json()
    assert (shown["status"], shown["orderData"]["shipments"][0]["trackingNumber"]) == ("shipped", package.tracking_code)
    assert "s:ä" not in json.dumps([attempt.report for attempt in Attempt.objects.all()])


def test_a_postback_that_is_not_heard_is_sent_again(shop: Any, fake: Fake) -> None:
    client = shop(postback_url=fake.url + HOOK, postback_on=["cancelled"])
    client("POST", "api/order", order_of())
    move(Order.objects.get(), Order.cancel, by="user:ada", reason="No paper.")
    fake.on("POST", HOOK, (503, {}, {"Retry-After": "60"}))
    sweep()
    [delivery] = Delivery.objects.filter(listener="postback", state="due")
    assert (delivery.attempts, "503" in delivery.error) == (1, True)
    fake.on("POST", HOOK, (204, b""))
    Delivery.objects.filter(pk=delivery.pk).update(due=delivery.event.at)
    sweep()
    assert Delivery.objects.get(pk=delivery.pk).state == "done"
    first, second = told(fake)
    assert first == second
    assert (second["OrderStatus"], second["Message"], second["Event"]) == ("cancelled", "No paper.", "Order Cancelled")


def test_a_refused_postback_is_given_up_visibly(shop: Any, fake: Fake) -> None:
    shop(postback_url=fake.url + HOOK)("POST", "api/order", order_of())
    fake.on("POST", HOOK, (400, {}))
    Delivery.objects.exclude(listener="postback").delete()
    sweep()
    assert Delivery.objects.get().state == "given_up"


def test_an_order_in_error_says_what_is_wrong(shop: Any, fake: Fake) -> None:
    client = shop(postback_url=fake.url + HOOK, postback_on=["error"])
    fake.on("POST", HOOK, (200, {}))
    client("POST", "api/order", order_of("E-1", {"code": "Card", "path": f"{fake.url}/gone.pdf", "fetch": True}))
    sweep()
    assert Order.objects.get().status == "failed"
    [said] = told(fake)
    assert (said["OrderStatus"], said["Event"], said["Errors"][0]["code"]) == (
        "error",
        "Order Errored",
        "FILE_DOWNLOAD_NOT_FOUND",
    )
    assert said["Message"].startswith("The default file could not be downloaded")


def test_without_an_address_of_the_connector_the_order_names_it(shop: Any, fake: Fake) -> None:
    fake.on("POST", HOOK, (200, {}))
    client = shop(postback_user="gifts", postback_password="secret")
    client("POST", "api/order", order_of("A", postbackAddress=fake.url + HOOK))
    client("POST", "api/order", order_of("B", postbackAddress="print@gifts.example"))
    Delivery.objects.exclude(listener="postback").delete()
    sweep()
    assert [each["SourceOrderId"] for each in told(fake)] == ["A"]
    assert "authorization" not in fake.sent[-1].headers  # the password is for the connector's address only
    assert {delivery.state for delivery in Delivery.objects.all()} == {"done"}


def test_a_template_of_the_connector_says_it_in_words_of_its_own(shop: Any, fake: Fake) -> None:
    fake.on("POST", HOOK, (200, b""))
    template = '<Order id={{ SourceOrderId | tojson }} status="{{ OrderStatus | upper }}">{{ items[0].sku }}</Order>'
    client = shop(postback_url=fake.url + HOOK, postback_type="application/xml", postback_template=template)
    client("POST", "api/order", order_of())
    Delivery.objects.exclude(listener="postback").delete()
    sweep()
    assert fake.sent[-1].body.decode() == '<Order id="ACME-1" status="RECEIVED">card-a6</Order>'
    assert fake.sent[-1].headers["content-type"] == "application/xml"


def test_a_template_that_fails_is_given_up_and_says_where(shop: Any, fake: Fake) -> None:
    client = shop(postback_url=fake.url + HOOK, postback_template="{{ nothing.at.all }}")
    client("POST", "api/order", order_of())
    Delivery.objects.exclude(listener="postback").delete()
    sweep()
    delivery = Delivery.objects.get()
    assert (delivery.state, fake.sent) == ("given_up", [])
    assert delivery.error.startswith("The connector's postback template failed: TEMPLATE_UNDEFINED")


def test_a_submission_that_fails_after_it_was_answered_is_told(shop: Any, fake: Fake) -> None:
    fake.on("POST", HOOK, (500, {}))
    client = shop(answers="async", postback_on=[])
    answer = client("POST", "api/order", order_of("A", items=[], postbackAddress=fake.url + HOOK))
    assert answer.status_code == 201
    sweep()
    delivery = Delivery.objects.get(listener="refusal")
    assert (delivery.state, len(told(fake))) == ("due", 1)
    fake.on("POST", HOOK, (200, {}))
    Delivery.objects.update(due=delivery.event.at)
    sweep()
    first, said = told(fake)
    assert first == said
    assert (said["Event"], said["OrderStatus"], said["SourceOrderId"]) == ("Order Submission Error", "error", "A")
    assert (said["OrderId"], said["EventId"]) == (answer.json()["_id"], str(delivery.event_id))
    assert [each["code"] for each in said["Errors"]] == ["FIELD_MISSING"]
    assert not Order.objects.exists()


def test_a_submission_that_was_refused_on_the_line_is_not_told_twice(shop: Any, fake: Fake) -> None:
    client = shop(postback_url=fake.url + HOOK)
    assert client("POST", "api/order", order_of(items=[])).status_code == 400
    assert client("POST", "async/api/order", b"no JSON").status_code == 201
    sweep()
    assert [sent["Errors"][0]["code"] for sent in told(fake)] == ["JSON_MALFORMED"]


def test_every_word_can_be_chosen(shop: Any, fake: Fake) -> None:
    fake.on("POST", HOOK, (200, {}))
    client = shop(postback_url=fake.url + HOOK, postback_on=list(STATUSES))
    client("POST", "api/order", order_of())
    CarrierAccount.objects.create(name="Parcel shop", carrier="manual")
    Delivery.objects.filter(listener="check").delete()
    order = Order.objects.get()
    for verb in ("accept", "release", "start", "reprocess", "start", "finish"):
        order = move(order, verb, by="user:ada")
    order.items.update(packed=2)
    for verb in ("package", "ship", "arrive", "come_back"):
        order = move(order, verb, by="user:ada")
    sweep()
    assert [each["OrderStatus"] for each in told(fake)] == [
        "received", "validated", "printready", "processing", "printready", "processing", "printed", "shipped", "delivered",
        "returned"]  # fmt: skip
