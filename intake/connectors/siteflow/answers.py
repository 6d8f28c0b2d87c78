"""What Site Flow clients are told: orders and their files in its words, and its two shapes of a fault."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from gelatoconnect.lib.ids import born
from gelatoconnect.lib.problems import Problem, errors
from intake import uploads
from intake.connectors.base import Outcome
from intake.models import OrderRequest
from orders import panels
from orders.drafts import is_handed_over
from orders.lifecycle import Status
from orders.models import Item, Order, PrintFile

# Our statuses in the words of Site Flow's list of orders.
WORDS = {
    Status.DRAFT: "pending", Status.RECEIVED: "pending", Status.PASSED: "dataready", Status.FAILED: "error",
    Status.CREATED: "printready", Status.IN_PRODUCTION: "printready", Status.PRINTED: "complete",
    Status.PACKAGED: "complete", Status.SHIPPED: "shipped", Status.IN_TRANSIT: "shipped", Status.DELIVERED: "shipped",
    Status.RETURNED: "shipped", Status.CANCELED: "cancelled",
}  # fmt: skip
OF_REQUEST = {"received": "pending", "rejected": "error", "ignored": "cancelled", "accepted": "pending"}
INVALID = 208  # Site Flow's own code for a document that does not pass validation
NAMES = {
    400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "NotFoundError", 409: "ConflictError",
    413: "PayloadTooLargeError", 429: "TooManyRequestsError", 500: "InternalServerError", 503: "ServiceUnavailableError",
}  # fmt: skip
# The fields of a draft as they are called in the document.
FIELDS = {
    "shippingAddress": "shipments[0].shipTo", "shipmentMethodUid": "shipments[0].carrier", "files": "components",
    "orderReferenceId": "sourceOrderId", "itemReferenceId": "sourceItemId", "productUid": "sku", "productName": "sku",
    "retailPriceInclVat": "unitPrice", "url": "path", "type": "code", "firstName": "name", "lastName": "name",
    "addressLine1": "address1", "addressLine2": "address2", "city": "town", "postCode": "postcode",
    "country": "isoCountry",
}  # fmt: skip
CODES = {"IDEMPOTENCY_KEY_REUSED": ("This sourceOrderId was sent before with other content.",
                                    "Use a new sourceOrderId for a new order; change an address by PUT.")}  # fmt: skip


def url_of(connector: UUID | str | None, id: UUID | str) -> str:
    """Where the order, or the request it was sent in, is got."""
    return f"{settings.PUBLIC_URL}/in/{connector}/api/order/{id}"


def document(order: Order) -> dict[str, Any]:
    """An order as GET /order/{id} and the list say it. Reads its items and files, which may be prefetched."""
    items = list(order.items.all())
    word = WORDS[Status(order.status)]
    said = {
        "_id": str(order.pk), "source": {"name": order.source.get("source") or order.source.get("account", "")},
        "destination": {"name": order.source.get("destination", "")}, "status": word,
        "url": url_of(order.connector, order.pk), "timestamp": order.created_at.isoformat(),
        "orderData": _data_of(order, items, word),
        "files": [file_of(each, code, order) for item in items for each, code in _files_of(item)],
    }  # fmt: skip
    if order.status == Status.FAILED:
        said["error"] = _error([Problem(**problem) for problem in order.problems], status=422)
    return said


def file_of(file: PrintFile, component: Mapping[str, Any], order: Order) -> dict[str, Any]:
    """A file: fetch says whether we fetch it; otherwise `url` is where it is to be put, while the order waits for it."""
    awaited = is_handed_over(file.url)
    local = bool(awaited and component.get("localFile"))
    url = file.url
    if awaited:
        url = uploads.address_of(file, order.connector) if order.connector and order.status in uploads.OPEN else ""
    return {
        "_id": str(file.pk), "url": url, "fetch": not awaited, "localFile": local,
        "path": file.url.partition(":")[2] if awaited else file.url, "code": component.get("code") or file.type,
        "itemId": str(file.item_id), "orderId": str(order.pk), "status": "received" if file.sha256 else "notreceived",
        "fileSize": file.size or 0, "pageCount": file.page_count or 0,
    }  # fmt: skip


def files_of(order: Order) -> list[dict[str, Any]]:
    return [file_of(each, code, order) for item in order.items.all() for each, code in _files_of(item)]


def request_document(request: OrderRequest) -> dict[str, Any]:
    """A request of which no order was made (yet), as GET /order/{id} says it."""
    word = OF_REQUEST[request.state]
    said: dict[str, Any] = {
        "_id": str(request.pk), "status": word, "url": url_of(request.connector_id, request.pk),
        "timestamp": born(request.pk).isoformat(), "orderData": {"sourceOrderId": request.reference, "status": word},
        "files": [],
    }  # fmt: skip
    if request.state == OrderRequest.State.REJECTED:
        said["error"] = _error([Problem(**problem) for problem in request.problems], status=422)
    return said


def submitted(order: Order) -> str:
    """What is answered once the order is there."""
    said = document(order)
    return _text(
        {"success": True, "_id": said["_id"], "url": said["url"], "timestamp": said["timestamp"], "order": said}
    )


def arrived(outcome: Outcome, *, connector: UUID | None, account: str) -> str:
    """What is answered at once of a document that is read later."""
    id = outcome.request or UUID(int=0)
    return _text({"_id": str(id), "url": url_of(connector, id), "timestamp": born(id).isoformat(),
                  "sourceAccountId": account or str(connector)})  # fmt: skip


def done(message: str, outcome: Outcome) -> str:
    """What is answered of a cancellation or a change."""
    order = (
        document(outcome.order) if outcome.order else {"_id": str(outcome.request), "status": "cancelled", "files": []}
    )
    return _text({"success": True, "message": message, "_id": order["_id"], "order": order})


def valid(problems: Iterable[Problem]) -> str:
    return _text({"success": True, "valid": True, "validations": [], "warnings": validations(problems)})


def fault(problems: Sequence[Problem], *, status: int) -> str:
    return _text({"success": False, "error": _error(problems, status=status)})


def validations(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [
        {"path": place_of(each.path), "message": each.message, "code": each.code, "hint": each.hint}
        for each in problems
    ]


def place_of(path: str) -> str:
    """A JSON pointer into a draft, or into the document, as Site Flow writes places: orderData.items[0].sku."""
    steps = [FIELDS.get(step, step) for step in path.split("/")[1:] if step != "orderData"]
    joined = ".".join(["orderData", *steps])
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", joined)


def _error(problems: Sequence[Problem], *, status: int) -> dict[str, Any]:
    """One of the two shapes: what is wrong with a document, place by place; or what was wrong with the call."""
    found = errors(problems) or list(problems)
    first = found[0] if found else Problem("ORDER_FAILED", "The order failed.")
    message, hint = CODES.get(first.code, (first.message, first.hint))
    about_document = status in (400, 422) and not first.code.startswith(("JSON_", "BODY_"))
    if about_document:
        return {"code": INVALID, "name": "ValidationError", "message": message, "validations": validations(found)}
    return {"code": status, "name": NAMES.get(status, "Error"), "message": f"{message} {hint}".strip()}


def _data_of(order: Order, items: Sequence[Item], word: str) -> dict[str, Any]:
    kept = order.metadata if isinstance(order.metadata, dict) else {}
    names = ("customerName", "email", "purchaseOrderNumber", "instructions", "tags", "extraData", "stockItems")
    return {
        "sourceOrderId": order.reference, "status": word, "date": order.created_at.isoformat(),
        "currency": order.currency, "slaTimestamp": order.ship_by and order.ship_by.isoformat(),
        "items": [_item(item, order, word) for item in items], "shipments": [_shipment(order, kept, word)],
    } | {name: kept[name] for name in names if name in kept}  # fmt: skip


def _item(item: Item, order: Order, word: str) -> dict[str, Any]:
    components = [
        {"_id": str(file.pk), "fileId": str(file.pk), "code": code.get("code") or file.type,
         "fetch": not is_handed_over(file.url), "localFile": bool(code.get("localFile")),
         "path": file.url.partition(":")[2] if is_handed_over(file.url) else file.url}
        for file, code in _files_of(item)
    ]  # fmt: skip
    return {"_id": str(item.pk), "sourceItemId": item.reference, "sku": item.sku, "description": item.product_name,
            "quantity": item.quantity, "shipmentIndex": 0, "status": word if item.quantity_due else "cancelled",
            "components": components}  # fmt: skip


def _shipment(order: Order, kept: Mapping[str, Any], word: str) -> dict[str, Any]:
    """The one shipment of an order here; its _id is the order's. Tracking as far as there is one."""
    address = order.address
    to = {
        "name": f"{address.first_name} {address.last_name}".strip(), "companyName": address.company_name,
        "address1": address.address_line1, "address2": address.address_line2, "town": address.city,
        "postcode": address.post_code, "state": address.state, "isoCountry": address.country, "email": address.email,
        "phone": address.phone,
    }  # fmt: skip
    shipment = kept.get("shipment")
    carrier = shipment.get("carrier") if isinstance(shipment, dict) else None
    return {"_id": str(order.pk), "shipmentIndex": 0, "status": word, "shipTo": to, "carrier": carrier,
            "method": order.shipment_method}  # fmt: skip


def with_tracking(said: dict[str, Any], order: Order) -> dict[str, Any]:
    """The document of an order with the tracking of its parcels, which is looked up."""
    packages = [package for answer in panels.PACKAGES for package in answer(order) if package.get("tracking_code")]
    shipment = said["orderData"]["shipments"][0]
    shipment["packages"] = [
        {"trackingNumber": each["tracking_code"], "trackingUrl": each["tracking_url"], "status": each["status"]}
        for each in packages
    ]
    for name in ("trackingNumber", "trackingUrl"):
        shipment[name] = shipment["packages"][0][name] if packages else ""
    return said


def _files_of(item: Item) -> Iterator[tuple[PrintFile, Mapping[str, Any]]]:
    """Each file of an item, with what its component said besides."""
    said = item.metadata.get("components") if isinstance(item.metadata, dict) else None
    components = [each if isinstance(each, dict) else {} for each in said] if isinstance(said, list) else []
    for place, file in enumerate(item.files.all()):
        yield file, components[place] if place < len(components) else {}


def _text(said: Any) -> str:
    return json.dumps(said, ensure_ascii=False)
