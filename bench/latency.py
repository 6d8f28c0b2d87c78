"""From the POST of an order to the order that is ready for production, everything running and nothing else to do."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import perf_counter, sleep
from typing import Any

from django.conf import settings

from bench.report import Table, median, percentile
from bench.senders import KEY, order_body
from bench.shop import PATIENCE, open_shop, wait_for_web
from gelatoconnect import specimens

TIMES = 10
MEGABYTES = 5
PAUSE = 1.5  # seconds between two orders, for everything to be idle again
GLANCE = 0.01  # seconds between two looks at the order


def measure() -> list[Table]:
    open_shop()
    # Each file is another one: what was seen of a file is kept, and the same file is not looked into twice.
    files = {f"/{n}.pdf": specimens.pdf(trim=(105, 148), megabytes=MEGABYTES, seed=n) for n in range(TIMES + 1)}
    with served(files) as address, everything_up(address):
        taken = [order_until_created(f"http://{address}/{n}.pdf", number=n) for n in range(TIMES + 1)][1:]
    table = Table(
        f"latency: POST to Created, {MEGABYTES} MB file served on this machine, idle, {TIMES} times",
        ["", "median s", "slowest s"],
    )
    table.add("submitted → fetched → looked into → created", median(taken), percentile(taken, 100))
    return [table]


def order_until_created(url: str, *, number: int) -> float:
    """Seconds from sending the order until its sender reads that it is created."""
    sleep(PAUSE)
    started = perf_counter()
    id = _call("POST", "/api/orders", order_body(f"latency-{number}", url=url, items=1))["id"]
    while perf_counter() - started < PATIENCE:
        order = _call("GET", f"/api/orders/{id}")
        if order["fulfillmentStatus"] == "created":
            return perf_counter() - started
        if order["fulfillmentStatus"] == "failed":
            raise RuntimeError(f"The order failed: {order['problems']}")
        sleep(GLANCE)
    raise RuntimeError(f"The order is still {order['fulfillmentStatus']} after {PATIENCE:.0f} s.")


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[str]:
    """A web server of this machine with these files, by path; says its host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def everything_up(allowed: str) -> Iterator[None]:
    """`manage.py up`, allowed to fetch from that host; its words go to a file beside its data."""
    with (settings.DATA_DIR / "up.log").open("w") as words:
        up = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"], stdout=words, stderr=words,
            env={**os.environ, "FETCH_ALLOWED_HOSTS": allowed},
        )  # fmt: skip
        try:
            wait_for_web()
            yield
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(PATIENCE)


def _call(method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=PATIENCE)
    connection.request(method, path, body, {"X-API-KEY": KEY, "Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer
