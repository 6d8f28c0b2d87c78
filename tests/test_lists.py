from typing import Any

import pytest

from gelatoconnect.lib import lists
from gelatoconnect.lib.lists import capped_count, count_label, safe_cell
from orders.models import Customer


@pytest.fixture
def five(db: Any) -> list[Customer]:
    return [Customer.objects.create(reference=f"c{number}", name=f"C{number}") for number in range(5)]


def names(page: lists.Page) -> str:
    return " ".join(row.name for row in page.rows)


def test_pages_lead_to_older_rows_and_back_again(five: list[Customer]) -> None:
    rows = Customer.objects.all()
    first = lists.page(rows, limit=2)
    second = lists.page(rows, limit=2, cursor=first.next)
    third = lists.page(rows, limit=2, cursor=second.next)
    back = lists.page(rows, limit=2, cursor=third.previous)
    assert [names(page) for page in (first, second, third, back)] == ["C4 C3", "C2 C1", "C0", "C2 C1"]
    assert (first.previous, third.next) == ("", "")
    assert back.next == second.next


@pytest.mark.parametrize("cursor", ["nonsense", "~", "~~", "\x00", "9" * 500])
def test_an_unreadable_cursor_gives_the_first_page(five: list[Customer], cursor: str) -> None:
    assert names(lists.page(Customer.objects.all(), limit=2, cursor=cursor)) == "C4 C3"


def test_counting_stops_at_the_cap(five: list[Customer]) -> None:
    assert capped_count(Customer.objects.all(), cap=3) == 4
    assert count_label(4, cap=3) == "3+"
    assert count_label(10_000) == "10,000"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == "'" + text
