"""Sending a range of deliveries again: which, how many that are, and how far it has come."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from orders import events, replays
from orders.deliveries import TO_CUSTOMERS, MomentField, moment
from orders.models import Customer, Trigger
from orders.pages import actor, asked, staff_only
from orders.replays import Range


def _listeners() -> list[tuple[str, str]]:
    others = [(name, name) for name in sorted(events.LISTENERS) if name != replays.NAME]
    return [("", "Whatever customers and shops are told"), *others]


class RangeForm(forms.Form):
    trigger = forms.ModelChoiceField(
        Trigger.objects.order_by("name"), label="Endpoint", required=False, empty_label="Any"
    )
    listener = forms.ChoiceField(label="Listener", choices=_listeners, required=False)
    customer = forms.ModelChoiceField(
        Customer.objects.all(), to_field_name="reference", label="Customer", required=False, empty_label="Any"
    )
    event = forms.CharField(
        label="Event", required=False, max_length=200, help_text="order.shipped, order.*; empty: any"
    )
    since = MomentField(label="From (UTC)", help_text="When it happened")
    until = MomentField(label="To (UTC)", end=True)
    failed = forms.BooleanField(label="Only those that were given up", required=False)

    def range(self, *, asked_at: datetime) -> Range:
        said = self.cleaned_data
        trigger, customer = said["trigger"], said["customer"]
        return Range(
            asked_at=asked_at, failed_only=said["failed"], listener=TO_CUSTOMERS if trigger else said["listener"],
            targets=[str(trigger.pk)] if trigger else [], customer=customer.pk if customer else None,
            event=said["event"], since=said["since"], until=said["until"],
        )  # fmt: skip


@staff_only("orders.replay_delivery")
@require_http_methods(["GET", "POST"])
def replay_range(request: HttpRequest) -> HttpResponse:
    """Ask which, say how many, then do it."""
    if request.method == "GET":
        return _form(request, RangeForm(initial={"failed": True} | asked(request).dict()))
    form = RangeForm(request.POST)
    if not form.is_valid():
        return _form(request, form)
    if "sure" not in request.POST:
        return _confirm(request, form)
    count, id = replays.start(form.range(asked_at=_asked_at(request)), by=actor(request))
    if id:
        return redirect("orders:replay_progress", id)
    said = "delivery is" if count == 1 else "deliveries are"
    messages.success(request, f"{count} {said} sent again.") if count else messages.info(request, NOTHING)
    return redirect("orders:deliveries")


@staff_only("orders.view_delivery")
@require_GET
def replay_progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = replays.progress(pk)
    if found is None:
        raise Http404
    context = {"section": "postbacks", "title": "Sending a range again", "found": found}
    return render(request, "orders/replay_progress.html", context)


NOTHING = "Nothing was left to be sent again."


def _form(request: HttpRequest, form: RangeForm) -> HttpResponse:
    return render(
        request,
        "orders/replay_range.html",
        {
            "section": "postbacks",
            "title": "Send a range again",
            "intro": "How many deliveries that are is said before anything is sent.",
            "form": form,
            "form_url": reverse("orders:replay_range"),
            "submit_label": "Count them",
            "back_url": reverse("orders:deliveries"),
            "latest": replays.latest(),
        },
    )


def _confirm(request: HttpRequest, form: RangeForm) -> HttpResponse:
    """The moment of the question goes along: what has been sent again since then is not sent once more."""
    now = timezone.now()
    count = form.range(asked_at=now).count()
    what = f"{count:,} deliver{'y' if count == 1 else 'ies'}"
    slowly = (
        f" {replays.AT_ONCE} at a time: what happens meanwhile is told in between." if count > replays.AT_ONCE else ""
    )
    return render(
        request,
        "confirm.html",
        {
            "section": "postbacks",
            "title": f"{what} will be sent again" if count else "Nothing to send again",
            "intro": f"Each with all its attempts.{slowly}" if count else "No delivery that has ended fits.",
            "objects": [{"label": label, "note": value} for label, value in _words(form)],
            "hidden": [("sure", "yes"), ("asked_at", now.isoformat()), *_values(form)],
            "submit_label": f"Send again: {what}" if count else "",
            "form_url": reverse("orders:replay_range"),
            "back_url": reverse("orders:deliveries"),
        },
    )


def _values(form: RangeForm) -> list[tuple[str, str]]:
    return [(name, form.data[name]) for name in form.fields if form.data.get(name)]


def _words(form: RangeForm) -> list[tuple[str, Any]]:
    said = form.cleaned_data
    what = [name for name in ("trigger", "listener", "customer", "event") if said[name]]
    found: list[tuple[str, Any]] = [(str(form.fields[name].label), said[name]) for name in what]
    times = [(str(form.fields[name].label), said[name]) for name in ("since", "until") if said[name]]
    found += [(label, at.astimezone(UTC).strftime("%-d %b %Y, %H:%M:%S")) for label, at in times]
    return [*found, ("State", "Given up" if said["failed"] else "Given up or delivered")]


def _asked_at(request: HttpRequest) -> datetime:
    """When the question was asked; no later than now, whatever the form says."""
    try:
        return min(timezone.now(), moment(request.POST.get("asked_at", "")))
    except (ValueError, OverflowError):
        return timezone.now()
