from collections.abc import Callable
from typing import Any

import pytest

from orders.drafts import read
from orders.models import Customer, Order, Product
from orders.services import place


@pytest.fixture
def order(customer: Customer, product: Product, order_body: Callable[..., dict[str, Any]]) -> Order:
    return place(read(order_body()), customer=customer, products=[product], by="connector:acme-shop")
