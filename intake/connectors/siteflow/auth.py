"""How Site Flow clients sign: an HMAC over method, path and time. The body is not signed, so the time must be near.

Each client library signs a little differently; whichever of the forms it is, all are tried, and compared in constant time.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from intake.connectors.base import Call, refuse

# Site Flow's own headers, then those of PrintOS, through which it is called too.
FAMILIES = (
    ("x-oneflow-authorization", "x-oneflow-date", "x-oneflow-algorithm"),
    ("x-hp-hmac-authentication", "x-hp-hmac-date", "x-hp-hmac-algorithm"),
)
DIGESTS = {"": "sha1", "sha1": "sha1", "sha256": "sha256"}  # clients that name none are old: SHA1
ROOTS = ("async", "sync", "siteflow", "api")  # what may stand before the path that a client means


def check(call: Call, *, keys: Sequence[tuple[str, str]], sha1: bool, window: int, zone: str, now: datetime) -> None:
    """Raises Rejected (401) unless the call is signed with one of the keys, (token, secret), within `window` seconds of now.

    sha1: whether signatures by SHA1 are taken. zone: of a time that is said without one.
    """
    given, said, algorithm = _headers(call)
    token, _, signature = given.partition(":")
    if not (token and signature and said):
        refuse("SIGNATURE_MISSING", "The call is not signed.", hint="Send x-oneflow-authorization and x-oneflow-date.")
    digest = DIGESTS.get(algorithm.replace("-", "").lower())
    if digest is None or (digest == "sha1" and not sha1):
        refuse("SIGNATURE_ALGORITHM", f"Signatures by {algorithm[:20] or 'SHA1'} are not taken.",
               hint="Send x-oneflow-algorithm: SHA256, and sign with it.")  # fmt: skip
    if not _is_signed(call, token, signature, said, digest, keys):
        refuse("SIGNATURE_INVALID", "The token or the signature is wrong.",
               hint='Sign "METHOD path timestamp" with the secret that belongs to the token.')  # fmt: skip
    at = moment_of(said, zone=zone)
    if at is None:
        refuse("SIGNATURE_DATE", f"x-oneflow-date {said[:40]!r} is no time.", hint="Send it as 2026-01-15T09:30:00Z.")
    if abs(away := (now - at).total_seconds()) > window:
        when = "ago" if away > 0 else "ahead"
        refuse("SIGNATURE_EXPIRED", f"The call was signed {abs(away):.0f} s {when}; {window} s are allowed.",
               hint="Set the clock; if the time is sent without a zone, set the zone at the connector.")  # fmt: skip


def signature_of(secret: str, said: str, *, digest: str = "sha256") -> str:
    """Lower-case hex."""
    return hmac.new(secret.encode(), said.encode(errors="replace"), digest).hexdigest()


def account_of(headers: Mapping[str, str]) -> str:
    """The account for which a service user acts, or nothing."""
    named = {name.lower(): value for name, value in headers.items()}
    return named.get("x-oneflow-account", "").strip()[:80]


def moment_of(said: str, *, zone: str) -> datetime | None:
    """The four ways in which clients write the time: ISO 8601 with and without zone, also with a blank, and Unix time."""
    said = said.strip()
    try:
        if said.replace(".", "", 1).isdigit():
            seconds = float(said)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC)
        at = datetime.fromisoformat(said)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))


def meant(path: str) -> list[str]:
    """The parts of a path, without what may stand before it: "async/api/order/7" → ["order", "7"]."""
    parts = [part for part in path.split("/") if part]
    while parts and parts[0].lower() in ROOTS:
        parts = parts[1:]
    return parts


def _headers(call: Call) -> tuple[str, str, str]:
    for names in FAMILIES:
        if call.headers.get(names[0]):
            given, said, algorithm = (call.headers.get(name, "").strip() for name in names)
            return given, said, algorithm
    return "", "", ""


def _is_signed(call: Call, token: str, signature: str, said: str, digest: str, keys: Sequence[tuple[str, str]]) -> bool:
    """Every form with every key, whichever fits: how long it takes says nothing."""
    given = signature.strip().lower().encode(errors="replace")
    fits = [
        hmac.compare_digest(token.encode(errors="replace"), known.encode())
        & hmac.compare_digest(given, signature_of(secret, text, digest=digest).encode())
        for known, secret in keys
        for text in _forms(call, said)
    ]
    return any(fits)


def _forms(call: Call, said: str) -> Iterator[str]:
    """What a client may have signed: the method as it is or in small letters, a blank before the time or none."""
    methods = dict.fromkeys((call.method.upper(), call.method, call.method.lower()))
    for method, path, blank in product(methods, dict.fromkeys(_paths(call)), (" ", "")):
        yield f"{method} {path}{blank}{said}"


def _paths(call: Call) -> Iterator[str]:
    """The whole path, and below our address; decoded and as sent, with and without its slashes and its query."""
    below = [part for part in call.path.split("/") if part]
    found = [call.url_path]
    for place in range(len(below)):
        if place == 0 or below[place - 1].lower() in ROOTS:
            path = "/".join(below[place:])
            found += [f"/{path}", path]
    query = f"?{urlencode(call.query)}" if call.query else ""
    for path in found:
        for each in (path, quote(path)):
            yield each
            yield each + query
            yield each.rstrip("/") + "/"
