from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.deliveries import VIEWS, explain_waits, name_targets
from orders.events import emit
from orders.models import Attempt, Customer, Delivery, Order, Trigger
from tests.factories import make_customer, make_order


@pytest.fixture
def trigger(db: None) -> Trigger:
    return Trigger.objects.create(name="Shop's hook", event="order.received", address="https://shop.example/hook")


def told(**filters: Any) -> Delivery:
    return Delivery.objects.get(listener="trigger", **filters)


def end(delivery: Delivery, state: str = "given_up") -> Delivery:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state, attempts=10, ended_at=timezone.now(), error="It is away."
    )
    return delivery


def said_by(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def rows(client: Client, question: str = "") -> list[Delivery]:
    return client.get(f"/postbacks{question}").context["page"].rows


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    manager: Client, trigger: Trigger, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        make_order()
    # Session, person, permissions (2), ids, page, triggers, what goes before them, both to choose from.
    with django_assert_num_queries(11):
        assert len(rows(manager, "?view=customers")) == count


def test_each_view_holds_its_own(manager: Client, trigger: Trigger) -> None:
    mail = Trigger.objects.create(name="Mail", event="order.received", channel="email", address="a@shop.example")
    order = make_order()
    event = order.events.get()
    shop = Delivery.objects.create(event=event, order=order, listener="postback", target="s", due=timezone.now())
    end(told(target=str(mail.pk)))
    Delivery.objects.filter(listener="check").update(attempts=2)
    shown = {view: sorted(str(row.to) for row in rows(manager, f"?view={view}")) for view in VIEWS}
    assert shown == {
        "all": ["Mail", "Shop's hook", "check", f"postback to {order.channel}"],
        "failing": ["check"],
        "given_up": ["Mail"],
        "customers": ["Mail", "Shop's hook"],
        "shops": [f"postback to {order.channel}"],
        "email": ["Mail"],
        "house": ["check"],
    }
    assert [row.pk for row in rows(manager, "?listener=postback")] == [shop.pk]
    assert [row.to for row in rows(manager, "?view=customers&state=given_up")] == [mail]


def test_filters_narrow_the_list(manager: Client, trigger: Trigger) -> None:
    acme = make_customer(reference="acme")
    mine, other = make_order(customer=acme), make_order()
    end(told(order=other))

    def found(question: str) -> list[Order]:
        return [row.order for row in rows(manager, f"?view=customers&{question}")]

    assert found("customer=acme") == [mine]
    assert found("state=given_up") == [other]
    assert found("state=given_up&state=due") == [other, mine]
    assert found("event=order.received&state=due") == [mine]
    assert found("event=order.*") == [other, mine]
    assert found("event=order.shipped") == found("order=ORDER") == found("q=nothing") == []
    assert found(f"trigger={trigger.pk}") == [other, mine]
    assert (
        found(f"order={mine.reference}") == found(f"q={mine.reference}") == found(f"q={told(order=mine).pk}") == [mine]
    )
    assert found(f"q={told(order=mine).event_id}") == found(f"q={mine.pk}") == [mine]
    assert found("since=2999-01-01") == found("until=2001-01-01T10:00") == []
    assert found("since=2001-01-01T10:00&until=2999-01-01") == [other, mine]


def test_a_customer_with_many_events_is_found_as_well(
    manager: Client, trigger: Trigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = make_customer(reference="acme")
    mine, _other, second = make_order(customer=acme), make_order(), make_order(customer=acme)
    monkeypatch.setattr("orders.deliveries.RARE", 1)
    assert [row.order for row in rows(manager, "?view=customers&customer=acme")] == [second, mine]


def test_a_view_of_several_listeners_pages_without_missing_or_repeating_a_row(
    manager: Client, trigger: Trigger
) -> None:
    for _ in range(40):
        end(told(order=make_order()))
    Delivery.objects.update(state="given_up")
    page = manager.get("/postbacks?view=given_up").context["page"]
    older = manager.get(f"/postbacks{page.next_url}").context["page"]
    seen = [row.pk for row in [*page.rows, *older.rows]]
    assert (len(page.rows), older.next_url) == (50, "")
    assert seen == list(Delivery.objects.order_by("-id").values_list("pk", flat=True))
    back = manager.get(f"/postbacks{older.previous_url}").context["page"]
    assert [row.pk for row in back.rows] == seen[:50]


@pytest.mark.parametrize(
    "question",
    [
        "?state=x&trigger=x&customer=x&since=x&cursor=x&listener=x&view=x",
        "?event=%00",
        "?trigger=%00",
        "?since=0001-01-01&until=9999-12-31",
        "?q=%00&order=%00&until=2026-01-15T25:00",
    ],
)
def test_questions_that_make_no_sense_are_answered_by_a_page(manager: Client, trigger: Trigger, question: str) -> None:
    make_order()
    assert manager.get(f"/postbacks{question}").status_code == 200


def test_a_delivery_shows_what_was_sent_what_came_back_and_what_follows(manager: Client, trigger: Trigger) -> None:
    order = make_order()
    delivery = told(order=order)
    report = {
        "request": {"method": "POST", "url": "https://shop.example/hook", "headers": {"webhook-signature": "v1,abc="},
                    "body": '{"type":"order.received"}'},
        "answer": {"status": 503, "body": "<h1>Sorry</h1>"},
    }  # fmt: skip
    for number in (1, 2):
        Attempt.objects.create(
            delivery=delivery, at=timezone.now(), milliseconds=number, succeeded=False, report=report
        )
    answer = manager.get(reverse("orders:delivery", args=[delivery.pk]))
    assert [each["attempt"].milliseconds for each in answer.context["tries"]] == [2, 1]
    shown = answer.content.decode()
    for part in (
        "v1,abc=",
        "&lt;h1&gt;Sorry&lt;/h1&gt;",
        "{\n  &quot;type&quot;: &quot;order.received&quot;\n}",
        "503",
    ):
        assert part in shown


def test_a_delivery_that_was_given_up_is_sent_again_with_all_its_attempts(manager: Client, trigger: Trigger) -> None:
    make_order()
    delivery = end(told())
    answer = manager.post(reverse("orders:replay"), {"ids": [str(delivery.pk)]})
    assert answer["Location"] == reverse("orders:delivery", args=[delivery.pk])
    assert Delivery.objects.filter(pk=delivery.pk).values_list("state", "attempts").get() == ("due", 0)


def test_a_selection_is_sent_again_and_what_waits_is_tried_now(manager: Client, trigger: Trigger) -> None:
    make_order(), make_order(), make_order()
    first, second, third = Delivery.objects.filter(listener="trigger").order_by("id")
    end(first, "done")
    later = timezone.now() + timedelta(hours=9)
    Delivery.objects.filter(pk=second.pk).update(due=later, attempts=4)
    Delivery.objects.filter(pk=third.pk).update(due=later, attempts=4, lease=uuid4())  # it is running
    ids = [str(each.pk) for each in (first, second, third)]
    answer = manager.post(reverse("orders:replay"), {"ids": [*ids, "x"], "action": "replay"})
    assert said_by(answer) == ["2 will be sent again at once. Being sent anyway: 1."]
    told_now = Delivery.objects.filter(listener="trigger").order_by("id")
    assert list(told_now.values_list("state", "attempts")) == [("due", 0), ("due", 0), ("due", 4)]
    assert [each.due < later for each in told_now] == [True, True, False]
    assert told_now[2].lease is not None


def test_sending_again_needs_permission(sign_in: Callable, trigger: Trigger) -> None:
    make_order()
    delivery = end(told())
    answer = sign_in("Accountant").post(reverse("orders:replay"), {"ids": [str(delivery.pk)]})
    assert (answer.status_code, Delivery.objects.get(pk=delivery.pk).state) == (403, "given_up")
    assert sign_in("Accountant", username="bob").get("/postbacks").context["bulk_moves"] == []


def test_a_trigger_that_is_gone_leaves_its_deliveries_readable(manager: Client, trigger: Trigger) -> None:
    order = make_order()
    trigger.delete()
    assert [row.to for row in rows(manager, "?view=customers")] == ["trigger"]
    assert manager.get(reverse("orders:delivery", args=[told(order=order).pk])).status_code == 200
    assert (Order.objects.count(), Customer.objects.count()) == (1, 1)


def tried(delivery: Delivery, **report: Any) -> Attempt:
    return Attempt.objects.create(
        delivery=delivery, at=timezone.now(), milliseconds=12, succeeded=False, message="x", report=report
    )


def test_every_request_of_an_attempt_is_shown_and_no_secret(manager: Client, trigger: Trigger) -> None:
    delivery = told(order=make_order())
    first = {"request": {"method": "GET", "url": "https://u:pass@shop.example/a?token=t0k3n&page=2",
                         "headers": {"Authorization": "Bearer s3cr3t", "X-Api-Key": "k3y"}},
             "answer": {"status": 200, "body": "one"}}  # fmt: skip
    tried(delivery, before=[first], request={"method": "POST", "url": "https://shop.example/b"},
          answer={"status": 422, "body": "two", "headers": {"Set-Cookie": "c00kie", "X-Request-Id": "r1"}})  # fmt: skip
    answer = manager.get(reverse("orders:delivery", args=[delivery.pk]))
    talk = answer.context["tries"][0]["exchanges"]
    assert [(each["method"], each["status"], each["answer_body"]) for each in talk] == [
        ("GET", 200, "one"),
        ("POST", 422, "two"),
    ]
    assert talk[0]["url"] == "https://••••••••@shop.example/a?token=••••••••&page=2"
    assert talk[1]["answer_headers"] == [("Set-Cookie", "••••••••"), ("X-Request-Id", "r1")]
    shown = answer.content.decode()
    assert [secret for secret in ("s3cr3t", "k3y", "t0k3n", "u:pass", "c00kie") if secret in shown] == []


def test_a_mail_shows_its_recipient_subject_text_and_html(manager: Client, db: None) -> None:
    Trigger.objects.create(name="Mail", event="order.received", channel="email", address="a@shop.example")
    delivery = told(order=make_order())
    html = "<p style='color: red'>Hello<script>alert(1)</script></p>"
    attempt = tried(delivery, request={"to": "a@shop.example", "subject": "Order 1", "body": "Hello", "html": html})
    answer = manager.get(reverse("orders:delivery", args=[delivery.pk]))
    (said,) = answer.context["tries"][0]["exchanges"]
    assert said["facts"] == [("to", "a@shop.example"), ("subject", "Order 1")]
    assert (said["body"], said["html"]) == ("Hello", html)
    seen = manager.get(reverse("orders:mail_html", args=[delivery.pk, attempt.pk]))
    assert seen.content.decode() == html
    assert seen["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
    none = tried(delivery, request={"to": "a@shop.example"})
    assert manager.get(reverse("orders:mail_html", args=[delivery.pk, none.pk])).status_code == 404


def test_a_report_of_any_shape_is_shown(manager: Client, trigger: Trigger) -> None:
    delivery = told(order=make_order())
    for report in (
        {},
        {"before": None, "request": None},
        {"request": {"url": "http://[", "body": None}},
        {"answer": {}},
    ):
        tried(delivery, **report)
    assert manager.get(reverse("orders:delivery", args=[delivery.pk])).status_code == 200


def why(delivery: Delivery) -> str:
    (found,) = name_targets([Delivery.objects.select_related("order").get(pk=delivery.pk)])
    explain_waits([found])
    return found.wait.why if found.wait else ""


def test_it_is_said_why_a_delivery_waits(trigger: Trigger) -> None:
    order = make_order()
    first = told(order=order)
    assert why(first) == "It is next."
    with transaction.atomic():
        emit(order, "order.noted", by="system")
        order.save()
    second = Delivery.objects.create(event=order.events.latest("sequence"), order=order, listener="trigger",
                                     target=first.target, due=timezone.now())  # fmt: skip
    assert why(second) == "It follows an earlier delivery of this order."
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(pk=first.pk).update(due=later, attempts=2)
    assert why(first) == "It failed 2 times and is tried again later."
    Trigger.objects.update(slow_until=later)
    assert why(first) == "Its endpoint failed often and rests."
    Delivery.objects.filter(pk=first.pk).update(lease=uuid4())
    assert why(first) == "It is being sent."
    Delivery.objects.filter(pk=first.pk).update(lease=None)
    Trigger.objects.update(active=False, switched_off_at=later, switched_off_why="It failed for 5 days.")
    assert why(first) == "Its endpoint was switched off: It failed for 5 days."
    Trigger.objects.update(switched_off_at=None, switched_off_why="")
    assert why(first) == "Its trigger is switched off."
    Trigger.objects.all().delete()
    assert why(first) == "Its trigger was removed."
    assert why(end(first)) == ""


@pytest.mark.parametrize("page", ["/postbacks", "/triggers"])
def test_pages_say_how_many_endpoints_fail_and_how_many_were_switched_off(
    manager: Client, trigger: Trigger, page: str
) -> None:
    assert "endpoint fails" not in manager.get(page).content.decode()
    Trigger.objects.update(failures=3)
    shown = manager.get(page)
    assert shown.context["endpoints"] == {"failing": 1, "switched_off": 0}
    assert "1 endpoint fails: what waits is tried again." in shown.content.decode()
    Trigger.objects.update(active=False, switched_off_at=timezone.now())
    assert "1 endpoint was switched off because of failures." in manager.get(page).content.decode()
