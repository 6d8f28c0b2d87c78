"""The doors below /in are safe: who may pass, what is kept of those who may not, and that nothing is made twice or lost."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from gelatoconnect.lib import limits
from intake import pipeline, records
from intake.connectors import CONNECTOR_TYPES
from intake.doors import door
from intake.models import Connector, OrderRequest
from orders.models import Event, Order, Product
from tests.connectors.tiny import LIMIT, Tiny, signed
from tests.factories import make_customer, make_user

SECRET = "tiny-secret"
Answer = tuple[int, str]


@pytest.fixture(autouse=True)
def tiny_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTOR_TYPES, "tiny", Tiny())


@pytest.fixture
def tiny(channel: Callable[..., Connector], product: Product) -> Connector:
    return channel("tiny", secret=SECRET)


@pytest.fixture
def call(send: Any) -> Callable[..., Answer]:
    """`call(connector, body, id="…")`: a call signed with `secret`; the answer's status and body."""

    def call(
        connector: Connector, body: Any, *, secret: str = SECRET, at: float | None = None, **headers: str
    ) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {f"x-{name}" if name == "id" else name: value for name, value in headers.items()}
        response = send(connector, raw, **signed(raw, secret=secret, at=at, **names))
        return response.status_code, response.content.decode()

    return call


@pytest.fixture
def ordered(order_body: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    return lambda id="A-1", **changes: order_body(id) | {"id": id} | changes


def rows() -> list[tuple[str, int | None, list[str]]]:
    """What is stored of requests, oldest first: state, answer, codes of the problems."""
    return [(each.state, each.answer_status, [problem["code"] for problem in each.problems])
            for each in OrderRequest.objects.order_by("id")]  # fmt: skip


def nothing_happened() -> bool:
    return not Order.objects.exists() and not Event.objects.exists()


# --- who may pass -----------------------------------------------------------------------------------
def test_a_signed_call_makes_an_order(tiny: Connector, call: Any, ordered: Any) -> None:
    assert call(tiny, ordered()) == (201, f"TAKEN {Order.objects.get().pk}")
    assert rows() == [("accepted", 201, [])]


def test_a_wrong_signature_is_refused_and_only_its_beginning_is_kept(tiny: Connector, call: Any) -> None:
    body = b"x" * 200_000
    assert call(tiny, body, secret="another") == (401, "FAULT SIGNATURE_WRONG")
    found = OrderRequest.objects.get()
    assert (found.state, found.answer_status, found.answer) == ("rejected", 401, "FAULT SIGNATURE_WRONG")
    assert (bytes(found.body), found.key, found.topic) == (body[:65_536], None, "POST ")
    assert nothing_happened()  # nobody is told either: a stranger could make us send mail without end


def test_of_many_refused_calls_no_more_are_kept_than_somebody_can_read(
    tiny: Connector, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "monotonic", lambda: 1000.0)
    assert {call(tiny, b"{}", secret="another") for _ in range(20)} == {(401, "FAULT SIGNATURE_WRONG")}
    assert rows() == [("rejected", 401, ["SIGNATURE_WRONG"])] * records.REFUSED_RATE
    monkeypatch.setattr(limits, "monotonic", lambda: 1001.1)
    call(tiny, b"{}", secret="another")
    assert len(rows()) == records.REFUSED_RATE + 1


@pytest.mark.parametrize("ago", [302, -302, 10_000_000])
def test_an_old_call_is_refused_although_its_signature_fits(tiny: Connector, call: Any, ordered: Any, ago: int) -> None:
    assert call(tiny, ordered(), at=time.time() - ago) == (401, "FAULT TIMESTAMP_STALE")
    assert nothing_happened()


def test_a_fresh_stamp_on_an_old_signature_is_refused(tiny: Connector, send: Any, ordered: Any) -> None:
    raw = json.dumps(ordered()).encode()
    headers = signed(raw, secret=SECRET, at=time.time() - 1000) | {"x-at": str(int(time.time()))}
    assert send(tiny, raw, **headers).status_code == 401
    assert nothing_happened()


def test_what_was_not_proven_is_not_processed_by_a_click(tiny: Connector, call: Any, ordered: Any) -> None:
    """Whoever knows the address could put an order among the refused requests that staff process again in bulk."""
    call(tiny, ordered(), secret="another")
    request = OrderRequest.objects.get()
    outcome = pipeline.process_again(request, by="user:ada")
    assert (outcome.status, [problem.code for problem in outcome.problems]) == (401, ["REQUEST_UNPROVEN"])
    assert nothing_happened()
    body = json.dumps(ordered()).encode()
    assert pipeline.process_again(request, by="user:ada", body=body).order == Order.objects.get()  # as a person's own


def test_where_no_connector_is_nothing_is(tiny: Connector, send: Any, channel: Any) -> None:
    Connector.objects.filter(pk=tiny.pk).update(active=False)
    unknown = Connector(pk="00000000-0000-7000-8000-000000000000")
    key_only = Connector.objects.create(name="by-key", type="api")
    gone = Connector.objects.create(name="gone", type="no-such-type")
    assert [send(each, b"{}").status_code for each in (tiny, unknown, key_only, gone)] == [404] * 4
    assert OrderRequest.objects.count() == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_a_wrong_method_is_told_the_right_ones(tiny: Connector, send: Any, method: str) -> None:
    response = send(tiny, method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST, PUT")
    assert OrderRequest.objects.count() == 0


def test_too_many_calls_are_told_when_to_come_again(tiny: Connector, send: Any, call: Any, settings: Any) -> None:
    settings.API_RATE = 2
    answers = [send(tiny, b"{}") for _ in range(4)]
    assert [each.status_code for each in answers] == [401, 401, 429, 429]
    assert (answers[-1].content, answers[-1].headers["Retry-After"]) == (b"FAULT RATE_LIMITED", "1")
    assert len(rows()) == 2


def test_one_busy_connector_delays_no_other(tiny: Connector, channel: Any, send: Any, settings: Any) -> None:
    settings.API_RATE = 1
    other = channel("tiny", name="other", secret=SECRET)
    assert [send(each, b"{}").status_code for each in (tiny, tiny, other)] == [401, 429, 401]


# --- once -------------------------------------------------------------------------------------------
def test_the_same_again_is_the_first_answer_byte_for_byte(tiny: Connector, call: Any, ordered: Any) -> None:
    first = call(tiny, ordered(), id="evt-1")
    assert call(tiny, ordered(), id="evt-1", at=time.time() - 200) == first
    assert (Order.objects.count(), OrderRequest.objects.count()) == (1, 1)


def test_the_same_key_for_something_else_is_a_conflict_that_is_seen(tiny: Connector, call: Any, ordered: Any) -> None:
    call(tiny, ordered(), id="evt-1")
    assert call(tiny, ordered("A-2"), id="evt-1") == (409, "FAULT IDEMPOTENCY_KEY_REUSED")
    assert rows() == [("accepted", 201, []), ("rejected", 409, ["IDEMPOTENCY_KEY_REUSED"])]
    assert Order.objects.count() == 1


def test_a_refused_call_may_be_mended_and_sent_with_the_same_key(tiny: Connector, call: Any, ordered: Any) -> None:
    assert call(tiny, ordered(items=[]), id="evt-1") == (422, "FAULT FIELD_MISSING")
    assert call(tiny, ordered(), id="evt-1")[0] == 201
    assert Order.objects.count() == 1


def test_a_second_message_about_the_same_order_makes_no_second_one(tiny: Connector, call: Any, ordered: Any) -> None:
    _, first = call(tiny, ordered(), id="evt-1")
    assert call(tiny, ordered(), id="evt-2") == (200, first)
    assert (Order.objects.count(), len(rows())) == (1, 2)


@pytest.mark.parametrize("key", ["k" * 201, "k" * 100_000, "clé"])
def test_a_key_of_any_length_is_a_key(tiny: Connector, call: Any, ordered: Any, key: str) -> None:
    first = call(tiny, ordered(), id=key)
    assert first[0] == 201
    assert call(tiny, ordered(), id=key) == first
    assert call(tiny, ordered("A-2"), id=key)[0] == 409
    assert call(tiny, ordered("A-3"), id=key[:-1] + "x")[0] == 201


def test_a_cancel_that_is_quicker_than_its_order_holds(tiny: Connector, call: Any, ordered: Any) -> None:
    assert call(tiny, {"id": "A-1", "cancel": True})[0] == 200
    assert call(tiny, ordered()) == (200, "FAULT ORDER_CANCELED_BEFORE")
    assert nothing_happened()
    assert [state for state, *_ in rows()] == ["ignored", "ignored"]
    assert call(tiny, ordered("A-2"))[0] == 201


def test_one_customers_calls_never_touch_anothers_orders(
    tiny: Connector, channel: Any, call: Any, ordered: Any
) -> None:
    """Even with the same secret, the same ids and the same keys."""
    theirs = channel("tiny", name="beta-tiny", secret=SECRET, customer=make_customer(reference="beta"))
    call(tiny, ordered(), id="evt-1")
    first = Order.objects.get()
    assert call(theirs, {"id": "A-1", "cancel": True}, id="evt-2")[0] == 200
    assert call(theirs, {"id": str(first.pk), "cancel": True})[0] == 200
    assert call(theirs, ordered("A-9"), id="evt-1")[0] == 201
    first = Order.objects.get(pk=first.pk)
    assert (first.status, first.customer.reference, first.sequence) == ("received", "acme", 1)
    other = Order.objects.exclude(pk=first.pk).get()
    assert (other.customer.reference, other.connector) == ("beta", theirs.pk)
    assert call(tiny, ordered("A-3", customerReferenceId="beta"), id="evt-3")[0] == 403


# --- what cannot be read ----------------------------------------------------------------------------
DEEP = b'{"id":' * 100_000
POISON: list[tuple[bytes, int, str]] = [
    (b"", 400, "JSON_MALFORMED"),
    (b"\0", 400, "JSON_MALFORMED"),
    (b"\xff\xfe\x00\x01", 400, "JSON_ENCODING"),
    (b"[" * 100_000, 400, "JSON_TOO_DEEP"),
    (b"[" * 5_000 + b"]" * 5_000, 400, "JSON_TOO_DEEP"),
    (DEEP, 400, "JSON_TOO_DEEP"),
    (b'{"id":"\\u0000"}', 400, "JSON_CHARACTER"),
    (b'{"\\ud800":1}', 400, "JSON_CHARACTER"),
    (b'{"id":1,"id":2}', 400, "JSON_DUPLICATE_KEY"),
    (b'{"id":1e400}', 400, "JSON_NUMBER"),
    (b'{"id":' + b"9" * 5000 + b"}", 400, "JSON_NUMBER"),
    (b"[]", 422, "FIELD_TYPE"),
    (b"null", 422, "FIELD_TYPE"),
    (b'{"id":"\\u202e\\u2028<script>alert(1)</script>","orderReferenceId":"\\u202e"}', 422, "FIELD_MISSING"),
    (b"<a>" * 200_000, 400, "XML_TOO_DEEP"),
    (b"<a>" + b"<b/>" * 140_000 + b"</a>", 400, "XML_TOO_LARGE"),
    (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 400, "XML_DTD"),
    (b"<a>&#xD800;</a>", 400, "XML_MALFORMED"),
    (b"<a>\0</a>", 400, "XML_MALFORMED"),
    (b'<?xml version="1.0" encoding="x-none"?><a/>', 400, "XML_ENCODING"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "code"), POISON)
def test_what_cannot_be_read_is_said_in_the_senders_format_and_seen(
    tiny: Connector, call: Any, body: bytes, status: int, code: str
) -> None:
    answer = call(tiny, body, id="evt-1")
    assert (answer[0], answer[1].split()[:2]) == (status, ["FAULT", code])
    found = OrderRequest.objects.get()
    assert (found.state, found.answer_status, found.answer, bytes(found.body)) == ("rejected", status, answer[1], body)
    assert not Order.objects.exists()


def test_an_id_that_does_not_fit_is_refused_not_cut(tiny: Connector, call: Any, ordered: Any) -> None:
    """Cut, two orders of that sender would be one."""
    answer = call(tiny, ordered() | {"id": "9" * 121})
    assert (answer[0], rows()) == (422, [("rejected", 422, ["FIELD_TOO_LONG"])])
    assert call(tiny, {"id": "9" * 121, "cancel": True})[0] == 422
    assert not Order.objects.exists()


def test_every_poisoned_request_can_be_looked_at(
    tiny: Connector, channel: Any, send: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row that breaks the list would hide all others."""
    monkeypatch.setattr(records, "REFUSED_RATE", 0)
    with_key = channel("cloudprinter", key="inbound-key-0001", signal_key="signal-key")
    for body, *_ in POISON:
        call(tiny, body)
        call(tiny, body, secret="wrong")
        send(with_key, body)
    send(tiny, b"{}", path="a%00b/%F0%9F/%2e%2e", x_odd="\x7f\xe9", content_type="text/\xe9" + "x" * 500)
    Connector.objects.filter(pk=with_key.pk).update(settings="{}")  # and settings that are not complete any more
    gone = Connector.objects.create(name="gone", type="tiny", settings="{}")
    send(gone, b"{}")
    Connector.objects.filter(pk=gone.pk).update(type="no-such-type")
    browser = Client()
    browser.force_login(make_user("Manager"))
    found = list(OrderRequest.objects.values_list("pk", flat=True))
    assert len(found) == 3 * len(POISON) + 2
    pages = ["/requests", "/requests?view=refused", *(f"/requests/{pk}" for pk in found)]
    assert {page: browser.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)


# --- how much ---------------------------------------------------------------------------------------
class Unread:
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("It was read.")


class Endless:
    """Chunk after chunk; counts them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.given = chunks, 0

    def read(self, size: int = -1) -> bytes:
        chunk = next(self.chunks, b"")
        self.given += len(chunk)
        return chunk


def through(connector: Connector, stream: Any, *, length: str | None, **headers: str) -> Any:
    """A call whose body is that stream, as the web server hands it over."""
    request = RequestFactory().post(f"/in/{connector.pk}", b"", content_type="application/json", headers=headers)
    request.META |= {"wsgi.input": stream, "wsgi.input_terminated": True}
    request.META.pop("CONTENT_LENGTH", None)
    if length is not None:
        request.META["CONTENT_LENGTH"] = length
    request._stream = stream
    return door(request, connector.pk)


def test_a_body_over_the_limit_is_refused_before_it_is_read(tiny: Connector) -> None:
    response = through(tiny, Unread(), length=str(LIMIT + 1))
    assert (response.status_code, response.content) == (413, b"FAULT BODY_TOO_LARGE")
    assert rows() == [("rejected", 413, ["BODY_TOO_LARGE"])]


def test_a_body_that_does_not_say_its_length_is_read_up_to_the_limit(tiny: Connector) -> None:
    endless = Endless(iter(lambda: b"x" * 65_536, None))
    response = through(tiny, endless, length=None)
    assert (response.status_code, endless.given <= LIMIT + 65_536) == (413, True)


def test_a_body_that_comes_in_chunks_is_an_order_too(tiny: Connector, ordered: Any) -> None:
    raw = json.dumps(ordered()).encode()
    chunks = Endless(iter([raw[:100], raw[100:]]))
    assert through(tiny, chunks, length=None, **signed(raw, secret=SECRET)).status_code == 201
    assert bytes(OrderRequest.objects.get().body) == raw


# --- when we fail -----------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["intake.acts.place", "intake.models.OrderRequest.save", "orders.models.Order.save"])
def test_what_could_not_be_stored_is_sent_again_and_makes_one_order(
    tiny: Connector, call: Any, ordered: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(*args: Any, **more: Any) -> None:
        raise OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(where, broken)
        assert call(tiny, ordered(), id="evt-1") == (503, "FAULT INTERNAL_ERROR")
    assert nothing_happened()
    assert call(tiny, ordered(), id="evt-1")[0] == 201
    order = Order.objects.get()
    for request in OrderRequest.objects.filter(
        order=None
    ):  # kept at the first try: whoever processes it finds the order
        assert pipeline.process_again(request, by="user:ada").order == order
    assert Order.objects.count() == 1


def test_a_fault_of_ours_is_no_fault_of_the_senders_and_is_kept(
    tiny: Connector, call: Any, ordered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Tiny, "parse", lambda *args: 1 / 0)
        assert call(tiny, ordered(), id="evt-1") == (500, "FAULT INTERNAL_ERROR")
    assert rows() == [("rejected", None, ["REQUEST_FAILED"])]
    assert pipeline.process_again(OrderRequest.objects.get(), by="user:ada").order == Order.objects.get()


def test_a_verification_that_breaks_lets_nobody_in_and_keeps_what_came(
    tiny: Connector, call: Any, ordered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tiny, "verify", lambda *args: 1 / 0)
    assert call(tiny, ordered()) == (500, "FAULT REQUEST_FAILED")
    assert rows() == [("rejected", 500, ["REQUEST_FAILED"])]
    assert nothing_happened()


def test_settings_that_are_not_complete_are_ours_to_mend(tiny: Connector, call: Any, ordered: Any) -> None:
    Connector.objects.filter(pk=tiny.pk).update(settings="{}")
    assert call(tiny, ordered()) == (503, "FAULT CONNECTOR_SETTINGS")
    assert rows() == [("rejected", 503, ["CONNECTOR_SETTINGS"])]


def test_secrets_in_headers_are_never_kept(tiny: Connector, call: Any, ordered: Any) -> None:
    secret = {name: f"very-{number}-secret" for number, name in enumerate(sorted(records.SECRET_HEADERS))}
    call(tiny, ordered(), **secret)
    call(tiny, ordered(), secret="wrong", **secret)
    kept = [set(each.headers) for each in OrderRequest.objects.all()]
    assert [names & records.SECRET_HEADERS for names in kept] == [set(), set()]
    assert all(
        "x-signature" in names for names in kept
    )  # it proves nothing without the secret, and helps to find out why
    assert "secret" not in str([each.headers for each in OrderRequest.objects.all()])
