"""The way of one request through the house, stage by stage, for its page: what came, what was fetched or mended, how it is
understood, how it was judged, what was answered, and the order. Where it stopped is obvious."""

import hashlib
import logging
import re
from dataclasses import dataclass, field, replace
from typing import Any

from gelatoconnect.lib.problems import Rejected
from intake.bodies import mask, visible
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import (
    Cancel,
    Change,
    Export,
    Forget,
    Meaning,
    Message,
    Nothing,
    Several,
    Submit,
    said_of,
)
from intake.models import OrderRequest
from intake.records import MAX_REFUSED, message_of
from orders.models import Delivery
from orders.texts import SHOWN, serious

log = logging.getLogger(__name__)

State = OrderRequest.State
AT_THE_DOOR = {400, 401, 403, 413, 503}  # what the door answers before anything is read
SOURCE_PROBLEMS = {"SOURCE_UNREACHABLE", "SOURCE_REFUSED"}
WORDS = {
    Submit: "An order", Cancel: "A cancellation", Change: "A change of an order", Nothing: "Nothing to be done",
    Several: "Several requests", Export: "What is known of a person", Forget: "A person to be forgotten",
}  # fmt: skip
ICONS = {"done": "circle-check", "failed": "octagon-x", "warning": "triangle-alert", "waiting": "clock", "told": "send",
         "none": "minus"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """state: "done", "failed", "warning", "waiting", "told" (no more than said), or "none": the request never came so far.

    anchor: where the page shows it; url: or what does.
    """

    label: str
    state: str
    note: str = ""
    anchor: str = ""
    url: str = ""

    @property
    def icon(self) -> str:
        return ICONS[self.state]


@dataclass(frozen=True, slots=True)
class Understood:
    """What a body means, as people read it; or the problems that stand against reading it."""

    what: str = ""
    text: str = ""
    problems: list[dict[str, Any]] = field(default_factory=list)


def flow_of(found: OrderRequest, understood: Understood, *, waiting: bool) -> list[Stage]:
    stages = [_came(found)]
    codes = {problem.get("code") for problem in found.problems}
    if found.fetched_body:
        stages.append(Stage("Fetched", "done", _size(found.fetched_body), "fetched"))
    elif waiting:
        stages.append(Stage("Read later", "waiting", "Waits for a worker", "waiting"))
    elif codes & SOURCE_PROBLEMS and not found.mended_body:
        stages.append(Stage("Fetched", "failed", "Could not be had", "problems"))
    if found.mended_body:
        stages.append(Stage("Mended", "done", "By a person", "mended"))
    stopped = waiting or at_the_door(found) or stages[-1].state == "failed"
    stages.append(_read(found, understood, stopped=stopped))
    stages.append(_judged(found, stopped=stopped or stages[-1].state in ("failed", "none")))
    return [*stages, _answered(found), _order(found)]


def understood_of(found: OrderRequest, *, body: bytes | None = None) -> Understood:
    """How the connector understands it: an accepted one with the templates of then, otherwise with those of now.

    body: instead of the request's own, to try what it would mean.
    """
    stored = found.mapping
    try:
        message = message_of(found)
        if found.state == State.ACCEPTED and stored is not None:
            message, found.mapping = replace(message, mapping=stored), stored
        return understand(found, message if body is None else replace(message, body=body))
    except Rejected as refusal:
        return Understood(problems=[problem.as_dict() for problem in refusal.problems])
    except Exception as error:  # a page that shows what went wrong must not go wrong too
        log.exception("Request %s could not be shown as it is understood", found.pk)
        return Understood(problems=[_fault(error)])


def understand(found: OrderRequest, message: Message) -> Understood:
    meaning: Meaning = CONNECTOR_TYPES[found.connector.type].parse(message)
    return Understood(WORDS[type(meaning)], mask(visible(said_of(meaning)[:SHOWN])))


def at_the_door(found: OrderRequest) -> bool:
    """Whether it was refused before it was read: a wrong signature, too large. Of such a body only the beginning is kept."""
    called = re.match(r"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) ", found.topic)
    return bool(called) and found.state != State.ACCEPTED and found.answer_status in AT_THE_DOOR and not found.key


def is_capped(found: OrderRequest) -> bool:
    return at_the_door(found) and len(found.body) >= MAX_REFUSED


def is_erased(found: OrderRequest) -> bool:
    """Whether its content was taken out later: it is empty, and did not come so."""
    empty = hashlib.sha256(found.customer_reference.encode() + b"\0").hexdigest()
    return not found.body and not found.mended_body and not found.fetched_body and found.fingerprint != empty


def next_read(found: OrderRequest) -> Delivery | None:
    """When a request that was put aside is read: the latest delivery to the worker that reads."""
    if found.state != State.RECEIVED:
        return None
    reads = Delivery.objects.filter(listener="read", id__gt=found.pk, event__data__request__id=str(found.pk))
    return reads.select_related("event").order_by("-id").first()


def _came(found: OrderRequest) -> Stage:
    if at_the_door(found):
        return Stage("Came in", "failed", "Refused at the door", "came")
    if is_erased(found):
        return Stage("Came in", "done", "Erased since", "came")
    return Stage("Came in", "done", f"{found.topic[:40]} {_size(found.body)}".strip(), "came")


def _read(found: OrderRequest, understood: Understood, *, stopped: bool) -> Stage:
    if stopped or is_erased(found):
        return Stage("Understood", "none", "Not read" if stopped else "Erased since", "understood")
    if understood.problems:
        return Stage("Understood", "failed", _count(understood.problems), "understood")
    version = f", template v{found.mapping.version}" if found.mapping else ""
    return Stage("Understood", "done", understood.what + version, "understood")


def _judged(found: OrderRequest, *, stopped: bool) -> Stage:
    if found.state == State.ACCEPTED:
        warnings = serious(found.problems)
        return Stage("Checked", "warning" if warnings else "done", _count(warnings) or "All well", "problems")
    if stopped:
        return Stage("Checked", "none", "Not checked", "problems")
    if found.state == State.REJECTED:
        return Stage("Checked", "failed", _count(found.problems), "problems")
    return Stage("Checked", "none", "Ignored" if found.state == State.IGNORED else "Not checked", "problems")


def _answered(found: OrderRequest) -> Stage:
    if not found.answer_status:
        return Stage("Answered", "none", "Nobody waited", "answered")
    return Stage("Answered", "done" if found.answer_status < 400 else "told", str(found.answer_status), "answered")


def _order(found: OrderRequest) -> Stage:
    order = found.order
    if order is None:
        return Stage("Order", "none", "There is none")
    state = "warning" if order.status == "failed" else "done"
    status = order.get_status_display()  # type: ignore[attr-defined]
    return Stage("Order", state, f"{order.reference} · {status}", url=order.get_absolute_url())


def _count(problems: list[dict[str, Any]]) -> str:
    if not problems:
        return ""
    return problems[0].get("code", "") if len(problems) == 1 else f"{len(problems)} problems"


def _size(body: Any) -> str:
    size = len(body or b"")
    return f"{size:,} B" if size < 1024 else f"{size / 1024:,.1f} KB"


def _fault(error: Exception) -> dict[str, Any]:
    return {"code": "REQUEST_FAILED", "severity": "error", "path": "", "details": {},
            "message": f"It could not be read because of a fault of ours: {type(error).__name__}.",
            "hint": "Process it again once the fault is mended."}  # fmt: skip
