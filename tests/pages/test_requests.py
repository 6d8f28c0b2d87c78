import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gelatoconnect.lib.problems import Problem, Rejected
from intake import pipeline
from intake.bodies import is_binary
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Call, ConnectorType, Incoming, Meaning
from intake.flow import WORDS
from intake.models import Connector, OrderRequest
from intake.records import MAX_REFUSED, keep_refused
from orders.events import TryLater, sweep
from orders.models import Customer, Delivery, Order, Product
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
    with django_assert_num_queries(
        10
    ):  # session, person, permissions (2), ids, page, refused, waiting, to choose from (2)
        assert len(listed(manager)) == count


def test_a_request_that_never_became_an_order_is_as_visible_as_one_that_did(
    manager: Client, connector: Connector, body: Callable
) -> None:
    accepted = send(connector, body("ACME-1"))
    refused = send(connector, b'{"orderReferenceId": "ACME-2"')
    assert [(row.pk, row.state) for row in listed(manager)] == [(refused.pk, "rejected"), (accepted.pk, "accepted")]
    assert [problem["code"] for problem in listed(manager)[0].findings] == ["JSON_MALFORMED"]
    assert [(label, count) for label, _, count, _ in manager.get("/requests").context["page"].tabs] == [
        ("All", ""), ("Refused", "1"), ("To be read", "0"), ("Ignored", ""),
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
    assert '"firstName": "<b>Ana"' in answer.context["body"].text
    assert json.loads(answer.context["understood"].text)["shippingAddress"] == {"country": "NO", "firstName": "<b>Ana"}
    assert json.loads(answer.context["answer"].text)["status"] == 422
    assert answer.context["headers"] == [("User-Agent", "shop/1")]
    assert b"<b>Ana" not in answer.content
    assert b"acme:secret" not in answer.content


@pytest.mark.parametrize("raw", [b"x" * 300_000, b"[" * 300_000, b"[" * 900 + b"1," * 99_000 + b"1" + b"]" * 900])
def test_of_an_endless_body_only_the_beginning_is_shown(manager: Client, connector: Connector, raw: bytes) -> None:
    answer = manager.get(reverse("intake:detail", args=[send(connector, raw).pk]))
    body = answer.context["body"]
    assert (len(body.text), body.cut, body.size) == (SHOWN, True, len(raw))


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


# --- the page of one request -----------------------------------------------------------------------------
def flow(client: Client, request: OrderRequest) -> list[tuple[str, str]]:
    page = client.get(reverse("intake:detail", args=[request.pk]))
    return [(stage.label, stage.state) for stage in page.context["flow"]]


def test_the_stage_at_which_a_request_stopped_is_seen(manager: Client, connector: Connector, body: Callable) -> None:
    accepted, unread, refused = (
        send(connector, body("A")),
        send(connector, b"{"),
        send(connector, body("B", items=UNKNOWN)),
    )
    done, none = "done", "none"
    assert flow(manager, accepted) == [("Came in", done), ("Understood", done), ("Checked", done), ("Answered", done),
                                       ("Order", done)]  # fmt: skip
    assert flow(manager, unread) == [("Came in", done), ("Understood", "failed"), ("Checked", none), ("Answered", "told"),
                                     ("Order", none)]  # fmt: skip
    assert flow(manager, refused) == [("Came in", done), ("Understood", done), ("Checked", "failed"), ("Answered", "told"),
                                      ("Order", none)]  # fmt: skip
    press(manager, "mend", refused, body=body("B").decode())
    assert flow(manager, refused)[:3] == [("Came in", done), ("Mended", done), ("Understood", done)]


def test_what_was_refused_at_the_door_is_a_request_and_says_that_it_was_cut(
    manager: Client, connector: Connector
) -> None:
    keep_refused(Call(path="orders", body=b"x" * MAX_REFUSED * 2), connector,
                 Rejected([Problem("SIGNATURE_WRONG", "The signature does not fit.")], status=401))  # fmt: skip
    request = listed(manager, "?problem=SIGNATURE_WRONG")[0]
    page = manager.get(reverse("intake:detail", args=[request.pk]))
    assert flow(manager, request)[0] == ("Came in", "failed")
    assert "only the first 64 KB are kept" in page.content.decode()
    assert (page.context["can_process"], page.context["can_repeat"]) == (True, False)  # its sender is not proven
    assert press(manager, "process", request)[0].startswith("Still refused: ")


def test_an_erased_request_says_so_and_is_left_alone(manager: Client, connector: Connector) -> None:
    erased, empty = send(connector, b"{"), send(connector, b"")
    OrderRequest.objects.filter(pk=erased.pk).update(body=b"", headers={})
    page = manager.get(reverse("intake:detail", args=[erased.pk]))
    assert (page.context["erased"], page.context["can_process"]) == (True, False)
    assert "What it held was erased" in page.content.decode()
    assert press(manager, "mend", erased) == ["It cannot be mended here: there is no text of it."]
    assert (
        press(manager, "process", erased)[-1] == "Still refused: What it held was erased: there is nothing to process."
    )
    assert manager.get(reverse("intake:detail", args=[empty.pk])).context["erased"] is False


POISON = [
    b"\0\0{", b'{"orderReferenceId": "\\ud800", "a": "\\u0000"}', b'"\\ud800"', b"\xed\xa0\x80", b"\xff" * 5000,
    b"\xff\xfe\0",
    b"x" * 1024 * 1024, b"[" * 1024 * 1024, bytes(range(256)) * 100, "\u202e\u0007".encode(), b"<a>\x01</a>",
    b'<?xml version="1.0" encoding="utf-16"?><a/>', b'"' * 5000, b"a,b\n\0,1", b"\r\n" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("raw", POISON)
@pytest.mark.parametrize("content_type", ["application/json", "text/csv; charset=nonsense", "\x01"])
def test_no_request_breaks_its_pages(manager: Client, connector: Connector, raw: bytes, content_type: str) -> None:
    fields = {"fingerprint": "x", "state": "rejected", "content_type": content_type, "answer": "\ud83d not \x01"[1:]}
    request = OrderRequest.objects.create(
        connector=connector, body=raw, mended_body=raw[::-1], fetched_body=raw, **fields
    )
    for name in ("detail", "mend", "download"):
        answer = manager.get(reverse(f"intake:{name}", args=[request.pk]))
        assert answer.status_code == (302 if name == "mend" and is_binary(raw[::-1]) else 200)
    assert b"\0" not in manager.get(reverse("intake:detail", args=[request.pk])).content
    assert manager.post(reverse("intake:mend", args=[request.pk]), {"body": "{", "action": "check"}).status_code in (
        200,
        302,
    )
    assert press(manager, "process", request)[-1].startswith("Still refused: ")


def test_a_fault_of_ours_neither_breaks_the_page_nor_stops_the_others(
    manager: Client, connector: Connector, body: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = send(connector, b"{"), send(connector, b"[")

    def faulty(*args: Any) -> None:
        raise KeyError("lineItems")

    monkeypatch.setattr(CONNECTOR_TYPES["api"], "parse", faulty, raising=False)
    page = manager.get(reverse("intake:detail", args=[first.pk]))
    assert [problem["code"] for problem in page.context["understood"].problems] == ["REQUEST_FAILED"]
    answer = manager.post(reverse("intake:bulk"), {"action": "process", "ids": [first.pk, second.pk]})
    assert [[problem.code for problem in outcome.problems] for _, outcome in answer.context["rows"]] == [
        ["REQUEST_FAILED"]
    ] * 2
    first.refresh_from_db()
    assert first.problems[0]["code"] == "JSON_MALFORMED"


def test_the_original_is_downloaded_byte_for_byte_and_never_shown_as_a_page(
    manager: Client, sign_in: Callable, connector: Connector
) -> None:
    request = send(connector, b"<script>alert(1)</script>\xff")
    answer = manager.get(reverse("intake:download", args=[request.pk]))
    assert answer.content == b"<script>alert(1)</script>\xff"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="request-{request.pk}.txt"'
    assert (answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]) == ("text/plain", "nosniff")
    accountant = sign_in("Accountant", "eve")
    assert accountant.get(reverse("intake:download", args=[request.pk])).status_code == 403
    page = accountant.get(reverse("intake:detail", args=[request.pk])).content.decode()
    assert reverse("intake:download", args=[request.pk]) not in page


def test_the_page_costs_the_same_queries_whatever_the_request_is(
    manager: Client, connector: Connector, body: Callable, django_assert_num_queries: Any
) -> None:
    for request in (send(connector, body()), send(connector, b"{"), send(connector, body("B", items=UNKNOWN))):
        with django_assert_num_queries(5):  # session, person, permissions (2), request
            manager.get(reverse("intake:detail", args=[request.pk]))


# --- mending ----------------------------------------------------------------------------------------------
def test_a_check_says_what_would_be_said_and_stores_nothing(
    manager: Client, connector: Connector, body: Callable
) -> None:
    request = send(connector, b"{")
    before = OrderRequest.objects.values().get()
    for text, codes in [
        (body(items=UNKNOWN).decode(), ["PRODUCT_UNKNOWN"]),
        ("[", ["JSON_MALFORMED"]),
        (body().decode(), []),
    ]:
        page = manager.post(reverse("intake:mend", args=[request.pk]), {"body": text, "action": "check"})
        said = [problem["code"] for problem in page.context["problems"] if problem["severity"] == "error"]
        assert (page.context["checked"], said, page.context["form"]["body"].value()) == (True, codes, text)
    assert (OrderRequest.objects.values().get(), Order.objects.count()) == (before, 0)
    assert json.loads(page.context["understood"].text)["orderReferenceId"] == "ACME-1"


def test_what_a_person_changed_stands_beside_what_came(manager: Client, connector: Connector, body: Callable) -> None:
    request = send(connector, body("ACME-1", items=UNKNOWN, apiKey="s3cret"))
    editable = manager.get(reverse("intake:mend", args=[request.pk])).context["form"].initial["body"]
    press(manager, "mend", request, body=editable.replace('"new"', '"old"').replace("\n", "\r\n"))
    page = manager.get(reverse("intake:detail", args=[request.pk]))
    changed = [
        (line.kind, "".join(text for text, _ in line.parts).strip())
        for line in page.context["changes"]
        if line.kind != "same"
    ]
    assert changed == [("removed", '"productUid": "new",'), ("added", '"productUid": "old",')]
    assert "s3cret" not in page.content.decode()
    request.refresh_from_db()
    assert b"\r" not in bytes(request.mended_body)


# --- what waits to be read ----------------------------------------------------------------------------------
@pytest.fixture
def put_aside(connector: Connector, body: Callable, monkeypatch: pytest.MonkeyPatch) -> OrderRequest:
    """A request that is read later, whose shop did not answer at the first attempt."""
    monkeypatch.setattr(CONNECTOR_TYPES["api"], "later", lambda *_: True, raising=False)

    def away(*_: Any) -> Any:
        raise TryLater("The shop is away.")
        yield

    monkeypatch.setattr(CONNECTOR_TYPES["api"], "resolve", away, raising=False)
    monkeypatch.setattr(CONNECTOR_TYPES["api"], "answer", lambda *_: "{}", raising=False)
    request = send(connector, body())
    sweep(seconds=1)
    return request


def test_a_request_that_waits_says_for_what_and_until_when(manager: Client, put_aside: OrderRequest) -> None:
    assert listed(manager, "?view=waiting") == [put_aside]
    page = manager.get(reverse("intake:detail", args=[put_aside.pk]))
    waiting = page.context["waiting"]
    assert (waiting.attempts, waiting.error, waiting.due > timezone.now()) == (1, "The shop is away.", True)
    assert flow(manager, put_aside)[:3] == [("Came in", "done"), ("Read later", "waiting"), ("Understood", "none")]


def test_a_request_that_waits_is_read_now(
    manager: Client, put_aside: OrderRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONNECTOR_TYPES["api"], "resolve", ConnectorType.resolve.__get__(CONNECTOR_TYPES["api"]))
    assert sweep(seconds=1) == 0
    assert press(manager, "read-now", put_aside) == ["The next free worker reads it."]
    sweep(seconds=5)
    put_aside.refresh_from_db()
    assert (put_aside.state, put_aside.order.reference) == ("accepted", "ACME-1")
    assert press(manager, "read-now", put_aside) == ["Nothing was done: it waits no more."]


def test_reading_that_was_given_up_is_started_again(manager: Client, put_aside: OrderRequest) -> None:
    Delivery.objects.filter(listener="read").update(state="given_up")
    assert press(manager, "read-now", put_aside) == ["The next free worker reads it."]
    assert [(each.state, each.attempts) for each in Delivery.objects.filter(listener="read")] == [("due", 0)]


# --- finding ------------------------------------------------------------------------------------------------
def test_requests_are_found_by_what_was_said_of_them_and_by_the_sender_s_id(
    manager: Client, connector: Connector, body: Callable
) -> None:
    accepted, refused = (
        send(connector, body("ACME-1")),
        send(connector, body("ACME-2", items=[{"productUid": "große-Tasse"}])),
    )
    OrderRequest.objects.filter(pk=accepted.pk).update(source_id="450789469", topic="orders/create", recovered=True)
    assert listed(manager, "?q=450789469") == [accepted]
    assert listed(manager, "?q=große-tasse") == listed(manager, "?q=große-Tasse") == [refused]
    assert listed(manager, "?topic=orders/") == [accepted]
    assert (listed(manager, "?recovered=true"), listed(manager, "?recovered=false")) == ([accepted], [refused])
    assert (len(listed(manager, "?type=api")), listed(manager, "?type=api&state=rejected")) == (2, [refused])


def test_every_meaning_has_words_for_the_page() -> None:
    assert set(WORDS) == set(get_args(Meaning))
