"""What follows inside orders: passed orders are released by themselves, triggers are told."""

from functools import partial

from orders import notifications, replays  # noqa: F401  # registers their listeners
from orders.events import Conclusion, listen
from orders.lifecycle import Status
from orders.models import Delivery, Order
from orders.services import move


@listen("order.passed", "order.resumed", name="release")
def release(delivery: Delivery) -> Conclusion | None:
    """Unless the order is on hold or its customer's orders wait for approval."""
    order = delivery.order
    assert order is not None
    if order.status != Status.PASSED or order.held or order.customer.requires_approval:
        return None
    return partial(move, order, Order.release, by="system")  # type: ignore[return-value]
