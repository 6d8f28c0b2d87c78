"""What is written into a folder for people and systems of the other side: why a file failed, and what became of orders."""

import json
from collections.abc import Iterable
from typing import Any

from gelatoconnect.lib.problems import Problem
from intake.connectors.base import Told
from intake.connectors.folder.claims import shown

MOST_TOLD = 200  # problems in one text


def why_failed(name: str, refused: Iterable[tuple[str, list[Problem]]]) -> str:
    """What is wrong, where, and how to mend it. refused: the orders of the file that were, by what they are called."""
    lines = [f"{name} was not taken, or not as a whole.", ""]
    count = 0
    for order, problems in refused:
        lines.append(f"{order}:")
        for problem in problems:
            count += 1
            if count > MOST_TOLD:
                break
            where = f" ({problem.path})" if problem.path else ""
            lines.append(f"- {problem.message}{where} [{problem.code}]")
            lines += [f"  {problem.hint}"] if problem.hint else []
    if count > MOST_TOLD:
        lines.append(f"… and {count - MOST_TOLD} more.")
    lines += ["", "Mend the file and put it into the inbox again; orders of it that were taken are not made twice."]
    return "\n".join(lines) + "\n"


def status_of(told: Told) -> tuple[str, bytes]:
    """The name and the content of a status file. The same event always makes the same file."""
    order = told.order
    status = told.kind.partition(".")[2]
    said: dict[str, Any] = {
        "event": told.kind, "eventId": str(told.id), "at": told.at.isoformat(),
        "id": str(order.pk), "orderReferenceId": order.reference, "status": status,
        "items": [{"itemReferenceId": item.reference, "quantity": item.quantity} for item in told.items],
        "packages": [
            {"trackingCode": each.get("tracking_code") or "", "trackingUrl": each.get("tracking_url") or "",
             "carrier": each.get("carrier") or ""} for each in told.packages
        ],
    }  # fmt: skip
    if told.reason:
        said["reason"] = told.reason
    if told.problems:
        said["problems"] = told.problems
    if name := order.source.get("file"):
        said["file"] = name
    name = f"{told.at:%Y%m%dT%H%M%S}_{shown(order.reference)[:80].strip('. ')}_{status}_{told.id.hex[-6:]}.json"
    return name, json.dumps(said, indent=1, ensure_ascii=False).encode()
