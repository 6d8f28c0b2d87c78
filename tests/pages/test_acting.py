from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse
from django_fsm import TransitionNotAllowed

from orders.actions import change as amend_while
from orders.actions import is_open
from orders.models import Delivery, Event, Order, PrintFile, ShipmentMethod
from orders.services import amend, move
from tests.factories import make_order, make_product


def act(client: Client, order: Order, verb: str, **answers: str) -> list[str]:
    """Press the button; says what the person is told."""
    answer = client.post(reverse("orders:act", args=[order.pk, verb]), answers, follow=True)
    return [str(message) for message in answer.context["messages"]]


def change(client: Client, order: Order, what: str, **fields: str | list[str]) -> list[str]:
    answer = client.post(reverse("orders:amend", args=[order.pk, what]), fields, follow=True)
    return [str(message) for message in answer.context["messages"]]


def state(order: Order) -> tuple:
    """All that an action could have changed."""
    fresh = Order.objects.get(pk=order.pk)
    return fresh.status, fresh.held, fresh.sequence, Event.objects.count(), Delivery.objects.count()


@pytest.mark.parametrize(
    ("status", "verb", "after"),
    [
        ("failed", "retry", "received"),
        ("passed", "release", "created"),
        ("created", "start", "in_production"),
        ("in_production", "finish", "printed"),
        ("packaged", "ship", "shipped"),
        ("shipped", "travel", "in_transit"),
        ("in_transit", "arrive", "delivered"),
    ],
)
def test_a_step_is_taken_at_once_in_the_person_s_name(manager: Client, status: str, verb: str, after: str) -> None:
    order = make_order(status)
    act(manager, order, verb)
    event = Order.objects.get(pk=order.pk).events.order_by("sequence").last()
    assert (Order.objects.get(pk=order.pk).status, event.by, event.target) == (after, "user:ada", after)


def test_a_step_that_asks_for_a_reason_is_not_taken_without_one(manager: Client) -> None:
    order = make_order("created")
    before = state(order)
    assert act(manager, order, "cancel") == []
    assert act(manager, order, "cancel", reason=" ") == []
    assert state(order) == before
    assert act(manager, order, "cancel", reason="Ordered twice") == ["Cancel: done. The order is Canceled."]
    assert Event.objects.latest("at").data["reason"] == "Ordered twice"


def test_a_step_that_the_table_refuses_changes_nothing(manager: Client) -> None:
    order = make_order("delivered")
    before = state(order)
    said = act(manager, order, "cancel", reason="Too late")
    assert said == ["Cancel: Nothing was done: that is not possible (any more)."]
    assert state(order) == before


def test_the_same_button_pressed_twice_works_once(manager: Client) -> None:
    order = make_order("created")
    act(manager, order, "start")
    before = state(order)
    act(manager, order, "start")
    assert state(order) == before


def test_a_step_without_permission_is_refused(sign_in: Callable) -> None:
    order = make_order("created")
    before = state(order)
    answer = sign_in("Print operator").post(reverse("orders:act", args=[order.pk, "cancel"]), {"reason": "No paper"})
    assert (answer.status_code, state(order)) == (403, before)


def test_an_order_is_held_until_a_day_and_resumed(manager: Client) -> None:
    order = make_order("created")
    act(manager, order, "hold", reason="Wait for the design", until="2030-01-02T08:30")
    fresh = Order.objects.get(pk=order.pk)
    assert (fresh.held, fresh.hold_reason) == (True, "Wait for the design")
    assert fresh.hold_until == datetime(2030, 1, 2, 8, 30, tzinfo=UTC)
    before = state(order)
    act(manager, order, "start")
    assert state(order) == before
    act(manager, order, "resume")
    assert Order.objects.get(pk=order.pk).held is False
    assert Event.objects.latest("at").kind == "order.resumed"


def test_a_hold_until_yesterday_is_refused(manager: Client) -> None:
    order = make_order("created")
    before = state(order)
    answer = manager.post(reverse("orders:act", args=[order.pk, "hold"]), {"reason": "x", "until": "2020-01-01T00:00"})
    assert (list(answer.context["form"].errors), state(order)) == (["until"], before)


def test_a_finding_in_a_file_is_signed_off_with_a_reason_and_the_order_retried(manager: Client) -> None:
    order = make_order("failed")
    finding = {"code": "PAGE_BLEED_MISSING", "severity": "error", "path": "/items/0/files/0", "message": "No bleed."}
    Order.objects.filter(pk=order.pk).update(problems=[finding])
    PrintFile.objects.update(sha256="a" * 64)
    form = reverse("orders:amend", args=[order.pk, "signoff"])
    assert f'href="{form}"' in manager.get(order.get_absolute_url()).content.decode()
    said = {"findings": ["PAGE_BLEED_MISSING /items/0/files/0"], "reason": "White border is wanted", "retry": "yes"}
    change(manager, order, "signoff", **said)
    fresh = Order.objects.get(pk=order.pk)
    signed = {"code": "PAGE_BLEED_MISSING", "path": "/items/0/files/0", "sha256": "a" * 64}
    assert (fresh.status, fresh.sign_offs) == ("received", [signed])
    entry = manager.get(order.get_absolute_url()).context["entries"][1]
    assert (entry.title, entry.lines) == (
        "Signed off",
        ["Reason: White border is wanted", "Finding PAGE_BLEED_MISSING at /items/0/files/0: error → signed off"],
    )


def test_an_order_that_has_ended_is_not_held(manager: Client) -> None:
    order = make_order("shipped")
    before = state(order)
    act(manager, order, "hold", reason="Stop")
    assert state(order) == before


def test_a_note_is_kept_in_the_history(manager: Client) -> None:
    order = make_order("delivered")
    change(manager, order, "note", note="Called the customer.\nAll is well.")
    answer = manager.get(order.get_absolute_url())
    assert [(note.actor, note.lines) for note in answer.context["notes"]] == [
        ("ada", ["Called the customer.\nAll is well."])
    ]


ADDRESS = {"first_name": "Lena", "last_name": "Koch", "address_line1": "Am Weg 3", "city": "Bonn", "post_code": "53111",
           "country": "de", "email": "lena@example.com"}  # fmt: skip


def test_a_failed_order_is_mended_and_retried_in_one_go(manager: Client) -> None:
    order = make_order("failed")
    change(manager, order, "address", **ADDRESS, retry="yes")
    fresh = Order.objects.get(pk=order.pk)
    assert (fresh.status, fresh.address.city, fresh.country, fresh.problems) == ("received", "Bonn", "DE", [])
    kinds = order.events.order_by("-sequence").values_list("kind", "by")[:2]
    assert list(kinds) == [("order.received", "user:ada"), ("order.amended", "user:ada")]


def test_an_address_that_cannot_be_is_refused_beside_its_field(manager: Client) -> None:
    order = make_order("failed")
    before = state(order)
    answer = manager.post(reverse("orders:amend", args=[order.pk, "address"]), ADDRESS | {"post_code": "123"})
    assert (answer.status_code, list(answer.context["form"].errors)) == (200, ["post_code"])
    assert (state(order), Order.objects.get(pk=order.pk).address.city) == (before, "Oslo")


def test_a_print_file_is_replaced_by_another_address(manager: Client) -> None:
    order = make_order("failed")
    file = PrintFile.objects.get(item__order=order)
    change(manager, order, "files", **{f"file-{file.pk}": "https://files.example/better.pdf", "retry": "yes"})
    assert PrintFile.objects.get(pk=file.pk).url == "https://files.example/better.pdf"
    assert Order.objects.get(pk=order.pk).status == "received"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "files.example/card.pdf", "https://a b"])
def test_what_is_no_web_address_is_refused(manager: Client, url: str) -> None:
    order = make_order("failed")
    file, before = PrintFile.objects.get(item__order=order), state(order)
    change(manager, order, "files", **{f"file-{file.pk}": url, "retry": "yes"})
    assert (state(order), PrintFile.objects.get(pk=file.pk).url) == (before, file.url)


def test_the_file_of_another_order_is_left_alone(manager: Client) -> None:
    order, other = make_order("failed"), make_order("failed")
    file = PrintFile.objects.get(item__order=other)
    change(manager, order, "files", **{f"file-{file.pk}": "https://evil.example/x.pdf"})
    assert PrintFile.objects.get(pk=file.pk).url == file.url


def test_an_item_is_given_its_product(manager: Client) -> None:
    order, poster = make_order("failed"), make_product(uid="poster")
    item = order.items.get()
    change(manager, order, "products", **{f"item-{item.pk}": "poster"})
    assert order.items.get().product == poster


def test_what_is_printed_no_longer_changes_once_the_checks_are_past(manager: Client) -> None:
    order = make_order("created")
    file, before = PrintFile.objects.get(item__order=order), state(order)
    said = change(manager, order, "files", **{f"file-{file.pk}": "https://files.example/unseen.pdf"})
    assert said == ["Replace print files: Nothing was done: that is not possible (any more)."]
    assert (state(order), PrintFile.objects.get(pk=file.pk).url) == (before, file.url)


def test_the_shipment_method_changes_until_the_carrier_has_the_parcel(manager: Client) -> None:
    ShipmentMethod.objects.create(uid="express", name="Express parcel")
    packaged, shipped = make_order("packaged"), make_order("shipped")
    change(manager, packaged, "shipment", shipment_method="express")
    change(manager, shipped, "shipment", shipment_method="express")
    assert [Order.objects.get(pk=order.pk).shipment_method for order in (packaged, shipped)] == ["express", ""]


def test_pieces_are_canceled_and_the_order_with_the_last_of_them(manager: Client) -> None:
    order = make_order("created")
    field = f"item-{order.items.get().pk}"
    change(manager, order, "pieces", **{field: "1"})
    assert (order.items.get().canceled, Order.objects.get(pk=order.pk).status) == (1, "created")
    change(manager, order, "pieces", **{field: "2"})
    assert order.items.get().canceled == 1
    change(manager, order, "pieces", **{field: "1"})
    assert (order.items.get().canceled, Order.objects.get(pk=order.pk).status) == (2, "canceled")


def test_saving_what_is_there_already_writes_nothing(manager: Client) -> None:
    order = make_order("failed")
    file, before = PrintFile.objects.get(item__order=order), state(order)
    said = change(manager, order, "files", **{f"file-{file.pk}": file.url})
    assert (said, state(order)) == (["Replace print files: nothing was different."], before)


def test_amending_without_permission_is_refused(sign_in: Callable) -> None:
    order = make_order("failed")
    before = state(order)
    answer = sign_in("Print operator").post(reverse("orders:amend", args=[order.pk, "note"]), {"note": "Hello"})
    assert (answer.status_code, state(order)) == (403, before)


def test_a_change_that_comes_too_late_is_refused_under_the_lock(db: None) -> None:
    seen = make_order("packaged")
    move(seen, Order.ship, by="user:bob")
    before = state(seen)
    with pytest.raises(TransitionNotAllowed):
        amend_while(seen, is_open, by="user:ada", shipment_method="express")
    assert (state(seen), Order.objects.get(pk=seen.pk).shipment_method) == (before, "")


def test_a_hold_that_comes_too_late_is_refused(manager: Client) -> None:
    order = amend(make_order("created"), by="user:bob", hold=("First", None))
    before = state(order)
    said = act(manager, order, "hold", reason="Second")
    assert (said, state(order)) == (["Hold: Nothing was done: that is not possible (any more)."], before)
