"""Recorded pairs: what a sender sends, and what it means.

tests/samples/<connector>/<case>.json|xml|csv is the body; <case>.meaning.json what is understood of it (base.said_of), or
the refusal's codes and paths; <case>.call.json, where there is one, the topic, headers, settings and mapping it comes with.
UPDATE_SAMPLES=1 writes the meanings anew, to be read before they are committed.
"""

import json
import os
from pathlib import Path

import pytest

from gelatoconnect.lib.problems import Rejected
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Message, said_of
from intake.models import Mapping

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
TYPES = {".json": "application/json", ".xml": "application/xml", ".csv": "text/csv"}
CASES = sorted(
    path
    for path in SAMPLES.glob("*/*")
    if path.suffix in TYPES and not path.name.endswith((".meaning.json", ".call.json"))
    and path.parent.name in CONNECTOR_TYPES
)  # fmt: skip


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recorded_request_means_what_it_meant(path: Path) -> None:
    kind = CONNECTOR_TYPES[path.parent.name]
    beside = path.with_suffix(".call.json")
    call = json.loads(beside.read_text()) if beside.exists() else {}
    message = Message(
        body=path.read_bytes(),
        topic=call.get("topic", ""),
        headers=call.get("headers", {}),
        content_type=call.get("contentType", TYPES[path.suffix]),
        contents=call.get("contents", {}),
        config=kind.Config.model_validate(call.get("config", {})),
        mapping=Mapping(**call["mapping"]) if "mapping" in call else None,
    )
    try:
        understood = json.loads(said_of(kind.parse(message)))
    except Rejected as refusal:
        understood = {"status": refusal.status, "problems": [[each.code, each.path] for each in refusal.problems]}
    expected = path.with_suffix(".meaning.json")
    if os.environ.get("UPDATE_SAMPLES"):
        expected.write_text(json.dumps(understood, indent=2, ensure_ascii=False) + "\n")
    assert understood == json.loads(expected.read_text())


def test_every_type_that_is_called_or_asked_has_samples() -> None:
    spoken = {name for name, kind in CONNECTOR_TYPES.items() if kind.methods or kind.pulls}
    assert {name for name in spoken if not list((SAMPLES / name).glob("*.meaning.json"))} == set()
