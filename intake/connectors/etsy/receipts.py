"""An Etsy receipt (Open API v3, getShopReceipt) read as a draft: what Etsy calls transactions are its lines. Pure."""

from datetime import date
from decimal import Decimal
from typing import Any

from gelatoconnect.lib.problems import Problem
from intake.connectors.base import Cancel, Meaning, Nothing, Submit, refuse
from intake.connectors.loose import (
    get,
    line,
    links,
    moment,
    money,
    number,
    pairs,
    plainly,
    quantity,
    rows,
    text,
    words,
    yes,
)
from orders.drafts import pointer, read

PAID = frozenset({"paid", "completed"})
UNPAID = frozenset({"open", "paymentprocessing"})
ENDED = frozenset({"canceled", "cancelled", "fullyrefunded"})
PERSONAL = frozenset({"personalization", "personalisation"})


def receipt_id(receipt: dict[str, Any]) -> str:
    return text(get(receipt, "receipt_id"))


def ended(receipt: dict[str, Any]) -> bool:
    return plainly(text(get(receipt, "status"))) in ENDED


def meaning_of(receipt: dict[str, Any], *, shipment_methods: str) -> Meaning:
    """An order once it is paid, nothing once it is shipped, and its end. Raises Rejected."""
    id, said = receipt_id(receipt), text(get(receipt, "status"))
    if not id or len(id) > 100:
        refuse("FIELD_MISSING", "The receipt has no receipt_id.", hint="Send the receipt as Etsy's API shows it.",
               status=422, path=pointer("receipt_id"))  # fmt: skip
    status = plainly(said)
    if status in ENDED:
        return Cancel(source_id=id, reason=f"It is {said.lower()} at Etsy.")
    if yes(get(receipt, "is_shipped")):
        return Nothing("It has been shipped at Etsy already.", reference=id)
    if status in UNPAID or not (status in PAID or yes(get(receipt, "is_paid"))):
        # Without its id: as long as it is not to be produced, the order has not arrived.
        return Nothing(f"It is {said.lower() or 'not paid'} at Etsy: only paid orders are produced.", reference=id)
    found = [each for each in rows(get(receipt, "transactions")) if _is_printed(each)]
    if not found:
        return Nothing("None of its lines is something to print.", "ORDER_NOTHING_TO_PRINT", id, id)
    return Submit(read(_draft(receipt, id, found, shipment_methods)), source_id=id, ship_by=_ship_by(found),
                  notes=() if status in PAID else (_unusual(said),))  # fmt: skip


def _is_printed(transaction: dict[str, Any]) -> bool:
    count = quantity(get(transaction, "quantity"))
    return not yes(get(transaction, "is_digital")) and (isinstance(count, str) or count > 0)


def _unusual(status: str) -> Problem:
    return Problem("ORDER_STATUS_UNUSUAL", f"It is paid, and {status.lower()} at Etsy.", pointer("status"), "warning",
                   "Look at Etsy whether all of it is still wanted.")  # fmt: skip


def _draft(receipt: dict[str, Any], id: str, found: list[dict[str, Any]], methods: str) -> dict[str, Any]:
    paid = (get(receipt, "grandtotal"), get(receipt, "total_price"), *(get(each, "price") for each in found))
    currency = next((code for each in paid if (code := text(get(each, "currency_code")).upper())), "")
    return {
        "orderReferenceId": id,
        "currency": currency,
        "retailShippingPriceInclVat": money(_amount(get(receipt, "total_shipping_cost")), currency),
        "shipmentMethodUid": _method(found, methods),
        "metadata": _metadata(receipt),
        "shippingAddress": _address(receipt),
        "items": [_item(each, currency) for each in found],
    }


def _item(transaction: dict[str, Any], currency: str) -> dict[str, Any]:
    """A listing without a SKU is mapped by its number: etsy-1234567890."""
    listing = text(get(transaction, "listing_id")) or text(get(transaction, "product_id"))
    variations = [(words(get(each, "formatted_name", "name")), words(get(each, "formatted_value", "value")))
                  for each in rows(get(transaction, "variations"))]  # fmt: skip
    personal = next((value for name, value in variations if plainly(name) in PERSONAL), "")
    personal = personal or words(get(transaction, "personalization"))
    files = [
        url for each in rows(get(transaction, "variations")) for _, url in links(get(each, "formatted_value", "value"))
    ]
    return {
        "itemReferenceId": text(get(transaction, "transaction_id"), most=120),
        "sku": line(get(transaction, "sku"), most=120) or (f"etsy-{listing}"[:120] if listing else ""),
        "productName": words(get(transaction, "title"))[:200],
        "productVariant": {name: value for name, value in variations if name and value},
        "quantity": quantity(get(transaction, "quantity")),
        "retailPriceInclVat": money(_amount(get(transaction, "price")), currency),
        "files": [{"url": url} for url in dict.fromkeys(files)][:20],
        "metadata": {"personalization": personal} if personal else {},
    }


def _amount(said: Any) -> Decimal | None:
    """1290 by a divisor of 100 is 12.90; what is no object is an amount already."""
    if not isinstance(said, dict):
        return number(said)
    amount, divisor = number(get(said, "amount")), number(get(said, "divisor"))
    return None if amount is None else amount / (divisor if divisor and divisor >= 1 else 100)


def _address(receipt: dict[str, Any]) -> dict[str, str]:
    first, _, last = line(get(receipt, "name")).rpartition(" ")
    return {
        "firstName": first or last,
        "lastName": last if first else "",
        "addressLine1": line(get(receipt, "first_line")),
        "addressLine2": line(get(receipt, "second_line")),
        "city": line(get(receipt, "city")),
        "state": line(get(receipt, "state")),
        "postCode": line(get(receipt, "zip")),
        "country": line(get(receipt, "country_iso")),
        "email": line(get(receipt, "buyer_email")),
        "phone": line(get(receipt, "phone")),
    }


def _metadata(receipt: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "giftMessage": text(get(receipt, "gift_message")),
        "giftSender": text(get(receipt, "gift_sender")),
        "messageFromBuyer": text(get(receipt, "message_from_buyer")),
        "isGift": yes(get(receipt, "is_gift")),
    }
    return {name: value for name, value in found.items() if value}


def _method(found: list[dict[str, Any]], table: str) -> str:
    """Our shipment method for what the buyer chose: an upgrade before the usual one."""
    known = pairs(table)
    asked = [plainly(line(get(each, name))) for name in ("shipping_upgrade", "shipping_method") for each in found]
    return next((known[name] for name in asked if name and name in known), known.get("*", ""))


def _ship_by(found: list[dict[str, Any]]) -> date | None:
    """What Etsy has promised the buyer, for the line that is due first."""
    days = [at.date() for each in found if (at := moment(get(each, "expected_ship_date")))]
    return min(days, default=None)
