"""What is asked of a shop's Admin API (REST): metafields, orders, and the work that is assigned to us there.

An order's work stands in its fulfilment orders: each holds lines at one location. A fulfilment ships some of them, with one
tracking number; see https://shopify.dev/docs/api/admin-rest/latest/resources/fulfillmentorder.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from intake.connectors.base import Ask, Incoming, Talk, Told, ask_json, json_of
from intake.connectors.loose import get, links, number, rows, text
from intake.connectors.shopify.orders import FETCHED, Line, Reading, order_in
from orders.events import Permanent, TryLater

TOKEN = "X-Shopify-Access-Token"  # noqa: S105  # the header's name
PAGE = 100
LARGE = 32 * 1024 * 1024  # bytes of a page of orders
_NEXT = re.compile(r'<([^<>]*)>\s*;[^<]*\brel="?next"?')


@dataclass(frozen=True, slots=True)
class Admin:
    """The shop's Admin API: where it is, and the key to it. location: ours, where the shop knows us as a location."""

    url: str
    token: str
    location: str = ""

    def ask(self, method: str, path: str, data: Any = None, *, query: Mapping[str, str] = {}, **more: Any) -> Ask:
        if not self.token:
            raise Permanent("Fill in the Admin API access token at Settings → Connectors, then try again.")
        url = f"{self.url}/{path}.json" + (f"?{urlencode(query)}" if query else "")
        return ask_json(method, url, data, headers={TOKEN: self.token}, quiet=(TOKEN,), **more)

    def mine(self, found: Any) -> list[dict[str, Any]]:
        """Of fulfilment orders those at our location."""
        return [each for each in rows(found)
                if not self.location or text(get(each, "assigned_location_id")) in ("", self.location)]  # fmt: skip

    def pages(self, path: str, name: str, query: Mapping[str, str]) -> Talk[list[dict[str, Any]]]:
        """Everything in a list, page by page."""
        found: list[dict[str, Any]] = []
        following: Mapping[str, str] | None = query
        while following is not None:
            answer = yield self.ask("GET", path, query=following, max_answer=LARGE)
            said = json_of(answer)
            if not isinstance(said, dict) or name not in said:
                raise TryLater(f"The shop's answer to {path} was no list of {name}, or too long to be read.")
            found += rows(said[name])
            link = _NEXT.search(answer.headers.get("link", ""))
            # The rest of the address is ours: a key is not sent to wherever an answer says.
            following = dict(parse_qsl(urlsplit(link.group(1)).query)) if link else None
        return found


# --- orders -------------------------------------------------------------------------------------------
def orders_since(admin: Admin, since: datetime) -> Talk[list[dict[str, Any]]]:
    query = {"status": "any", "updated_at_min": since.isoformat(), "order": "updated_at asc", "limit": str(PAGE)}
    found = yield from admin.pages("orders", "orders", query)
    return found


def with_files(admin: Admin, body: bytes, *, metafield: str, reading: Reading) -> Talk[bytes]:
    """The order with the print files that the metafields of its variants, or else of its products, name."""
    order = order_in(body)
    known: dict[str, Any] = {}
    for place, said in enumerate(rows(get(order, "line_items"))):
        each = Line(said, place, reading)
        if each.left_out or each.files():
            continue
        for kind in ("variant", "product"):
            if id := text(get(said, f"{kind}_id")):
                path = f"{kind}s/{id}/metafields"
                if path not in known:
                    known[path] = yield from _metafield(admin, path, metafield)
                if links(known[path]):
                    said[FETCHED] = known[path]
                    break
    return json.dumps(order, ensure_ascii=False).encode()


def _metafield(admin: Admin, path: str, metafield: str) -> Talk[Any]:
    namespace, _, key = metafield.rpartition(".")
    query = {"namespace": namespace, "key": key}
    answer = yield admin.ask("GET", path, query=query, accept=(404,))  # a product that was deleted has none
    found = [each for each in rows(get(json_of(answer), "metafields"))
             if (text(get(each, "namespace")), text(get(each, "key"))) == (namespace, key)]  # fmt: skip
    return get(found[0], "value") if found else None


# --- a fulfilment service: what the merchant asks of us -------------------------------------------------
def asked_of_us(admin: Admin, kind: str) -> Talk[list[Incoming]]:
    """The fulfilment orders that wait for our yes or no, each as a request of its own. kind: as Shopify notifies."""
    status = {"FULFILLMENT_REQUEST": "fulfillment_requested", "CANCELLATION_REQUEST": "cancellation_requested"}[kind]
    query = {"assignment_status": status} | ({"location_ids[]": admin.location} if admin.location else {})
    answer = yield admin.ask("GET", "assigned_fulfillment_orders", query=query, max_answer=LARGE)
    found = []
    for each in admin.mine(get(json_of(answer), "fulfillment_orders")):
        id, order = text(get(each, "id")), text(get(each, "order_id"))
        said: dict[str, Any] = {"fulfillment_order": each}
        if status == "fulfillment_requested":
            answer = yield admin.ask("GET", f"orders/{order}", accept=(404,))
            said["order"] = get(json_of(answer), "order")
        key = f"{status}:{id}:{text(get(each, 'updated_at', 'created_at'))}"[:200]
        found.append(
            Incoming(json.dumps(said, ensure_ascii=False).encode(), topic=status, key=key, source_id=key[:120])
        )
    return found


def accept_request(admin: Admin, fulfillment_order: str) -> Talk[None]:
    """Say yes to the work. A second time is no harm: then it has been accepted."""
    said = {"fulfillment_request": {"message": "Accepted"}}
    yield admin.ask("POST", f"fulfillment_orders/{fulfillment_order}/fulfillment_request/accept", said, accept=(422,))


def reject_request(admin: Admin, fulfillment_order: str, *, why: str) -> Talk[None]:
    said = {"fulfillment_request": {"message": why}}
    yield admin.ask("POST", f"fulfillment_orders/{fulfillment_order}/fulfillment_request/reject", said, accept=(422,))


# --- telling the shop -----------------------------------------------------------------------------------
def fulfilment_orders(admin: Admin, order: str) -> Talk[list[dict[str, Any]]]:
    answer = yield admin.ask("GET", f"orders/{order}/fulfillment_orders", max_answer=LARGE)
    return admin.mine(get(json_of(answer), "fulfillment_orders"))


def ship(admin: Admin, told: Told, order: str, *, notify: bool) -> Talk[None]:
    """A fulfilment for each parcel, of what the shop still waits for. What is closed already is not shipped twice."""
    found = yield from fulfilment_orders(admin, order)
    due = _due(found, {item.reference for item in told.items if item.quantity_due})
    if not due:
        _explain(found, told)
        return
    parcels = list(_parcels(told))
    if len(parcels) > 1:
        answer = yield admin.ask("GET", f"orders/{order}/fulfillments", max_answer=LARGE)
        known = {number for each in rows(get(json_of(answer), "fulfillments")) for number in _numbers(each)}
        parcels = [(package, pieces) for package, pieces in parcels if package.get("tracking_code") not in known]
    for package, pieces in parcels:
        for lines in _shares(due, pieces):
            said = {"notify_customer": notify, "line_items_by_fulfillment_order": lines}
            if package.get("tracking_code"):
                said["tracking_info"] = _tracking(package)
            yield admin.ask("POST", "fulfillments", {"fulfillment": said})


def _tracking(package: dict[str, Any]) -> dict[str, str]:
    said = {"number": package["tracking_code"], "url": package.get("tracking_url"), "company": package.get("carrier")}
    return {name: value for name, value in said.items() if value}


@dataclass
class Due:
    """A line of an open fulfilment order, and how many of it are still to be shipped."""

    fulfilment_order: Any
    location: str
    id: Any
    line: str
    left: int


def _due(found: list[dict[str, Any]], lines: set[str]) -> list[Due]:
    open_ = [each for each in found if text(get(each, "status")).lower() in ("open", "in_progress")]
    due = [
        Due(get(each, "id"), text(get(each, "assigned_location_id")), get(item, "id"), text(get(item, "line_item_id")),
            int(number(get(item, "fulfillable_quantity", "quantity")) or 0))
        for each in open_ for item in rows(get(each, "line_items"))
    ]  # fmt: skip
    return [each for each in due if each.line in lines and each.left > 0]


def _explain(found: list[dict[str, Any]], told: Told) -> None:
    """Nothing is open: it is done, unless the shop holds it back, or has our lines elsewhere."""
    held = [each for each in found if text(get(each, "status")).lower() in ("on_hold", "scheduled")]
    if held:
        raise TryLater("The shop holds the order back: its fulfilment order is on hold or scheduled.")
    if not found:
        raise Permanent(f"The shop has no fulfilment order of {told.order.reference} at our location: "
                        "check the location in the connector's settings.")  # fmt: skip


def _parcels(told: Told) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
    """Each parcel with its pieces by the shop's line id. One parcel, or one whose contents are not known: everything."""
    lines = {str(item.pk): item.reference for item in told.items}
    everything: dict[str, int] = {}
    for item in told.items:
        everything[item.reference] = everything.get(item.reference, 0) + item.quantity_due
    if len(told.packages) < 2 or not all(package.get("contents") for package in told.packages):
        yield (told.tracked or told.packages or [{}])[0], everything
        return
    for package in told.packages:
        pieces: dict[str, int] = {}
        for item, count in package["contents"].items():
            pieces[lines.get(item, "")] = pieces.get(lines.get(item, ""), 0) + count
        yield package, pieces


def _shares(due: list[Due], pieces: dict[str, int]) -> Iterator[list[dict[str, Any]]]:
    """The pieces as the shop wants them named: one fulfilment for each location, so many of each.

    Takes them off `due`.
    """
    wanted = dict(pieces)
    by_location: dict[str, dict[Any, list[dict[str, Any]]]] = {}
    for each in due:
        count = min(each.left, wanted.get(each.line, 0))
        if count > 0:
            each.left -= count
            wanted[each.line] -= count
            lines = by_location.setdefault(each.location, {}).setdefault(each.fulfilment_order, [])
            lines.append({"id": each.id, "quantity": count})
    for shares in by_location.values():
        yield [{"fulfillment_order_id": id, "fulfillment_order_line_items": lines} for id, lines in shares.items()]


def _numbers(fulfilment: dict[str, Any]) -> Iterator[str]:
    many = get(fulfilment, "tracking_numbers")
    yield from (text(each) for each in (many if isinstance(many, list) else []))
    yield text(get(fulfilment, "tracking_number"))


def answer_cancellation(admin: Admin, order: str, *, canceled: bool, reason: str) -> Talk[None]:
    """Yes or no to a cancellation that was requested; where none was, a cancellation of ours hands the work back."""
    found = yield from fulfilment_orders(admin, order)
    for each in found:
        path, asked = f"fulfillment_orders/{text(get(each, 'id'))}", text(get(each, "request_status")).lower()
        word = "accept" if canceled else "reject"
        if asked == "cancellation_requested":
            said = {"cancellation_request": {"message": reason or f"{word.title()}ed"}}
            yield admin.ask("POST", f"{path}/cancellation_request/{word}", said, accept=(422,))
        elif canceled and asked == "submitted":
            said = {"fulfillment_request": {"message": reason or "Canceled by the producer"}}
            yield admin.ask("POST", f"{path}/fulfillment_request/reject", said, accept=(422,))
        elif canceled and asked == "accepted" and text(get(each, "status")).lower() in ("open", "in_progress"):
            said = {"fulfillment_order": {"message": reason or "Canceled by the producer"}}
            yield admin.ask("POST", f"{path}/close", said, accept=(422,))
