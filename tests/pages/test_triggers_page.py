"""The triggers' pages: list, editor with preview, sending a test, and the secret that is shown once."""

import html
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook

from gelatoconnect.lib import limits
from orders.events import deliver
from orders.models import Attempt, Delivery, Event, Order, Trigger
from orders.services import move
from tests.factories import make_customer, make_order, make_product
from tests.orders.receiver import Receiver, receiving

TYPED = {
    "name": "Hook", "event": "order.*", "customer": "", "active": "on", "channel": "webhook", "method": "POST",
    "format": "json", "address": "https://shop.example/hook", "headers": "", "retry": "on", "template": "", "subject": "",
    "html": "", "channels": "", "countries": "", "products": "", "on": "", "action": "save",
}  # fmt: skip
NEW = "/triggers/new"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving(settings) as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    limits._calls.clear()


@pytest.fixture
def trigger(db: None) -> Trigger:
    return Trigger.objects.create(name="Hook", event="order.*", address="https://shop.example/hook")


def page_of(trigger: Trigger) -> str:
    return reverse("orders:trigger", args=[trigger.pk])


def text(response: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


# --- the list ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [1, 3])
def test_the_list_asks_the_same_number_of_questions_however_long_it_is(
    manager: Client, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        Trigger.objects.create(name="Hook", event="order.*", address="https://a.example", customer=make_customer())
    order = make_order(customer=Trigger.objects.first().customer)
    Trigger.objects.update(customer=order.customer)
    make_order(customer=order.customer)
    with django_assert_num_queries(
        9
    ):  # session, person, permissions (2), ids, page, last results, endpoints, customers
        page = manager.get("/triggers")
    assert len(page.context["page"].rows) == count


def test_the_list_shows_each_with_its_last_result_and_health(manager: Client, trigger: Trigger) -> None:
    Trigger.objects.create(name="Silent", event="order.shipped", channel="email", address="a@b.example", active=False)
    make_order("passed")
    latest = Delivery.objects.filter(listener="trigger").latest("id")
    Delivery.objects.filter(pk=latest.pk).update(state="given_up", error="The receiver answered 500.")
    Trigger.objects.filter(pk=trigger.pk).update(failures=3)
    rows = {row.name: (row.badge[0], row.result) for row in manager.get("/triggers").context["page"].rows}
    assert rows == {"Hook": ("Failing", latest), "Silent": ("Off", None)}
    assert "The receiver answered 500." in text(manager.get("/triggers"))
    assert [row.name for row in manager.get("/triggers?q=shop").context["page"].rows] == ["Hook"]
    assert [row.name for row in manager.get("/triggers?channel=email").context["page"].rows] == ["Silent"]
    assert manager.get("/triggers?customer=x&active=x&channel=x&cursor=x&q=%00").status_code == 200


# --- making and changing -----------------------------------------------------------------------------
def test_a_new_trigger_shows_its_secret_once(manager: Client) -> None:
    answer = manager.post(NEW, TYPED)
    made = Trigger.objects.get()
    assert (answer.url, made.event, made.active, made.customer) == (page_of(made), "order.*", True, None)
    assert made.secret in text(manager.get(page_of(made)))
    assert made.secret not in text(manager.get(page_of(made)))


def test_a_mail_has_no_secret_to_show(manager: Client) -> None:
    manager.post(NEW, TYPED | {"channel": "email", "address": " a@b.example ,c@d.example"})
    made = Trigger.objects.get()
    assert made.address == "a@b.example, c@d.example"
    assert made.secret not in text(manager.get(page_of(made)))


def test_everything_that_is_typed_is_kept(manager: Client) -> None:
    customer, _ = make_customer(), make_product(uid="card-a6")
    typed = TYPED | {
        "customer": str(customer.pk), "event": "order.shipped", "method": "PATCH", "format": "xml", "retry": "",
        "template": "<a>\r\n{{ title }}</a>", "headers": "X-Shop: 7\r\nAuthorization: Bearer x",
        "channels": "API, shopify", "countries": "no,DE", "products": "card-a6",
    }  # fmt: skip
    assert manager.post(NEW, typed).status_code == 302
    made = Trigger.objects.get()
    assert (made.customer, made.method, made.format, made.retry) == (customer, "PATCH", "xml", False)
    assert (made.template, made.headers) == ("<a>\n{{ title }}</a>", "X-Shop: 7\nAuthorization: Bearer x\n")
    assert (made.channels, made.countries, made.products) == (["api", "shopify"], ["NO", "DE"], ["card-a6"])
    shown = manager.get(page_of(made)).context["form"]
    assert (shown["countries"].value(), shown["headers"].value()) == (
        "NO, DE",
        "X-Shop: ••••••••\nAuthorization: ••••••••\n",
    )


@pytest.mark.parametrize(("wrong", "field"), [
    ({"channel": "email"}, "address"), ({"address": "me@shop.example"}, "address"),
    ({"address": "ftp://shop.example"}, "address"),
    ({"channel": "email", "address": "a@b.example, nobody"}, "address"), ({"channel": "email", "address": ","}, "address"),
    ({"channel": "email", "address": "a@b.example\r\nBcc: c@d.example"}, "address"),
    ({"channel": "email", "address": ",".join(["a@b.example"] * 21)}, "address"),
    ({"event": "order shipped"}, "event"), ({"event": "ORDER.SHIPPED"}, "event"), ({"event": ""}, "event"),
    ({"headers": "Host: x"}, "headers"), ({"headers": "X: ••••••••"}, "headers"), ({"headers": "x"}, "headers"),
    ({"countries": "XX"}, "countries"), ({"products": "nothing"}, "products"), ({"method": "GET"}, "method"),
    ({"name": ""}, "name"), ({"customer": "x"}, "customer"), ({"format": "yaml"}, "format"),
    ({"template": "x" * 200_001}, "template"),
])  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(manager: Client, wrong: dict[str, str], field: str) -> None:
    answer = manager.post(NEW, TYPED | wrong)
    assert (list(answer.context["form"].errors), Trigger.objects.count()) == ([field], 0)


def test_saving_touches_nothing_of_what_deliveries_write(manager: Client, trigger: Trigger) -> None:
    secret = trigger.secret
    Trigger.objects.update(failures=4, former_secret="whsec_x")
    manager.post(page_of(trigger), TYPED | {"name": "Renamed"})
    now = Trigger.objects.get()
    assert (now.name, now.failures, now.secret, now.former_secret) == ("Renamed", 4, secret, "whsec_x")


def test_switching_it_on_again_forgives_what_was(manager: Client, trigger: Trigger) -> None:
    gone = timezone.now()
    Trigger.objects.update(active=False, failures=9, failing_since=gone, switched_off_at=gone, switched_off_why="410")
    manager.post(page_of(trigger), TYPED)
    now = Trigger.objects.get()
    assert (now.active, now.failures, now.failing_since, now.switched_off_at, now.switched_off_why) == (
        True,
        0,
        None,
        None,
        "",
    )


def test_what_headers_hold_does_not_follow_a_changed_address(
    manager: Client, trigger: Trigger, receiver: Receiver
) -> None:
    Trigger.objects.update(headers="Authorization: Bearer t0ken\n")
    masked = {"headers": "Authorization: ••••••••"}
    for action in ("save", "test"):
        page = manager.post(page_of(trigger), TYPED | masked | {"address": receiver.url, "action": action})
        assert list(page.context["form"].errors) == ["headers"]
    assert (receiver.got, Trigger.objects.get().address) == ([], "https://shop.example/hook")
    manager.post(page_of(trigger), TYPED | masked | {"address": "https://shop.example/other"})
    assert (Trigger.objects.get().address, Trigger.objects.get().headers) == (
        "https://shop.example/other",
        "Authorization: Bearer t0ken\n",
    )


def test_a_mail_keeps_no_headers(manager: Client, trigger: Trigger) -> None:
    Trigger.objects.update(headers="Authorization: Bearer t0ken\n")
    by_mail = {"channel": "email", "address": "a@b.example", "headers": "Authorization: ••••••••"}
    assert manager.post(page_of(trigger), TYPED | by_mail).status_code == 302
    assert (Trigger.objects.get().channel, Trigger.objects.get().headers) == ("email", "")


# --- preview -----------------------------------------------------------------------------------------
def test_it_is_tried_on_the_latest_event_of_its_kind_or_the_chosen_one(manager: Client, trigger: Trigger) -> None:
    first, second = make_order("failed"), make_order("failed")
    typed = TYPED | {"event": "order.failed", "action": "preview", "template": "{{ order.referenceId | tojson }}"}
    page = manager.post(page_of(trigger), typed)
    assert page.context["trial"].body == json.dumps(second.reference)
    older = first.events.get(kind="order.failed")
    page = manager.post(page_of(trigger), typed | {"on": str(older.pk)})
    assert (page.context["trial"].body, page.context["chosen"]) == (json.dumps(first.reference), str(older.pk))
    assert manager.post(page_of(trigger), typed | {"on": "sample"}).context["trial"].body == '"SAMPLE-1"'
    assert Trigger.objects.get().template == ""


def test_events_of_other_customers_or_kinds_are_not_shown(manager: Client) -> None:
    theirs = make_order("failed")
    mine = make_customer()
    for event in Event.objects.filter(order=theirs):
        page = manager.post(NEW, TYPED | {"customer": str(mine.pk), "action": "preview", "on": str(event.pk)})
        assert (page.context["chosen"], theirs.reference in text(page)) == ("sample", False)


def test_without_any_event_a_made_up_one_is_shown(manager: Client) -> None:
    page = manager.get(NEW)
    assert (page.context["chosen"], page.context["trial"].told) == ("sample", "order.shipped")
    assert json.loads(page.context["trial"].body)["data"]["order"]["referenceId"] == "SAMPLE-1"


def test_a_template_that_fails_is_shown_with_its_line_and_saved_only_when_a_person_insists(
    manager: Client, trigger: Trigger
) -> None:
    wrong = TYPED | {"template": "{\n{{ nobody }}\n}"}
    page = manager.post(page_of(trigger), wrong)
    assert "Line 2: 'nobody' is not known here." in text(page)
    assert ("Save it all the same" in text(page), Trigger.objects.get().template) == (True, "")
    assert manager.post(page_of(trigger), wrong | {"confirm": "on"}).status_code == 302
    assert Trigger.objects.get().template == "{\n{{ nobody }}\n}"


def test_output_that_is_no_json_is_shown_with_its_line(manager: Client) -> None:
    trial = manager.post(NEW, TYPED | {"template": '{"a": 1,\n"b": }', "action": "preview"}).context["trial"]
    assert trial.lines == [(1, '{"a": 1,', False), (2, '"b": }', True)]


def test_a_mail_is_shown_in_a_frame_that_can_do_nothing(manager: Client) -> None:
    typed = TYPED | {
        "channel": "email",
        "address": "a@b.example",
        "html": "<script>x</script><b>{{ title }}</b>",
        "action": "preview",
    }
    page = manager.post(NEW, typed)
    assert ("<script>x" in page.content.decode(), page["X-Frame-Options"]) == (False, "DENY")
    frame = manager.get(page.context["trial"].frame)
    assert frame.content.decode() == "<script>x</script><b>shipped</b>"
    assert frame["X-Frame-Options"] == "SAMEORIGIN"
    assert frame["Content-Security-Policy"] == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )
    assert manager.get("/triggers/mails/123").status_code == 404
    assert Client().get(page.context["trial"].frame).status_code == 302


def test_of_the_mails_that_were_looked_at_only_the_latest_are_kept(manager: Client) -> None:
    typed = TYPED | {"channel": "email", "address": "a@b.example", "action": "preview"}
    frames = [manager.post(NEW, typed).context["trial"].frame for _ in range(5)]
    assert [manager.get(frame).status_code for frame in frames] == [404, 404, 200, 200, 200]


@pytest.mark.parametrize("changes", [
    {"template": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"}, {"template": "\0"},
    {"html": "{% endautoescape %}", "channel": "email", "address": "a@b.example"}, {"event": "*" * 50}, {"on": "\0"},
    {"subject": "{{", "channel": "email", "address": "a@b.example"}, {"template": "{% include 'x' %}"}, {"name": "\0"},
])  # fmt: skip
def test_whatever_is_typed_the_page_is_shown(changes: dict[str, str], manager: Client) -> None:
    assert manager.post(NEW, TYPED | changes | {"action": "preview"}).status_code == 200
    assert Trigger.objects.count() == 0


def test_the_page_carries_no_inline_script_or_style(manager: Client, trigger: Trigger) -> None:
    make_order("failed")
    for path in ("/triggers", NEW, page_of(trigger)):
        body = manager.get(path).content.decode()
        assert ("style=" in body, "<style" in body, "onclick=" in body, "<script>" in body) == (False,) * 4


# --- tests -------------------------------------------------------------------------------------------
def test_a_test_is_sent_as_it_is_typed_and_its_result_shown(
    manager: Client, trigger: Trigger, receiver: Receiver
) -> None:
    order = make_order()
    deliveries = Delivery.objects.count()
    page = manager.post(page_of(trigger), TYPED | {"address": receiver.url, "method": "PUT", "action": "test"})
    headers, body = receiver.got[0]
    told = Webhook(trigger.secret).verify(body, headers)
    assert (told["test"], told["data"]["order"]["referenceId"], receiver.methods) == (True, order.reference, ["PUT"])
    assert "The test arrived" in text(page) and "Answer 200" in text(page)
    assert (Delivery.objects.count(), Attempt.objects.count()) == (deliveries, 0)
    assert Trigger.objects.get().address == "https://shop.example/hook"


def test_a_test_that_fails_shows_what_was_answered(manager: Client, trigger: Trigger, receiver: Receiver) -> None:
    receiver.answers = [(500, {})]
    page = manager.post(page_of(trigger), TYPED | {"address": receiver.url, "action": "test"})
    assert "The test failed" in text(page) and "The receiver answered 500." in text(page)


def test_tests_are_not_sent_in_haste(manager: Client, trigger: Trigger, receiver: Receiver) -> None:
    typed = TYPED | {"address": receiver.url, "action": "test"}
    pages = [text(manager.post(page_of(trigger), typed)) for _ in range(3)]
    assert ["too quick" in page for page in pages] == [False, True, True]
    assert len(receiver.got) == 1


def test_one_that_is_not_saved_sends_no_test(manager: Client, receiver: Receiver) -> None:
    page = manager.post(NEW, TYPED | {"address": receiver.url, "action": "test"})
    assert (page.status_code, receiver.got, Trigger.objects.count()) == (200, [], 0)


def test_an_address_inside_our_network_is_not_reached_by_a_test(
    manager: Client, trigger: Trigger, receiver: Receiver, settings: Any
) -> None:
    settings.FETCH_ALLOWED_HOSTS = []
    page = manager.post(page_of(trigger), TYPED | {"address": receiver.url, "action": "test"})
    assert ("URL_FORBIDDEN" in text(page), receiver.got) == (True, [])


# --- secrets -----------------------------------------------------------------------------------------
def test_a_secret_is_exchanged_shown_once_and_the_former_one_signs_as_long_as_chosen(
    manager: Client, trigger: Trigger
) -> None:
    former = trigger.secret
    manager.post(reverse("orders:trigger-secret", args=[trigger.pk]), {"hours": "24"})
    now = Trigger.objects.get()
    assert (now.former_secret, now.secret != former, now.secret.startswith("whsec_")) == (former, True, True)
    assert timedelta(hours=23, minutes=59) < now.former_until - timezone.now() <= timedelta(hours=24)
    page = text(manager.get(page_of(trigger)))
    assert (now.secret in page, former in page, "Two secrets sign every call" in page) == (True, False, True)
    assert now.secret not in text(manager.get(page_of(trigger)))
    manager.post(reverse("orders:trigger-secret", args=[trigger.pk]), {"end": "yes"})
    assert (Trigger.objects.get().former_secret, Trigger.objects.get().former_until) == ("", None)
    assert Trigger.objects.get().secret == now.secret


def test_a_secret_that_leaked_ends_at_once(manager: Client, trigger: Trigger) -> None:
    manager.post(reverse("orders:trigger-secret", args=[trigger.pk]), {"hours": "0"})
    now = Trigger.objects.get()
    assert (now.secret != trigger.secret, now.former_secret, now.former_until) == (True, "", None)
    manager.post(reverse("orders:trigger-secret", args=[trigger.pk]), {"hours": "9999"})
    assert Trigger.objects.get().secret == now.secret


# --- permissions -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("role", "sees", "changes", "deletes"), [
    ("Administrator", 200, True, True), ("Manager", 200, True, False), ("Accountant", 200, False, False),
    ("Packaging user", 403, False, False), ("Print operator", 403, False, False),
])  # fmt: skip
def test_who_sees_and_who_changes(
    role: str, sees: int, changes: bool, deletes: bool, sign_in: Callable, trigger: Trigger, receiver: Receiver
) -> None:
    client, secret = sign_in(role), trigger.secret
    assert [client.get(path).status_code for path in ("/triggers", page_of(trigger))] == [sees, sees]
    assert client.get(NEW).status_code == (200 if changes else 403)
    done = [
        client.post(page_of(trigger), TYPED | {"name": "Mine"}).status_code,
        client.post(reverse("orders:trigger-secret", args=[trigger.pk]), {"hours": "0"}).status_code,
        client.post(NEW, TYPED | {"name": "Another"}).status_code,
    ]
    assert done == [302 if changes else 403] * 3
    test = client.post(page_of(trigger), TYPED | {"address": receiver.url, "action": "test"}).status_code
    assert (test, len(receiver.got)) == ((200, 1) if changes else (403, 0))
    assert Trigger.objects.filter(name="Another").count() == changes
    assert (Trigger.objects.get(pk=trigger.pk).secret != secret) == changes
    deleted = client.post(reverse("orders:trigger-delete", args=[trigger.pk])).status_code
    assert (deleted == 302, Trigger.objects.filter(pk=trigger.pk).exists()) == (deletes, not deletes)


def test_a_deleted_trigger_gives_up_what_is_due(sign_in: Callable, trigger: Trigger) -> None:
    client, order = sign_in("Administrator"), make_order()
    assert "Delete Hook?" in text(client.get(reverse("orders:trigger-delete", args=[trigger.pk])))
    client.post(reverse("orders:trigger-delete", args=[trigger.pk]))
    move(order, Order.accept, by="system")
    for delivery in Delivery.objects.filter(listener="trigger"):
        deliver(delivery.pk)
    assert list(Delivery.objects.filter(listener="trigger").values_list("state", flat=True)) == ["given_up"]
