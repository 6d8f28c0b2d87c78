"""The whole life of orders, walked at random: stale handles, two workers whose leases run out, replays, refusals.

Hypothesis makes the walks, and the shortest one that fails. A walk in the suite is the same every time; for more and other
walks: `MACHINE_WALKS=2000 python -m pytest tests/orders/test_machine.py`.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple
from unittest import mock
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django_fsm import TransitionNotAllowed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bench.races import steps_off_the_graph
from orders import events
from orders.drafts import Address
from orders.events import Conclusion, Listener, Permanent, TryLater, emit
from orders.lifecycle import BEFORE_SHIPPING, ENDED, FLOOR, STEPS, Status, arrows
from orders.listeners import release
from orders.models import Attempt, Delivery, Event, Order
from orders.services import amend, move
from tests.factories import make_order

WALKS = int(os.environ.get("MACHINE_WALKS", 0))
ARROWS = {(arrow.name, str(arrow.source), str(arrow.target)) for arrow in arrows()}
FREE = {"release", "start", "finish", "package", "ship"}  # not while the order is held
TARGETS = ("shop", "mail")
# What a worker finds: a verdict, an outage, a refusal for good, or a fault after its conclusion has begun.
OUTCOMES = ("accept", "fail", "later", "never", "crash")


# Where the database keeps the fields of Known.
COLUMNS = ("status", "held", "shipment_method", "address__city", "sign_offs", "items__canceled", "items__packed")


@dataclass
class Known:
    """What the test itself knows of an order, from what was done to it and nothing else."""

    status: str
    held: bool = False
    method: str = ""
    city: str = "Oslo"
    findings: list[dict[str, str]] = field(default_factory=list)
    canceled: int = 0
    packed: int = 0
    notes: int = 0  # counted in the history

    def allows(self, verb: str) -> bool:
        if not any(name == verb and source == self.status for name, source, _ in ARROWS):
            return False
        return not (verb in FREE and self.held) and (verb != "package" or self.packed >= 2 - self.canceled)

    def moved(self, verb: str) -> None:
        self.status = next(target for name, source, target in ARROWS if (name, source) == (verb, self.status))
        self.held = self.held and verb != "cancel"
        self.packed = 0 if verb == "reprocess" else self.packed


class Said(NamedTuple):
    """What is read of an event."""

    pk: UUID
    sequence: int
    kind: str
    source: str
    target: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A delivery in the hands of a worker, with what came of it there: a conclusion, or a failure."""

    delivery: Delivery
    verb: str
    conclude: Conclusion | None
    failure: Exception | None


class Lives(RuleBasedStateMachine):
    handles: Bundle[Order] = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.outcome, self.claims = "accept", list[Claim]()
        self.known, self.concluded = dict[UUID, Known](), Counter[UUID]()
        listeners = [
            Listener("judge", ("order.received",), self.judge, delays=(5, 60)),
            Listener("release", ("order.passed", "order.resumed"), release),
            Listener("tell", ("*",), self.tell, each=lambda event: TARGETS, delays=(5, 60)),
        ]
        self.patch = mock.patch.object(events, "LISTENERS", {each.name: each for each in listeners})
        self.patch.start()
        self.undone = transaction.atomic()
        self.undone.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)
        self.patch.stop()

    # --- what listens ----------------------------------------------------------------------------
    def judge(self, delivery: Delivery) -> Conclusion | None:
        order, outcome = delivery.order, self.outcome
        self.tell(delivery)

        def conclude() -> None:
            move(order, "fail" if outcome == "fail" else "accept", by="system")
            if outcome == "crash":
                raise RuntimeError("the worker broke in the middle")

        return conclude

    def tell(self, delivery: Delivery) -> None:
        if self.outcome == "later":
            raise TryLater("away")
        if self.outcome == "never":
            raise Permanent("gone")

    # --- orders ----------------------------------------------------------------------------------
    @initialize(target=handles, status=st.sampled_from(["draft", "passed", "printed", "shipped"]))
    def born(self, status: str) -> Any:
        found = [make_order("received"), make_order(status)]
        self.known = {order.pk: Known(order.status, packed=order.items.get().packed) for order in found}
        return multiple(*found)

    @rule(target=handles, handle=handles)
    def look(self, handle: Order) -> Order:
        """A page is opened: what it shows is old as soon as somebody else does something."""
        return Order.objects.select_related("customer", "address").get(pk=handle.pk)

    @rule(handle=handles, verb=st.sampled_from(sorted(STEPS)))
    def try_to_move(self, handle: Order, verb: str) -> None:
        self.move(handle, verb)

    @rule(handle=handles, picks=st.lists(st.integers(0, 9), min_size=1, max_size=4))
    def walk(self, handle: Order, picks: list[int]) -> None:
        """Steps that are allowed, so that lives get long; what is to be packed is packed."""
        known = self.known[handle.pk]
        for pick in picks:
            if known.status == Status.PRINTED:
                known.packed = 2 - known.canceled
                handle.items.update(packed=known.packed)
            if allowed := [verb for verb in STEPS if known.allows(verb) and verb != "cancel"]:
                self.move(handle, allowed[pick % len(allowed)])

    @rule(handle=handles, verb=st.sampled_from(sorted(STEPS)))
    def move_and_fall(self, handle: Order, verb: str) -> None:
        """What is around a move fails after it: nothing of it is left."""
        before = everything()
        with pytest.raises((ZeroDivisionError, TransitionNotAllowed)), transaction.atomic():
            move(handle, verb, by="user:ada")
            raise ZeroDivisionError
        assert everything() == before

    @rule(handle=handles, held=st.booleans())
    def hold(self, handle: Order, held: bool) -> None:
        if self.known[handle.pk].status not in ENDED:
            amend(handle, by="user:ada", hold=("Colour", None) if held else None)
            self.known[handle.pk].held = held

    @rule(handle=handles, city=st.sampled_from(["Oslo", "Bergen"]), method=st.sampled_from(["", "normal", "express"]),
          code=st.sampled_from("ABC"), count=st.integers(0, 2))  # fmt: skip
    def change(self, handle: Order, city: str, method: str, code: str, count: int) -> None:
        """Four changes by somebody whose page is old: none of them takes back another's."""
        known, finding = self.known[handle.pk], {"code": code, "path": "/items/0", "sha256": "x"}
        address = Address(**handle.address.as_dict() | {"city": city})
        amend(handle, by="user:ada", address=address, shipment_method=method)
        amend(handle, by="user:ada", sign_off=[finding])
        amend(handle, by="user:ada", cancel={handle.items.get().pk: count}, note="Called the customer.")
        known.city, known.method, known.notes = city, method, known.notes + 1
        known.findings += [finding] if finding not in known.findings else []
        known.canceled = max(known.canceled, min(known.canceled + count, 2 - known.packed))

    # --- two workers -------------------------------------------------------------------------------
    @rule(picks=st.lists(st.integers(0, 30), min_size=1, max_size=3), outcome=st.sampled_from(OUTCOMES))
    def claim(self, picks: list[int], outcome: str) -> None:
        self.claims += [claim for pick in picks if (claim := self.taken(pick, outcome))]

    @rule(picks=st.lists(st.integers(0, 30), min_size=2, max_size=2), outcome=st.sampled_from(OUTCOMES))
    def overtake(self, picks: list[int], outcome: str) -> None:
        """A worker freezes, its lease ends, and a second one takes the same; which of them comes back first is open."""
        if first := self.taken(picks[0], outcome):
            Delivery.objects.filter(pk=first.delivery.pk).update(due=timezone.now() - timedelta(hours=9))
            second = self.taken(0, "accept")  # longest due first
            assert second is not None and second.delivery.pk == first.delivery.pk
            for claim in (first, second) if picks[1] % 2 else (second, first):
                self.ended(claim)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 30), again=st.booleans())
    def end(self, pick: int, again: bool) -> None:
        """Workers come back, at once or long after; some of them twice."""
        claim = self.claims.pop(pick % len(self.claims))
        self.ended(claim)
        if again:
            self.ended(claim)

    def taken(self, pick: int, outcome: str) -> Claim | None:
        """A worker takes one of those that are due, and works on it."""
        ready = events.due(limit=50)
        delivery = events._claim(ready[pick % len(ready)]) if ready else None
        if delivery is None:
            return None
        self.outcome = outcome
        conclude, failure = None, None
        try:
            conclude = events.LISTENERS[delivery.listener].handle(delivery)
        except Exception as error:
            failure = error
        verb = "" if conclude is None else "release" if delivery.listener == "release" else outcome
        return Claim(delivery, verb, conclude, failure)

    def ended(self, claim: Claim) -> None:
        """What a worker brings counts only while the lease is its own; otherwise all stays as it is."""
        row = Delivery.objects.get(pk=claim.delivery.pk)
        mine, before = row.lease is not None and row.lease == claim.delivery.lease, everything()
        events._end(claim.delivery, claim.conclude, claim.failure, at=timezone.now(), milliseconds=1)
        if not mine:
            assert everything() == before
            return
        known, state = self.known[claim.delivery.order_id], Delivery.objects.get(pk=row.pk).state
        if claim.verb == "crash":
            kept = known.allows("accept")
            assert state == ("due" if kept and row.attempts < 3 else "given_up")
        elif claim.verb and known.allows(claim.verb):
            known.moved(claim.verb)
            assert state == "done"
        elif claim.verb or isinstance(claim.failure, Permanent):
            assert state == "given_up"
        else:
            last = claim.failure is not None and row.attempts >= 3
            assert state == ("done" if claim.failure is None else "given_up" if last else "due")
        if state == "done":
            self.concluded[row.pk] += 1

    @rule()
    def wait(self) -> None:
        """Leases end, and what waits for its next attempt is due: the workers that hold claims are dead or frozen."""
        Delivery.objects.filter(state="due").update(due=timezone.now() - timedelta(seconds=1))

    @rule(outcome=st.sampled_from(OUTCOMES), limit=st.integers(1, 4))
    def deliver(self, outcome: str, limit: int) -> None:
        self.outcome, done = outcome, Delivery.objects.filter(state="done").values_list("pk", flat=True)
        before = set(done)
        assert [events.deliver(pk) for pk in events.due(limit=limit)].count(False) == 0
        for pk, status in Order.objects.values_list("pk", "status"):
            self.known[pk].status = status  # a path of the graph led there: see below
        self.concluded.update(set(done.all()) - before)

    @rule(pick=st.integers(0, 30))
    def come_late(self, pick: int) -> None:
        """A sweeper that saw it due before another one ended it, or took it."""
        is_due = Q(state="due", due__lte=timezone.now())
        if found := list(Delivery.objects.exclude(is_due).values_list("pk", flat=True)):
            before = everything()
            assert events.deliver(found[pick % len(found)]) is False
            assert everything() == before

    @rule(pick=st.integers(0, 30))
    def replay(self, pick: int) -> None:
        ended = list(Delivery.objects.exclude(state="due").values_list("pk", flat=True))
        if ended:
            chosen = ended[pick % len(ended)]
            assert events.replay(Delivery.objects.filter(pk=chosen)) == 1

    @rule(handle=handles, listener=st.sampled_from(["judge", "release", "tell"]))
    def hasten(self, handle: Order, listener: str) -> None:
        before = Delivery.objects.filter(lease__isnull=False).values_list("pk", "lease")
        events.hasten(handle, listener)
        assert set(before) == set(Delivery.objects.filter(lease__isnull=False).values_list("pk", "lease"))

    # --- what is always true -------------------------------------------------------------------------
    @invariant()
    def the_history_is_whole(self) -> None:
        told: dict[UUID, list[Said]] = {pk: [] for pk in self.known}
        wanted = set()
        for order, *said in Event.objects.order_by("sequence").values_list("order", *Said._fields):
            event = Said(*said)
            told[order].append(event)
            heard = [each for each in events.LISTENERS.values() if each.hears(event.kind)]
            wanted |= {(event.pk, each.name, target) for each in heard for target in each.each(event)}
        for pk, sequence, *row in Order.objects.values_list("pk", "sequence", *COLUMNS):
            assert [event.sequence for event in told[pk]] == list(range(1, sequence + 1))
            assert list(steps_off_the_graph(told[pk])) == []
            assert [event.target for event in told[pk] if event.target][-1] == row[0]
            notes = len([event for event in told[pk] if "note" in event.data.get("changes", {})])
            assert Known(*row, notes) == self.known[pk]
        deliveries = list(Delivery.objects.values_list("event", "listener", "target"))
        assert (len(deliveries), set(deliveries)) == (len(wanted), wanted)
        successes = Counter(Attempt.objects.filter(succeeded=True).values_list("delivery", flat=True))
        assert successes == self.concluded

    def move(self, handle: Order, verb: str) -> None:
        known, before = self.known[handle.pk], everything()
        if known.allows(verb):
            moved = move(handle, verb, by="user:ada")
            known.moved(verb)
            assert moved.status == known.status
        else:
            with pytest.raises(TransitionNotAllowed):
                move(handle, verb, by="user:ada")
            assert everything() == before


def everything() -> tuple[dict[Any, Any], ...]:
    """All that a refusal, a fault or a late worker must leave as it was."""
    models = (Order, Event, Delivery, Attempt)
    return tuple({row[0]: row for row in model.objects.values_list()} for model in models)


def test_whatever_is_done_in_whatever_order_the_history_is_whole(db: None) -> None:
    walks = settings(max_examples=WALKS or 80, stateful_step_count=25, deadline=None, database=None,
                     derandomize=not WALKS, suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(Lives, settings=walks)


def test_an_event_without_its_change_would_be_seen(db: None) -> None:
    """The test of the test: a status that was written beside the one door is a step off the graph."""
    order = make_order("received")
    with transaction.atomic():
        emit(order, "order.shipped", by="x", source="packaged", target="shipped", verb="ship")
        order.save()
    assert list(steps_off_the_graph(order.events.order_by("sequence"))) == [
        "2: ('ship', 'packaged', 'shipped') after 'received'"
    ]


def test_the_table_the_walks_are_judged_by_is_that_of_the_product() -> None:
    assert {source for name, source, _ in ARROWS if name == "cancel"} == {str(status) for status in BEFORE_SHIPPING}
    assert {source for name, source, _ in ARROWS if name == "reprocess"} == {*map(str, FLOOR), "packaged"}
    assert {name for name, *_ in ARROWS} == set(STEPS)
