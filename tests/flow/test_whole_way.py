"""The product as its users meet it: real processes, a real API client, people at forms, a real receiver of webhooks."""

from collections.abc import Callable
from typing import Any

from standardwebhooks import Webhook

from tests.flow.house import CustomerSite, House, Person, until

CUSTOMER, SYSTEM = "connector:acme-shop", "system"
HISTORY = [
    ("order.received", "connector:acme-shop", "received"),
    ("order.passed", "system", "passed"),
    ("order.created", "system", "created"),
    ("order.in_production", "user:operator", "in_production"),
    ("order.printed", "user:operator", "printed"),
    ("package.packed", "user:packer", ""),
    ("order.packaged", "user:packer", "packaged"),
    ("package.labeled", "carrier:manual", ""),
    ("order.shipped", "user:packer", "shipped"),
    ("package.status_updated", "user:packer", ""),
    ("package.status_updated", "user:packer", ""),
    ("order.in_transit", "user:packer", "in_transit"),
    ("package.status_updated", "user:packer", ""),
    ("order.delivered", "user:packer", "delivered"),
]


def test_an_order_comes_from_its_senders_system_to_its_recipients_door(
    house: House, site: CustomerSite, order_body: Callable[..., dict[str, Any]], good_pdf: bytes
) -> None:
    id = house.submit(order_body("FLOW-1", url=site.add("flow.pdf", good_pdf)))
    house.wait_for(id, "created")

    operator = Person(house, "operator")
    operator.act(id, "start")
    operator.act(id, "finish")
    packer = Person(house, "packer")
    item = house.order(id)["items"][0]
    packer.send(f"/orders/{id}/pack", page=f"/orders/{id}/pack", action="close", **{f"item-{item['id']}": 2})
    code = until(lambda: house.order(id)["shipment"]["packages"][0]["trackingCode"])
    packer.act(id, "ship")
    until(lambda: house.order(id)["shipment"]["packages"][0]["status"] == "shipped")
    for seen in ("in_transit", "delivered"):
        packer.send("/scan", page="/scan", code=code, status=seen)
    house.wait_for(id, "delivered")

    history = house.call("GET", f"/api/orders/{id}/history")[1]["history"]
    assert [(entry["event"], entry["by"], entry["to"]) for entry in history] == HISTORY
    hooks = until(lambda: len(found := hooks_of(site, id)) == len(HISTORY) and found)
    told = [Webhook(site.secret).verify(hook.body, hook.headers) for hook in hooks]
    assert [(each["type"], each["data"]["sequence"]) for each in told] == [
        (kind, number) for number, (kind, _, _) in enumerate(HISTORY, 1)
    ]
    assert [hook.headers["webhook-id"] for hook in hooks] == [each["data"]["eventId"] for each in told]


def hooks_of(site: CustomerSite, order: str) -> list[Any]:
    return [hook for hook in site.hooks if hook.data.get("order", {}).get("id") == order]
