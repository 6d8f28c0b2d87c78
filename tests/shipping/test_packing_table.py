"""The packing table: what a packer sees and does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orders.events import sweep
from orders.models import Order
from orders.services import amend
from shipping.models import CarrierAccount, Package
from shipping.packing import close, pack
from tests.factories import make_order
from tests.shipping.conftest import all_of, pack_url, pieces


def counts(order: Order, **said: int) -> dict[str, str]:
    """What the packing form sends: `counts(order, front=2)`."""
    return {f"item-{id}": str(count) for id, count in pieces(order, **said).items()}


def test_scans_fill_the_open_package_piece_by_piece(packer: Client, printed: Order) -> None:
    front = printed.items.get(reference="front").pk
    for expected in (1, 2):
        assert packer.post(pack_url(printed), {"scanned": "front"}).status_code == 302
        assert packer.session["packing"] == {str(printed.pk): {str(front): expected}}
    assert packer.get(pack_url(printed)).context["form"][f"item-{front}"].value() == 2
    assert Package.objects.count() == 0


def test_a_scan_keeps_what_was_counted_by_hand(packer: Client, printed: Order) -> None:
    packer.post(pack_url(printed), {"scanned": "front", **counts(printed, back=3)})
    assert sorted(packer.session["packing"][str(printed.pk)].values()) == [1, 3]


@pytest.mark.parametrize(
    ("scanned", "message"),
    [
        ("sideways", "&#x27;sideways&#x27; is not in this order."),
        ("<script>", "&#x27;&lt;script&gt;&#x27; is not in this order."),
        ("front", "Card A6: 3 counted, only 2 of 2 are still to be packed."),
    ],
)
def test_a_wrong_piece_is_refused_loudly(
    packer: Client, printed: Order, unchanged: Callable, scanned: str, message: str
) -> None:
    packer.post(pack_url(printed), counts(printed, front=2))
    before, bench = unchanged(), packer.session["packing"]
    answer = packer.post(pack_url(printed), {"scanned": scanned, **counts(printed, front=2)})
    assert answer.status_code == 422
    assert '<div class="refusal" role="alert">' in answer.text
    assert message in answer.text
    assert unchanged() == before
    assert packer.session["packing"] == bench


def test_a_package_is_closed_with_its_weight(packer: Client, printed: Order) -> None:
    said = {"action": "pack", "weight": "33", **counts(printed, front=2)}
    answer = packer.post(pack_url(printed), said, follow=True)
    assert "Package 1 is closed: 33 g." in answer.text
    package = Package.objects.get()
    assert (package.weight, package.contents.get().quantity) == (33, 2)
    assert packer.session["packing"] == {}
    assert Order.objects.get().status == "printed"


def test_closing_the_packages_moves_the_order_and_waits_for_its_label(
    packer: Client, printed: Order, account: CarrierAccount
) -> None:
    said = {"action": "close", **counts(printed, front=2, back=3)}
    answer = packer.post(pack_url(printed), said, follow=True)
    assert Order.objects.get().status == "packaged"
    assert "The label of package 1 is being booked." in answer.text
    assert '<meta http-equiv="refresh"' in answer.text
    sweep()
    answer = packer.get(pack_url(printed))
    assert "Print labels" in answer.text
    assert '<meta http-equiv="refresh"' not in answer.text


def test_a_label_that_nobody_books_is_said_instead_of_waited_for(packer: Client, printed: Order) -> None:
    close(printed, contents=all_of(printed), by="user:ada")
    sweep()
    answer = packer.get(pack_url(printed))
    assert "No carrier account is active." in answer.text
    assert '<meta http-equiv="refresh"' not in answer.text


@pytest.mark.parametrize(
    "said",
    [
        {"action": "close", "front": 1},
        {"action": "pack", "front": 3},
        {"action": "pack"},
        {"action": "pack", "front": 1, "weight": "-4"},
        {"action": "pack", "front": "1.5"},
        {"action": "pack", "front": 1, "weight": "\0"},
    ],
)
def test_what_cannot_be_packed_is_refused_and_changes_nothing(
    packer: Client, printed: Order, unchanged: Callable, said: dict[str, Any]
) -> None:
    before = unchanged()
    if front := said.pop("front", None):
        said |= counts(printed, front=front)
    assert packer.post(pack_url(printed), said).status_code == 422
    assert unchanged() == before


def test_an_order_that_is_not_printed_says_why_it_is_not_packed(packer: Client, unchanged: Callable) -> None:
    order = make_order("created")
    assert "Created: it is not to be packed." in packer.get(pack_url(order)).text
    before = unchanged()
    assert packer.post(pack_url(order), {"action": "close"}).status_code == 422
    assert unchanged() == before


def test_an_order_on_hold_says_so(packer: Client, printed: Order) -> None:
    amend(printed, by="user:ada", hold=("Wrong paper", None))
    assert "is on hold: Wrong paper." in packer.get(pack_url(printed)).text


def test_a_package_is_unpacked_again(packer: Client, printed: Order) -> None:
    package = pack(printed, contents=pieces(printed, front=2), by="user:ada")
    answer = packer.post(reverse("shipping:unpack", args=[package.pk]), follow=True)
    assert "Package 1 is unpacked." in answer.text
    assert Package.objects.live().count() == 0


def test_a_closed_package_is_not_unpacked(packer: Client, packaged: Order, unchanged: Callable) -> None:
    before = unchanged()
    answer = packer.post(reverse("shipping:unpack", args=[Package.objects.get().pk]), follow=True)
    assert "Packaged: it is not to be packed." in answer.text
    assert unchanged() == before
