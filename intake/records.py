"""The row of what came in: made of an Incoming, found again by its key, and what became of it."""

import hashlib
import logging
from dataclasses import replace
from typing import Any

from django.db import DatabaseError, transaction

from gelatoconnect.lib import limits
from gelatoconnect.lib.failpoints import reached
from gelatoconnect.lib.problems import Problem, Rejected
from intake import unmapped
from intake.connectors import config_of, kind_of
from intake.connectors.base import Call, Incoming, Message, Outcome
from intake.models import Connector, OrderRequest
from orders.events import emit

log = logging.getLogger(__name__)

SECRET_HEADERS = {"authorization", "cookie", "x-api-key", "proxy-authorization", "x-oneflow-authorization",
                  "x-hp-hmac-authentication"}  # fmt: skip
MAX_REFUSED = 64 * 1024  # bytes kept of what was refused at the door
MAX_HEADER = 8 * 1024  # characters
REFUSED_RATE = 2  # a second and connector that are kept of those

State = OrderRequest.State


def receive(incoming: Incoming, *, connector: Connector) -> OrderRequest:
    """The request as it came: raw bytes, headers without secrets, fingerprint. Not saved yet."""
    return OrderRequest(
        connector=connector,
        customer=connector.customer,
        key=_key(incoming.key),
        topic=_line(incoming.topic),
        source_id=_line(incoming.source_id),
        body=incoming.body,
        fingerprint=_fingerprint(incoming),
        content_type=_line(incoming.content_type),
        customer_reference=_line(incoming.customer_reference),
        contents=dict(incoming.contents),
        recovered=incoming.recovered,
        headers={
            _line(name): _line(value, MAX_HEADER)
            for name, value in incoming.headers.items()
            if name.lower() not in SECRET_HEADERS
        },
    )


def message_of(request: OrderRequest) -> Message:
    """What is read of a request: mended before fetched before received; with the settings and templates of now."""
    connector, kind = request.connector, kind_of(request.connector)
    if kind.mappable:
        request.mapping = connector.mappings.first()
    return Message(
        body=bytes(request.mended_body or request.fetched_body or request.body),
        topic=request.topic,
        headers=request.headers,
        content_type=request.content_type,
        contents=request.contents,
        config=config_of(connector),
        mapping=request.mapping,
        connector=connector.pk,
    )


def record(request: OrderRequest, outcome: Outcome) -> Outcome:
    """Store the request with what became of it; says the outcome as it is answered."""
    kind = kind_of(request.connector)
    was_answered = request.answer_status is not None and request.state == State.RECEIVED  # when it was put aside
    state = outcome.state or (State.ACCEPTED if outcome.order is not None else State.REJECTED)
    request.order, request.state = outcome.order, state
    request.source_id, request.reference = _line(request.source_id), _line(request.reference)
    # A refused request may be mended and sent with the same key, unless its sender is told that all is well.
    request.key = request.key if state != State.REJECTED or kind.keeps_refusals else None
    message = _answering(request)
    answer = kind.answer(replace(outcome, request=request.pk), message)
    request.problems = [problem.as_dict() for problem in (*outcome.problems, *message.notes)]
    outcome = replace(outcome, status=kind.status(outcome), answer=answer, request=request.pk)
    if not was_answered:
        request.answer_status, request.answer = outcome.status, outcome.answer
    stored_before = not request._state.adding
    with transaction.atomic(savepoint=False):
        request.save()
        if stored_before:
            unmapped.forget(request)
        if missing := getattr(request, "missing", ()):
            unmapped.remember(request, missing)
        if state == State.REJECTED:
            _tell_of_refusal(request)
    return outcome


def put_aside(request: OrderRequest) -> Outcome:
    """Store it to be read by a worker, and answer at once."""
    with transaction.atomic():
        outcome = record(request, Outcome(202, state=State.RECEIVED))
        emit(None, "request.received", by=f"connector:{request.connector.name}", customer=request.customer,
             request={"id": str(request.pk)})  # fmt: skip
    reached("aside.committed")
    return outcome


def first_of(request: OrderRequest) -> Outcome | None:
    """The stored outcome of an earlier request with the same key. The same key with other content is refused."""
    if not request.key:
        return None
    earlier = OrderRequest.objects.filter(connector=request.connector, key=request.key)
    if not earlier.exists():  # nearly always: not worth making a whole row's question
        return None
    first = earlier.select_related("order").get()
    if first.fingerprint != request.fingerprint:
        problem = Problem("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used before with another body.",
                          hint="Use a new key for each new request.")  # fmt: skip
        raise Rejected([problem], status=kind_of(request.connector).key_conflict)
    problems = [Problem(**problem) for problem in first.problems] if first.order is None else []
    return Outcome(first.answer_status or 200, order=first.order, problems=problems, answer=first.answer, replayed=True,
                   request=first.pk, state=first.state)  # fmt: skip


def keep_refused(call: Call, connector: Connector, refusal: Rejected, *, config: Any = None, answer: str = "") -> None:
    """What was turned away at the door is visible too: the beginning of it, and not more often than somebody can read.

    config: the connector's settings, or None when they are not complete; answer: as it went over the wire.
    """
    if limits.take(f"refused:{connector.pk}", rate=REFUSED_RATE):
        return
    call = kind_of(connector).concealed(replace(call, body=call.body[:MAX_REFUSED]), config)
    incoming = Incoming(call.body, call.headers, call.content_type, topic=f"{call.method} {call.path}")
    request = receive(incoming, connector=connector)
    request.state, request.answer_status, request.answer = State.REJECTED, refusal.status, answer
    request.problems = [problem.as_dict() for problem in refusal.problems]
    request.save()


def keep_unread(incoming: Incoming, connector: Connector, error: Exception) -> None:
    """A fault of ours: the sender gets a 5xx and sends again; what came is kept all the same."""
    log.exception("A request of connector %s could not be read", connector.name)
    problem = Problem("REQUEST_FAILED", f"It could not be read because of a fault of ours: {type(error).__name__}.",
                      hint="Process it again once the fault is mended.")  # fmt: skip
    request = receive(incoming, connector=connector)
    request.key, request.state, request.problems = None, State.REJECTED, [problem.as_dict()]
    try:
        request.save()
    except DatabaseError:
        log.exception("Nor could it be kept")


def _answering(request: OrderRequest) -> Message:
    """What an answer may look at; the settings may be what is wrong."""
    try:
        config = config_of(request.connector)
    except Rejected:
        config = None
    return Message(bytes(request.body), request.topic, request.headers, request.content_type, config=config,
                   mapping=request.mapping, connector=request.connector.pk)  # fmt: skip


def _tell_of_refusal(request: OrderRequest) -> None:
    named = {"id": str(request.pk), "referenceId": request.reference, "connector": request.connector.name}
    emit(None, "request.rejected", by=f"connector:{request.connector.name}", customer=request.customer,
         request=named, problems=[each for each in request.problems if each["severity"] != "info"])  # fmt: skip


def _fingerprint(incoming: Incoming) -> str:
    content = incoming.essence or incoming.body
    return hashlib.sha256(incoming.customer_reference.encode() + b"\0" + content).hexdigest()


def _key(key: str) -> str | None:
    """A sender's key as the column holds it: one that is too long is kept by its hash."""
    if len(key) > 200 or "\0" in key:
        return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    return key or None


def _line(text: str, length: int = 120) -> str:
    """As much of it as the column takes, without what PostgreSQL refuses in a text."""
    return text.replace("\0", "\ufffd")[:length]
