"""The producer's calendar: which days are worked, and the day by which an order is to leave the house.

Weekends and public holidays are those of PRODUCER_COUNTRY (and PRODUCER_REGION) by the `holidays` library; CLOSED_DAYS
are the producer's own. A day is a day of PRODUCER_TIME_ZONE.
"""

from collections.abc import Iterable
from datetime import MAXYEAR, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from django.conf import settings
from django.utils import timezone

KNOWN_YEARS = range(1950, 2101)  # those that are asked for; in others only weekends are free
WEEKEND = frozenset({5, 6})

Closed = tuple[str, ...]


def zone() -> ZoneInfo:
    return ZoneInfo(settings.PRODUCER_TIME_ZONE)


def cutoff() -> time:
    """Until when an order of a day counts as of that day. Raises ValueError when ORDER_CUTOFF is no time."""
    return datetime.strptime(settings.ORDER_CUTOFF, "%H:%M").time()  # noqa: DTZ007  # of the producer's clock


def today() -> date:
    """The day at the producer's."""
    return timezone.now().astimezone(zone()).date()


def is_working_day(day: date) -> bool:
    return day in _worked(day.year, settings.PRODUCER_COUNTRY, settings.PRODUCER_REGION, tuple(settings.CLOSED_DAYS))


def working_day(start: date, days: int) -> date:
    """`days` working days after `start`; with 0 it is `start` itself. Past the end of all calendars: the last day."""
    day = start
    try:
        while days > 0:
            day += timedelta(days=1)
            days -= is_working_day(day)
    except OverflowError:
        return date.max
    return day


def working_days_between(start: date, end: date) -> int:
    """How many working days lie after `start` up to and with `end`; 0 when `end` is no later."""
    return sum(is_working_day(start + timedelta(days=number)) for number in range(1, (end - start).days + 1))


def day_that_counts(at: datetime) -> date:
    """The working day an order of that moment counts from: after the cut-off, or on a free day, the next one."""
    here = at.astimezone(zone())
    if is_working_day(here.date()) and here.time() < cutoff():
        return here.date()
    return working_day(here.date(), 1)


def ship_by(at: datetime, days: Iterable[int]) -> date:
    """The day by which an order of that moment is to leave the house, when its items take so many working days each."""
    return working_day(day_that_counts(at), max(days, default=0))


def closed_days(words: Iterable[str], year: int) -> set[date]:
    """The own free days of a year: "2026-12-31", "2026-07-20..2026-07-31", or "12-24" of every year.

    Raises ValueError, naming the word that is none of these.
    """
    found: set[date] = set()
    for word in words:
        first, _, last = word.partition("..")
        try:
            if len(first) == 5 and not last:
                found |= _of_every_year(first, year)
                continue
            start = date.fromisoformat(first)
            end = date.fromisoformat(last) if last else start
        except ValueError:
            raise ValueError(f"{word!r} is no day and no range of days.") from None
        if end < start:
            raise ValueError(f"{word!r} ends before it begins.")
        start, end = max(start, date(year, 1, 1)), min(end, date(year, 12, 31))
        found |= {start + timedelta(days=number) for number in range((end - start).days + 1)}
    return found


def _of_every_year(word: str, year: int) -> set[date]:
    date.fromisoformat(f"2024-{word}")  # a leap year: what is no day even then, is none
    try:
        return {date.fromisoformat(f"{year:04}-{word}")}
    except ValueError:
        return set()


@lru_cache(maxsize=64)
def _worked(year: int, country: str, region: str, closed: Closed) -> frozenset[date]:
    """The working days of a year. Made at once and then only read: the library's own calendars grow while they are
    asked, which two threads must not do at the same time."""
    first = date(year, 1, 1)
    count = (date(year + 1, 1, 1) - first).days if year < MAXYEAR else 365
    days = [first + timedelta(days=number) for number in range(count)]
    free = closed_days(closed, year)
    if year in KNOWN_YEARS and (known := _calendar(country, region, year)) is not None:
        return frozenset(day for day in days if known.is_working_day(day) and day not in free)
    return frozenset(day for day in days if day.weekday() not in WEEKEND and day not in free)


def _calendar(country: str, region: str, year: int) -> holidays.HolidayBase | None:
    """None: the library does not know the country (a system check says so)."""
    try:
        return holidays.country_holidays(country, subdiv=region or None, years=year)
    except NotImplementedError:
        return None
