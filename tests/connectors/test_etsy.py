"""Etsy: a signed call that only points to a receipt, the receipt with tokens that rotate, tracking codes, and asking."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gelatoconnect.lib import signing
from gelatoconnect.lib.problems import Rejected
from intake import polling
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Message
from intake.models import Connector, OrderRequest
from orders.events import replay, sweep
from orders.models import Delivery, Order
from tests.connectors.etsy_api import RECEIPTS, EtsyApi, now
from tests.connectors.fakes import Fake
from tests.connectors.mutations import mutations
from tests.connectors.walk import walk

ETSY = CONNECTOR_TYPES["etsy"]
SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "etsy"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
FORMER = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


@pytest.fixture
def etsy(fake: Fake) -> EtsyApi:
    return EtsyApi(fake)


@pytest.fixture
def shop(channel: Callable[..., Connector], fake: Fake) -> Connector:
    return channel("etsy", shop_id="1111", secret=SECRET, former_secret=FORMER, keystring="key", shared_secret="shared",
                   refresh_token="refresh-1", api=fake.url, note_to_buyer="Thank you",
                   carriers="parcel-shop=dhl, *=ups")  # fmt: skip


@pytest.fixture
def paid(shop: Connector, send: Callable[..., Any], fake: Fake) -> Callable[..., Any]:
    """`paid(3000)`: Etsy's call that a receipt was paid."""

    def call(number: int, *, id: str = "", secret: str = SECRET, at: int = 0, sign: Any = (), **changes: Any) -> Any:
        said = {
            "event_type": "order.paid",
            "resource_url": f"{fake.url}{RECEIPTS}/{number}",
            "shop_id": "1111",
        } | changes
        body = json.dumps(said).encode()
        return send(shop, body, **signing.signed(id or f"msg_{number}", at or now(), body, secret=secret) | dict(sign))

    return call


def problems() -> list[list[str]]:
    return [[problem["code"] for problem in request.problems] for request in OrderRequest.objects.order_by("id")]


def memory() -> dict[str, Any]:
    return json.loads(Connector.objects.get().memory or "{}")


# --- the call ---
def test_a_paid_receipt_is_fetched_and_becomes_an_order(paid: Callable[..., Any], etsy: EtsyApi) -> None:
    etsy.add(3000)
    answer = paid(3000)
    assert (answer.status_code, answer.json(), Order.objects.count()) == (200, {"received": True}, 0)
    sweep()
    order = Order.objects.get()
    assert (order.reference, order.source_id, order.channel, order.currency) == ("3000", "3000", "etsy", "EUR")
    item = order.items.get()
    assert (item.reference, item.product_uid, item.quantity, item.retail_price) == ("41", "card-a6", 2, 1290)
    assert [file.url for file in item.files.all()] == ["https://files.example/card.pdf"]
    assert OrderRequest.objects.get().state == "accepted"


@pytest.mark.parametrize("more", [{"secret": FORMER}, {"event_type": "ORDER_PAID"}, {"shop_id": None}])
def test_calls_may_differ_a_little(paid: Callable[..., Any], etsy: EtsyApi, more: dict[str, Any]) -> None:
    etsy.add(3000)
    assert paid(3000, **more).status_code == 200
    sweep()
    assert Order.objects.count() == 1


def test_one_good_signature_of_several_is_enough(paid: Callable[..., Any], shop: Connector, fake: Fake) -> None:
    body = json.dumps(
        {"event_type": "order.paid", "resource_url": f"{fake.url}{RECEIPTS}/3000", "shop_id": "1111"}
    ).encode()
    good = signing.signed("msg_3000", now(), body, secret=SECRET)["webhook-signature"]
    assert paid(3000, at=now(), sign={"webhook-signature": f"v1,AAAA v1a,BBBB {good}"}).status_code == 200


@pytest.mark.parametrize(
    ("more", "code"),
    [({"at": 1768469400}, "TIMESTAMP_STALE"), ({"at": now() + 900}, "TIMESTAMP_STALE"),
     ({"secret": "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"}, "SIGNATURE_INVALID"),
     ({"sign": {"webhook-id": "msg_other"}}, "SIGNATURE_INVALID"),
     ({"sign": {"webhook-signature": ""}}, "SIGNATURE_MISSING")],
)  # fmt: skip
def test_a_call_that_is_not_etsy_s_is_refused(
    paid: Callable[..., Any], fake: Fake, more: dict[str, Any], code: str
) -> None:
    answer = paid(3000, **more)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, code)
    sweep()
    assert (Order.objects.count(), fake.sent) == (0, [])


def test_the_same_call_again_is_one_request(paid: Callable[..., Any], etsy: EtsyApi) -> None:
    etsy.add(3000)
    assert [paid(3000).status_code, paid(3000).status_code] == [200, 200]
    sweep()
    paid(3000)
    sweep()
    assert (OrderRequest.objects.count(), Order.objects.count()) == (1, 1)


def test_another_call_for_a_known_receipt_makes_no_second_order(paid: Callable[..., Any], etsy: EtsyApi) -> None:
    etsy.add(3000)
    paid(3000)
    sweep()
    paid(3000, id="msg_other")
    sweep()
    assert (Order.objects.count(), problems()[1]) == (1, ["ORDER_KNOWN"])


def test_calls_about_other_things_are_kept_and_left_alone(paid: Callable[..., Any], fake: Fake) -> None:
    paid(1, event_type="listing.updated", resource_url=f"{fake.url}/v3/application/listings/1")
    sweep()
    assert (OrderRequest.objects.get().state, fake.sent) == ("ignored", [])


@pytest.mark.parametrize(
    ("url", "code"),
    [("https://evil.example/v3/application/shops/1111/receipts/3000", "SOURCE_FOREIGN"),
     ("{api}@evil.example/v3/application/shops/1111/receipts/3000", "SOURCE_FOREIGN"),
     ("{api}/v3/application/shops/1111/receipts/3000/../../../2222/receipts/1", "SOURCE_FOREIGN"),
     ("{api}/v3/application/shops/2222/receipts/3000", "SHOP_FOREIGN"), ("http://[", "SOURCE_FOREIGN"),
     (None, "SOURCE_FOREIGN"), ({"a": 1}, "SOURCE_FOREIGN")],
)  # fmt: skip
def test_our_token_goes_nowhere_else(paid: Callable[..., Any], etsy: EtsyApi, url: Any, code: str) -> None:
    etsy.add(3000)
    paid(3000, resource_url=url.format(api=etsy.fake.url) if isinstance(url, str) else url)
    sweep()
    assert (problems(), etsy.fake.sent, Order.objects.count()) == ([[code]], [], 0)


def test_both_names_of_etsy_s_api_are_good() -> None:
    config = ETSY.Config.model_validate({"shop_id": "1111", "keystring": "k", "refresh_token": "r"})
    body = b'{"event_type":"order.paid","resource_url":"https://api.etsy.com/v3/application/shops/1111/receipts/7"}'
    talk = ETSY.resolve(Message(body, "order.paid", config=config), {"grant": config.grant.mark, "access_token": "a",
                                                                       "expires_at": now() + 900})  # fmt: skip
    ask = next(talk)
    assert ask.url == "https://openapi.etsy.com/v3/application/shops/1111/receipts/7"


# --- tokens ---
def test_a_rotated_refresh_token_is_kept_at_once(paid: Callable[..., Any], etsy: EtsyApi) -> None:
    etsy.add(3000)
    paid(3000)
    sweep()
    assert (memory()["access_token"], memory()["refresh_token"]) == ("access-2", "refresh-2")
    etsy.add(3001)
    paid(3001)
    sweep()
    assert (Order.objects.count(), len(etsy.fake.asked("POST", "/v3/public/oauth/token"))) == (2, 1)


def test_a_token_that_is_refused_is_refreshed_once(paid: Callable[..., Any], etsy: EtsyApi, shop: Connector) -> None:
    etsy.add(3000)
    mark = ETSY.Config.model_validate_json(shop.settings).grant.mark
    known = {"grant": mark, "access_token": "revoked", "refresh_token": "refresh-1", "expires_at": now() + 3000}
    Connector.objects.update(memory=json.dumps(known))
    paid(3000)
    sweep()
    assert [sent.path.rsplit("/", 1)[-1] for sent in etsy.fake.sent] == ["3000", "token", "3000"]
    assert (Order.objects.count(), memory()["access_token"]) == (1, "access-2")


def test_a_refresh_token_typed_anew_begins_anew(paid: Callable[..., Any], etsy: EtsyApi, shop: Connector) -> None:
    etsy.add(3000)
    old = {"grant": "of another one", "access_token": "old", "refresh_token": "old", "expires_at": now() + 3000}
    Connector.objects.update(memory=json.dumps(old))
    paid(3000)
    sweep()
    assert (Order.objects.count(), memory()["refresh_token"]) == (1, "refresh-2")


def test_a_refresh_token_that_is_dead_is_said(paid: Callable[..., Any], etsy: EtsyApi) -> None:
    etsy.turn = 9
    etsy.add(3000)
    paid(3000)
    sweep()
    request = OrderRequest.objects.get()
    assert (request.state, problems()) == ("rejected", [["SOURCE_REFUSED"]])
    assert "authorize the app once more" in request.problems[0]["message"]


# --- what the receipt says ---
@pytest.mark.parametrize(
    ("changes", "code"),
    [({"status": "Open", "is_paid": False}, "REQUEST_IGNORED"), ({"is_shipped": True}, "REQUEST_IGNORED"),
     ({"status": "Canceled"}, "ORDER_CANCELED_BEFORE"), ({"transactions": []}, "ORDER_NOTHING_TO_PRINT")],
)  # fmt: skip
def test_what_is_not_to_be_produced_is_not_made(
    paid: Callable[..., Any], etsy: EtsyApi, changes: dict, code: str
) -> None:
    etsy.add(3000, **changes)
    paid(3000)
    sweep()
    assert (problems(), Order.objects.count()) == ([[code]], 0)


def test_a_maintenance_page_is_no_receipt(paid: Callable[..., Any], etsy: EtsyApi) -> None:
    etsy.fake.on("GET", rf"{RECEIPTS}/\d+", lambda *_: (200, b"<html>Back soon</html>"))
    paid(3000)
    sweep()
    assert (OrderRequest.objects.get().state, Delivery.objects.get(listener="read").state) == ("received", "due")


@pytest.mark.parametrize("name", ["paid", "wrapped-and-odd"])
def test_whatever_is_wrong_with_a_receipt_is_said(name: str) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    config = ETSY.Config.model_validate({"shop_id": "1111", "keystring": "k", "refresh_token": "r"})
    for body in mutations(sample):
        try:
            ETSY.parse(Message(body, "order.paid", config=config))
        except Rejected as refusal:
            assert refusal.problems


def test_whatever_is_wrong_with_a_call_is_said() -> None:
    config = ETSY.Config.model_validate({"shop_id": "1111", "keystring": "k", "refresh_token": "r"})
    sample = {
        "event_type": "order.paid",
        "resource_url": "https://api.etsy.com/v3/application/shops/1111/receipts/7",
        "shop_id": "1111",
    }
    for body in mutations(sample):
        try:
            next(ETSY.resolve(Message(body, "order.paid", config=config), {}), None)
        except Rejected as refusal:
            assert refusal.problems


# --- the way back ---
def test_a_receipt_is_walked_to_shipped_and_etsy_hears_the_tracking_code(
    paid: Callable[..., Any], etsy: EtsyApi, file_server: Any, good_pdf: bytes, settings: Any
) -> None:
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, etsy.fake.host]
    etsy.add(3000, file_url=file_server.add("card.pdf", good_pdf))
    paid(3000)
    sweep()
    order = walk(Order.objects.get())
    told = etsy.fake.asked("POST", rf"{RECEIPTS}/3000/tracking")
    code = etsy.receipts["3000"]["shipments"][0]["tracking_code"]
    assert [sent.form for sent in told] == [
        {"tracking_code": code, "carrier_name": "dhl", "send_bcc": "false", "note_to_buyer": "Thank you"}
    ]
    assert (told[0].headers["content-type"], order.status) == ("application/x-www-form-urlencoded", "shipped")
    replay(Delivery.objects.filter(listener="postback"))
    sweep()
    assert len(etsy.fake.asked("POST", rf"{RECEIPTS}/3000/tracking")) == 1


def test_a_tracking_code_that_etsy_could_not_take_is_sent_again(
    paid: Callable[..., Any], etsy: EtsyApi, file_server: Any, good_pdf: bytes, settings: Any
) -> None:
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, etsy.fake.host]
    etsy.add(3000, file_url=file_server.add("card.pdf", good_pdf))
    paid(3000)
    sweep()
    route = etsy.fake.routes[0]
    Connector.objects.update(memory=json.dumps(memory() | {"expires_at": 0}))
    etsy.fake.on("POST", rf"{RECEIPTS}/3000/tracking", (503, {}))
    walk(Order.objects.get())
    failed = Delivery.objects.get(listener="postback")
    assert (failed.state, failed.attempts, etsy.receipts["3000"]["shipments"]) == ("due", 1, [])
    shown = json.dumps([attempt.report for attempt in failed.tries.all()])
    assert not any(secret in shown for secret in ("refresh-2", "refresh-3", "access-3", "key:shared"))
    assert "oauth/token" in shown
    etsy.fake.routes[:2] = [route]
    Delivery.objects.filter(pk=failed.pk).update(due=failed.event.at)
    sweep()
    assert (Delivery.objects.get(listener="postback").state, len(etsy.receipts["3000"]["shipments"])) == ("done", 1)


# --- asking ---
def test_receipts_that_were_never_sent_are_found(shop: Connector, etsy: EtsyApi) -> None:
    for number in range(1, 121):
        etsy.add(number, updated_timestamp=now())
    etsy.add(900, updated_timestamp=now() - 30 * 86400)
    etsy.add(901, updated_timestamp=now(), status="Open", is_paid=True)
    assert polling.pull(shop) == 120
    assert (Order.objects.count(), Order.objects.filter(source_id__in=["900", "901"]).count()) == (120, 0)
    assert OrderRequest.objects.filter(recovered=True, source_id="7").count() == 1
    shop.refresh_from_db()
    assert (polling.pull(shop), OrderRequest.objects.count(), shop.pull_error) == (0, 120, "")


def test_a_known_order_that_was_canceled_at_etsy_is_canceled(
    paid: Callable[..., Any], shop: Connector, etsy: EtsyApi
) -> None:
    etsy.add(3000)
    paid(3000)
    sweep(seconds=0.2)
    etsy.add(3000, updated_timestamp=now(), status="Canceled")
    for _ in range(2):
        polling.pull(Connector.objects.get())
    assert (Order.objects.get().status, OrderRequest.objects.count()) == ("canceled", 2)


def test_a_receipt_whose_call_was_ignored_is_found_once_it_is_paid(
    paid: Callable[..., Any], shop: Connector, etsy: EtsyApi
) -> None:
    etsy.add(3000, status="Payment Processing", is_paid=False)
    paid(3000)
    sweep()
    etsy.add(3000, updated_timestamp=now())
    assert polling.pull(Connector.objects.get()) == 1
    assert Order.objects.get().source_id == "3000"


def test_the_example_points_to_its_receipt(shop: Connector, etsy: EtsyApi, send: Callable[..., Any]) -> None:
    etsy.add(77)
    call = ETSY.example(ETSY.Config.model_validate_json(shop.settings), number=77, sku="card-a6", file_url="")
    assert send(shop, call.body, **call.headers).status_code == 200
    sweep()
    assert Order.objects.get().reference == "77"


@pytest.mark.parametrize(
    "wrong", [{"secret": "no base64"}, {"shop_id": "my shop"}, {"api": "http://api.example"}, {"keystring": ""}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        ETSY.Config.model_validate({"shop_id": "1", "keystring": "k", "refresh_token": "r"} | wrong)
