"""References: which customer and which products a draft means."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from django.db.models import Q

from gelatoconnect.lib.problems import Problem, Rejected
from intake.models import Connector
from orders.drafts import Draft, DraftFile, DraftItem, pointer
from orders.models import Customer, CustomerProduct, Product

BATCH = 1_000  # names in one query


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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Products that items may mean: ours by uid, the customer's by SKU, and by name those that have no SKU."""

    by_uid: dict[str, Product] = field(default_factory=dict)
    by_sku: dict[str, list[CustomerProduct]] = field(default_factory=lambda: defaultdict(list))
    by_name: dict[str, list[CustomerProduct]] = field(default_factory=lambda: defaultdict(list))


def catalogue_of(items: Iterable[DraftItem], customer: Customer) -> Catalogue:
    """What these items may mean, those of one order or of thousands, in a few narrow queries for each thousand names."""
    found, asked = Catalogue(), list(items)
    unnamed = [item for item in asked if not item.product_uid]
    skus = {item.sku for item in unnamed if item.sku}
    names = {item.product_name for item in unnamed if item.product_name}
    for condition in _conditions(skus, names):
        theirs = CustomerProduct.objects.filter(condition, customer=customer).prefetch_related("product")
        for known in theirs:
            (found.by_sku[known.sku] if known.sku else found.by_name[known.name]).append(known)
    mapped = {sku for sku, known in found.by_sku.items() if any(not each.variant for each in known)}
    ours = {item.product_uid for item in asked if item.product_uid} | (skus - mapped)
    for uids in _batches(ours):
        found.by_uid.update((product.uid, product) for product in Product.objects.filter(uid__in=uids))
    return found


def _conditions(skus: set[str], names: set[str]) -> Iterable[Q]:
    if len(skus) + len(names) > BATCH:
        yield from (Q(sku__in=some) for some in _batches(skus))
        yield from (Q(sku="", name__in=some) for some in _batches(names))
    elif skus and names:
        yield Q(sku__in=skus) | Q(sku="", name__in=names)
    elif skus or names:
        yield Q(sku__in=skus) if skus else Q(sku="", name__in=names)


def match_products(
    draft: Draft, customer: Customer, *, known: Catalogue | None = None
) -> tuple[list[Product | None], list[Problem]]:
    """The product of each item, None where none is found, and a Problem for each of those.

    What the customer's mapping says besides is filled into the items: variant options, and the print file of an item
    that brings none. known: the catalogue of many orders, looked up beforehand.
    """
    catalogue = known or catalogue_of(draft.items, customer)
    products = []
    for item in draft.items:
        product = catalogue.by_uid.get(item.product_uid)
        if product is None and (mapping := _mapping_of(item, catalogue)):
            product = mapping.product
            item.product_variant = mapping.attributes | item.product_variant
            if mapping.file_url and not item.files:
                item.files = [DraftFile(url=mapping.file_url)]
        products.append(product or (catalogue.by_uid.get(item.sku) if not item.product_uid else None))
    missing = [_unknown(place, item) for place, item in enumerate(draft.items) if products[place] is None]
    return products, missing


def _batches(names: set[str]) -> Iterable[list[str]]:
    rest = iter(sorted(names))
    return iter(lambda: list(islice(rest, BATCH)), [])


def _mapping_of(item: DraftItem, catalogue: Catalogue) -> CustomerProduct | None:
    """By SKU, else by name; of several whose variant the item fulfils, the most exact one."""
    if item.product_uid:
        return None
    asked = {str(key).lower(): str(value).lower() for key, value in item.product_variant.items()}
    fitting = [
        known
        for known in (*catalogue.by_sku.get(item.sku, ()), *catalogue.by_name.get(item.product_name, ()))
        if all(asked.get(str(key).lower()) == str(value).lower() for key, value in known.variant.items())
    ]
    return max(fitting, key=lambda known: (bool(known.sku), len(known.variant)), default=None)


def _unknown(place: int, item: DraftItem) -> Problem:
    if item.product_uid:
        return Problem(
            "PRODUCT_UNKNOWN",
            f"There is no product {item.product_uid!r}.",
            pointer("items", place, "productUid"),
            hint="GET /api/products lists the products.",
        )
    if item.sku:
        return Problem(
            "PRODUCT_UNMAPPED",
            f"The SKU {item.sku!r} is not mapped to a product.",
            pointer("items", place, "sku"),
            hint="Map the SKU to a product, or send productUid.",
        )
    if item.product_name:
        return Problem(
            "PRODUCT_UNMAPPED",
            f"{item.product_name!r} with this variant is not mapped to a product.",
            pointer("items", place, "productName"),
            hint="Map the customer's product name and variant to a product, or send productUid.",
        )
    return Problem("PRODUCT_MISSING", "The item names no product.", pointer("items", place, "productUid"),
                   hint="Send productUid, sku, or productName with productVariant.")  # fmt: skip
