"""Real processes for the tests: a Redis of their own on a unix socket, Python scripts, and nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
from redis import Redis

from gelatoconnect.lib import broker, later, limits
from gelatoconnect.management.commands.up import own_redis

ROOT = Path(__file__).resolve().parents[2]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")


def until(condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    """Wait for a condition and hand back what it said; fail when it does not come true in time."""
    end = monotonic() + seconds
    while not (said := condition()):
        assert monotonic() < end, "it did not come true in time"
        sleep(0.02)
    return said


class RedisServer:
    def __init__(self, folder: str) -> None:
        self.url = f"unix://{folder}/redis.sock"
        command = [str(own_redis()), "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = Redis.from_url(self.url)
        until(lambda: Path(folder, "redis.sock").exists())

    def freeze(self) -> None:
        """Alive, but silent: connections are accepted by the kernel and never answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path must be short
        server = RedisServer(folder)
        yield server
        server.process.kill()
        server.process.wait()


GIVEN = os.environ.get("REDIS_URL", "")
REDISES = ["own", "given"] if GIVEN else ["own"]


@pytest.fixture(params=REDISES)
def redis_url(request: pytest.FixtureRequest) -> str:
    """A Redis of the test's own, and then the one that REDIS_URL names, which others may be using as well."""
    return url_of(request.param, request)


def url_of(redis: str, request: pytest.FixtureRequest) -> str:
    if redis == "own":
        return request.getfixturevalue("redis_server").url
    Redis.from_url(GIVEN).ping()
    return GIVEN


@pytest.fixture(autouse=True)
def fresh_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test did to its broker is not held against the next one's, and neither is slowness."""
    monkeypatch.setattr(later, "_breaker", broker.Breaker())
    monkeypatch.setattr(limits, "_breaker", broker.Breaker())
    monkeypatch.setattr(broker, "PATIENCE", 5.0)  # a busy machine is not a broker that is down


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `python -c script` or `python args…` with a DATA_DIR of its own; at the end nothing of it is alive."""
    started = []

    def run(*args: str, **env: str) -> "subprocess.Popen[str]":
        env = {**os.environ, "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings",
               "SECRET_KEY": "test", "DATABASE_URL": "", "REDIS_URL": "", "PYTHONUNBUFFERED": "1", **env}  # fmt: skip
        process = subprocess.Popen([sys.executable, *args], cwd=ROOT, env=env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        children(process.pid)
        process.kill()
        process.communicate()
    for process in _seen:
        if process.is_running():
            process.kill()
    _seen.clear()


_seen: set[psutil.Process] = set()


def children(pid: int) -> list[psutil.Process]:
    """Everything below a process; whatever was seen here once is ended with the test."""
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    _seen.update(found)
    return found


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those still running, by name; a zombie is dead already."""
    names = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                names.append(f"{process.pid} {process.name()}")
        except psutil.NoSuchProcess:
            pass
    return names
