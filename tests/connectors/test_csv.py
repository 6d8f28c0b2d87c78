"""Orders of a file, one at a time: whatever a person makes of the body when mending it, it is an order or a refusal."""

import json
from pathlib import Path

import pytest

from gelatoconnect.lib.problems import Problem, Rejected
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Message, Outcome, Submit
from tests.connectors.mutations import mutations

CSV = CONNECTOR_TYPES["csv"]


@pytest.mark.parametrize("name", ["two-items", "wrong-numbers", "warning"])
def test_whatever_is_wrong_with_a_body_is_a_refusal(name: str) -> None:
    sample = json.loads((Path(__file__).resolve().parents[1] / f"samples/csv/{name}.json").read_text())
    orders = refusals = 0
    for raw in mutations(sample):
        try:
            assert isinstance(CSV.parse(Message(raw)), Submit)
            orders += 1
        except Rejected as refusal:
            assert refusal.problems
            refusals += 1
    assert (orders > 0 or name == "wrong-numbers", refusals > 0) == (True, True)


def test_a_refusal_is_answered_with_all_that_is_wrong() -> None:
    said = json.loads(CSV.answer(Outcome(422, problems=[Problem("A_B", "No.", "/x", hint="Mend it.")]), Message(b"{}")))
    assert (said["status"], [each["code"] for each in said["errors"]]) == (422, ["A_B"])


def test_there_is_no_address_to_call() -> None:
    assert CSV.methods == ()
