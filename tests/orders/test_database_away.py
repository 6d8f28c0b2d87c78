"""A database that goes away while a delivery is under way: nobody else is blamed, and no lease is given up for it."""

from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
from django.db import InterfaceError, OperationalError, connection

from orders import events
from orders.events import Listener, sweep
from orders.models import Attempt, Delivery, Order


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """One listener to everything, which raises what the test puts into "error"."""
    said: dict[str, Exception] = {}

    def handle(delivery: Delivery) -> None:
        raise said["error"]

    monkeypatch.setattr(events, "LISTENERS", {"ear": Listener("ear", ("*",), handle, delays=(300,))})
    return said


@pytest.mark.parametrize("error", [OperationalError("the connection is lost"), InterfaceError("closed")], ids=repr)
def test_the_attempt_is_as_if_the_worker_had_died(
    raising: dict[str, Exception],
    order: Order,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising["error"] = error
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    with pytest.raises(type(error)):
        sweep()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.error, delivery.lease is None) == ("due", 1, "", False)
    assert Attempt.objects.count() == 0


def test_an_error_of_a_database_that_is_there_is_a_failed_attempt(raising: dict[str, Exception], order: Order) -> None:
    raising["error"] = OperationalError("deadlock detected")
    assert sweep() == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.error, delivery.lease) == ("due", 1, "deadlock detected", None)


def test_a_lease_is_renewed_again_once_the_database_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    renewals: list[str] = []

    class Away:
        """The table of deliveries, which answers only the third time."""

        objects: Any

        def filter(self, **asked: Any) -> "Away":
            return self

        def update(self, **changes: Any) -> None:
            renewals.append("lost" if len(renewals) < 2 else "renewed")
            if renewals[-1] == "lost":
                raise OperationalError("the connection is lost")

    Away.objects = Away()
    monkeypatch.setattr(events, "LEASE", 0.03)
    monkeypatch.setattr(events, "Delivery", Away)
    with events._lease_kept(Delivery(pk=uuid4(), lease=uuid4())):
        until = monotonic() + 5
        while "renewed" not in renewals and monotonic() < until:
            sleep(0.01)
    assert renewals[:3] == ["lost", "lost", "renewed"]
