"""What the checks look at. A check is a plain generator of Problems; it never mends, it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import get_currency_precision

from orders.drafts import Address, Draft, DraftFile, DraftItem
from orders.models import Customer, Order, Product


@dataclass(frozen=True, slots=True)
class Case:
    """An order as it is asked for, who asks, and the product of each item (None: not found)."""

    draft: Draft
    customer: Customer
    products: Sequence[Product | None]


def case_of(order: Order) -> Case:
    """The case of a stored order: as it was asked for and amended since."""
    items = list(order.items.select_related("product").prefetch_related("files"))
    currency = order.retail_currency or order.currency
    lines = [
        DraftItem(
            item_reference_id=item.reference, product_uid=item.product_uid, product_name=item.product_name,
            product_variant=item.variant, quantity=item.quantity, metadata=item.metadata,
            retail_price_incl_vat=major_units(item.retail_price, currency),
            files=[DraftFile(type=file.type, url=file.url, md5=file.md5) for file in item.files.all()],
        )
        for item in items
    ]  # fmt: skip
    draft = Draft(
        order_reference_id=order.reference, currency=order.currency, retail_currency=order.retail_currency,
        retail_shipping_price_incl_vat=major_units(order.retail_shipping_price, currency),
        shipment_method_uid=order.shipment_method, metadata=order.metadata,
        shipping_address=Address(**order.address.as_dict()), items=lines,
    )  # fmt: skip
    return Case(draft, order.customer, [item.product for item in items])


def major_units(amount: int | None, currency: str) -> Decimal | None:
    """1290 EUR → 12.90 (ISO 4217 decimals)."""
    return None if amount is None else Decimal(amount).scaleb(-get_currency_precision(currency or "EUR"))
