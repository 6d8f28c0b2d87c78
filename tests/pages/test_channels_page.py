"""The page of channels: every way in, how it does, and asking it now."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count as counting
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gelatoconnect.lib.ids import first_id
from intake.channels import Channel, silence
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import ConnectorType
from intake.connectors.schedule import Scheduled
from intake.models import Connector, OrderRequest
from orders.models import Customer

NOW = timezone.now()
numbers = counting()
NEVER = "acme-shop is never asked: its settings say how often."


class Shop(ConnectorType):
    name, label, Config, pulls, methods = "shop", "Shop", Scheduled, True, ("POST",)


class Folder(Shop):
    name, label, scans, methods = "folder", "Folder", True, ()


@pytest.fixture(autouse=True)
def shops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTOR_TYPES, "shop", Shop())
    monkeypatch.setitem(CONNECTOR_TYPES, "folder", Folder())


@pytest.fixture
def shop(customer: Customer) -> Connector:
    return Connector.objects.create(name="acme-shop", type="shop", customer=customer)


def came(connector: Connector, *, ago: timedelta = timedelta(), state: str = "accepted", **fields: Any) -> OrderRequest:
    id = UUID(int=first_id(timezone.now() - ago).int + next(numbers))
    return OrderRequest.objects.create(id=id, connector=connector, state=state, body=b"{}", fingerprint="x", **fields)


def shown(client: Client) -> dict[str, Channel]:
    return {each.connector.name: each for each in client.get("/channels").context["channels"]}


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_queries_for_one_channel_and_for_three(
    manager: Client, customer: Customer, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        came(Connector.objects.create(name=f"shop-{number}", type="shop", customer=customer))
    with django_assert_num_queries(
        7
    ):  # session, person, permissions (2), connectors, their last requests, today's counts
        assert len(shown(manager)) == count


def test_a_channel_says_where_it_comes_in_when_it_was_heard_and_what_came_of_it(
    manager: Client, shop: Connector
) -> None:
    for state, recovered in [("accepted", True), ("accepted", False), ("ignored", False), ("rejected", False)]:
        came(shop, state=state, recovered=recovered)
    last = came(shop, state="rejected", problems=[{"code": "FIELD_MISSING", "severity": "error"}])
    came(shop, ago=timedelta(days=2))
    channel = shown(manager)["acme-shop"]
    assert channel.address == f"{settings.PUBLIC_URL}/in/{shop.pk}"
    assert (channel.last, channel.finding["code"], channel.schedule) == (last, "FIELD_MISSING", "Every 1 h")
    assert (channel.today.accepted, channel.today.rejected, channel.today.recovered) == (2, 2, 1)
    page = manager.get("/channels").content.decode()
    assert f'data-copy="{channel.address}"' in page
    assert reverse("intake:detail", args=[last.pk]) in page


def test_what_needs_a_person_stands_first_and_what_is_off_last(
    manager: Client, customer: Customer, shop: Connector
) -> None:
    Connector.objects.create(name="a-off", type="shop", customer=customer, active=False, pull_error="away")
    Connector.objects.create(name="b-fine", type="api")
    Connector.objects.create(name="c-broken", type="shop", pull_error="FETCH_TIMEOUT: no answer")
    Connector.objects.create(name="d-unfinished", type="shop", settings='{"interval": "often"}')
    Connector.objects.create(name="e-unknown", type="telepathy")
    found = shown(manager)
    assert list(found) == ["c-broken", "d-unfinished", "e-unknown", "acme-shop", "b-fine", "a-off"]
    assert [each.problems for each in found.values()] == [
        [("error", "FETCH_TIMEOUT: no answer")], [("error", "Its settings are not complete.")],
        [("error", "There is no connector type 'telepathy'.")], [], [], [],
    ]  # fmt: skip
    context = manager.get("/channels").context
    assert (context["active"], context["failing"], context["silent"]) == (5, 3, 0)


def test_a_channel_that_used_to_be_busy_and_says_nothing_is_remarked(manager: Client, customer: Customer) -> None:
    busy, slow, new = (Connector.objects.create(name=name, type="api") for name in ("busy", "slow", "new"))
    for number in range(10):
        came(busy, ago=timedelta(days=4, hours=2 * number))
        came(slow, ago=timedelta(days=4 + 7 * number))
    came(new, ago=timedelta(days=90))
    found = shown(manager)
    assert found["busy"].problems == [("warning", "Nothing heard for 4 d; before, about 12 a day.")]
    assert (found["slow"].silent, found["new"].silent) == ("", "")
    Connector.objects.filter(pk=busy.pk).update(active=False)
    assert shown(manager)["busy"].problems == []


@pytest.mark.parametrize(
    ("pause", "silent_for", "said"),
    [(timedelta(hours=1), timedelta(hours=23), ("", "")),
     (timedelta(hours=1), timedelta(hours=25), ("1 d 1 h", "about 24 a day")),
     (timedelta(days=2), timedelta(days=11), ("", "")),
     (timedelta(days=2), timedelta(days=13), ("13 d", "about one in 2 d")),
     (timedelta(0), timedelta(days=2), ("2 d", "about 86,400 a day"))],
)  # fmt: skip
def test_a_silence_is_measured_by_the_channel_s_own_rhythm(
    pause: timedelta, silent_for: timedelta, said: tuple[str, str]
) -> None:
    last = NOW - silent_for
    assert silence(last, last - 9 * pause, now=NOW) == said


def press(client: Client, name: str, connector: Connector, **fields: str) -> list[str]:
    answer = client.post(reverse(f"intake:channel-{name}", args=[connector.pk]), fields, follow=True)
    return [str(message) for message in answer.context["messages"]]


def test_a_channel_is_asked_now(manager: Client, shop: Connector) -> None:
    Connector.objects.filter(pk=shop.pk).update(next_pull=NOW + timedelta(hours=1))
    assert press(manager, "ask", shop) == ["acme-shop is compared in a few seconds."]
    shop.refresh_from_db()
    assert shop.next_pull <= timezone.now()
    folder = Connector.objects.create(name="drop", type="folder")
    assert press(manager, "ask", folder) == ["drop is scanned in a few seconds."]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"active": False}, "acme-shop is switched off."), ({"type": "api"}, NEVER), ({"type": "telepathy"}, NEVER),
     ({"settings": '{"interval": 0}'}, NEVER), ({"settings": '{"interval": "x"}'}, NEVER)],
)  # fmt: skip
def test_what_cannot_be_asked_says_so_and_nothing_happens(
    manager: Client, shop: Connector, changes: dict[str, Any], said: str
) -> None:
    later = NOW + timedelta(hours=1)
    for name, value in (changes | {"next_pull": later}).items():
        setattr(shop, name, value)
    shop.save()
    assert press(manager, "ask", shop) == [said]
    shop.refresh_from_db()
    assert shop.next_pull == later


def test_in_its_quiet_hours_it_is_left_alone(manager: Client, shop: Connector) -> None:
    start, end = (f"{NOW + timedelta(hours=hours):%H:%M}" for hours in (-1, 2))
    shop.settings = f'{{"interval": 60, "quiet_from": "{start}", "quiet_to": "{end}"}}'
    shop.next_pull = later = NOW + timedelta(hours=3)
    shop.save()
    assert press(manager, "ask", shop) == [f"acme-shop has its quiet hours: it is asked at {end} UTC."]
    shop.refresh_from_db()
    assert shop.next_pull == later


def test_a_channel_is_switched_off_and_on_by_those_who_may(sign_in: Callable, manager: Client, shop: Connector) -> None:
    administrator = sign_in("Administrator", "root")
    assert press(administrator, "switch", shop, active="no")[0].startswith("acme-shop is off")
    assert Client().post(f"/in/{shop.pk}", b"{}", content_type="application/json").status_code == 404
    assert press(administrator, "switch", shop, active="yes") == ["acme-shop is on."]
    assert manager.post(reverse("intake:channel-switch", args=[shop.pk]), {"active": "no"}).status_code == 403
    shop.refresh_from_db()
    assert shop.active is True


def test_those_who_may_only_read_ask_nothing(sign_in: Callable, shop: Connector) -> None:
    later = NOW + timedelta(hours=1)
    Connector.objects.filter(pk=shop.pk).update(next_pull=later)
    accountant = sign_in("Accountant")
    assert reverse("intake:channel-ask", args=[shop.pk]) not in accountant.get("/channels").content.decode()
    assert accountant.post(reverse("intake:channel-ask", args=[shop.pk])).status_code == 403
    shop.refresh_from_db()
    assert shop.next_pull == later
    assert sign_in("Packaging user", "bob").get("/channels").status_code == 403


def test_without_any_channel_the_page_says_what_one_is(manager: Client) -> None:
    assert "There is no way in yet" in manager.get("/channels").content.decode()
