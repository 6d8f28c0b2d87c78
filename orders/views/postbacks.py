"""Postbacks: every delivery of an event, what was sent and what came back, why one waits, and sending it again."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from gelatoconnect.lib import lists
from gelatoconnect.lib.ids import parse_id
from orders import endpoints, events, replays
from orders.deliveries import VIEWS, DeliveryFilter, explain_waits, name_targets
from orders.masks import masked, masked_url
from orders.models import Attempt, Delivery
from orders.pages import MAX_SELECTED, asked, list_page, staff_only
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


@staff_only("orders.view_delivery")
@require_GET
def delivery_list(request: HttpRequest) -> HttpResponse:
    chosen = DeliveryFilter(asked(request), queryset=_known())
    current = chosen.data.get("view") if chosen.data.get("view") in VIEWS else "all"
    tabs = [(label, "?" if name == "all" else f"?view={name}", "", name == current) for name, label in VIEWS.items()]
    page = list_page(chosen, title="Postbacks", columns=COLUMNS, tabs=tabs, parts=chosen.parts)
    explain_waits(name_targets(page.rows))
    again = request.user.has_perm("orders.replay_delivery")
    return render(
        request,
        "orders/deliveries.html",
        {
            "section": "postbacks",
            "page": page,
            "endpoints": endpoints.banner(),
            "row_template": "orders/_delivery_row.html",
            "bulk_url": reverse("orders:replay"),
            "bulk_moves": [("replay", "Send again", "")] if again else [],
            "range_url": f"{reverse('orders:replay_range')}?{_range_of(chosen)}" if again else "",
            "empty_text": "As soon as something follows an event, it stands here.",
        },
    )


@staff_only("orders.view_delivery")
@require_GET
def delivery_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    delivery = get_object_or_404(_known(), pk=pk)
    explain_waits(name_targets([delivery]))
    listener = events.LISTENERS.get(delivery.listener)
    return render(
        request,
        "orders/delivery.html",
        {
            "section": "postbacks",
            "title": title_of(delivery.event.kind),
            "delivery": delivery,
            "attempts_most": len(listener.delays) + 1 if listener else None,
            "event_data": pretty(delivery.event.data),
            "tries": [_told(attempt) for attempt in delivery.tries.order_by("-at", "-pk")],
        },
    )


@staff_only("orders.view_delivery")
@require_GET
def mail_html(request: HttpRequest, pk: UUID, attempt: int) -> HttpResponse:
    """The HTML of a mail as its reader sees it. It runs no script, asks nothing of the network and knows no session."""
    found = get_object_or_404(Attempt, delivery=pk, pk=attempt)
    html = (found.report.get("request") or {}).get("html")
    if not isinstance(html, str) or not html:
        raise Http404
    response = HttpResponse(html)
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    response["X-Content-Type-Options"], response["Referrer-Policy"] = "nosniff", "no-referrer"
    return response


@staff_only("orders.replay_delivery")
@require_POST
def replay(request: HttpRequest) -> HttpResponse:
    """Send the selected deliveries again; those that wait for their next attempt are tried now."""
    ids = request.POST.getlist("ids")
    if not 0 < len(ids) <= MAX_SELECTED:
        messages.error(request, f"Select between 1 and {MAX_SELECTED} deliveries.")
        return redirect("orders:deliveries")
    chosen = lists.rows_by_id(Delivery, ids)
    found, count = chosen.count(), replays.again(chosen)
    said = f"{count} will be sent again at once." + (f" Being sent anyway: {found - count}." if found > count else "")
    messages.success(request, said) if count else messages.info(request, said)
    only = parse_id(ids[0]) if len(ids) == 1 else None
    return redirect("orders:delivery", only) if only and found else redirect("orders:deliveries")


def _known() -> QuerySet[Delivery]:
    return Delivery.objects.select_related("event__customer", "order")


def _range_of(chosen: DeliveryFilter) -> str:
    """What the list shows, as the question of the range's page."""
    said = {name: chosen.data.get(name) for name in ("listener", "trigger", "customer", "event", "since", "until")}
    return urlencode({name: value for name, value in said.items() if value})


# --- attempts -----------------------------------------------------------------------------------------
def _told(attempt: Attempt) -> dict[str, Any]:
    """An attempt with everything that was said in it: what was sent and what came back, in turn."""
    report = attempt.report if isinstance(attempt.report, dict) else {}
    talk = [*(report.get("before") or []), report]
    return {"attempt": attempt, "exchanges": [each for said in talk if (each := _exchange(said))]}


def _exchange(said: dict[str, Any]) -> dict[str, Any]:
    """One request and its answer, as text; empty when there was none."""
    sent, answer = said.get("request") or {}, said.get("answer") or {}
    shown = ("headers", "body", "html", "method", "url")
    found = {
        "method": sent.get("method") or "",
        "url": masked_url(str(sent.get("url") or "")),
        "facts": [(name, value) for name, value in sent.items() if name not in shown and value],
        "headers": list(masked(sent.get("headers") or {})),
        "body": pretty(sent.get("body") or ""),
        "html": pretty(sent.get("html") or ""),
        "status": answer.get("status"),
        "answer_headers": list(masked(answer.get("headers") or {})),
        "answer_body": pretty(answer.get("body") or ""),
    }
    return found if any(found.values()) else {}
