"""Parcels: what is in them, who carries them, where they have been seen."""

from django.db import models

from orders.models import Identified, Item, Order


class CarrierAccount(Identified):
    """A contract with a carrier: which one, and what it needs to book parcels."""

    name = models.CharField(max_length=120, unique=True)
    carrier = models.CharField(max_length=40, default="manual", help_text="One of the carriers")
    config = models.JSONField(default=dict, blank=True, help_text="What the carrier asks for")
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Package(Identified):
    """One parcel of an order, with its label. Weight in g."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="packages")
    number = models.PositiveSmallIntegerField(help_text="Place among the order's parcels, from 1")
    weight = models.PositiveIntegerField(default=0, help_text="g")
    account = models.ForeignKey(CarrierAccount, models.PROTECT, null=True, related_name="packages")
    service = models.CharField(max_length=60, blank=True)
    tracking_code = models.CharField(max_length=60, blank=True, db_index=True)
    tracking_url = models.CharField(max_length=500, blank=True)
    label = models.CharField(max_length=64, blank=True, help_text="sha256 of the label's PDF; empty: none yet")
    status = models.CharField(max_length=20, default="packaged", help_text="In the words of the order's statuses")
    status_at = models.DateTimeField(null=True, help_text="Time of the scan that gave the status")
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return self.tracking_code or f"Package {self.number}"


class PackageItem(models.Model):
    """So many pieces of an item, verified into a parcel."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="contents")
    item = models.ForeignKey(Item, models.CASCADE, related_name="packed_in")
    quantity = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["package", "item"], name="package_item_once")]


class Scan(models.Model):
    """A carrier's word about a parcel. Late, twice or out of order is normal; the same word is kept once."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="scans")
    status = models.CharField(max_length=20, help_text="shipped, in_transit, delivered or returned")
    at = models.DateTimeField(help_text="When the carrier saw it")
    place = models.CharField(max_length=120, blank=True)
    message = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=120)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at"]
        constraints = [models.UniqueConstraint(fields=["package", "status", "at"], name="scan_once")]
