"""How often a key may call, counted together, and alone when the broker fails."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest

from gelatoconnect.lib import broker, limits
from tests.processes.conftest import REDISES, RedisServer, until, url_of

# Says when it is ready, waits for the gate to open, and says how many of its calls passed.
CALLS = """
import sys, time, django
from pathlib import Path
django.setup()
from gelatoconnect.lib import broker, limits
key, gate = sys.argv[1], Path(sys.argv[2])
broker.PATIENCE = 5
limits.take("warm", rate=1000)
print("ready")
while not gate.exists(): time.sleep(0.001)
print(sum(limits.take(key, rate=20) == 0.0 for _ in range(30)))
"""


@pytest.fixture(params=["alone", *REDISES])
def counting(request: pytest.FixtureRequest, settings: Any) -> None:
    if request.param != "alone":
        settings.REDIS_URL = url_of(request.param, request)


@pytest.fixture
def key() -> str:
    """A caller whom no other test knows."""
    return uuid4().hex


def test_only_so_many_calls_pass_in_one_second(counting: None, key: str) -> None:
    waits = [limits.take(key, rate=5) for _ in range(8)]
    assert [wait == 0.0 for wait in waits] == [True] * 5 + [False] * 3
    assert all(0 < wait <= 1 for wait in waits[5:])


def test_whoever_waits_as_told_may_pass(counting: None, key: str) -> None:
    limits.take(key, rate=2)
    sleep(0.3)
    limits.take(key, rate=2)
    wait = limits.take(key, rate=2)
    assert 0 < wait <= 0.7
    sleep(wait + 0.01)
    assert limits.take(key, rate=2) == 0.0
    assert limits.take(key, rate=2) > 0.0


def test_a_refused_call_does_not_count(counting: None, key: str) -> None:
    limits.take(key, rate=1)
    refused = [limits.take(key, rate=1) for _ in range(20)]
    assert min(refused) > 0
    sleep(refused[-1] + 0.01)
    assert limits.take(key, rate=1) == 0.0


def test_one_key_does_not_slow_another(counting: None, key: str) -> None:
    limits.take(key, rate=1)
    assert limits.take(key, rate=1) > 0.0
    assert limits.take(f"{key} and another", rate=1) == 0.0


def test_a_rate_of_zero_is_no_limit(counting: None, key: str) -> None:
    assert {limits.take(key, rate=0) for _ in range(50)} == {0.0}


def test_two_processes_count_together(start: Callable, redis_url: str, key: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    processes = [start("-c", CALLS, key, str(gate), REDIS_URL=redis_url) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    gate.touch()
    passed = [int(process.communicate(timeout=20)[0]) for process in processes]
    assert sum(passed) == 20


def test_redis_forgets_a_key_that_was_quiet_for_a_second(settings: Any, redis_server: RedisServer, key: str) -> None:
    settings.REDIS_URL = redis_server.url
    limits.take(key, rate=5)
    assert 0 < redis_server.client.pttl(f"limit:{key}") <= 1000


def test_a_frozen_broker_costs_one_call_a_moment_and_the_limit_still_holds(
    settings: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(broker, "PATIENCE", 0.3)
    settings.REDIS_URL = redis_server.url
    limits.take(f"{key} before", rate=3)
    redis_server.freeze()
    started = monotonic()
    waits = [limits.take(key, rate=3)]
    assert monotonic() - started < 1  # it was asked once only
    started = monotonic()
    waits += [limits.take(key, rate=3) for _ in range(99)]
    assert monotonic() - started < 1
    assert [wait == 0.0 for wait in waits] == [True] * 3 + [False] * 97


def test_a_broker_that_is_down_lets_calls_pass(settings: Any, free_port: int, key: str) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port}/0"
    assert [limits.take(key, rate=2) == 0.0 for _ in range(3)] == [True, True, False]


@pytest.fixture
def short_rest(settings: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A Redis that may be asked again 0.1 s after it failed."""
    settings.REDIS_URL = redis_server.url
    monkeypatch.setattr(broker, "PATIENCE", 1.0)
    monkeypatch.setattr(limits, "_breaker", broker.Breaker(seconds=0.1))
    return redis_server


def test_after_a_rest_the_broker_counts_again(short_rest: RedisServer, key: str) -> None:
    limits._breaker.failed()
    assert limits.take(key, rate=1) == 0.0
    assert short_rest.client.exists(f"limit:{key}") == 0
    until(lambda: limits.take(uuid4().hex, rate=1) == 0.0 and not limits._breaker.is_open)
    assert limits.take(key, rate=1) == 0.0
    assert short_rest.client.exists(f"limit:{key}") == 1


def test_no_caller_waits_while_a_frozen_broker_is_tried_again(short_rest: RedisServer, key: str) -> None:
    short_rest.freeze()
    limits.take(key, rate=1)
    times = []
    for _ in range(20):
        sleep(0.02)
        started = monotonic()
        limits.take(key, rate=1)
        times.append(monotonic() - started)
    assert max(times) < 0.5
    assert limits._breaker.is_open
