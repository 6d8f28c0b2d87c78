"""Settings of intake in the admin: connectors and their API keys."""

import secrets
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from gelatoconnect.lib.secrets import hashed, new_secret
from intake.connectors import CONNECTOR_TYPES
from intake.models import ApiKey, Connector


class ConnectorForm(forms.ModelForm):
    type = forms.ChoiceField(choices=lambda: [(kind.name, kind.label) for kind in CONNECTOR_TYPES.values()])


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
class ConnectorAdmin(admin.ModelAdmin):
    form = ConnectorForm
    exclude = ("credentials",)  # no type asks for any
    list_display = ("name", "type", "customer", "prevent_duplicates", "active")
    list_filter = ("type", "active")
    search_fields = ("name", "customer__name")
    autocomplete_fields = ("customer",)
    inlines = (Keys,)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
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
        count = chosen.filter(revoked_at=None).update(revoked_at=timezone.now())
        messages.success(request, f"{count} revoked: they open nothing from now on.")
