"""Mapping without code: a connector's templates turn the sender's words into ours, and our answer into the sender's.

A template is given plain data and makes text; what the text means is read here. Nothing in here knows HTTP.
"""

import re
from collections.abc import Mapping as Data
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator

from gelatoconnect.lib import strict
from gelatoconnect.lib.problems import Problem, Rejected
from gelatoconnect.lib.sandbox import holds, render
from intake.connectors.base import Cancel, Meaning, Message, Nothing, Outcome, Submit
from intake.mapping.decoding import data_of
from intake.models import Mapping
from orders.drafts import Draft, Part, Text, pointer, read

MAX_BYTES = 4 * 1024 * 1024  # of a request, and of what a template makes of it
EXCERPT = 120  # characters of a line that are shown
WORDS = ("sourceId", "source", "test", "shipBy")  # of an order, beside the words of the API
MISSING = Problem(
    "MAPPING_MISSING", "There is no mapping yet that says what the request means.",
    hint="Write one in the connector's mapping editor; then process the request again.",
)  # fmt: skip


class _Canceled(Part):
    """What a template says of a cancellation: one of the two ids, and perhaps why."""

    source_id: Text = ""
    order_reference_id: Text = ""
    reason: Text = ""


class _Beside(Part):
    """What a template may say of an order beside the words of the API."""

    source_id: Text = ""
    source: dict[str, Any] = {}
    test: bool = False
    ship_by: Annotated[date, BeforeValidator(lambda value: str(value)[:10])] | None = None  # of a time, its day


def meaning_of(message: Message) -> Meaning:
    """What the request asks for, as its mapping reads it. Raises Rejected with all that is wrong."""
    mapping = message.mapping
    if mapping is None:
        raise Rejected([MISSING], status=503)
    context = context_of(message)
    template = template_for(message, context)
    return said_by(template, text_of(mapping, template, context))


def template_for(message: Message, context: Data[str, Any]) -> str:
    """ "cancel" when the connector's setting "Cancellations are" says so and there is such a template. Raises Rejected."""
    expression = getattr(message.config, "cancel_when", "")
    if message.mapping is None or not message.mapping.cancel.strip() or not expression:
        return "submit"
    try:
        return "cancel" if holds(expression, context) else "submit"
    except Rejected as refusal:
        raise _of("cancel_when", refusal) from None


def context_of(message: Message) -> dict[str, Any]:
    """What the templates are given. Raises Rejected for a body that cannot be read."""
    mapping = message.mapping
    return {
        "request": data_of(message.body, content_type=message.content_type, max_bytes=MAX_BYTES),
        "headers": dict(message.headers),
        "topic": message.topic,
        "connector": mapping.connector.name if mapping is not None and mapping.connector_id else "",
        "files": list(message.contents),
    }


def text_of(mapping: Mapping, template: str, context: Data[str, Any]) -> str:
    """What one of the templates makes of the data. Raises Rejected; the problem's details name template and line."""
    try:
        return render(getattr(mapping, template), context, tables=mapping.lookups)
    except Rejected as refusal:
        raise _of(template, refusal) from None


def said_by(template: str, text: str) -> Meaning:
    """What the text that the template made asks for. Raises Rejected."""
    if not text.strip():
        _refuse(template, "The template makes nothing of this request.", "Let it make the order as a JSON object.")
    try:
        data = strict.loads(text.encode(), max_bytes=MAX_BYTES)
    except Rejected as refusal:
        _refuse_output(template, text, refusal.problems[0].message)
    if not isinstance(data, dict):
        _refuse(template, "The template makes JSON, but no object.", "Let it make the order as a JSON object: {…}.")
    return _cancel(data) if template == "cancel" else _order(data)


def answer_of(outcome: Outcome, message: Message) -> str:
    """What the sender is told, in its own format. Raises Rejected; the mapping has an answer template."""
    assert message.mapping is not None
    try:
        context = context_of(message)
    except Rejected:  # the body could not be read: that is what the answer says
        context = context_of(replace(message, body=b"null", content_type="application/json"))
    return text_of(message.mapping, "answer", context | said_of_outcome(outcome))


def said_of_outcome(outcome: Outcome) -> dict[str, Any]:
    """What an answer template is given besides: `order` is null when there is none."""
    order = outcome.order
    return {
        "status": outcome.status,
        "accepted": order is not None or outcome.state in ("accepted", "ignored", "received"),
        "order": order and {
            "id": str(order.pk), "referenceId": order.reference, "sourceId": order.source_id or "", "status": order.status,
            "createdAt": order.created_at.isoformat(), "metadata": order.metadata,
        },
        "problems": [problem.as_dict() for problem in outcome.problems],
    }  # fmt: skip


# --- what the text means ----------------------------------------------------------------------------
def _order(data: dict[str, Any]) -> Meaning:
    if (why := data.get("ignore")) not in (None, False, ""):
        return Nothing(str(why)[:300] if why is not True else "The mapping says that it is nothing to be done.")
    if (canceled := data.get("cancel")) not in (None, False, ""):
        return _cancel(canceled)
    beside: _Beside | None = None
    draft: Draft | None = None
    problems: list[Problem] = []
    try:
        beside = read({word: data[word] for word in WORDS if data.get(word) not in (None, "")}, _Beside)
    except Rejected as refusal:
        problems += refusal.problems
    try:
        draft = read({name: value for name, value in data.items() if name not in (*WORDS, "ignore", "cancel")})
    except Rejected as refusal:
        problems += refusal.problems
    if beside is None or draft is None:
        raise Rejected(problems)
    if len(beside.source_id) > 120:
        raise Rejected([Problem("FIELD_TOO_LONG", "sourceId has more than 120 characters.", pointer("sourceId"))])
    return Submit(draft, source_id=beside.source_id, source=beside.source, test=beside.test, ship_by=beside.ship_by)


def _cancel(data: Any) -> Cancel:
    data = data.get("cancel", data) if isinstance(data, dict) else data
    if not isinstance(data, dict):
        _refuse("submit", "What the template says to cancel is no object.", 'Write {"cancel": {"sourceId": …}}.')
    said = read(data, _Canceled)
    if not said.source_id and not said.order_reference_id:
        raise Rejected([Problem("FIELD_MISSING", "The cancellation names no order.", pointer("sourceId"),
                                hint="Let the template say sourceId or orderReferenceId.")])  # fmt: skip
    return Cancel(said.source_id[:120], said.order_reference_id[:120], said.reason[:300])


def _of(template: str, refusal: Rejected) -> Rejected:
    """The same refusal, saying in which template it was."""
    problems = [replace(problem, details={"template": template, **problem.details}) for problem in refusal.problems]
    return Rejected(problems, status=refusal.status)


def _refuse_output(template: str, text: str, message: str) -> NoReturn:
    """The output is no JSON: where, and what stands there."""
    message = message.replace("The body", "What the template makes")
    if not (found := re.search(r"line (\d+)", message)):
        _refuse(template, message, "Write values with | tojson.")
    number = int(found[1])
    excerpt = next(iter(text.splitlines()[number - 1 : number]), "").strip()[:EXCERPT]
    _refuse(template, f"{message.rstrip('.')}: {excerpt}" if excerpt else message,
            "Write values with | tojson, and commas only between: {% if not loop.last %},{% endif %}.",
            outputLine=number)  # fmt: skip


def _refuse(template: str, message: str, hint: str, **details: Any) -> NoReturn:
    raise Rejected([Problem("MAPPING_OUTPUT", message, hint=hint, details={"template": template, **details})])
