"""Imports: looked at before anything is made, then taken order by order, once, whatever happens on the way."""

import csv
import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from gelatoconnect.lib import storage
from gelatoconnect.lib.problems import Rejected
from intake import imports, pipeline
from intake.imports.preview import LOOKED_AT_ONCE, result_rows
from intake.models import Connector, Import, OrderRequest
from intake.tables import drafts_of
from orders.events import deliver, sweep
from orders.models import Customer, CustomerProduct, Delivery, Event, Order, Product, ShipmentMethod, Trigger
from tests.factories import make_customer, make_order, make_product

HEADER = ["orderReferenceId", "itemReferenceId", "productUid", "sku", "quantity", "fileUrl", "retailPriceInclVat",
          "currency", "firstName", "lastName", "addressLine1", "city", "postCode", "country"]  # fmt: skip


def row(reference: str, **changes: str) -> dict[str, str]:
    values = ["1", "card-a6", "", "2", "https://files.example/card.pdf", "4,90", "EUR", "Ana", "Ruiz", "Karl Johans gate 4",
              "Oslo", "0154", "NO"]  # fmt: skip
    return dict(zip(HEADER, [reference, *values], strict=True)) | changes


def table(*rows: dict[str, str]) -> bytes:
    file = StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for each in rows for name in each)), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


@pytest.fixture
def bring(customer: Customer, product: Product) -> Callable[..., Import]:
    def make(*rows: dict[str, str], **more: Any) -> Import:
        return imports.bring(table(*rows), **{"file_name": "orders.csv", "customer": customer, "by": "user:ada"} | more)

    return make


def details(found: Import) -> list[dict[str, Any]]:
    return json.loads(storage.path_of(found.report["preview"]).read_bytes())


def deliver_next(kind: str) -> bool:
    return deliver(Delivery.objects.filter(event__kind=kind, state="due").latest("id").pk)


def fresh(found: Import) -> Import:
    return Import.objects.select_related("connector__customer", "customer").get(pk=found.pk)


def results(found: Import) -> list[list[str]]:
    found = fresh(found)
    entries = drafts_of(imports.table_of(found))
    requests = {each.key or "": each for each in imports.requests_of(found).select_related("order")}
    return list(result_rows(found, entries, [imports.key_of(found, each) for each in entries], requests=requests))[1:]


# --- the preview ------------------------------------------------------------------------------------
def test_a_file_is_looked_at_before_anything_is_made(bring: Callable[..., Import], customer: Customer) -> None:
    make_order(customer=customer, orderReferenceId="OLD")
    make_product(uid="gone", available=False)
    orders = Order.objects.count()
    found = bring(row("FINE"), row("TWO"), row("TWO", itemReferenceId="2"), row("WARN", lastName=""),
                  row("FAIL", productUid="gone"), row("BAD", quantity="two", postCode="15"),
                  row("UNMAPPED", productUid="", sku="X"), row("OLD"))  # fmt: skip
    assert found.report["counts"] == {"fine": 2, "warning": 1, "failing": 1, "refused": 2, "known": 1}
    assert [(each["reference"], each["result"], [(p["code"], p["line"], p["column"], p["value"]) for p in each["problems"]])
            for each in details(found)] == [
        ("FINE", "fine", []), ("TWO", "fine", []),
        ("WARN", "warning", [("ADDRESS_NAME_MISSING", 5, "lastName", "")]),
        ("FAIL", "failing", [("PRODUCT_UNAVAILABLE", 6, "productUid", "gone")]),
        ("BAD", "refused", [("FIELD_TYPE", 7, "quantity", "two"), ("ADDRESS_POSTCODE_FORMAT", 7, "postCode", "15")]),
        ("UNMAPPED", "refused", [("PRODUCT_UNMAPPED", 8, "sku", "X")]),
        ("OLD", "known", [("ORDER_DUPLICATE", 9, "orderReferenceId", "OLD")]),
    ]  # fmt: skip
    assert (found.state, found.rows, found.orders) == ("preview", 8, 7)
    assert (Order.objects.count(), OrderRequest.objects.count()) == (orders, 0)
    assert Event.objects.filter(kind__startswith="import.").count() == 0


def test_the_preview_says_what_the_pipeline_then_does(bring: Callable[..., Import], customer: Customer) -> None:
    """For each order: refused in the preview, refused by the pipeline, with the same codes."""
    found = bring(row("A"), row("B", country="XX"), row("C", quantity="0"), row("D", currency="ZZZ"),
                  row("E", fileUrl="x"), row(""), row("G", postCode="0"), row("H"), row("H", city="Bergen"))  # fmt: skip
    assert imports.start(found, by="user:ada")
    deliver_next("import.started")
    requests = {each.key: each for each in OrderRequest.objects.all()}
    for entry, said in zip(drafts_of(imports.table_of(found)), details(found), strict=True):
        request = requests[imports.key_of(found, entry)]
        refused = sorted(each["code"] for each in request.problems) if request.order is None else []
        assert sorted(each["code"] for each in said["problems"] if said["result"] == "refused") == refused
    assert [each["result"] for each in details(found)] == ["fine", *["refused"] * 7]


def test_looking_costs_the_same_queries_for_few_orders_and_for_many(
    customer: Customer, product: Product, django_assert_num_queries: Any
) -> None:
    ShipmentMethod.objects.create(uid="normal", name="Normal")
    CustomerProduct.objects.bulk_create(
        CustomerProduct(customer=customer, sku=f"S{n}", product=product) for n in range(300)
    )
    imports.connector_of(customer, by="user:ada")
    for count in (2, 300):
        rows = [row(f"R{n}", productUid="", sku=f"S{n}", shipmentMethodUid="normal") for n in range(count)]
        with django_assert_num_queries(6):  # connector, known, products, mapped, methods, the import itself
            found = imports.bring(table(*rows), file_name="a.csv", customer=customer, by="user:ada")
        assert found.report["counts"]["fine"] == count


def test_many_orders_are_looked_at_by_a_worker(bring: Callable[..., Import]) -> None:
    found = bring(*(row(f"R{n}") for n in range(LOOKED_AT_ONCE + 1)))
    assert ("counts" in found.report, found.orders) == (False, LOOKED_AT_ONCE + 1)
    deliver_next("import.brought")
    assert fresh(found).report["counts"]["fine"] == LOOKED_AT_ONCE + 1
    assert Order.objects.count() == 0


def test_how_the_file_was_read_is_kept(bring: Callable[..., Import]) -> None:
    report = bring(row("A", gift="yes")).report
    assert (report["encoding"], report["delimiter"], [each["name"] for each in report["columns"] if not each["known"]]) == (
        "utf-8", ";", ["gift"],
    )  # fmt: skip


def test_what_is_no_table_of_orders_is_not_kept(customer: Customer) -> None:
    with pytest.raises(Rejected):
        imports.bring(b"a,b\n1,2\n", file_name="a.csv", customer=customer, by="user:ada")
    assert (Import.objects.count(), Connector.objects.count()) == (0, 0)


# --- the connector ----------------------------------------------------------------------------------
def test_the_customers_connector_for_files_is_made_once(bring: Callable[..., Import], customer: Customer) -> None:
    first, second = bring(row("A")), bring(row("B"))
    (connector,) = Connector.objects.all()
    assert first.connector == second.connector == connector
    assert (connector.name, connector.type, connector.customer, connector.prevent_duplicates) == (
        "acme-csv", "csv", customer, True,
    )  # fmt: skip


def test_a_name_that_is_taken_is_no_obstacle(bring: Callable[..., Import]) -> None:
    Connector.objects.create(name="acme-csv", type="api")
    assert bring(row("A")).connector.name == "acme-csv-2"


def test_the_connectors_settings_fill_what_the_rows_leave_out(bring: Callable[..., Import], customer: Customer) -> None:
    settings = json.dumps({"currency": "NOK", "shipment_method": "express"})
    Connector.objects.create(name="files", type="csv", customer=customer, settings=settings)
    found = bring(row("A", currency=""), row("B"))
    imports.start(found, by="user:ada")
    deliver_next("import.started")
    assert set(Order.objects.values_list("reference", "currency", "shipment_method")) == {
        ("A", "NOK", "express"), ("B", "EUR", "express"),
    }  # fmt: skip


# --- the import -------------------------------------------------------------------------------------
def test_each_order_is_taken_and_a_bad_one_stops_no_other(bring: Callable[..., Import], customer: Customer) -> None:
    make_order(customer=customer, orderReferenceId="OLD")
    found = bring(row("A"), row("BAD", country="XX"), row("OLD"), row("A", itemReferenceId="2"), row("C", city="No\0rd"),
                  row("D"), email="ops@print.example")  # fmt: skip
    imports.start(found, by="user:ada")
    sweep(seconds=30)
    found = fresh(found)
    assert (found.state, found.accepted, found.refused, found.known, found.error) == ("done", 2, 2, 1, "")
    orders = Order.objects.exclude(reference="OLD").order_by("id")
    assert [(each.reference, each.channel, each.item_count) for each in orders] == [("A", "csv", 2), ("D", "csv", 1)]
    refused = OrderRequest.objects.filter(order=None).order_by("id")
    assert [(each.reference, each.state, each.topic) for each in refused] == [
        ("BAD", "rejected", "orders.csv: 3"), ("", "rejected", "orders.csv: 6"),
    ]  # fmt: skip
    assert [(each[0], each[1], each[3]) for each in results(found)] == [
        ("2", "A", "imported"), ("5", "A", "imported"), ("3", "BAD", "refused"), ("4", "OLD", "known"),
        ("6", "C", "refused"), ("7", "D", "imported"),
    ]  # fmt: skip
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["ops@print.example"], "Imported orders.csv: 2 of 5 orders")


def test_a_refused_order_is_mended_among_the_requests(bring: Callable[..., Import]) -> None:
    found = bring(row("A", quantity="1.000"))
    imports.start(found, by="user:ada")
    deliver_next("import.started")
    request = OrderRequest.objects.get()
    assert (fresh(found).refused, [each["code"] for each in request.problems]) == (1, ["FIELD_TYPE"])
    mended = bytes(request.body).replace(b'"quantity": "1.000"', b'"quantity": "1000"')
    assert pipeline.process_again(request, by="user:ada", body=mended).order is not None
    assert [each[3:4] for each in results(found)] == [["imported"]]


def test_nothing_is_made_twice_when_two_people_confirm(bring: Callable[..., Import]) -> None:
    found = bring(row("A"))
    assert [imports.start(found, by="user:ada"), imports.start(found, by="user:bob")] == [True, False]
    assert Event.objects.filter(kind="import.started").count() == 1
    sweep(seconds=30)
    assert (Order.objects.count(), fresh(found).state) == (1, "done")


class Killed(BaseException):
    """As if the process had ended."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """`killed_at(3)`: the worker dies in its third order, before or after storing it."""
    real = pipeline.take

    def dies(number: int, *, after: bool = False) -> None:
        calls = []

        def take(*args: Any, **more: Any) -> Any:
            calls.append(1)
            if len(calls) == number and not after:
                raise Killed
            outcome = real(*args, **more)
            if len(calls) == number:
                raise Killed
            return outcome

        monkeypatch.setattr(pipeline, "take", take)

    yield dies
    monkeypatch.setattr(pipeline, "take", real)


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_is_killed_in_the_middle_is_followed_by_another(
    bring: Callable[..., Import], killed_at: Callable, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    found = bring(row("A"), row("B", country="XX"), row("C"), row("D"), row("E"))
    imports.start(found, by="user:ada")
    real = pipeline.take
    killed_at(3, after=after)
    with pytest.raises(Killed):
        deliver_next("import.started")
    assert (fresh(found).state, Order.objects.count()) == ("running", 2 if after else 1)
    monkeypatch.setattr(pipeline, "take", real)
    Delivery.objects.filter(listener="import").update(due=timezone.now())
    sweep(seconds=30)
    found = fresh(found)
    assert (found.state, found.accepted, found.refused, found.known) == ("done", 4, 1, 0)
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["A", "C", "D", "E"]
    assert OrderRequest.objects.count() == 5


def test_one_that_is_stopped_keeps_what_was_made_and_goes_on_later(
    bring: Callable[..., Import], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 2)
    found = bring(*(row(name) for name in "ABCDE"))
    imports.start(found, by="user:ada")
    real = pipeline.take

    def take(*args: Any, **more: Any) -> Any:
        imports.stop(found, by="user:bob")
        return real(*args, **more)

    monkeypatch.setattr(pipeline, "take", take)
    deliver_next("import.started")
    stopped = fresh(found)
    assert (stopped.state, stopped.error, Order.objects.count()) == ("failed", "Stopped by bob.", 2)
    monkeypatch.setattr(pipeline, "take", real)
    assert imports.start(stopped, by="user:ada")
    sweep(seconds=30)
    found = fresh(found)
    assert (found.state, found.error, found.accepted, Order.objects.count()) == ("done", "", 5, 5)


def test_what_was_discarded_cannot_be_started(bring: Callable[..., Import]) -> None:
    found = bring(row("A"))
    assert (imports.discard(found), imports.start(found, by="user:ada")) == (True, False)
    assert (fresh(found).state, Order.objects.count(), Event.objects.count()) == ("discarded", 0, 0)


def test_a_fault_in_one_order_leaves_the_others_alone(
    bring: Callable[..., Import], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.take

    def take(incoming: Any, **more: Any) -> Any:
        if b'"B"' in incoming.body:
            raise ZeroDivisionError
        return real(incoming, **more)

    monkeypatch.setattr(pipeline, "take", take)
    found = bring(row("A"), row("B"), row("C"))
    imports.start(found, by="user:ada")
    deliver_next("import.started")
    found = fresh(found)
    assert (found.state, found.accepted, found.refused) == ("done", 2, 1)


def test_a_file_that_is_gone_fails_the_import_visibly(bring: Callable[..., Import]) -> None:
    found = bring(row("A"))
    storage.path_of(found.sha256).unlink()
    imports.start(found, by="user:ada")
    delivery = Delivery.objects.get(event__kind="import.started")
    for _ in range(len(imports.AGAIN) + 1):
        Delivery.objects.filter(pk=delivery.pk).update(due=timezone.now())
        deliver(delivery.pk)
    assert (fresh(found).state, fresh(found).error.split(":")[0]) == ("failed", "FileNotFoundError")


def test_the_same_file_again_is_known_and_makes_nothing(bring: Callable[..., Import]) -> None:
    for accepted, known in ((2, 0), (0, 2)):
        found = bring(row("A"), row("B"))
        imports.start(found, by="user:ada")
        deliver_next("import.started")
        assert (fresh(found).accepted, fresh(found).known) == (accepted, known)
    assert (Order.objects.count(), OrderRequest.objects.count()) == (2, 2)


def test_a_connector_that_allows_it_takes_a_reference_again(bring: Callable[..., Import], customer: Customer) -> None:
    Connector.objects.create(name="files", type="csv", customer=customer, prevent_duplicates=False)
    for _ in range(2):
        found = bring(row("A"))
        imports.start(found, by="user:ada")
        deliver_next("import.started")
    assert (found.report["counts"]["warning"], Order.objects.count()) == (1, 2)


def test_the_reference_of_another_customer_is_free(bring: Callable[..., Import]) -> None:
    make_order(customer=make_customer(), orderReferenceId="A")
    assert bring(row("A")).report["counts"]["fine"] == 1


def test_customers_are_not_told_what_staff_imports(bring: Callable[..., Import], customer: Customer) -> None:
    Trigger.objects.create(name="all", customer=customer, event="*", address="https://hooks.example/")
    found = bring(*(row(f"R{n}", country="XX") for n in range(LOOKED_AT_ONCE + 1)))
    imports.start(found, by="user:ada")
    imports.stop(found, by="user:ada")
    assert Delivery.objects.filter(listener="trigger").count() == 0


def test_no_cell_of_the_result_is_a_formula(bring: Callable[..., Import]) -> None:
    found = bring(row("=1+1", itemReferenceId="@x", country="+"))
    imports.start(found, by="user:ada")
    deliver_next("import.started")
    cells = [cell for line in results(found) for cell in line]
    assert cells[1:3] == ["'=1+1", "'@x"]
    assert [cell for cell in cells if cell[:1] in "=+-@" and cell] == []
