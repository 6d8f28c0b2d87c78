"""Pieces of the contract: what means nothing more, XML from strangers, schedules, and talks."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gelatoconnect.lib import xml
from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import Ask, Remember, ask_json, json_of
from intake.connectors.schedule import Scheduled
from intake.models import Connector
from intake.talks import hold
from orders.events import Permanent, TryLater
from tests.connectors.fakes import Fake

BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


def test_xml_reads_as_json_would_say_it() -> None:
    element = xml.loads(b'<o id="1" xmlns="urn:x"><item>a</item><item n="2">b</item><empty/></o>', max_bytes=1000)
    assert xml.data_of(element) == {"id": "1", "item": ["a", {"n": "2", "text": "b"}], "empty": ""}


@pytest.mark.parametrize(
    ("raw", "code"),
    [(BOMB, "XML_DTD"), (b"<a>" * 200_000, "XML_TOO_DEEP"), (b"<a>" + b"<b/>" * 200_000 + b"</a>", "XML_TOO_LARGE"),
     (b"<a/>" + b" " * 2_000_000, "BODY_TOO_LARGE"),
     (b"<a><b></a>", "XML_MALFORMED"), (b"", "XML_MALFORMED"),
     (b'<?xml version="1.0" encoding="x-no"?><a/>', "XML_ENCODING")],
)  # fmt: skip
def test_hostile_xml_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(Rejected) as refusal:
        xml.loads(raw, max_bytes=1_500_000)
    assert [problem.code for problem in refusal.value.problems] == [code]


def test_nobody_is_asked_in_the_quiet_hours() -> None:
    night = Scheduled(interval=30, quiet_from="22:00", quiet_to="06:00", time_zone="Europe/Oslo")
    at = lambda hour, minute=0: datetime(2026, 1, 15, hour, minute, tzinfo=UTC)  # noqa: E731  # Oslo is UTC+1 in January
    assert night.next_after(at(12)) == at(12, 30)
    assert night.next_after(at(20, 45)) == datetime(2026, 1, 16, 5, 0, tzinfo=UTC)  # 22:15 there: the next morning
    assert night.next_after(at(1)) == at(5)
    assert Scheduled(interval=0).next_after(at(1)) is None


def test_a_talk_asks_remembers_and_ends_with_its_result(db: None, fake: Fake) -> None:
    connector = Connector.objects.create(name="shop")
    fake.on("POST", "/token", (200, {"token": "t2"}))

    def talk() -> Any:
        answer = yield ask_json("POST", f"{fake.url}/token", {"a": 1}, headers={"X-Api-Key": "secret"})
        memory = yield Remember({"token": json_of(answer)["token"]})
        missing = yield Ask("GET", f"{fake.url}/nothing", accept=(404,))
        return memory["token"], missing.status

    report: dict[str, Any] = {}
    assert hold(talk(), connector, report=report) == ("t2", 404)
    assert "t2" in Connector.objects.get().memory
    assert [each["request"]["headers"]["X-Api-Key"] for each in report["before"]] == ["•••"]
    assert report["answer"]["status"] == 404


@pytest.mark.parametrize(("status", "failure"), [(500, TryLater), (429, TryLater), (400, Permanent), (302, Permanent)])
def test_a_talk_that_is_refused_is_tried_again_or_given_up(db: None, fake: Fake, status: int, failure: type) -> None:
    connector = Connector.objects.create(name="shop")
    fake.on("GET", "/x", (status, {}, {"Retry-After": "7"}))

    def talk() -> Any:
        yield Ask("GET", f"{fake.url}/x")

    with pytest.raises(failure) as error:
        hold(talk(), connector)
    assert getattr(error.value, "after", None) in (None, 7.0)
