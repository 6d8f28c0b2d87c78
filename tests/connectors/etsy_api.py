"""Etsy's API, as far as it is used: receipts, tracking codes, and tokens that rotate."""

import time
from typing import Any

from intake.connectors.etsy import example_receipt
from tests.connectors.fakes import Answer, Fake, Sent

RECEIPTS = "/v3/application/shops/1111/receipts"


class EtsyApi:
    """Knows `receipts` by id; takes the access token `access`, and gives another one for the refresh token `refresh`."""

    def __init__(self, fake: Fake) -> None:
        self.fake, self.receipts, self.turn = fake, {}, 1  # type: ignore[var-annotated]
        fake.on("POST", "/v3/public/oauth/token", self._token)
        fake.on("GET", RECEIPTS, self._list)
        fake.on("GET", rf"{RECEIPTS}/(\d+)", self._get)
        fake.on("POST", rf"{RECEIPTS}/(\d+)/tracking", self._track)

    @property
    def access(self) -> str:
        return f"access-{self.turn}"

    @property
    def refresh(self) -> str:
        return f"refresh-{self.turn}"

    def add(self, number: int, *, file_url: str = "https://files.example/card.pdf", **changes: Any) -> dict[str, Any]:
        self.receipts[str(number)] = example_receipt(number=number, sku="card-a6", file_url=file_url) | changes
        return self.receipts[str(number)]

    def _token(self, sent: Sent) -> Answer:
        if sent.form != {"grant_type": "refresh_token", "client_id": "key", "refresh_token": self.refresh}:
            return 400, {"error": "invalid_grant"}
        self.turn += 1
        return 200, {
            "access_token": self.access,
            "refresh_token": self.refresh,
            "expires_in": 3600,
            "token_type": "Bearer",
        }

    def _refused(self, sent: Sent) -> Answer | None:
        if sent.headers.get("x-api-key") != "key:shared":
            return 403, {"error": "Shared secret is required in x-api-key header."}
        return (
            None if sent.headers.get("authorization") == f"Bearer {self.access}" else (401, {"error": "invalid_token"})
        )

    def _get(self, sent: Sent, id: str) -> Answer:
        found = self.receipts.get(id)
        return self._refused(sent) or ((200, found) if found else (404, {"error": "Resource not found"}))

    def _list(self, sent: Sent) -> Answer:
        wanted, offset = sent.query, int(sent.query["offset"])
        found = [
            each for each in self.receipts.values()
            if each["updated_timestamp"] >= int(wanted["min_last_modified"])
            and ("was_canceled" not in wanted or each["status"] == "Canceled")
            and ("was_paid" not in wanted or (each["is_paid"] and not each["is_shipped"]))
        ]  # fmt: skip
        return self._refused(sent) or (
            200,
            {"count": len(found), "results": found[offset : offset + int(wanted["limit"])]},
        )

    def _track(self, sent: Sent, id: str) -> Answer:
        if refused := self._refused(sent):
            return refused
        receipt = self.receipts[id]
        shipment = {
            "receipt_shipping_id": 1,
            "tracking_code": sent.form.get("tracking_code"),
            "carrier_name": sent.form.get("carrier_name"),
        }
        receipt.update(is_shipped=True, status="Completed", shipments=[*receipt["shipments"], shipment])
        return 200, receipt


def now() -> int:
    return int(time.time())
