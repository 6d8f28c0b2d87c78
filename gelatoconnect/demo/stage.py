"""What the demo plays on: a clock of its own, and a web server that is everybody outside."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from unittest import mock
from uuid import UUID

import uuid_utils
from django.conf import settings
from django.utils import timezone

REAL_NOW = timezone.now


class Clock:
    """The time of the demo; it goes on a little whenever somebody asks."""

    def __init__(self) -> None:
        self.now = REAL_NOW()

    def step(self, *, hours: float) -> None:
        self.now = min(self.now + timedelta(hours=hours), REAL_NOW() - timedelta(minutes=5))


@contextmanager
def running(clock: Clock) -> Iterator[None]:
    """The clock's time instead of the real one, for ids and for everything that asks Django."""

    def now() -> datetime:
        clock.now += timedelta(milliseconds=7)
        return clock.now

    def uuid7() -> UUID:
        return UUID(bytes=uuid_utils.uuid7(nanoseconds=int(now().timestamp() * 1_000_000) * 1_000).bytes)

    with ExitStack() as stack:
        stack.enter_context(mock.patch("django.utils.timezone.now", now))
        stack.enter_context(mock.patch("gelatoconnect.lib.ids.uuid7", uuid7))
        yield


# What the outside answers to a path: a status and JSON.
Answers = Callable[[str, str, bytes], tuple[int, Any] | None]


@contextmanager
def outside(files: dict[str, bytes], answers: Answers = lambda method, path, body: None) -> Iterator[str]:
    """A web server of this machine, allowed by the door while it runs: it has the files, takes every webhook, and says
    what `answers` says to a method, path and body (None: that all is well)."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "GET" and self.path in files:
                self.answer(200, files[self.path])
                return
            said = answers(self.command, self.path, body)
            status, data = said or ((404, {}) if self.command == "GET" else (200, {"ok": True}))
            self.answer(status, json.dumps(data).encode())

        do_GET = do_POST = do_PUT = do

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    allowed = settings.FETCH_ALLOWED_HOSTS
    settings.FETCH_ALLOWED_HOSTS = [*allowed, f"127.0.0.1:{server.server_port}"]
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        settings.FETCH_ALLOWED_HOSTS = allowed
        server.shutdown()
        server.server_close()
