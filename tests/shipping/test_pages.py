"""What staff see and do: labels, the door, the parcels' list, the order's panel, the settings."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader
from pytest_django import DjangoAssertNumQueries

from gelatoconnect import roles
from gelatoconnect.lib.ids import new_id
from orders.answers import order_of
from orders.events import sweep
from orders.models import Order
from orders.services import move
from shipping.models import CarrierAccount, Package, Scan
from shipping.packing import close, pack
from shipping.panels import show_packages
from tests.factories import make_order
from tests.shipping.conftest import all_of, pack_url, pieces, signed_in

ROLES = list(roles.ROLES)


# --- who may do what -------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_what_is_its_own(role: str, labeled: Order) -> None:
    client, package = signed_in(role), Package.objects.get()
    may = {"Administrator", "Manager", "Packaging user"}
    everyone = [reverse("shipping:list"), reverse("shipping:label", args=[package.pk]),
                reverse("shipping:labels", args=[labeled.pk])]  # fmt: skip
    assert [client.get(url).status_code for url in everyone] == [200, 200, 200]
    assert [client.get(url).status_code for url in (pack_url(labeled), reverse("shipping:scan"))] == [
        200 if role in may else 403
    ] * 2


@pytest.mark.parametrize("role", ["Accountant", "Print operator", None])
def test_who_may_not_pack_or_ship_changes_nothing(labeled: Order, unchanged: Callable, role: str | None) -> None:
    client, package, before = signed_in(role) if role else Client(), Package.objects.get(), unchanged()
    posts = [(pack_url(labeled), {"action": "close"}), (reverse("shipping:unpack", args=[package.pk]), {}),
             (reverse("shipping:scan"), {"code": package.tracking_code, "status": "shipped"}),
             (reverse("shipping:hand_over"), {"ids": [package.pk]})]  # fmt: skip
    assert [client.post(url, said).status_code for url, said in posts] == [403 if role else 302] * 4
    assert unchanged() == before


def test_strangers_are_asked_to_sign_in(labeled: Order) -> None:
    for url in (reverse("shipping:list"), reverse("shipping:label", args=[Package.objects.get().pk])):
        answer = Client().get(url)
        assert (answer.status_code, answer["Location"]) == (302, f"/login?next={url}")


def test_what_is_not_there_is_not_found(packer: Client) -> None:
    urls = [reverse(f"shipping:{name}", args=[new_id()]) for name in ("pack", "label", "labels")]
    assert [packer.get(url).status_code for url in urls] == [404, 404, 404]


# --- labels ----------------------------------------------------------------------------------------------
def test_a_label_is_a_pdf_that_can_do_nothing(packer: Client, labeled: Order) -> None:
    answer = packer.get(reverse("shipping:label", args=[Package.objects.get().pk]))
    assert b"".join(answer.streaming_content).startswith(b"%PDF-")
    assert answer["Content-Type"] == "application/pdf"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Content-Disposition"] == f'attachment; filename="label-{labeled.reference}-1.pdf"'


def test_all_labels_of_an_order_come_in_one_file(
    packer: Client, printed: Order, account: CarrierAccount, tmp_path: Any
) -> None:
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    close(printed, contents=pieces(printed, back=3), by="user:ada")
    sweep()
    answer = packer.get(reverse("shipping:labels", args=[printed.pk]))
    (tmp_path / "labels.pdf").write_bytes(b"".join(answer.streaming_content))
    assert len(PdfReader(tmp_path / "labels.pdf").pages) == 2


def test_there_is_no_label_before_it_is_booked_nor_after_it_is_void(packer: Client, packaged: Order) -> None:
    url = reverse("shipping:label", args=[Package.objects.get().pk])
    assert packer.get(url).status_code == 404
    sweep()
    assert packer.get(url).status_code == 200
    move(packaged, Order.cancel, by="user:ada")
    sweep()
    assert packer.get(url).status_code == 404


# --- the door --------------------------------------------------------------------------------------------
def test_a_scan_at_the_door_moves_the_order(packer: Client, labeled: Order) -> None:
    code = Package.objects.get().tracking_code
    answer = packer.post(
        reverse("shipping:scan"), {"code": f" {code} ", "status": "shipped", "place": "Dock 2"}, follow=True
    )
    assert f"{code} of {labeled.reference} is Shipped." in answer.text
    assert answer.context["form"]["status"].value() == "shipped"
    assert list(Scan.objects.values_list("status", "place", "by")) == [("shipped", "Dock 2", "user:packaging")]
    assert Order.objects.get().status == "shipped"


def test_a_scan_that_comes_late_is_said_to_be_late(packer: Client, labeled: Order) -> None:
    url, code = reverse("shipping:scan"), Package.objects.get().tracking_code
    packer.post(url, {"code": code, "status": "delivered"})
    answer = packer.post(url, {"code": code, "status": "in_transit"}, follow=True)
    assert "is Delivered. The scan is kept" in answer.text
    assert Order.objects.get().status == "delivered"


@pytest.mark.parametrize(
    "said",
    [
        {"code": "GC404", "status": "shipped"},
        {"code": "", "status": "shipped"},
        {"code": "\0", "status": "shipped"},
        {"status": "packaged"},
        {"status": "lost"},
        {},
    ],
)
def test_a_scan_that_says_nothing_is_refused(
    packer: Client, labeled: Order, unchanged: Callable, said: dict[str, str]
) -> None:
    before = unchanged()
    answer = packer.post(reverse("shipping:scan"), {"code": Package.objects.get().tracking_code} | said)
    assert answer.status_code == 422
    assert unchanged() == before


def test_a_void_parcel_at_the_door_is_stopped(packer: Client, labeled: Order, unchanged: Callable) -> None:
    move(labeled, Order.cancel, by="user:ada")
    sweep()
    before, code = unchanged(), Package.objects.get().tracking_code
    answer = packer.post(reverse("shipping:scan"), {"code": code, "status": "shipped"})
    assert f"{code} was voided: stop the parcel." in answer.text
    assert unchanged() == before


# --- the parcels' list -----------------------------------------------------------------------------------
@pytest.fixture
def parcels(account: CarrierAccount, db: None) -> Callable[..., list[Order]]:
    """So many orders with a labeled parcel each."""

    def make(number: int) -> list[Order]:
        orders = [make_order("printed") for _ in range(number)]
        for order in orders:
            close(order, contents=all_of(order), by="user:ada")
        sweep()
        return orders

    return make


def listed(client: Client, **said: str) -> list[str]:
    return [package.order.reference for package in client.get(reverse("shipping:list"), said).context["page"].rows]


def test_parcels_stand_in_the_view_of_their_status(packer: Client, parcels: Callable) -> None:
    first, second, third = parcels(3)
    for order, statuses in ((second, ["shipped"]), (third, ["shipped", "delivered"])):
        for status in statuses:
            code = Package.objects.get(order=order).tracking_code
            packer.post(reverse("shipping:scan"), {"code": code, "status": status})
    assert listed(packer) == [first.reference]
    assert listed(packer, view="on_the_way") == [second.reference]
    assert listed(packer, view="delivered") == [third.reference]
    assert listed(packer, view="all") == [third.reference, second.reference, first.reference]
    assert listed(packer, status="shipped") == [second.reference]


def test_a_parcel_is_found_by_its_code_in_whatever_view_it_stands(packer: Client, parcels: Callable) -> None:
    order = parcels(2)[0]
    package = Package.objects.get(order=order)
    packer.post(reverse("shipping:scan"), {"code": package.tracking_code, "status": "delivered"})
    assert listed(packer, q=package.tracking_code, view="to_hand_over") == [order.reference]
    assert listed(packer, q=package.tracking_code[:12]) == [order.reference]
    assert listed(packer, q=order.reference) == [order.reference]
    assert listed(packer, q="GC404") == []


def test_packages_that_are_not_closed_are_not_handed_over_yet(packer: Client, printed: Order) -> None:
    pack(printed, contents=pieces(printed, front=2), by="user:ada")
    assert listed(packer) == []


def test_selected_parcels_are_handed_over(packer: Client, parcels: Callable) -> None:
    orders = parcels(3)
    ids = [Package.objects.get(order=order).pk for order in orders[:2]]
    answer = packer.post(reverse("shipping:hand_over"), {"ids": [*ids, "nonsense"]}, follow=True)
    assert "Handed over: 2 parcels." in answer.text
    assert list(Order.objects.order_by("id").values_list("status", flat=True)) == ["shipped", "shipped", "packaged"]


@pytest.mark.parametrize("ids", [[], ["x"] * 201])
def test_a_selection_of_none_or_too_many_is_refused(
    packer: Client, labeled: Order, unchanged: Callable, ids: list[str]
) -> None:
    before = unchanged()
    answer = packer.post(reverse("shipping:hand_over"), {"ids": ids}, follow=True)
    assert "Select between 1 and 200 parcels." in answer.text
    assert unchanged() == before


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_as_often_for_one_parcel_as_for_three(
    packer: Client, parcels: Callable, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    parcels(number)
    with django_assert_num_queries(11):
        assert len(listed(packer)) == number


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "view=nonsense", "status=lost", "account=x", "customer=nobody", "q=%00", "q=%ed%a0%80", "q=%27"],
)
def test_nonsense_in_the_address_bar_is_no_error(packer: Client, labeled: Order, query: str) -> None:
    assert packer.get(f"{reverse('shipping:list')}?{query}").status_code == 200


# --- the order's page and the API ------------------------------------------------------------------------
def test_the_orders_page_shows_its_packages_and_records_scans(packer: Client, labeled: Order) -> None:
    package = Package.objects.get()
    text = packer.get(reverse("orders:detail", args=[labeled.pk])).text
    assert f'href="https://track.example/{package.tracking_code}"' in text
    assert reverse("shipping:label", args=[package.pk]) in text
    said = {"code": package.pk, "status": "shipped", "back": "order"}
    answer = packer.post(reverse("shipping:scan"), said)
    assert answer["Location"] == labeled.get_absolute_url()
    assert Order.objects.get().status == "shipped"


@pytest.mark.parametrize("number", [1, 3])
def test_the_panel_asks_as_often_for_one_package_as_for_three(
    printed: Order, account: CarrierAccount, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(number - 1):
        pack(printed, contents=pieces(printed, back=1), by="user:ada")
    order = close(printed, contents=all_of(printed), by="user:ada")
    sweep()
    with django_assert_num_queries(5):
        assert len(show_packages(order, User(is_superuser=True))["packages"]) == number


@pytest.mark.parametrize(("role", "may"), [("Packaging user", True), ("Print operator", False)])
def test_the_panel_offers_what_the_person_may_do(labeled: Order, printed: Order, role: str, may: bool) -> None:
    client, other = signed_in(role), make_order("printed")
    assert ('<input type="hidden" name="back" value="order">' in client.get(labeled.get_absolute_url()).text) is may
    assert (pack_url(other) in client.get(other.get_absolute_url()).text) is may


def test_a_returned_parcel_has_nothing_more_to_tell(packer: Client, labeled: Order) -> None:
    packer.post(reverse("shipping:scan"), {"code": Package.objects.get().tracking_code, "status": "returned"})
    assert 'name="back"' not in packer.get(labeled.get_absolute_url()).text


def test_the_api_answers_with_the_live_packages(labeled: Order) -> None:
    package = Package.objects.get()
    answer = order_of(labeled).json_data()["shipment"]
    assert answer["packageCount"] == 1
    assert answer["packages"] == [
        {"id": str(package.pk), "trackingCode": package.tracking_code, "trackingUrl": package.tracking_url,
         "status": "packaged", "weight": 40}
    ]  # fmt: skip
    move(labeled, Order.cancel, by="user:ada")
    sweep()
    assert order_of(Order.objects.get(pk=labeled.pk)).json_data()["shipment"]["packages"] == []


# --- the settings ----------------------------------------------------------------------------------------
@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_a_carrier_account_is_set_up_with_what_its_carrier_asks_for(admin: Client) -> None:
    said = {"name": "Post", "carrier": "manual", "active": "on", "manual__name": "Post",
            "manual__tracking_url": "https://post.example/{code}", "manual__prefix": "NO"}  # fmt: skip
    assert admin.post(reverse("admin:shipping_carrieraccount_add"), said).status_code == 302
    account = CarrierAccount.objects.get()
    assert account.config == {"name": "Post", "tracking_url": "https://post.example/{code}", "prefix": "NO"}
    form = admin.get(reverse("admin:shipping_carrieraccount_change", args=[account.pk])).context["adminform"].form
    assert form["manual__prefix"].value() == "NO"


def test_what_a_carrier_cannot_take_is_said_beside_its_field(admin: Client) -> None:
    said = {"name": "Post", "carrier": "manual", "manual__name": "Post", "manual__tracking_url": "here",
            "manual__prefix": "no!"}  # fmt: skip
    answer = admin.post(reverse("admin:shipping_carrieraccount_add"), said)
    assert set(answer.context["adminform"].form.errors) == {"manual__tracking_url", "manual__prefix"}
    assert CarrierAccount.objects.count() == 0
