"""One FilterSet for the requests' page."""

from datetime import UTC, date, datetime, time

import django_filters as filters
from django import forms
from django.db.models import Q, QuerySet

from gelatoconnect.lib.ids import first_id, parse_id
from intake.models import Connector, OrderRequest
from orders.models import Customer


class RequestFilter(filters.FilterSet):
    q = filters.CharFilter(method="find", label="Search by reference or id")
    state = filters.MultipleChoiceFilter(choices=OrderRequest.State.choices, label="Result")
    customer = filters.ModelChoiceFilter(queryset=Customer.objects.all(), to_field_name="reference", label="Customer",
                                         empty_label="")  # fmt: skip
    connector = filters.ModelChoiceFilter(queryset=Connector.objects.order_by("name"), to_field_name="name",
                                          label="Connector", empty_label="")  # fmt: skip
    problem = filters.CharFilter("problems", lookup_expr="icontains", label="Problem, such as FIELD_MISSING")
    since = filters.DateFilter(method="born_since", label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = filters.DateFilter(method="born_until", label="To", widget=forms.DateInput(attrs={"type": "date"}))

    class Meta:
        model = OrderRequest
        fields: list[str] = []

    def find(self, found: QuerySet[OrderRequest], _name: str, text: str) -> QuerySet[OrderRequest]:
        """An id or a whole reference comes alone; otherwise every reference that holds the text."""
        exact = (
            Q(reference=text) | Q(pk=parse_id(text)) | Q(order=parse_id(text)) if parse_id(text) else Q(reference=text)
        )
        if found.filter(exact).exists():
            return found.filter(exact)
        return found.filter(reference__icontains=text)

    def born_since(self, found: QuerySet[OrderRequest], _name: str, day: date) -> QuerySet[OrderRequest]:
        return found.filter(id__gte=first_id(datetime.combine(day, time.min, tzinfo=UTC)))

    def born_until(self, found: QuerySet[OrderRequest], _name: str, day: date) -> QuerySet[OrderRequest]:
        return found.filter(id__lte=first_id(datetime.combine(day, time.max, tzinfo=UTC)))
