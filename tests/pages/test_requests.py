import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from intake import pipeline
from intake.connectors.base import Incoming
from intake.models import Connector, OrderRequest
from orders.models import Customer, Order, Product
from tests.factories import make_customer

SHOWN = 100_000
UNKNOWN = [{"productUid": "new", "files": [{"url": "https://files.example/a.pdf"}]}]


@pytest.fixture
def body(product: Product, order_body: Callable[..., dict[str, Any]]) -> Callable[..., bytes]:
    return lambda *args, **changes: json.dumps(order_body(*args, **changes)).encode()


def send(connector: Connector, body: bytes, **more: str) -> OrderRequest:
    pipeline.take(Incoming(body=body, headers={"User-Agent": "shop/1", "X-Api-Key": "acme:secret"}, **more),
                  connector=connector)  # fmt: skip
    return OrderRequest.objects.latest("id")


def press(client: Client, name: str, request: OrderRequest, **fields: str) -> list[str]:
    answer = client.post(reverse(f"intake:{name}", args=[request.pk]), fields, follow=True)
    return [str(message) for message in answer.context["messages"]]


def listed(client: Client, question: str = "") -> list[OrderRequest]:
    return client.get(f"/requests{question}").context["page"].rows


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    manager: Client, connector: Connector, body: Callable, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        send(connector, body(f"ACME-{number}"))
    with django_assert_num_queries(9):  # session, person, permissions (2), ids, page, refused, both to choose from
        assert len(listed(manager)) == count


def test_a_request_that_never_became_an_order_is_as_visible_as_one_that_did(
    manager: Client, connector: Connector, body: Callable
) -> None:
    accepted = send(connector, body("ACME-1"))
    refused = send(connector, b'{"orderReferenceId": "ACME-2"')
    assert [(row.pk, row.state) for row in listed(manager)] == [(refused.pk, "rejected"), (accepted.pk, "accepted")]
    assert [problem["code"] for problem in listed(manager)[0].findings] == ["JSON_MALFORMED"]
    assert [(label, count) for label, _, count, _ in manager.get("/requests").context["page"].tabs] == [
        ("All", ""), ("Refused", "1"), ("Ignored", ""),
    ]  # fmt: skip


def test_filters_narrow_the_list(manager: Client, connector: Connector, body: Callable, customer: Customer) -> None:
    accepted, refused = send(connector, body("ACME-17")), send(connector, body("ACME-18", items=UNKNOWN))
    other = Connector.objects.create(name="other", customer=make_customer(reference="beta"))
    theirs = send(other, b"no json")
    assert listed(manager, "?q=ACME-17") == [accepted]
    assert listed(manager, "?q=acme-1") == [refused, accepted]
    assert listed(manager, f"?q={accepted.order_id}") == [accepted]
    assert listed(manager, f"?q={refused.pk}") == [refused]
    assert listed(manager, "?view=refused") == [theirs, refused]
    assert listed(manager, "?state=accepted") == [accepted]
    assert listed(manager, "?customer=acme") == [refused, accepted]
    assert listed(manager, "?connector=other") == [theirs]
    assert listed(manager, "?problem=json_malformed") == [theirs]
    assert listed(manager, "?since=2999-01-01") == []


@pytest.mark.parametrize(
    "question", ["?state=x&customer=x&connector=x&since=x&view=x&cursor=x", "?q=%00", "?connector=%00", "?until=0001-01-01"]
)  # fmt: skip
def test_questions_that_make_no_sense_are_answered_by_a_page(
    manager: Client, connector: Connector, body: Callable, question: str
) -> None:
    send(connector, body())
    assert manager.get(f"/requests{question}").status_code == 200


def test_the_page_shows_what_came_what_was_understood_and_what_was_answered(
    manager: Client, connector: Connector, body: Callable
) -> None:
    request = send(connector, body("ACME-1", shippingAddress={"country": "no", "firstName": "<b>Ana"}))
    answer = manager.get(reverse("intake:detail", args=[request.pk]))
    assert '"firstName": "<b>Ana"' in answer.context["body"]["text"]
    assert json.loads(answer.context["draft"]["text"])["shippingAddress"] == {"country": "NO", "firstName": "<b>Ana"}
    assert json.loads(answer.context["answer"])["status"] == 422
    assert answer.context["headers"] == [("User-Agent", "shop/1")]
    assert b"<b>Ana" not in answer.content
    assert b"acme:secret" not in answer.content


def test_a_body_is_shown_as_it_came_whatever_it_is(manager: Client, connector: Connector) -> None:
    for raw, shown in [
        (b"\xff\xfe not text", "�� not text"),
        (b'{"a": 1.10, "a": 2}', '{\n  "a": 1.10,\n  "a": 2\n}'),
        (b"", ""),
    ]:
        answer = manager.get(reverse("intake:detail", args=[send(connector, raw).pk]))
        assert answer.context["body"] == {"text": shown, "cut": 0}


@pytest.mark.parametrize("raw", [b"x" * 300_000, b"[" * 300_000, b"[" * 900 + b"1," * 99_000 + b"1" + b"]" * 900])
def test_of_an_endless_body_only_the_beginning_is_shown(manager: Client, connector: Connector, raw: bytes) -> None:
    answer = manager.get(reverse("intake:detail", args=[send(connector, raw).pk]))
    assert (len(answer.context["body"]["text"]), answer.context["body"]["cut"]) == (SHOWN, len(raw))


def test_a_refused_request_is_mended_and_becomes_an_order(
    manager: Client, connector: Connector, body: Callable
) -> None:
    came = body("ACME-1")[:-1]
    request = send(connector, came)
    said = press(manager, "mend", request, body=body("ACME-1").decode())
    request.refresh_from_db()
    order = Order.objects.get()
    assert said == ["It is an order now: ACME-1."]
    assert (request.state, request.order, bytes(request.body)) == ("accepted", order, came)
    assert [event.by for event in order.events.all()] == ["user:ada"]
    page = manager.get(order.get_absolute_url()).content.decode()
    assert reverse("intake:detail", args=[request.pk]) in page


def test_a_mend_that_does_not_mend_says_why_and_is_kept(manager: Client, connector: Connector, body: Callable) -> None:
    request = send(connector, b"{")
    assert press(manager, "mend", request, body="{}")[0].startswith("Still refused: ")
    request.refresh_from_db()
    assert (request.state, bytes(request.mended_body), Order.objects.count()) == ("rejected", b"{}", 0)
    assert manager.get(reverse("intake:mend", args=[request.pk])).context["form"].initial == {"body": "{}"}


def test_the_form_holds_all_of_a_long_body(manager: Client, connector: Connector) -> None:
    raw = b'{"note": "' + b"x" * 150_000
    form = manager.get(reverse("intake:mend", args=[send(connector, raw).pk])).context["form"]
    assert form.initial["body"] == raw.decode()


def test_a_request_is_processed_again_as_it_is(manager: Client, connector: Connector, body: Callable) -> None:
    request = send(connector, body("ACME-1", items=UNKNOWN))
    assert request.state == "rejected"
    Product.objects.create(uid="new", name="New", trim_width=1, trim_height=1)
    assert press(manager, "process", request) == ["It is an order now: ACME-1."]
    assert Order.objects.get().items.get().product_uid == "new"


def test_an_order_is_not_made_twice(manager: Client, connector: Connector, body: Callable) -> None:
    request = send(connector, body("ACME-1"))
    assert press(manager, "process", request) == ["It was an order already: ACME-1."]
    assert press(manager, "mend", request, body=body("ACME-2").decode()) == ["It was an order already: ACME-1."]
    assert list(Order.objects.values_list("reference", flat=True)) == ["ACME-1"]


def test_only_what_is_no_order_is_ignored(manager: Client, connector: Connector, body: Callable) -> None:
    refused, accepted = send(connector, b"{"), send(connector, body())
    assert [press(manager, "ignore", each) for each in (refused, accepted)] == [["1 ignored."], ["0 ignored."]]
    refused.refresh_from_db(), accepted.refresh_from_db()
    assert (refused.state, accepted.state) == ("ignored", "accepted")
    assert press(manager, "mend", refused, body=body("ACME-9").decode()) == ["It is an order now: ACME-9."]


def test_a_selection_is_processed_again_with_a_row_for_each(
    manager: Client, connector: Connector, body: Callable
) -> None:
    accepted, refused = send(connector, body("ACME-1")), send(connector, b"{")
    answer = manager.post(reverse("intake:bulk"), {"action": "process", "ids": [accepted.pk, refused.pk, "x"]})
    assert [(each.pk, outcome.order is not None) for each, outcome in answer.context["rows"]] == [
        (refused.pk, False),
        (accepted.pk, True),
    ]
    assert Order.objects.count() == 1


def test_a_selection_is_ignored(manager: Client, connector: Connector) -> None:
    first, second = send(connector, b"{"), send(connector, b"[")
    manager.post(reverse("intake:bulk"), {"action": "ignore", "ids": [first.pk, second.pk]})
    assert list(OrderRequest.objects.values_list("state", flat=True)) == ["ignored", "ignored"]


def test_too_many_none_or_nothing_known_changes_nothing(manager: Client, connector: Connector) -> None:
    request = send(connector, b"{")
    for data in ({"action": "ignore", "ids": []}, {"action": "ignore", "ids": [request.pk] * 201},
                 {"action": "erase", "ids": [request.pk]}):  # fmt: skip
        assert manager.post(reverse("intake:bulk"), data).status_code == 302
    request.refresh_from_db()
    assert request.state == "rejected"


@pytest.mark.parametrize("name", ["mend", "process", "ignore"])
def test_those_who_may_only_read_change_nothing(
    sign_in: Callable, connector: Connector, body: Callable, name: str
) -> None:
    request = send(connector, b"{")
    accountant = sign_in("Accountant")
    page = accountant.get(reverse("intake:detail", args=[request.pk]))
    assert page.context["can_process"] is False
    answer = accountant.post(reverse(f"intake:{name}", args=[request.pk]), {"body": body().decode()})
    bulk = accountant.post(reverse("intake:bulk"), {"action": name, "ids": [request.pk]})
    request.refresh_from_db()
    assert (answer.status_code, bulk.status_code, request.state, Order.objects.count()) == (403, 403, "rejected", 0)
