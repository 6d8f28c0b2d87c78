"""What came in: connectors with their keys, and every request as it was received."""

from django.db import models

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
    credentials = EncryptedField(blank=True, help_text="JSON; what the connector type asks for")

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


class OrderRequest(Identified):
    """An incoming call, file or row, byte for byte, and what became of it."""

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        IGNORED = "ignored", "Ignored"

    connector = models.ForeignKey(Connector, models.PROTECT, related_name="requests")
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="requests")
    order = models.ForeignKey(Order, models.SET_NULL, null=True, related_name="requests")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    reference = models.CharField(max_length=120, blank=True, db_index=True)
    # The sender's own key for this request; kept only while its outcome may be asked for again.
    key = models.CharField(max_length=200, null=True, editable=False)
    fingerprint = models.CharField(max_length=64, editable=False, help_text="sha256 of the body")
    body = models.BinaryField(editable=False)
    mended_body = models.BinaryField(
        null=True, editable=False, help_text="What a person made of it before processing again"
    )
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
        ]
        permissions = [("process_orderrequest", "Can mend, process again and ignore requests")]

    def __str__(self) -> str:
        return self.reference or str(self.pk)


class FileFacts(models.Model):
    """What preflight saw in a file, by content: the same file in a second order is not opened again."""

    sha256 = models.CharField(max_length=64)
    version = models.CharField(max_length=40, help_text="Of the checker")
    facts = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sha256", "version"], name="facts_once")]
