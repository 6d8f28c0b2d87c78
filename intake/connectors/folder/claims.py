"""Claims: a file that is moved into work/ belongs to whoever moved it, for as long as its new name says.

The name carries when it was claimed and how often before, so that a claim needs nothing but the folder itself. Who dies
with a claim loses it when its time is over; a file that was claimed too often is given up.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gelatoconnect.lib.places import Entry, Place

LEASE = timedelta(minutes=15)
TRIES = 3
_NAME = re.compile(r"(\d{8}T\d{6})Z\.(\d)\.[0-9a-f]{8}\.(.+)", re.DOTALL)
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Claim:
    """path: in work/; name: how the file was called, as far as that can be shown; tries: with this one."""

    path: str
    name: str
    at: datetime
    tries: int


def claim(place: Place, path: str, *, now: datetime, name: str = "", tries: int = 1) -> Claim | None:
    """Move the file into work/. None: somebody else was quicker."""
    name = name or shown(path.rpartition("/")[2])
    mine = f"work/{now.astimezone(UTC):%Y%m%dT%H%M%S}Z.{tries}.{secrets.token_hex(4)}.{name}"
    return Claim(mine, name, now, tries) if place.rename(path, mine) else None


def claim_of(entry: Entry) -> Claim | None:
    """Whose name says that it is one."""
    match = _NAME.fullmatch(entry.name)
    if match is None or entry.is_folder:
        return None
    try:
        at = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Claim(f"work/{entry.name}", match[3], at, int(match[2]))


def abandoned(place: Place, *, now: datetime) -> list[Claim]:
    """Claims whose time is over."""
    claims = filter(None, map(claim_of, place.entries("work")))
    return [each for each in claims if each.at <= now - LEASE]


def shown(name: str) -> str:
    """A file's name without what cannot be shown or would lead elsewhere: each such sign becomes _."""
    return _UNSHOWN.sub("_", name)[:200] or "_"
