from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from orders import search
from orders.drafts import Address, read
from orders.events import emit
from orders.models import Customer, Delivery, Event, Order, PrintFile, Product, SearchEntry
from orders.services import Duplicate, amend, minor_units, move, place


def test_place_writes_the_order_and_one_event_with_its_deliveries(order: Order) -> None:
    assert order.status == "received"
    assert [(event.sequence, event.kind, event.by) for event in order.events.all()] == [
        (1, "order.received", "connector:acme-shop")
    ]
    assert [delivery.listener for delivery in order.deliveries.all()] == ["check"]
    assert [(item.number, item.quantity, item.product_uid) for item in order.items.all()] == [(1, 2, "card-a6")]


def test_a_draft_is_saved_without_checks(customer: Customer, product: Product, order_body: Callable[..., Any]) -> None:
    order = place(read(order_body(orderType="draft")), customer=customer, products=[product], by="x")
    assert order.status == "draft"
    assert [event.kind for event in order.events.all()] == ["order.saved"]
    assert Delivery.objects.count() == 0
    move(order, Order.submit, by="x")
    assert [delivery.listener for delivery in Delivery.objects.all()] == ["check"]


def test_a_reference_that_must_be_used_once_is_refused_the_second_time(
    customer: Customer, product: Product, order_body: Callable[..., Any]
) -> None:
    first = place(read(order_body()), customer=customer, products=[product], by="x", once=True)
    with pytest.raises(Duplicate) as refusal:
        place(read(order_body()), customer=customer, products=[product], by="x", once=True)
    assert refusal.value.order_id == first.pk
    assert Order.objects.count() == 1
    assert Event.objects.count() == 1


def test_the_database_itself_refuses_the_second_when_the_look_up_came_too_early(
    customer: Customer, product: Product, order_body: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    place(read(order_body()), customer=customer, products=[product], by="x", once=True)
    looked = []
    from orders import services

    real = services._refuse_second
    monkeypatch.setattr(services, "_refuse_second", lambda *args: looked.append(1) if not looked else real(*args))
    with pytest.raises(Duplicate):
        place(read(order_body()), customer=customer, products=[product], by="x", once=True)
    assert Order.objects.count() == 1


def test_every_move_writes_one_event_with_from_to_and_the_time_between(order: Order) -> None:
    move(order, Order.accept, by="system")
    event = Event.objects.get(kind="order.passed")
    assert (event.sequence, event.source, event.target, event.by) == (2, "received", "passed", "system")
    assert event.seconds >= 0


def test_amending_the_address_tells_before_and_after_and_keeps_the_search_true(order: Order) -> None:
    address = Address(**{**order.address.as_dict(), "city": "Bergen", "first_name": "Olga"})
    amend(order, by="user:ada", address=address)
    changes = Event.objects.get(kind="order.amended").data["changes"]
    assert changes == {"address.first_name": ["Ana", "Olga"], "address.city": ["Oslo", "Bergen"]}
    assert "olga" in SearchEntry.objects.get(order=order).text


def test_words_added_to_the_search_stay_when_the_address_changes(order: Order) -> None:
    search.add_words(order, "GC123")
    amend(order, by="user:ada", address=Address(**{**order.address.as_dict(), "first_name": "Olga"}))
    for text in ("gc123", "olga", "ACME-1"):
        assert list(search.find(Order.objects.all(), text)) == [order]
    assert list(search.find(Order.objects.all(), "ana ruiz")) == []


def test_amending_with_what_is_there_already_writes_nothing(order: Order) -> None:
    amend(order, by="user:ada", address=Address(**order.address.as_dict()))
    assert [event.kind for event in order.events.all()] == ["order.received"]


def test_a_new_file_address_forgets_what_was_known_of_the_old_content(order: Order) -> None:
    file = PrintFile.objects.get()
    PrintFile.objects.update(sha256="a" * 64, size=5, page_count=2)
    amend(order, by="user:ada", files={file.pk: "https://files.example/new.pdf"})
    file = PrintFile.objects.get()
    assert (file.url, file.sha256, file.size, file.page_count) == ("https://files.example/new.pdf", "", None, None)


def test_an_item_without_a_file_is_given_one(order: Order) -> None:
    item = order.items.get()
    amend(order, by="user:ada", new_files={item.pk: "https://files.example/second.pdf"})
    assert [file.url for file in PrintFile.objects.all()] == ["https://files.example/card.pdf"]
    PrintFile.objects.all().delete()
    amend(order, by="user:ada", new_files={item.pk: "https://files.example/new.pdf"})
    assert [file.url for file in PrintFile.objects.all()] == ["https://files.example/new.pdf"]


def test_pieces_are_canceled_but_never_more_than_are_unpacked(order: Order) -> None:
    item = order.items.get()
    amend(order, by="user:ada", cancel={item.pk: 5})
    item = order.items.get()
    assert (item.quantity, item.canceled, item.status) == (2, 2, "canceled")


def test_reprocessing_unpacks_everything(order: Order) -> None:
    for step in (Order.accept, Order.release, Order.start):
        move(order, step, by="system")
    order.items.update(packed=1)
    order = move(order, Order.reprocess, by="user:ada", reason="Wrong paper")
    assert (order.status, order.items.get().packed) == ("created", 0)


def test_an_event_outside_a_transaction_is_refused(order: Order) -> None:
    connection.in_atomic_block, before = False, connection.in_atomic_block
    try:
        with pytest.raises(RuntimeError):
            emit(order, "order.noted", by="x")
    finally:
        connection.in_atomic_block = before


def test_when_the_change_is_rolled_back_its_event_is_too(order: Order) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        move(order, Order.accept, by="system")
        raise ZeroDivisionError
    assert Order.objects.get().status == "received"
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("amount", "currency", "units"), [("12.90", "EUR", 1290), ("500", "JPY", 500), ("1.250", "KWD", 1250)]
)
def test_money_is_kept_in_minor_units(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units
