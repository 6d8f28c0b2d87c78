"""What a Site Flow client asks for: an order, its files, the list of orders. Reads only what came through its connector."""

import json
import re
from collections.abc import Sequence

from django.db.models import Prefetch, QuerySet

from gelatoconnect.lib.ids import parse_id
from gelatoconnect.lib.problems import Problem, Rejected
from intake.connectors.base import Call, Reply
from intake.connectors.siteflow import answers
from intake.models import Connector, OrderRequest
from orders.models import Item, Order, PrintFile

MOST_LISTED = 100
MOST_COUNTED = 1_000  # orders: a list says no larger total, and no page goes beyond


def find(connector: Connector, named: Sequence[str], *, account: str) -> Order | OrderRequest | None:
    """An order by our id, by the id of its request, or by the sender's own: alone or after its account.

    The request is handed back as long as no order has been made of it. account: for which a service user acts.
    """
    id = named[-1]
    orders = Order.objects.select_related("customer", "address").filter(connector=connector.pk)
    requests = OrderRequest.objects.select_related("order__address").filter(
        connector=connector, topic__startswith="POST"
    )
    if key := parse_id(id):
        if order := orders.filter(pk=key).first():
            return order
        if request := requests.filter(pk=key).first():
            return request.order or request
    source_ids = list(dict.fromkeys(["/".join(named), f"{account}/{id}" if account else id, id]))
    for source_id in source_ids:
        if order := orders.filter(source_id=source_id).first():
            return order
    if len(named) == 1 and not account and (order := orders.filter(reference=id).order_by("-id").first()):
        return order
    return requests.filter(source_id__in=source_ids, order=None).order_by("-id").first()


def show_order(connector: Connector, named: Sequence[str], *, account: str) -> Reply:
    found = find(connector, named, account=account)
    if found is None:
        raise _unknown(named[-1])
    if isinstance(found, OrderRequest):
        return _reply(answers.request_document(found))
    return _reply(answers.with_tracking(answers.document(found), found))


def show_files(connector: Connector, named: Sequence[str], *, account: str) -> Reply:
    found = find(connector, named, account=account)
    if found is None:
        raise _unknown(named[-1])
    return _reply(answers.files_of(found) if isinstance(found, Order) else [])


def show_list(connector: Connector, channel: str, call: Call) -> Reply:
    """Newest first, by ?page= and ?pagesize=."""
    page, size = _number(call, "page", 1), min(_number(call, "pagesize", 20), MOST_LISTED)
    mine = Order.objects.filter(channel=channel, connector=connector.pk).order_by("-id")
    start = min((page - 1) * size, MOST_COUNTED)
    data = [answers.document(order) for order in _whole(mine)[start : min(start + size, MOST_COUNTED)]]
    total = mine[:MOST_COUNTED].count()
    return _reply({"success": True, "page": page, "pagesize": size, "total": total, "data": data})


def _whole(orders: QuerySet[Order]) -> QuerySet[Order]:
    """With all that a document says, in a few queries for all of them."""
    files = Prefetch("files", PrintFile.objects.order_by("id"))
    items = Prefetch("items", Item.objects.order_by("number").prefetch_related(files))
    return orders.select_related("address").prefetch_related(items)


def _number(call: Call, name: str, otherwise: int) -> int:
    said = call.query.get(name, "")
    return max(1, int(said)) if re.fullmatch(r"[0-9]{1,6}", said) else otherwise


def _reply(said: object) -> Reply:
    return Reply(200, json.dumps(said, ensure_ascii=False))


def _unknown(id: str) -> Rejected:
    problem = Problem("ORDER_UNKNOWN", f"No order {id[:80]!r} came through this connector.", hint="Check the id.")
    return Rejected([problem], status=404)
