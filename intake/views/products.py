"""Customers' products: the names that nobody has mapped yet, with what waits for them; and the mappings there are."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, UUIDField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from gelatoconnect.lib import lists
from intake import products
from intake.filters import UNMAPPED_VIEWS, MappedFilter, UnmappedFilter
from intake.forms import MapForm, MappedForm
from intake.models import OrderRequest, Unmapped
from orders import audit
from orders.forms import options_text
from orders.models import CustomerProduct, Product
from orders.pages import actor, asked, list_page, staff_only

WAITING = (OrderRequest.State.REJECTED, OrderRequest.State.IGNORED, OrderRequest.State.RECEIVED)
OFFERED = 2_000  # products to choose from in the browser; others are typed
COLUMNS = (
    ("Theirs", ""),
    ("Options", ""),
    ("Ours", ""),
    ("Every such item has", "wide"),
    ("Print file", "wide"),
    ("", "fit"),
)


@staff_only("intake.view_unmapped")
@require_GET
def unmapped_list(request: HttpRequest) -> HttpResponse:
    chosen = UnmappedFilter(asked(request), queryset=Unmapped.objects.select_related("customer"))
    page = list_page(chosen, title="Products", columns=(), tabs=_tabs(chosen))
    may = _may_map(request)
    ours = list(Product.objects.only("uid", "name").order_by("name")[:OFFERED]) if may else []
    rows = _told(page.rows, ours)
    groups = [(customer, list(some)) for customer, some in groupby(rows, key=lambda row: row["name"].customer)]
    context = {"section": "products", "page": page, "groups": groups, "products": ours, "may": may}
    return render(request, "intake/products.html", context)


@staff_only("intake.process_orderrequest")
@staff_only("orders.add_customerproduct")
@require_http_methods(["GET", "POST"])
def map_name(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say which product a name means, and show what became of all that waited for it."""
    name = get_object_or_404(Unmapped.objects.select_related("customer"), pk=pk)
    form = MapForm(request.POST if request.method == "POST" else None, name=name)
    if not form.is_valid():
        context = {"section": "products", "title": f"{name}: which product is it?", "form": form, "submit_label": "Map"}
        return render(request, "form.html", context | {"back_url": reverse("intake:products")})
    retried = products.map_to(name, by=actor(request), **form.cleaned_data)
    title = f"{name} is {retried.mapping.product.name} now"
    return render(request, "intake/products_result.html", {"section": "products", "title": title, "retried": retried})


@staff_only("intake.process_orderrequest")
@staff_only("orders.add_customerproduct")
@require_POST
def set_ignored(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Not ours to print: the name is hidden. Or it is shown again."""
    name = get_object_or_404(Unmapped, pk=pk)
    name.ignored = request.POST.get("ignored") == "yes"
    name.save(update_fields=["ignored"])
    said = "is not ours to print: it is hidden" if name.ignored else "is to be mapped again"
    messages.success(request, f"{name} {said}.")
    return redirect("intake:products")


@staff_only("orders.view_customerproduct")
@require_GET
def mapped_list(request: HttpRequest) -> HttpResponse:
    found = CustomerProduct.objects.select_related("customer", "product")
    chosen = MappedFilter(asked(request), queryset=found)
    page = list_page(chosen, title="Products", columns=COLUMNS, tabs=_tabs(chosen))
    for row in page.rows:
        row.options, row.added = options_text(row.variant), options_text(row.attributes)
    may = request.user.has_perm("orders.change_customerproduct")
    return render(
        request,
        "intake/products_mapped.html",
        {"section": "products", "page": page, "row_template": "intake/products_row.html", "may": may,
         "empty_text": "As soon as a customer's name or SKU is mapped to a product, it stands here."},
    )  # fmt: skip


@staff_only("orders.change_customerproduct")
@require_http_methods(["GET", "POST"])
def edit_mapped(request: HttpRequest, pk: UUID) -> HttpResponse:
    mapping = get_object_or_404(CustomerProduct.objects.select_related("customer"), pk=pk)
    form = MappedForm(request.POST if request.method == "POST" else None, instance=mapping)
    if form.is_valid():
        with audit.watch(mapping, by=actor(request)):
            form.save()
        messages.success(request, f"{mapping}: saved. It holds for what comes from now on.")
        return redirect("intake:products-mapped")
    context = {"section": "products", "title": f"{mapping}", "form": form}
    return render(request, "form.html", context | {"back_url": reverse("intake:products-mapped")})


@staff_only("orders.change_customerproduct")
@require_http_methods(["GET", "POST"])
def remove_mapped(request: HttpRequest, pk: UUID) -> HttpResponse:
    mapping = get_object_or_404(CustomerProduct.objects.select_related("customer", "product"), pk=pk)
    if request.method == "POST":
        with audit.watch(mapping, by=actor(request)):
            mapping.delete()
        messages.success(request, f"{mapping} is not mapped any more.")
        return redirect("intake:products-mapped")
    intro = (
        f"It means {mapping.product.name} now. Orders keep their product; what comes from now on waits to be mapped."
    )
    context = {"section": "products", "title": f"Remove {mapping}?", "intro": intro, "style": "danger"}
    return render(
        request, "confirm.html", context | {"submit_label": "Remove", "back_url": reverse("intake:products-mapped")}
    )


def _may_map(request: HttpRequest) -> bool:
    return request.user.has_perms(("intake.process_orderrequest", "orders.add_customerproduct"))


def _tabs(chosen: UnmappedFilter | MappedFilter) -> Iterator[tuple[str, str, str, bool]]:
    here = isinstance(chosen, UnmappedFilter)
    current = (chosen.data.get("view") or "open") if here else "mapped"
    base = reverse("intake:products")
    for name, (label, condition) in UNMAPPED_VIEWS.items():
        count = lists.count_label(lists.capped_count(Unmapped.objects.filter(condition))) if name != "ignored" else ""
        yield label, base if name == "open" else f"{base}?view={name}", count, name == current
    yield "Mapped", reverse("intake:products-mapped"), "", current == "mapped"


def _told(names: Iterable[Unmapped], ours: list[Product]) -> list[dict[str, Any]]:
    """Each name with how many requests wait for it, an example of them, and products it may be; by customer."""
    names = sorted(names, key=lambda name: (name.customer.name, str(name.customer_id), str(name)))
    waiting = _waiting(names)
    examples = OrderRequest.objects.only("reference", "order").in_bulk([id for _, id in waiting.values() if id])
    mapped = _mapped(names)
    return [
        {
            "name": name,
            "options": options_text(name.variant),
            "count": waiting[name.pk][0],
            "example": examples.get(waiting[name.pk][1]),
            "mapped": mapped.get(_key(name)),
            "suggested": products.closest(f"{name.sku or name.name} {' '.join(map(str, name.variant.values()))}", ours),
        }
        for name in names
    ]


def _waiting(names: list[Unmapped]) -> dict[UUID, tuple[int, UUID | None]]:
    links = Unmapped.waiting.through.objects.filter(unmapped=OuterRef("pk"))
    found = Unmapped.objects.filter(pk__in=[name.pk for name in names]).annotate(
        count=Count("waiting", filter=Q(waiting__state__in=WAITING)),
        example=Subquery(links.order_by("-orderrequest_id").values("orderrequest_id")[:1],
                         output_field=UUIDField()))  # fmt: skip
    return {pk: (count, example) for pk, count, example in found.values_list("pk", "count", "example")}


def _mapped(names: list[Unmapped]) -> dict[Any, CustomerProduct]:
    """Mappings that were made meanwhile, elsewhere, for these very names."""
    found: QuerySet[CustomerProduct] = CustomerProduct.objects.select_related("product").filter(
        customer__in={name.customer_id for name in names}, sku__in={name.sku for name in names},
        name__in={name.name for name in names})  # fmt: skip
    return {_key(mapping): mapping for mapping in found}


def _key(named: Unmapped | CustomerProduct) -> tuple[Any, ...]:
    return named.customer_id, named.sku, named.name, json.dumps(named.variant, sort_keys=True)
