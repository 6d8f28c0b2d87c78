"""Customers read what they were told, send it again, and test their endpoints.

A customer's own are the deliveries of its own triggers. Triggers for all customers are the producer's: their addresses and
what was sent there are nobody else's business. A trigger that changed hands shows only what tells of its owner's orders.
"""

from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import Field
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from gelatoconnect.lib import limits, lists
from gelatoconnect.lib.ids import parse_id
from gelatoconnect.lib.problems import Problem, Rejected
from orders import delivery_answers as answers
from orders import drafts, replays
from orders.answers import ErrorAnswer
from orders.api import OrderView, unknown
from orders.deliveries import TO_CUSTOMERS, kinds_like, moment, sent_to, told_since, told_until, with_event
from orders.drafts import pointer
from orders.health import days_of_all, health_of
from orders.models import Customer, Delivery, Trigger
from orders.notifications import IN_HOUSE, Outcome, sample_kind, try_out
from orders.payloads import Occasion

ERRORS = dict.fromkeys((400, 401, 404, 422, 429), ErrorAnswer)
STATES = {word: state for state, word in answers.STATUSES.items()}
MOST_ORDERS = 100  # that share a reference: the newest


class Asked(drafts.Part):
    """Each narrows the list. event: order.shipped or order.*; order: its id or reference; times by ISO 8601, UTC."""

    event: drafts.Text = Field("", max_length=200)
    status: drafts.Text = Field("", max_length=20)
    order: drafts.Text = Field("", max_length=120)
    endpoint: drafts.Text = Field("", max_length=60)
    since: drafts.Text = Field("", max_length=40)
    until: drafts.Text = Field("", max_length=40)
    limit: int = Field(50, ge=1, le=100)
    cursor: drafts.Text = Field("", max_length=60)


class AskedAgain(drafts.Part):
    """Which deliveries are sent again; empty: all that were given up. failedOnly false: those that arrived as well."""

    event: drafts.Text = Field("", max_length=200)
    endpoint: drafts.Text = Field("", max_length=60)
    since: drafts.Text = Field("", max_length=40)
    until: drafts.Text = Field("", max_length=40)
    failed_only: bool = True


class AskedTest(drafts.Part):
    """event: the kind to make up; empty: one that the trigger hears of."""

    event: drafts.Text = Field("", max_length=60)


class OwnView(OrderView):
    """A view of what belongs to the customer; the rest does not exist for it."""

    @cached_property
    def customer(self) -> Customer:
        if self.sender.customer is None:
            message = "This key is open to all customers, and none was named."
            hint = "Send the customer's reference as Customer-Reference-ID."
            raise Rejected([Problem("CUSTOMER_MISSING", message, hint=hint)], status=400)
        return self.sender.customer

    @cached_property
    def triggers(self) -> dict[str, Trigger]:
        own = Trigger.objects.filter(customer=self.customer).order_by("name", "id")
        return {str(trigger.pk): trigger for trigger in own}

    def trigger(self, ref: str) -> Trigger:
        """Raises Rejected (404)."""
        found = self.triggers.get(str(parse_id(ref)))
        if found is None:
            raise unknown("ENDPOINT_UNKNOWN", f"There is no endpoint {ref[:60]!r} for this key.")
        return found

    def own(self) -> QuerySet[Delivery]:
        return Delivery.objects.filter(listener=TO_CUSTOMERS, event__customer=self.customer)

    def delivery(self, ref: str) -> Delivery:
        """Raises Rejected (404)."""
        id = parse_id(ref)
        mine = self.own().filter(target__in=list(self.triggers)).select_related("event", "order")
        found = mine.filter(pk=id).first() if id else None
        if found is None:
            raise unknown("DELIVERY_UNKNOWN", f"There is no delivery {ref[:60]!r} for this key.")
        return found


class DeliveryList(OwnView):
    @extend_schema(
        operation_id="listDeliveries",
        parameters=[OpenApiParameter(name, int if name == "limit" else str) for name in Asked.model_fields],
        responses={200: answers.DeliveriesAnswer, **ERRORS},
    )
    def get(self, request: Request, **_: Any) -> Response:
        asked = drafts.read(request.query_params.dict(), Asked)
        targets = [str(self.trigger(asked.endpoint).pk)] if asked.endpoint else list(self.triggers)
        narrowed = self.narrowed(asked)
        parts = [narrowed.filter(sent_to(target)) for target in targets]
        whole = narrowed.filter(sent_to(*targets)).select_related("event", "order")
        page = lists.page(whole, parts=parts or [whole], cursor=asked.cursor, limit=asked.limit)
        rows = [answers.DeliverySummary(**answers.summary_of(row, self.triggers[row.target])) for row in page.rows]
        return Response(answers.DeliveriesAnswer(deliveries=rows, next_cursor=page.next or None).json_data())

    def narrowed(self, asked: Asked) -> QuerySet[Delivery]:
        found = Delivery.objects.filter(listener=TO_CUSTOMERS)
        if asked.status:
            if asked.status not in STATES:
                raise _wrong("status", f"There is no status {asked.status!r}.", f"Send one of {', '.join(STATES)}.")
            found = found.filter(state=STATES[asked.status])
        if asked.order:
            id = parse_id(asked.order)
            named = self.sender.orders().filter(Q(reference=asked.order) | Q(pk=id) if id else Q(reference=asked.order))
            found = found.filter(order__in=list(named.order_by("-id").values_list("pk", flat=True)[:MOST_ORDERS]))
        since, until = _moments(asked)
        found = told_since(found, since) if since else found
        found = told_until(found, until) if until else found
        return with_event(found, Q(customer=self.customer) & kinds_like(asked.event))


class DeliveryGet(OwnView):
    @extend_schema(operation_id="getDelivery", responses={200: answers.DeliveryAnswer, **ERRORS})
    def get(self, request: Request, ref: str, **_: Any) -> Response:
        found = self.delivery(ref)
        tries = found.tries.order_by("-at", "-pk")
        return Response(answers.delivery_of(found, self.triggers[found.target], tries).json_data())


class DeliveryReplay(OwnView):
    @extend_schema(operation_id="replayDelivery", request=None, responses={200: answers.ReplayAnswer, **ERRORS})
    def post(self, request: Request, ref: str, **_: Any) -> Response:
        """One that waits for its next attempt is tried now; one that is being sent is not sent twice (count 0)."""
        count = replays.again(Delivery.objects.filter(pk=self.delivery(ref).pk))
        return Response(answers.ReplayAnswer(count=count).json_data())


class DeliveriesReplay(OwnView):
    @extend_schema(operation_id="replayDeliveries", request=AskedAgain, responses={200: answers.ReplayAnswer, **ERRORS})
    def post(self, request: Request, **_: Any) -> Response:
        asked = drafts.read(request.data, AskedAgain)
        targets = [str(self.trigger(asked.endpoint).pk)] if asked.endpoint else list(self.triggers)
        since, until = _moments(asked)
        if not targets:
            return Response(answers.ReplayAnswer(count=0).json_data())
        chosen = replays.Range(
            asked_at=timezone.now(), failed_only=asked.failed_only, listener=TO_CUSTOMERS, targets=targets,
            customer=self.customer.pk, event=asked.event, since=since, until=until,
        )  # fmt: skip
        count, _id = replays.start(chosen, by=self.sender.by, customer=self.customer)
        return Response(answers.ReplayAnswer(count=count).json_data())


class EndpointList(OwnView):
    @extend_schema(operation_id="listEndpoints", responses={200: answers.EndpointsAnswer, **ERRORS})
    def get(self, request: Request, **_: Any) -> Response:
        triggers = list(self.triggers.values())
        days = days_of_all(triggers)
        found = [answers.endpoint_of(trigger, health_of(trigger), days[trigger.pk]) for trigger in triggers]
        return Response(answers.EndpointsAnswer(endpoints=found).json_data())


class EndpointTest(OwnView):
    @extend_schema(operation_id="testEndpoint", request=AskedTest, responses={200: answers.TestAnswer, **ERRORS})
    def post(self, request: Request, ref: str, **_: Any) -> Response:
        """A made-up event is sent at once, marked as a test, and its answer told. It is no delivery. One a second."""
        trigger = self.trigger(ref)
        asked = drafts.read(request.data or {}, AskedTest)
        kind = asked.event or sample_kind(trigger.event)
        if kind in IN_HOUSE or "*" in kind:
            raise _wrong("event", f"{kind!r} is no event that is told.", "Send one such as order.shipped.")
        if wait := limits.take(f"test:{trigger.pk}", rate=1):
            raise Throttled(wait=wait, detail="An endpoint is tested once a second at most.")
        outcome: Outcome = try_out(trigger, Occasion(kind, test=True))
        return Response(answers.test_of(kind, outcome).json_data())


def _moments(asked: Asked | AskedAgain) -> tuple[datetime | None, datetime | None]:
    """Raises Rejected."""
    found: list[datetime | None] = []
    for name in ("since", "until"):
        text = getattr(asked, name)
        try:
            found.append(moment(text, end=name == "until") if text else None)
        except (ValueError, OverflowError):
            raise _wrong(name, f"{text!r} is no time.", "Send a day or a time, such as 2026-01-15T09:30:00Z.") from None
    return found[0], found[1]


def _wrong(name: str, message: str, hint: str) -> Rejected:
    return Rejected([Problem("SEARCH_VALUE", message, pointer(name), hint=hint)])
