"""What makes a page of the admin write the audit: mixed into every ModelAdmin, before it."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from orders import audit
from orders.pages import actor


class Audited:
    """Records what is made, changed and deleted in the admin, and in its inlines, with the person who did it.

    A form is compared once its many-to-many fields are saved too; all of that is one transaction of the admin.
    """

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.audit_before = audit.state_of(obj) if change else None
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        audit.record(form.instance, before=form.audit_before, by=actor(request))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        known = [each.instance for each in formset.initial_forms if each.has_changed()]
        with audit.watch(*audit.with_what_goes_along(known), by=actor(request)):
            super().save_formset(request, form, formset, change)  # type: ignore[misc]
            for made in formset.new_objects:
                audit.record(made, before=None, by=actor(request))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with audit.watch(*audit.with_what_goes_along([obj]), by=actor(request)):
            super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[Any]) -> None:
        with audit.watch(*audit.with_what_goes_along(queryset), by=actor(request)):
            super().delete_queryset(request, queryset)  # type: ignore[misc]
