"""What the checks look at. A check is a plain generator of Problems; it never mends, it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orders.drafts import Address, Draft, DraftFile, DraftItem, is_handed_over
from orders.models import Customer, Order, PrintFile, Product, ShipmentMethod
from orders.services import major_units


@dataclass(frozen=True, slots=True)
class Case:
    """An order as it is asked for, who asks, and the product of each item (None: not found).

    methods: the shipment methods there are, by uid, where many cases are judged at once; None: they are looked up.
    """

    draft: Draft
    customer: Customer
    products: Sequence[Product | None]
    methods: Mapping[str, ShipmentMethod] | None = None


def draft_of(order: Order) -> Draft:
    """A stored order as it was asked for and amended since."""
    currency = order.retail_currency or order.currency
    lines = [
        DraftItem(
            item_reference_id=item.reference, sku=item.sku, product_uid=item.product_uid, product_name=item.product_name,
            product_variant=item.variant, quantity=item.quantity, metadata=item.metadata,
            retail_price_incl_vat=major_units(item.retail_price, currency),
            files=[_file(file) for file in item.files.all()],
        )
        for item in order.items.prefetch_related("files")
    ]  # fmt: skip
    return Draft(
        order_reference_id=order.reference, currency=order.currency, retail_currency=order.retail_currency,
        retail_shipping_price_incl_vat=major_units(order.retail_shipping_price, currency),
        shipment_method_uid=order.shipment_method, metadata=order.metadata,
        shipping_address=Address(**order.address.as_dict()), items=lines,
    )  # fmt: skip


def _file(file: PrintFile) -> DraftFile:
    draft = DraftFile(type=file.type, url=file.url, md5=file.md5)
    return DraftFile.handed_over(draft, file.sha256) if is_handed_over(file.url) else draft
