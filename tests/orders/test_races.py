"""At one order at the same moment: one wins, nobody's change is lost; what the code overlooks the database refuses."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event as Signal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django_fsm import TransitionNotAllowed

from bench import races
from intake import pipeline
from intake.connectors.base import Incoming
from intake.models import Connector, OrderRequest
from orders import events
from orders.actions import change, is_open
from orders.drafts import Draft, read
from orders.events import Listener, emit
from orders.models import Address, Customer, Delivery, Event, Item, Order, Product
from orders.services import amend, changing, move, place
from tests.factories import make_order

ROWS = (Order, Address, Item, Event, Delivery, OrderRequest)
WAIT = 0.5  # seconds in which whoever needs not wait is through


def rows() -> list[int]:
    return [model.objects.count() for model in ROWS]


# --- processes ---------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other processes cannot see SQLite's database in memory: "
                    "`python -m bench.races` races on it in a file")  # fmt: skip
def test_four_processes_at_the_same_orders_never_win_twice_and_lose_nothing(
    transactional_db: None, product: Product, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = connection.settings_dict
    place = f"{known['HOST'] or ''}:{known['PORT']}" if known["PORT"] else known["HOST"] or ""
    who = f"{known['USER']}:{known['PASSWORD']}@" if known["USER"] else ""
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{who}{place}/{known['NAME']}")
    run = races.race(races.start_orders(100), processes=4)
    assert (run.orders, run.faults) == (100, [])
    won, refused = run.won(), sum(racer.refused for racer in run.racers)
    assert sum(won.values()) + refused == 400
    assert min(won["cancel"], won["retry"], won["reprocess"], won["ship"]) > 0  # they did meet


# --- two connections -----------------------------------------------------------------------------------


@pytest.fixture
def packaged(transactional_db: None) -> Order:
    return make_order("packaged")


@pytest.fixture
def apart(packaged: Order, tmp_path: Path) -> Iterator[Callable[[Callable[[], Any]], "Future[Any]"]]:
    """Do it in a thread with a connection of its own. SQLite's database in memory is copied to a file for that."""
    known = connection.settings_dict
    before = known["NAME"]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(tmp_path / "copy.sqlite3")])
        known["NAME"] = str(tmp_path / "copy.sqlite3")

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        yield lambda call: pool.submit(run, call)
    known["NAME"] = before


@pytest.mark.parametrize(
    ("second", "refused"),
    [
        (lambda order: move(order, "ship", by="user:bob"), False),
        (lambda order: move(order, "reprocess", by="user:bob"), True),  # it is shipped by then
        (lambda order: amend(order, by="user:bob", note="Called."), False),
        (lambda order: change(order, is_open, by="user:bob", note="Called."), True),
    ],
)
def test_a_change_waits_for_the_one_that_has_begun_and_sees_what_it_did(
    apart: Callable[..., "Future[Any]"], packaged: Order, second: Callable[[Order], Any], refused: bool
) -> None:
    begun, go_on = Signal(), Signal()

    def slow() -> None:
        with changing(packaged) as fresh:
            begun.set()
            assert go_on.wait(20)
            fresh.shipment_method = "express"
            if refused:
                fresh.ship()
            emit(fresh, "order.amended", by="user:ada")

    first = apart(slow)
    assert begun.wait(20)
    other = apart(lambda: second(packaged))
    with pytest.raises(TimeoutError):
        other.result(WAIT)
    go_on.set()
    first.result(20)
    if refused:
        with pytest.raises(TransitionNotAllowed):
            other.result(20)
    else:
        other.result(20)
    order, told = apart(lambda: (Order.objects.get(), list(Event.objects.order_by("sequence")))).result(20)
    assert [event.sequence for event in told] == list(range(1, order.sequence + 1))
    assert [event.by for event in told[6:]] == ["user:ada"] if refused else ["user:ada", "user:bob"]
    assert order.shipment_method == "express"


# --- what the database refuses -----------------------------------------------------------------------------


def test_two_events_never_have_the_same_number(order: Order) -> None:
    """As if there were no lock: an order that was read before another's event writes one of its own."""
    stale = Order.objects.get(pk=order.pk)
    move(order, "accept", by="system")
    before = rows()
    with pytest.raises(IntegrityError), transaction.atomic():
        emit(stale, "order.noted", by="user:ada")
    assert rows() == before


def test_an_event_reaches_a_target_of_a_listener_once(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = Listener("ear", ("*",), lambda delivery: None, each=lambda event: ("shop", "shop"))
    monkeypatch.setattr(events, "LISTENERS", {"ear": twice})
    before = rows()
    with pytest.raises(IntegrityError):
        move(order, "accept", by="system")
    assert (rows(), Order.objects.get().status) == (before, "received")


def test_a_senders_order_is_born_once_through_one_connector(
    customer: Customer, product: Product, order_body: Callable[..., dict[str, Any]]
) -> None:
    def born(connector: Any, source_id: str = "A-1") -> Order:
        return place(draft, customer=customer, products=[product], by="x", connector=connector, source_id=source_id)

    draft: Draft = read(order_body())
    ours, theirs = uuid4(), uuid4()
    born(ours)
    before = rows()
    with pytest.raises(IntegrityError):
        born(ours)
    assert rows() == before
    born(theirs)
    born(ours, "A-2")
    assert Order.objects.count() == 3


def test_one_key_makes_one_order_even_when_the_look_up_came_too_early(
    connector: Connector, product: Product, order_body: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests with one key, of which neither saw the other when it looked."""
    incoming = Incoming(body=str(order_body()).replace("'", '"').encode(), key="once")
    first, blind = pipeline.take(incoming, connector=connector), [True]
    real, before = pipeline.first_of, rows()
    monkeypatch.setattr(pipeline, "first_of", lambda request: None if blind and blind.pop() else real(request))
    again = pipeline.take(incoming, connector=connector)
    assert first.order is not None
    assert (again.replayed, again.order, again.answer) == (True, first.order, first.answer)
    assert (rows(), blind) == (before, [])
