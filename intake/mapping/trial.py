"""Trying a mapping before it is saved: every step of the way, as far as it goes, and nothing is stored."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from gelatoconnect.lib.problems import Problem, Rejected
from intake.acts import prepare
from intake.checks import check_rules
from intake.connectors import config_of, kind_of
from intake.connectors.base import Cancel, Incoming, Meaning, Message, Nothing, Outcome, Submit, said_of
from intake.mapping import context_of, said_by, template_for, text_of
from intake.models import Connector, Mapping
from intake.records import receive
from orders.models import Order

SHOWN = 20_000  # characters of a text
WHAT = {Submit: "An order", Cancel: "A cancellation", Nothing: "Nothing to be done"}


@dataclass
class Trial:
    """What became of a request. Empty: it did not get so far.

    data      what the templates were given as `request`, as JSON
    template  the one that was used; output: what it made
    renders   the output was understood: such a mapping may be saved
    """

    data: str = ""
    template: str = ""
    output: str = ""
    what: str = ""
    meaning: str = ""
    answer: str = ""
    answer_status: int = 0
    renders: bool = False
    problems: list[Problem] = field(default_factory=list)

    @property
    def shown_problems(self) -> list[dict[str, Any]]:
        """The worst first."""
        ranked = sorted(self.problems, key=lambda problem: ("error", "warning", "info").index(problem.severity))
        return [problem.as_dict() for problem in ranked]

    @property
    def lines(self) -> list[tuple[int, str, bool]]:
        """The output by line, and whether a problem is in it."""
        wrong = {problem.details.get("outputLine") for problem in self.problems}
        return [(number, text, number in wrong) for number, text in enumerate(self.output.splitlines(), 1)]


def try_mapping(mapping: Mapping, message: Message) -> Trial:
    """mapping: of a connector, saved or not; message: a request as it is read, whatever its config and mapping."""
    trial, connector = Trial(), mapping.connector
    message = replace(message, mapping=mapping, config=_config(connector, trial), connector=connector.pk)
    outcome = Outcome(422)
    try:
        meaning = _understood(trial, message)
        outcome = _judged(trial, message, meaning, connector)
    except Rejected as refusal:
        trial.problems += refusal.problems
        outcome = Outcome(refusal.status)
    outcome = replace(outcome, problems=list(trial.problems))
    said = kind_of(connector).answer(outcome, message)
    trial.answer, trial.answer_status = said[:SHOWN], outcome.status
    trial.problems += message.notes
    trial.renders = trial.renders and not message.notes
    return trial


def sample_message(text: str, *, topic: str = "") -> Message:
    """A typed sample: what it is, is told by its look."""
    start, first = text.lstrip()[:1], text.strip().partition("\n")[0]
    kind = "application/json"
    if start and start not in "{[<":
        is_table = "\n" in text.strip() and any(mark in first for mark in ",;\t|")
        kind = "text/csv" if is_table else "application/x-www-form-urlencoded" if "=" in text else "text/plain"
    return Message(text.encode(errors="replace"), topic=topic, content_type=kind)


def _config(connector: Connector, trial: Trial) -> Any:
    try:
        return config_of(connector)
    except Rejected as refusal:  # the mapping can be written before the settings are complete
        trial.problems += [replace(problem, severity="warning") for problem in refusal.problems]
        return None


def _understood(trial: Trial, message: Message) -> Meaning:
    assert message.mapping is not None
    context = context_of(message)
    trial.data = json.dumps(context["request"], indent=2, ensure_ascii=False)[:SHOWN]
    trial.template = template_for(message, context)
    output = text_of(message.mapping, trial.template, context)
    trial.output = output[:SHOWN]
    meaning = said_by(trial.template, output)
    trial.renders, trial.what, trial.meaning = True, WHAT[type(meaning)], said_of(meaning)[:SHOWN]
    return meaning


def _judged(trial: Trial, message: Message, meaning: Meaning, connector: Connector) -> Outcome:
    """What would be done for it. Raises Rejected with what speaks against it."""
    if isinstance(meaning, Nothing):
        return Outcome(200, state="ignored")
    if isinstance(meaning, Cancel):
        return Outcome(200, order=_stand_in(meaning.reference, meaning.source_id))
    assert isinstance(meaning, Submit)
    incoming = Incoming(message.body, message.headers, message.content_type, message.topic, contents=message.contents,
                        customer_reference=message.headers.get("customer-reference-id", ""))  # fmt: skip
    case, problems = prepare(receive(incoming, connector=connector), meaning)
    trial.problems += [*problems, *check_rules(case)]
    return Outcome(201, order=_stand_in(meaning.draft.order_reference_id, meaning.source_id))


def _stand_in(reference: str, source_id: str) -> Order:
    """An order that an answer can speak of; it is never saved."""
    return Order(reference=reference, source_id=source_id or None)
