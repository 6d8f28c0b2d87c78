"""Which page opens to whom."""

from collections.abc import Callable

import pytest
from django.urls import reverse
from django.utils import timezone

from intake.models import Connector, OrderRequest, Unmapped
from orders.models import Delivery, Order
from tests.factories import make_customer, make_order

ROLES = ("Administrator", "Manager", "Accountant", "Packaging user", "Print operator")
READERS = ("Administrator", "Manager", "Accountant")


@pytest.mark.parametrize("role", ROLES)
def test_each_page_opens_to_the_roles_that_may_see_it_and_to_no_other(sign_in: Callable, role: str) -> None:
    order = make_order("failed")
    connector = Connector.objects.create(name="shop", customer=make_customer())
    request = OrderRequest.objects.create(connector=connector, body=b"{}")
    name = Unmapped.objects.create(customer=connector.customer, sku="MUG", last_seen=timezone.now())
    client = sign_in(role)
    open_to = {
        reverse("orders:list"): ROLES,
        order.get_absolute_url(): ROLES,
        reverse("orders:csv"): READERS,
        reverse("orders:deliveries"): READERS,
        reverse("orders:delivery", args=[Delivery.objects.first().pk]): READERS,
        reverse("orders:analytics"): READERS,
        reverse("intake:list"): READERS,
        reverse("intake:detail", args=[request.pk]): READERS,
        reverse("intake:mend", args=[request.pk]): ("Administrator", "Manager"),
        reverse("intake:download", args=[request.pk]): ("Administrator", "Manager"),
        reverse("intake:channels"): READERS,
        reverse("intake:products"): READERS,
        reverse("intake:products-mapped"): READERS,
        reverse("intake:product-map", args=[name.pk]): ("Administrator", "Manager"),
        reverse("orders:amend", args=[order.pk, "address"]): ("Administrator", "Manager"),
        reverse("orders:act", args=[order.pk, "cancel"]): ("Administrator", "Manager"),
    }
    answers = {path: client.get(path).status_code for path in open_to}
    assert answers == {path: 200 if role in allowed else 403 for path, allowed in open_to.items()}


def test_unknown_orders_files_and_requests_are_not_found(sign_in: Callable) -> None:
    client, order, other = sign_in(), make_order(), make_order()
    unknown = "00000000-0000-7000-8000-000000000000"
    file = other.items.get().files.get()
    paths = [
        reverse("orders:detail", args=[unknown]),
        reverse("orders:act", args=[unknown, "cancel"]),
        reverse("orders:act", args=[order.pk, "vanish"]),
        reverse("orders:amend", args=[order.pk, "status"]),
        reverse("orders:file", args=[order.pk, file.pk]),
        reverse("orders:file", args=[other.pk, file.pk]),  # known, but never fetched
        reverse("orders:preview", args=[order.pk, file.pk, 1]),
        reverse("orders:delivery", args=[unknown]),
        reverse("intake:detail", args=[unknown]),
        "/orders/not-an-id",
    ]
    assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 404)


def test_pages_carry_no_inline_script_or_style(sign_in: Callable) -> None:
    client, order = sign_in(), make_order("failed")
    for path in ("/orders", order.get_absolute_url(), "/postbacks", "/analytics", "/requests"):
        answer = client.get(path)
        body = answer.content.decode()
        assert "default-src 'self'" in answer["Content-Security-Policy"]
        assert ("style=" in body, "<style" in body, "onclick=" in body, "<script>" in body) == (False,) * 4


def test_an_order_is_not_moved_by_reading(sign_in: Callable) -> None:
    order = make_order("created")
    sign_in().get(reverse("orders:act", args=[order.pk, "start"]))
    assert Order.objects.get(pk=order.pk).status == "created"
