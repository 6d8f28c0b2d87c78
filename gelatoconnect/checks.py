"""System checks: a wrong setting is said at the start, with the way to mend it."""

from typing import Any

from babel import Locale
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from gelatoconnect.lib.http.addresses import allow_list

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
