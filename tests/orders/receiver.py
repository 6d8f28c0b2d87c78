"""A receiver of webhooks, reachable for real."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Receiver:
    """A customer's endpoint: keeps what it gets; `answers` are given one by one, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.methods: list[str] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.methods.append(self.command)
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_PUT = do_PATCH = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@contextmanager
def receiving(settings: Any) -> Iterator[Receiver]:
    """One that may be called, as long as it lasts."""
    receiver = Receiver()
    settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{receiver.server.server_port}"]
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
