"""What triggers tell: their conditions, templates, XML, headers, secrets and mail."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core import mail
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from gelatoconnect.lib import xml
from gelatoconnect.lib.secrets import new_signing_secret
from orders import webhooks
from orders.events import LISTENERS, sweep
from orders.mails import compose
from orders.models import Attempt, Customer, Delivery, Event, Order, Product, Trigger
from orders.notifications import KINDS, make, matching, sample_kind, try_out
from orders.payloads import Occasion, as_json, as_xml, payload
from orders.services import move, place
from tests.factories import make_draft
from tests.orders.receiver import Receiver
from tests.orders.smtp import MailServer


@pytest.fixture(autouse=True)
def only_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.events.LISTENERS", {"trigger": LISTENERS["trigger"]})


@pytest.fixture
def hook(receiver: Receiver) -> Callable[..., Trigger]:
    """Makes a webhook's trigger that leads to the receiver."""

    def made(**fields: Any) -> Trigger:
        return Trigger.objects.create(**{"name": "Hook", "event": "order.received", "address": receiver.url} | fields)

    return made


@pytest.fixture
def by_mail() -> Callable[..., Trigger]:
    def made(**fields: Any) -> Trigger:
        known = {"name": "Mail", "event": "order.*", "channel": "email", "address": "a@print.example"}
        return Trigger.objects.create(**known | fields)

    return made


def placed(customer: Customer, product: Product, *, channel: str = "api", country: str = "NO") -> Order:
    draft = make_draft()
    draft.shipping_address.country = country
    return place(draft, customer=customer, products=[product], by="connector:x", channel=channel)


# --- conditions --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("conditions", "told"), [
    ({}, True), ({"channels": ["shopify", "api"]}, True), ({"channels": ["shopify"]}, False),
    ({"countries": ["NO"]}, True), ({"countries": ["DE", "SE"]}, False), ({"products": ["mug", "card-a6"]}, True),
    ({"products": ["mug"]}, False), ({"channels": ["api"], "countries": ["NO"], "products": ["card-a6"]}, True),
    ({"channels": ["api"], "countries": ["NO"], "products": ["mug"]}, False),
    ({"channels": ["api"], "countries": ["DE"], "products": ["card-a6"]}, False),
])  # fmt: skip
def test_all_conditions_must_fit_from_the_first_event_on(
    conditions: dict[str, Any], told: bool, hook: Any, customer: Customer, product: Product
) -> None:
    hook(event="order.*", **conditions)
    order = placed(customer, product)
    move(order, Order.accept, by="system")
    assert [each.event.kind for each in Delivery.objects.order_by("id")] == ["order.received", "order.passed"] * told


def test_an_item_that_no_product_was_found_for_counts_by_the_sender_s_own_word(hook: Any, customer: Customer) -> None:
    hook(products=["card-a6"])
    draft = make_draft(items=[{"productUid": "card-a6", "quantity": 1}])
    place(draft, customer=customer, products=[None], by="x")
    assert Delivery.objects.count() == 1


def test_of_what_happens_without_an_order_only_triggers_without_conditions_hear(hook: Any, db: None) -> None:
    plain = hook(event="*")
    hook(event="*", channels=["api"])
    assert list(matching(Event(kind="request.rejected"))) == [str(plain.pk)]


def test_it_is_found_out_in_one_query_and_products_are_asked_once_when_they_matter(
    hook: Any, order: Order, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        hook(event="*", channels=["api"], countries=["NO"])
    event = Event.objects.select_related("order").get()
    with django_assert_num_queries(1):
        assert len(list(matching(event))) == 3
    for product in ("mug", "card-a6", "poster"):
        hook(event="*", products=[product])
    with django_assert_num_queries(2):
        assert len(list(matching(event))) == 4


def test_products_are_not_asked_for_events_and_channels_that_do_not_fit(
    hook: Any, order: Order, django_assert_num_queries: Any
) -> None:
    hook(event="order.shipped", products=["mug"])
    hook(event="*", products=["mug"], channels=["shopify"])
    event = Event.objects.select_related("order").get()
    with django_assert_num_queries(1):
        assert list(matching(event)) == []


# --- bodies ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_it_is_sent_by_the_method_that_was_chosen(method: str, hook: Any, receiver: Receiver, order: Order) -> None:
    hook(method=method)
    told_again(order)
    sweep()
    assert receiver.methods == [method]
    assert Attempt.objects.get().report["request"]["method"] == method


def told_again(order: Order) -> Delivery:
    """The order's first event, told to the trigger that was made after it."""
    return Delivery.objects.create(event=order.events.first(), order=order, listener="trigger",
                                   target=str(Trigger.objects.get().pk), due=timezone.now())  # fmt: skip


def test_xml_says_what_json_says(hook: Any, receiver: Receiver, order: Order) -> None:
    trigger = hook(format="xml")
    told_again(order)
    sweep()
    headers, body = receiver.got[0]
    assert headers["content-type"] == "application/xml; charset=utf-8"
    root = xml.loads(body, max_bytes=10_000)
    said = payload(order.events.first())
    assert (root.tag, root.findtext("type"), root.findtext("data/order/referenceId")) == (
        "event",
        said["type"],
        "ACME-1",
    )
    assert root.findtext("data/order/items/item/quantity") == "2"
    signed = webhooks.signed(headers["webhook-id"], int(headers["webhook-timestamp"]), body, secret=trigger.secret)
    assert headers["webhook-signature"] == signed["webhook-signature"]


def test_the_xml_of_any_data_is_well_formed_and_says_it() -> None:
    said = {
        "text": 'a < b & "c" > d\r\ne', "bad": "\x00\x0b\ufffe\U0001f5a8", "none": None, "yes": True, "no": False, "n": 1.5,
        "items": [{"id": 1}, {"id": 2}], "s": [1], "data": ["x", ["y"]], "empty": [], "nothing": {}, "xml": 1,
        "a key": 1, "1st": {"<k>": '"'}, "": 2, "\x00": 3, "ns:x": 4, "metadatas": {"k": "v"}, "zero": 0,
    }  # fmt: skip
    root = ElementTree.fromstring(as_xml(said))
    assert root.findtext("text") == 'a < b & "c" > d\r\ne'
    assert root.findtext("bad") == "\U0001f5a8"
    assert [root.findtext(name) for name in ("none", "yes", "no", "n", "zero", "empty")] == [
        "",
        "true",
        "false",
        "1.5",
        "0",
        "",
    ]
    assert [each.findtext("id") for each in root.findall("items/item")] == ["1", "2"]
    assert [root.findtext("s/entry"), root.findtext("data/entry")] == ["1", "x"]
    assert root.findtext("entry[@key='xml']") == "1"
    assert root.find("entry[@key='1st']/entry").get("key") == "<k>"
    assert root.findtext("metadatas/k") == "v"


def test_a_template_makes_the_body_of_all_that_is_known(hook: Any, receiver: Receiver, order: Order) -> None:
    hook(template='{"no": {{ order.referenceId | tojson }}, "to": {{ order.shippingAddress.city | tojson }},\n'
                  '"uids": [{% for item in order.items %}{{ item.productUid | tojson }}{% endfor %}],\n'
                  '"t": "{{ title }}"}')  # fmt: skip
    told_again(order)
    sweep()
    assert json.loads(receiver.got[0][1]) == {"no": "ACME-1", "to": "Oslo", "uids": ["card-a6"], "t": "received"}


@pytest.mark.parametrize(("fields", "error"), [
    ({"template": "{\n{{ nothing }}\n}"}, "The trigger's template: Line 2: 'nothing' is not known here."),
    ({"template": "{{ order.x }"}, "The trigger's template: Line 1: "),
    ({"template": '{"a": 1,\n}'}, "The trigger's template: What it makes is not JSON: "),
    ({"template": "<a>\n<b></a>", "format": "xml"},
     "The trigger's template: What it makes is not XML: mismatched tag: line 2"),
    ({"template": " {# #} "}, "The trigger's template: The template makes nothing of this event."),
    ({"template": "{{ 'x' * 10**9 }}"}, "The trigger's template: "),
])  # fmt: skip
def test_a_template_that_fails_gives_up_visibly_and_sends_nothing(
    fields: dict[str, str], error: str, hook: Any, receiver: Receiver, order: Order
) -> None:  # fmt: skip
    hook(**fields)
    told_again(order)
    sweep()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error.startswith(error), receiver.got) == ("given_up", True, []), delivery.error


def test_anything_may_be_sent_under_its_own_content_type(hook: Any, receiver: Receiver, order: Order) -> None:
    hook(template="ref={{ order.referenceId }}", headers="Content-Type: text/plain")
    told_again(order)
    sweep()
    headers, body = receiver.got[0]
    assert (headers["content-type"], body) == ("text/plain", b"ref=ACME-1")


def test_templates_see_the_same_names_whether_the_event_is_real_or_made_up(order: Order) -> None:
    event = order.events.first()
    real, made = Occasion(event.kind, event).context(), Occasion(event.kind).context()
    assert set(real) == set(made)
    assert set(real["order"]) == set(made["order"])
    assert set(real["order"]["items"][0]) == set(made["order"]["items"][0])
    assert set(real["order"]["shippingAddress"]) == set(made["order"]["shippingAddress"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sample_that_is_sent_in_every_way(kind: str, db: None) -> None:
    for fields in ({}, {"format": "xml"}, {"channel": "email", "address": "a@b.example"}):
        make(Trigger(event=kind, **fields), Occasion(kind))
    assert json.loads(as_json(Occasion(kind).payload()))["type"] == kind


def test_the_sample_of_a_pattern_is_one_of_its_kinds() -> None:
    assert [sample_kind(each) for each in ("*", "order.*", "package.*", "request.*", "order.failed", "new.kind")] == [
        "order.shipped", "order.shipped", "package.status_updated", "request.rejected",
        "order.failed", "new.kind"]  # fmt: skip


# --- headers -----------------------------------------------------------------------------------------
def test_more_headers_are_sent_and_their_values_kept_from_the_record(
    hook: Any, receiver: Receiver, order: Order
) -> None:
    trigger = hook(headers="Authorization: Bearer t0ken\nX-Shop: 7\n")
    told_again(order)
    sweep()
    headers, body = receiver.got[0]
    assert (headers["authorization"], headers["x-shop"]) == ("Bearer t0ken", "7")
    assert Webhook(trigger.secret).verify(body, headers)["type"] == "order.received"
    kept = Attempt.objects.get().report
    assert kept["request"]["headers"]["Authorization"] == "••••••••"
    assert "t0ken" not in json.dumps(kept)
    assert kept["answer"]["headers"]["content-length"] == "0"


@pytest.mark.parametrize("text", ["Host: x", "webhook-id: x", "Content-Length: 1", "no colon", "A B: c", "A:", ": x",
                                  "A: b\x0bc", "A: 1\na: 2", "A: ü", "X-GelatoConnect-Test: true", "A\x00: b"])  # fmt: skip
def test_headers_that_are_none_or_ours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Line [12]: "):
        webhooks.headers_of(text)


def test_a_mask_stands_for_the_value_that_is_stored() -> None:
    stored = "Authorization: Bearer x\nX-Shop: 7\n"
    shown = webhooks.masked(stored)
    assert shown == "Authorization: ••••••••\nX-Shop: ••••••••\n"
    assert webhooks.unmasked(shown, stored=stored) == stored
    assert (
        webhooks.unmasked("authorization: ••••••••\nX-New: 1", stored=stored) == "authorization: Bearer x\nX-New: 1\n"
    )
    with pytest.raises(ValueError, match="Type the value of X-Other"):
        webhooks.unmasked("X-Other: ••••••••", stored=stored)


# --- secrets -----------------------------------------------------------------------------------------
def test_while_a_secret_is_exchanged_both_sign_and_then_only_the_new_one(
    hook: Any, receiver: Receiver, order: Order
) -> None:
    former = new_signing_secret()
    trigger = hook(former_secret=former, former_until=timezone.now() + timedelta(hours=24))
    delivery = told_again(order)
    sweep()
    headers, body = receiver.got[0]
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(trigger.secret).verify(body, headers) == Webhook(former).verify(body, headers)
    Trigger.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    Delivery.objects.filter(pk=delivery.pk).update(state="due", due=timezone.now())
    sweep()
    headers, body = receiver.got[1]
    assert Webhook(trigger.secret).verify(body, headers)["type"] == "order.received"
    with pytest.raises(WebhookVerificationError):
        Webhook(former).verify(body, headers)


# --- mail --------------------------------------------------------------------------------------------
def test_the_standard_mail_has_text_and_html_that_fetches_nothing(by_mail: Any, order: Order) -> None:
    by_mail(event="order.failed")
    move(order, Order.fail, by="system", reason="Press <b>jam</b>")
    sweep()
    sent = mail.outbox[0]
    (html, kind) = sent.alternatives[0]
    message = sent.message()
    assert (message.get_content_type(), kind) == ("multipart/alternative", "text/html")
    assert [part.get_content_type() for part in message.get_payload()] == ["text/plain", "text/html"]
    assert "Press <b>jam</b>" in sent.body
    assert "Press &lt;b&gt;jam&lt;/b&gt;" in html
    assert [part for part in ("<img", "<link", "<script", "url(", "@import", "src=") if part in html] == []
    report = Attempt.objects.get().report["request"]
    assert (report["to"], report["html"] == html) == ("a@print.example", True)


def test_a_mail_is_made_by_its_own_templates_and_data_never_becomes_markup(by_mail: Any, order: Order) -> None:
    by_mail(event="order.failed", subject="{{ order.referenceId }}\r\nBcc: all@example.com", template="Hello {{ reason }}",
            html="<h1>{{ reason }}</h1>\n<p>{{ title }}</p>")  # fmt: skip
    move(order, Order.fail, by="system", reason="a <i>")
    sweep()
    sent = mail.outbox[0]
    assert (sent.subject, sent.body) == ("ACME-1 Bcc: all@example.com", "Hello a <i>")
    assert sent.alternatives[0][0] == "<h1>a &lt;i&gt;</h1>\n<p>failed</p>"
    assert sent.recipients() == ["a@print.example"]


def test_its_own_text_stands_in_the_standard_html_too(by_mail: Any, order: Order) -> None:
    trigger = by_mail(template="Dear friend,\n\n<all> is well.")
    html = compose(trigger, Occasion("order.shipped")).alternatives[0][0]
    assert "<p>Dear friend,</p>" in html
    assert "<p>&lt;all&gt; is well.</p>" in html


@pytest.mark.parametrize(("name", "said"), [("subject", "subject"), ("template", "template"), ("html", "HTML")])
def test_a_mail_whose_template_fails_says_which(name: str, said: str, by_mail: Any, order: Order) -> None:
    by_mail(**{name: "{{ nobody }}"})
    told_again(order)
    sweep()
    delivery = Delivery.objects.get()
    assert (delivery.state, mail.outbox) == ("given_up", [])
    assert delivery.error.startswith(f"The trigger's {said}: Line 1: 'nobody' is not known here.")


def test_several_addresses_get_one_mail_whose_id_stays_the_same(by_mail: Any, order: Order) -> None:
    trigger = by_mail(address="a@print.example, b@print.example,c@print.example")
    delivery = told_again(order)
    for _ in range(2):
        Delivery.objects.filter(pk=delivery.pk).update(state="due", due=timezone.now())
        sweep()
    assert [sent.to for sent in mail.outbox] == [["a@print.example", "b@print.example", "c@print.example"]] * 2
    ids = {sent.message()["Message-ID"] for sent in mail.outbox}
    assert ids == {f"<{delivery.event_id}.{trigger.pk}@gelatoconnect>"}


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    yield server
    server.close()


A, B = "a@print.example", "b@print.example"


@pytest.mark.parametrize(("refuse", "state", "error"), [
    ({}, "done", ""),
    ({A: "550 no such user", B: "550 no such user"}, "given_up",
     f"The mail server refused {A} (550: no such user); {B} (550: no such user)."),
    ({A: "450 busy", B: "550 no such user"}, "due",
     f"The mail server refused {A} (450: busy); {B} (550: no such user)."),
    ({B: "550 no such user"}, "given_up",
     f"The mail server refused {B} (550: no such user). The other addresses got it."),
    ({B: "451 later"}, "due", f"The mail server refused {B} (451: later). The other addresses got it."),
    ({"DATA": "554 spam"}, "given_up", "The mail server answered 554: spam"),
    ({"DATA": "452 full"}, "due", "The mail server answered 452: full"),
    ({"MAIL": "553 not you"}, "given_up", "The mail server answered 553: not you"),
])  # fmt: skip
def test_what_the_mail_server_refuses_for_good_is_given_up_and_all_else_tried_again(
    refuse: dict[str, str], state: str, error: str, mail_server: MailServer, by_mail: Any, order: Order
) -> None:
    by_mail(address=f"{A}, {B}")
    mail_server.refuse = refuse
    told_again(order)
    sweep()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == (state, error)
    taken = not refuse or (len(refuse) == 1 and B in refuse)
    assert len(mail_server.got) == taken


def test_what_the_mail_server_gets_is_a_mail_of_two_parts(mail_server: MailServer, by_mail: Any, order: Order) -> None:
    by_mail()
    told_again(order)
    sweep()
    got = message_from_bytes(mail_server.got[0], policy=policy.default)
    assert (got["To"], got["Subject"], got["Auto-Submitted"]) == (A, "Order ACME-1: received", "auto-generated")
    assert got.get_body(("plain",)).get_content().startswith("Order ACME-1 (")
    assert "<!doctype html>" in got.get_body(("html",)).get_content()


def test_a_mail_server_that_is_away_is_asked_again(mail_server: MailServer, by_mail: Any, order: Order) -> None:
    mail_server.close()
    by_mail()
    told_again(order)
    sweep()
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == ("due", 1)


# --- tests -------------------------------------------------------------------------------------------
def test_a_test_is_sent_once_marked_with_an_id_of_its_own_and_kept_nowhere(
    hook: Any, receiver: Receiver, order: Order
) -> None:
    trigger, event = hook(), order.events.first()
    outcome = try_out(trigger, Occasion(event.kind, event))
    headers, body = receiver.got[0]
    told = Webhook(trigger.secret).verify(body, headers)
    assert (told["test"], told["data"]["order"]["referenceId"], headers["x-gelatoconnect-test"]) == (
        True,
        "ACME-1",
        "true",
    )
    assert headers["webhook-id"].startswith("test_")
    assert (outcome.failure, outcome.report["answer"]["status"]) == ("", 200)
    assert (Delivery.objects.count(), Attempt.objects.count(), Event.objects.count()) == (0, 0, 1)


def test_a_test_that_fails_says_why_and_is_not_tried_again(hook: Any, receiver: Receiver, db: None) -> None:
    receiver.answers = [(503, {})]
    trigger = hook()
    outcome = try_out(trigger, Occasion("order.shipped"))
    assert (outcome.failure, len(receiver.got)) == ("The receiver answered 503.", 1)
    trigger.template = "{{ x }}"
    assert try_out(trigger, Occasion("order.shipped")).failure.startswith("The trigger's template: Line 1: 'x'")


def test_a_test_by_mail_says_that_it_is_one(by_mail: Any, order: Order) -> None:
    assert try_out(by_mail(), Occasion("order.shipped")).failure == ""
    sent = mail.outbox[0]
    assert (sent.subject, sent.extra_headers["X-GelatoConnect-Test"]) == ("Test: Order SAMPLE-1: shipped", "true")
    assert "This is a test" in sent.body and "This is a test" in sent.alternatives[0][0]


def test_a_secret_that_is_none_is_said(hook: Any, receiver: Receiver, db: None) -> None:
    trigger = hook(secret="")
    assert try_out(trigger, Occasion("order.shipped")).failure == "The trigger's secret is empty, or is not base64."
    assert receiver.got == []


def test_the_standard_webhooks_example_of_the_docs_verifies(hook: Any, receiver: Receiver, order: Order) -> None:
    """By hand, as docs/triggers.md shows it."""
    trigger = hook()
    told_again(order)
    sweep()
    headers, body = receiver.got[0]
    key = base64.b64decode(trigger.secret.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mine}"
