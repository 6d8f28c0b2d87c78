"""The page of a trigger's endpoint: how it does now, the days behind it, and what to do when it failed."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from gelatoconnect.lib import lists
from orders import audit
from orders.deliveries import TO_CUSTOMERS, explain_waits, name_targets, sent_to
from orders.health import Days, days_of, health_of, typical_milliseconds
from orders.masks import masked_url
from orders.models import Delivery, EndpointDay, Trigger
from orders.pages import actor, staff_only

LATEST = 20
WIDTH, HEIGHT, FOOT, SIDE = 900, 160, 22, 44  # of the chart, in its own units
WORDS = {
    "fine": ("Fine", "done"),
    "failing": ("Failing", "failed"),
    "resting": ("Resting", "held"),
    "off": ("Switched off", "canceled"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart: what failed stands on what was delivered. `label` stands below some of them."""

    day: EndpointDay
    x: float
    width: float
    good: tuple[float, float]  # y and height
    bad: tuple[float, float]
    label: bool

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 2)


@staff_only("orders.view_trigger")
@require_GET
def endpoint(request: HttpRequest, pk: UUID) -> HttpResponse:
    trigger = get_object_or_404(Trigger.objects.select_related("customer"), pk=pk)
    health, days = health_of(trigger), days_of(trigger)
    told = Delivery.objects.filter(sent_to(trigger.pk))
    latest = list(told.select_related("event__customer", "order").order_by("-id")[:LATEST])
    explain_waits(name_targets(latest))
    return render(
        request,
        "orders/endpoint.html",
        {
            "section": "postbacks",
            "title": trigger.name,
            "trigger": trigger,
            "address": masked_url(trigger.address),
            "health": health,
            "badge": WORDS[health.state],
            "days": days,
            "typical": typical_milliseconds(trigger),
            "bars": _bars(days),
            "grid": _grid(days),
            "chart": {"width": WIDTH, "height": HEIGHT + FOOT, "side": SIDE, "labels": HEIGHT + 16},
            "latest": latest,
            "given_up": _count(trigger, Delivery.State.GIVEN_UP),
            "waiting": _count(trigger, Delivery.State.DUE),
            "again_url": _again(trigger),
            "edit_url": _edit(trigger),
            "may_switch": request.user.has_perm("orders.change_trigger"),
        },
    )


@staff_only("orders.change_trigger")
@require_POST
def switch_on(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Call the endpoint again, as if it had never failed. What was given up meanwhile is sent again when somebody asks."""
    trigger = get_object_or_404(Trigger, pk=pk)
    if trigger.active:
        messages.info(request, "It is switched on already.")
        return redirect("orders:endpoint", pk)
    trigger.active, trigger.failures, trigger.switched_off_why = True, 0, ""
    trigger.failing_since = trigger.slow_until = trigger.warned_at = trigger.switched_off_at = None
    with audit.watch(trigger, by=actor(request)):
        trigger.save()
    messages.success(request, "It is switched on. What was given up meanwhile can be sent again.")
    return redirect("orders:endpoint", pk)


def _count(trigger: Trigger, state: str) -> str:
    """Empty for none. Of a listener few are due or given up: they are found sooner than all that the target got."""
    told = Delivery.objects.filter(listener=TO_CUSTOMERS, state=state, target=str(trigger.pk))
    count = lists.capped_count(told)
    return lists.count_label(count) if count else ""


def _again(trigger: Trigger) -> str:
    """Where what was given up is sent again: since it began to fail, or all of it."""
    since = trigger.failing_since or trigger.switched_off_at
    said = {"trigger": str(trigger.pk), "failed": "on"} | ({"since": f"{since:%Y-%m-%dT%H:%M}"} if since else {})
    return f"{reverse('orders:replay_range')}?{urlencode(said)}"


def _edit(trigger: Trigger) -> str:
    try:
        return reverse("orders:trigger", args=[trigger.pk])
    except NoReverseMatch:
        return reverse("admin:orders_trigger_change", args=[trigger.pk])


def _top(days: Days) -> int:
    """The highest line of the grid: the next round number above the highest day (4, 8, 20, 40, 80, 200 …)."""
    most = max(day.delivered + day.failed for day in days.days)
    return next(4 * step * 10**power for power in range(12) for step in (1, 2, 5) if 4 * step * 10**power >= most)


def _bars(days: Days) -> list[Bar]:
    unit, slot = (HEIGHT - 8) / _top(days), (WIDTH - SIDE) / len(days.days)
    found = []
    for place, day in enumerate(days.days):
        good, bad = round(day.delivered * unit, 2), round(day.failed * unit, 2)
        found.append(
            Bar(day, x=round(SIDE + place * slot + slot * 0.12, 2), width=round(slot * 0.76, 2),
                good=(round(HEIGHT - good, 2), good), bad=(round(HEIGHT - good - bad, 2), bad),
                label=(len(days.days) - 1 - place) % 5 == 0)
        )  # fmt: skip
    return found


def _grid(days: Days) -> list[tuple[int, float]]:
    """(attempts, y) of the chart's horizontal lines."""
    top = _top(days)
    return [(top * part // 4, round(HEIGHT - (HEIGHT - 8) * part / 4, 2)) for part in range(5)]
