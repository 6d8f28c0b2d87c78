"""Years of orders in a minute: rows like those of a producer's last two years, written past the product's doors.

Nineteen of twenty orders have ended; the open ones are mostly new, but a few old failures lie about, and one in twenty
is late. Each order has an address, one item, its first event and its search entry, and its ids are as old as it is.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from gelatoconnect.lib.ids import first_id
from orders.models import Address, Customer, Event, Item, Order, Product, SearchEntry

SPAN = timedelta(days=730)
AT_ONCE = 10_000  # orders in one transaction
ENDED = ["delivered"] * 93 + ["canceled"] * 4 + ["returned"] * 3
OPEN = (["created"] * 30 + ["in_production"] * 20 + ["failed", "printed"] * 10 + ["packaged", "shipped"] * 8
        + ["in_transit"] * 6 + ["received"] * 5 + ["passed"] * 3)  # fmt: skip
LATE = 0.05  # of the open orders
OLD = ["failed"] * 4 + ["created"]  # what lies about for more than six weeks
COUNTRIES = ["DE"] * 30 + ["US"] * 20 + ["GB", "FR"] * 12 + ["NO", "SE", "NL"] * 6 + ["PL", "AT"] * 3 + ["IS"]
NAMES = ["Ruiz", "Koch", "Berg", "Żak", "de Vries", "Åkesson", "Gruber", "Martin", "Rossi", "O'Brien", "Silva", "Nagy"]
DOMAINS = ("example.com", "shop.example", "post.example")  # each for a third of the orders
STUDIOS = 5_000  # recipients' companies, each for as many orders
CUSTOMERS = 50


class Shelf:
    """Rows of one model: its columns, and a prepared row of defaults to copy."""

    def __init__(self, sample: Model) -> None:
        fields = [field for field in sample._meta.concrete_fields if field.get_internal_type() != "BigAutoField"]
        self.table = sample._meta.db_table
        self.columns = [field.column for field in fields]
        self.sample = [field.get_db_prep_save(getattr(sample, field.attname), connection) for field in fields]
        self.place = {field.attname: place for place, field in enumerate(fields)}

    def row(self, **values: Any) -> list[Any]:
        row = self.sample.copy()
        for name, value in values.items():
            row[self.place[name]] = value
        return row

    def fill(self, rows: Sequence[Sequence[Any]]) -> None:
        """COPY on PostgreSQL, one prepared INSERT on SQLite."""
        columns = ", ".join(f'"{column}"' for column in self.columns)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY {self.table} ({columns}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            else:
                marks = ", ".join(["%s"] * len(self.columns))
                cursor.executemany(f"INSERT INTO {self.table} ({columns}) VALUES ({marks})", rows)


class Stock:
    """The orders there are; `fill` makes them more."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.now = timezone.now()
        self.count = 0
        product = Product.objects.create(uid="card-a6", name="Card A6", trim_width=105, trim_height=148)
        self.customers = [Customer(reference=f"customer-{n}", name=f"Customer {n}") for n in range(CUSTOMERS)]
        Customer.objects.bulk_create(self.customers)
        first = self.customers[0]
        self.shelves = [
            Shelf(Address(first_name="Ana", address_line1="Karl Johans gate 4", city="Oslo", post_code="0154")),
            Shelf(Order(customer=first, channel="api", currency="EUR", shipment_method="normal", item_count=1, sequence=1)),
            Shelf(Item(number=1, product=product, product_uid=product.uid, quantity=2)),
            Shelf(Event(customer=first, kind="order.received", by="connector:shop", at=self.now, sequence=1)),
            Shelf(SearchEntry()),
        ]  # fmt: skip

    def fill(self, count: int) -> None:
        """So many orders more, over the last two years."""
        with search_index_built_at_the_end():
            for start in range(0, count, AT_ONCE):
                numbers = range(start, min(start + AT_ONCE, count))
                orders = [self._rows_of(self.count + number, age=1 - number / count) for number in numbers]
                with transaction.atomic():
                    for shelf, rows in zip(self.shelves, zip(*orders, strict=True), strict=True):
                        shelf.fill(rows)
        self.count += count
        if connection.vendor == "postgresql":  # as autovacuum does by itself; SQLite lives without statistics
            with connection.cursor() as cursor:
                cursor.execute("VACUUM (ANALYZE)")

    def _rows_of(self, number: int, *, age: float) -> list[list[Any]]:
        """Rows of one order, one for each shelf. age: 1 two years ago, 0 now."""
        born = self.now - SPAN * age
        order, address, item, event = (self._id(born) for _ in range(4))
        moment = connection.ops.adapt_datetimefield_value(born)
        is_open = self.random.random() < (0.75 if age < 0.06 else 0.005)
        status = self.random.choice((OPEN if age < 0.06 else OLD) if is_open else ENDED)
        name, country = self.random.choice(NAMES), self.random.choice(COUNTRIES)
        in_time = is_open and self.random.random() > LATE
        ship_by = (self.now if in_time else born) + timedelta(days=3)
        customer = self._key(self.customers[int(self.random.random() ** 2 * CUSTOMERS)].pk)
        reference = f"{'XQ' if number % 10_000 == 7 else 'ORD' if number % 3 else 'SO'}-{number:08}"
        studio, email = f"Studio {number % STUDIOS}", f"a.{name}@{DOMAINS[number % 3]}".lower()
        addresses, orders, items, events, entries = self.shelves
        return [
            addresses.row(id=address, last_name=name, company_name=studio, email=email, country=country),
            orders.row(
                id=order, customer_id=customer, address_id=address, reference=reference, country=country,
                status=status, status_since=moment, held=is_open and self.random.random() < 0.01,
                ship_by=connection.ops.adapt_datefield_value(ship_by.date()),
            ),
            items.row(id=item, order_id=order),
            events.row(id=event, order_id=order, customer_id=customer, at=moment),
            entries.row(order_id=order, text=f"{reference} ana {name} {studio} {email} {order}".lower()),
        ]  # fmt: skip

    def _id(self, born: datetime) -> Any:
        return self._key(UUID(int=first_id(born).int | self.random.getrandbits(62)))

    def _key(self, id: UUID) -> Any:
        return id if connection.features.has_native_uuid_field else id.hex


@contextmanager
def search_index_built_at_the_end() -> Iterator[None]:
    """Building a trigram index takes less time than filling it row by row."""
    find, drop, rebuild = (
        ("SELECT indexdef FROM pg_indexes WHERE indexname = 'orders_search_trigrams'",
         "DROP INDEX orders_search_trigrams", "")
        if connection.vendor == "postgresql"
        else ("SELECT sql FROM sqlite_master WHERE name = 'orders_search_insert'",
              "DROP TRIGGER orders_search_insert", "INSERT INTO orders_search(orders_search) VALUES ('rebuild')")
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(find)
        (definition,) = cursor.fetchone()
        cursor.execute(drop)
        yield
        cursor.execute(definition)
        if rebuild:
            cursor.execute(rebuild)
