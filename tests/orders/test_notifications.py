"""Webhooks and mail, against a real receiver; signatures are verified by the independent library."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from standardwebhooks import Webhook

from orders import webhooks
from orders.events import LISTENERS, sweep
from orders.models import Attempt, Customer, Delivery, Order, Trigger
from orders.services import amend, move
from tests.orders.receiver import Receiver


@pytest.fixture(autouse=True)
def only_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.events.LISTENERS", {"trigger": LISTENERS["trigger"]})


@pytest.fixture
def trigger(customer: Customer, receiver: Receiver) -> Trigger:
    return Trigger.objects.create(name="Hook", customer=customer, event="order.*", address=receiver.url)


def due_now() -> None:
    Delivery.objects.filter(state="due").update(due=timezone.now() - timedelta(seconds=1))


def test_the_signature_is_that_of_the_specification() -> None:
    headers = webhooks.signed(
        "msg_01TEST",
        1768469400,
        b'{"type":"order.shipped","timestamp":"2026-01-15T09:30:00Z","data":{"id":"ord_9"}}',
        secret="whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    )
    assert headers["webhook-signature"] == "v1,6kPrKllDfeDGa6e0MR15pXk46X5mULwd+KmEHI1XgXA="


def test_a_webhook_is_signed_and_tells_the_event(trigger: Trigger, receiver: Receiver, order: Order) -> None:
    sweep()
    headers, body = receiver.got[0]
    told = Webhook(trigger.secret).verify(body, headers)
    assert told == json.loads(body)
    assert (told["type"], told["data"]["sequence"]) == ("order.received", 1)
    assert told["data"]["customer"]["referenceId"] == "acme"
    assert told["data"]["order"]["referenceId"] == "ACME-1"
    assert headers["webhook-id"] == told["data"]["eventId"]


def test_one_orders_events_arrive_in_order_even_when_the_first_fails(
    trigger: Trigger, receiver: Receiver, order: Order
) -> None:
    receiver.answers = [(500, {})]
    move(order, Order.accept, by="system")
    sweep()
    assert len(receiver.got) == 1
    due_now()
    sweep()
    kinds = [json.loads(body)["type"] for _, body in receiver.got]
    assert kinds == ["order.received", "order.received", "order.passed"]
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 429, 500])
def test_anything_but_2xx_is_a_failure_and_is_kept_as_an_attempt(
    trigger: Trigger, receiver: Receiver, order: Order, status: int
) -> None:
    receiver.answers = [(status, {"Location": receiver.url})]
    sweep()
    assert len(receiver.got) == 1
    assert Delivery.objects.get().state == "due"
    report = Attempt.objects.get().report
    assert report["answer"]["status"] == status
    assert report["request"]["url"] == receiver.url


def test_retry_after_is_honoured(trigger: Trigger, receiver: Receiver, order: Order) -> None:
    receiver.answers = [(429, {"Retry-After": "600"})]
    sweep()
    assert (Delivery.objects.get().due - timezone.now()).total_seconds() > 590


def test_without_retries_a_failure_is_final(trigger: Trigger, receiver: Receiver, order: Order) -> None:
    Trigger.objects.update(retry=False)
    receiver.answers = [(500, {})]
    sweep()
    assert Delivery.objects.get().state == "given_up"


def test_an_endpoint_inside_our_network_is_never_reached(
    trigger: Trigger, receiver: Receiver, order: Order, settings: Any
) -> None:
    settings.FETCH_ALLOWED_HOSTS = []
    sweep()
    assert receiver.got == []
    assert Delivery.objects.get().state == "given_up"


def test_a_trigger_hears_only_its_customers_events_of_its_kind(receiver: Receiver, customer: Customer) -> None:
    other = Customer.objects.create(reference="other", name="Other")
    mine = Trigger.objects.create(name="mine", customer=customer, event="order.received", address=receiver.url)
    everyone = Trigger.objects.create(name="all", event="*", address=receiver.url)
    Trigger.objects.create(name="other's", customer=other, event="*", address=receiver.url)
    Trigger.objects.create(name="off", event="*", address=receiver.url, active=False)
    Trigger.objects.create(name="another kind", event="order.shipped", address=receiver.url)
    from orders.drafts import read
    from orders.services import place

    draft = {"orderReferenceId": "X", "shippingAddress": {}, "items": [{"quantity": 1}]}
    place(read(draft), customer=customer, products=[None], by="x")
    assert {delivery.target for delivery in Delivery.objects.all()} == {str(mine.pk), str(everyone.pk)}


def test_what_staff_note_among_themselves_is_told_to_nobody(trigger: Trigger, order: Order) -> None:
    amend(order, by="user:ada", note="Customer is difficult")
    assert [delivery.event.kind for delivery in Delivery.objects.all()] == ["order.received"]


def test_mail_tells_the_problems_and_how_to_mend_them(customer: Customer, order: Order) -> None:
    Trigger.objects.create(name="mail", event="order.failed", channel="email", address="prepress@print.example")
    move(order, Order.fail, by="system", reason="Press jam")
    sweep()
    message = mail.outbox[0]
    assert (message.to, message.subject) == (["prepress@print.example"], "Order ACME-1: failed")
    assert "Press jam" in message.body
    assert "Mend the cause" in message.body


def test_a_line_break_in_a_reference_cannot_add_mail_headers(customer: Customer, order: Order) -> None:
    Trigger.objects.create(name="mail", event="order.failed", channel="email", address="prepress@print.example")
    Order.objects.update(reference="X\nBcc: all@example.com")
    move(order, Order.fail, by="system", reason="x")
    sweep()
    assert mail.outbox[0].subject == "Order X Bcc: all@example.com: failed"
    assert mail.outbox[0].recipients() == ["prepress@print.example"]


def test_the_secret_is_encrypted_at_rest(trigger: Trigger) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM orders_trigger")
        stored = cursor.fetchone()[0]
    assert trigger.secret.startswith("whsec_")
    assert trigger.secret not in stored
    assert Trigger.objects.get().secret == trigger.secret
