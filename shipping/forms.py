"""What people say at the packing table and at the door."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django import forms

from orders.lifecycle import Status
from orders.models import Item
from shipping.models import Package
from shipping.tracking import SEEN, find_package

SEEN_CHOICES = [(status, Status(status).label) for status in SEEN]


class PackingForm(forms.Form):
    """The open package: pieces counted of each item that is not packed yet, and its weight in g."""

    scanned = forms.CharField(required=False, max_length=200, label="Scan a piece")
    weight = forms.IntegerField(
        required=False, min_value=1, max_value=1_000_000, label="Weight", help_text="g; empty: what the products weigh"
    )

    def __init__(self, *args: Any, items: Iterable[Item], contents: Mapping[UUID, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = contents
        self.rows = [(item, item.quantity_due - item.packed, f"item-{item.pk}") for item in items]
        for item, left, name in self.rows:
            if left or contents.get(item.pk):
                self.fields[name] = forms.IntegerField(
                    required=False, min_value=0, max_value=1_000_000, label=f"{item.name} in this package",
                    initial=contents.get(item.pk, 0), widget=forms.NumberInput(attrs={"class": "counted"}),
                )  # fmt: skip

    def counted(self) -> dict[UUID, int]:
        """Pieces in the package, by item id: as they were typed, or as they were before where nothing was sent."""
        said = {item.pk: self.cleaned_data.get(name) for item, _, name in self.rows if name in self.data}
        return {id: count for id, count in {**self.before, **said}.items() if count}

    def lines(self) -> list[dict[str, Any]]:
        """The items with their fields, as the page lists them."""
        return [
            {"item": item, "left": left, "field": self[name] if name in self.fields else None}
            for item, left, name in self.rows
        ]


class ScanForm(forms.Form):
    """What happened to a parcel, seen just now."""

    code = forms.CharField(
        max_length=60, label="Tracking code",
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    status = forms.ChoiceField(choices=SEEN_CHOICES, label="What happened")
    place = forms.CharField(max_length=120, required=False)
    message = forms.CharField(max_length=300, required=False, label="Remark")

    def clean_code(self) -> Package:
        package = find_package(self.cleaned_data["code"])
        if package is None:
            raise forms.ValidationError("No parcel has the code %(code)s.", params={"code": self.cleaned_data["code"]})
        if package.voided_at:
            raise forms.ValidationError("%(code)s was voided: stop the parcel.", params={"code": package})
        return package
