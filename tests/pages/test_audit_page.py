"""The audit's page: who may see it, how it is narrowed, what it shows, and its CSV."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from gelatoconnect.lib.ids import born
from orders import audit
from orders.models import AuditEntry
from tests.factories import make_customer

LONG = "{{ order.items }} " * 20


@pytest.fixture
def admin_browser(sign_in: Callable[..., Client]) -> Client:
    return sign_in("Administrator", username="root")


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    """Three changes of two customers, by two people; the newest last."""
    acme, book = make_customer(name="Acme"), make_customer(name="Bookworm")
    told = [
        (acme, "created", {"name": [None, "Acme"], "active": [None, True], "email": [None, ""]}, "user:ada"),
        (acme, "changed", {"countries": [[], ["DE", "NO"]], "sla_days": [3, 5], "active": [True, False],
                           "settings.key": ["•••", "•••"]}, "user:eve"),
        (book, "deleted", {"name": ["=cmd()", None], "template": [LONG, None]}, "system"),
    ]  # fmt: skip
    with transaction.atomic():
        return [audit.enter(row, action=action, changes=changes, by=by) for row, action, changes, by in told]


def shown(answer: Any) -> list[tuple[str, str]]:
    return [(row.name, row.action) for row in answer.context["page"].rows if row.kind == "customer"]


def test_it_is_for_administrators_only(sign_in: Callable[..., Client], entries: list[AuditEntry]) -> None:
    paths = [reverse("orders:audit"), reverse("orders:audit-csv"), reverse("orders:audit-entry", args=[entries[0].pk])]
    for number, role in enumerate(("Manager", "Accountant", "Packaging user", "Print operator")):
        browser = sign_in(role, username=f"person-{number}")
        assert [browser.get(path).status_code for path in paths] == [403] * 3
        assert 'href="/audit"' not in browser.get("/orders").content.decode()
    assert [Client().get(path).status_code for path in paths] == [302] * 3
    admin = sign_in("Administrator", username="root")
    assert [admin.get(path).status_code for path in paths] == [200] * 3
    assert 'href="/audit"' in admin.get("/orders").content.decode()


def test_the_newest_change_stands_first_with_before_and_after(admin_browser: Client, entries: list[AuditEntry]) -> None:
    page = admin_browser.get("/audit?kind=customer")
    assert shown(page) == [("Bookworm", "deleted"), ("Acme", "changed"), ("Acme", "created")]
    text = " ".join(page.content.decode().split())
    assert '<b class="strong">countries</b> – → DE, NO' in text
    assert '<b class="strong">sla days</b> 3 → 5' in text
    assert '<b class="strong">active</b> yes → no' in text
    assert "and 1 more" in text
    assert LONG not in text


@pytest.mark.parametrize(("asked", "found"), [
    ("by=eve", [("Acme", "changed")]), ("by=user:eve", [("Acme", "changed")]), ("by=EVE", [("Acme", "changed")]),
    ("by=ev", []), ("by=system", [("Bookworm", "deleted")]), ("action=deleted", [("Bookworm", "deleted")]),
    ("q=acm", [("Acme", "changed"), ("Acme", "created")]), ("kind=product", []), ("until=2020-01-01", []),
    ("since=2020-01-01&q=Book", [("Bookworm", "deleted")]), ("kind=nonsense&q=%00", []), ("q=' OR 1=1 --", []),
])  # fmt: skip
def test_it_is_narrowed_by_who_what_which_and_when(
    admin_browser: Client, entries: list[AuditEntry], asked: str, found: list[tuple[str, str]]
) -> None:
    answer = admin_browser.get(f"/audit?{asked}")
    assert answer.status_code == 200
    if "nonsense" not in asked:
        assert shown(answer) == found


def test_all_that_was_changed_of_one_thing_is_found_by_its_id(admin_browser: Client, entries: list[AuditEntry]) -> None:
    entry = admin_browser.get(reverse("orders:audit-entry", args=[entries[1].pk]))
    assert shown(admin_browser.get(entry.context["all_url"])) == [("Acme", "changed"), ("Acme", "created")]
    assert entry.context["object_url"] == f"/admin/orders/customer/{entries[1].object_id}/change/"


def test_an_entry_shows_everything_that_it_holds(admin_browser: Client, entries: list[AuditEntry]) -> None:
    page = admin_browser.get(reverse("orders:audit-entry", args=[entries[2].pk]))
    assert page.context["rows"] == [("name", "=cmd()", ""), ("template", LONG, "")]
    assert LONG.strip() in page.content.decode()
    changed = admin_browser.get(reverse("orders:audit-entry", args=[entries[1].pk])).context["rows"]
    assert ("settings: key", "•••", "•••") in changed
    made = admin_browser.get(reverse("orders:audit-entry", args=[entries[0].pk])).context["rows"]
    assert made == [("name", "", "Acme"), ("active", "", "yes")]


def test_of_lists_only_what_is_different_is_shown(admin_browser: Client) -> None:
    changes = {
        "rights": [["a", "b", "c"], ["b", "c", "d"]],
        "order": [["x", "y"], ["y", "x"]],
        "countries": [["DE"], []],
    }
    with transaction.atomic():
        entry = audit.enter(make_customer(), action="changed", changes=changes, by="user:ada")
    assert sorted(admin_browser.get(reverse("orders:audit-entry", args=[entry.pk])).context["rows"]) == [
        ("countries", "DE", ""), ("order", "x, y", "y, x"), ("rights (2 stay)", "a", "d")]  # fmt: skip


def test_its_csv_holds_the_same_rows_and_no_formula(admin_browser: Client, entries: list[AuditEntry]) -> None:
    answer = admin_browser.get("/audit.csv?kind=customer")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [(row["name"], row["action"], row["who"]) for row in rows] == [
        ("Bookworm", "deleted", "system"), ("Acme", "changed", "user:eve"), ("Acme", "created", "user:ada")]  # fmt: skip
    assert sorted(rows[1]["changes"].splitlines()) == [
        "active: yes → no", "countries:  → DE, NO", "settings: key: ••• → •••", "sla days: 3 → 5"]  # fmt: skip
    assert rows[1]["time"] == born(entries[1].pk).isoformat(timespec="seconds")


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    admin_browser: Client, count: int, django_assert_num_queries: Any
) -> None:
    with transaction.atomic():
        for _ in range(count):
            audit.enter(make_customer(name="Same"), action="changed", changes={"name": ["a", "b"]}, by="user:ada")
    with django_assert_num_queries(6):  # session, person, permissions (2), ids, page
        assert len(shown(admin_browser.get("/audit?q=Same"))) == count


@pytest.mark.django_db
def test_a_setting_s_page_leads_to_its_audit() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    customer = make_customer()
    page = client.get(f"/admin/orders/customer/{customer.pk}/change/").content.decode()
    assert f'href="/audit?kind=customer&amp;q={customer.pk}"' in page


def test_nothing_on_the_page_changes_anything(admin_browser: Client, entries: list[AuditEntry]) -> None:
    for path in ("/audit", "/audit.csv", reverse("orders:audit-entry", args=[entries[0].pk])):
        assert admin_browser.post(path).status_code == 405
    assert AuditEntry.objects.filter(kind="customer").count() == 3
