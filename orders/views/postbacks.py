"""Postbacks: every delivery of an event, what was sent and what came back, and sending it again."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import django_filters as filters
from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from gelatoconnect.lib import lists
from gelatoconnect.lib.ids import parse_id
from orders import events
from orders.models import Attempt, Customer, Delivery, Trigger
from orders.pages import MAX_SELECTED, BornFilter, asked, list_page, staff_only
from orders.texts import pretty
from orders.timeline import title_of

COLUMNS = (
    ("Event", ""),
    ("Order", ""),
    ("To", ""),
    ("State", ""),
    ("Attempts", "num wide"),
    ("Next attempt", "fit wide"),
    ("Time", "fit"),
)
TELLS_CUSTOMERS = "trigger"  # of all listeners this one; the others work inside the house


class DeliveryFilter(BornFilter):
    """Of one listener: the one that tells customers, unless another is named."""

    listener = filters.ChoiceFilter(choices=lambda: [(name, name) for name in events.LISTENERS],
                                    widget=forms.HiddenInput)  # fmt: skip
    state = filters.MultipleChoiceFilter(choices=Delivery.State.choices, label="State")
    trigger = filters.ModelChoiceFilter(
        method="to_trigger", queryset=Trigger.objects.order_by("name"), label="Trigger", empty_label=""
    )
    customer = filters.ModelChoiceFilter("event__customer", queryset=Customer.objects.all(), label="Customer",
                                         to_field_name="reference", empty_label="")  # fmt: skip
    event = filters.CharFilter("event__kind", lookup_expr="startswith", label="Event, such as order.shipped")

    class Meta:
        model = Delivery
        fields: list[str] = []

    def __init__(self, data: Any, *args: Any, **kwargs: Any) -> None:
        if data.get("listener") not in events.LISTENERS:
            data = data.copy()
            data["listener"] = TELLS_CUSTOMERS
        super().__init__(data, *args, **kwargs)

    def to_trigger(self, found: QuerySet[Delivery], _name: str, trigger: Trigger) -> QuerySet[Delivery]:
        return found.filter(target=str(trigger.pk))


@staff_only("orders.view_delivery")
@require_GET
def delivery_list(request: HttpRequest) -> HttpResponse:
    chosen = DeliveryFilter(asked(request), queryset=Delivery.objects.select_related("event__customer", "order"))
    tabs = [
        ("To customers" if name == TELLS_CUSTOMERS else name.capitalize(), f"?listener={name}", "",
         name == chosen.data["listener"])
        for name in sorted(events.LISTENERS, key=lambda name: (name != TELLS_CUSTOMERS, name))
    ]  # fmt: skip
    page = list_page(chosen, title="Postbacks", columns=COLUMNS, tabs=tabs)
    name_targets(page.rows)
    again = request.user.has_perm("orders.replay_delivery")
    return render(
        request,
        "list.html",
        {
            "section": "postbacks",
            "page": page,
            "row_template": "orders/_delivery_row.html",
            "bulk_url": reverse("orders:replay"),
            "bulk_moves": [("replay", "Send again", "")] if again else [],
            "empty_text": "As soon as an event is told to a customer's trigger, it stands here.",
        },
    )


@staff_only("orders.view_delivery")
@require_GET
def delivery_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.select_related("event__customer", "order"), pk=pk)
    name_targets([delivery])
    return render(
        request,
        "orders/delivery.html",
        {
            "section": "postbacks",
            "title": title_of(delivery.event.kind),
            "delivery": delivery,
            "event_data": pretty(delivery.event.data),
            "tries": [_told(attempt) for attempt in delivery.tries.order_by("-at", "-pk")],
        },
    )


@staff_only("orders.replay_delivery")
@require_POST
def replay(request: HttpRequest) -> HttpResponse:
    """Send the selected deliveries again: those that are still due come by themselves."""
    ids = request.POST.getlist("ids")
    if not 0 < len(ids) <= MAX_SELECTED:
        messages.error(request, f"Select between 1 and {MAX_SELECTED} deliveries.")
        return redirect("orders:deliveries")
    chosen = lists.rows_by_id(Delivery, ids)
    waiting = chosen.filter(state=Delivery.State.DUE).count()
    count = events.replay(chosen)
    said = f"{count} will be sent again at once." + (f" Due anyway: {waiting}." if waiting else "")
    messages.success(request, said) if count else messages.info(request, said)
    only = parse_id(ids[0]) if len(ids) == 1 else None
    return redirect("orders:delivery", only) if only and (count or waiting) else redirect("orders:deliveries")


def name_targets(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Say on each delivery whom it goes to (`to`): the trigger, or the listener inside the house."""
    deliveries = list(deliveries)
    triggers = Trigger.objects.in_bulk([id for each in deliveries if (id := parse_id(each.target))])
    for each in deliveries:
        each.to = triggers.get(parse_id(each.target)) or each.listener  # type: ignore[attr-defined]
    return deliveries


def _told(attempt: Attempt) -> dict[str, Any]:
    """An attempt with what was sent and what came back, each as text."""
    sent, answer = attempt.report.get("request") or {}, attempt.report.get("answer") or {}
    return {
        "attempt": attempt,
        "sent": {name: value for name, value in sent.items() if name not in ("headers", "body")},
        "headers": sent.get("headers") or {},
        "body": pretty(sent.get("body") or ""),
        "answer": answer,
        "answer_body": pretty(answer.get("body") or ""),
    }
