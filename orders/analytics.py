"""Questions asked of Events over a range of days: how much, how well, how fast. A few grouped queries each."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber, TruncDate
from django.utils import timezone

from gelatoconnect.lib import lists
from gelatoconnect.lib.ids import first_id
from orders.filters import conditions_of
from orders.lifecycle import Status
from orders.models import Event, Order

NEWEST = 10_000  # as many events are read where no query can group them


@dataclass(frozen=True, slots=True)
class Stay:
    """How long orders stay in a status, in seconds: the median, and what 90 % of them do not exceed."""

    status: str
    label: str
    count: int
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; `percent` is None where there are none at all."""

    part: int
    whole: int

    @property
    def percent(self) -> float | None:
        return 100 * self.part / self.whole if self.whole else None


def start_of(days: int) -> datetime:
    """Midnight (UTC) of the first of the last `days` days, today included."""
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)


def received(since: datetime) -> QuerySet[Event]:
    """The first reception of each order; a retry is none."""
    return Event.objects.filter(target=Status.RECEIVED, at__gte=since).exclude(source=Status.FAILED)


def volume(since: datetime) -> list[tuple[date, int]]:
    """Orders received on each day up to today, days without any included."""
    found = received(since).order_by().annotate(day=TruncDate("at")).values_list("day").annotate(Count("pk"))
    counts = dict(found)
    days = (timezone.now().date() - since.date()).days + 1
    return [(day, counts.get(day, 0)) for day in (since.date() + timedelta(days=n) for n in range(days))]


def by_channel(since: datetime) -> list[tuple[str, int]]:
    grouped = received(since).order_by().values_list("order__channel").annotate(count=Count("pk"))
    return list(grouped.order_by("-count", "order__channel")[:10])


def by_customer(since: datetime) -> list[tuple[str, str, int]]:
    """(reference, name, orders) of the customers with the most orders."""
    grouped = received(since).order_by().values_list("customer__reference", "customer__name")
    return list(grouped.annotate(count=Count("pk")).order_by("-count", "customer__reference")[:10])


def success(since: datetime) -> Share:
    """Orders of the range that passed all checks, be it after a mend, of those that were judged."""
    ever = Event.objects.filter(order=OuterRef("order"))
    passed = Exists(ever.filter(target=Status.PASSED))
    judged = Exists(ever.filter(target__in=(Status.PASSED, Status.FAILED)))
    found = received(since).aggregate(part=Count("pk", filter=Q(passed)), whole=Count("pk", filter=Q(judged)))
    return Share(found["part"], found["whole"])


def on_time(since: datetime) -> Share:
    """Orders handed over to the carrier by their ship-by date, of all handed over that have one."""
    shipped = Event.objects.filter(target=Status.SHIPPED, at__gte=since, order__ship_by__isnull=False)
    in_time = Q(day__lte=F("order__ship_by"))
    found = shipped.annotate(day=TruncDate("at")).aggregate(part=Count("pk", filter=in_time), whole=Count("pk"))
    return Share(found["part"], found["whole"])


def late_now() -> str:
    """How many orders should have been shipped by now, as a label ("12", "10,000+")."""
    return lists.count_label(lists.capped_count(*(Order.objects.filter(late) for late in conditions_of("late"))))


def failures(since: datetime) -> list[tuple[str, str, int]]:
    """The commonest reasons of failure: (code, an example of its message, orders), of the newest NEWEST failures."""
    failed = Event.objects.filter(target=Status.FAILED, at__gte=since).order_by("-at").values_list("order", "data")
    orders: Counter[str] = Counter()
    messages: dict[str, str] = {}
    seen = set()
    for order, data in failed[:NEWEST]:
        for code, message in _errors(data):
            messages.setdefault(code, message)
            orders[code] += (order, code) not in seen
            seen.add((order, code))
    return [(code, messages[code], count) for code, count in orders.most_common(10)]


def _errors(data: dict) -> Iterator[tuple[str, str]]:
    for problem in data.get("problems", []):
        if problem.get("severity") == "error":
            yield problem["code"], problem["message"]


def stays(since: datetime) -> list[Stay]:
    """How long orders stayed in each status that they left in the range, in the order of their life.

    Nearest-rank percentiles: the rows of a status are numbered by their time, and those at the middle and at nine
    tenths are read; SQLite and PostgreSQL both can.
    """
    numbered = Event.objects.filter(id__gte=first_id(since), seconds__isnull=False).annotate(
        rank=Window(RowNumber(), partition_by=[F("source")], order_by=["seconds"]),
        total=Window(Count("pk"), partition_by=[F("source")]),
    )
    median, p90 = (F("total") + 1) / 2, (F("total") * 9 + 9) / 10
    read = numbered.filter(Q(rank=median) | Q(rank=p90)).order_by("rank").values_list("source", "seconds", "total")
    found: dict[str, list[tuple[float, int]]] = {}
    for source, seconds, total in read:
        found.setdefault(source, []).append((seconds or 0.0, total))
    return [
        Stay(status.value, str(status.label), found[status][0][1], found[status][0][0], found[status][-1][0])
        for status in Status
        if status in found
    ]
