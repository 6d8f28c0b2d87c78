"""One FilterSet for the requests' page."""

import django_filters as filters
from django.db.models import Q, QuerySet

from gelatoconnect.lib.ids import parse_id
from intake.models import Connector, OrderRequest
from orders.models import Customer
from orders.pages import BornFilter

State = OrderRequest.State
# Saved views: name → (label, the requests in it). The first is what the page opens with.
VIEWS: dict[str, tuple[str, Q]] = {
    "all": ("All", Q()),
    "refused": ("Refused", Q(state=State.REJECTED)),
    "ignored": ("Ignored", Q(state=State.IGNORED)),
}


class RequestFilter(BornFilter):
    q = filters.CharFilter(method="find", label="Search by reference or id")
    view = filters.ChoiceFilter(method="in_view", choices=[(name, label) for name, (label, _) in VIEWS.items()])
    state = filters.MultipleChoiceFilter(choices=State.choices, label="Result")
    customer = filters.ModelMultipleChoiceFilter("customer__reference", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer")  # fmt: skip
    connector = filters.ModelMultipleChoiceFilter("connector__name", queryset=Connector.objects.order_by("name"),
                                                  to_field_name="name", label="Connector")  # fmt: skip
    problem = filters.CharFilter(method="refused_for", label="Refused for, such as FIELD_MISSING")

    class Meta:
        model = OrderRequest
        fields: list[str] = []

    def find(self, found: QuerySet[OrderRequest], _name: str, text: str) -> QuerySet[OrderRequest]:
        """An id (its own or its order's) or a whole reference comes alone; otherwise every reference with the text in it."""
        id = parse_id(text)
        exact = Q(pk=id) | Q(order=id) if id else Q(reference=text)
        return found.filter(exact) if found.filter(exact).exists() else found.filter(reference__icontains=text)

    def in_view(self, found: QuerySet[OrderRequest], _name: str, view: str) -> QuerySet[OrderRequest]:
        return found.filter(VIEWS[view][1])

    def refused_for(self, found: QuerySet[OrderRequest], _name: str, code: str) -> QuerySet[OrderRequest]:
        return found.filter(state__in=(State.REJECTED, State.IGNORED), problems__icontains=code)
