"""Triggers: who is told of which events, and how; tried on real events before it is saved, and sent once as a test."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import django_filters as filters
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import CharField, Func, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from gelatoconnect.lib import limits
from gelatoconnect.lib.ids import born, parse_id
from gelatoconnect.lib.secrets import new_signing_secret
from orders import audit, endpoints, mailbox
from orders.health import health_of
from orders.models import Customer, Delivery, Event, Trigger
from orders.notifications import IN_HOUSE, KINDS, Outcome, occasions, sample_kind, try_out
from orders.pages import actor, asked, list_page, staff_only
from orders.payloads import Occasion
from orders.texts import pretty
from orders.trigger_form import TriggerForm
from orders.trigger_preview import preview

COLUMNS = (("Trigger", ""), ("Events", ""), ("To", ""), ("Health", ""), ("Last result", ""))
LOOKED_AT = 1000  # of the latest events, for those to try it on
OFFERED = 20
HOURS = {"0": "at once", "1": "1 hour", "24": "24 hours", "72": "3 days", "168": "7 days"}  # in which both secrets sign
TESTS = 1  # a second, of one person
HEALTH = {"fine": ("Fine", "done"), "failing": ("Failing", "failed"), "resting": ("Resting", "held"),
          "off": ("Off", "canceled")}  # fmt: skip
SHOWN_PREVIEWS = 3  # of mails, kept in the session until they are fetched by their frame


class IdText(Func):
    """An id as deliveries write their target, which SQLite keeps without its dashes."""

    template = "CAST(%(expressions)s AS varchar)"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        parts = "||'-'||".join(f"substr(%(expressions)s,{start},{size})"
                               for start, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)))  # fmt: skip
        sql, params = self.as_sql(compiler, connection, template=parts, **more)
        return sql, params * 5


class TriggerFilter(filters.FilterSet):
    q = filters.CharFilter(method="find", label="Search name and address")
    customer = filters.ModelChoiceFilter(queryset=Customer.objects.all(), to_field_name="reference", label="Customer",
                                         empty_label="")  # fmt: skip
    channel = filters.ChoiceFilter(choices=Trigger.Channel.choices, label="By", empty_label="")
    active = filters.BooleanFilter(label="On")

    class Meta:
        model = Trigger
        fields: list[str] = []

    def find(self, found: QuerySet[Trigger], _name: str, text: str) -> QuerySet[Trigger]:
        return found.filter(Q(name__icontains=text) | Q(address__icontains=text))


# --- the list ----------------------------------------------------------------------------------------
@staff_only("orders.view_trigger")
@require_GET
def trigger_list(request: HttpRequest) -> HttpResponse:
    last = Delivery.objects.filter(target=IdText(OuterRef("pk")), listener="trigger").order_by("-id").values("pk")[:1]
    found = Trigger.objects.select_related("customer").annotate(last=Subquery(last))
    page = list_page(TriggerFilter(asked(request), queryset=found), title="Triggers", columns=COLUMNS)
    results = Delivery.objects.in_bulk([row.last for row in page.rows if row.last])
    for row in page.rows:
        row.result, row.badge = results.get(row.last), HEALTH[health_of(row).state]
    return render(
        request,
        "orders/triggers.html",
        {
            "section": "triggers",
            "page": page,
            "endpoints": endpoints.banner(),
            "row_template": "orders/_trigger_row.html",
            "may_add": request.user.has_perm("orders.add_trigger"),
            "mailbox": mailbox.in_use() and request.user.has_perm("orders.change_trigger"),
            "empty_text": "A trigger tells a customer's system, or a person by mail, what happens to orders.",
        },
    )


# --- the editor --------------------------------------------------------------------------------------
@staff_only("orders.view_trigger")
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: UUID | None = None) -> HttpResponse:
    """One trigger, or a new one. Trying stores nothing."""
    trigger = (
        get_object_or_404(Trigger.objects.select_related("customer"), pk=pk) if pk else Trigger(event="order.shipped")
    )
    may = request.user.has_perm("orders.change_trigger" if pk else "orders.add_trigger")
    if not may and (request.method == "POST" or not pk):
        raise PermissionDenied
    if request.method == "POST":
        context = _typed(request, trigger)
        if context.get("saved"):
            return redirect("orders:trigger", trigger.pk)
    else:
        form = TriggerForm(instance=trigger, initial=_wanted(request) if not pk else {})
        context = {"form": form} | _tried(request, trigger, chosen=request.GET.get("on", ""))
    if not may:
        for field in context["form"].fields.values():
            field.disabled = True
    stored = Trigger.objects.filter(pk=pk).first() if pk else None  # what was typed is not what is stored
    return render(request, "orders/trigger.html", context | _around(request, stored, may=may))


def _wanted(request: HttpRequest) -> dict[str, Any]:
    """What the address asks of a new one: its customer."""
    customer = Customer.objects.filter(reference=asked(request).get("customer", "")).first()
    return {"customer": customer} if customer else {}


def _around(request: HttpRequest, stored: Trigger | None, *, may: bool) -> dict[str, Any]:
    """What stands beside the form."""
    new_secret = stored is not None and request.session.get("secret of") == str(stored.pk)
    if new_secret and request.method == "GET":
        del request.session["secret of"]
    until = stored.former_until if stored else None
    return {
        "section": "triggers", "title": stored.name if stored else "New trigger", "trigger": stored, "may": may,
        "badge": HEALTH[health_of(stored).state] if stored else None, "health": health_of(stored) if stored else None,
        "secret": stored.secret if stored and new_secret else "", "kinds": KINDS, "hours": HOURS.items(),
        "both_until": until if until and until > timezone.now() else None,
        "may_delete": stored is not None and request.user.has_perm("orders.delete_trigger"),
        "latest": _latest(stored) if stored else [],
    }  # fmt: skip


def _latest(trigger: Trigger) -> list[Delivery]:
    told = Delivery.objects.filter(target=str(trigger.pk), listener="trigger").select_related("event", "order")
    return list(told.order_by("-id")[:5])


def _typed(request: HttpRequest, trigger: Trigger) -> dict[str, Any]:
    """What was typed: tried, and saved or sent once when that is asked for and nothing speaks against it."""
    new, was_on = trigger._state.adding, trigger.active
    form = TriggerForm(request.POST, instance=trigger)
    if not form.is_valid():
        return {"form": form}
    context: dict[str, Any] = {"form": form} | _tried(request, trigger, chosen=request.POST.get("on", ""))
    action, trial = request.POST.get("action"), context["trial"]
    if action == "test" and not new:
        context |= _sent(request, trigger, context["occasion"])
    elif action == "save" and trial.problems and "confirm" not in request.POST:
        context["asks"] = "It does not work on the event that it was tried on: its deliveries would fail."
    elif action == "save":
        _save(request, form, new=new, was_on=was_on)
        context["saved"] = True
    return context


def _save(request: HttpRequest, form: TriggerForm, *, new: bool, was_on: bool) -> None:
    with audit.watch(form.instance, by=actor(request)):
        trigger = form.save_typed()
    if trigger.active and not was_on and not new:  # a fresh start: what was wrong is mended, or will be found again
        _forgive(trigger)
    if new and trigger.channel == Trigger.Channel.WEBHOOK:
        request.session["secret of"] = str(trigger.pk)
    messages.success(request, f"{trigger.name} is saved.")


def _forgive(trigger: Trigger) -> None:
    Trigger.objects.filter(pk=trigger.pk).update(
        failures=0, failing_since=None, slow_until=None, warned_at=None, switched_off_at=None, switched_off_why=""
    )


# --- trying ------------------------------------------------------------------------------------------
def _tried(request: HttpRequest, trigger: Trigger, *, chosen: str) -> dict[str, Any]:
    """On the chosen event, else on the latest that it would be told, else on a made-up one."""
    events = _events(trigger)
    event = next((each for each in events if str(each.pk) == chosen), None)
    if event is None and chosen != "sample":
        event = _that(chosen, trigger) or next(iter(events), None)
    occasion = Occasion(event.kind, event) if event else Occasion(sample_kind(trigger.event))
    trial = preview(trigger, occasion)
    if trial.html:
        trial.frame = _framed(request, trial.html)
    offered = [
        (str(each.pk), f"{born(each.pk):%d %b %H:%M} · {each.kind} · {each.order or 'no order'}") for each in events
    ]
    if event and event not in events:
        offered.insert(0, (str(event.pk), f"{event.kind} · {event.order or 'no order'}"))
    return {"trial": trial, "occasion": occasion, "offered": offered, "chosen": str(event.pk) if event else "sample"}


def _events(trigger: Trigger) -> list[Event]:
    """The latest that it would be told, whatever its other conditions: those with which to try it."""
    latest = _told(trigger).order_by("-id")[:LOOKED_AT].only("id", "kind")
    ids = [event.pk for event in list(occasions(trigger, latest))[:OFFERED]]
    return list(Event.objects.filter(pk__in=ids).select_related("order", "customer").order_by("-id"))


def _that(chosen: str, trigger: Trigger) -> Event | None:
    """An older event that was named."""
    id = parse_id(chosen)
    found = _told(trigger).filter(pk=id).select_related("order", "customer") if id else Event.objects.none()
    return next(occasions(trigger, found), None)


def _told(trigger: Trigger) -> QuerySet[Event]:
    found = Event.objects.exclude(kind__in=IN_HOUSE)
    return found.filter(customer=trigger.customer_id) if trigger.customer_id else found


def _framed(request: HttpRequest, html: str) -> str:
    """Where the mail is shown as its reader sees it: the page itself allows no styles of strangers."""
    kept = dict(list(request.session.get("mail previews", {}).items())[1 - SHOWN_PREVIEWS :])
    token = f"{timezone.now():%H%M%S%f}"
    request.session["mail previews"] = kept | {token: html}
    return reverse("orders:trigger-mail", args=[token])


@staff_only("orders.view_trigger")
@require_GET
def mail_preview(request: HttpRequest, token: str) -> HttpResponse:
    html = request.session.get("mail previews", {}).get(token)
    if html is None:
        raise Http404
    return framed(html)


def framed(html: str) -> HttpResponse:
    """A mail's HTML for a frame of our own pages: it runs no script, asks nothing of the network and knows no session."""
    response = HttpResponse(html)
    response["Content-Security-Policy"] = (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )
    response["X-Frame-Options"], response["Referrer-Policy"] = "SAMEORIGIN", "no-referrer"
    return response


def _sent(request: HttpRequest, trigger: Trigger, occasion: Occasion) -> dict[str, Any]:
    """What became of a test. It is sent here and now, in no transaction, and stored nowhere."""
    if limits.take(f"trigger tests of {request.user.pk}", rate=TESTS):
        return {"outcome": Outcome("That was too quick: wait a second, and try again.")}
    outcome = try_out(trigger, occasion)
    sent, answer = outcome.report.get("request", {}), outcome.report.get("answer", {})
    return {
        "outcome": outcome,
        "sent": {name: value for name, value in sent.items() if name not in ("headers", "body", "html")},
        "headers": sent.get("headers", {}), "body": pretty(sent.get("body", "")), "answer": answer,
        "answer_body": pretty(answer.get("body", "")),
    }  # fmt: skip


# --- secret, switch, end -----------------------------------------------------------------------------
@staff_only("orders.change_trigger")
@require_POST
def exchange(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A new secret; for so many hours the former one signs as well. `end`: it does so no longer."""
    trigger = get_object_or_404(Trigger, pk=pk)
    if "end" in request.POST:
        Trigger.objects.filter(pk=pk).update(former_secret="", former_until=None)
        messages.success(request, "Only the new secret signs now.")
        return redirect("orders:trigger", pk)
    hours = request.POST.get("hours", "")
    if hours not in HOURS:
        messages.error(request, "Choose how long both secrets sign.")
        return redirect("orders:trigger", pk)
    former, trigger.secret = trigger.secret, new_signing_secret()
    both = hours != "0" and bool(former)
    trigger.former_secret = former if both else ""
    trigger.former_until = timezone.now() + timedelta(hours=int(hours)) if both else None
    with audit.watch(trigger, by=actor(request)):
        trigger.save(update_fields=["secret", "former_secret", "former_until"])
    request.session["secret of"] = str(pk)
    return redirect("orders:trigger", pk)


@staff_only("orders.delete_trigger")
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    trigger = get_object_or_404(Trigger, pk=pk)
    if request.method == "POST":
        with audit.watch(trigger, by=actor(request)):
            trigger.delete()
        messages.success(request, f"{trigger.name} is deleted.")
        return redirect("orders:triggers")
    return render(
        request,
        "confirm.html",
        {
            "section": "triggers",
            "title": f"Delete {trigger.name}?",
            "intro": "What was told through it stays among the postbacks; what is still due is given up.",
            "style": "danger",
            "submit_label": "Delete",
            "back_url": reverse("orders:trigger", args=[pk]),
        },
    )
