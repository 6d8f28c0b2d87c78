"""How a trigger's endpoint does: its state now, and the days behind it. What is counted is written by deliveries."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from django.utils import timezone

from orders.deliveries import sent_to
from orders.models import Attempt, Delivery, EndpointDay, Trigger

DAYS = 30
SEEN = 200  # latest deliveries whose attempts the median is of


@dataclass(frozen=True, slots=True)
class Health:
    """state: fine, failing, resting (its circuit is open) or off; since: from when on; until: of a rest."""

    state: str
    since: datetime | None = None
    until: datetime | None = None
    why: str = ""


def health_of(trigger: Trigger) -> Health:
    if not trigger.active:
        return Health("off", since=trigger.switched_off_at, why=trigger.switched_off_why)
    if trigger.slow_until and trigger.slow_until > timezone.now():
        return Health("resting", since=trigger.failing_since, until=trigger.slow_until)
    if trigger.failures:
        return Health("failing", since=trigger.failing_since)
    return Health("fine")


@dataclass(frozen=True, slots=True)
class Days:
    """The last DAYS days (UTC), one entry for each, oldest first; times in milliseconds of one attempt."""

    days: list[EndpointDay]

    @property
    def delivered(self) -> int:
        return sum(day.delivered for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)

    @property
    def success(self) -> float | None:
        """Per cent of the attempts; None when there was none."""
        tried = self.delivered + self.failed
        return 100 * self.delivered / tried if tried else None

    @property
    def mean(self) -> int | None:
        tried = self.delivered + self.failed
        return round(sum(day.milliseconds for day in self.days) / tried) if tried else None

    @property
    def slowest(self) -> int:
        return max((day.slowest for day in self.days), default=0)


def days_of(trigger: Trigger, *, today: date | None = None) -> Days:
    return days_of_all([trigger], today=today)[trigger.pk]


def days_of_all(triggers: list[Trigger], *, today: date | None = None) -> dict[object, Days]:
    """Of several triggers, in one query. A day on which nothing was tried is there too, with nothing in it."""
    last = today or timezone.now().date()
    all_days = [last - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    found = EndpointDay.objects.filter(trigger__in=triggers, day__gte=all_days[0], day__lte=last)
    known = {(each.trigger_id, each.day): each for each in found}
    return {
        trigger.pk: Days([known.get((trigger.pk, day)) or EndpointDay(trigger=trigger, day=day) for day in all_days])
        for trigger in triggers
    }


def typical_milliseconds(trigger: Trigger) -> int | None:
    """The median of the attempts at the latest deliveries; None when there was none."""
    latest = Delivery.objects.filter(sent_to(trigger.pk)).order_by("-id").values_list("pk", flat=True)[:SEEN]
    tries = Attempt.objects.filter(delivery__in=list(latest)).order_by()
    found = list(tries.values_list("milliseconds", flat=True))
    return round(median(found)) if found else None
