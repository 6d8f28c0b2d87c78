"""Names that nobody has mapped, and what is tried again once somebody has."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from intake import pipeline, products
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Incoming
from intake.models import Connector, OrderRequest, Unmapped
from orders.events import deliver, sweep
from orders.models import CustomerProduct, Delivery, Event, Order, Product
from orders.services import move

FILE = [{"url": "https://files.example/a.pdf"}]


@pytest.fixture
def send(
    connector: Connector, product: Product, order_body: Callable[..., dict[str, Any]]
) -> Callable[..., OrderRequest]:
    def call(reference: str, *items: dict[str, Any], **changes: Any) -> OrderRequest:
        body = order_body(reference, items=[{"quantity": 1, "files": FILE} | item for item in items], **changes)
        pipeline.take(Incoming(json.dumps(body).encode()), connector=connector)
        return OrderRequest.objects.latest("id")

    return call


def map_to(sku: str, product: Product) -> products.Retried:
    return products.map_to(Unmapped.objects.get(sku=sku), product, by="user:ada")


def states(*requests: OrderRequest) -> list[str]:
    return [OrderRequest.objects.get(pk=request.pk).state for request in requests]


def waiting() -> dict[str, int]:
    return {str(name): name.waiting.count() for name in Unmapped.objects.all()}


def test_a_name_is_gathered_once_with_all_that_wait(send: Callable) -> None:
    send("A-1", {"sku": "MUG"}, {"sku": "MUG"})
    send("A-2", {"sku": "MUG"})
    assert waiting() == {"MUG": 2}


def test_a_request_with_two_names_waits_until_both_are_mapped(send: Callable, product: Product) -> None:
    request = send("A-1", {"sku": "MUG"}, {"sku": "CUP"})
    retried = map_to("MUG", product)
    assert (states(request), retried.made, waiting()) == (["rejected"], 0, {"CUP": 1})
    assert map_to("CUP", product).made == 1
    assert (states(request), waiting()) == (["accepted"], {})


def test_what_becomes_an_order_waits_no_more(send: Callable, order_body: Callable) -> None:
    request = send("A-1", {"sku": "MUG"})
    pipeline.process_again(request, by="user:ada", body=json.dumps(order_body("A-1")).encode())
    assert (states(request), waiting()) == (["accepted"], {"MUG": 0})


def test_a_request_waits_for_what_it_names_now(send: Callable, order_body: Callable) -> None:
    request = send("A-1", {"sku": "MUG"})
    body = order_body("A-1", items=[{"sku": "CUP", "quantity": 1, "files": FILE}])
    pipeline.process_again(request, by="user:ada", body=json.dumps(body).encode())
    assert waiting() == {"MUG": 0, "CUP": 1}


def test_what_was_set_aside_because_nothing_was_to_be_printed_is_tried_and_what_a_person_set_aside_is_not(
    send: Callable, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = send("A-1", {"sku": "MUG"})
    OrderRequest.objects.filter(pk=refused.pk).update(state="ignored")
    monkeypatch.setattr(CONNECTOR_TYPES["api"], "mixed", True, raising=False)
    monkeypatch.setattr(CONNECTOR_TYPES["api"], "answer", lambda *_: "{}", raising=False)
    aside = send("A-2", {"sku": "MUG", "files": []})
    partly = send("A-3", {"productUid": product.uid}, {"sku": "MUG", "files": []})
    assert states(refused, aside, partly) == ["ignored", "ignored", "accepted"]
    retried = products.map_to(Unmapped.objects.get(), product, by="user:ada", file_url="https://files.example/mug.pdf")
    assert states(refused, aside, partly) == ["ignored", "accepted", "accepted"]
    assert [request.pk for request in retried.requests] == [aside.pk]
    assert Order.objects.get(reference="A-2").items.get().files.get().url == "https://files.example/mug.pdf"


def test_failed_orders_of_the_name_are_retried_and_no_others(send: Callable, product: Product) -> None:
    drafts = [send(name, item, orderType="draft").order for name, item in
              [("A-1", {"sku": "MUG"}), ("A-2", {"sku": "CUP"}), ("A-3", {"productName": "Mug"})]]  # fmt: skip
    failed = [move(move(order, Order.submit, by="user:ada"), Order.fail, by="system", problems=[]) for order in drafts]
    send("A-4", {"sku": "MUG"})
    retried = map_to("MUG", product)
    assert [order.pk for order in retried.orders] == [failed[0].pk]
    assert [Order.objects.get(pk=order.pk).status for order in failed] == ["received", "failed", "failed"]


def test_only_so_many_are_tried_at_once_and_a_worker_tries_the_rest(
    send: Callable, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "AT_ONCE", 2)
    monkeypatch.setattr(products, "IN_ONE", 2)
    requests = [send(f"A-{number}", {"sku": "MUG"}) for number in range(5)]
    retried = map_to("MUG", product)
    assert (states(*requests), retried.made, retried.later) == (["accepted"] * 2 + ["rejected"] * 3, 2, 3)
    assert Event.objects.filter(kind="product.mapped").count() == 3
    Delivery.objects.exclude(listener="mapped").update(state="done")  # their print files are nowhere
    sweep(seconds=10)
    assert states(*requests) == ["accepted"] * 5


def test_what_is_tried_twice_makes_no_second_order_and_tells_nobody_else(send: Callable, product: Product) -> None:
    send("A-1", {"sku": "MUG"})
    map_to("MUG", product)
    mapped = Delivery.objects.filter(event__kind="product.mapped")
    assert [delivery.listener for delivery in mapped] == ["mapped"]
    mapped.update(state="due", lease=None)
    assert deliver(mapped.get().pk)
    assert Order.objects.count() == 1


def test_a_fault_of_ours_stops_none_of_the_others(
    send: Callable, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = send("A-1", {"sku": "MUG"}), send("A-2", {"sku": "MUG"})
    again = pipeline.process_again

    def faulty(request: OrderRequest, **more: Any) -> Any:
        if request.pk == first.pk:
            raise KeyError("sku")
        return again(request, **more)

    monkeypatch.setattr(pipeline, "process_again", faulty)
    map_to("MUG", product)
    assert states(first, second) == ["rejected", "accepted"]
    assert Delivery.objects.get(listener="mapped").state == "due"
    monkeypatch.undo()
    Delivery.objects.filter(listener="mapped").update(due="2020-01-01T00:00Z")
    Delivery.objects.exclude(listener="mapped").update(state="done")
    sweep(seconds=5)
    assert states(first) == ["accepted"]


def test_mapping_again_changes_the_mapping_and_makes_no_second_one(send: Callable, product: Product) -> None:
    send("A-1", {"sku": "MUG"})
    other = Product.objects.create(uid="mug", name="Mug", trim_width=1, trim_height=1)
    CustomerProduct.objects.create(customer=Unmapped.objects.get().customer, sku="MUG", product=other)
    map_to("MUG", product)
    assert [(each.sku, each.product.uid) for each in CustomerProduct.objects.all()] == [("MUG", product.uid)]
