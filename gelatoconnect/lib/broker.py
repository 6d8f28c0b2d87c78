"""The broker (Redis) as this house uses it: it may be down, frozen or away at any moment, and nobody waits for it.

Nothing is kept there that is not in the database too, or worth no more than a second's counting.
"""

import threading
from functools import cache
from time import monotonic

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE = 0.1  # seconds that one command may take
REST = 5.0  # seconds for which the broker is left alone after a failure
QUEUE = "gelatoconnect"


class Breaker:
    """After a failure nobody tries for `seconds`; then one caller does, and the others only once it has succeeded."""

    def __init__(self, *, seconds: float = REST) -> None:
        self._seconds = seconds
        self._again = 0.0  # when to try again; 0: all is well
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return bool(self._again)

    def lets_pass(self) -> bool:
        with self._lock:
            now = monotonic()
            if now < self._again:
                return False
            if self._again:
                self._again = now + self._seconds
            return True

    def succeeded(self) -> None:
        self._again = 0.0

    def failed(self) -> bool:
        """Says whether all was well until now: the moment to tell the log."""
        was_well = not self._again
        self._again = monotonic() + self._seconds
        return was_well


@cache
def client(url: str) -> Redis:
    """Gives up after PATIENCE and never tries twice: whoever asks has something better to do."""
    once = Retry(NoBackoff(), 0)
    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=once)


def celery_url(url: str) -> str:
    """The same broker in Celery's words: redis-py says unix:///path?db=1 for redis+socket:///path?virtual_host=1."""
    if not url.startswith("unix://"):
        return url
    return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
