"""Packing: pieces are verified into packages, until nothing is missing and the packages are closed."""

from collections.abc import Iterable, Iterator, Mapping
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
    counted = {id: quantity for id, quantity in contents.items() if quantity}
    with changing(order) as fresh:
        items = {item.pk: item for item in fresh.items.select_related("product")}
        _refuse([*obstacles(fresh), *_wrong(counted, items)])
        package = Package.objects.create(
            order=fresh,
            number=Package.objects.live().filter(order=fresh).count() + 1,
            weight=weight_of(counted, items) if weight is None else weight,
        )
        for id, quantity in counted.items():
            PackageItem.objects.create(package=package, item=items[id], quantity=quantity)
            Item.objects.filter(pk=id).update(packed=F("packed") + quantity)
        emit(fresh, "package.packed", by=by, **told(package))
    return package


def unpack(package: Package, *, by: str) -> None:
    """Take the pieces out again, while the order's packages are not closed. Raises Rejected."""
    with changing(package.order) as fresh:
        known = Package.objects.get(pk=package.pk)
        _refuse(obstacles(fresh))
        if known.voided_at:
            _refuse([Problem("PACK_PACKAGE_VOID", "This package is no more.", hint="Look at the order again.")])
        for piece in known.contents.all():
            Item.objects.filter(pk=piece.item_id).update(packed=F("packed") - piece.quantity)
        void(known)
        known.order = fresh
        emit(fresh, "package.unpacked", by=by, **told(known))


def close(order: Order, *, contents: Mapping[UUID, int], weight: int | None = None, by: str) -> Order:
    """Close the order's packages: it is packaged, and labels are booked. `contents`, if any, go into a last package.

    Raises Rejected, also when pieces are missing, and nothing has happened.
    """
    with transaction.atomic():
        if any(contents.values()):
            pack(order, contents=contents, weight=weight, by=by)
        fresh = Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
        _refuse([*obstacles(fresh), *_missing(fresh)])
        return move(fresh, Order.package, by=by)


def void(package: Package) -> None:
    """Take a package from the live ones; those after it move up. Under the order's lock."""
    package.voided_at = timezone.now()
    package.save(update_fields=["voided_at"])
    after = Package.objects.live().filter(order=package.order_id, number__gt=package.number)
    after.update(number=F("number") - 1)


def packable(order: Order) -> bool:
    """Whether the lifecycle has the order wait for its packages to be closed."""
    return any(arrow.name == "package" and arrow.source == order.status for arrow in arrows())


def obstacles(order: Order) -> Iterator[Problem]:
    """Why nothing of the order can be packed now."""
    if not packable(order):
        yield Problem("PACK_ORDER_STATUS", f"{order.reference} is {order.get_status_display()}: it is not to be packed.",
                      hint="Orders are packed once they are printed, until their packages are closed.")  # fmt: skip
    if order.held:
        yield Problem("PACK_ORDER_HELD", f"{order.reference} is on hold: {order.hold_reason or 'no reason was given'}.",
                      hint="Put it aside until it is resumed.")  # fmt: skip


def weight_of(contents: Mapping[UUID, int], items: Mapping[UUID, Item]) -> int:
    """What the pieces weigh by their products, in g."""
    known = [(items[id].product, quantity) for id, quantity in contents.items()]
    return sum(product.weight * quantity for product, quantity in known if product)


def count_piece(order: Order, code: str, *, contents: Mapping[UUID, int]) -> dict[UUID, int]:
    """`contents` of the package being packed, with one piece more: of the item that the scanned code names.

    A code is an item's id, its reference or its product's UID; of several items the first that still misses pieces.
    Raises Rejected for a wrong piece, or one too many.
    """
    items = {item.pk: item for item in order.items.select_related("product")}
    code = code.strip()
    named = [id for id, item in items.items() if code and code in (str(id), item.reference, item.product_uid)]
    if not named:
        message = f"{code[:120]!r} is not in this order." if code else "No code was scanned."
        _refuse([Problem("PACK_ITEM_UNKNOWN", message, hint="Put the piece aside and scan the next one.")])
    left = {id: items[id].quantity_due - items[id].packed - contents.get(id, 0) for id in named}
    id = next((id for id in named if left[id] > 0), named[0])
    more = {**contents, id: contents.get(id, 0) + 1}
    _refuse([*obstacles(order), *_wrong({id: more[id]}, items)])
    return more


def _refuse(problems: Iterable[Problem]) -> None:
    if found := list(problems):
        raise Rejected(found)


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
            wanted = f"only {left} of {item.quantity_due} are" if left else f"none of {item.quantity_due} is"
            yield Problem("PACK_QUANTITY", f"{item.name}: {quantity} counted, {wanted} still to be packed.",
                          hint="Count again and put aside what is too many.",
                          details={"item": str(id), "counted": quantity, "left": left})  # fmt: skip


def _missing(order: Order) -> Iterator[Problem]:
    for item in order.items.select_related("product"):
        if left := item.quantity_due - item.packed:
            yield Problem("PACK_PIECES_MISSING", f"{item.name}: {left} of {item.quantity_due} not packed yet.",
                          hint="Pack them, or cancel the pieces that cannot be made.",
                          details={"item": str(item.pk), "left": left})  # fmt: skip
