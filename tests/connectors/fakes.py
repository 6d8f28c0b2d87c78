"""The other side: a real web server that plays a shop or a platform, and keeps what it was sent."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that the fake was sent. headers: names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body or b"null")

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


# What a route answers: (status, JSON or bytes), or that with headers.
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Fake:
    """`fake.on("GET", r"/orders/(\\d+)", lambda sent, id: (200, {…}))`; what no route knows is answered 404."""

    routes: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def on(self, method: str, pattern: str, answer: "Callable[..., Answer] | Answer") -> None:
        """Answer such requests; a later route goes before an earlier one."""
        said = answer if callable(answer) else lambda *_: answer
        self.routes.insert(0, (method, re.compile(pattern), said))

    def asked(self, method: str, pattern: str) -> list[Sent]:
        return [each for each in self.sent if each.method == method and re.fullmatch(pattern, each.path)]

    def answer(self, sent: Sent) -> Answer:
        for method, pattern, said in self.routes:
            if sent.method == method and (match := pattern.fullmatch(sent.path)):
                return said(sent, *match.groups())
        return 404, {"error": "There is nothing at this address."}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = Sent(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            fake.sent.append(sent)
            status, said, *more = fake.answer(sent)
            raw = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            kind = "application/octet-stream" if isinstance(said, bytes) else "application/json"
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(raw)),
                **(more[0] if more else {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _do

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
