"""A shop as Shopify would play it: signed webhooks, and an Admin API that keeps what it is told."""

import base64
import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from intake.models import Connector
from tests.connectors.fakes import Fake, Sent

SHOP, SECRET, TOKEN = "acme.myshopify.com", "shop-app-secret", "shpat_token"
API = "/admin/api/2026-10"
_ids = itertools.count(1)


def order_of(url: str = "https://files.example/card.pdf", **changes: Any) -> dict[str, Any]:
    return {
        "id": 7_000_000_000_001, "name": "#1042", "order_number": 1042, "currency": "EUR", "test": False,
        "financial_status": "paid", "fulfillment_status": None, "email": "lena@example.com",
        "line_items": [{"id": 88_000_000_001, "sku": "card-a6", "title": "Card", "quantity": 2, "requires_shipping": True,
                        "price": "12.90", "variant_id": 501, "product_id": 401,
                        "properties": [{"name": "Name", "value": "Lena"}, {"name": "_print_url", "value": url}]}],
        "shipping_lines": [{"code": "Standard", "title": "Standard", "price": "4.90"}],
        "shipping_address": {"first_name": "Lena", "last_name": "Koch", "address1": "Weg 3", "city": "Bonn", "zip": "53111",
                             "country_code": "DE"},
        **changes,
    }  # fmt: skip


def signed(body: bytes, *, topic: str = "orders/paid", id: str = "") -> dict[str, str]:
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    return {"X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": signature, "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-Webhook-Id": id or f"webhook-{next(_ids)}"}  # fmt: skip


def post(
    send: Any, connector: Connector, data: Any, *, topic: str = "orders/paid", id: str = "", path: str = ""
) -> Any:
    body = json.dumps(data).encode()
    return send(connector, body, path=path, **signed(body, topic=topic, id=id))


@dataclass
class Shop:
    """The Admin API, with one order whose lines are assigned to location 7. `wrong`: calls without the right token."""

    fake: Fake
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    work: dict[str, dict[str, Any]] = field(default_factory=dict)
    fulfilments: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        on = self.fake.on
        on("GET", rf"{API}/orders/(\d+)/fulfillment_orders.json", self._work_of)
        on("GET", rf"{API}/orders/(\d+)/fulfillments.json", self._fulfilments_of)
        on("GET", rf"{API}/orders/(\d+).json", self._order)
        on("GET", rf"{API}/assigned_fulfillment_orders.json", self._assigned)
        on("POST", rf"{API}/fulfillments.json", self._fulfil)
        on("POST", rf"{API}/fulfillment_orders/(\d+)/(\w+)/(accept|reject).json", self._answer)
        on("POST", rf"{API}/fulfillment_orders/(\d+)/close.json", self._close)

    @property
    def settings(self) -> dict[str, Any]:
        return {"shop": SHOP, "secret": SECRET, "access_token": TOKEN, "api_url": self.fake.url}

    def add(self, order: dict[str, Any], *, request: str = "unsubmitted", location: int = 7) -> dict[str, Any]:
        """An order of the shop, with its fulfilment order."""
        lines = [{"id": each["id"] + 1, "line_item_id": each["id"], "quantity": each["quantity"],
                  "fulfillable_quantity": each["quantity"]} for each in order["line_items"]]  # fmt: skip
        work = {"id": 99_000 + len(self.work), "order_id": order["id"], "assigned_location_id": location, "status": "open",
                "request_status": request, "line_items": lines}  # fmt: skip
        self.orders[str(order["id"])], self.work[str(work["id"])] = order, work
        return work

    def _checked(self, sent: Sent) -> None:
        if sent.headers.get("x-shopify-access-token") != TOKEN:
            self.wrong.append(sent)

    def _order(self, sent: Sent, id: str) -> Any:
        self._checked(sent)
        return (200, {"order": self.orders[id]}) if id in self.orders else (404, {"errors": "Not Found"})

    def _work_of(self, sent: Sent, id: str) -> Any:
        self._checked(sent)
        return 200, {"fulfillment_orders": [each for each in self.work.values() if str(each["order_id"]) == id]}

    def _fulfilments_of(self, sent: Sent, id: str) -> Any:
        self._checked(sent)
        said = [{"tracking_numbers": [each.get("tracking_info", {}).get("number")]} for each in self.fulfilments]
        return 200, {"fulfillments": said}

    def _assigned(self, sent: Sent) -> Any:
        self._checked(sent)
        wanted = {"fulfillment_requested": "submitted"}.get(
            sent.query["assignment_status"], sent.query["assignment_status"]
        )
        return 200, {"fulfillment_orders": [each for each in self.work.values() if each["request_status"] == wanted]}

    def _fulfil(self, sent: Sent) -> Any:
        self._checked(sent)
        said = sent.data["fulfillment"]
        for share in said["line_items_by_fulfillment_order"]:
            work = self.work[str(share["fulfillment_order_id"])]
            for asked in share["fulfillment_order_line_items"]:
                line = next(each for each in work["line_items"] if each["id"] == asked["id"])
                if work["status"] == "closed" or asked["quantity"] > line["fulfillable_quantity"]:
                    return 422, {"errors": "Invalid fulfillment order line item quantity requested."}
                line["fulfillable_quantity"] -= asked["quantity"]
            if not any(line["fulfillable_quantity"] for line in work["line_items"]):
                work["status"] = "closed"
        self.fulfilments.append(said)
        return 201, {"fulfillment": {"id": len(self.fulfilments), "status": "success"}}

    def _answer(self, sent: Sent, id: str, kind: str, word: str) -> Any:
        self._checked(sent)
        work = self.work[id]
        waited = {"fulfillment_request": "submitted", "cancellation_request": "cancellation_requested"}[kind]
        if work["request_status"] != waited:
            return 422, {"errors": "The request status does not allow it."}
        prefix = "cancellation_" if kind == "cancellation_request" else ""
        work["request_status"] = f"{prefix}{word}ed"
        return 200, {"fulfillment_order": work}

    def _close(self, sent: Sent, id: str) -> Any:
        self._checked(sent)
        self.work[id]["status"] = "incomplete"
        return 200, {"fulfillment_order": self.work[id]}
