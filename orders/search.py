"""Finding orders by what people type: an id, a reference, a name, an e-mail, a tracking code, or a piece of one.

Exact matches come alone. What has digits, or less than three letters, is looked for as the beginning of a reference;
other pieces, and those that begin none, by a trigram index (pg_trgm on PostgreSQL, FTS5 on SQLite). A piece that very
many orders share is not looked up in the index: walking the newest orders finds a page of them sooner.
"""

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Concat, Left

from gelatoconnect.lib.ids import parse_id
from orders.models import Order, SearchEntry

COMMON = 2_000  # more hits than this, and the index is slower than walking


def find(orders: QuerySet[Order], text: str) -> QuerySet[Order]:
    """Those of `orders` that `text` finds; all of them when it is empty."""
    text = text.strip().replace("\0", "")
    if not text:
        return orders
    exact = Q(reference=text) | Q(pk=parse_id(text)) if parse_id(text) else Q(reference=text)
    if Order.objects.filter(exact).exists():
        return orders.filter(exact)
    if len(text) < 3 or any(letter.isdigit() for letter in text):
        beginning = Order.objects.order_by().filter(reference__gte=text, reference__lt=text + "\U0010ffff")
        ids = list(beginning.values_list("pk", flat=True)[: COMMON + 1])
        if len(ids) > COMMON:
            return orders.alias(beginning=Left("reference", len(text))).filter(beginning=text)
        if ids or len(text) < 3:
            return orders.filter(pk__in=ids)
    entries = _entries_with(text.lower())
    if len(entries) <= COMMON:
        return orders.filter(search_entry__in=entries)
    return orders.filter(search_entry__text__contains=text.lower())


def add_words(order: Order, words: str) -> None:
    """Let the order be found by further words, such as a tracking code."""
    SearchEntry.objects.filter(order=order).update(text=Concat("text", Value(f" {words.lower()}")))


def rewrite(order: Order, *, before: str, after: str) -> None:
    """Exchange what the order's own fields gave (see `words_of`); words added since stay."""
    for entry in SearchEntry.objects.filter(order=order):
        entry.text = after + entry.text.removeprefix(before)
        entry.save()


def words_of(order: Order) -> str:
    """What an order is found by from its own fields, in lower case."""
    address = order.address
    words = [order.reference, address.name, address.company_name, address.email, str(order.pk)]
    return " ".join(word for word in words if word).lower()


def _entries_with(text: str) -> list[int]:
    """Ids of at most COMMON + 1 search entries that contain `text` (three letters or more, lower case)."""
    if connection.vendor == "postgresql":
        return list(SearchEntry.objects.filter(text__contains=text).values_list("pk", flat=True)[: COMMON + 1])
    phrase = '"' + text.replace('"', '""') + '"'
    with connection.cursor() as cursor:
        cursor.execute("SELECT rowid FROM orders_search WHERE orders_search MATCH %s LIMIT %s", [phrase, COMMON + 1])
        return [row[0] for row in cursor.fetchall()]
