"""Customers read and send again what they were told, and test their endpoints; nobody sees what is another's."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from gelatoconnect.lib.ids import first_id
from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector
from orders import events, replays
from orders.models import Attempt, Customer, Delivery, EndpointDay, Event, Trigger
from tests.conftest import ApiClient
from tests.factories import make_order

NOBODY = str(uuid4())


def key_of(customer: Customer | None, name: str) -> ApiClient:
    connector = Connector.objects.create(name=name, customer=customer)
    ApiKey.objects.create(connector=connector, key=name, secret_hash=hashed("secret"))
    return ApiClient(f"{name}:secret")


@pytest.fixture
def trigger(customer: Customer) -> Trigger:
    return Trigger.objects.create(
        name="Ours", customer=customer, event="order.*", address="https://u:pw@acme.example/h"
    )


@pytest.fixture
def other(db: None) -> Customer:
    return Customer.objects.create(reference="other", name="Other")


@pytest.fixture
def stranger(other: Customer) -> ApiClient:
    return key_of(other, "other-shop")


def told(**filters: Any) -> Delivery:
    return Delivery.objects.get(listener="trigger", **filters)


def end(delivery: Delivery, state: str = "given_up", **more: Any) -> Delivery:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state, attempts=10, ended_at=timezone.now(), error="The receiver answered 503.", **more
    )
    return Delivery.objects.get(pk=delivery.pk)


def listed(api: ApiClient, question: str = "") -> list[str]:
    answer = api.get(f"/api/deliveries{question}")
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["deliveries"]]


def test_a_customer_reads_what_it_was_told(api: ApiClient, trigger: Trigger, customer: Customer) -> None:
    order = make_order(customer=customer)
    delivery = end(told(order=order))
    (row,) = api.get("/api/deliveries").json()["deliveries"]
    assert row == {
        "id": str(delivery.pk), "eventId": str(delivery.event_id), "event": "order.received",
        "happenedAt": row["happenedAt"], "orderId": str(order.pk), "orderReferenceId": order.reference,
        "endpointId": str(trigger.pk), "endpointName": "Ours", "status": "given_up", "attempts": 10,
        "nextAttemptAt": None, "endedAt": row["endedAt"], "error": "The receiver answered 503.",
    }  # fmt: skip


def test_attempts_are_told_without_secrets(api: ApiClient, trigger: Trigger, customer: Customer) -> None:
    delivery = told(order=make_order(customer=customer))
    sent = {"method": "POST", "url": "https://u:pw@acme.example/h?token=t0p", "body": "{}",
            "headers": {"webhook-id": "1", "Authorization": "Bearer s3cret"}, "internal": "x"}  # fmt: skip
    report = {"request": sent, "answer": {"status": 503, "body": "no", "more": "x"}, "trace": "x", "before": [{}]}
    for number in (1, 2):
        Attempt.objects.create(delivery=delivery, at=timezone.now(), milliseconds=number, succeeded=False,
                               message="The receiver answered 503.", report=report)  # fmt: skip
    answer = api.get(f"/api/deliveries/{delivery.pk}").json()
    assert [each["milliseconds"] for each in answer["tries"]] == [2, 1]
    first = answer["tries"][0]
    assert first["request"] == {
        "method": "POST", "url": "https://••••••••@acme.example/h?token=••••••••", "body": "{}",
        "headers": {"webhook-id": "1", "Authorization": "••••••••"},
    }  # fmt: skip
    assert first["answer"] == {"status": 503, "body": "no"}
    assert set(answer) - set(api.get("/api/deliveries").json()["deliveries"][0]) == {"tries"}


def test_what_is_anothers_does_not_exist(
    api: ApiClient, stranger: ApiClient, trigger: Trigger, customer: Customer, other: Customer
) -> None:
    theirs = Trigger.objects.create(name="Theirs", customer=other, event="order.*", address="https://other.example")
    make_order(customer=customer), make_order(customer=other)
    mine, foreign = end(told(target=str(trigger.pk))), end(told(target=str(theirs.pk)))
    assert (listed(api), listed(stranger)) == ([str(mine.pk)], [str(foreign.pk)])
    for ref in (foreign.pk, NOBODY, "x", foreign.event_id, foreign.order_id):
        assert api.get(f"/api/deliveries/{ref}").status_code == 404
        assert api.post(f"/api/deliveries/{ref}/replay").status_code == 404
    for ref in (theirs.pk, NOBODY, "x"):
        assert api.get(f"/api/deliveries?endpoint={ref}").status_code == 404
        assert api.post("/api/deliveries/replay", {"endpoint": str(ref)}).status_code == 404
        assert api.post(f"/api/endpoints/{ref}/test").status_code == 404
    assert listed(api, f"?order={foreign.order_id}") == listed(api, f"?order={foreign.order.reference}") == []
    assert api.post("/api/deliveries/replay", {"failedOnly": False}).json() == {"count": 1}
    assert Delivery.objects.get(pk=foreign.pk).state == "given_up"
    assert [each["name"] for each in api.get("/api/endpoints").json()["endpoints"]] == ["Ours"]


def test_triggers_for_all_customers_are_the_producers_own(api: ApiClient, customer: Customer) -> None:
    everyone = Trigger.objects.create(name="All", event="order.*", address="https://producer.example/internal")
    delivery = end(told(order=make_order(customer=customer)))
    assert (listed(api), api.get("/api/endpoints").json()) == ([], {"endpoints": []})
    assert api.get(f"/api/deliveries/{delivery.pk}").status_code == 404
    assert api.post("/api/deliveries/replay", {}).json() == {"count": 0}
    assert api.post(f"/api/endpoints/{everyone.pk}/test").status_code == 404
    assert Delivery.objects.get(pk=delivery.pk).state == "given_up"


def test_a_trigger_that_changed_hands_shows_nothing_of_its_former_owner(
    api: ApiClient, stranger: ApiClient, trigger: Trigger, customer: Customer, other: Customer
) -> None:
    delivery = end(told(order=make_order(customer=customer)))
    Trigger.objects.update(customer=other)
    assert (listed(api), listed(stranger)) == ([], [])
    assert stranger.get(f"/api/deliveries/{delivery.pk}").status_code == 404
    assert stranger.post(f"/api/deliveries/{delivery.pk}/replay").status_code == 404
    assert stranger.post("/api/deliveries/replay", {"failedOnly": False}).json() == {"count": 0}


def test_an_open_key_names_its_customer(trigger: Trigger, customer: Customer) -> None:
    make_order(customer=customer)
    api = key_of(None, "open")
    refused = api.get("/api/deliveries")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "CUSTOMER_MISSING")
    named = {"Customer-Reference-ID": customer.reference}
    assert len(api.get("/api/deliveries", **named).json()["deliveries"]) == 1
    assert ApiClient("nobody:x").get("/api/deliveries").status_code == 401


def test_the_list_is_narrowed(api: ApiClient, trigger: Trigger, customer: Customer) -> None:
    second = Trigger.objects.create(
        name="Mail", customer=customer, event="order.*", channel="email", address="a@b.example"
    )
    order, newer = make_order(customer=customer), make_order(customer=customer)
    hook, mail = told(order=order, target=str(trigger.pk)), told(order=order, target=str(second.pk))
    end(hook)
    at = timezone.now() - timedelta(days=10)
    old = first_id(at)
    Delivery.objects.filter(pk=mail.pk).update(id=old)
    last = [str(each.pk) for each in Delivery.objects.filter(listener="trigger", order=newer).order_by("-id")]
    every = [*last, str(hook.pk), str(old)]
    assert listed(api) == every
    assert listed(api, "?status=given_up") == [str(hook.pk)]
    assert listed(api, "?status=due") == [*last, str(old)]
    assert listed(api, "?event=order.received") == listed(api, "?event=order.*") == every
    assert listed(api, "?event=order.shipped") == listed(api, "?status=delivered") == []
    assert listed(api, f"?order={order.pk}") == listed(api, f"?order={order.reference}") == every[2:]
    newest = told(order=newer, target=str(trigger.pk))
    assert listed(api, f"?endpoint={trigger.pk}") == [str(newest.pk), str(hook.pk)]
    day = (at + timedelta(days=1)).date()
    assert listed(api, f"?until={day}") == [str(old)]
    assert listed(api, f"?since={day}T00:00:00Z") == every[:3]


def test_the_list_pages_by_cursor_without_missing_or_repeating_a_row(
    api: ApiClient, trigger: Trigger, customer: Customer
) -> None:
    Trigger.objects.create(name="Second", customer=customer, event="order.*", address="https://second.example")
    for _ in range(3):
        make_order(customer=customer)
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/api/deliveries?limit=2&cursor={cursor}").json()
        seen += [row["id"] for row in page["deliveries"]]
        cursor = page["nextCursor"]
    mine = Delivery.objects.filter(listener="trigger").order_by("-id")
    assert seen == [str(pk) for pk in mine.values_list("pk", flat=True)]


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    api: ApiClient, trigger: Trigger, customer: Customer, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        make_order(customer=customer)
    with django_assert_num_queries(4):  # key, triggers, ids, page
        assert len(listed(api)) == count


@pytest.mark.parametrize(
    "question",
    ["limit=0", "limit=101", "limit=x", "status=nonsense", "since=yesterday", "until=2026-13-45", "since=2026-01-15T25:00",
     "event=" + "x" * 300],
)  # fmt: skip
def test_a_bad_question_is_a_clear_422(api: ApiClient, trigger: Trigger, question: str) -> None:
    answer = api.get(f"/api/deliveries?{question}")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["path"] == f"/{question.partition('=')[0]}"


def test_what_was_given_up_is_sent_again(api: ApiClient, trigger: Trigger, customer: Customer) -> None:
    delivery = end(told(order=make_order(customer=customer)))
    assert api.post(f"/api/deliveries/{delivery.pk}/replay").json() == {"count": 1}
    again = Delivery.objects.get(pk=delivery.pk)
    assert (again.state, again.attempts, again.ended_at) == ("due", 0, None)


def test_a_delivery_that_is_being_sent_is_not_sent_twice(api: ApiClient, trigger: Trigger, customer: Customer) -> None:
    delivery, lease = told(order=make_order(customer=customer)), uuid4()
    Delivery.objects.filter(pk=delivery.pk).update(lease=lease, attempts=3, due=timezone.now() + timedelta(seconds=30))
    assert api.post(f"/api/deliveries/{delivery.pk}/replay").json() == {"count": 0}
    assert api.post("/api/deliveries/replay", {"failedOnly": False}).json() == {"count": 0}
    assert Delivery.objects.filter(pk=delivery.pk, lease=lease, attempts=3).exists()


def test_a_range_is_sent_again(api: ApiClient, trigger: Trigger, customer: Customer) -> None:
    failed, fine = (end(told(order=make_order(customer=customer)), state) for state in ("given_up", "done"))
    assert api.post("/api/deliveries/replay", {"event": "order.shipped"}).json() == {"count": 0}
    assert api.post("/api/deliveries/replay", {"until": "2001-01-01"}).json() == {"count": 0}
    asked = {"since": "2001-01-01", "until": "2999-01-01T00:00:00Z", "event": "order.*", "endpoint": str(trigger.pk)}
    assert api.post("/api/deliveries/replay", asked).json() == {"count": 1}
    assert api.post("/api/deliveries/replay", asked).json() == {"count": 0}
    assert [Delivery.objects.get(pk=each.pk).state for each in (failed, fine)] == ["due", "done"]
    assert api.post("/api/deliveries/replay", {"failedOnly": False}).json() == {"count": 1}
    for bad in ({"since": "x"}, {"failedOnly": "perhaps"}, []):
        assert api.post("/api/deliveries/replay", bad).status_code == 422


def test_a_large_range_is_sent_again_in_the_background(
    api: ApiClient, trigger: Trigger, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "AT_ONCE", 2)
    for _ in range(5):
        end(told(order=make_order(customer=customer)))
    assert api.post("/api/deliveries/replay", {}).json() == {"count": 5}
    assert Event.objects.get(kind="replay.started").by == "connector:acme-shop"
    while pks := list(Delivery.objects.filter(listener=replays.NAME, state="due").values_list("pk", flat=True)):
        assert [events.deliver(pk) for pk in pks] == [True]
    assert set(Delivery.objects.filter(listener="trigger").values_list("state", flat=True)) == {"due"}


def test_endpoints_tell_how_they_do_and_no_secret(api: ApiClient, trigger: Trigger) -> None:
    trigger.headers, trigger.failures, trigger.failing_since = "X-Key: s3cret", 3, timezone.now()
    trigger.save()
    EndpointDay.objects.create(
        trigger=trigger, day=timezone.now().date(), delivered=3, failed=1, milliseconds=400, slowest=250
    )
    answer = api.get("/api/endpoints")
    (found,) = answer.json()["endpoints"]
    assert found == {
        "id": str(trigger.pk), "name": "Ours", "event": "order.*", "channel": "webhook", "active": True,
        "address": "https://••••••••@acme.example/h",
        "health": {
            "state": "failing", "failures": 3, "failingSince": found["health"]["failingSince"], "pausedUntil": None,
            "switchedOffAt": None, "switchedOffWhy": "", "delivered": 3, "failed": 1, "successPercent": 75.0,
            "meanMilliseconds": 100, "slowestMilliseconds": 250,
        },
    }  # fmt: skip
    assert [word for word in (trigger.secret, "s3cret", ":pw@") if word in answer.content.decode()] == []


@pytest.fixture
def receiver(settings: Any) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], list[int]]]:
    """A customer's server: its address, what it got, and what it answers next (200 when nothing is said)."""
    got: list[tuple[dict[str, str], bytes]] = []
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{server.server_port}"]
    yield f"http://127.0.0.1:{server.server_port}/hook", got, answers
    server.shutdown()
    server.server_close()


def test_an_endpoint_is_tested_with_a_made_up_event(
    api: ApiClient, trigger: Trigger, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, got, answers = receiver
    monkeypatch.setattr("orders.api_deliveries.limits.take", lambda key, *, rate: 0.0)
    Trigger.objects.update(address=address)
    answer = api.post(f"/api/endpoints/{trigger.pk}/test", {"event": "order.delivered"}).json()
    assert (answer["succeeded"], answer["event"], answer["message"]) == (True, "order.delivered", "")
    assert answer["answer"] == {"status": 200, "body": "ok"}
    ((headers, body),) = got
    Webhook(trigger.secret).verify(body.decode(), headers)
    assert (json.loads(body)["type"], json.loads(body)["test"]) == ("order.delivered", True)
    answers.append(500)
    failed = api.post(f"/api/endpoints/{trigger.pk}/test").json()
    assert (failed["succeeded"], failed["answer"]["status"]) == (False, 500)
    assert (Delivery.objects.count(), Event.objects.count()) == (0, 0)
    assert api.post(f"/api/endpoints/{trigger.pk}/test", {"event": "order.noted"}).status_code == 422


def test_an_endpoint_is_tested_once_a_second(
    api: ApiClient, trigger: Trigger, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, got, _ = receiver
    Trigger.objects.update(address=address)
    monkeypatch.setattr(
        "orders.api_deliveries.limits.take", lambda key, *, rate: 1.5 if key == f"test:{trigger.pk}" else 0.0
    )
    refused = api.post(f"/api/endpoints/{trigger.pk}/test")
    assert (refused.status_code, refused["Retry-After"], got) == (429, "2", [])


def test_both_forms_of_the_path_are_the_same(
    api: ApiClient, trigger: Trigger, customer: Customer, connector: Connector
) -> None:
    delivery = told(order=make_order(customer=customer))
    long = f"/api/print/deliveries/{connector.pk}"
    assert api.get(long).json() == api.get("/api/deliveries").json()
    assert api.get(f"{long}/{delivery.pk}").json() == api.get(f"/api/deliveries/{delivery.pk}").json()
    assert api.get(f"/api/print/endpoints/{connector.pk}").json() == api.get("/api/endpoints").json()
    assert api.get(f"/api/print/deliveries/{NOBODY}").status_code == 404


def test_the_schema_describes_the_calls(client: Any, db: None) -> None:
    paths = client.get("/api/schema?format=json").json()["paths"]
    shown: dict[str, Callable] = {
        path: list(said) for path, said in paths.items() if "deliver" in path or "endpoint" in path
    }
    assert shown == {
        "/api/deliveries": ["get"],
        "/api/deliveries/replay": ["post"],
        "/api/deliveries/{ref}": ["get"],
        "/api/deliveries/{ref}/replay": ["post"],
        "/api/endpoints": ["get"],
        "/api/endpoints/{ref}/test": ["post"],
    }
