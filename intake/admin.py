"""Settings of intake in the admin: connectors and their API keys."""

import json
import secrets
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from gelatoconnect.lib.secrets import hashed, new_secret
from intake.connectors import CONNECTOR_TYPES, fields
from intake.connectors.schedule import Scheduled
from intake.models import ApiKey, Connector, Mapping
from orders import audit
from orders.audited import Audited
from orders.pages import actor

TIMES = set(Scheduled.model_fields)


def told_settings(connector: Connector) -> dict[str, Any]:
    """What its type asks for, as the audit tells of it: one by one, and of secrets only the names."""
    kind = CONNECTOR_TYPES.get(connector.type)
    return audit.config_state(kind.Config if kind else None, json.loads(connector.settings or "{}"))


audit.setting(Connector, settings=told_settings)
audit.setting(ApiKey)
# A sample is somebody's order: no entry that can never be erased holds it.
audit.setting(Mapping, sample=lambda mapping: {"sample": audit.Secret.of(mapping.sample)})


class ConnectorForm(forms.ModelForm):
    """A connector, and, once its type is chosen and saved, what that type asks for."""

    type = forms.ChoiceField(choices=lambda: [(kind.name, kind.label) for kind in CONNECTOR_TYPES.values()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            self.fields["type"].disabled = True
            kind, stored = CONNECTOR_TYPES[self.instance.type].Config, json.loads(self.instance.settings or "{}")
            for name, value in fields.initial(kind, stored).items():
                self.initial.setdefault(name, value)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.instance._state.adding and not self.errors:
            kind, stored = CONNECTOR_TYPES[self.instance.type].Config, json.loads(self.instance.settings or "{}")
            self.instance.settings = fields.settings_of(kind, stored, cleaned)
        return cleaned


class Keys(admin.TabularInline):
    """The keys of a connector, to be seen; they are made and revoked in their own list."""

    model = ApiKey
    extra = 0
    fields = readonly_fields = ("key", "created_at", "revoked_at")
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Connector)
class ConnectorAdmin(Audited, admin.ModelAdmin):
    form = ConnectorForm
    list_display = ("name", "type", "customer", "prevent_duplicates", "active")
    list_filter = ("type", "active")
    search_fields = ("name", "customer__name")
    autocomplete_fields = ("customer",)
    readonly_fields = ("address", "mapping")
    inlines = (Keys,)
    BASE = ("name", "type", "customer", "prevent_duplicates", "active")

    def get_fieldsets(self, request: HttpRequest, obj: Connector | None = None) -> Any:
        if obj is None:
            return [
                (
                    None,
                    {"fields": self.BASE, "description": "What its type asks for can be filled in once it is saved."},
                )
            ]
        kind = CONNECTOR_TYPES[obj.type]
        named = [fields.PREFIX + name for name in kind.Config.model_fields if name not in TIMES]
        times = [fields.PREFIX + name for name in kind.Config.model_fields if name in TIMES]
        base = (*self.BASE, *(["address"] if kind.methods else []), *(["mapping"] if kind.mappable else []))
        return [
            (None, {"fields": base}),
            *([(kind.label, {"fields": named, "description": kind.about})] if named else []),
            *([("When it is asked", {"fields": times})] if times else []),
        ]

    def get_form(self, request: HttpRequest, obj: Connector | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form with the fields that this connector's type asks for."""
        more: dict[str, forms.Field] = {}
        if obj is not None:
            more = fields.form_fields(CONNECTOR_TYPES[obj.type].Config, json.loads(obj.settings or "{}"))
        form = type("ConnectorForm", (ConnectorForm,), dict(more))
        return super().get_form(request, obj, change, form=form, **kwargs | {"fields": [*self.BASE, *more]})

    def response_add(self, request: HttpRequest, obj: Connector, post_url_continue: str | None = None) -> HttpResponse:
        """On to its settings, when its type has any."""
        if not CONNECTOR_TYPES[obj.type].Config.model_fields or "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        messages.success(request, f"{obj} is there. Fill in what it needs to work.")
        return redirect("admin:intake_connector_change", obj.pk)

    def save_model(self, request: HttpRequest, obj: Connector, form: Any, change: bool) -> None:
        """With new settings a channel that is asked is asked at once."""
        obj.next_pull = timezone.now()
        super().save_model(request, obj, form, change)

    @admin.display(description="Its address")
    def address(self, obj: Connector) -> str:
        return f"{settings.PUBLIC_URL}/in/{obj.pk}"

    @admin.display(description="Its mapping")
    def mapping(self, obj: Connector) -> str:
        latest = obj.mappings.first()
        said = f"Version {latest.version}: edit" if latest else "None yet: write one"
        return format_html('<a href="{}">{}</a>', reverse("intake:mapping", args=[obj.pk]), said)


@admin.register(ApiKey)
class ApiKeyAdmin(Audited, admin.ModelAdmin):
    """A key is made, shown once, and revoked; it is never changed or deleted."""

    list_display = ("key", "connector", "created_at", "revoked_at")
    list_filter = ("connector",)
    autocomplete_fields = ("connector",)
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("connector", "key", "created_at", "revoked_at") if obj else ("connector",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("intake.change_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        secret = new_secret()
        obj.key, obj.secret_hash = f"gc_{secrets.token_hex(4)}", hashed(secret)
        super().save_model(request, obj, form, change)
        messages.warning(request, f"The key is {obj.key}:{secret} - this is not shown again.")

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        live = chosen.filter(revoked_at=None)
        with audit.watch(*live, by=actor(request)):
            count = live.update(revoked_at=timezone.now())
        messages.success(request, f"{count} revoked: they open nothing from now on.")
