import csv
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from gelatoconnect.lib import storage
from intake.imports.preview import LOOKED_AT_ONCE
from intake.imports.template import as_csv
from intake.models import Import, OrderRequest
from intake.tables import read_table
from intake.views.imports import SHOWN
from orders.events import sweep
from orders.models import Customer, Order, Product
from tests.factories import make_customer
from tests.intake.test_imports import row, table


def upload(client: Client, raw: bytes, *, name: str = "orders.csv", customer: str = "acme", email: str = "") -> Any:
    file = SimpleUploadedFile(name, raw)
    return client.post(reverse("intake:import-new"), {"customer": customer, "file": file, "email": email}, follow=True)


def press(client: Client, verb: str, found: Import) -> list[str]:
    answer = client.post(reverse("intake:import-act", args=[found.pk, verb]), follow=True)
    return [str(message) for message in answer.context["messages"]]


def shown(client: Client, found: Import, question: str = "") -> Any:
    return client.get(reverse("intake:import", args=[found.pk]) + question)


@pytest.fixture(autouse=True)
def shop(customer: Customer, product: Product) -> None:
    """A customer and a product."""


def test_a_file_is_brought_looked_at_confirmed_and_imported(manager: Client) -> None:
    page = upload(manager, table(row("A"), row("B", country="XX")), email="ops@print.example")
    found = Import.objects.get()
    assert page.redirect_chain[-1][0] == reverse("intake:import", args=[found.pk])
    assert (found.by, found.email, Order.objects.count()) == ("user:ada", "ops@print.example", 0)
    assert (page.context["will"], page.context["refresh"]) == (1, 0)
    assert [entry["reference"] for entry in page.context["entries"]] == ["B"]  # those with problems come first
    assert press(manager, "start", found) == ["It is being imported."]
    running = shown(manager, found)
    assert running.context["refresh"] == 2
    assert b'http-equiv="refresh"' in running.content
    sweep(seconds=30)
    done = shown(manager, found)
    assert (done.context["found"].state, done.context["refresh"]) == ("done", 0)
    assert list(Order.objects.values_list("reference", flat=True)) == ["A"]


def test_the_second_of_two_people_who_confirm_is_told(manager: Client, sign_in: Callable) -> None:
    upload(manager, table(row("A")))
    found, other = Import.objects.get(), sign_in(username="bob")
    assert press(manager, "start", found) == ["It is being imported."]
    assert press(other, "start", found) == ["It is being imported already, or was discarded."]
    sweep(seconds=30)
    assert Order.objects.count() == 1


def test_an_import_is_stopped_continued_and_discarded(manager: Client) -> None:
    upload(manager, table(row("A")))
    found = Import.objects.get()
    press(manager, "start", found)
    assert press(manager, "stop", found)[0].startswith("Stopped.")
    sweep(seconds=30)
    assert (Order.objects.count(), shown(manager, found).context["found"].error) == (0, "Stopped by ada.")
    press(manager, "start", found)
    sweep(seconds=30)
    assert Order.objects.count() == 1
    upload(manager, table(row("B")))
    assert press(manager, "discard", Import.objects.latest("id")) == [
        "orders.csv was discarded; no order was made of it."
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"a,b\n1,2\n", "No column is called orderReferenceId."),
        (b"orderReferenceId\n", "There is a header, but no row below it."),
        (b"orderReferenceId,a\n1," + b"x" * 10_000_000, "A cell in line 2 has more than 32,767 characters."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "The file is an old Excel file (.xls), or protected by a password."),
        (b"x" * (21 * 1024 * 1024), "The file is larger than 20 MB: split it into several files."),
        (b"", "The submitted file is empty."),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused_in_the_form_and_not_kept(manager: Client, raw: bytes, said: str) -> None:
    page = upload(manager, raw)
    assert [error.startswith(said) for error in page.context["form"].errors["file"]] == [True]
    assert Import.objects.count() == 0


def test_a_customer_that_does_not_exist_is_refused(manager: Client) -> None:
    make_customer(reference="gone", active=False)
    for name in ("gone", "nobody", ""):
        assert list(upload(manager, table(row("A")), customer=name).context["form"].errors) == ["customer"]
    assert Import.objects.count() == 0


def test_a_long_preview_has_pages_and_views(manager: Client) -> None:
    upload(manager, table(*(row(f"R{n:03}", **({"country": "XX"} if n % 2 else {})) for n in range(2 * SHOWN + 10))))
    found = Import.objects.get()
    first, last = shown(manager, found, "?view=all").context, shown(manager, found, "?view=all&page=3").context
    assert (len(first["entries"]), first["last"], len(last["entries"])) == (SHOWN, 3, 10)
    assert [(label, count) for label, _, count, _ in first["tabs"]] == [
        ("All", 210),
        ("With problems", 105),
        ("Refused", 105),
    ]
    assert {entry["result"] for entry in shown(manager, found).context["entries"]} == {"refused"}
    for question in ("?page=x", "?page=-1", "?page=99999999999", "?view=nothing", "?page=%00&view=%00", "?page=²"):
        assert shown(manager, found, question).status_code == 200


def test_while_many_orders_are_looked_at_the_page_says_how_far_it_is(manager: Client) -> None:
    page = upload(manager, table(*(row(f"R{n}") for n in range(LOOKED_AT_ONCE + 1))))
    found = Import.objects.get()
    assert (page.context["looking"], page.context["refresh"], b"Import 501" in page.content) == (True, 2, False)
    sweep(seconds=60)
    assert b"Import 501 orders" in shown(manager, found).content


def test_what_stands_in_a_file_is_shown_as_text(manager: Client) -> None:
    page = upload(
        manager, table(row("<script>x", firstName="<b>Ana", **{"<i>col": "1"}, country="<u>")), name="<em>.csv"
    )
    for bad in (b"<script>x", b"<b>Ana", b"<i>col", b"<U>", b"<u>", b"<em>"):
        assert bad not in page.content


def test_the_result_names_every_row_and_holds_no_formula(manager: Client) -> None:
    upload(manager, table(row("=A"), row("=A", itemReferenceId="2"), row("B", country="XX")))
    found = Import.objects.get()
    press(manager, "start", found)
    sweep(seconds=30)
    answer = manager.get(reverse("intake:import-result", args=[found.pk]))
    rows = list(csv.DictReader(StringIO(answer.getvalue().decode())))
    order = Order.objects.get()
    assert [(each["row"], each["orderReferenceId"], each["result"], each["orderId"]) for each in rows] == [
        ("2", "'=A", "imported", str(order.pk)), ("3", "'=A", "imported", str(order.pk)), ("4", "B", "refused", ""),
    ]  # fmt: skip
    assert rows[2]["problems"].startswith("ADDRESS_COUNTRY_UNKNOWN: ")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_template_is_downloaded_and_read_again(manager: Client, kind: str) -> None:
    raw = manager.get(reverse("intake:import-template", args=[kind])).getvalue()
    assert read_table(raw, name=f"orders.{kind}").columns == read_table(as_csv(), name="a.csv").columns
    page = upload(manager, raw, name=f"orders.{kind}")
    assert (page.context["counts"]["refused"], page.context["unknown"]) == (0, [])


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    manager: Client, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        upload(manager, table(row(f"R{number}")))
    with django_assert_num_queries(7):  # session, person, permissions (2), ids, page, customers to choose from
        assert len(manager.get(reverse("intake:imports")).context["page"].rows) == count


@pytest.mark.parametrize("role", ["Accountant", "Packaging user", "Print operator"])
def test_those_who_may_not_import_see_and_change_nothing(manager: Client, sign_in: Callable, role: str) -> None:
    upload(manager, table(row("A")))
    found, other = Import.objects.get(), sign_in(role, username="eve")
    for name in ("imports", "import-new"):
        assert other.get(reverse(f"intake:{name}")).status_code == 403
    for name in ("import", "import-result"):
        assert other.get(reverse(f"intake:{name}", args=[found.pk])).status_code == 403
    assert upload(other, table(row("B"))).status_code == 403
    assert other.post(reverse("intake:import-act", args=[found.pk, "start"])).status_code == 403
    found.refresh_from_db()
    assert (found.state, Import.objects.count(), OrderRequest.objects.count()) == ("preview", 1, 0)


def test_strangers_are_asked_to_sign_in(client: Client) -> None:
    answer = client.post(reverse("intake:import-new"), {"file": BytesIO(b"x")})
    assert (answer.status_code, answer.url.split("?")[0]) == (302, "/login")


def test_what_became_of_a_file_that_was_cleared_since_is_not_found(manager: Client) -> None:
    upload(manager, table(row("A")))
    found = Import.objects.get()
    address = reverse("intake:import-result", args=[found.pk])
    assert manager.get(address).status_code == 200
    storage.path_of(found.sha256).unlink()
    assert manager.get(address).status_code == 404
