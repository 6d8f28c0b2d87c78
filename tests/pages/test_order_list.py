import csv
import io
from collections.abc import Callable
from datetime import timedelta
from html import escape
from typing import Any

import pytest
from django.test import Client

from orders.models import Order
from orders.workdays import today
from tests.factories import make_customer, make_order, make_product

REFERENCES = r'class="row-link" href="[^"]*">([^<]*)</a>'


def references(answer: Any) -> list[str]:
    return [row.reference for row in answer.context["page"].rows]


def tabs(answer: Any) -> dict[str, str]:
    return {label: count for label, _, count, _ in answer.context["page"].tabs}


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    manager: Client, rows: int, django_assert_num_queries: Any
) -> None:
    for _ in range(rows):
        make_order("failed")
    # session, person, permissions (2), ids, page, 8 views, customers to choose from
    with django_assert_num_queries(15):
        assert len(references(manager.get("/orders"))) == rows


def test_orders_stand_newest_first_and_pages_lead_on_and_back(manager: Client) -> None:
    customer, product = make_customer(), make_product()
    made = [make_order(customer=customer, product=product).reference for _ in range(51)][::-1]
    first = manager.get("/orders")
    assert references(first) == made[:50]
    second = manager.get("/orders" + first.context["page"].next_url)
    assert references(second) == made[50:]
    back = manager.get("/orders" + second.context["page"].previous_url)
    assert references(back) == made[:50]


def test_a_page_keeps_the_filters_in_its_links(manager: Client) -> None:
    customer, product = make_customer(reference="acme"), make_product()
    for _ in range(51):
        make_order(customer=customer, product=product)
    page = manager.get("/orders?customer=acme&q=").context["page"]
    assert page.next_url.startswith("?customer=acme&")


def test_views_hold_their_orders_and_say_how_many(manager: Client) -> None:
    made = {status: make_order(status).reference for status in ("failed", "passed", "created", "printed", "packaged")}
    late = make_order("created")
    Order.objects.filter(pk=late.pk).update(ship_by=today() - timedelta(days=1))
    answer = manager.get("/orders")
    assert tabs(answer) == {
        "All": "", "Needs attention": "1", "To approve": "1", "Ready for production": "2", "In production": "1",
        "To ship": "1", "On the way": "0", "Due soon": "0", "Late": "1",
    }  # fmt: skip
    assert references(manager.get("/orders?view=attention")) == [made["failed"]]
    assert references(manager.get("/orders?view=late")) == [late.reference]


def test_a_late_order_is_marked_as_late(manager: Client) -> None:
    order = make_order("created")
    Order.objects.filter(pk=order.pk).update(ship_by=today() - timedelta(days=1))
    assert manager.get("/orders").content.count(b'class="late"') == 1
    Order.objects.filter(pk=order.pk).update(ship_by=today())
    assert manager.get("/orders").content.count(b'class="late"') == 0


def test_a_row_names_the_first_error_and_how_many_there_are(manager: Client) -> None:
    order = make_order("failed")
    remark = {"code": "PDFX_MISSING", "severity": "info", "message": "It is no PDF/X."}
    warning = {"code": "ADDRESS_NAME_MISSING", "severity": "warning", "message": "One name only."}
    Order.objects.filter(pk=order.pk).update(problems=[remark, warning, *order.problems])
    row = manager.get("/orders").context["page"].rows[0]
    assert [problem["code"] for problem in row.findings] == ["ADDRESS_POSTCODE_FORMAT", "ADDRESS_NAME_MISSING"]


@pytest.mark.parametrize(
    "question",
    [
        "cursor=x", "cursor=~", "cursor=~~0", "status=nonsense", "since=tomorrow", "since=0001-01-01", "until=9999-12-31",
        "view=nowhere", "customer=nobody", "customer=%00", "q=%00", "q=%ED%A0%80", "q=%F0%9F%96%A8", "channel=%00,",
        "held=perhaps", "connector=x", "id=x", "cursor=x&status=nonsense&since=tomorrow",
    ],
)  # fmt: skip
def test_questions_that_make_no_sense_are_answered_by_a_page(manager: Client, question: str) -> None:
    make_order()
    assert manager.get(f"/orders?{question}").status_code == 200
    assert manager.get(f"/orders.csv?{question}").status_code == 200


def test_a_filter_that_is_not_understood_is_said_to_be_so(manager: Client) -> None:
    make_order()
    answer = manager.get("/orders?since=tomorrow&status=failed")
    assert [label for label, _ in answer.context["page"].chips] == [
        "Status: Failed",
        "From: tomorrow (not understood)",
    ]


def test_a_chip_takes_its_own_value_away_and_no_other(manager: Client) -> None:
    chips = dict(manager.get("/orders?status=failed&status=created&q=ana").context["page"].chips)
    assert chips["Status: Failed"] == "?status=created&q=ana"


def test_the_search_finds_by_recipient(manager: Client) -> None:
    make_order()
    found = make_order(shippingAddress={"firstName": "Zoë", "lastName": "Ångström", "country": "SE"})
    assert references(manager.get("/orders", {"q": "ångström"})) == [found.reference]


def test_what_senders_write_is_never_markup(manager: Client) -> None:
    reference = "<script>alert(1)</script>"
    order = make_order(orderReferenceId=reference, metadata={"<b>": "<i>"}, customer=make_customer(name="<u>Acme"))
    for path in ("/orders", order.get_absolute_url()):
        body = manager.get(path).content.decode()
        assert reference not in body
        assert escape(reference) in body
        assert [mark for mark in ("<b>:", "<i>", "<u>") if mark in body] == []


def test_the_csv_holds_the_same_orders_as_the_list(manager: Client) -> None:
    make_order()
    failed = make_order("failed")
    answer = manager.get("/orders.csv?status=failed")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["reference"], row["status"], row["problems"]) for row in rows] == [
        (failed.reference, "failed", "ADDRESS_POSTCODE_FORMAT")
    ]


def test_a_csv_cell_is_never_a_formula(manager: Client) -> None:
    make_order(orderReferenceId="=HYPERLINK(1)")
    rows = list(csv.DictReader(io.StringIO(b"".join(manager.get("/orders.csv").streaming_content).decode())))
    assert [row["reference"] for row in rows] == ["'=HYPERLINK(1)"]


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        ("Manager", ["release", "retry", "start", "finish", "ship", "reprocess", "cancel", "hold", "resume"]),
        ("Print operator", ["start", "finish"]),
        ("Packaging user", ["ship"]),
        ("Accountant", []),
    ],
)
def test_a_selection_is_offered_what_the_role_allows(sign_in: Callable, role: str, offered: list[str]) -> None:
    moves = sign_in(role).get("/orders").context["bulk_moves"]
    assert sorted(name for name, _, _ in moves) == sorted(offered)


def test_only_roles_that_may_export_are_offered_the_csv(sign_in: Callable) -> None:
    operator = sign_in("Print operator")
    assert operator.get("/orders").context["page"].csv_url == ""
    assert operator.get("/orders.csv").status_code == 403


def test_strangers_are_asked_to_sign_in(db: None) -> None:
    for path in ("/orders", "/orders.csv", "/postbacks", "/analytics", "/requests"):
        answer = Client().get(path)
        assert (answer.status_code, answer["Location"]) == (302, f"/login?next={path}")


def test_test_orders_are_marked_and_found(manager: Client) -> None:
    real, test = make_order(), make_order()
    Order.objects.filter(pk=test.pk).update(test=True)
    test.items.update(sku="THEIR-SKU")
    assert [row.pk for row in manager.get("/orders?test=true").context["page"].rows] == [test.pk]
    assert [row.pk for row in manager.get("/orders?test=false").context["page"].rows] == [real.pk]
    marked = [">Test</span>" in manager.get(each.get_absolute_url()).content.decode() for each in (real, test)]
    assert marked == [False, True]
    assert "THEIR-SKU" in manager.get(test.get_absolute_url()).content.decode()
