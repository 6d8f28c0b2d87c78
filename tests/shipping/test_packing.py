import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from gelatoconnect.lib.problems import Rejected
from orders.models import Event, Item, Order
from orders.services import amend, move
from shipping.models import Package
from shipping.packing import close, count_piece, pack, unpack
from tests.factories import make_order
from tests.shipping.conftest import all_of, pieces


def codes(rejected: Any) -> list[str]:
    return [problem.code for problem in rejected.value.problems]


def test_a_package_holds_its_pieces_and_weighs_what_they_weigh(printed: Order) -> None:
    package = pack(printed, contents=pieces(printed, front=2, back=1), by="user:ada")
    assert (package.number, package.weight) == (1, 24)
    held = [(piece.item.reference, piece.quantity) for piece in package.contents.all()]
    assert held == [("front", 2), ("back", 1)]
    assert [item.packed for item in printed.items.all()] == [2, 1]


def test_a_weight_from_the_scales_is_believed(printed: Order) -> None:
    assert pack(printed, contents=pieces(printed, front=2), weight=31, by="user:ada").weight == 31


def test_packing_is_told_with_what_is_in_the_package(printed: Order) -> None:
    package = pack(printed, contents=pieces(printed, front=2), by="user:ada")
    event = Event.objects.get(kind="package.packed")
    item = printed.items.get(reference="front")
    assert event.by == "user:ada"
    assert event.data["package"] == {
        "id": str(package.pk),
        "items": [{"id": str(item.pk), "quantity": 2, "referenceId": "front", "metadata": {}}],
        "status": "packaged",
        "weight": 16,
    }


def test_pieces_that_nobody_counted_are_not_in_the_package(printed: Order) -> None:
    package = pack(printed, contents=pieces(printed, front=2, back=0), by="user:ada")
    assert [piece.item.reference for piece in package.contents.all()] == ["front"]


def test_an_item_of_another_order_is_refused(printed: Order, unchanged: Callable) -> None:
    foreign = make_order("printed").items.get()
    before = unchanged()
    with pytest.raises(Rejected, match=str(foreign.pk)) as rejected:
        pack(printed, contents=pieces(printed, front=1) | {foreign.pk: 1}, by="user:ada")
    assert codes(rejected) == ["PACK_ITEM_UNKNOWN"]
    assert unchanged() == before


@pytest.mark.parametrize("count", [3, -1])
def test_more_pieces_than_are_due_or_less_than_none_are_refused(
    printed: Order, unchanged: Callable, count: int
) -> None:
    before = unchanged()
    with pytest.raises(Rejected) as rejected:
        pack(printed, contents=pieces(printed, front=count, back=1), by="user:ada")
    assert codes(rejected) == ["PACK_QUANTITY"]
    assert rejected.value.problems[0].details["left"] == 2
    assert unchanged() == before


def test_a_piece_is_packed_only_once(printed: Order, unchanged: Callable) -> None:
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    before = unchanged()
    with pytest.raises(Rejected, match="none of 2 is still to be packed"):
        pack(printed, contents=pieces(printed, front=1), by="user:ada")
    assert unchanged() == before


def test_canceled_pieces_are_not_packed(printed: Order, unchanged: Callable) -> None:
    amend(printed, by="user:ada", cancel=pieces(printed, front=1))
    before = unchanged()
    with pytest.raises(Rejected, match="only 1 of 1 are still to be packed"):
        pack(printed, contents=pieces(printed, front=2), by="user:ada")
    assert unchanged() == before


def test_an_empty_package_is_refused(printed: Order, unchanged: Callable) -> None:
    before = unchanged()
    with pytest.raises(Rejected) as rejected:
        pack(printed, contents=pieces(printed, front=0), by="user:ada")
    assert codes(rejected) == ["PACK_EMPTY"]
    assert unchanged() == before


@pytest.mark.parametrize("status", ["created", "in_production", "packaged", "shipped", "canceled", "failed"])
def test_only_printed_orders_are_packed(db: None, status: str, unchanged: Callable) -> None:
    order = make_order(status)
    Item.objects.update(packed=0)
    before = unchanged()
    with pytest.raises(Rejected) as rejected:
        pack(order, contents=all_of(order), by="user:ada")
    assert codes(rejected) == ["PACK_ORDER_STATUS"]
    assert unchanged() == before


def test_an_order_on_hold_is_not_packed(printed: Order, unchanged: Callable) -> None:
    amend(printed, by="user:ada", hold=("Wrong paper", None))
    before = unchanged()
    with pytest.raises(Rejected, match="Wrong paper") as rejected:
        pack(printed, contents=all_of(printed), by="user:ada")
    assert codes(rejected) == ["PACK_ORDER_HELD"]
    assert unchanged() == before


def test_everything_that_is_wrong_is_said_at_once(printed: Order) -> None:
    amend(printed, by="user:ada", hold=("Wrong paper", None))
    with pytest.raises(Rejected) as rejected:
        pack(printed, contents=pieces(printed, front=9, back=9) | {UUID(int=1): 1}, by="user:ada")
    assert codes(rejected) == ["PACK_ORDER_HELD", "PACK_QUANTITY", "PACK_QUANTITY", "PACK_ITEM_UNKNOWN"]


def test_unpacking_takes_the_pieces_out_and_the_others_move_up(printed: Order) -> None:
    first = pack(printed, contents=pieces(printed, front=2), by="user:ada")
    second = pack(printed, contents=pieces(printed, back=3), by="user:ada")
    unpack(first, by="user:bob")
    assert [item.packed for item in printed.items.all()] == [0, 3]
    assert list(Package.objects.live().values_list("pk", "number")) == [(second.pk, 1)]
    event = Event.objects.get(kind="package.unpacked")
    assert (event.by, event.data["package"]["id"]) == ("user:bob", str(first.pk))


def test_a_package_is_unpacked_once(printed: Order, unchanged: Callable) -> None:
    package = pack(printed, contents=pieces(printed, front=2), by="user:ada")
    unpack(package, by="user:ada")
    before = unchanged()
    with pytest.raises(Rejected) as rejected:
        unpack(package, by="user:ada")
    assert codes(rejected) == ["PACK_PACKAGE_VOID"]
    assert unchanged() == before


def test_closed_packages_are_not_unpacked(packaged: Order, unchanged: Callable) -> None:
    before = unchanged()
    with pytest.raises(Rejected) as rejected:
        unpack(Package.objects.get(), by="user:ada")
    assert codes(rejected) == ["PACK_ORDER_STATUS"]
    assert unchanged() == before


def test_closing_packs_what_is_left_and_moves_the_order(printed: Order) -> None:
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    order = close(printed, contents=pieces(printed, back=3), weight=40, by="user:ada")
    assert order.status == "packaged"
    assert list(Package.objects.values_list("number", "weight")) == [(1, 16), (2, 40)]
    events = Event.objects.filter(order=order).order_by("sequence").values_list("kind", flat=True)
    assert list(events)[-3:] == ["package.packed", "package.packed", "order.packaged"]


def test_closing_with_pieces_missing_is_refused_and_packs_nothing(printed: Order, unchanged: Callable) -> None:
    before = unchanged()
    with pytest.raises(Rejected, match="1 of 3 not packed yet") as rejected:
        close(printed, contents=pieces(printed, front=2, back=2), by="user:ada")
    assert codes(rejected) == ["PACK_PIECES_MISSING"]
    assert unchanged() == before


@pytest.mark.parametrize("code", ["front", " front ", "id"])
def test_a_scanned_code_adds_one_piece_of_its_item(printed: Order, code: str) -> None:
    front = printed.items.get(reference="front").pk
    assert count_piece(printed, str(front) if code == "id" else code, contents={front: 1}) == {front: 2}


def test_a_products_code_adds_to_the_first_item_that_misses_pieces(printed: Order) -> None:
    front, back = (printed.items.get(reference=reference).pk for reference in ("front", "back"))
    contents: dict[UUID, int] = {}
    for _ in range(5):
        contents = count_piece(printed, "card-a6", contents=contents)
    assert contents == {front: 2, back: 3}
    with pytest.raises(Rejected) as rejected:
        count_piece(printed, "card-a6", contents=contents)
    assert codes(rejected) == ["PACK_QUANTITY"]


@pytest.mark.parametrize("code", ["sideways", "", " "])
def test_a_code_of_no_item_of_the_order_is_refused(printed: Order, code: str) -> None:
    with pytest.raises(Rejected) as rejected:
        count_piece(printed, code, contents={})
    assert codes(rejected) == ["PACK_ITEM_UNKNOWN"]


def test_nothing_is_counted_into_an_order_that_is_not_to_be_packed(packaged: Order) -> None:
    Item.objects.update(packed=0)
    with pytest.raises(Rejected) as rejected:
        count_piece(packaged, "front", contents={})
    assert codes(rejected) == ["PACK_ORDER_STATUS"]


def test_a_reprocessed_order_is_packed_anew(packaged: Order) -> None:
    order = move(packaged, Order.reprocess, by="user:ada", reason="Scratched")
    for step in (Order.start, Order.finish):
        order = move(order, step, by="user:ada")
    assert close(order, contents=all_of(order), by="user:ada").status == "packaged"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_of_two_tables_that_pack_the_last_piece_one_is_refused(printed: Order) -> None:
    contents, results = pieces(printed, front=2), []
    start = threading.Barrier(2)

    def table(name: str) -> None:
        start.wait()
        try:
            results.append(pack(printed, contents=contents, by=f"user:{name}").number)
        except Rejected as rejected:
            results.append(rejected.problems[0].code)
        finally:
            connection.close()

    threads = [threading.Thread(target=table, args=(name,)) for name in ("ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == [1, "PACK_QUANTITY"]
    assert Item.objects.get(reference="front").packed == 2
    assert Package.objects.count() == 1
