"""Parcels: what is in them, who carries them, where they have been seen."""

from django.db import models
from django.db.models import Q

from orders.lifecycle import Status
from orders.models import Identified, Item, Order


class CarrierAccount(Identified):
    """A contract with a carrier: which one, and what it needs to book parcels."""

    name = models.CharField(max_length=120, unique=True)
    carrier = models.CharField(max_length=40, default="manual", help_text="One of the carriers")
    config = models.JSONField(default=dict, blank=True, help_text="What the carrier asks for")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class PackageQuerySet(models.QuerySet["Package"]):
    def live(self) -> "PackageQuerySet":
        """Without those that were unpacked or voided."""
        return self.filter(voided_at=None)


class Package(Identified):
    """One parcel of an order, with its label. Weight in g.

    A package is never deleted: unpacked, or of an order that was canceled or is made again, it is voided.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="packages")
    number = models.PositiveSmallIntegerField(help_text="Place among the order's live parcels, from 1")
    weight = models.PositiveIntegerField(default=0, help_text="g")
    account = models.ForeignKey(CarrierAccount, models.PROTECT, null=True, related_name="packages")
    service = models.CharField(max_length=60, blank=True)
    carrier_reference = models.CharField(max_length=120, blank=True, help_text="The carrier's name for the booking")
    tracking_code = models.CharField(max_length=60, blank=True, db_index=True)
    tracking_url = models.CharField(max_length=500, blank=True)
    label = models.CharField(max_length=64, blank=True, help_text="sha256 of the label's PDF; empty: none yet")
    status = models.CharField(max_length=20, default="packaged", help_text="The furthest that a scan has told of")
    status_at = models.DateTimeField(null=True, help_text="Time of the scan that gave the status")
    voided_at = models.DateTimeField(null=True, blank=True)
    labeled_at = models.DateTimeField(null=True, editable=False, help_text="When its label was made")
    missed_at = models.DateTimeField(null=True, editable=False, help_text="When it was said that no scan has come")

    objects = PackageQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        indexes = [
            models.Index(fields=["status", "-id"], name="package_queue", condition=Q(voided_at=None)),
        ]

    def __str__(self) -> str:
        return self.tracking_code or f"Package {self.number}"

    @property
    def status_label(self) -> str:
        return Status(self.status).label


class PackageItem(models.Model):
    """So many pieces of an item, verified into a parcel."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="contents")
    item = models.ForeignKey(Item, models.CASCADE, related_name="packed_in")
    quantity = models.PositiveIntegerField()

    class Meta:
        ordering = ["item__number"]
        constraints = [models.UniqueConstraint(fields=["package", "item"], name="package_item_once")]


class Scan(models.Model):
    """A word about where a parcel is. Late, twice or out of order is normal; the same word is kept once."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="scans")
    status = models.CharField(max_length=20, help_text="shipped, in_transit, delivered or returned")
    at = models.DateTimeField(help_text="When it was seen there")
    place = models.CharField(max_length=120, blank=True)
    message = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=120)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["package", "status", "at"], name="scan_once")]

    def __str__(self) -> str:
        return f"{self.status_label} at {self.at:%Y-%m-%d %H:%M}"

    @property
    def status_label(self) -> str:
        return Status(self.status).label
