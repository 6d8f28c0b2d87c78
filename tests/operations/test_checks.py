"""Wrong settings are said at the start."""

from typing import Any

import pytest

from gelatoconnect import checks
from gelatoconnect.lib import logs


def test_the_defaults_are_fine() -> None:
    assert checks.operations() == []


@pytest.mark.parametrize(
    "name, value, id",
    [
        ("LOG_FORMAT", "xml", "E030"),
        ("READY_SECONDS", 0, "E031"),
        ("RETAIN_BODY_DAYS", -1, "E032"),
        ("METRICS_TOKEN", "short", "E033"),
    ],
)
def test_what_is_wrong_is_named(settings: Any, name: str, value: Any, id: str) -> None:
    setattr(settings, name, value)
    (said,) = checks.operations()
    assert (said.id, name in said.msg, bool(said.hint)) == (f"gelatoconnect.{id}", True, True)


def test_keeping_recipients_for_ever_is_remarked_until_somebody_decides(settings: Any) -> None:
    settings.RETAIN_RECIPIENT_DAYS = 0
    assert [said.id for said in checks.retention()] == ["gelatoconnect.W030"]
    settings.RETAIN_RECIPIENT_DAYS = 730
    assert checks.retention() == []


def test_an_unknown_format_is_no_reason_to_log_nothing() -> None:
    said = logs.configuration(format="xml", level="INFO")
    assert said["handlers"]["console"]["formatter"] == "json"
