"""Two of the ways in as senders meet them: a platform that calls and is signalled, and a folder that is looked into."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from intake.connectors import CONNECTOR_TYPES
from tests.flow import shop
from tests.flow.house import CustomerSite, House, Person, until


def test_a_platform_s_order_is_made_and_every_step_is_signalled(
    house: House, site: CustomerSite, good_pdf: bytes
) -> None:
    kind = CONNECTOR_TYPES["cloudprinter"]
    config = kind.Config.model_validate({"key": shop.PLATFORM_KEY, "signal_key": shop.SIGNAL_KEY})
    call = kind.example(config, number=1, sku="card-a6", file_url=site.add("platform.pdf", good_pdf))
    [(connector,)] = house.ask("SELECT id FROM intake_connector WHERE name = ?", shop.PLATFORM)
    status, _ = house.call("POST", f"/in/{UUID(connector)}", json.loads(call.body))
    assert status == 200
    again, _ = house.call("POST", f"/in/{UUID(connector)}", json.loads(call.body))
    assert again == 200

    [(order,)] = until(lambda: house.ask("SELECT id FROM orders_order WHERE channel = 'cloudprinter'"))
    id = str(UUID(order))
    house.wait_for(id, "created")
    operator, packer = Person(house, "operator"), Person(house, "packer")
    operator.act(id, "start")
    operator.act(id, "finish")
    item = house.order(id)["items"][0]
    packer.send(
        f"/orders/{id}/pack", page=f"/orders/{id}/pack", action="close", **{f"item-{item['id']}": item["quantity"]}
    )
    code = until(lambda: house.order(id)["shipment"]["packages"][0]["trackingCode"])
    packer.act(id, "ship")

    def signals() -> list[dict[str, Any]]:
        return [said for hook in site.hooks if "apikey" in (said := json.loads(hook.body))]

    told = until(lambda: len(found := signals()) == 5 and found)
    assert [each["type"] for each in told] == [
        "ItemRegistered", "ItemProduce", "ItemProduced", "ItemPacked", "ItemShipped",
    ]  # fmt: skip
    assert {each["apikey"] for each in told} == {shop.SIGNAL_KEY}
    assert told[-1]["tracking"] == code


def test_an_order_and_its_print_file_laid_into_a_folder_are_made(
    house: House, order_body: Callable[..., dict[str, Any]], good_pdf: bytes
) -> None:
    inbox = house.folder / "folders" / "acme" / "in"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "card.pdf").write_bytes(good_pdf)
    (inbox / "order.json.part").write_text(json.dumps(order_body("LAID-1", url="card.pdf")))
    (inbox / "order.json.part").rename(inbox / "order.json")
    until(lambda: house.ask("SELECT 1 FROM orders_order WHERE reference = 'LAID-1' AND status = 'created'"), seconds=40)
    assert sorted(path.name for path in (inbox.parent / "processed").iterdir()) == ["card.pdf", "order.json"]
    assert list(inbox.iterdir()) == []
