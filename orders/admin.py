"""Settings of orders in the admin: customers, products, shipment methods. Orders and triggers have pages of their own."""

from typing import Any
from urllib.parse import quote

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from gelatoconnect.lib.ids import parse_id
from orders.audited import Audited
from orders.forms import OptionsField, WordsField, countries_field, is_web_address
from orders.models import Customer, CustomerProduct, Product, ShipmentMethod, Trigger

FORMATS = {"pdf", "jpeg", "png", "tiff"}
PROFILES = (("digital", "Digital"), ("sheetfed", "Sheetfed offset"), ("large_format", "Large format"))


class CustomerForm(forms.ModelForm):
    countries = countries_field()


class ShipmentMethodForm(forms.ModelForm):
    countries = countries_field()


COLOURS = [
    ("", "As the print profile says"),
    ("any", "Any"),
    ("tagged", "RGB only with a profile"),
    ("cmyk", "CMYK only"),
]


class ProductForm(forms.ModelForm):
    countries = countries_field()
    formats = WordsField(known=FORMATS, fold=str.lower, help_text="Of pdf, jpeg, png, tiff; empty: all of them")
    print_profile = forms.ChoiceField(choices=PROFILES, help_text="What is asked of its print files")
    colour = forms.ChoiceField(choices=COLOURS, required=False, help_text="Which colours its files may hold")
    spots = WordsField(help_text="Spot inks it is printed with, by name, with commas between")

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        for low, high in (("pages_min", "pages_max"), ("quantity_min", "quantity_max")):
            if (said.get(low) or 0) > (said.get(high) or 0):
                self.add_error(high, "Less than the least.")
        return said


class CustomerProductForm(forms.ModelForm):
    variant = OptionsField(
        label="Their options",
        widget=AdminTextInputWidget,
        help_text="size=A5, paper=silk: all of them must match; empty: any",
    )
    attributes = OptionsField(label="Options of every such item", widget=AdminTextInputWidget,
                              help_text="paper=silk, size=A5")  # fmt: skip
    file_url = forms.CharField(label="Print file", max_length=2048, required=False, validators=[is_web_address],
                               widget=AdminTextInputWidget, help_text="For items that bring none: its address")  # fmt: skip

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if not said.get("sku") and not said.get("name"):
            self.add_error("sku", "Give their SKU, or their product name.")
        if said.get("sku") and said.get("name"):
            self.add_error("name", "A SKU is enough: it is found by that alone.")
        return said


class CustomerProducts(admin.StackedInline):
    model = CustomerProduct
    form = CustomerProductForm
    fields = (("sku", "name"), "variant", "product", "attributes", "file_url")
    extra = 0
    autocomplete_fields = ("product",)


@admin.register(Customer)
class CustomerAdmin(Audited, admin.ModelAdmin):
    form = CustomerForm
    list_display = ("name", "reference", "active", "requires_approval", "sla_days")
    list_filter = ("active",)
    search_fields = ("name", "reference")
    readonly_fields = ("triggers",)
    inlines = (CustomerProducts,)

    @admin.display(description="Triggers")
    def triggers(self, customer: Customer) -> str:
        """They have a page of their own."""
        if customer._state.adding:
            return "-"
        link = f"{reverse('orders:triggers')}?customer={quote(customer.reference)}"
        return format_html('<a href="{}">Who is told of this customer\'s events</a>', link)


@admin.register(Product)
class ProductAdmin(Audited, admin.ModelAdmin):
    form = ProductForm
    list_display = ("name", "uid", "available", "trim_width", "trim_height", "pages_min", "pages_max")
    list_filter = ("available",)
    search_fields = ("name", "uid")


@admin.register(CustomerProduct)
class CustomerProductAdmin(Audited, admin.ModelAdmin):
    form = CustomerProductForm
    fields = ("customer", ("sku", "name"), "variant", "product", "attributes", "file_url")
    list_display = ("__str__", "product", "variant", "attributes")
    search_fields = ("sku", "name", "customer__name", "product__name", "product__uid")
    list_select_related = ("customer", "product")
    autocomplete_fields = ("customer", "product")


@admin.register(ShipmentMethod)
class ShipmentMethodAdmin(Audited, admin.ModelAdmin):
    form = ShipmentMethodForm
    list_display = ("name", "uid", "active")


@admin.register(Trigger)
class TriggerAdmin(Audited, admin.ModelAdmin):
    """In the settings' menu only: triggers are edited on pages of their own."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return redirect("orders:triggers")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("orders:trigger-new")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        id = parse_id(object_id)
        return redirect("orders:trigger", id) if id else redirect("orders:triggers")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return self.change_view(request, object_id)
