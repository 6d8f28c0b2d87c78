"""Channels: every connector, how it does, and asking it now."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from intake.channels import COUNTED, channel_of, channels
from intake.models import Connector
from orders import audit
from orders.pages import actor, staff_only


@staff_only("intake.view_connector")
@require_GET
def channel_list(request: HttpRequest) -> HttpResponse:
    found = channels()
    active = [each for each in found if each.connector.active]
    sums = {name: sum(getattr(each.today, name) for each in found) for name in ("accepted", "rejected", "recovered")}
    return render(
        request,
        "intake/channels.html",
        {
            "section": "channels",
            "title": "Channels",
            "channels": found,
            "active": len(active),
            "wanting": sum(bool(each.problems) for each in active),
            "silent": sum(bool(each.silent) for each in active),
            "failing": sum(any(tone == "error" for tone, _ in each.problems) for each in active),
            "today": sums,
            "capped": COUNTED if sums["accepted"] + sums["rejected"] >= COUNTED else 0,
            "may_ask": request.user.has_perm("intake.process_orderrequest"),
            "may_switch": request.user.has_perm("intake.change_connector"),
        },
    )


@staff_only("intake.process_orderrequest")
@require_POST
def ask_now(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let the channel be asked at once, whatever its schedule says."""
    connector = get_object_or_404(Connector, pk=pk)
    channel = channel_of(connector)
    now = timezone.now()
    if not channel.schedule:
        messages.error(request, f"{connector} is never asked: its settings say how often.")
    elif (until := channel.config.after_quiet(now)) > now:
        messages.info(request, f"{connector} has its quiet hours: it is asked at {until:%H:%M} UTC.")
    elif Connector.objects.filter(pk=pk, active=True).update(next_pull=now):
        messages.success(request, f"{connector} is {'scanned' if channel.scans else 'compared'} in a few seconds.")
    else:
        messages.error(request, f"{connector} is switched off.")
    return redirect("intake:channels")


@staff_only("intake.change_connector")
@require_POST
def switch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """On or off: a channel that is off takes nothing, is told nothing and is not asked."""
    connector = get_object_or_404(Connector, pk=pk)
    with audit.watch(connector, by=actor(request)):
        connector.active = request.POST.get("active") == "yes"
        connector.save(update_fields=["active"])
    said = "is on" if connector.active else "is off: what its senders call is answered 404, and nothing is sent to them"
    messages.success(request, f"{connector} {said}.")
    return redirect("intake:channels")
