"""Settings of orders in the admin: customers, products, shipment methods, triggers. Orders themselves have their pages."""

import re
from collections.abc import Callable
from typing import Any

from babel import Locale
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest

from orders.forms import OptionsField, is_web_address
from orders.models import Customer, CustomerProduct, Product, ShipmentMethod, Trigger

NO_COUNTRIES = {"EU", "EZ", "UN", "ZZ"}  # regions that CLDR lists beside the countries
COUNTRIES = {str(code) for code in Locale("en").territories if re.fullmatch("[A-Z]{2}", str(code))} - NO_COUNTRIES
FORMATS = {"pdf", "jpeg", "png", "tiff"}
PROFILES = (("digital", "Digital"), ("sheetfed", "Sheetfed offset"), ("large_format", "Large format"))


class WordsField(forms.CharField):
    """A list of words, edited as text: "DE, NO". known: which there are; fold: how they are written."""

    def __init__(self, *, known: set[str] | None = None, fold: Callable[[str], str] = str, **kwargs: Any) -> None:
        self.known, self.fold = known, fold
        super().__init__(required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        return [self.fold(word.strip()) for word in (value or "").split(",") if word.strip()]

    def validate(self, value: Any) -> None:
        if unknown := [word for word in value if self.known is not None and word not in self.known]:
            raise ValidationError(f"Not known: {', '.join(unknown)}.")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


def countries_field() -> WordsField:
    return WordsField(known=COUNTRIES, fold=str.upper, help_text="ISO 3166-1 codes, as in DE, NO; empty: everywhere")


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


class TriggerForm(forms.ModelForm):
    class Meta:
        model = Trigger
        fields = ("name", "customer", "event", "channel", "address", "retry", "active")

    def clean(self) -> dict[str, Any]:
        """The address is one of its channel."""
        said = super().clean() or self.cleaned_data
        check = is_web_address if said.get("channel") == Trigger.Channel.WEBHOOK else validate_email
        try:
            check(said.get("address", ""))
        except ValidationError as error:
            self.add_error("address", error)
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


class Triggers(admin.TabularInline):
    model = Trigger
    form = TriggerForm
    extra = 0


def tell_secret(request: HttpRequest, trigger: Trigger) -> None:
    """The secret of a trigger that was just made; never again."""
    if trigger.channel == Trigger.Channel.WEBHOOK:
        messages.warning(request, f"{trigger.name} signs with {trigger.secret} - this is not shown again.")


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    form = CustomerForm
    list_display = ("name", "reference", "active", "requires_approval", "sla_days")
    list_filter = ("active",)
    search_fields = ("name", "reference")
    inlines = (CustomerProducts, Triggers)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for made in formset.new_objects:
            if isinstance(made, Trigger):
                tell_secret(request, made)


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    form = ProductForm
    list_display = ("name", "uid", "available", "trim_width", "trim_height", "pages_min", "pages_max")
    list_filter = ("available",)
    search_fields = ("name", "uid")


@admin.register(CustomerProduct)
class CustomerProductAdmin(admin.ModelAdmin):
    form = CustomerProductForm
    fields = ("customer", ("sku", "name"), "variant", "product", "attributes", "file_url")
    list_display = ("__str__", "product", "variant", "attributes")
    search_fields = ("sku", "name", "customer__name", "product__name", "product__uid")
    list_select_related = ("customer", "product")
    autocomplete_fields = ("customer", "product")


@admin.register(ShipmentMethod)
class ShipmentMethodAdmin(admin.ModelAdmin):
    form = ShipmentMethodForm
    list_display = ("name", "uid", "active")


@admin.register(Trigger)
class TriggerAdmin(admin.ModelAdmin):
    form = TriggerForm
    list_display = ("name", "customer", "event", "channel", "address", "active")
    list_filter = ("channel", "active")
    search_fields = ("name", "address", "customer__name")
    autocomplete_fields = ("customer",)

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            tell_secret(request, obj)
