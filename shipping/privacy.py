"""What is kept of an order's recipient on the parcels: labels, tracking, scans. See orders/privacy.py."""

from typing import Any

from orders import privacy
from orders.models import Order
from shipping.models import Package, Scan


def _erase(order: Order) -> set[str]:
    """The label shows the address, the tracking code leads to it."""
    packages = Package.objects.filter(order=order)
    labels = {sha256 for sha256 in packages.values_list("label", flat=True) if sha256}
    Scan.objects.filter(package__order=order).update(place="", message="")
    packages.update(label="", tracking_code="", tracking_url="", carrier_reference="")
    return labels


def _told(order: Order) -> list[dict[str, Any]]:
    scans = Scan.objects.filter(package__order=order).order_by("at")
    return [{"parcel": str(scan.package_id), "at": scan.at.isoformat(), "status": scan.status, "place": scan.place,
             "message": scan.message} for scan in scans]  # fmt: skip


def _needs(contents: set[str]) -> set[str]:
    return set(Package.objects.filter(label__in=contents).values_list("label", flat=True))


privacy.KEEPERS.append(privacy.Keeper("scans", _erase, _told, _needs))
