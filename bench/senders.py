"""Customers' systems at work: processes that send orders one after the other over connections that stay open."""

import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter

KEY = "bench:bench"
CLIENTS = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: its times by the machine's own clock (seconds) and its status, 0 when none came."""

    started: float
    ended: float
    status: int

    @property
    def milliseconds(self) -> float:
        return (self.ended - self.started) * 1000


def order_body(reference: str, *, url: str = "https://files.example/card.pdf", items: int = 2) -> bytes:
    """An order as a shop sends it: so many items, each with one print file and a little metadata."""
    return json.dumps(
        {
            "orderReferenceId": reference, "currency": "EUR", "shipmentMethodUid": "normal,standard",
            "metadata": {"shop": "bench", "campaign": "autumn"},
            "shippingAddress": {
                "firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Karl Johans gate 4", "city": "Oslo",
                "postCode": "0154", "country": "NO", "email": "ana@example.com", "phone": "+47 22 12 34 56",
            },
            "items": [
                {"itemReferenceId": f"{number}", "productUid": "card-a6", "quantity": 2, "retailPriceInclVat": "4.90",
                 "files": [{"type": "default", "url": url}], "metadata": {"design": f"D-{number}"}}
                for number in range(1, items + 1)
            ],
        }
    ).encode()  # fmt: skip


# A request that only waits to be sent: method, path, headers, body.
Prepared = tuple[str, str, dict[str, str], bytes]


def send_orders(count: int, *, port: int, prefix: str, clients: int = CLIENTS, items: int = 2) -> list[Sent]:
    """`count` orders shared among so many clients, who all send at the same time."""
    headers = {"X-API-KEY": KEY, "Content-Type": "application/json"}
    orders = [order_body(f"{prefix}-{number}", items=items) for number in range(count)]
    return send_all([("POST", "/api/orders", headers, body) for body in orders], port=port, clients=clients)


def send_all(requests: Sequence[Prepared], *, port: int, clients: int = CLIENTS) -> list[Sent]:
    """The requests shared among so many clients, each sending one after the other on a connection that stays open."""
    with ProcessPoolExecutor(clients, mp_context=get_context("spawn")) as pool:
        shares = [pool.submit(_send, requests[number::clients], port) for number in range(clients)]
        return [sent for share in shares for sent in share.result()]


def rate(sent: Sequence[Sent]) -> float:
    """Requests a second, from the first one's start to the last one's end."""
    return len(sent) / (max(each.ended for each in sent) - min(each.started for each in sent))


def _send(requests: Sequence[Prepared], port: int) -> list[Sent]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = []
    for method, path, headers, body in requests:
        status, started = 0, perf_counter()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
        sent.append(Sent(started, perf_counter(), status))
    return sent
