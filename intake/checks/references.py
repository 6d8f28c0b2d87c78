"""References: which customer and which products a draft means."""

from collections.abc import Iterable

from gelatoconnect.lib.problems import Problem, Rejected
from intake.models import Connector
from orders.drafts import Draft, DraftItem, pointer
from orders.models import Customer, CustomerProduct, Product


def find_customer(connector: Connector, *, named: str) -> Customer | None:
    """The customer of the connector; on an open one the customer `named` by reference, or None when none is named.

    Raises Rejected when the name is not known, or is another's.
    """
    if connector.customer is not None:
        if named and named != connector.customer.reference:
            raise Rejected(
                [
                    Problem(
                        "CUSTOMER_MISMATCH",
                        f"This key does not belong to the customer {named[:60]!r}.",
                        hint="Leave Customer-Reference-ID out, or use that customer's key.",
                    )
                ],
                status=403,
            )
        return connector.customer
    if not named:
        return None
    customer = Customer.objects.filter(reference=named, active=True).first()
    if customer is None:
        raise Rejected([Problem("CUSTOMER_UNKNOWN", f"There is no active customer {named[:60]!r}.",
                                hint="Send the customer's reference as Customer-Reference-ID.")])  # fmt: skip
    return customer


def find_products(draft: Draft, customer: Customer) -> tuple[list[Product | None], list[Problem]]:
    """The product of each item, None where none is found, and a Problem for each of those."""
    uids = {item.product_uid for item in draft.items if item.product_uid}
    by_uid = {product.uid: product for product in Product.objects.filter(uid__in=uids)} if uids else {}
    names = {item.product_name for item in draft.items if not item.product_uid and item.product_name}
    theirs = (
        CustomerProduct.objects.filter(customer=customer, name__in=names).select_related("product") if names else []
    )
    products = [by_uid.get(item.product_uid) or _by_name(item, theirs) for item in draft.items]
    missing = [_unknown(place, item) for place, item in enumerate(draft.items) if products[place] is None]
    return products, missing


def _by_name(item: DraftItem, theirs: Iterable[CustomerProduct]) -> Product | None:
    """The customer's product of that name whose variant the item fulfils; of several the most exact one."""
    asked = {str(key).lower(): str(value).lower() for key, value in item.product_variant.items()}
    fitting = [
        known
        for known in theirs
        if known.name == item.product_name
        and all(asked.get(str(key).lower()) == str(value).lower() for key, value in known.variant.items())
    ]
    return max(fitting, key=lambda known: len(known.variant)).product if fitting else None


def _unknown(place: int, item: DraftItem) -> Problem:
    if item.product_uid:
        return Problem(
            "PRODUCT_UNKNOWN",
            f"There is no product {item.product_uid!r}.",
            pointer("items", place, "productUid"),
            hint="GET /api/products lists the products.",
        )
    if item.product_name:
        return Problem(
            "PRODUCT_UNMAPPED",
            f"{item.product_name!r} with this variant is not mapped to a product.",
            pointer("items", place, "productName"),
            hint="Map the customer's product name and variant to a product, or send productUid.",
        )
    return Problem("PRODUCT_MISSING", "The item names no product.", pointer("items", place, "productUid"),
                   hint="Send productUid, or productName with productVariant.")  # fmt: skip
