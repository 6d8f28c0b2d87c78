"""A hint to the workers: it reaches a broker that is well, and costs nothing with one that is not."""

import json
from collections.abc import Callable
from time import monotonic, perf_counter, sleep
from typing import Any

import pytest
from django.db import transaction

from gelatoconnect.lib import broker, later
from tests.processes.conftest import RedisServer, until

# A busy machine is not a broker that is down.
SETUP = "import os, time, django; django.setup(); from gelatoconnect.lib import broker, later; broker.PATIENCE = 5;"


@pytest.fixture
def published(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages each batch would have been."""
    batches: list[int] = []
    settings.REDIS_URL = "redis://nobody.invalid"
    monkeypatch.setattr(later, "_publish", batches.append)
    return batches


def wake_times(*, calls: int = 100) -> list[float]:
    """What `wake` took, each call, in seconds, shortest first."""
    times = []
    for _ in range(calls):
        started = perf_counter()
        later.wake()
        times.append(perf_counter() - started)
        sleep(0.003)
    return sorted(times)


def test_a_dead_broker_costs_the_caller_nothing(settings: Any, free_port: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port}/0"
    times = wake_times()
    assert times[95] < 0.005
    until(later.reaches_nobody)


def test_a_frozen_broker_costs_the_caller_nothing(settings: Any, silent_port: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{silent_port}/0"
    times = wake_times()
    assert times[95] < 0.005
    until(later.reaches_nobody)


def test_a_process_with_a_frozen_broker_ends_at_once(start: Callable, silent_port: int) -> None:
    script = SETUP + "later.wake(); time.sleep(0.05); print('done', time.time())"
    said = start("-c", script, REDIS_URL=f"redis://127.0.0.1:{silent_port}/0")
    started = monotonic()
    output, _ = said.communicate(timeout=20)
    assert said.returncode == 0
    assert output.split()[0] == "done"
    assert monotonic() - started < 5


def test_without_a_broker_nothing_is_started(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "_hints", None)
    later.wake()
    assert later._hints is None
    assert later.reaches_nobody()


def test_many_wakes_become_few_fresh_messages(start: Callable, redis_server: RedisServer) -> None:
    script = SETUP + "[later.wake() for _ in range(200)]; time.sleep(5)"
    start("-c", script, REDIS_URL=redis_server.url, WORKERS="3")
    until(lambda: redis_server.client.llen(broker.QUEUE))
    sleep(0.3)
    messages = [json.loads(raw) for raw in redis_server.client.lrange(broker.QUEUE, 0, -1)]
    assert 1 <= len(messages) <= 3
    assert {message["headers"]["task"] for message in messages} == {"sweep"}
    assert None not in {message["headers"]["expires"] for message in messages}


def test_no_messages_pile_up_while_nobody_takes_them(start: Callable, redis_server: RedisServer) -> None:
    script = SETUP + "[(later.wake(), time.sleep(0.01)) for _ in range(100)]; time.sleep(0.1); print('done')"
    start("-c", script, REDIS_URL=redis_server.url, WORKERS="2").communicate(timeout=20)
    assert redis_server.client.llen(broker.QUEUE) == 2


def test_a_forked_process_wakes_for_itself(start: Callable, redis_server: RedisServer) -> None:
    script = (
        SETUP
        + "later.wake(); time.sleep(0.5); pid = os.fork(); later.wake() if not pid else os.wait(); time.sleep(0.5)"
    )
    start("-c", script, REDIS_URL=redis_server.url, WORKERS="8").communicate(timeout=20)
    assert redis_server.client.llen(broker.QUEUE) == 2


@pytest.mark.django_db(transaction=True)
def test_the_workers_hear_of_it_after_the_commit(published: list[int]) -> None:
    with transaction.atomic():
        later.wake()
        sleep(0.1)
        assert published == []
    until(lambda: published == [1])


@pytest.mark.django_db(transaction=True)
def test_nobody_hears_of_what_was_rolled_back(published: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        later.wake()
        raise ZeroDivisionError
    sleep(0.1)
    assert published == []


def test_hints_of_one_moment_are_one_batch_and_no_larger_than_the_workers(
    published: list[int], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WORKERS = 3
    monkeypatch.setattr(later, "_hints", None)
    for _ in range(50):
        later.wake()
    until(lambda: published)
    sleep(0.1)
    assert 3 <= sum(published) <= 4  # one may come in while the first is taken out


def test_hints_shortly_after_one_another_are_one_batch(published: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "GATHER", 0.3)
    later.wake()
    sleep(0.05)
    later.wake()
    until(lambda: published == [2])


def test_whatever_goes_wrong_the_next_hint_is_heard(published: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def break_down(count: int) -> None:
        tried.append(count)
        raise RuntimeError("the broker speaks in tongues")

    monkeypatch.setattr(later, "_publish", break_down)
    monkeypatch.setattr(later, "_breaker", broker.Breaker(seconds=0.05))
    later.wake()
    until(lambda: tried == [1])
    sleep(0.1)
    monkeypatch.setattr(later, "_publish", published.append)
    later.wake()
    until(lambda: published == [1])
    assert not later.reaches_nobody()
