"""What came in: connectors with their keys, and every request as it was received."""

from django.db import models
from django.utils import timezone

from gelatoconnect.lib.secrets import EncryptedField
from orders.models import Customer, Identified, Order


class Connector(Identified):
    """One way in for one customer's orders (or, without a customer, for all customers who name themselves)."""

    name = models.SlugField(max_length=60, unique=True)
    type = models.CharField(max_length=40, default="api", help_text="One of the connector types")
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, blank=True, related_name="connectors",
                                 help_text="Empty: open to all; senders then send Customer-Reference-ID")  # fmt: skip
    prevent_duplicates = models.BooleanField(default=False, help_text="Refuse an orderReferenceId sent before")
    active = models.BooleanField(default=True)
    settings = EncryptedField(blank=True, help_text="JSON; what the connector type asks for")
    memory = EncryptedField(blank=True, editable=False, help_text="JSON; what it was given on the way, such as tokens")
    # Channels that are asked, and shops that are compared with what has arrived.
    next_pull = models.DateTimeField(null=True, default=timezone.now, editable=False,
                                     help_text="While one runs: when its lease ends; empty: never")  # fmt: skip
    pulled_at = models.DateTimeField(null=True, editable=False, help_text="When it was last asked with success")
    pull_error = models.TextField(blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["next_pull"], name="connector_next_pull")]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """Half of `X-API-KEY: <key>:<secret>`; the secret is shown once and kept only as a hash."""

    connector = models.ForeignKey(Connector, models.CASCADE, related_name="keys")
    key = models.CharField(max_length=40, unique=True)
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.key


class Mapping(Identified):
    """One version of a connector's templates. Versions are never changed: a request remembers the one it was read with."""

    connector = models.ForeignKey(Connector, models.CASCADE, related_name="mappings")
    version = models.PositiveIntegerField()
    submit = models.TextField(help_text="Jinja2: the sender's words → the submit body of the API, as JSON")
    cancel = models.TextField(blank=True, help_text="Jinja2: the sender's words → a cancellation, as JSON")
    answer = models.TextField(blank=True, help_text="Jinja2: what the sender is told; empty: the API's own answer")
    answer_type = models.CharField(max_length=120, default="application/json", help_text="Content type of the answers")
    lookups = models.JSONField(default=dict, blank=True, help_text="Tables by name: their codes → ours")
    sample = models.TextField(blank=True, help_text="A request of the sender, to try the templates with")
    by = models.CharField(max_length=120)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["connector", "version"], name="mapping_version_once")]

    def __str__(self) -> str:
        return f"{self.connector} v{self.version}"


class OrderRequest(Identified):
    """An incoming call, file or row, byte for byte, and what became of it."""

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        IGNORED = "ignored", "Ignored"

    connector = models.ForeignKey(Connector, models.PROTECT, related_name="requests", db_index=False)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="requests")
    order = models.ForeignKey(Order, models.SET_NULL, null=True, related_name="requests")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    topic = models.CharField(max_length=120, blank=True, help_text="What the sender calls it: orders/create")
    reference = models.CharField(max_length=120, blank=True, db_index=True)
    source_id = models.CharField(max_length=120, blank=True, help_text="The sender's own id of the order it is about")
    # The sender's own key for this request; kept only while its outcome may be asked for again.
    key = models.CharField(max_length=200, null=True, editable=False)
    fingerprint = models.CharField(max_length=64, editable=False, help_text="sha256 of the body")
    body = models.BinaryField(editable=False)
    fetched_body = models.BinaryField(
        null=True, editable=False, help_text="What the call pointed to, as it was fetched"
    )
    mended_body = models.BinaryField(
        null=True, editable=False, help_text="What a person made of it before processing again"
    )
    contents = models.JSONField(default=dict, help_text="Print files that came with it: name → sha256")
    mapping = models.ForeignKey(
        Mapping, models.PROTECT, null=True, related_name="requests", help_text="It was read with"
    )
    recovered = models.BooleanField(default=False, help_text="Never sent to us; found when the channel was compared")
    content_type = models.CharField(max_length=120, blank=True)
    headers = models.JSONField(default=dict, help_text="Without secrets")
    customer_reference = models.CharField(max_length=120, blank=True)
    problems = models.JSONField(default=list)
    answer_status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True, help_text="As it went over the wire")

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["connector", "key"], name="request_key_once")]
        indexes = [
            models.Index(fields=["state", "-id"], name="request_state"),
            models.Index(fields=["customer", "-id"], name="request_customer"),
            models.Index(fields=["connector", "-id"], name="request_connector"),
            models.Index(fields=["connector", "source_id"], name="request_source", condition=~models.Q(source_id="")),
        ]
        permissions = [("process_orderrequest", "Can mend, process again and ignore requests")]

    def __str__(self) -> str:
        return self.reference or str(self.pk)


class Unmapped(Identified):
    """A customer's name for something that is mapped to no product yet, and the requests that wait for it."""

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="unmapped")
    sku = models.CharField("SKU", max_length=120, blank=True)
    name = models.CharField(max_length=200, blank=True)
    variant = models.JSONField(default=dict, blank=True)
    needed = models.BooleanField(default=True, help_text="Something waits for it; else its lines are left out")
    ignored = models.BooleanField(default=False, help_text="A person says that it is nothing to print")
    last_seen = models.DateTimeField()
    waiting = models.ManyToManyField(OrderRequest, related_name="unmapped", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "sku", "name", "variant"], name="unmapped_once")]

    def __str__(self) -> str:
        return self.sku or self.name


class Import(Identified):
    """A file of many orders that a person brought in the browser: first looked at, then imported in the background."""

    class State(models.TextChoices):
        PREVIEW = "preview", "To be confirmed"
        RUNNING = "running", "Importing"
        DONE = "done", "Imported"
        FAILED = "failed", "Failed"
        DISCARDED = "discarded", "Discarded"

    connector = models.ForeignKey(Connector, models.PROTECT, related_name="imports")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="imports")
    by = models.CharField(max_length=120)
    email = models.EmailField(blank=True, help_text="Told when it is done")
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, help_text="Of the file, which is kept by content")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PREVIEW)
    rows = models.PositiveIntegerField(default=0)
    orders = models.PositiveIntegerField(default=0, help_text="How many the file holds")
    accepted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0, help_text="Had been imported before")
    report = models.JSONField(default=dict, help_text="How it was read: encoding, delimiter, columns")
    error = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("import_orders", "Can import orders from files")]

    def __str__(self) -> str:
        return self.file_name


class FileFacts(models.Model):
    """What preflight saw in a file, by content: the same file in a second order is not opened again."""

    sha256 = models.CharField(max_length=64)
    version = models.CharField(max_length=40, help_text="Of the checker")
    facts = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sha256", "version"], name="facts_once")]
