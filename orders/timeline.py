"""An order's events, told to people: what happened, by whom, why, and what it changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gelatoconnect.lib.ids import parse_id
from orders.lifecycle import STEPS, Status
from orders.models import Event, Order
from orders.texts import duration, serious

# How an event looks, by its kind.
MARKS = {
    "order.received": ("inbox", "info"),
    "order.passed": ("circle-check", "success"),
    "order.failed": ("octagon-x", "error"),
    "order.created": ("clipboard-list", ""),
    "order.in_production": ("printer", ""),
    "order.printed": ("printer", ""),
    "order.packaged": ("package-check", ""),
    "order.shipped": ("truck", "info"),
    "order.in_transit": ("truck", "info"),
    "order.delivered": ("flag", "success"),
    "order.returned": ("undo-2", "warning"),
    "order.canceled": ("ban", ""),
    "order.reprocessed": ("rotate-ccw", "warning"),
    "order.held": ("circle-pause", "warning"),
    "order.resumed": ("play", ""),
    "order.amended": ("pencil", ""),
    "order.noted": ("message-square", ""),
    "order.signed_off": ("check", "warning"),
    "order.delayed": ("clock", "warning"),
    "package.not_scanned": ("triangle-alert", "warning"),
}
# Changes that the event's kind, its reason or its parcel tell already.
UNSAID = ("held", "hold_reason", "package.status")
# The statuses of an order that meets no trouble.
WAY = tuple(status for status in Status if status not in ("draft", "failed", "returned", "canceled"))


@dataclass(frozen=True, slots=True)
class Entry:
    """What _timeline.html draws."""

    at: datetime
    title: str
    actor: str
    lines: list[str]
    icon: str
    tone: str


def entry_of(event: Event) -> Entry:
    icon, tone = MARKS.get(event.kind, ("truck" if event.kind.startswith("package.") else "history", ""))
    return Entry(event.at, title_of(event.kind), actor_of(event.by), list(_lines(event)), icon, tone)


def progress(order: Order, events: Iterable[Event]) -> list[tuple[str, str]]:
    """(label, "done", "current", "stopped" or "") of each status on the way. events: newest first."""
    reached = [status for status in (order.status, *(event.target for event in events)) if status in WAY]
    here = WAY.index(Status(reached[0])) if reached else -1
    states = ["done"] * here + ["current" if order.status in WAY else "stopped"]
    return [(str(status.label), states[place] if place <= here else "") for place, status in enumerate(WAY)]


def title_of(kind: str) -> str:
    """ "order.in_production" → "In production"; "package.status_updated" → "Package status updated"."""
    words = kind.removeprefix("order.").replace(".", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def actor_of(by: str) -> str:
    """ "user:ada" → "ada"; "connector:shop" → "shop (connector)"; "system" stays."""
    kind, _, name = by.partition(":")
    return name if kind == "user" else f"{name} ({kind})" if name else by


def _lines(event: Event) -> Iterator[str]:
    data = event.data
    if event.source:
        verb = STEPS[data["verb"]].label if data.get("verb") in STEPS else "Moved"
        after = f", after {duration(event.seconds)}" if event.seconds and event.seconds >= 1 else ""
        yield f"{verb}: {_status(event.source)} → {_status(event.target)}{after}"
    if data.get("reason"):
        yield f"Reason: {data['reason']}"
    for what, change in data.get("changes", {}).items():
        if what not in UNSAID:
            yield _change(what, change)
    for problem in serious(data.get("problems", [])):
        yield f"{problem['code']}: {problem['message']}"
    yield from _package(data)


def _change(what: str, change: Any) -> str:
    """ "address.post_code", ["1", "2"] → "Address post code: 1 → 2"; ids are left out, codes stay as they are."""
    before, after = change if isinstance(change, list) and len(change) == 2 else ("", change)
    if what == "note":
        return str(after)
    parts = [part for part in what.split(".") if not parse_id(part)]
    said = " ".join(parts) if " " in what else " ".join(parts).replace("_", " ")
    return f"{said[:1].upper()}{said[1:]}: {_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value) if value else "–"


def _package(data: dict[str, Any]) -> Iterator[str]:
    """What an event of a parcel tells besides."""
    package, tracking = data.get("package") or {}, (data.get("shipment") or {}).get("tracking") or {}
    if package.get("status"):
        yield f"Parcel: {_status(package['status'])}"
    if tracking.get("code"):
        yield f"Tracking code {tracking['code']}"


def _status(value: str) -> str:
    return Status(value).label if value in Status else value
