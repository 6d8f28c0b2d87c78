"""An order's way through the house, by the real doors and with all that follows each step: checks, labels, postbacks."""

from orders.events import sweep
from orders.models import Order
from orders.services import move
from shipping import packing
from shipping.models import CarrierAccount

WAY = ("start", "finish", "package", "ship")


def walk(order: Order, *, to: str = "shipped") -> Order:
    """From wherever it is, to that status, each step followed by its deliveries. Its print files must be reachable."""
    CarrierAccount.objects.get_or_create(name="Parcel shop", defaults={"carrier": "manual"})
    sweep(seconds=30)
    order = Order.objects.get(pk=order.pk)
    if order.status == "passed":
        order = move(order, Order.release, by="user:manager")
    for verb in WAY:
        if order.status == to:
            break
        if verb == "package":
            contents = {item.pk: item.quantity_due for item in order.items.all()}
            packing.pack(order, contents=contents, weight=None, by="user:packer")
            sweep(seconds=30)  # the label
        order = move(Order.objects.get(pk=order.pk), verb, by="user:packer")
        sweep(seconds=30)
        order = Order.objects.get(pk=order.pk)
    assert order.status == to, (order.status, order.problems)
    return order
