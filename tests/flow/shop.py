"""The shop of these tests: one customer with a key, one product, two of the staff, a receiver of webhooks."""

import json

from django.contrib.auth.models import Group, User
from django.core.management import call_command

from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector
from orders.models import Customer, Product, Trigger
from shipping.models import CarrierAccount

KEY = "acme:secret"
PLATFORM, PLATFORM_KEY, SIGNAL_KEY = "acme-cloudprinter", "order-key-0001", "signal-key-0001"
PASSWORD = "ink-and-paper"
STAFF = {"operator": "Print operator", "packer": "Packaging user"}


def open_shop(receiver: str, secret: str) -> None:
    """Fill the empty database that the environment names."""
    call_command("migrate", verbosity=0)
    customer = Customer.objects.create(reference="acme", name="Acme Gifts")
    Product.objects.create(uid="card-a6", name="Card A6", trim_width=105, trim_height=148, weight=8, formats=["pdf"])
    key, _, word = KEY.partition(":")
    connector = Connector.objects.create(name="acme-shop", customer=customer)
    ApiKey.objects.create(connector=connector, key=key, secret_hash=hashed(word))
    Trigger.objects.create(name="Acme's system", customer=customer, event="*", address=receiver, secret=secret)
    signals = {"key": PLATFORM_KEY, "signal_key": SIGNAL_KEY, "signal_url": f"{receiver}/signals"}
    Connector.objects.create(name=PLATFORM, type="cloudprinter", customer=customer, settings=json.dumps(signals))
    folder = {"path": "acme", "ready": "rename", "interval": 0.1}
    Connector.objects.create(name="acme-folder", type="folder", customer=customer, settings=json.dumps(folder))
    CarrierAccount.objects.create(name="Post office", carrier="manual")
    for name, role in STAFF.items():
        User.objects.create_user(name, password=PASSWORD).groups.add(Group.objects.get(name=role))
