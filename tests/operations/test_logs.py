"""The log says what happened and what it was about, and nothing of people."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from gelatoconnect.lib import logs
from orders import events
from orders.models import Customer, Order, Trigger
from orders.services import move
from tests.conftest import ApiClient, FileServer
from tests.connectors.walk import walk

# Of the recipient in tests.conftest.order_body.
PERSON = ("ana", "ruiz", "karl johans", "0154", "ana@example.com", "22 12 34 56")


class Log:
    """What is logged, as the formatter writes it."""

    def __init__(self, format: logging.Formatter) -> None:
        self.text = io.StringIO()
        self.handler = logging.StreamHandler(self.text)
        self.handler.setFormatter(format)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log(logs.Json())
    root = logging.getLogger()
    level = root.level
    root.addHandler(log.handler)
    root.setLevel(logging.DEBUG)
    yield log
    root.removeHandler(log.handler)
    root.setLevel(level)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """A listener to every event that fails with this error, which tells of the recipient."""

    def register(error: Exception) -> None:
        def fail(delivery: Any) -> None:
            raise error

        monkeypatch.setitem(events.LISTENERS, "broken", events.Listener("broken", ("*",), fail))

    return register


def of(log: Log, logger: str) -> list[dict[str, Any]]:
    return [line for line in log.lines if line["logger"] == logger]


# --- requests -------------------------------------------------------------------------------------------
def test_each_request_is_one_line_with_its_status_and_time(api: ApiClient, log: Log) -> None:
    answer = api.get("/api/orders/search?q=ana@example.com")
    (line,) = of(log, "gelatoconnect.access")
    assert line["time"].endswith("Z") and line.pop("time")
    assert line.pop("ms") > 0
    assert line == {
        "level": "info", "logger": "gelatoconnect.access", "message": f"GET /api/orders/search {answer.status_code}",
        "request_id": answer["X-Request-ID"], "method": "GET", "path": "/api/orders/search",
        "status": answer.status_code, "connector": "acme-shop",
    }  # fmt: skip


def test_a_submitted_order_is_named_by_its_id(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], log: Log
) -> None:
    answer = api.post("/api/orders", order_body())
    assert [(line["order"], line["status"]) for line in of(log, "gelatoconnect.access")] == [(answer.json()["id"], 201)]


@pytest.mark.parametrize("said", ["order-7f3a_b2c1", "0af7651916cd43dd8448eb211c80319c"])
def test_a_well_formed_request_id_is_kept(db: None, log: Log, said: str) -> None:
    answer = Client().get("/login", headers={"X-Request-ID": said})
    assert answer["X-Request-ID"] == said
    assert [line["request_id"] for line in of(log, "gelatoconnect.access")] == [said]


@pytest.mark.parametrize(
    "said", ["", "short", "ana@example.com", "a b c d e f g", 'x"},{"level":"error', "x" * 65, "é" * 9]
)
def test_any_other_request_id_is_replaced(db: None, log: Log, said: str) -> None:
    answer = Client().get("/login", headers={"X-Request-ID": said})
    assert UUID(answer["X-Request-ID"]).version == 7
    assert [line["request_id"] for line in of(log, "gelatoconnect.access")] == [answer["X-Request-ID"]]


def test_what_is_bound_in_one_request_is_not_said_in_the_next(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], log: Log
) -> None:
    api.post("/api/orders", order_body())
    Client().get("/login")
    assert "order" not in of(log, "gelatoconnect.access")[-1]


def test_the_person_of_the_staff_is_named_and_no_query_is_spent_on_it(
    admin_client: Client, log: Log, django_assert_num_queries: Any
) -> None:
    admin_client.get("/orders?q=Ruiz")
    with django_assert_num_queries(0):
        admin_client.get("/api/orders/search")
    assert [(line.get("user"), line["status"], line["path"]) for line in of(log, "gelatoconnect.access")] == [
        ("admin", 200, "/orders"), (None, 401, "/api/orders/search")]  # fmt: skip


def test_probes_and_static_files_are_not_worth_a_line_when_all_is_well(db: None, log: Log) -> None:
    assert Client().get("/healthz").status_code == 200
    assert of(log, "gelatoconnect.access") == []
    Client().get("/static/nothing.css")
    assert [line["status"] for line in of(log, "gelatoconnect.access")] == [404]


def test_a_path_that_is_not_found_is_said_once(db: None, log: Log) -> None:
    Client().get("/nowhere?q=ana")
    assert [line["message"] for line in log.lines] == ["GET /nowhere 404"]


def test_the_token_of_an_upload_is_masked(connector: Any, log: Log) -> None:
    Client().put(f"/in/{connector.pk}/files/token.1abc.secret", b"x", content_type="application/pdf")
    Client().get(f"/in/{connector.pk}/{'s' * 49}/ana@example.com")
    assert [line["path"] for line in of(log, "gelatoconnect.access")] == [
        f"/in/{connector.pk}/files/***", f"/in/{connector.pk}/***/***"]  # fmt: skip
    assert "token.1abc" not in log.text.getvalue()


def test_a_request_that_breaks_is_an_error_with_its_traceback_and_without_what_it_quotes(log: Log) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        try:
            raise ValueError("'Ana Ruiz' is no number")
        except ValueError:
            logging.getLogger("django.request").exception("%s: %s", "Internal Server Error", "/in/c/files/t0ken")
        return HttpResponse(status=500)

    logs.RequestLog(view)(RequestFactory().get("/in/c/files/t0ken?q=ana"))
    broken, access = log.lines
    assert (broken["level"], broken["message"]) == ("error", "Internal Server Error: /in/c/files/***")
    assert broken["error"].endswith(
        "in view\n    raise ValueError(\"'Ana Ruiz' is no number\")\nValueError: *** is no number"
    )
    assert broken["request_id"] == access["request_id"]


# --- a whole order --------------------------------------------------------------------------------------
def test_an_order_goes_its_whole_way_and_the_log_tells_nothing_of_its_recipient(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], file_server: FileServer, good_pdf: bytes,
    customer: Customer, log: Log, broken: Callable[[Exception], None], admin_client: Client,
) -> None:  # fmt: skip
    Trigger.objects.create(name="hook", customer=customer, address="https://hooks.invalid/ana-ruiz?who=ana")
    broken(IntegrityError('duplicate key violates "address_once"\nDETAIL:  Key (email)=(ana@example.com) exists.'))
    body = order_body(url=file_server.add("ana-ruiz.pdf", good_pdf))
    answer = api.post("/api/orders", body, **{"Idempotency-Key": "key-1"})
    api.post("/api/orders", order_body("ACME-2") | {"shippingAddress": {"firstName": "Ana", "country": "QQ"}})
    api.post("/api/orders", b'{"firstName": "Ana Ruiz"')
    order = walk(Order.objects.get(pk=answer.json()["id"]))
    move(order, Order.arrive, by="user:ada")
    for path in ("/orders?q=ana+ruiz", f"/orders/{order.pk}", "/requests?q=ruiz", "/postbacks?q=ana@example.com"):
        admin_client.get(path)
    said = log.text.getvalue().lower()
    assert [trace for trace in PERSON if trace in said] == []
    failed = [line for line in of(log, "orders.events") if line["level"] == "error"]
    assert {(line["order"], line["listener"]) for line in failed if "order" in line} == {(str(order.pk), "broken")}
    assert failed[0]["error"].endswith('IntegrityError: duplicate key violates "address_once"')


def test_what_a_delivery_logs_names_order_and_delivery(customer: Customer, log: Log, broken: Any) -> None:
    broken(KeyError("Ana"))
    with transaction.atomic():
        event = events.emit(None, "clock.struck", by="test", customer=customer)
    events.sweep()
    (line,) = of(log, "orders.events")
    assert (line["delivery"], line["listener"]) == (str(event.deliveries.get(listener="broken").pk), "broken")
    assert line["error"].endswith("KeyError: ***")


# --- what is cleaned ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text, cleaned",
    [
        ("Mail to lena.koch+x@example.com failed", "Mail to *** failed"),
        ("https://lena:pw@files.example:8443/koch.pdf?sig=1 is gone", "https://files.example:8443/*** is gone"),
        ("Error 111 connecting to redis://:secret@redis.internal:6379/0.", "Error 111 connecting to redis://redis.internal:6379/***"),
        ("GET /orders?q=lena&x=1 took long", "GET /orders?*** took long"),
        ("Delivery 7 to webhook failed", "Delivery 7 to webhook failed"),
    ],
)  # fmt: skip
def test_messages_are_cleaned(text: str, cleaned: str) -> None:
    assert logs.clean(text) == cleaned


def test_a_chain_of_errors_is_told_from_its_beginning() -> None:
    try:
        try:
            int("Lena")
        except ValueError as error:
            raise RuntimeError("It did not work.") from error
    except RuntimeError as error:
        told = logs.traceback_of(error)
    first, then = told.split("\n--- and then\n")
    assert first.endswith("ValueError: invalid literal for int() with base 10: ***")
    assert then.endswith("RuntimeError: It did not work.")


def test_with_debug_on_errors_are_told_in_full(log: Log, settings: Any) -> None:
    settings.DEBUG = True
    try:
        raise ValueError("'Ana'")
    except ValueError:
        logging.getLogger("any").exception("Broken by %s", "ana@example.com")
    (line,) = log.lines
    assert line["message"] == "Broken by ana@example.com"
    assert line["error"].endswith("ValueError: 'Ana'")


def test_lines_for_eyes_say_the_same() -> None:
    log = Log(logs.Line())
    logger = logging.getLogger("eyes")
    logger.addHandler(log.handler)
    try:
        with logs.bound(order=7, user=""):
            logger.error("Mail to %s failed", "ana@example.com")
    finally:
        logger.removeHandler(log.handler)
    assert log.text.getvalue().endswith(" ERROR eyes: Mail to *** failed [order=7]\n")
