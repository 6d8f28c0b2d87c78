"""One FilterSet for the orders' page, their CSV and the API's search."""

from collections.abc import Callable
from datetime import UTC, datetime, time
from functools import reduce
from operator import or_

import django_filters as filters
from django import forms
from django.db.models import Q, QuerySet

from gelatoconnect.lib.ids import NO_ID, first_id, parse_id
from orders import deadlines, search
from orders.lifecycle import FLOOR, Status
from orders.models import Customer, Order

# Saved views: name → (label, the orders in it: any of these; see TODAY too). The first is what the page opens with.
VIEWS: dict[str, tuple[str, list[Q]]] = {
    "all": ("All", [Q()]),
    "attention": ("Needs attention", [Q(status=Status.FAILED), Q(held=True)]),
    "approval": ("To approve", [Q(status=Status.PASSED)]),
    "ready": ("Ready for production", [Q(status=Status.CREATED)]),
    "production": ("In production", [Q(status__in=FLOOR[1:])]),
    "to_ship": ("To ship", [Q(status=Status.PACKAGED)]),
    "shipped": ("On the way", [Q(status__in=(Status.SHIPPED, Status.IN_TRANSIT))]),
    "due": ("Due soon", []),
    "late": ("Late", []),
}
# What a view holds that goes by the calendar.
TODAY: dict[str, Callable[[], Q]] = {"due": deadlines.due_soon, "late": deadlines.late}


def conditions_of(view: str) -> list[Q]:
    """The orders of a view, any of these. Apart, each is found by an index of its own."""
    return [TODAY[view]()] if view in TODAY else VIEWS[view][1]


class InFilter(filters.BaseInFilter, filters.CharFilter):
    """Comma-separated values, any of them."""


class IdInFilter(InFilter):
    """Comma-separated ids, any of them; what is no id finds nothing."""

    def filter(self, orders: QuerySet[Order], value: list[str] | None) -> QuerySet[Order]:
        return super().filter(orders, [id for id in map(parse_id, value) if id] or [NO_ID] if value else value)


class OrderFilter(filters.FilterSet):
    q = filters.CharFilter(method="find", label="Search")
    view = filters.ChoiceFilter(
        method="in_view", choices=[(name, label) for name, (label, _) in VIEWS.items()], label="View"
    )
    # An order is found once anyway: DISTINCT would sort all of them first.
    status = filters.MultipleChoiceFilter(choices=Status.choices, label="Status", distinct=False)
    customer = filters.ModelMultipleChoiceFilter(method="of_customers", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer")  # fmt: skip
    channel = InFilter(lookup_expr="in", label="Channel")
    country = InFilter(lookup_expr="in", label="Country")
    currency = InFilter(lookup_expr="in", label="Currency")
    connector = IdInFilter(lookup_expr="in", label="Connector")
    id = IdInFilter(lookup_expr="in", label="Id")
    reference = InFilter(lookup_expr="in", label="Reference")
    order_type = InFilter(lookup_expr="in", label="Type")
    financial_status = InFilter(lookup_expr="in", label="Financial status")
    held = filters.BooleanFilter(label="On hold")
    test = filters.BooleanFilter(label="Test")
    since = filters.DateFilter(method="born_since", label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = filters.DateFilter(method="born_until", label="To", widget=forms.DateInput(attrs={"type": "date"}))

    class Meta:
        model = Order
        fields: list[str] = []

    def find(self, orders: QuerySet[Order], _name: str, text: str) -> QuerySet[Order]:
        return search.find(orders, text)

    def of_customers(self, orders: QuerySet[Order], _name: str, customers: list[Customer]) -> QuerySet[Order]:
        return orders.filter(customer__in=[customer.pk for customer in customers]) if customers else orders

    def in_view(self, orders: QuerySet[Order], _name: str, view: str) -> QuerySet[Order]:
        return orders.filter(reduce(or_, conditions_of(view)))

    def born_since(self, orders: QuerySet[Order], _name: str, day: datetime) -> QuerySet[Order]:
        return orders.filter(id__gte=first_id(datetime.combine(day, time.min, tzinfo=UTC)))

    def born_until(self, orders: QuerySet[Order], _name: str, day: datetime) -> QuerySet[Order]:
        return orders.filter(id__lte=first_id(datetime.combine(day, time.max, tzinfo=UTC)))
