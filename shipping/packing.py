"""Packing: pieces are verified into packages, until nothing is missing and the packages are closed."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from gelatoconnect.lib.problems import Problem, Rejected
from orders.events import emit
from orders.lifecycle import arrows
from orders.models import Item, Order
from orders.services import changing, move
from shipping.models import Package, PackageItem
from shipping.tracking import told


def pack(order: Order, *, contents: Mapping[UUID, int], weight: int | None = None, by: str) -> Package:
    """A new package with so many pieces of each item (by id). weight in g; None: what the products weigh.

    Raises Rejected with everything that is wrong, and nothing has happened.
    """
    with changing(order) as fresh:
        items = {item.pk: item for item in fresh.items.select_related("product")}
        _refuse([*_unpackable(fresh), *_wrong(contents, items)])
        package = Package.objects.create(
            order=fresh,
            number=Package.objects.live().filter(order=fresh).count() + 1,
            weight=weight_of(contents, items) if weight is None else weight,
        )
        for id, quantity in contents.items():
            PackageItem.objects.create(package=package, item=items[id], quantity=quantity)
            Item.objects.filter(pk=id).update(packed=F("packed") + quantity)
        emit(fresh, "package.packed", by=by, **told(package))
    return package


def unpack(package: Package, *, by: str) -> None:
    """Take the pieces out again, while the order's packages are not closed. Raises Rejected."""
    with changing(package.order) as fresh:
        known = Package.objects.live().filter(pk=package.pk).first()
        _refuse(_unpackable(fresh) if known else [Problem("PACKAGE_VOID", "The package was unpacked before.")])
        assert known is not None
        for piece in known.contents.all():
            Item.objects.filter(pk=piece.item_id).update(packed=F("packed") - piece.quantity)
        known.order = fresh
        void(known)
        emit(fresh, "package.unpacked", by=by, **told(known))


def close(order: Order, *, contents: Mapping[UUID, int] = {}, weight: int | None = None, by: str) -> Order:  # noqa: B006
    """Close the order's packages: it is packaged, and labels are booked. `contents`, if any, go into a last package.

    Raises Rejected, also when pieces are missing, and nothing has happened.
    """
    with transaction.atomic():
        if any(contents.values()):
            pack(order, contents=contents, weight=weight, by=by)
        fresh = Order.objects.get(pk=order.pk)
        _refuse([*_unpackable(fresh), *_missing(fresh)])
        return move(fresh, Order.package, by=by)


def void(package: Package) -> None:
    """Take a package from the live ones; those after it move up. Under the order's lock."""
    package.voided_at = timezone.now()
    package.save(update_fields=["voided_at"])
    after = Package.objects.live().filter(order=package.order_id, number__gt=package.number)
    after.update(number=F("number") - 1)


def packable(order: Order) -> bool:
    """Whether the lifecycle has the order wait for its packages."""
    return any(arrow.name == "package" and arrow.source == order.status for arrow in arrows())


def weight_of(contents: Mapping[UUID, int], items: Mapping[UUID, Item]) -> int:
    """What the pieces weigh by their products, in g."""
    known = [(items[id].product, quantity) for id, quantity in contents.items()]
    return sum(product.weight * quantity for product, quantity in known if product)


def find_item(order: Order, code: str) -> Item:
    """The item that a scanned code names: by its id, its reference or its product's UID; of several the first that
    still misses pieces. Raises Rejected for a code that belongs to no item of this order."""
    code = code.strip()
    named = [item for item in order.items.all() if code and code in (str(item.pk), item.reference, item.product_uid)]
    if not named:
        message = f"{code[:120]!r} is not in this order." if code else "No code was scanned."
        raise Rejected([Problem("PACK_ITEM_UNKNOWN", message, hint="Put the piece aside and scan another one.")])
    return next((item for item in named if item.packed < item.quantity_due), named[0])


def _refuse(problems: list[Problem] | Iterator[Problem]) -> None:
    if found := list(problems):
        raise Rejected(found)


def _unpackable(order: Order) -> Iterator[Problem]:
    if not packable(order):
        yield Problem("PACK_ORDER_STATUS", f"{order.reference} is {order.get_status_display()}: there is nothing to pack.",
                      hint="Orders are packed once they are printed and until their packages are closed.")  # fmt: skip
    if order.held:
        yield Problem("PACK_ORDER_HELD", f"{order.reference} is on hold: {order.hold_reason or 'no reason was given'}.",
                      hint="Put it aside until it is resumed.")  # fmt: skip


def _wrong(contents: Mapping[UUID, int], items: Mapping[UUID, Item]) -> Iterator[Problem]:
    if not contents:
        yield Problem("PACK_EMPTY", "The package is empty.", hint="Scan or count at least one piece.")
    for id, quantity in contents.items():
        item = items.get(id)
        if item is None:
            yield Problem("PACK_ITEM_UNKNOWN", f"The item {id} is not in this order.", hint="Put the piece aside.")
            continue
        left = item.quantity_due - item.packed
        if not 0 < quantity <= left:
            wanted = f"only {left} of {item.quantity_due}" if left else f"none of {item.quantity_due}"
            yield Problem("PACK_QUANTITY", f"{item.name}: {quantity} were counted, {wanted} still to be packed.",
                          hint="Count again; put aside what is too many.",
                          details={"item": str(id), "counted": quantity, "left": left})  # fmt: skip


def _missing(order: Order) -> Iterator[Problem]:
    for item in order.items.all():
        if left := item.quantity_due - item.packed:
            yield Problem("PACK_PIECES_MISSING", f"{item.name}: {left} of {item.quantity_due} not packed yet.",
                          hint="Pack them, or cancel the pieces that cannot be made.",
                          details={"item": str(item.pk), "left": left})  # fmt: skip
