"""One FilterSet for the requests' page."""

import json
from typing import Any

import django_filters as filters
from django.db.models import Q, QuerySet

from gelatoconnect.lib.ids import parse_id
from intake.connectors import CONNECTOR_TYPES
from intake.models import Connector, Import, OrderRequest, Unmapped
from orders.models import Customer, CustomerProduct
from orders.pages import BornFilter

State = OrderRequest.State
# Saved views: name → (label, the requests in it). The first is what the page opens with.
VIEWS: dict[str, tuple[str, Q]] = {
    "all": ("All", Q()),
    "refused": ("Refused", Q(state=State.REJECTED)),
    "waiting": ("To be read", Q(state=State.RECEIVED)),
    "ignored": ("Ignored", Q(state=State.IGNORED)),
}


def types() -> list[tuple[str, str]]:
    return [(kind.name, kind.label) for kind in CONNECTOR_TYPES.values()]


class RequestFilter(BornFilter):
    q = filters.CharFilter(method="find", label="Search by reference, id or problem")
    view = filters.ChoiceFilter(method="in_view", choices=[(name, label) for name, (label, _) in VIEWS.items()])
    # A request is found once anyway: DISTINCT would sort all of them first.
    state = filters.MultipleChoiceFilter(choices=State.choices, label="Result", distinct=False)
    customer = filters.ModelMultipleChoiceFilter("customer__reference", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer", distinct=False)  # fmt: skip
    connector = filters.ModelMultipleChoiceFilter("connector__name", queryset=Connector.objects.order_by("name"),
                                                  to_field_name="name", label="Connector", distinct=False)  # fmt: skip
    type = filters.MultipleChoiceFilter("connector__type", choices=types, label="Channel", distinct=False)
    recovered = filters.BooleanFilter(label="Recovered")
    topic = filters.CharFilter(lookup_expr="istartswith", label="Topic, such as orders/create")
    problem = filters.CharFilter(method="refused_for", label="Refused for, such as FIELD_MISSING")

    class Meta:
        model = OrderRequest
        fields: list[str] = []

    def find(self, found: QuerySet[OrderRequest], _name: str, text: str) -> QuerySet[OrderRequest]:
        """An id (its own, its order's or the sender's) or a whole reference comes alone; otherwise every reference and
        every problem with the text in it."""
        id = parse_id(text)
        # The index of senders' ids begins with the connector, and leaves out those without one.
        theirs = Q(source_id=text, connector__in=Connector.objects.values("pk")) & ~Q(source_id="")
        for exact in (Q(pk=id) | Q(order=id) if id else Q(reference=text), theirs):
            if found.filter(exact).exists():
                return found.filter(exact)
        return found.filter(Q(reference__icontains=text) | _said(text))

    def in_view(self, found: QuerySet[OrderRequest], _name: str, view: str) -> QuerySet[OrderRequest]:
        return found.filter(VIEWS[view][1])

    def refused_for(self, found: QuerySet[OrderRequest], _name: str, code: str) -> QuerySet[OrderRequest]:
        return found.filter(_said(code))


def _said(text: str) -> Q:
    """Problems with this text. SQLite keeps them as JSON with escapes, PostgreSQL as it is read."""
    escaped = json.dumps(text)[1:-1]
    found = Q(problems__icontains=text)
    if escaped != text:
        found |= Q(problems__icontains=escaped)
    return found & Q(state__in=(State.REJECTED, State.IGNORED))


class ImportFilter(BornFilter):
    q = filters.CharFilter("file_name", lookup_expr="icontains", label="Search by file")
    state = filters.MultipleChoiceFilter(choices=Import.State.choices, label="State")
    customer = filters.ModelMultipleChoiceFilter("customer__reference", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer")  # fmt: skip

    class Meta:
        model = Import
        fields: list[str] = []


# Names that nobody has mapped: view → (label, the names in it). The first is what the page opens with.
UNMAPPED_VIEWS: dict[str, tuple[str, Q]] = {
    "open": ("To be mapped", Q(needed=True, ignored=False)),
    "left_out": ("Left out of orders", Q(needed=False, ignored=False)),
    "ignored": ("Not ours to print", Q(ignored=True)),
}


class UnmappedFilter(filters.FilterSet):
    q = filters.CharFilter(method="find", label="Search by SKU or name")
    view = filters.ChoiceFilter(
        method="in_view", choices=[(name, label) for name, (label, _) in UNMAPPED_VIEWS.items()]
    )
    customer = filters.ModelMultipleChoiceFilter("customer__reference", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer", distinct=False)  # fmt: skip

    class Meta:
        model = Unmapped
        fields: list[str] = []

    @property
    def qs(self) -> QuerySet[Unmapped]:
        """Without a view: what is to be mapped."""
        found = super().qs
        return found if self.form.cleaned_data.get("view") else self.in_view(found, "view", "open")

    def find(self, found: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        return found.filter(Q(sku__icontains=text) | Q(name__icontains=text))

    def in_view(self, found: QuerySet[Unmapped], _name: str, view: str) -> QuerySet[Unmapped]:
        return found.filter(UNMAPPED_VIEWS[view][1])


class MappedFilter(filters.FilterSet):
    q = filters.CharFilter(method="find", label="Search by SKU, name or product")
    customer = filters.ModelMultipleChoiceFilter("customer__reference", queryset=Customer.objects.all(),
                                                 to_field_name="reference", label="Customer", distinct=False)  # fmt: skip

    class Meta:
        model = CustomerProduct
        fields: list[str] = []

    def find(self, found: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        ours = Q(product__uid__icontains=text) | Q(product__name__icontains=text)
        return found.filter(Q(sku__icontains=text) | Q(name__icontains=text) | ours)
