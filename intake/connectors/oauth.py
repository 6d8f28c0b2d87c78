"""OAuth 2: requests that carry an access token, which is refreshed when it has run out or is refused.

Refresh tokens rotate: a new one is kept at once, and several workers share it. What the administrator types in the
settings begins it; typed anew it begins anew.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from gelatoconnect.lib.http import Answer
from intake.connectors.base import Ask, Remember, Talk, json_of
from intake.connectors.loose import get, number, text
from orders.events import Permanent, TryLater

EARLY = 60  # seconds before its end that an access token is no longer used
HOUR = 3600  # seconds that one lives when nobody says


@dataclass(frozen=True, slots=True)
class Grant:
    """What the other side allowed us: where tokens are had, who we are, and the refresh token as it was typed."""

    token_url: str
    client_id: str
    refresh_token: str

    @property
    def mark(self) -> str:
        """By which memory is known to come from this grant, and not from one that was typed before."""
        return hashlib.sha256(f"{self.client_id}:{self.refresh_token}".encode()).hexdigest()[:16]


def authorized(ask: Callable[[str], Ask], grant: Grant, memory: dict[str, Any]) -> Talk[Answer]:
    """The answer to `ask(access token)`. Once more with a new token when that one is refused (401)."""
    token = _access(memory, grant) or (yield from _refreshed(grant, memory, stale=""))
    first = ask(token)
    answer = yield replace(first, accept=(*first.accept, 401))
    if answer.status != 401:
        return answer
    token = yield from _refreshed(grant, memory, stale=token)
    return (yield ask(token))


def _refreshed(grant: Grant, memory: dict[str, Any], *, stale: str) -> Talk[str]:
    """Another access token than `stale`: one that another worker got meanwhile, or a new one."""
    yield from _look(memory)
    if (token := _access(memory, grant)) and token != stale:
        return token
    used = _refresh_token(memory, grant)
    form = {"grant_type": "refresh_token", "client_id": grant.client_id, "refresh_token": used}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    asked = Ask("POST", grant.token_url, headers, urlencode(form).encode(), accept=(400, 401), private=True)
    answer = yield asked
    if answer.status in (400, 401):
        yield from _look(memory)
        if _refresh_token(memory, grant) != used and (token := _access(memory, grant)):
            return token  # another worker was quicker with the same refresh token
        raise Permanent(f"{urlsplit(grant.token_url).hostname} takes the refresh token no longer: authorize the app once "
                        "more, and type the new one in the connector's settings.")  # fmt: skip
    said = json_of(answer)
    token = text(get(said, "access_token"))
    if not token:
        raise TryLater(f"{urlsplit(grant.token_url).hostname} gave no access token.")
    lives = number(get(said, "expires_in"))
    kept = {"grant": grant.mark, "access_token": token, "refresh_token": text(get(said, "refresh_token")) or used,
            "expires_at": int(time.time()) + int(lives if lives and lives > 0 else HOUR)}  # fmt: skip
    memory |= yield Remember(kept)
    return token


def _look(memory: dict[str, Any]) -> Talk[None]:
    """What is remembered by now."""
    memory |= yield Remember({})


def _access(memory: dict[str, Any], grant: Grant) -> str:
    """The access token, while it is good."""
    good = memory.get("grant") == grant.mark and memory.get("expires_at", 0) - EARLY > time.time()
    return memory.get("access_token", "") if good else ""


def _refresh_token(memory: dict[str, Any], grant: Grant) -> str:
    known = memory.get("refresh_token", "") if memory.get("grant") == grant.mark else ""
    return known or grant.refresh_token
