"""The parcels' list: its views and filters."""

import django_filters as filters
from django.db.models import Q, QuerySet

from orders.lifecycle import Status
from orders.models import Customer
from shipping.models import CarrierAccount, Package
from shipping.tracking import WAY

# Name → (label, the packages in it). The first is what the page opens with.
VIEWS: dict[str, tuple[str, Q]] = {
    "to_hand_over": ("To hand over", Q(status=Status.PACKAGED, order__status=Status.PACKAGED)),
    "on_the_way": ("On the way", Q(status__in=(Status.SHIPPED, Status.IN_TRANSIT))),
    "not_scanned": ("Not scanned", Q(missed_at__isnull=False)),
    "delivered": ("Delivered", Q(status=Status.DELIVERED)),
    "returned": ("Returned", Q(status=Status.RETURNED)),
    "all": ("All", Q()),
}


class PackageFilter(filters.FilterSet):
    q = filters.CharFilter(method="find", label="Tracking code or order")
    view = filters.ChoiceFilter(
        method="in_view", choices=[(name, label) for name, (label, _) in VIEWS.items()], label="View"
    )
    status = filters.MultipleChoiceFilter(choices=[(status, Status(status).label) for status in WAY], label="Status")
    customer = filters.ModelMultipleChoiceFilter("order__customer__reference", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer")  # fmt: skip
    account = filters.ModelChoiceFilter(queryset=CarrierAccount.objects.all(), label="Carrier")

    class Meta:
        model = Package
        fields: list[str] = []

    def find(self, packages: QuerySet[Package], _name: str, text: str) -> QuerySet[Package]:
        """By the beginning of a tracking code; else by the order's whole reference."""
        coded = packages.filter(tracking_code__startswith=text)
        return coded if coded.exists() else packages.filter(order__reference=text)

    def in_view(self, packages: QuerySet[Package], _name: str, view: str) -> QuerySet[Package]:
        return packages.filter(VIEWS[view][1])
