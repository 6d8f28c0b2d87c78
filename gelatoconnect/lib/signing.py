"""Signatures: HMAC-SHA256 as senders write it, and Standard Webhooks 1.0.0 in both directions.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks. Whatever is compared is compared in constant
time, as bytes, over the raw body. An empty secret signs nothing: what is not set up yet lets nobody in.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import NoReturn

from gelatoconnect.lib.problems import Problem, Rejected

TOLERANCE = 300  # seconds that a timestamp may be away from now, either way
PREFIXES = ("webhook", "svix")  # of the three headers; Svix, which sends for many, also writes its own


def in_base64(body: bytes, *, secret: str) -> str:
    """base64(HMAC-SHA256(body, secret)), as shops sign."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def fits(signature: str, body: bytes, *, secrets: Iterable[str]) -> bool:
    """Whether it is the base64 signature of the body by one of the secrets: while one is changed, two are good."""
    given = signature.strip().encode()
    return any(hmac.compare_digest(given, in_base64(body, secret=secret).encode()) for secret in secrets if secret)


def key_of(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks ("whsec_" and base64) spells. Raises ValueError."""
    key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    if not key:
        raise ValueError("The secret is empty.")
    return key


def signed(id: str, timestamp: int, body: bytes, *, secret: str) -> dict[str, str]:
    """The three headers of Standard Webhooks; timestamp in Unix seconds. Raises ValueError for what is no secret."""
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    return headers | {"webhook-signature": _standard(id, str(timestamp), body, key=key_of(secret))}


def verify(headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str], now: float) -> None:
    """Raises Rejected (401) unless one of the secrets made one of the signatures, and not long before or after `now`.

    headers: names in lower case.
    """
    prefix = next((each for each in PREFIXES if f"{each}-signature" in headers), PREFIXES[0])
    id, timestamp, given = (headers.get(f"{prefix}-{name}", "").strip() for name in ("id", "timestamp", "signature"))
    if not (id and timestamp and given):
        _refuse(
            "SIGNATURE_MISSING", "The call is not signed.", "Send webhook-id, webhook-timestamp and webhook-signature."
        )
    right = [_standard(id, timestamp, body, key=key_of(secret)).encode() for secret in secrets if secret]
    tried = [hmac.compare_digest(each.encode(), mine) for each in given.split(" ")[:20] for mine in right]
    if not any(tried) or not (timestamp.isascii() and timestamp.isdigit()):
        _refuse("SIGNATURE_INVALID", "The signature is not that of this body.", "Check the secret on both sides.")
    if len(timestamp) > 15 or abs(now - int(timestamp)) > TOLERANCE:
        message = f"The call was signed more than {TOLERANCE // 60} minutes ago, or in the future."
        _refuse("TIMESTAMP_STALE", message, "Sign each attempt anew, and set the clock.")


def _standard(id: str, timestamp: str, body: bytes, *, key: bytes) -> str:
    content = b".".join((id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise Rejected([Problem(code, message, hint=hint)], status=401)
