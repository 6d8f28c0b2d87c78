"""Sending a range of deliveries again: counted first, then done at once, or batch by batch when there are many.

A range holds what had ended when it was asked for. What it has sent again ends later, so no batch that runs twice, no
second click and no second person sends it another time. The batches are events that follow each other, oldest first:
each sends its part and emits the next in one transaction, and the next has to queue behind what it sent, so that what
happens meanwhile does not wait for all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from pydantic import BaseModel

from gelatoconnect.lib import later
from gelatoconnect.lib.ids import new_id, parse_id
from orders import events
from orders.deliveries import (
    TO_CUSTOMERS,
    TO_SHOPS,
    kinds_like,
    of_customer,
    sent_to,
    told_since,
    told_until,
    with_event,
)
from orders.events import Conclusion, emit, listen
from orders.models import Customer, Delivery

AT_ONCE = 200  # deliveries in one batch
NAME = "replay"  # of the listener; what it does itself is in no range
AGAIN = (5, 60, 600, 3_600)


class Range(BaseModel):
    """Which deliveries. listener: empty for all that tell customers and shops; targets: only these, when there are any."""

    asked_at: datetime
    failed_only: bool = True
    listener: str = ""
    targets: list[str] = []
    customer: UUID | None = None
    event: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def deliveries(self) -> QuerySet[Delivery]:
        ended = [Delivery.State.GIVEN_UP] if self.failed_only else [Delivery.State.GIVEN_UP, Delivery.State.DONE]
        found = Delivery.objects.filter(state__in=ended, ended_at__lte=self.asked_at)
        names = [self.listener] if self.listener else [TO_CUSTOMERS, *TO_SHOPS]
        found = found.filter(listener__in=names)
        if self.targets:  # few are given up: those of a listener are found sooner than all that a target got
            found = found.filter(target__in=self.targets) if self.failed_only else found.filter(sent_to(*self.targets))
        found = told_since(found, self.since) if self.since else found
        found = told_until(found, self.until) if self.until else found
        if self.customer is not None:
            found = of_customer(found, Customer(pk=self.customer))
        return with_event(found, kinds_like(self.event)).exclude(listener=NAME)

    def count(self) -> int:
        return self.deliveries().order_by().count()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a range has come. error: why it cannot go on, until its delivery is sent again."""

    id: UUID
    by: str
    at: datetime
    count: int
    done: int
    ended: bool
    error: str
    delivery: UUID


def again(deliveries: QuerySet[Delivery]) -> int:
    """Send these again at once, those that wait for their next attempt too; says how many. One that runs, runs on."""
    waiting = deliveries.filter(state=Delivery.State.DUE, lease=None)
    hastened = waiting.update(due=timezone.now(), attempts=0)
    count = events.replay(deliveries)
    if hastened:
        later.wake()
    return hastened + count


def start(range: Range, *, by: str, customer: Customer | None = None) -> tuple[int, UUID | None]:
    """Send the range again: (how many, None) when that was done at once, (how many it has, its id) when it goes on."""
    count = range.count()
    if count <= AT_ONCE:
        return _send(range, _next_ids(range, None)), None
    id = new_id()
    said = {"id": str(id), "range": range.model_dump(mode="json"), "count": count, "done": 0, "after": None}
    with transaction.atomic():
        emit(None, "replay.started", by=by, customer=customer, replay=said)
    return count, id


def progress(id: UUID) -> Progress | None:
    latest = Delivery.objects.filter(listener=NAME, target=str(id)).select_related("event").order_by("-id").first()
    return _progress(latest) if latest else None


def latest(count: int = 5) -> Iterable[Progress]:
    """The ranges sent again most recently, newest first."""
    found: dict[UUID, Progress] = {}
    batches = Delivery.objects.filter(listener=NAME).select_related("event").order_by("-id")
    for delivery in batches[: 40 * count]:
        each = _progress(delivery)
        found.setdefault(each.id, each)
    return list(found.values())[:count]


@listen("replay.started", "replay.continued", name=NAME, each=lambda event: [event.data["replay"]["id"]], delays=AGAIN)
def send_batch(delivery: Delivery) -> Conclusion | None:
    """The next batch; none is left: the range is done."""
    said = delivery.event.data["replay"]
    range = Range.model_validate(said["range"])
    ids = _next_ids(range, parse_id(said["after"]))
    return partial(_send_and_go_on, delivery, range, ids) if ids else None


def _send_and_go_on(delivery: Delivery, range: Range, ids: list[UUID]) -> None:
    event = delivery.event
    said: dict[str, Any] = event.data["replay"]
    done = said["done"] + _send(range, ids)
    emit(None, "replay.continued", by=event.by, customer=event.customer,
         replay=said | {"done": done, "after": str(ids[-1])})  # fmt: skip


def _next_ids(range: Range, after: UUID | None) -> list[UUID]:
    """Oldest first: the deliveries of one order go out in their order."""
    found = range.deliveries()
    found = found.filter(id__gt=after) if after else found
    return list(found.order_by("id").values_list("pk", flat=True)[:AT_ONCE])


def _send(range: Range, ids: list[UUID]) -> int:
    """What has been sent again meanwhile is due, or has ended later than the range was asked for."""
    return events.replay(Delivery.objects.filter(pk__in=ids, ended_at__lte=range.asked_at))


def _progress(delivery: Delivery) -> Progress:
    said, event = delivery.event.data["replay"], delivery.event
    failed = delivery.state == Delivery.State.GIVEN_UP
    return Progress(UUID(said["id"]), event.by, datetime.fromisoformat(said["range"]["asked_at"]), said["count"],
                    said["done"], ended=delivery.state == Delivery.State.DONE,
                    error=delivery.error if failed else "", delivery=delivery.pk)  # fmt: skip
