"""The audit trail, for administrators: who changed which setting, when, from what to what."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import django_filters as filters
from django.apps import apps
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from gelatoconnect.lib import lists
from gelatoconnect.lib.ids import born
from orders import audit
from orders.models import AuditEntry
from orders.pages import BornFilter, asked, list_page, staff_only
from orders.timeline import actor_of

COLUMNS = (("What", ""), ("Changes", ""), ("Who", "fit"), ("Time", "fit"))
ACTIONS = [(action, action.capitalize()) for action in ("created", "changed", "deleted", "erased")]
SHOWN = 3  # changes of an entry in the list
CUT = 80  # characters of a value in the list
CSV = {
    "time": lambda entry: born(entry.pk).isoformat(timespec="seconds"),
    "who": lambda entry: entry.by,
    "action": lambda entry: entry.action,
    "kind": lambda entry: entry.kind,
    "id": lambda entry: entry.object_id,
    "name": lambda entry: entry.name,
    "changes": lambda entry: "\n".join(f"{field}: {before} → {after}" for field, before, after in rows_of(entry)),
}


def kinds() -> list[tuple[str, str]]:
    """(kind, how people call it) of every setting, of orders whose recipient is to be forgotten, and of what is erased
    because it is old."""
    models = [*audit.SETTINGS, apps.get_model("orders", "Order")]
    return sorted([("retention", "Retention"), *((audit.kind_of(model), _call(model)) for model in models)])


class AuditFilter(BornFilter):
    q = filters.CharFilter(method="find", label="Name or id")
    kind = filters.MultipleChoiceFilter(choices=kinds, label="What")
    action = filters.MultipleChoiceFilter(choices=ACTIONS, label="Action")
    by = filters.CharFilter(method="by_whom", label="Who, such as ada")

    class Meta:
        model = AuditEntry
        fields: list[str] = []

    def find(self, found: QuerySet[AuditEntry], _name: str, text: str) -> QuerySet[AuditEntry]:
        return found.filter(Q(object_id=text) | Q(name__icontains=text))

    def by_whom(self, found: QuerySet[AuditEntry], _name: str, text: str) -> QuerySet[AuditEntry]:
        return found.filter(Q(by=text) | Q(by__iendswith=f":{text}"))


@staff_only("orders.view_auditentry")
@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    page = list_page(_chosen(request), title="Audit", columns=COLUMNS, csv_url=reverse("orders:audit-csv"))
    for entry in page.rows:
        _dress(entry)
        rows = rows_of(entry, cut=CUT)
        entry.shown, entry.more = rows[:SHOWN], max(0, len(rows) - SHOWN)
    return render(
        request,
        "list.html",
        {
            "section": "audit",
            "page": page,
            "row_template": "orders/audit_row.html",
            "empty_text": "As soon as somebody changes a setting, it stands here. Orders have a history of their own.",
        },
    )


@staff_only("orders.view_auditentry")
@require_GET
def audit_csv(request: HttpRequest) -> StreamingHttpResponse:
    return lists.csv_response(_chosen(request).qs, CSV, name="audit")


@staff_only("orders.view_auditentry")
@require_GET
def audit_entry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Everything one entry holds, in full."""
    entry = _dress(get_object_or_404(AuditEntry, pk=pk))
    return render(
        request,
        "orders/audit.html",
        {
            "section": "audit",
            "title": f"{entry.name} {entry.action}",
            "entry": entry,
            "rows": rows_of(entry),
            "object_url": _page_of(entry),
            "all_url": f"{reverse('orders:audit')}?{urlencode({'kind': entry.kind, 'q': entry.object_id})}",
        },
    )


def rows_of(entry: AuditEntry, *, cut: int = 0) -> list[tuple[str, str, str]]:
    """(field, before, after) as text; of what was made or is gone, only what said something. cut: characters shown."""
    return [
        (field.replace("_", " ").replace(".", ": ") + kept, _text(before, cut), _text(after, cut))
        for field, (before, after, kept) in ((field, _different(*change)) for field, change in entry.changes.items())
        if entry.action == "changed" or (before or after) not in (None, "", [], {})
    ]


def _different(before: Any, after: Any) -> tuple[Any, Any, str]:
    """Of two lists only what is in one of them, and how many stay."""
    if not (isinstance(before, list) and isinstance(after, list)):
        return before, after, ""
    stay = sum(each in after for each in before)
    gone, new = [each for each in before if each not in after], [each for each in after if each not in before]
    return (gone, new, f" ({stay} stay)") if stay and (gone or new) else (before, after, "")


def _text(value: Any, cut: int) -> str:
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, list):
        text = ", ".join(str(each) for each in value)
    else:
        text = "" if value is None or value == {} else str(value)
    return f"{text[:cut]}…" if cut and len(text) > cut else text


def _chosen(request: HttpRequest) -> AuditFilter:
    return AuditFilter(asked(request), queryset=AuditEntry.objects.all())


def _dress(entry: AuditEntry) -> AuditEntry:
    entry.at, entry.who = born(entry.pk), actor_of(entry.by)  # type: ignore[attr-defined]
    entry.called = dict(kinds()).get(entry.kind, entry.kind)  # type: ignore[attr-defined]
    return entry


def _call(model: Any) -> str:
    name = str(model._meta.verbose_name)
    return name[:1].upper() + name[1:]


def _page_of(entry: AuditEntry) -> str:
    """The page where it is set; empty when it is gone, or has none."""
    model = next((model for model in audit.SETTINGS if audit.kind_of(model) == entry.kind), None)
    if model is None or model not in admin.site._registry or not model._default_manager.filter(pk=entry.object_id):
        return ""
    try:
        return reverse(f"admin:{model._meta.app_label}_{entry.kind}_change", args=[entry.object_id])
    except NoReverseMatch:
        return ""
