"""What every staff page shares: who may see it, whose name its changes carry, and how a filter becomes a list page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.http import urlencode

from gelatoconnect.lib import lists
from gelatoconnect.lib.ids import first_id
from orders.filters import conditions_of
from orders.models import Order

MAX_SELECTED = 200


@dataclass(frozen=True, slots=True)
class ListPage:
    """What list.html draws. tabs: (label, url, count, current); chips: (label, url without it); columns: (label, class)."""

    title: str
    rows: list[Any]
    filters: forms.Form
    columns: tuple[tuple[str, str], ...]
    tabs: list[tuple[str, str, str, bool]]
    chips: list[tuple[str, str]]
    clear_url: str
    previous_url: str
    next_url: str
    next_cursor: str
    csv_url: str
    total_label: str


class BornFilter(filters.FilterSet):
    """Filters by the day (UTC) of birth, which rows carry in their id."""

    since = filters.DateFilter(method="born_since", label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = filters.DateFilter(method="born_until", label="To", widget=forms.DateInput(attrs={"type": "date"}))

    @classmethod
    def get_filters(cls) -> dict[str, filters.Filter]:
        """Dates stand last in the bar."""
        found = super().get_filters()
        for name in ("since", "until"):
            found.move_to_end(name)
        return found

    def born_since(self, found: QuerySet, _name: str, day: date) -> QuerySet:
        return found.filter(id__gte=first_id(datetime.combine(day, time.min, tzinfo=UTC)))

    def born_until(self, found: QuerySet, _name: str, day: date) -> QuerySet:
        return found.filter(id__lte=first_id(datetime.combine(day, time.max, tzinfo=UTC)))


def staff_only(permission: str) -> Callable:
    """A page for signed-in staff with this permission; strangers are asked to sign in, others are refused (403)."""

    def guard(view: Callable) -> Callable:
        return login_required(permission_required(permission, raise_exception=True)(view))

    return guard


def shown() -> QuerySet[Order]:
    """Orders with what their rows and heads show; `is_late` and `is_due` by the saved views of these names."""
    marks = {"is_late": conditions_of("late")[0], "is_due": conditions_of("due")[0]}
    return Order.objects.select_related("customer", "address").annotate(**marks)


def actor(request: HttpRequest) -> str:
    """The person, as the history names them: "user:ada"."""
    return f"user:{request.user.get_username()}"[:120]


def asked(request: HttpRequest) -> QueryDict:
    """What the address bar asks for, without the NUL characters that PostgreSQL refuses."""
    said = request.GET.copy()
    for name, values in request.GET.lists():
        said.setlist(name, [value.replace("\0", "") for value in values])
    return said


def address(said: QueryDict, **changes: str) -> str:
    """The same list with some parameters changed (empty: removed), as a link."""
    changed = said.copy()
    for name, value in changes.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return f"?{changed.urlencode()}"


def list_page(
    chosen: filters.FilterSet,
    *,
    title: str,
    columns: Iterable[tuple[str, str]],
    tabs: Iterable[tuple[str, str, str, bool]] = (),
    csv_url: str = "",
    parts: Sequence[QuerySet] = (),
) -> ListPage:
    """One page of a filtered list (parts: see lists.page).

    Its total is said only where it costs nothing: all on one page, or counted by its tab.
    """
    said = chosen.data
    found = lists.page(chosen.qs, parts=parts, cursor=said.get("cursor", ""))
    chips = list(_chips(chosen))
    tabs = list(tabs)
    counted = [count for _, _, count, current in tabs if current and count and not chips]
    if not found.next and not found.previous:
        counted = [lists.count_label(len(found.rows))]
    return ListPage(
        title=title,
        rows=found.rows,
        filters=chosen.form,
        columns=tuple(columns),
        tabs=tabs,
        chips=chips,
        clear_url="?" + urlencode({name: said[name] for name in _kept(chosen) if said.get(name)}),
        previous_url=address(said, cursor=found.previous) if found.previous else "",
        next_url=address(said, cursor=found.next) if found.next else "",
        next_cursor=found.next,
        csv_url=csv_url and csv_url + address(said, cursor=""),
        total_label=counted[0] if counted else "",
    )


def _chips(chosen: filters.FilterSet) -> Iterable[tuple[str, str]]:
    """A chip for each value that narrows the list, with the link that takes it away."""
    said, kept = chosen.data, _kept(chosen)
    for name, field in chosen.form.fields.items():
        if name in kept:
            continue
        words = {} if isinstance(field, forms.ModelChoiceField) else dict(getattr(field.widget, "choices", ()))
        for value in filter(None, said.getlist(name)):
            others = said.copy()
            others.pop("cursor", None)
            others.setlist(name, [other for other in said.getlist(name) if other != value])
            ignored = " (not understood)" if name in chosen.form.errors else ""
            yield f"{field.label}: {words.get(value, value)}{ignored}", f"?{others.urlencode()}"


def _kept(chosen: filters.FilterSet) -> list[str]:
    """The filters that choose the list rather than narrow it: its view, and what the form hides."""
    return [name for name, field in chosen.form.fields.items() if name == "view" or field.widget.is_hidden]
