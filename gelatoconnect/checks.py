"""System checks: a wrong setting is said at the start, with the way to mend it."""

from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import holidays
from babel import Locale
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from gelatoconnect.lib import logs
from gelatoconnect.lib.http.addresses import allow_list
from orders import workdays

KNOWN_DEMO_KEY = "demo"


@checks.register(checks.Tags.security, checks.Tags.database)
def demo_key(databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """The demo's API key is public knowledge: it must not open a real installation."""
    from intake.models import ApiKey

    if settings.DEBUG or not databases:
        return []
    try:
        there = ApiKey.objects.filter(key=KNOWN_DEMO_KEY, revoked_at=None).exists()
    except DatabaseError:
        return []  # not migrated yet
    if not there:
        return []
    return [
        checks.Error(
            "The demo's API key (demo:demo) is active while DEBUG is off.",
            id="gelatoconnect.E001",
            hint="Revoke it in the admin, use another database, or set DEBUG=1 on a machine of your own.",
        )
    ]


@checks.register
def countries(**_: Any) -> list[checks.CheckMessage]:
    known = Locale("en").territories
    wrong = [code for code in (*settings.DESTINATIONS, settings.PRODUCER_COUNTRY) if code not in known]
    return [
        checks.Error(
            f"{code!r} is not a country.",
            id="gelatoconnect.E002",
            hint="DESTINATIONS and PRODUCER_COUNTRY take ISO 3166-1 alpha-2 codes.",
        )
        for code in wrong
    ]


@checks.register(checks.Tags.security)
def hosts(**_: Any) -> list[checks.CheckMessage]:
    try:
        allow_list()
    except ImproperlyConfigured as error:
        hint = "Name the hosts: name, name:port, address or network (10.0.0.0/16)."
        return [checks.Error(str(error), id="gelatoconnect.E003", hint=hint)]
    return []


@checks.register
def calendar(**_: Any) -> list[checks.CheckMessage]:
    """The producer's days: they decide by when orders are to leave the house."""
    found: list[checks.CheckMessage] = []
    for id, setting, ask, hint in (
        ("E020", "PRODUCER_TIME_ZONE", workdays.zone, "Name a zone of the IANA database, as in Europe/Oslo."),
        ("E021", "ORDER_CUTOFF", workdays.cutoff, "Write hours and minutes of the day, as in 14:00."),
        ("E022", "CLOSED_DAYS", lambda: workdays.closed_days(settings.CLOSED_DAYS, 2024),
         "Write days and ranges with commas between: 2026-12-31, 2026-07-20..2026-07-31, or 12-24 for every year."),
    ):  # fmt: skip
        try:
            ask()
        except (ValueError, ZoneInfoNotFoundError) as error:
            found.append(checks.Error(f"{setting}: {error}", id=f"gelatoconnect.{id}", hint=hint))
    if settings.SCAN_EXPECTED_HOURS < 0:
        hint = "Hours from the label to the carrier's first scan; 0: parcels are not watched."
        found.append(checks.Error("SCAN_EXPECTED_HOURS is negative.", id="gelatoconnect.E024", hint=hint))
    return [*found, *_holidays()]


def _holidays() -> list[checks.CheckMessage]:
    country, region = settings.PRODUCER_COUNTRY, settings.PRODUCER_REGION
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        said = f"The public holidays of {country} are not known: only weekends and CLOSED_DAYS are free."
        return [checks.Warning(said, id="gelatoconnect.W020", hint="Name the holidays in CLOSED_DAYS.")]
    if region and region not in known[country]:
        hint = f"Leave PRODUCER_REGION empty, or write one of: {', '.join(known[country]) or 'none is known'}."
        return [checks.Error(f"{region!r} is no region of {country}.", id="gelatoconnect.E023", hint=hint)]
    return []


RETENTION = (
    "RETAIN_RECIPIENT_DAYS",
    "RETAIN_BODY_DAYS",
    "RETAIN_FILE_DAYS",
    "RETAIN_DELIVERY_DAYS",
    "RETAIN_IMPORT_DAYS",
)


@checks.register
def operations(**_: Any) -> list[checks.CheckMessage]:
    """How it logs, when it counts as ready, and how long things are kept."""
    found: list[checks.CheckMessage] = []
    if settings.LOG_FORMAT not in logs.FORMATS:
        said = f"LOG_FORMAT is {settings.LOG_FORMAT!r}: JSON is logged."
        found.append(checks.Error(said, id="gelatoconnect.E030", hint=f"Write one of: {', '.join(logs.FORMATS)}."))
    if settings.READY_SECONDS <= 0:
        hint = "Seconds that a delivery may be overdue while /readyz still says yes."
        found.append(checks.Error("READY_SECONDS is not positive.", id="gelatoconnect.E031", hint=hint))
    for name in RETENTION:
        if getattr(settings, name) < 0:
            found.append(checks.Error(f"{name} is negative.", id="gelatoconnect.E032", hint="Days; 0: kept for ever."))
    if 0 < len(settings.METRICS_TOKEN) < 16:
        hint = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        found.append(checks.Error("METRICS_TOKEN is too short to be a secret.", id="gelatoconnect.E033", hint=hint))
    return found


@checks.register(deploy=True)
def retention(**_: Any) -> list[checks.CheckMessage]:
    """What the law asks of whoever keeps people's addresses is decided by a person, not by a default."""
    if settings.RETAIN_RECIPIENT_DAYS:
        return []
    hint = "Set RETAIN_RECIPIENT_DAYS to what you have agreed with your customers; see docs/deploy.md."
    return [checks.Warning("Recipients' names and addresses are kept for ever.", id="gelatoconnect.W030", hint=hint)]
