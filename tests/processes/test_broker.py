"""The breaker, and a broker's address in two dialects."""

from time import sleep

import pytest

from gelatoconnect.lib.broker import Breaker, celery_url


def test_a_breaker_lets_everybody_pass_while_all_is_well() -> None:
    breaker = Breaker(seconds=60)
    assert [breaker.lets_pass() for _ in range(3)] == [True] * 3
    assert not breaker.is_open


def test_after_a_failure_nobody_passes_until_the_rest_is_over_and_then_one() -> None:
    breaker = Breaker(seconds=0.1)
    breaker.failed()
    assert [breaker.lets_pass() for _ in range(3)] == [False] * 3
    sleep(0.11)
    assert [breaker.lets_pass() for _ in range(3)] == [True, False, False]
    assert breaker.is_open


def test_a_success_lets_everybody_pass_again() -> None:
    breaker = Breaker(seconds=60)
    breaker.failed()
    breaker.succeeded()
    assert [breaker.lets_pass() for _ in range(3)] == [True] * 3


def test_only_the_first_failure_is_news() -> None:
    breaker = Breaker(seconds=60)
    assert [breaker.failed() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.failed()


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://:pass@redis.example:6379/1", "redis://:pass@redis.example:6379/1"),
        ("rediss://redis.example/0", "rediss://redis.example/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("", ""),
    ],
)
def test_celery_reads_the_same_address(url: str, celery: str) -> None:
    assert celery_url(url) == celery
