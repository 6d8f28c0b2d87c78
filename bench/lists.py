"""The orders' list and search, at every size, in this process: what a page asks the database, and the page itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from bench.plans import Statement, plan_of, shown, statements_of
from bench.report import Table, median, percentile
from bench.stock import CUSTOMERS, Stock
from gelatoconnect.lib import lists
from orders.filters import VIEWS, OrderFilter, conditions_of
from orders.models import Order

RUNS, ENOUGH = 25, 4.0  # times that each question is asked, but no more of them after so many seconds
SLOW = 20.0  # ms; a slower statement is shown with the database's plan
DEEP = 10_000 * 50  # rows before the page 10,000, or half of the table when it has fewer

# What is asked in the address bar. The sample's references are ORD-00000001, SO-00000003 and, rarely, XQ-00000007.
PAGES = {
    "first page": "",
    "status (common)": "status=delivered",
    "status (rare)": "status=passed",
    "status + customer": f"status=delivered&customer=customer-{CUSTOMERS - 1}",
    "country (common)": "country=DE",
    "country (rare)": "country=IS",
    "on hold": "held=true",
    **{f"view: {label}": f"view={name}" for name, (label, _) in VIEWS.items() if name != "all"},
    "search: exact reference": "q=ORD-00000001",
    "search: prefix of a reference": "q=ORD-000009",
    "search: piece, 1 of 5,000": "q=studio 499 ",
    "search: piece, 1 of 12": "q=gruber",
    "search: piece, 1 of 3": "q=shop.example",
    "search: piece + status": "q=shop.example&status=failed",
    "search: two letters (common)": "q=OR",
    "search: two letters (rare)": "q=XQ",
    "search: nothing found": "q=nowhere-to-be-found",
}
RENDERED = {"first page": "", "status": "status=delivered", "search": "q=gruber"}


@dataclass(frozen=True, slots=True)
class Slow:
    """A statement that takes long: first seen for this question, among so many orders."""

    question: str
    size: int
    statement: Statement


def measure(*sizes: int) -> list[Table]:
    call_command("migrate", verbosity=0)
    client = signed_in()
    stock = Stock()
    taken: dict[str, list[list[float]]] = {}
    slow: dict[str, Slow] = {}
    for size in sorted(sizes):
        started = perf_counter()
        stock.fill(size - stock.count)
        print(f"lists: {size:,} orders in {perf_counter() - started:.0f} s", flush=True)
        for name, ask in questions(client):
            taken.setdefault(name, []).append(times_of(ask))
            if median(taken[name][-1]) > SLOW:
                for statement in statements_of(ask):
                    if statement.milliseconds > SLOW:
                        slow.setdefault(statement.sql, Slow(name, size, statement))
    return [figures(sorted(sizes), taken), *([plans(list(slow.values()))] if slow else [])]


def questions(client: Client) -> list[tuple[str, Callable[[], Any]]]:
    deep = Order.objects.order_by("-id").values_list("pk", flat=True)[min(DEEP, Order.objects.count() // 2)]
    asked = [(name, partial(page, query)) for name, query in PAGES.items()]
    asked += [
        ("page 10,000", partial(page, "", cursor=str(deep))),
        ("counts of all views", count_views),
    ]
    pages = [(f"rendered: {name}", partial(render, client, query)) for name, query in RENDERED.items()]
    return asked + pages


def page(query: str, *, cursor: str = "") -> lists.Page:
    """The rows of a page, as views and API ask for them."""
    return lists.page(chosen(query), cursor=cursor)


def count_views() -> list[int]:
    views = [[Order.objects.filter(condition) for condition in conditions_of(name)] for name in VIEWS if name != "all"]
    return [lists.capped_count(*inside) for inside in views]


def chosen(query: str) -> Any:
    found = OrderFilter(QueryDict(query), queryset=Order.objects.select_related("customer", "address"))
    if not found.is_valid():
        raise ValueError(found.errors.as_json())
    return found.qs


def signed_in() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    return client


def render(client: Client, query: str) -> None:
    answer = client.get(f"{reverse('orders:list')}?{query}", headers={"host": "localhost"})
    if answer.status_code != 200:
        raise RuntimeError(f"The page answered {answer.status_code}.")


def times_of(ask: Callable[[], Any]) -> list[float]:
    """Milliseconds, each time; the first time, which fills caches, is left out."""
    ask()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < ENOUGH * 1000:
        started = perf_counter()
        ask()
        times.append((perf_counter() - started) * 1000)
    return times


def figures(sizes: list[int], taken: dict[str, list[list[float]]]) -> Table:
    headings = [heading for size in sizes for heading in (f"{size:,}", "p95")]
    table = Table("lists: one page of 50, median and p95 in ms", ["orders:", *headings, "largest : smallest"])
    for name, runs in taken.items():
        cells = [value for times in runs for value in (median(times), percentile(times, 95))]
        table.add(name, *cells, median(runs[-1]) / median(runs[0]))
    return table


def plans(slow: list[Slow]) -> Table:
    """Not a figure but its reason: how the database went about each slow statement."""
    table = Table(f"lists: statements slower than {SLOW:.0f} ms", ["question", "orders", "ms"])
    for each in slow:
        table.add(each.question, each.size, each.statement.milliseconds)
        table.notes += ["", f"{each.question}, {each.size:,} orders: {shown(each.statement)}", *plan_of(each.statement)]
    return table
