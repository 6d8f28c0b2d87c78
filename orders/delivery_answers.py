"""What the API answers of deliveries and endpoints. A customer reads what it was sent and what it answered: no secrets."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from orders.answers import Answer
from orders.health import Days, Health
from orders.masks import masked, masked_url
from orders.models import Attempt, Delivery, Trigger
from orders.notifications import Outcome

# Our word for a state → the API's.
STATUSES = {Delivery.State.DUE: "due", Delivery.State.DONE: "delivered", Delivery.State.GIVEN_UP: "given_up"}
SENT = ("method", "url", "to", "subject", "body", "html")  # of a request, what its receiver got


class DeliverySummary(Answer):
    """status: due, delivered or given_up. nextAttemptAt: while it is due."""

    id: UUID
    event_id: UUID
    event: str
    happened_at: datetime
    order_id: UUID | None
    order_reference_id: str | None
    endpoint_id: UUID
    endpoint_name: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    ended_at: datetime | None
    error: str


class DeliveriesAnswer(Answer):
    deliveries: list[DeliverySummary]
    next_cursor: str | None


class AttemptAnswer(Answer):
    """request: method, url, headers and body of a webhook; to, subject, body and html of a mail."""

    at: datetime
    milliseconds: int
    succeeded: bool
    message: str
    request: dict[str, Any]
    answer: dict[str, Any]


class DeliveryAnswer(DeliverySummary):
    """tries: the attempts, newest first."""

    tries: list[AttemptAnswer]


class ReplayAnswer(Answer):
    """count: how many deliveries are sent again; very many of them one after the other."""

    count: int


class HealthAnswer(Answer):
    """state: fine, failing, resting (not called until pausedUntil) or off. Figures of the attempts of the last 30 days."""

    state: str
    failures: int
    failing_since: datetime | None
    paused_until: datetime | None
    switched_off_at: datetime | None
    switched_off_why: str
    delivered: int
    failed: int
    success_percent: float | None
    mean_milliseconds: int | None
    slowest_milliseconds: int | None


class EndpointAnswer(Answer):
    """channel: webhook or email."""

    id: UUID
    name: str
    event: str
    channel: str
    address: str
    active: bool
    health: HealthAnswer


class EndpointsAnswer(Answer):
    endpoints: list[EndpointAnswer]


class TestAnswer(Answer):
    """What became of a test: why it failed (empty: it did not), what was sent and what came back."""

    event: str
    succeeded: bool
    message: str
    milliseconds: int
    request: dict[str, Any]
    answer: dict[str, Any]


def summary_of(delivery: Delivery, trigger: Trigger) -> dict[str, Any]:
    event, order = delivery.event, delivery.order
    due = delivery.state == Delivery.State.DUE
    return {
        "id": delivery.pk, "event_id": event.pk, "event": event.kind, "happened_at": event.at,
        "order_id": delivery.order_id, "order_reference_id": order.reference if order else None,
        "endpoint_id": trigger.pk, "endpoint_name": trigger.name, "status": STATUSES[Delivery.State(delivery.state)],
        "attempts": delivery.attempts, "next_attempt_at": delivery.due if due else None, "ended_at": delivery.ended_at,
        "error": delivery.error,
    }  # fmt: skip


def delivery_of(delivery: Delivery, trigger: Trigger, tries: Iterable[Attempt]) -> DeliveryAnswer:
    return DeliveryAnswer(**summary_of(delivery, trigger), tries=[_attempt(each) for each in tries])


def endpoint_of(trigger: Trigger, health: Health, days: Days) -> EndpointAnswer:
    return EndpointAnswer(
        id=trigger.pk, name=trigger.name, event=trigger.event, channel=trigger.channel,
        address=masked_url(trigger.address), active=trigger.active,
        health=HealthAnswer(
            state=health.state, failures=trigger.failures, failing_since=trigger.failing_since, paused_until=health.until,
            switched_off_at=trigger.switched_off_at, switched_off_why=trigger.switched_off_why,
            delivered=days.delivered, failed=days.failed, mean_milliseconds=days.mean,
            success_percent=None if days.success is None else round(days.success, 1),
            slowest_milliseconds=None if days.mean is None else days.slowest,
        ),
    )  # fmt: skip


def test_of(kind: str, outcome: Outcome) -> TestAnswer:
    request, answer = _said(outcome.report)
    return TestAnswer(event=kind, succeeded=not outcome.failure, message=outcome.failure,
                      milliseconds=outcome.milliseconds, request=request, answer=answer)  # fmt: skip


def _attempt(attempt: Attempt) -> AttemptAnswer:
    request, answer = _said(attempt.report)
    return AttemptAnswer(
        at=attempt.at, milliseconds=attempt.milliseconds, succeeded=attempt.succeeded, message=attempt.message,
        request=request, answer=answer,
    )  # fmt: skip


def _said(report: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was sent and what came back, without what nobody has to see."""
    sent, answer = report.get("request") or {}, report.get("answer") or {}
    request = {name: sent[name] for name in SENT if sent.get(name)}
    if "url" in request:
        request |= {"url": masked_url(str(request["url"])), "headers": dict(masked(sent.get("headers") or {}))}
    return request, {name: answer[name] for name in ("status", "body") if name in answer}
