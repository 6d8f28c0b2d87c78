"""The analytics page: figures, a chart of the days, and tables."""

from dataclasses import dataclass
from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from orders import analytics as ask
from orders.pages import staff_only
from orders.texts import duration

RANGES = (7, 30, 90)
WIDTH, HEIGHT, FOOT, SIDE = 900, 200, 22, 34  # of the chart, in its own units


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart. `label` stands below some of them."""

    day: date
    count: int
    x: float
    y: float
    width: float
    height: float
    label: bool

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 2)


@staff_only("orders.view_analytics")
@require_GET
def analytics(request: HttpRequest) -> HttpResponse:
    days = next((days for days in RANGES if str(days) == request.GET.get("days")), 30)
    since = ask.start_of(days)
    volume = ask.volume(since)
    return render(
        request,
        "orders/analytics.html",
        {
            "section": "analytics",
            "title": "Analytics",
            "days": days,
            "since": since,
            "ranges": [(f"{choice} days", f"?days={choice}", choice == days) for choice in RANGES],
            "volume": volume,
            "total": sum(count for _, count in volume),
            "bars": _bars(volume),
            "grid": _grid(volume),
            "chart": {"width": WIDTH, "height": HEIGHT + FOOT, "side": SIDE, "foot": HEIGHT, "labels": HEIGHT + 16},
            "channels": ask.by_channel(since),
            "customers": ask.by_customer(since),
            "success": ask.success(since),
            "failures": ask.failures(since),
            "newest": ask.NEWEST,
            "stays": [(stay, duration(stay.median), duration(stay.p90)) for stay in ask.stays(since)],
            "on_time": ask.on_time(since),
            "late": ask.late_now(),
        },
    )


def _top(volume: list[tuple[date, int]]) -> int:
    """The highest line of the grid: the next round number above the highest bar (4, 8, 20, 40, 80, 200 …)."""
    most = max(count for _, count in volume)
    return next(4 * step * 10**power for power in range(12) for step in (1, 2, 5) if 4 * step * 10**power >= most)


def _bars(volume: list[tuple[date, int]]) -> list[Bar]:
    top, slot = _top(volume), (WIDTH - SIDE) / len(volume)
    every = -(-len(volume) // 10)  # some ten labels, counted from today
    return [
        Bar(
            day,
            count,
            x=round(SIDE + place * slot + slot * 0.12, 2),
            y=round(HEIGHT - (HEIGHT - 8) * count / top, 2),
            width=round(slot * 0.76, 2),
            height=round((HEIGHT - 8) * count / top, 2),
            label=(len(volume) - 1 - place) % every == 0,
        )
        for place, (day, count) in enumerate(volume)
    ]


def _grid(volume: list[tuple[date, int]]) -> list[tuple[int, float]]:
    """(orders, y) of the chart's horizontal lines."""
    top = _top(volume)
    return [(top * part // 4, round(HEIGHT - (HEIGHT - 8) * part / 4, 2)) for part in range(5)]
