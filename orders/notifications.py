"""Telling customers: an event, matched by a trigger, becomes a signed webhook or an e-mail."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from time import monotonic
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.db.models import Q

from gelatoconnect.lib import strict, xml
from gelatoconnect.lib.problems import Problem, Rejected
from orders import endpoints, mails, webhooks
from orders.events import Permanent, TryLater, listen
from orders.models import Delivery, Event, Order, Trigger
from orders.payloads import Occasion, as_json, as_xml, rendered

# What staff do among themselves is nobody else's business.
IN_HOUSE = frozenset(
    {"order.noted", "order.signed_off", "order.cancel_refused", "order.cancel_repeated", "order.forgotten",
     "request.received", "request.exported", "request.forgotten", "import.brought", "import.started", "import.ended",
     "product.mapped", "replay.started", "replay.continued", "endpoint.failing", "endpoint.switched_off"}
)  # fmt: skip
# What may be told. New kinds are told whether they stand here or not: this is for those who choose.
KINDS = (
    "order.received", "order.passed", "order.failed", "order.created", "order.in_production", "order.printed",
    "order.packaged", "order.shipped", "order.in_transit", "order.delivered", "order.returned", "order.canceled",
    "order.delayed", "order.reprocessed", "order.amended", "order.held", "order.resumed", "order.saved",
    "order.file_uploaded", "package.packed", "package.unpacked", "package.labeled", "package.voided",
    "package.status_updated", "package.not_scanned", "request.rejected",
)  # fmt: skip
CONTENT_TYPES = {Trigger.Format.JSON: "application/json", Trigger.Format.XML: "application/xml; charset=utf-8"}
MAX_BYTES = 4 * 1024 * 1024  # of a body
TRY_SECONDS = 10  # a person waits for it


# --- who is told -------------------------------------------------------------------------------------
def matching(event: Event) -> Iterator[str]:
    """Ids of the active triggers that want this event: the customer's own and those for all, if all their conditions
    fit. It is asked in the transaction of every change: one query, and one more when a condition is of products."""
    if event.kind in IN_HOUSE:
        return
    wanted = Trigger.objects.filter(Q(customer=event.customer_id) | Q(customer=None), active=True)
    subject = Subject(event.order)
    for id, pattern, *conditions in wanted.values_list("id", "event", "channels", "countries", "products"):
        if fnmatchcase(event.kind, pattern) and subject.fits(*conditions):
            yield str(id)


@dataclass
class Subject:
    """The order an event tells of, as conditions see it; without one only triggers without conditions fit."""

    order: Order | None

    def fits(self, channels: Iterable[str], countries: Iterable[str], products: Iterable[str]) -> bool:
        if not (channels or countries or products):
            return True
        if self.order is None or (channels and self.order.channel not in channels):
            return False
        if countries and self.order.country not in countries:
            return False
        return not products or not self.products.isdisjoint(products)

    @cached_property
    def products(self) -> set[str]:
        """As they are now, and as the sender named them."""
        assert self.order is not None
        found = self.order.items.values_list("product__uid", "product_uid")
        return {uid for uids in found for uid in uids if uid}


# --- telling them ------------------------------------------------------------------------------------
@listen("*", name="trigger", each=matching, by_target=True, endpoints=endpoints)
def notify(delivery: Delivery) -> None:
    trigger = Trigger.objects.filter(pk=delivery.target, active=True).first()
    if trigger is None:
        raise Permanent("The trigger was removed or switched off.")
    try:
        _tell(trigger, Occasion(delivery.event.kind, delivery.event), report=delivery.report)
    except TryLater as failure:
        if not trigger.retry:
            raise Permanent(str(failure)) from failure
        raise


def _tell(trigger: Trigger, occasion: Occasion, *, report: dict[str, Any], seconds: float = 20) -> None:
    """Raises TryLater or Permanent; what was sent and answered stands in the report."""
    try:
        made = make(trigger, occasion)
    except Rejected as refusal:
        said = "; ".join(_said(problem) for problem in refusal.problems)
        raise (TryLater if refusal.status == 503 else Permanent)(said) from refusal
    except ValueError as error:
        raise Permanent(f"The trigger's headers: {error}") from error
    if isinstance(made, Body):
        webhooks.post(trigger, made.text.encode(errors="replace"), content_type=made.content_type, id=made.id,
                      report=report, test=occasion.test, seconds=seconds)  # fmt: skip
    else:
        mails.send(made, report=report)


def _said(problem: Problem) -> str:
    name = {"subject": "subject", "html": "HTML"}.get(problem.details.get("template", ""), "template")
    return f"The trigger's {name}: {problem.message} {problem.hint}".strip()


@dataclass(frozen=True, slots=True)
class Body:
    """What a webhook carries. id: its webhook-id."""

    id: str
    content_type: str
    text: str


def make(trigger: Trigger, occasion: Occasion) -> Body | EmailMultiAlternatives:
    """What is sent. Raises Rejected with what is wrong in a template, or in what it makes."""
    if trigger.channel == Trigger.Channel.EMAIL:
        return mails.compose(trigger, occasion)
    named = {name.lower(): value for name, value in webhooks.headers_of(trigger.headers).items()}
    content_type = named.get("content-type", CONTENT_TYPES[Trigger.Format(trigger.format)])
    if trigger.template.strip():
        text = rendered("template", trigger.template, occasion.context())
        _refuse_malformed(text, content_type)
    else:
        text = (as_xml if trigger.format == Trigger.Format.XML else as_json)(occasion.payload())
    prefix = "test_" if occasion.test else ""
    return Body(f"{prefix}{occasion.id}", content_type, text)


def _refuse_malformed(text: str, content_type: str) -> None:
    """What calls itself JSON or XML is such; anything else may be anything, but not nothing."""
    if not text.strip():
        raise _malformed(text, "The template makes nothing of this event.", "Let it make the body of the call.")
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind.endswith("json"):
            strict.loads(text.encode(errors="replace"), max_bytes=MAX_BYTES)
        elif kind.endswith("xml"):
            xml.loads(text.strip().encode(errors="replace"), max_bytes=MAX_BYTES)
    except Rejected as refusal:
        words = "JSON" if kind.endswith("json") else "XML"
        message = refusal.problems[0].message.replace("The body", "What it makes").replace("The XML", "What it makes")
        line = int(found[1]) if (found := re.search(r"line (\d+)", message)) else 0
        shown = next(iter(text.splitlines()[line - 1 : line]), "").strip()[:120] if line else ""
        raise _malformed(
            text,
            f"{message.rstrip('.')}: {shown}" if shown else message,
            "Write values with | tojson." if words == "JSON" else "Write values with | xml.",
            **({"outputLine": line} if line else {}),
        ) from None


class Malformed(Rejected):
    """text: what the template made."""

    text = ""


def _malformed(text: str, message: str, hint: str, **details: Any) -> Malformed:
    problem = Problem("TEMPLATE_OUTPUT", message, hint=hint, details={"template": "template", **details})
    refusal = Malformed([problem])
    refusal.text = text
    return refusal


# --- trying it ---------------------------------------------------------------------------------------
@dataclass
class Outcome:
    """What became of a try: what was sent and answered (as in an attempt), and why it failed."""

    failure: str = ""
    milliseconds: int = 0
    report: dict[str, Any] = field(default_factory=dict)


def try_out(trigger: Trigger, occasion: Occasion) -> Outcome:
    """Send it once, now, marked as a test. Nothing is stored; never call it inside a transaction."""
    outcome, started = Outcome(), monotonic()
    try:
        _tell(trigger, Occasion(occasion.kind, occasion.event, test=True), report=outcome.report, seconds=TRY_SECONDS)
    except (TryLater, Permanent) as failure:
        outcome.failure = str(failure)
    outcome.milliseconds = int((monotonic() - started) * 1000)
    return outcome


def occasions(trigger: Trigger, events: Iterable[Event]) -> Iterator[Event]:
    """Those of the events that would be told to the trigger."""
    for event in events:
        if event.kind not in IN_HOUSE and fnmatchcase(event.kind, trigger.event):
            yield event


def sample_kind(pattern: str) -> str:
    """A kind that the pattern means, for a made-up event; the most telling one of several."""
    best = ("order.shipped", "package.status_updated", *KINDS)
    return next((kind for kind in best if fnmatchcase(kind, pattern)), pattern.replace("*", "sample"))
