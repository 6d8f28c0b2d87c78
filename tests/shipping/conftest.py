from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from orders.events import sweep
from orders.models import Delivery, Event, Item, Order, Product
from shipping.models import CarrierAccount, Package, PackageItem, Scan
from shipping.packing import close
from tests.factories import make_order, make_product, make_user


@pytest.fixture
def account(db: None) -> CarrierAccount:
    config = {"name": "Parcel shop", "tracking_url": "https://track.example/{code}", "prefix": "GC"}
    return CarrierAccount.objects.create(name="Parcel shop", config=config)


@pytest.fixture
def card(db: None) -> Product:
    return make_product(uid="card-a6", name="Card A6", weight=8)


@pytest.fixture
def printed(card: Product) -> Order:
    """Two items, to be packed: 2 cards "front" and 3 cards "back" of 8 g."""
    lines = [("front", 2), ("back", 3)]
    items = [{"itemReferenceId": reference, "productUid": card.uid, "quantity": quantity,
              "files": [{"url": "https://files.example/card.pdf"}]} for reference, quantity in lines]  # fmt: skip
    return make_order("printed", product=card, items=items, shipmentMethodUid="normal,express")


@pytest.fixture
def packaged(printed: Order, account: CarrierAccount) -> Order:
    """All pieces in one package, whose label is not booked yet."""
    return close(printed, contents=all_of(printed), by="user:ada")


def all_of(order: Order) -> dict[UUID, int]:
    return {item.pk: item.quantity_due - item.packed for item in order.items.all()}


def pieces(order: Order, **counts: int) -> dict[UUID, int]:
    """`pieces(order, front=2)`: by the items' references."""
    return {order.items.get(reference=reference).pk: count for reference, count in counts.items()}


@pytest.fixture
def unchanged() -> Callable[[], Any]:
    """Everything that shipping may change, to be compared before and after what is refused."""

    def look() -> Any:
        return (
            list(Order.objects.order_by("pk").values_list("pk", "status", "sequence")),
            list(Item.objects.order_by("pk").values_list("pk", "packed")),
            list(Package.objects.order_by("pk").values()),
            list(PackageItem.objects.order_by("pk").values()),
            list(Scan.objects.order_by("pk").values()),
            Event.objects.count(),
            Delivery.objects.count(),
        )

    return look


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role, username=role.split()[0].lower()))
    return client


@pytest.fixture
def packer(db: None) -> Client:
    return signed_in("Packaging user")


@pytest.fixture
def labeled(packaged: Order) -> Order:
    sweep()
    return Order.objects.get(pk=packaged.pk)


def pack_url(order: Order) -> str:
    return reverse("shipping:pack", args=[order.pk])
