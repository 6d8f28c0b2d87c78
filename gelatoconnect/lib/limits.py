"""How often something may be done: at most `rate` times in any one second, whichever process is asked.

The processes count together through Redis. Without it, or while it does not answer, each counts for itself: a limit is
for fairness, and an order is never refused because a counter is broken.
"""

import logging
import threading
from collections import defaultdict, deque
from time import monotonic

from django.conf import settings
from redis import RedisError

from gelatoconnect.lib import broker

log = logging.getLogger(__name__)

# A sliding window: the times of the last `rate` calls, by the one clock of Redis. Answers the microseconds to wait.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local oldest = redis.call('LINDEX', KEYS[1], ARGV[1] - 1)
if oldest and now - oldest < 1000000 then return 1000000 - (now - oldest) end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
redis.call('PEXPIRE', KEYS[1], 1000)
return 0
"""
_MOST_KEYS = 10_000

_breaker = broker.Breaker()
_calls: dict[str, deque[float]] = defaultdict(deque)
_lock = threading.Lock()


def take(key: str, *, rate: int) -> float:
    """0.0 when the call may pass, which then counts; else the seconds to wait. `rate` 0: no limit."""
    if rate <= 0:
        return 0.0
    if settings.REDIS_URL and _may_be_asked():
        try:
            return _take_together(key, rate)
        except (RedisError, OSError) as error:
            if _breaker.failed():
                log.warning("The broker does not answer (%s): each process counts calls for itself.", error)
    return _take_alone(key, rate)


def _may_be_asked() -> bool:
    """After a failure the broker is tried again by a thread, which ends the breaker's rest: no caller waits for that."""
    if not _breaker.is_open:
        return True
    if _breaker.lets_pass():
        threading.Thread(target=_try_again, daemon=True, name="limits").start()
    return False


def _try_again() -> None:
    try:
        broker.client(settings.REDIS_URL).ping()
    except (RedisError, OSError):
        _breaker.failed()
    else:
        _breaker.succeeded()


def _take_together(key: str, rate: int) -> float:
    redis = broker.client(settings.REDIS_URL)
    microseconds = redis.eval(_TAKE, 1, f"limit:{key}", rate)
    return int(microseconds) / 1_000_000


def _take_alone(key: str, rate: int) -> float:
    with _lock:
        now = monotonic()
        if len(_calls) > _MOST_KEYS:
            _calls.clear()
        calls = _calls[key]
        while calls and calls[0] <= now - 1:
            calls.popleft()
        if len(calls) >= rate:
            return calls[-rate] + 1 - now
        calls.append(now)
        return 0.0
