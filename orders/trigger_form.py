"""The form of a trigger: what is typed is judged, and what is secret is never shown again."""

import re
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.validators import validate_email

from gelatoconnect.lib.sandbox import MAX_SOURCE
from orders import webhooks
from orders.forms import COUNTRIES, WordsField, is_web_address
from orders.mails import addresses_of
from orders.models import Product, Trigger

MOST_ADDRESSES = 20
MAX_HEADERS = 8000  # characters
_EVENT = re.compile(r"[a-z_*?]+(\.[a-z_*?]+)*")


def _code(rows: int, **more: Any) -> forms.CharField:
    attrs = {"class": "mono", "rows": rows, "spellcheck": "false", "data-lines": ""}
    return forms.CharField(
        widget=forms.Textarea(attrs=attrs), strip=False, required=False, max_length=MAX_SOURCE, **more
    )


class TriggerForm(forms.ModelForm):
    """instance: the trigger as it is stored; the values of its headers are shown as a mask, which stands for them."""

    template = _code(14, label="Template")
    html = _code(10, label="HTML")
    headers = forms.CharField(
        required=False, max_length=MAX_HEADERS, label="More headers", help_text="A line each: Name: value. A row of "
        "dots stands for a value that is kept.",
        widget=forms.Textarea(attrs={"class": "mono", "rows": 3, "spellcheck": "false"}),
    )  # fmt: skip
    channels = WordsField(label="Channels", help_text="They came through: api, shopify, csv …")
    countries = WordsField(known=COUNTRIES, fold=str.upper, label="Countries", help_text="They go to: DE, NO")
    products = WordsField(label="Products", help_text="They have one of: card-a6, poster-30x40")

    class Meta:
        model = Trigger
        fields = ("name", "customer", "event", "active", "channel", "address", "method", "format", "headers", "retry",
                  "template", "subject", "html", "channels", "countries", "products")  # fmt: skip
        labels = {"channel": "By", "event": "Events", "active": "On", "retry": "Try again when it fails"}
        help_texts = {
            "event": "Such as order.shipped; * stands for any: order.*", "customer": "", "template": "", "subject": "",
            "retry": "For three days, ever more rarely. Otherwise once.",
            "address": "An address on the web; or of e-mail, several with commas between.",
        }  # fmt: skip
        widgets = {
            "event": forms.TextInput(attrs={"list": "kinds", "spellcheck": "false", "autocomplete": "off"}),
            "address": forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = (self.instance.address, self.instance.headers)
        fields: Any = self.fields
        fields["customer"].empty_label = "All customers"
        fields["method"].choices = [(method, method) for method in Trigger.Method.values]
        self.initial["headers"] = webhooks.masked(self.instance.headers)

    def clean_event(self) -> str:
        said = self.cleaned_data["event"].strip()
        if not _EVENT.fullmatch(said):
            raise forms.ValidationError("Write it as order.shipped, order.*, package.* or *.")
        return said

    def clean_template(self) -> str:
        return _plain(self.cleaned_data["template"])

    def clean_html(self) -> str:
        return _plain(self.cleaned_data["html"])

    def clean_headers(self) -> str:
        try:
            return webhooks.unmasked(self.cleaned_data["headers"], stored=self.stored[1])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def clean_channels(self) -> list[str]:
        return list(dict.fromkeys(word.lower() for word in self.cleaned_data["channels"]))

    def clean_products(self) -> list[str]:
        asked = list(dict.fromkeys(self.cleaned_data["products"]))
        known = set(Product.objects.filter(uid__in=asked).values_list("uid", flat=True)) if asked else set()
        if unknown := [uid for uid in asked if uid not in known]:
            raise forms.ValidationError(f"There is no product {', '.join(unknown)}.")
        return asked

    def clean(self) -> dict[str, Any]:
        """The address is one of its channel; what headers hold does not go where whoever typed it did not send it."""
        said = super().clean() or self.cleaned_data
        if "address" not in said or "channel" not in said:
            return said
        try:
            said["address"] = (_web if said["channel"] == Trigger.Channel.WEBHOOK else _mail)(said["address"])
        except forms.ValidationError as error:
            self.add_error("address", error)
            return said
        if said["channel"] == Trigger.Channel.EMAIL:
            said["headers"] = ""  # it has none, and what they held goes to nobody else later
            return said
        kept = webhooks.MASK in (self.data.get(self.add_prefix("headers")) or "")
        if kept and _origin(said["address"]) != _origin(self.stored[0]):
            self.add_error("headers", "The address leads elsewhere: type the values of the headers anew.")
        return said

    def save_typed(self) -> Trigger:
        """Only what was typed: what deliveries write meanwhile of how the endpoint does stays."""
        trigger = self.instance
        trigger.save(update_fields=None if trigger._state.adding else self.Meta.fields)
        return trigger


def _web(text: str) -> str:
    is_web_address(text)
    return text


def _mail(text: str) -> str:
    """Raises ValidationError, naming the address that is none."""
    found = addresses_of(text)
    if not 0 < len(found) <= MOST_ADDRESSES:
        raise forms.ValidationError(f"Give between 1 and {MOST_ADDRESSES} addresses, with commas between.")
    for each in found:
        try:
            validate_email(each)
        except forms.ValidationError as error:
            raise forms.ValidationError(f"{each!r} is no e-mail address.") from error
    return ", ".join(found)


def _origin(address: str) -> tuple[str, str]:
    """Scheme and host with port: who gets what is sent there."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", address
    return parts.scheme.lower(), parts.netloc.lower()


def _plain(text: str) -> str:
    """With the line ends of Unix, and without what PostgreSQL refuses."""
    return text.replace("\r\n", "\n").replace("\0", "")
