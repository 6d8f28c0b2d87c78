"""A Site Flow client as the tests play it: it signs as the libraries do, and speaks to the address of a connector."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.test import Client

from intake.connectors.siteflow.auth import signature_of
from intake.models import Connector

TOKEN, SECRET = "sf-token-001", "sf-secret-001"
ANA = {"name": "Ana Ruiz", "address1": "Karl Johans gate 4", "town": "Oslo", "postcode": "0154", "isoCountry": "NO"}
COMPONENT = {"code": "Card", "path": "https://files.example/card.pdf", "fetch": True}


def order_of(id: str = "ACME-1", *components: dict[str, Any], sku: str = "card-a6", **changes: Any) -> dict[str, Any]:
    """A good document; keyword arguments change its orderData."""
    item = {"sourceItemId": f"{id}-1", "sku": sku, "quantity": 2, "components": list(components) or [COMPONENT]}
    shipment = {"shipTo": ANA, "carrier": {"alias": "standard"}}
    data = {"sourceOrderId": id, "items": [item], "shipments": [shipment]} | changes
    return {"destination": {"name": "hp.acmeprint"}, "orderData": data}


def signed(method: str, path: str, *, secret: str = SECRET, token: str = TOKEN, **headers: str) -> dict[str, str]:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"x-oneflow-authorization": f"{token}:{signature_of(secret, f'{method} {path} {at}')}",
            "x-oneflow-date": at, "x-oneflow-algorithm": "SHA256"} | headers  # fmt: skip


class SiteFlowClient:
    """`client("POST", "api/order", {…})`: the response."""

    def __init__(self, connector: Connector) -> None:
        self.connector, self.client = connector, Client(raise_request_exception=False)

    def __call__(self, method: str, path: str, body: Any = b"", *, secret: str = SECRET, **headers: str) -> Any:
        address = f"/in/{self.connector.pk}/{path}"
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = signed(method, address.partition("?")[0], secret=secret) | headers
        return self.client.generic(method, address, raw, content_type="application/json", headers=more)


Make = Callable[..., SiteFlowClient]
