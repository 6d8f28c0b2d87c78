"""The demo shop: customers, products and some sixty orders, walked through the real doors to every status.

Everything happens as in life: requests come in by `pipeline.take`, files are fetched by the guarded door from a web
server that runs meanwhile, checks and labels are deliveries, and people move orders. Only the clock is the demo's own:
the orders are spread over the past two weeks, so that the pages have something to show.
"""

import json
import random
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection

from gelatoconnect import welcome
from gelatoconnect.demo import channels
from gelatoconnect.demo.channels import SETTINGS, elsewhere
from gelatoconnect.demo.shop import CUSTOMERS, FILES, METHODS, PEOPLE, PRODUCTS
from gelatoconnect.demo.stage import REAL_NOW, Clock, outside, running
from gelatoconnect.lib.secrets import hashed
from intake import imports, pipeline, polling
from intake.connectors.base import Incoming
from intake.models import ApiKey, Connector
from orders.events import sweep
from orders.lifecycle import STEPS
from orders.models import Customer, CustomerProduct, Order, Product, ShipmentMethod, Trigger
from orders.services import amend, move
from shipping import packing, tracking
from shipping.models import CarrierAccount

# How far each good order is walked: so many of them to each status.
WALKS = {
    "created": 6,
    "in_production": 5,
    "printed": 3,
    "packaged": 4,
    "shipped": 4,
    "in_transit": 4,
    "delivered": 12,
    "returned": 1,
    "canceled": 2,
}
DAYS = timedelta(days=14)
WAY = ("start", "finish", "package", "ship", "travel", "arrive")
FAULTS = ["low-resolution.pdf", "no-bleed.pdf", "wrong-size.pdf", "font-missing.pdf", "password.pdf", "truncated.pdf",
          "web-page.pdf", "not-there.pdf"]  # fmt: skip


class Demo:
    def __init__(self) -> None:
        self.random = random.Random(7)  # noqa: S311
        self.clock = Clock()
        self.number = 1000
        self.base = ""
        self.contents: dict[str, bytes] = {}

    def build(self, *, say: Any) -> None:
        if connection.vendor == "sqlite":
            connection.cursor().execute("PRAGMA synchronous=OFF")  # a demo that breaks off is made again
        say("customers, products, people …")
        self._catalogue()
        self._people()
        self.contents = {f"/{name}": make() for name, make in FILES.items()}
        self._keep_specimens()
        shops = elsewhere(sku="card-a6", file_url=lambda: f"{self.base}/card-dots.pdf")
        with outside(self.contents, shops) as address, running(self.clock):
            self.base, started = address, REAL_NOW() - DAYS
            Trigger.objects.filter(channel="webhook").update(address=f"{address}/hooks/orders", active=True)
            say("orders, through the real doors …")
            walks = self._walks()
            for place, walk in enumerate(walks):
                self.clock.now = started + DAYS * place / len(walks) + timedelta(minutes=self.random.uniform(0, 120))
                walk()
            say("an order through each channel …")
            for number, name in enumerate(SETTINGS, 1):
                self._by_channel(name, number)
            self._by_folder()
            self._by_import()
            self._unmapped()
            sweep(seconds=60)
        # Its receiver ran only for the demo.
        Trigger.objects.filter(channel="webhook").update(active=False)
        say(f"{Order.objects.count()} orders")

    def _catalogue(self) -> None:
        customers = {data["reference"]: Customer.objects.create(**data) for data in CUSTOMERS}
        products = {data["uid"]: Product.objects.create(**data) for data in PRODUCTS}
        for uid, name in METHODS:
            ShipmentMethod.objects.create(uid=uid, name=name)
        CustomerProduct.objects.create(customer=customers["bookworm"], name="Fotobuch", variant={"size": "A5"},
                                       product=products["photobook-a5"])  # fmt: skip
        CarrierAccount.objects.create(name="Parcel shop", carrier="manual")
        self.connectors = {
            name: Connector.objects.create(name=name, customer=customers.get(reference), prevent_duplicates=once)
            for name, reference, once in [("demo", "acme", False), ("nordic-shop", "nordic", True), ("open", "", False)]
        }
        ApiKey.objects.create(connector=self.connectors["demo"], key=welcome.KEY, secret_hash=hashed(welcome.SECRET))
        Trigger.objects.create(
            name="Acme's shop (demo receiver)", customer=customers["acme"], event="*", address="set below"
        )
        Trigger.objects.create(
            name="Failed orders", event="order.failed", channel="email", address="prepress@print.example"
        )
        Trigger.objects.create(
            name="Nordic: shipped",
            customer=customers["nordic"],
            event="order.shipped",
            channel="email",
            address="print@nordic.example",
        )

    def _people(self) -> None:
        for name, role in welcome.LOGINS.items():
            everything = role == "Administrator"
            user = User.objects.create_user(name, f"{name}@print.example", welcome.PASSWORD, is_staff=everything,
                                            is_superuser=everything)  # fmt: skip
            user.groups.add(Group.objects.get(name=role))

    def _keep_specimens(self) -> None:
        folder = settings.DATA_DIR / "specimens"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents.items():
            (folder / name[1:]).write_bytes(content)

    def _walks(self) -> list[Any]:
        walks: list[Any] = [partial(self._walk_to, status) for status, times in WALKS.items() for _ in range(times)]
        walks += [partial(self.submit, "demo", file=name) for name in FAULTS]
        walks += [self._mended, self._held, self._wrong_address, self._unavailable, self._not_json, self._draft]
        self.random.shuffle(walks)
        approvals = [partial(self.submit, "nordic-shop", product="poster-30x40", file="poster-2.pdf")] * 2
        return [*walks, *approvals, self._waiting]

    def submit(
        self, connector: str, *, product: str = "card-a6", file: str = "card-a6.pdf", **changes: Any
    ) -> Order | None:
        """One order by the API's pipeline, with its checks done."""
        self.number += 1
        first, last, street, city, code, country = self.random.choice(PEOPLE)
        body = {
            "orderReferenceId": f"{connector.upper().split('-')[0]}-{self.number}",
            "currency": "EUR",
            "shipmentMethodUid": self.random.choice(["normal", "standard", "standard,express"]),
            "shippingAddress": {
                "firstName": first,
                "lastName": last,
                "addressLine1": street,
                "city": city,
                "postCode": code,
                "country": country,
                "email": f"{first[0]}.{last.split()[-1]}@example.com".lower(),
            },
            "items": [
                {
                    "itemReferenceId": "1",
                    "productUid": product,
                    "quantity": self.random.choice([1, 1, 2, 5, 25]),
                    "retailPriceInclVat": "4.90",
                    "files": [{"type": "default", "url": f"{self.base}/{file}"}],
                }
            ],
            **changes,
        }
        outcome = pipeline.take(Incoming(body=json.dumps(body).encode()), connector=self.connectors[connector])
        sweep(seconds=60)
        return outcome.order

    def _walk_to(self, status: str) -> None:
        connector, product, file = self.random.choice(
            [
                ("demo", "card-a6", "card-a6.pdf"),
                ("demo", "card-a6", "card-dots.pdf"),
                ("demo", "card-a6", "card-both.pdf"),
                ("demo", "flyer-a5", "flyer-a5.pdf"),
                ("nordic-shop", "poster-30x40", "poster.pdf"),
                ("demo", "photobook-a5", "photobook.pdf"),
            ]
        )
        order = self.submit(connector, product=product, file=file)
        assert order is not None
        order = Order.objects.get(pk=order.pk)
        if order.status == "passed":
            order = move(order, Order.release, by="user:manager")
        self._advance(order, to=status)

    def _advance(self, order: Order, *, to: str) -> None:
        if to == "canceled":
            move(order, Order.cancel, by="connector:demo", reason="Ordered twice by mistake")
            return
        for verb in WAY:
            if order.status == to:
                return
            self.clock.step(hours=self.random.uniform(0.3, 7))
            order = self._take(order, verb)
            sweep(seconds=60)
        if to == "returned":
            self._scan(order, "returned", "Recipient moved")

    def _by_channel(self, name: str, number: int) -> None:
        """An order that comes as the senders of that type send it, and of which they hear until it is shipped."""
        connector = channels.open_channel(name, customer=Customer.objects.get(reference="acme"), base=self.base)
        found = channels.call(connector, number=number, sku="card-a6", file_url=f"{self.base}/card-dots.pdf")
        sweep(seconds=60)
        found = found or Order.objects.get(connector=connector.pk)
        self._advance(Order.objects.get(pk=found.pk), to="shipped")
        channels.leave(connector)

    def _by_folder(self) -> None:
        """An order file and its print file, laid into a folder of this machine; it is looked into every half minute."""
        acme = Customer.objects.get(reference="acme")
        connector = channels.open_folder(customer=acme, order=channels.FILE, print_file=self.contents["/card-a6.pdf"])
        polling.pull(connector)
        sweep(seconds=60)
        self._advance(Order.objects.get(connector=connector.pk), to="shipped")

    def _by_import(self) -> None:
        """Two orders in one file, as a person brings them in the browser, and one row in which something is wrong."""
        rows = channels.table_of(file_url=f"{self.base}/card-dots.pdf")
        found = imports.bring(rows, file_name="spring-cards.csv", customer=Customer.objects.get(reference="acme"),
                              by="user:manager", email="orders@acme.example")  # fmt: skip
        imports.start(found, by="user:manager")
        sweep(seconds=60)
        for order in Order.objects.filter(channel="csv", status="created"):
            self._advance(order, to="shipped")

    def _unmapped(self) -> None:
        """Names that nobody has mapped to a product yet, and the requests that wait for it."""
        files = [{"url": f"{self.base}/card-a6.pdf"}]
        for sku in ("CARD-A6-GLOSS", "CARD-A6-GLOSS", "FLYER_A5"):
            self.submit("demo", items=[{"itemReferenceId": "1", "sku": sku, "quantity": 1, "files": files}])
        named = {"productName": "Poster 30x40", "productVariant": {"paper": "matte", "frame": "oak"}}
        self.submit("demo", items=[{"itemReferenceId": "1", "quantity": 1, "files": files, **named}])

    def _take(self, order: Order, verb: str) -> Order:
        if verb == "package":
            packing.pack(
                order,
                contents={item.pk: item.quantity_due for item in order.items.all()},
                weight=None,
                by="user:packer",
            )
        if verb in ("travel", "arrive"):
            return self._scan(order, {"travel": "in_transit", "arrive": "delivered"}[verb])
        by = {
            "orders.produce_order": "user:operator",
            "orders.pack_order": "user:packer",
            "orders.ship_order": "user:packer",
        }
        return move(Order.objects.get(pk=order.pk), verb, by=by[STEPS[verb].permission])

    def _scan(self, order: Order, status: str, message: str = "") -> Order:
        for package in order.packages.all():  # type: ignore[attr-defined]
            tracking.note(
                package,
                status=status,
                at=self.clock.now,
                place=order.address.city,
                message=message,
                by="carrier:manual",
            )
        return Order.objects.get(pk=order.pk)

    def _mended(self) -> None:
        """A file without bleed, replaced by a person and tried again."""
        order = self.submit("demo", file="no-bleed.pdf")
        assert order is not None
        self.clock.step(hours=1)
        file = order.items.get().files.get()
        amend(order, by="user:manager", files={file.pk: f"{self.base}/card-dots.pdf"})
        move(order, Order.retry, by="user:manager")
        sweep(seconds=60)

    def _held(self) -> None:
        order = self.submit("demo")
        assert order is not None
        amend(order, by="user:manager", hold=("Customer asked to wait for a new design", None))

    def _wrong_address(self) -> None:
        self.submit(
            "demo",
            shippingAddress={
                "firstName": "Kai",
                "addressLine1": "Hauptstr. 1",
                "city": "Köln",
                "postCode": "123",
                "country": "DE",
                "email": "kai@",
            },
        )

    def _unavailable(self) -> None:
        self.submit("demo", product="sticker-7x7", file="card-a6.pdf")

    def _not_json(self) -> None:
        pipeline.take(Incoming(body=b'{"orderReferenceId": "DEMO-9", "items": ['), connector=self.connectors["demo"])

    def _draft(self) -> None:
        self.submit("demo", orderType="draft")

    def _waiting(self) -> None:
        """Received, and waiting for a file server that is away."""
        url = "https://files.example.invalid/card.pdf"  # a name that nobody has (RFC 6761)
        items = [{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 1, "files": [{"url": url}]}]
        self.submit("demo", items=items)
