"""Business rules: may we send this there, is it to be had, in this number, and can it cross the border."""

from collections.abc import Iterator

from babel import Locale
from django.conf import settings

from gelatoconnect.lib.problems import Problem
from intake.checks.base import Case
from orders.drafts import pointer
from orders.models import ShipmentMethod

COUNTRY = pointer("shippingAddress", "country")
EU = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    ]
)
# Countries whose customs ask for the recipient's tax number on parcels: Brazil CPF/CNPJ (Receita Federal IN RFB
# 1737/2017), South Korea PCCC (Korea Customs Service), Argentina CUIT, Chile RUT, Turkey identity number.
TAX_ID_ASKED = frozenset(["AR", "BR", "CL", "KR", "TR"])


def destinations(case: Case) -> Iterator[Problem]:
    """The destination is allowed for the producer, the customer and each product."""
    country = case.draft.shipping_address.country
    if not country:
        return
    if settings.DESTINATIONS and country not in settings.DESTINATIONS:
        yield _no_destination("We do not ship", country, COUNTRY)
    elif case.customer.countries and country not in case.customer.countries:
        yield _no_destination(f"{case.customer.name} does not ship", country, COUNTRY)
    for place, product in enumerate(case.products):
        if product and product.countries and country not in product.countries:
            yield _no_destination(f"{product.name} cannot be shipped", country, pointer("items", place, "productUid"))


def shipment_method(case: Case) -> Iterator[Problem]:
    """At least one of the preferred methods exists and reaches the destination."""
    wanted = [word.strip() for word in case.draft.shipment_method_uid.split(",") if word.strip()]
    if not wanted:
        return
    methods = case.methods
    if methods is None:
        methods = {method.uid: method for method in ShipmentMethod.objects.filter(uid__in=wanted, active=True)}
    known = {uid: methods[uid] for uid in wanted if uid in methods}
    path = pointer("shipmentMethodUid")
    if not known:
        yield Problem("SHIPMENT_METHOD_UNKNOWN", f"There is no shipment method {', '.join(wanted)!r}.", path,
                      hint="Use a shipment method of ours, or leave it empty for the cheapest.")  # fmt: skip
    elif not any(
        not method.countries or case.draft.shipping_address.country in method.countries for method in known.values()
    ):
        yield Problem(
            "SHIPMENT_METHOD_DESTINATION",
            f"No preferred method reaches {_name(case.draft.shipping_address.country)}.",
            path,
            hint="Add another method to the list, or leave it empty.",
        )


def availability(case: Case) -> Iterator[Problem]:
    for place, product in enumerate(case.products):
        if product and not product.available:
            yield Problem("PRODUCT_UNAVAILABLE", f"{product.name} is not available at present.",
                          pointer("items", place, "productUid"),
                          hint="Choose another product, or retry when it is available again.")  # fmt: skip


def quantities(case: Case) -> Iterator[Problem]:
    for place, (item, product) in enumerate(zip(case.draft.items, case.products, strict=True)):
        if product and not product.quantity_min <= item.quantity <= product.quantity_max:
            yield Problem(
                "ITEM_QUANTITY_RANGE",
                f"{item.quantity:,} × {product.name}: only {product.quantity_min:,} to {product.quantity_max:,} can be had.",
                pointer("items", place, "quantity"),
                hint="Change the quantity, or split the order.",
                details={"actual": item.quantity, "minimum": product.quantity_min, "maximum": product.quantity_max},
            )


def customs(case: Case) -> Iterator[Problem]:
    """Across a customs border every item needs a description, an HS code, a value and a currency."""
    here, there = settings.PRODUCER_COUNTRY, case.draft.shipping_address.country
    if not there or here == there or {here, there} <= EU:
        return
    if not case.draft.currency and not case.draft.retail_currency:
        yield Problem("CUSTOMS_CURRENCY_MISSING", f"Parcels to {_name(there)} need a value with its currency.",
                      pointer("currency"), hint="Send currency (ISO 4217).")  # fmt: skip
    for place, (item, product) in enumerate(zip(case.draft.items, case.products, strict=True)):
        if item.retail_price_incl_vat is None:
            yield Problem("CUSTOMS_VALUE_MISSING", f"Parcels to {_name(there)} need the value of every item.",
                          pointer("items", place, "retailPriceInclVat"), hint="Send retailPriceInclVat.")  # fmt: skip
        if product and not (product.customs_description and product.hs_code):
            yield Problem("CUSTOMS_PRODUCT_INCOMPLETE", f"{product.name} has no customs description or HS code.",
                          pointer("items", place, "productUid"),
                          hint="The producer adds both to the product; then retry.")  # fmt: skip
    address = case.draft.shipping_address
    if there in TAX_ID_ASKED and not (address.federal_tax_id or address.state_tax_id):
        yield Problem("CUSTOMS_TAX_ID_MISSING", f"Customs of {_name(there)} ask for the recipient's tax number.",
                      pointer("shippingAddress", "federalTaxId"), hint="Send federalTaxId.")  # fmt: skip


CHECKS = (destinations, shipment_method, availability, quantities, customs)


def _no_destination(who: str, country: str, path: str) -> Problem:
    return Problem("DESTINATION_NOT_ALLOWED", f"{who} to {_name(country)}.", path,
                   hint="Change the destination, or ask the producer to open it.")  # fmt: skip


def _name(country: str) -> str:
    return Locale("en").territories.get(country, country)
