"""What an order is: customers, products, orders with their items and files. Rows here are written by `orders.services`."""

from datetime import datetime
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.urls import reverse

from gelatoconnect.lib.ids import born, new_id
from gelatoconnect.lib.secrets import EncryptedField, new_signing_secret
from orders.lifecycle import Lifecycle


class Identified(models.Model):
    """A row with a public id that sorts by age."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        abstract = True


class Customer(Identified):
    """A company that sends orders (the person a parcel goes to is the recipient)."""

    reference = models.SlugField(max_length=60, unique=True, help_text="Sent as Customer-Reference-ID")
    name = models.CharField(max_length=120)
    email = models.EmailField(blank=True)
    active = models.BooleanField(default=True)
    requires_approval = models.BooleanField(default=False, help_text="Passed orders wait for a person's release")
    countries = models.JSONField(
        default=list, blank=True, help_text='Allowed destinations, e.g. ["DE", "NO"]; empty: all'
    )
    sla_days = models.PositiveSmallIntegerField(default=3, help_text="Working days from receipt to ship-by")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Product(Identified):
    """What can be ordered, and what its print files must be like. Lengths in mm, weight in g."""

    uid = models.CharField(max_length=120, unique=True, help_text="Sent as productUid")
    name = models.CharField(max_length=120)
    available = models.BooleanField(default=True)
    trim_width = models.FloatField(validators=[MinValueValidator(1)], help_text="mm")
    trim_height = models.FloatField(validators=[MinValueValidator(1)], help_text="mm")
    bleed = models.FloatField(default=3, validators=[MinValueValidator(0)], help_text="mm on every side")
    pages_min = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    pages_max = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    pages_multiple = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    formats = models.JSONField(
        default=list, blank=True, help_text='Accepted, e.g. ["pdf", "jpeg"]; empty: all readable'
    )
    print_profile = models.CharField(max_length=20, default="digital", help_text="digital, sheetfed or large_format")
    # Where this product asks for more or less than its print profile does; empty: the profile's own.
    ppi_error = models.PositiveIntegerField("fails at ppi", null=True, blank=True, help_text="Images at or below")
    ppi_warning = models.PositiveIntegerField("warns at ppi", null=True, blank=True, help_text="Images at or below")
    colour = models.CharField(max_length=10, blank=True, help_text="any, tagged (RGB with a profile) or cmyk")
    spots = models.JSONField(default=list, blank=True, help_text="Spot inks it is printed with")
    ink_limit = models.PositiveIntegerField(null=True, blank=True, help_text="Percent, mean over 15 mm; 0: not checked")
    text_min = models.FloatField("smallest text", null=True, blank=True, help_text="pt")
    line_warning = models.FloatField("thinnest line", null=True, blank=True, help_text="pt")
    quantity_min = models.PositiveIntegerField(default=1)
    quantity_max = models.PositiveIntegerField(default=10_000)
    countries = models.JSONField(default=list, blank=True, help_text="Allowed destinations; empty: all")
    weight = models.PositiveIntegerField(default=0, help_text="g for one piece")
    production_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Working days it takes; empty: as the customer's SLA says"
    )
    customs_description = models.CharField(max_length=120, blank=True)
    hs_code = models.CharField("HS code", max_length=12, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CustomerProduct(Identified):
    """A customer's own SKU, or product name and variant, for a product of ours."""

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="products")
    sku = models.CharField("SKU", max_length=120, blank=True, help_text="Sent as sku; empty: found by name and variant")
    name = models.CharField(max_length=200, blank=True, help_text="Sent as productName")
    variant = models.JSONField(default=dict, blank=True, help_text='e.g. {"size": "A5"}; all of it must match')
    product = models.ForeignKey(Product, models.PROTECT, related_name="customer_products")
    attributes = models.JSONField(default=dict, blank=True, help_text="Variant options that every such item has")
    file_url = models.CharField("print file", max_length=2048, blank=True, help_text="For items that bring no file")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "sku", "name", "variant"], name="customer_product_once")
        ]
        indexes = [models.Index(fields=["customer", "sku"], name="customer_product_sku")]

    def __str__(self) -> str:
        return f"{self.customer}: {self.sku or self.name}"


class ShipmentMethod(Identified):
    """How a parcel may travel, as clients name it ("express")."""

    uid = models.SlugField(max_length=60, unique=True, help_text="Sent in shipmentMethodUid")
    name = models.CharField(max_length=120)
    countries = models.JSONField(default=list, blank=True, help_text="Allowed destinations; empty: all")
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Address(Identified):
    """The recipient: the one table that holds personal data of an order."""

    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    company_name = models.CharField(max_length=100, blank=True)
    address_line1 = models.CharField(max_length=200, blank=True)
    address_line2 = models.CharField(max_length=200, blank=True)
    city = models.CharField(max_length=100, blank=True)
    post_code = models.CharField(max_length=20, blank=True)
    state = models.CharField(max_length=60, blank=True)
    country = models.CharField(max_length=60, blank=True, help_text="ISO 3166-1 alpha-2")
    email = models.CharField(max_length=254, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    is_business = models.BooleanField(default=False)
    federal_tax_id = models.CharField(max_length=60, blank=True)
    state_tax_id = models.CharField(max_length=60, blank=True)
    registration_state = models.CharField(max_length=60, blank=True)
    erase_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Asked to be forgotten: from when on"
    )

    FIELDS = (
        "first_name",
        "last_name",
        "company_name",
        "address_line1",
        "address_line2",
        "city",
        "post_code",
        "state",
        "country",
        "email",
        "phone",
        "is_business",
        "federal_tax_id",
        "state_tax_id",
        "registration_state",
    )

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.company_name

    def as_dict(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self.FIELDS}


class Order(Lifecycle, Identified):
    """One order of one customer. Its id is public and sorts by age; `reference` is the sender's orderReferenceId."""

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    reference = models.CharField(max_length=120, db_index=True)
    # The reference once more where the sender asked that it be used only once: the database keeps that promise.
    unique_reference = models.CharField(max_length=120, null=True, blank=True, editable=False)
    order_type = models.CharField(max_length=10, default="order")
    channel = models.CharField(max_length=40, help_text="The kind of connector it came through")
    connector = models.UUIDField(null=True, help_text="The connector it came through")
    # The sender's own id of the order: through one connector it is never born twice.
    source_id = models.CharField(max_length=120, null=True, blank=True, editable=False)
    source = models.JSONField(default=dict, blank=True, help_text="What the sender's system needs to hear of it again")
    test = models.BooleanField(default=False, help_text="The sender says that it is only a test")
    address = models.OneToOneField(Address, models.PROTECT, related_name="order")
    country = models.CharField(max_length=60, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    retail_currency = models.CharField(max_length=3, blank=True)
    retail_shipping_price = models.BigIntegerField(
        null=True, blank=True, help_text="Minor units of the retail currency"
    )
    financial_status = models.CharField(max_length=40, default="not_invoiced")
    shipment_method = models.CharField(max_length=200, blank=True, help_text="Preferences, best first: normal,express")
    metadata = models.JSONField(default=dict, blank=True)
    extra = models.JSONField(default=dict, blank=True, help_text="Keys the sender sent that have no meaning here")
    sign_offs = models.JSONField(default=list, blank=True, help_text="Findings in print files that a person lets pass")
    item_count = models.PositiveIntegerField(default=0)
    ship_by = models.DateField(null=True, blank=True)
    delayed_at = models.DateTimeField(null=True, editable=False, help_text="When it was told that it is late")
    sequence = models.PositiveIntegerField(default=0, help_text="Number of its latest event")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["customer", "unique_reference"], name="order_reference_once"),
            models.UniqueConstraint(fields=["connector", "source_id"], name="order_source_once"),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="order_status"),
            models.Index(fields=["customer", "-id"], name="order_customer"),
            models.Index(fields=["customer", "status", "-id"], name="order_customer_status"),
            models.Index(fields=["country", "-id"], name="order_country"),
            models.Index(fields=["channel", "-id"], name="order_channel"),
            models.Index(fields=["-id"], name="order_held", condition=models.Q(held=True)),
            models.Index(fields=["status", "ship_by"], name="order_ship_by"),
        ]
        permissions = [
            ("cancel_order", "Can cancel orders"),
            ("retry_order", "Can retry failed orders"),
            ("release_order", "Can release orders to production"),
            ("reprocess_order", "Can reprocess orders"),
            ("amend_order", "Can amend and hold orders"),
            ("produce_order", "Can work on orders in production"),
            ("pack_order", "Can pack orders"),
            ("ship_order", "Can ship orders and record scans"),
            ("export_order", "Can export orders"),
            ("view_analytics", "Can see analytics"),
        ]

    def __str__(self) -> str:
        return self.reference

    def get_absolute_url(self) -> str:
        return reverse("orders:detail", args=[self.pk])

    @property
    def created_at(self) -> datetime:
        return born(self.pk)


class Item(Identified):
    """One line of an order. `canceled` pieces are not made; `packed` pieces are verified into packages."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="items")
    number = models.PositiveSmallIntegerField(help_text="Place in the order, from 1")
    reference = models.CharField(max_length=120, blank=True)
    product = models.ForeignKey(Product, models.PROTECT, related_name="items", null=True)
    sku = models.CharField("SKU", max_length=120, blank=True, help_text="The customer's own")
    product_uid = models.CharField(max_length=120, blank=True, help_text="As the sender named it")
    product_name = models.CharField(max_length=200, blank=True)
    variant = models.JSONField(default=dict, blank=True)
    quantity = models.PositiveIntegerField(default=1)
    canceled = models.PositiveIntegerField(default=0)
    packed = models.PositiveIntegerField(default=0)
    retail_price = models.BigIntegerField(null=True, blank=True, help_text="Minor units of the retail currency")
    page_count = models.PositiveIntegerField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["order", "number"], name="item_number_once")]

    def __str__(self) -> str:
        return f"{self.quantity_due} × {self.name}"

    @property
    def name(self) -> str:
        return self.product.name if self.product else self.product_name or self.product_uid

    @property
    def quantity_due(self) -> int:
        return self.quantity - self.canceled

    @property
    def status(self) -> str:
        return "canceled" if not self.quantity_due else self.order.status


class PrintFile(Identified):
    """One print file of an item: where it comes from and, once fetched, what it is."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="files")
    type = models.CharField(max_length=40, default="default", help_text="The part it prints: default, front, back …")
    url = models.CharField(max_length=2048, help_text="Its address; or what it was called when it was handed over")
    md5 = models.CharField(max_length=32, blank=True, help_text="As the sender reported it")
    sha256 = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Of the content; empty: not fetched yet"
    )
    fetched_at = models.DateTimeField(null=True)
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes")
    mime_type = models.CharField(max_length=60, blank=True)
    page_count = models.PositiveIntegerField(null=True, blank=True)
    previews = models.JSONField(
        default=list, blank=True, help_text="Pages with a preview: page, width and height in mm"
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.type}: {self.url}"


class SearchEntry(models.Model):
    """The words an order is found by, in lower case; one trigram index serves them all (see orders.search)."""

    order = models.OneToOneField(Order, models.CASCADE, related_name="search_entry")
    text = models.TextField()


class Event(Identified):
    """A fact that happened to an order (or, without one, to a customer's request). Append-only."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="events", null=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+", null=True)
    sequence = models.PositiveIntegerField(help_text="1, 2, 3 … without a gap in each order")
    kind = models.CharField(max_length=60, help_text="order.printed")
    by = models.CharField(max_length=120, help_text="user:ada, carrier:manual, connector:shop or system")
    at = models.DateTimeField()
    source = models.CharField(max_length=20, blank=True, help_text="Status before")
    target = models.CharField(max_length=20, blank=True, help_text="Status after")
    seconds = models.FloatField(null=True, help_text="Time spent in the status before")
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "sequence"], name="event_sequence_once")]
        indexes = [models.Index(fields=["target", "at"], name="event_target_at")]

    def __str__(self) -> str:
        return f"{self.kind} #{self.sequence}"


class Delivery(Identified):
    """What must follow an event, for one listener (and one target of it, such as a trigger). Leased, retried, replayed."""

    class State(models.TextChoices):
        DUE = "due", "Due"
        DONE = "done", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.report: dict[str, Any] = {}  # where the listener puts what it sent and got; kept with the attempt

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    order = models.ForeignKey(Order, models.CASCADE, related_name="deliveries", null=True)
    listener = models.CharField(max_length=40)
    target = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DUE)
    due = models.DateTimeField(help_text="Next attempt; while one runs: when its lease ends")
    lease = models.UUIDField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "listener", "target"], name="delivery_once")]
        indexes = [
            models.Index(fields=["due"], name="delivery_due", condition=models.Q(state="due")),
            models.Index(fields=["listener", "-id"], name="delivery_listener"),
            models.Index(fields=["listener", "state", "-id"], name="delivery_list"),
            models.Index(fields=["target", "-id"], name="delivery_target", condition=~models.Q(target="")),
            models.Index(fields=["target"], name="delivery_running", condition=models.Q(lease__isnull=False)),
        ]
        permissions = [("replay_delivery", "Can send deliveries again")]

    def __str__(self) -> str:
        return f"{self.listener} of {self.event_id}"


class Attempt(models.Model):
    """One try at a delivery: when, how long, what was sent and what came back."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    succeeded = models.BooleanField()
    message = models.TextField(blank=True)
    report = models.JSONField(default=dict, help_text="request and answer as the listener saw them")

    class Meta:
        ordering = ["at"]


class Trigger(Identified):
    """Who is told of which events, and how: a signed webhook or an e-mail."""

    class Channel(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        EMAIL = "email", "E-mail"

    class Method(models.TextChoices):
        POST = "POST"
        PUT = "PUT"
        PATCH = "PATCH"

    class Format(models.TextChoices):
        JSON = "json", "JSON"
        XML = "xml", "XML"

    name = models.CharField(max_length=120)
    customer = models.ForeignKey(
        Customer, models.CASCADE, null=True, blank=True, related_name="triggers", help_text="Empty: all"
    )
    event = models.CharField(max_length=60, default="order.*", help_text="order.shipped, order.*, package.* or *")
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.WEBHOOK)
    address = models.CharField("URL or e-mail", max_length=2048)
    method = models.CharField(max_length=6, choices=Method.choices, default=Method.POST)
    format = models.CharField(max_length=4, choices=Format.choices, default=Format.JSON)
    template = models.TextField(
        blank=True, help_text="Jinja2; empty: the standard payload, or the standard text of a mail"
    )
    subject = models.CharField(max_length=200, blank=True, help_text="Of a mail, Jinja2; empty: what happened")
    html = models.TextField("HTML", blank=True, help_text="Of a mail, Jinja2, beside its text; empty: the standard one")
    headers = EncryptedField(blank=True, help_text="More headers of a webhook, a line each: Name: value")
    secret = EncryptedField(blank=True, default=new_signing_secret, help_text="Signs webhooks (Standard Webhooks 1.0)")
    # While a secret is exchanged both sign, so that the receiver may change over when it suits.
    former_secret = EncryptedField(blank=True, editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    retry = models.BooleanField(default=True, help_text="Try again when it fails")
    active = models.BooleanField(default=True)
    # Conditions: only orders that fit all of them; empty: any.
    channels = models.JSONField(default=list, blank=True, help_text='Orders that came through, e.g. ["api", "shopify"]')
    countries = models.JSONField(default=list, blank=True, help_text='Orders that go to, e.g. ["DE", "NO"]')
    products = models.JSONField(default=list, blank=True, help_text="Orders with an item of, by productUid")
    # How its endpoint does. Written by deliveries.
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row")
    failing_since = models.DateTimeField(null=True, editable=False)
    slow_until = models.DateTimeField(null=True, editable=False, help_text="Not called until then: its circuit is open")
    warned_at = models.DateTimeField(null=True, editable=False, help_text="When its owner was told that it fails")
    switched_off_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was switched off because it failed"
    )
    switched_off_why = models.CharField(max_length=300, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name


class EndpointDay(models.Model):
    """What a trigger's endpoint did on one day (UTC): the attempts that succeeded and failed, and how long they took."""

    trigger = models.ForeignKey(Trigger, models.CASCADE, related_name="days")
    day = models.DateField()
    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    milliseconds = models.PositiveBigIntegerField(default=0, help_text="Of all attempts together")
    slowest = models.PositiveIntegerField(default=0, help_text="Milliseconds")

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["trigger", "day"], name="endpoint_day_once")]

    def __str__(self) -> str:
        return f"{self.trigger}: {self.day}"


class AuditEntry(Identified):
    """A change of a setting: who, when (its id), what, before and after. Append-only: the database refuses the rest."""

    by = models.CharField(max_length=120)
    action = models.CharField(max_length=10, help_text="created, changed or deleted")
    kind = models.CharField(max_length=60, help_text="What was changed: trigger, connector, user …")
    object_id = models.CharField(max_length=60)
    name = models.CharField(max_length=200)
    changes = models.JSONField(
        default=dict, help_text="{field: [before, after]}; secrets only say that they were changed"
    )

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "object_id", "-id"], name="audit_object")]

    def __str__(self) -> str:
        return f"{self.name} {self.action}"
