"""The contracts with carriers. What each carrier asks for (its Config) becomes fields of the form."""

from typing import Any

from django import forms
from django.contrib import admin
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from orders import audit
from orders.audited import Audited
from shipping.carriers import CARRIERS
from shipping.models import CarrierAccount


def told_config(account: CarrierAccount) -> dict[str, Any]:
    """What its carrier asks for, as the audit tells of it: one by one, and of secrets only the names."""
    carrier = CARRIERS.get(account.carrier)
    return audit.config_state(carrier.Config if carrier else None, account.config)


audit.setting(CarrierAccount, config=told_config)
KINDS: dict[Any, type[forms.Field]] = {bool: forms.BooleanField, int: forms.IntegerField, float: forms.FloatField}


def field_name(carrier: str, name: str) -> str:
    return f"{carrier}__{name}"


def form_field(name: str, asked: FieldInfo) -> forms.Field:
    """The form's field for one of a Config. It is the Config that judges the value."""
    return KINDS.get(asked.annotation, forms.CharField)(
        required=False,
        label=asked.title or name.replace("_", " ").capitalize(),
        help_text=asked.description or "",
        initial=None if asked.is_required() else asked.get_default(call_default_factory=True),
    )


class ContractForm(forms.ModelForm):
    carrier = forms.ChoiceField(choices=lambda: [(name, carrier.label) for name, carrier in CARRIERS.items()])

    class Meta:
        model = CarrierAccount
        fields = ("name", "carrier", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in self.instance.config.items():
            self.initial[field_name(self.instance.carrier, name)] = value

    def clean(self) -> None:
        super().clean()
        carrier = CARRIERS.get(self.cleaned_data.get("carrier", ""))
        if carrier is None:
            return
        said = {name: self.cleaned_data.get(field_name(carrier.name, name)) for name in carrier.Config.model_fields}
        try:
            config = carrier.Config.model_validate({name: value for name, value in said.items() if value is not None})
            self.instance.config = config.model_dump(mode="json")
        except ValidationError as error:
            for wrong in error.errors():
                self.add_error(field_name(carrier.name, str(wrong["loc"][0])), wrong["msg"])


CONFIGS = {
    name: {field_name(name, asked): form_field(asked, info) for asked, info in carrier.Config.model_fields.items()}
    for name, carrier in CARRIERS.items()
}
AccountForm = type(
    "AccountForm", (ContractForm,), {name: field for fields in CONFIGS.values() for name, field in fields.items()}
)


@admin.register(CarrierAccount)
class CarrierAccountAdmin(Audited, admin.ModelAdmin):
    form = AccountForm
    list_display = ("name", "carrier", "active")
    fieldsets = [
        (None, {"fields": ["name", "carrier", "active"]}),
        *[(f"{CARRIERS[name].label}: what it asks for", {"fields": list(fields)}) for name, fields in CONFIGS.items()],  # type: ignore[list-item]
    ]
