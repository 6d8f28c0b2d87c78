"""The page of customers' products: what nobody has mapped yet, one click to map it, and the mappings there are."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from intake import pipeline, products
from intake.connectors.base import Incoming
from intake.models import Connector, OrderRequest, Unmapped
from orders.models import CustomerProduct, Order, Product
from tests.factories import make_customer, make_product

FILE = [{"url": "https://files.example/a.pdf"}]


@pytest.fixture
def send(
    connector: Connector, product: Product, order_body: Callable[..., dict[str, Any]]
) -> Callable[..., OrderRequest]:
    def call(reference: str, *, through: Connector = connector, **item: Any) -> OrderRequest:
        body = order_body(reference, items=[{"quantity": 1, "files": FILE} | item])
        pipeline.take(Incoming(json.dumps(body).encode()), connector=through)
        return OrderRequest.objects.latest("id")

    return call


def rows(client: Client, question: str = "") -> list[tuple[str, str, int]]:
    groups = client.get(f"/products{question}").context["groups"]
    return [(str(customer), str(row["name"]), row["count"]) for customer, some in groups for row in some]


def test_unmapped_names_are_gathered_by_customer_with_what_waits(manager: Client, send: Callable) -> None:
    other = Connector.objects.create(name="beta", customer=make_customer(name="Beta", reference="beta"))
    for reference in ("A-1", "A-2"):
        send(reference, sku="MUG-11OZ")
    send("A-3", productName="Poster", productVariant={"size": "A2"})
    send("B-1", through=other, sku="MUG-11OZ")
    assert rows(manager) == [("Acme Gifts", "MUG-11OZ", 2), ("Acme Gifts", "Poster", 1), ("Beta", "MUG-11OZ", 1)]
    assert rows(manager, "?customer=beta") == [("Beta", "MUG-11OZ", 1)]
    assert rows(manager, "?q=post") == [("Acme Gifts", "Poster", 1)]
    page = manager.get("/products")
    example = page.context["groups"][0][1][0]["example"]
    assert example.reference == "A-2"
    assert "size=A2" in page.content.decode()


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_queries_for_one_row_and_for_three(
    manager: Client, send: Callable, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        send(f"A-{number}", sku=f"SKU-{number}")
    # session, person, permissions (2), counts (2), ids, page, products, waiting, examples, mappings, customers
    with django_assert_num_queries(13):
        assert len(rows(manager)) == count


@pytest.mark.parametrize("count", [1, 3])
def test_the_mappings_cost_the_same_queries_for_one_row_and_for_three(
    manager: Client, product: Product, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        CustomerProduct.objects.create(customer=make_customer(), sku=f"SKU-{number}", product=product)
    with django_assert_num_queries(9):  # session, person, permissions (2), counts (2), ids, page, customers
        assert len(manager.get("/products/mapped").context["page"].rows) == count


def test_one_click_maps_a_name_and_tries_all_that_waited(manager: Client, send: Callable, product: Product) -> None:
    waiting = [send("A-1", sku="MUG-11OZ"), send("A-2", sku="MUG-11OZ")]
    two = send("A-3", sku="OTHER")
    page = manager.post(
        reverse("intake:product-map", args=[Unmapped.objects.get(sku="MUG-11OZ").pk]), {"product": product.uid}
    )
    assert page.context["title"] == "MUG-11OZ is Card A6 now"
    assert [(each.pk, each.state, each.order.reference) for each in page.context["retried"].requests] == [
        (waiting[0].pk, "accepted", "A-1"), (waiting[1].pk, "accepted", "A-2"),
    ]  # fmt: skip
    assert [str(name) for name in Unmapped.objects.all()] == ["OTHER"]
    assert set(Order.objects.get(reference="A-1").events.values_list("by", flat=True)) == {"user:ada"}
    two.refresh_from_db()
    assert two.state == "rejected"
    assert send("A-4", sku="MUG-11OZ").state == "accepted"


def test_a_name_is_mapped_with_options_and_a_print_file(manager: Client, send: Callable, product: Product) -> None:
    send("A-1", productName="Poster", productVariant={"size": "A2"})
    name = Unmapped.objects.get()
    manager.post(reverse("intake:product-map", args=[name.pk]), {
        "product": product.uid, "attributes": "paper=silk, edge=round", "file_url": "https://files.example/p.pdf",
        "every_variant": "on"})  # fmt: skip
    mapping = CustomerProduct.objects.get()
    assert (mapping.name, mapping.variant, mapping.attributes) == ("Poster", {}, {"paper": "silk", "edge": "round"})
    assert mapping.file_url == "https://files.example/p.pdf"
    assert Order.objects.get().items.get().variant == {"paper": "silk", "edge": "round", "size": "A2"}
    assert send("A-2", productName="Poster", productVariant={"size": "A3"}).state == "accepted"


@pytest.mark.parametrize(
    "answers",
    [{}, {"product": "nothing"}, {"product": "\0"}, {"product": "card-a6", "attributes": "silk"},
     {"product": "card-a6", "attributes": "{"}, {"product": "card-a6", "file_url": "x"}],
)  # fmt: skip
def test_what_cannot_be_mapped_says_so_and_changes_nothing(
    manager: Client, send: Callable, answers: dict[str, str]
) -> None:
    send("A-1", sku="MUG-11OZ")
    page = manager.post(reverse("intake:product-map", args=[Unmapped.objects.get().pk]), answers)
    assert (page.status_code, bool(page.context["form"].errors)) == (200, True)
    assert (CustomerProduct.objects.count(), Unmapped.objects.count(), Order.objects.count()) == (0, 1, 0)


def test_the_product_that_is_most_alike_is_offered_first(manager: Client, send: Callable) -> None:
    for uid, name in [("poster-30x40", "Poster 30 × 40 cm"), ("mug-11", "Mug 11 oz"), ("card-a5", "Card A5")]:
        make_product(uid=uid, name=name)
    send("A-1", sku="CARD_A6_GLOSS")
    send("A-2", sku="PLAKAT-30-40")
    send("A-3", sku="4057216001234")
    offered = {
        str(row["name"]): [each.uid for each in row["suggested"]]
        for row in manager.get("/products").context["groups"][0][1]
    }
    assert offered["CARD_A6_GLOSS"][0] == "card-a6"
    assert offered["PLAKAT-30-40"] == ["poster-30x40"]
    assert offered["4057216001234"] == []


def test_suggestions_stay_quick_among_thousands_of_products() -> None:
    many = [Product(uid=f"poster-{number}x{number}", name=f"Poster {number}") for number in range(5000)]
    assert products.closest("poster 4711", many)[0].uid == "poster-4711x4711"


def test_what_is_not_ours_is_hidden_and_may_come_back(manager: Client, send: Callable) -> None:
    send("A-1", sku="GIFT-CARD")
    where = reverse("intake:product-ignore", args=[Unmapped.objects.get().pk])
    manager.post(where, {"ignored": "yes"})
    assert (rows(manager), rows(manager, "?view=ignored")) == ([], [("Acme Gifts", "GIFT-CARD", 1)])
    send("A-2", sku="GIFT-CARD")
    assert rows(manager) == []
    manager.post(where, {"ignored": "no"})
    assert rows(manager) == [("Acme Gifts", "GIFT-CARD", 2)]


def test_a_mapping_that_was_made_elsewhere_is_filled_in(manager: Client, send: Callable, product: Product) -> None:
    request = send("A-1", sku="MUG-11OZ")
    CustomerProduct.objects.create(customer=request.customer, sku="MUG-11OZ", product=product)
    assert f'value="{product.uid}"' in manager.get("/products").content.decode()
    manager.post(reverse("intake:product-map", args=[Unmapped.objects.get().pk]), {"product": product.uid})
    assert (CustomerProduct.objects.count(), Order.objects.count()) == (1, 1)


def test_a_mapping_is_edited_and_removed(manager: Client, send: Callable, product: Product, customer: Any) -> None:
    mapping, other = (
        CustomerProduct.objects.create(customer=customer, sku="MUG", product=product),
        make_product(uid="mug"),
    )
    manager.post(reverse("intake:product-edit", args=[mapping.pk]), {"product": other.pk, "attributes": "glaze=matt"})
    mapping.refresh_from_db()
    assert (mapping.product, mapping.attributes, mapping.sku) == (other, {"glaze": "matt"}, "MUG")
    assert 'value="glaze=matt"' in manager.get(reverse("intake:product-edit", args=[mapping.pk])).content.decode()
    assert manager.get(reverse("intake:product-remove", args=[mapping.pk])).status_code == 200
    assert CustomerProduct.objects.count() == 1
    manager.post(reverse("intake:product-remove", args=[mapping.pk]))
    assert CustomerProduct.objects.count() == 0


@pytest.mark.parametrize("question", ["?customer=x&view=x&q=%00&cursor=x", "?view=", "?q=%"])
def test_questions_that_make_no_sense_are_answered_by_a_page(manager: Client, send: Callable, question: str) -> None:
    send("A-1", sku="MUG")
    assert [manager.get(f"/products{more}{question}").status_code for more in ("", "/mapped")] == [200, 200]


def test_those_who_may_only_read_change_nothing(sign_in: Callable, send: Callable, product: Product) -> None:
    request = send("A-1", sku="MUG")
    name, accountant = Unmapped.objects.get(), sign_in("Accountant")
    mapping = CustomerProduct.objects.create(customer=request.customer, sku="CUP", product=product)
    assert rows(accountant) == [("Acme Gifts", "MUG", 1)]
    assert reverse("intake:product-map", args=[name.pk]) not in accountant.get("/products").content.decode()
    for where, pk in [("product-map", name.pk), ("product-ignore", name.pk), ("product-edit", mapping.pk),
                      ("product-remove", mapping.pk)]:  # fmt: skip
        assert (
            accountant.post(reverse(f"intake:{where}", args=[pk]), {"product": "card-a6", "ignored": "yes"}).status_code
            == 403
        )
    name.refresh_from_db()
    assert (name.ignored, CustomerProduct.objects.count(), Order.objects.count()) == (False, 1, 0)
    assert sign_in("Print operator", "bob").get("/products").status_code == 403
