"""Who reads the history finds each thing that can be wrong with it, and nothing in one that is right."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bench.faults.history import MARKS, Fact, Left, Sent, Stored, judge, repeated
from bench.faults.receiver import Hook

WAY = ["received", "passed", "created", "in_production", "printed", "packaged", "shipped"]
ARROWS = set(pairwise(WAY)) | {("received", "failed"), ("created", "canceled")}


def order(name: str, *statuses: str, labels: tuple[str, ...] = ()) -> Stored:
    """An order that went that way, an event each."""
    facts = [
        Fact(f"{name}-{n}", n, f"order.{status}", before, status)
        for n, (before, status) in enumerate(zip(["", *statuses], statuses, strict=False), 1)
    ]
    return Stored(name, name, statuses[-1], len(facts), facts, labels)


SHIPPED = order("a-1s", *WAY, labels=("f00d",))
CANCELED = order("a-2x", "received", "passed", "created", "canceled")
FAILED = order("a-3f", "received", "failed")
QUIET = order("a-4c", "received", "passed", "created")
STORED = [SHIPPED, CANCELED, FAILED, QUIET]
SENT = [Sent(each.reference, each.id) for each in STORED]
HOOKS = [Hook(fact.id, each.id, fact.sequence, fact.kind, True) for each in STORED[:3] for fact in each.facts]


def wrong(
    sent: list[Sent] = SENT, stored: list[Stored] = STORED, hooks: list[Hook] = HOOKS, *left: Left
) -> dict[str, int]:
    """Mark → how many findings, of those that have any."""
    found = judge(sent, stored, hooks, left, arrows=ARROWS, told="sxf")
    assert list(found.missed) == list(MARKS)
    assert found.is_clean is not any(found.missed.values())
    return {mark: len(findings) for mark, findings in found.missed.items() if findings}


def changed(which: Stored, **changes: object) -> list[Stored]:
    return [replace(each, **changes) if each is which else each for each in STORED]


def test_a_right_history_has_nothing_against_it() -> None:
    assert wrong() == {}
    overtaken = Left("a-2x", "check", "given_up", "Can't switch from state 'canceled' using method 'accept'")
    assert wrong(SENT, STORED, HOOKS, overtaken) == {}


def test_an_accepted_order_that_is_not_stored_is_missed() -> None:
    assert wrong([*SENT, Sent("a-9s", "a-9s")]) == {"missing": 1}


def test_an_order_that_was_never_accepted_is_missed() -> None:
    assert wrong([*SENT, Sent("a-9s", "")]) == {"missing": 1}


def test_an_order_that_is_stored_twice_is_found() -> None:
    again = replace(QUIET, id="another", facts=[replace(fact, id=f"another-{fact.id}") for fact in QUIET.facts])
    assert wrong(SENT, [*STORED, again]) == {"doubled": 1}
    assert wrong(SENT, changed(QUIET, requests=2)) == {"doubled": 1}


def test_an_order_that_stands_still_is_found() -> None:
    assert wrong(SENT, [*STORED[:3], order("a-4c", "received", "passed")]) == {"unended": 1}


@pytest.mark.parametrize("facts", [QUIET.facts[:2], QUIET.facts[1:], [*QUIET.facts, QUIET.facts[-1]]])
def test_a_gap_among_events_and_one_too_many_are_found(facts: list[Fact]) -> None:
    assert wrong(SENT, changed(QUIET, facts=facts))["gaps"] == 1


def test_an_arrow_taken_twice_is_found() -> None:
    twice = [*QUIET.facts, Fact("again", 4, "order.created", "passed", "created")]
    assert set(wrong(SENT, changed(QUIET, facts=twice, sequence=4))) == {"twice"}


def test_an_arrow_that_there_is_not_is_found() -> None:
    assert wrong(SENT, [*STORED[:3], order("a-4c", "received", "created")]) == {"twice": 1}


def test_an_event_that_nobody_was_told_of_is_found() -> None:
    assert wrong(SENT, STORED, HOOKS[:-1]) == {"untold": 1}


def test_events_that_came_in_another_order_are_found() -> None:
    assert wrong(SENT, STORED, [HOOKS[1], HOOKS[0], *HOOKS[2:]]) == {"disorder": 1}


def test_a_webhook_with_a_wrong_signature_is_found_and_tells_nothing() -> None:
    assert wrong(SENT, STORED, [*HOOKS[:-1], replace(HOOKS[-1], genuine=False)]) == {"unsigned": 1, "untold": 1}


def test_a_repeated_webhook_is_only_counted() -> None:
    again = [*HOOKS, HOOKS[0]]
    assert (wrong(SENT, STORED, again), repeated(again)) == ({}, 1)


@pytest.mark.parametrize("state", ["due", "given_up"])
def test_a_delivery_that_is_not_done_is_found(state: str) -> None:
    assert wrong(SENT, STORED, HOOKS, Left("a-1s", "trigger", state)) == {"left": 1}


@pytest.mark.parametrize("labels", [(), ("",), ("f00d", "f00d")])
def test_a_shipped_order_with_another_number_of_labels_is_found(labels: tuple[str, ...]) -> None:
    assert wrong(SENT, changed(SHIPPED, labels=labels)) == {"labels": 1}
