"""The privacy topics: what is known of a recipient is told, and forgotten, wherever it stands."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from gelatoconnect.lib import storage
from intake.models import ApiKey, Connector, FileFacts, OrderRequest
from orders import privacy
from orders.drafts import Address
from orders.events import sweep
from orders.models import Event, Order, PrintFile, Product, Trigger
from orders.services import amend, move
from shipping.models import Package
from tests.conftest import FileServer
from tests.connectors.shopify_shop import SECRET, SHOP, order_of, post
from tests.connectors.walk import walk

PERSON = {"id": 191_167_000_001, "email": "lena@example.com", "phone": "+49 228 123456"}
# What must not stand anywhere when the person is forgotten.
TRACES = ("lena", "koch", "weg 3", "weg 4", "bonn", "53111", "191167000001", "card.pdf")


@pytest.fixture
def connector(channel: Callable[..., Connector]) -> Connector:
    return channel("shopify", shop=SHOP, secret=SECRET)


@pytest.fixture
def url(file_server: FileServer, good_pdf: bytes) -> str:
    return file_server.add("card.pdf", good_pdf)


def ask(send: Any, connector: Connector, topic: str, **said: Any) -> Any:
    body = {"shop_id": 954_889, "shop_domain": SHOP, **said}
    answer = post(send, connector, body, topic=topic)
    sweep()
    return answer


def traces() -> list[str]:
    """Tables and columns in which something of the person stands, in the whole database."""
    found = []
    for model in apps.get_models():
        if not model._meta.managed or model._meta.app_label not in ("orders", "intake", "shipping"):
            continue
        for row in model._default_manager.values():
            said = {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
            found += [f"{model._meta.label}.{name}: {value!r}"[:200] for name, value in said.items()
                      if any(trace in str(value).lower() for trace in TRACES)]  # fmt: skip
    return found


def delivered(send: Any, connector: Connector, url: str, **changes: Any) -> Order:
    """An order that went its whole way, with a label, a change of address, a note and a webhook that told of it."""
    post(send, connector, order_of(url, note="For Lena", **changes))
    order = Order.objects.latest("id")
    amend(order, by="user:ada", address=Address(first_name="Lena", last_name="Koch", address_line1="Weg 4", city="Bonn",
                                                post_code="53111", country="DE", email="lena@example.com"))  # fmt: skip
    amend(order, by="user:ada", note="Lena called")
    walk(order)
    return move(Order.objects.get(pk=order.pk), "arrive", by="user:ada")


# --- to be told -----------------------------------------------------------------------------------------
def test_what_is_known_of_a_recipient_is_shown_and_mailed_to_the_customer(
    connector: Connector, send: Any, url: str, admin_client: Client
) -> None:
    order = delivered(send, connector, url)
    post(send, connector, order_of(url, id=7_000_000_000_009, financial_status="pending"))
    post(send, connector, order_of(url, id=7_000_000_000_008, name="#7", email="other@example.com"))
    answer = ask(send, connector, "customers/data_request", customer=PERSON, orders_requested=[7_000_000_000_001])
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    request = OrderRequest.objects.get(topic="customers/data_request")
    said = json.loads(request.answer)
    assert [each["id"] for each in said["orders"]] == [str(order.pk)]
    assert said["orders"][0]["shippingAddress"]["addressLine1"] == "Weg 4"
    assert said["orders"][0]["items"][0]["metadata"]["Name"] == "Lena"
    assert [each["event"] for each in said["orders"][0]["history"]][:2] == ["order.received", "order.amended"]
    assert [each["topic"] for each in said["orders"][0]["requests"]] == ["orders/paid"]
    assert [json.loads(each["body"])["financial_status"] for each in said["requests"]] == ["pending"]
    assert [(each.to, each.attachments[0][1] == request.answer) for each in mail.outbox] == [
        (["orders@acme.example"], True)]  # fmt: skip
    page = admin_client.get(f"/requests/{request.pk}").content.decode()
    assert "Weg 4" in page


def test_a_repetition_of_the_call_does_not_hand_the_export_to_the_sender(connector: Connector, send: Any) -> None:
    post(send, connector, order_of())
    body = {"shop_domain": SHOP, "customer": PERSON, "orders_requested": [7_000_000_000_001]}
    for _ in range(2):
        answer = post(send, connector, body, topic="customers/data_request", id="w-1")
        sweep()
        assert answer.json() == {"received": True}
    assert len(mail.outbox) == 1


# --- to be forgotten ------------------------------------------------------------------------------------
def test_a_recipient_is_forgotten_wherever_something_of_them_stands(
    connector: Connector, send: Any, url: str, django_capture_on_commit_callbacks: Any
) -> None:
    trigger = Trigger.objects.create(name="tell", customer=connector.customer, event="order.*", channel="email",
                                     address="staff@acme.example")  # fmt: skip
    order = delivered(send, connector, url)
    sweep()
    post(send, connector, order_of(url, id=7_000_000_000_009, name="#9", financial_status="pending"))
    refused = order_of(url, id=7_000_000_000_010, name="#10")
    refused["shipping_address"]["country_code"] = "QQ"
    post(send, connector, refused)
    ask(send, connector, "customers/data_request", customer=PERSON, orders_requested=[7_000_000_000_001])
    sha256, label = PrintFile.objects.get().sha256, Package.objects.get().label
    kept = [storage.path_of(sha256), storage.previews_of(sha256), storage.path_of(label)]
    assert [path.exists() for path in kept] == [True, True, True]
    assert traces() != []
    fingerprints = list(OrderRequest.objects.order_by("id").values_list("fingerprint", flat=True))
    events = order.events.count()

    with django_capture_on_commit_callbacks(execute=True):
        answer = ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=[7_000_000_000_001])
        assert [path.exists() for path in kept] == [True, True, True]  # until it is committed
    assert (answer.status_code, traces()) == (200, [])
    assert [path.exists() for path in kept] == [False, False, False]
    now = Order.objects.get()
    assert (now.status, now.reference, now.source_id, now.country, now.items.get().quantity,
            now.items.get().retail_price) == ("delivered", "#1042", "7000000000001", "DE", 2, 1290)  # fmt: skip
    assert now.events.count() == events + 1
    assert Event.objects.filter(order=now).latest("sequence").kind == "order.forgotten"
    assert (
        list(OrderRequest.objects.order_by("id").values_list("fingerprint", flat=True))[: len(fingerprints)]
        == fingerprints
    )
    assert OrderRequest.objects.exclude(body=b"").count() == 0
    assert trigger.active

    again = ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=[7_000_000_000_001])
    assert (again.status_code, Order.objects.get().events.count(), traces()) == (200, events + 1, [])


def test_pages_of_a_forgotten_order_still_open(connector: Connector, send: Any, url: str, admin_client: Client) -> None:
    order = delivered(send, connector, url)
    ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=[7_000_000_000_001])
    pages = [f"/orders/{order.pk}", "/orders", "/requests"]
    pages += [f"/requests/{pk}" for pk in OrderRequest.objects.values_list("pk", flat=True)]
    assert [admin_client.get(page).status_code for page in pages] == [200] * len(pages)


def test_an_order_sent_again_after_it_was_forgotten_is_not_born_again(
    connector: Connector, send: Any, url: str
) -> None:
    delivered(send, connector, url)
    ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=[7_000_000_000_001])
    assert post(send, connector, order_of(url), topic="orders/updated").status_code == 200
    assert (Order.objects.count(), Order.objects.get().address.name) == (1, "")


def test_an_order_that_has_not_ended_is_forgotten_when_it_has(connector: Connector, send: Any, url: str) -> None:
    post(send, connector, order_of(url))
    order = walk(Order.objects.get(), to="created")
    ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=["7000000000001"])
    assert Order.objects.get().address.last_name == "Koch"
    assert privacy.forget_due() == 0
    move(order, Order.cancel, by="user:ada", reason="Lena called")
    assert privacy.forget_due() == 1
    sweep()
    assert (traces(), Order.objects.get().status, privacy.forget_due()) == ([], "canceled", 0)


def test_a_parcel_that_nobody_scans_counts_as_delivered_after_a_month(
    connector: Connector, send: Any, url: str
) -> None:
    post(send, connector, order_of(url))
    walk(Order.objects.get())
    ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=[7_000_000_000_001])
    assert Order.objects.get().address.last_name == "Koch"
    Order.objects.update(status_since=timezone.now() - timedelta(days=31))
    assert (privacy.forget_due(), Order.objects.get().address.last_name) == (1, "")


def test_a_print_file_that_another_order_prints_too_stays(
    connector: Connector, send: Any, url: str, django_capture_on_commit_callbacks: Any
) -> None:
    first = delivered(send, connector, url)
    post(send, connector, order_of(url, id=7_000_000_000_002, name="#1043", email="ola@example.com"))
    second = walk(Order.objects.get(source_id="7000000000002"), to="created")
    path = storage.path_of(PrintFile.objects.filter(item__order=second).get().sha256)
    with django_capture_on_commit_callbacks(execute=True):
        privacy.erase(first, by="user:ada")
    assert (path.exists(), Order.objects.get(pk=second.pk).address.last_name) == (True, "Koch")
    with django_capture_on_commit_callbacks(execute=True):
        privacy.erase(second, by="user:ada")
    assert (path.exists(), FileFacts.objects.count()) == (False, 0)  # if it comes again it is looked into anew


def test_another_connector_orders_of_the_same_person_are_not_touched(
    connector: Connector, channel: Callable[..., Connector], send: Any
) -> None:
    other = channel("shopify", name="other", shop=SHOP, secret=SECRET)
    post(send, other, order_of())
    ask(send, connector, "customers/redact", customer=PERSON, orders_to_redact=[7_000_000_000_001])
    order = Order.objects.get()
    assert (order.address.last_name, order.address.erase_at) == ("Koch", None)


# --- the whole shop -------------------------------------------------------------------------------------
def test_a_shop_that_leaves_is_forgotten_with_its_secrets(connector: Connector, send: Any, url: str) -> None:
    ApiKey.objects.create(connector=connector, key="k", secret_hash="h")
    Connector.objects.filter(pk=connector.pk).update(memory='{"token": "t"}')
    delivered(send, connector, url)
    post(send, connector, order_of(url, id=7_000_000_000_002, name="#1043"))
    post(send, connector, order_of(url, id=7_000_000_000_003, name="#1044", financial_status="pending"))
    open_ = Order.objects.get(source_id="7000000000002")
    assert ask(send, connector, "shop/redact").status_code == 200
    gone = Connector.objects.get()
    assert (gone.settings, gone.memory, gone.active) == ("", "", False)
    assert ApiKey.objects.get().revoked_at is not None
    assert Order.objects.get(source_id="7000000000001").address.last_name == ""
    assert Order.objects.get(pk=open_.pk).address.erase_at is not None
    assert post(send, connector, order_of(url, id=7_000_000_000_004)).status_code == 404
    if Order.objects.get(pk=open_.pk).address.last_name:
        move(Order.objects.get(pk=open_.pk), Order.cancel, by="user:ada")
        privacy.forget_due()
    assert traces() == []


def test_a_call_that_cannot_be_read_forgets_nobody(connector: Connector, send: Any) -> None:
    post(send, connector, order_of())
    for topic in ("shop/redact", "customers/redact"):
        post(send, connector, [], topic=topic)
        sweep()
    assert ask(send, connector, "shop/redact", shop_domain="other.myshopify.com").status_code == 200
    assert (Connector.objects.get().active, Order.objects.get().address.erase_at) == (True, None)


# --- by hand --------------------------------------------------------------------------------------------
def test_the_command_forgets_by_reference_or_email(connector: Connector, send: Any, url: str, capsys: Any) -> None:
    delivered(send, connector, url)
    post(send, connector, order_of(url, id=7_000_000_000_002, name="#1043"))
    walk(Order.objects.get(source_id="7000000000002"), to="created")
    call_command("forget", "#1042")
    assert capsys.readouterr().out == "1 forgotten, 0 as soon as they have ended.\n"
    call_command("forget", "LENA@example.com")
    assert capsys.readouterr().out == "0 forgotten, 1 as soon as they have ended.\n"
    with pytest.raises(CommandError, match="No order has 'nobody'"):
        call_command("forget", "nobody")


def test_an_order_is_forgotten_as_a_whole_or_not_at_all(connector: Connector, send: Any, url: str) -> None:
    order = delivered(send, connector, url)
    path: Path = storage.path_of(PrintFile.objects.get().sha256)
    keeper = privacy.Keeper("broken", lambda order: 1 / 0, lambda order: None, lambda contents: set())  # type: ignore[arg-type, return-value]
    privacy.KEEPERS.append(keeper)
    try:
        with pytest.raises(ZeroDivisionError):
            privacy.erase(order, by="user:ada")
    finally:
        privacy.KEEPERS.remove(keeper)
    assert (path.exists(), Order.objects.get().address.last_name) == (True, "Koch")


def test_products_are_not_forgotten(connector: Connector, send: Any, url: str, product: Product) -> None:
    order = delivered(send, connector, url)
    privacy.erase(order, by="user:ada")
    assert Order.objects.get().items.get().product == product
