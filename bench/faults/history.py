"""The history of a run, and what is wrong with it. Plain data in, findings out; nothing here knows how it was made.

Each order is known by its reference, whose last letter is its part in the run (see PARTS).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.faults.receiver import Hook

# What is done with an order, and the status in which it ends.
PARTS = {"s": "shipped", "c": "created", "x": "canceled", "f": "failed"}


@dataclass(frozen=True, slots=True)
class Sent:
    """An order as its sender saw it. id: as it was answered; empty: it never was. attempts: (started, ended, status);
    status 0: no answer."""

    reference: str
    id: str
    attempts: Sequence[tuple[float, float, int]] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """An event as it is stored."""

    id: str
    sequence: int
    kind: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An order as it is stored. labels: of its live packages. requests: that say they made it."""

    id: str
    reference: str
    status: str
    sequence: int
    facts: Sequence[Fact]
    labels: Sequence[str] = ()
    requests: int = 1


@dataclass(frozen=True, slots=True)
class Left:
    """A delivery that is not done: due still, or given up, and why."""

    reference: str
    listener: str
    state: str
    error: str = ""


@dataclass(slots=True)
class Findings:
    """What is wrong, by mark; the marks are all there, most of them empty."""

    missed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, mark: str, finding: str) -> None:
        self.missed[mark].append(finding)

    def count(self, mark: str) -> int:
        return len(self.missed[mark])

    @property
    def is_clean(self) -> bool:
        return not any(self.missed.values())


MARKS = {
    "missing": "accepted orders that are not stored",
    "doubled": "references that are stored twice, or accepted with two ids",
    "unended": "orders that have not reached their end",
    "gaps": "orders whose events are not numbered 1, 2, 3 …",
    "twice": "orders that took an arrow twice, or one that there is not",
    "untold": "events that never reached the receiver",
    "disorder": "orders whose events came out of order",
    "unsigned": "webhooks whose signature is wrong",
    "left": "deliveries that are due still, or were given up",
    "labels": "shipped orders without exactly one label",
}


def judge(sent: Sequence[Sent], stored: Sequence[Stored], hooks: Sequence[Hook], left: Sequence[Left], *,
          arrows: set[tuple[str, str]], told: str = "scxf") -> Findings:  # fmt: skip
    """arrows: (source, target) of the lifecycle. told: parts whose sender gets webhooks."""
    found = Findings()
    for mark in MARKS:
        found.missed[mark] = []
    _accepted(found, sent, stored)
    for order in stored:
        _ended(found, order)
        for mark, finding in _chain(order, arrows):
            found.add(mark, finding)
    _told(found, [order for order in stored if order.reference[-1] in told], hooks)
    for each in left:
        if not is_overtaken(each):
            found.add("left", f"{each.reference}: {each.listener} is {each.state} {each.error[:80]}".rstrip())
    return found


def is_overtaken(left: Left) -> bool:
    """A verdict on an order that its sender canceled meanwhile has nothing left to do: it is given up, rightly."""
    return left.state == "given_up" and left.reference.endswith("x") and "from state 'canceled'" in left.error


def _accepted(found: Findings, sent: Iterable[Sent], stored: Sequence[Stored]) -> None:
    by_id = {order.id: order for order in stored}
    for each in sent:
        if not each.id:
            found.add("missing", f"{each.reference}: never answered with success")
        elif each.id not in by_id:
            found.add("missing", f"{each.reference}: {each.id}")
        elif by_id[each.id].reference != each.reference:
            found.add("doubled", f"{each.reference}: {each.id} is {by_id[each.id].reference}")
    for reference, count in Counter(order.reference for order in stored).items():
        if count > 1:
            found.add("doubled", f"{reference}: {count} orders")


def _ended(found: Findings, order: Stored) -> None:
    end = PARTS[order.reference[-1]]
    if order.status != end:
        found.add("unended", f"{order.reference}: {order.status}, not {end}")
    if order.requests != 1:
        found.add("doubled", f"{order.reference}: {order.requests} requests made it")
    if end == "shipped" and (len(order.labels) != 1 or not order.labels[0]):
        found.add("labels", f"{order.reference}: {len(order.labels)} packages, {sum(map(bool, order.labels))} labels")


def _chain(order: Stored, arrows: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    facts = sorted(order.facts, key=lambda fact: fact.sequence)
    if [fact.sequence for fact in facts] != list(range(1, order.sequence + 1)):
        yield "gaps", f"{order.reference}: {[fact.sequence for fact in facts]}, the order says {order.sequence}"
    moves = [(fact.source, fact.target) for fact in facts if fact.target]
    at = ""
    for source, target in moves:
        if source != at or (source and (source, target) not in arrows):
            yield "twice", f"{order.reference}: {source or 'nothing'} → {target} while it was {at or 'not born'}"
        at = target
    if len(set(moves)) != len(moves):
        yield "twice", f"{order.reference}: {moves}"
    if at != order.status:
        yield "twice", f"{order.reference}: its events lead to {at}, it is {order.status}"


def _told(found: Findings, stored: Sequence[Stored], hooks: Sequence[Hook]) -> None:
    first: dict[str, list[int]] = defaultdict(list)  # order → sequences, as they came for the first time
    seen: set[str] = set()
    for hook in hooks:
        if not hook.genuine:
            found.add("unsigned", f"{hook.id}: {hook.kind}")
        elif hook.id not in seen:
            seen.add(hook.id)
            first[hook.order].append(hook.sequence)
    for order in stored:
        untold = [fact.sequence for fact in order.facts if fact.id not in seen]
        if untold:
            found.add("untold", f"{order.reference}: {untold}")
        if first[order.id] != sorted(first[order.id]):
            found.add("disorder", f"{order.reference}: {first[order.id]}")


def repeated(hooks: Sequence[Hook]) -> int:
    """Webhooks that came once more: allowed, since the event's id stays the same."""
    return len(hooks) - len({hook.id for hook in hooks})
