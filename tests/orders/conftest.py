from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orders.drafts import read
from orders.models import Customer, Order, Product
from orders.services import place
from tests.orders.receiver import Receiver, receiving


@pytest.fixture
def order(customer: Customer, product: Product, order_body: Callable[..., dict[str, Any]]) -> Order:
    return place(read(order_body()), customer=customer, products=[product], by="connector:acme-shop")


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving(settings) as receiver:
        yield receiver
