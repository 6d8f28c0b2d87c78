"""The customer's web server, in a process of its own: print files, and webhooks, each verified and written down.

It also freezes: whoever makes the next call is stopped in the middle of it, and goes on when its lease is long over.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from standardwebhooks import Webhook

from gelatoconnect import specimens

CONTEXT = get_context("spawn")


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as it came: its id, the order and the event's place in its history. genuine: its signature is right."""

    id: str
    order: str
    sequence: int
    kind: str
    genuine: bool


class Receiver:
    """The side of whoever runs it. freeze: the number of seconds for which the next caller is to be frozen."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.log, self.frozen_log = folder / "hooks.jsonl", folder / "frozen.jsonl"
        self._freeze = CONTEXT.Value("d", 0.0)
        ours, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(theirs, folder, secret, self._freeze), daemon=True)
        self.process.start()
        self.host: str = ours.recv()

    def freeze_next(self, seconds: float) -> None:
        self._freeze.value = seconds

    @property
    def is_waiting(self) -> bool:
        """Nobody has called since it was asked to freeze."""
        return self._freeze.value > 0

    def frozen(self) -> list[dict[str, Any]]:
        return _lines(self.frozen_log)

    def hooks(self) -> list[Hook]:
        return hooks_in(self.log)


def hooks_in(log: Path) -> list[Hook]:
    """In the order of their arrival."""
    return [Hook(**line) for line in _lines(log)]


@contextmanager
def own_receiver(folder: Path, secret: str) -> Iterator[Receiver]:
    receiver = Receiver(folder, secret)
    try:
        yield receiver
    finally:
        receiver.process.kill()
        receiver.process.join()


def serve(pipe: Any, folder: Path, secret: str, freeze: Any) -> None:
    files = {"/card.pdf": specimens.pdf(trim=(105, 148), bleed=3, seed=1), "/broken.pdf": b"This is no PDF."}
    webhook, lock = Webhook(secret), threading.Lock()
    with (folder / "hooks.jsonl").open("a") as hooks, (folder / "frozen.jsonl").open("a") as frozen:

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(files[self.path])

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                _write(hooks, said(webhook, headers, body), lock)
                with freeze.get_lock():
                    seconds, freeze.value = freeze.value, 0.0
                if seconds:
                    self._stop_caller(seconds, headers["webhook-id"])
                self._answer(b"")

            def _stop_caller(self, seconds: float, id: str) -> None:
                """Who cannot be found any more is not frozen; then it is the next one's turn."""
                try:
                    caller = caller_of(self.client_address[1], self.server.server_address[1])
                    os.kill(caller, signal.SIGSTOP)
                except ProcessLookupError:
                    freeze.value = seconds
                    return
                _write(frozen, {"pid": caller, "at": time.time(), "id": id}, lock)
                threading.Timer(seconds, _thaw, [caller]).start()

            def _answer(self, content: bytes) -> None:
                with suppress(OSError):  # the caller was killed
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Callers are killed while they speak; what they never finished saying is no webhook."""

        server = Server(("127.0.0.1", 0), Handler)
        pipe.send(f"127.0.0.1:{server.server_port}")
        server.serve_forever()


def said(webhook: Webhook, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """What a webhook tells, judged by the library of Standard Webhooks at the moment when it comes."""
    try:
        webhook.verify(body, headers)
        genuine = True
    except Exception:
        genuine = False
    told = json.loads(body)
    data = told["data"]
    return {"id": headers.get("webhook-id", ""), "order": data.get("order", {}).get("id", ""),
            "sequence": data["sequence"], "kind": told["type"], "genuine": genuine}  # fmt: skip


def caller_of(port: int, ours: int) -> int:
    """The process of this machine that calls our port from there. Raises ProcessLookupError when it is gone."""
    for found in psutil.net_connections("tcp4"):
        if found.laddr and found.raddr and (found.laddr.port, found.raddr.port) == (port, ours) and found.pid:
            return found.pid
    raise ProcessLookupError(port)


def _thaw(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _write(file: Any, line: dict[str, Any], lock: threading.Lock) -> None:
    with lock:
        file.write(json.dumps(line) + "\n")
        file.flush()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
