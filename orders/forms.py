"""Forms of the orders' pages. Those that amend an order say what they change in the words of `services.amend`."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from babel import Locale
from django import forms
from django.core.validators import RegexValidator
from django.utils import timezone
from django.utils.html import escape

from gelatoconnect.lib.problems import Problem
from orders import drafts
from orders.models import Address, Order, Product, ShipmentMethod

# Lenient: hosts of the house's own network have no dots. Whether it may be reached is judged when it is.
is_web_address = RegexValidator(r"^https?://\S+$", "This is no web address: it begins with https:// or http://.")

NO_COUNTRIES = {"EU", "EZ", "UN", "ZZ"}  # regions that CLDR lists beside the countries
COUNTRIES = {str(code) for code in Locale("en").territories if re.fullmatch("[A-Z]{2}", str(code))} - NO_COUNTRIES
ADDRESS_LABELS = {"address_line1": "Address line 1", "address_line2": "Address line 2", "post_code": "Postcode",
                  "email": "E-mail", "federal_tax_id": "Federal tax id", "state_tax_id": "State tax id"}  # fmt: skip
# What judges an address; the apps above add to it, as they do for events.
ADDRESS_CHECKS: list[Callable[[drafts.Address], Iterable[Problem]]] = []


def options_text(options: Mapping[str, Any]) -> str:
    """Options as people write them: "size=A5, paper=silk"."""
    return ", ".join(f"{name}={value}" for name, value in options.items())


class OptionsField(forms.CharField):
    """Options by name, edited as text: "size=A5, paper=silk"; as JSON where a value holds a comma."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": 2000} | kwargs)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        text = options_text(value)
        plain = all(isinstance(each, str) for each in value.values())
        return text if plain and self._read(text) == value else json.dumps(value, ensure_ascii=False)

    def to_python(self, value: Any) -> dict[str, Any]:  # type: ignore[override]
        if isinstance(value, dict):
            return value
        text = super().to_python(value)
        found = self._read(text or "")
        if found is None:
            raise forms.ValidationError("Write options as size=A5, paper=silk.")
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or {}) != self._read(data or "")

    def _read(self, text: str) -> dict[str, Any] | None:
        if text.lstrip().startswith("{"):
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                return None
            return found if isinstance(found, dict) else None
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if any(not sign or not name.strip() for name, sign, _ in pairs):
            return None
        return {name.strip(): value.strip() for name, _, value in pairs}


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
            raise forms.ValidationError(f"Not known: {', '.join(unknown)}.")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


def countries_field() -> WordsField:
    return WordsField(known=COUNTRIES, fold=str.upper, help_text="ISO 3166-1 codes, as in DE, NO; empty: everywhere")


class ReasonForm(forms.Form):
    """What a step asks for before it is taken."""

    reason = forms.CharField(max_length=300, help_text="Kept in the order's history; the customer may read it.")


class HoldForm(forms.Form):
    reason = forms.CharField(max_length=300, help_text="Why the order waits; the customer may read it.")
    until = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        help_text="Empty: until somebody resumes it.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )

    def clean_until(self) -> datetime | None:
        until = self.cleaned_data["until"]
        if until and until <= timezone.now():
            raise forms.ValidationError("That is in the past.")
        return until


class AmendForm(forms.Form):
    """A small form that amends one order."""

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order = order
        self.prepare()

    def prepare(self) -> None:
        """Fields and initial values that depend on the order."""

    def changes(self) -> dict[str, Any]:
        """The keyword arguments of `services.amend`."""
        return self.cleaned_data


class NoteForm(AmendForm):
    note = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 3}), help_text="For the staff only.")


class AddressForm(AmendForm):
    """The recipient, judged at once by what the apps above know of addresses."""

    def prepare(self) -> None:
        self.fields.update(forms.fields_for_model(Address, fields=Address.FIELDS, labels=ADDRESS_LABELS))  # type: ignore[arg-type]
        self.initial = self.order.address.as_dict()

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        address = drafts.Address(**{name: said[name] for name in Address.FIELDS if name in said})
        for problem in (found for check in ADDRESS_CHECKS for found in check(address)):
            if problem.severity == "error":
                name = re.sub("([A-Z])", r"_\1", problem.path.rpartition("/")[2]).lower()  # postCode → post_code
                self.add_error(name if name in self.fields else None, f"{problem.message} {problem.hint}")
        return said

    def changes(self) -> dict[str, Any]:
        return {"address": drafts.Address(**self.cleaned_data)}


class ShipmentForm(AmendForm):
    shipment_method = forms.ChoiceField(required=False, label="Shipment method")

    def prepare(self) -> None:
        now = self.order.shipment_method
        methods = ShipmentMethod.objects.filter(active=True).order_by("name")
        choices = {"": "Any", now: now or "Any"} | {each.uid: f"{each.name} ({each.uid})" for each in methods}
        self.fields["shipment_method"].choices = [*choices.items()]  # type: ignore[attr-defined]
        self.initial = {"shipment_method": now}


class FilesForm(AmendForm):
    """New addresses of print files, and files for items that have none; what is empty or not sent stays as it is."""

    def prepare(self) -> None:
        items = list(self.order.items.prefetch_related("files"))
        self.known = {f"file-{file.pk}": file for item in items for file in item.files.all()}
        self.without = {f"new-{item.pk}": item for item in items if not item.files.all()}
        for name, file in self.known.items():
            number = next(item.number for item in items if item.pk == file.item_id)
            self._ask(name, f"Item {number}, {file.type} file", url=file.url)
        for name, item in self.without.items():
            self._ask(name, f"Item {item.number}, print file")

    def _ask(self, name: str, label: str, *, url: str = "") -> None:
        self.fields[name] = forms.CharField(required=False, max_length=2048, initial=url, label=label,
                                            validators=[is_web_address], widget=forms.URLInput)  # fmt: skip

    def changes(self) -> dict[str, Any]:
        said = {name: url for name, url in self.cleaned_data.items() if url}
        files = {file.pk: said[name] for name, file in self.known.items() if said.get(name, file.url) != file.url}
        return {
            "files": files,
            "new_files": {item.pk: said[name] for name, item in self.without.items() if name in said},
        }


class SignOffForm(AmendForm):
    """Findings of the preflight that a person takes on: they pass for as long as the file stays the same."""

    findings = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, label="Let pass")
    reason = forms.CharField(max_length=300, help_text="Why it may be printed all the same. Kept in the history.")

    def prepare(self) -> None:
        self.known = {f"{found['code']} {found['path']}": found for found in signable(self.order)}
        labels = {key: f"{found['code']}: {found['message']}" for key, found in self.known.items()}
        self.fields["findings"].choices = [*labels.items()]  # type: ignore[attr-defined]

    def changes(self) -> dict[str, Any]:
        chosen = [self.known[key] for key in self.cleaned_data["findings"]]
        findings = [{name: found[name] for name in ("code", "path", "sha256")} for found in chosen]
        return {"sign_off": findings, "reason": self.cleaned_data["reason"]}


def signable(order: Order) -> list[dict[str, Any]]:
    """What preflight found in files that were read: a person may let it pass. With the content's sha256."""
    content = {
        drafts.pointer("items", place, "files", number): file.sha256
        for place, item in enumerate(order.items.all())
        for number, file in enumerate(item.files.all())
    }
    errors = [problem for problem in order.problems if problem["severity"] == "error"]
    return [
        problem | {"sha256": content[problem["path"]]}
        for problem in errors
        if content.get(problem["path"]) and not problem["code"].startswith(("FILE_", "PDF_ENCRYPTED"))
    ]


class ProductsForm(AmendForm):
    """Which product each item is; one that is empty or not sent stays as it is."""

    def prepare(self) -> None:
        choices = [("", "As it is"), *Product.objects.filter(available=True).values_list("uid", "name")]
        for item in self.order.items.all():
            self.fields[f"item-{item.pk}"] = forms.ChoiceField(required=False, label=f"Item {item.number}: {item.name}",
                                                               choices=choices, help_text=_said(item.variant))  # fmt: skip

    def changes(self) -> dict[str, Any]:
        asked = {UUID(name.removeprefix("item-")): uid for name, uid in self.cleaned_data.items() if uid}
        products = Product.objects.in_bulk(set(asked.values()), field_name="uid")
        return {"products": {pk: products[uid] for pk, uid in asked.items()}}


class PiecesForm(AmendForm):
    """Part of an order is canceled: so many pieces of an item, as long as they are not packed."""

    def prepare(self) -> None:
        for item in self.order.items.all():
            if left := item.quantity_due - item.packed:
                self.fields[f"item-{item.pk}"] = forms.IntegerField(
                    required=False, min_value=0, max_value=left, label=f"Item {item.number}: {item.name}",
                    help_text=f"{left:,} of {item.quantity:,} can still be canceled.",
                )  # fmt: skip

    def changes(self) -> dict[str, Any]:
        asked = {UUID(name.removeprefix("item-")): pieces for name, pieces in self.cleaned_data.items() if pieces}
        return {"cancel": asked}


def _said(variant: dict[str, Any]) -> str:
    """The customer's words for it; help texts are HTML."""
    return escape(", ".join(f"{key}: {value}" for key, value in variant.items()))
