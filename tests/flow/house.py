"""The whole product as it runs at a producer's, and the two who deal with it: the customer's system and the staff."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import HTTPCookieProcessor, build_opener

import psutil

from gelatoconnect.lib.secrets import new_signing_secret
from tests.flow import shop

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], *, seconds: float = 15.0) -> Any:
    """Wait for a condition and hand back what it said; fail when it does not come true in time."""
    end = monotonic() + seconds
    while not (said := condition()):
        assert monotonic() < end, "it did not come true in time"
        sleep(0.02)
    return said


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body).get("data", {})


class CustomerSite:
    """A customer's web server: print files, some of which it sends only in part until they are let go, and webhooks."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.held: dict[str, threading.Event] = {}
        self.asked: list[str] = []
        self.hooks: list[Hook] = []
        self.secret = new_signing_secret()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name: str, content: bytes, *, held: bool = False) -> str:
        """The address of a file. held: half of it comes, and the rest when `held[name]` is set."""
        self.files[f"/{name}"] = content
        if held:
            self.held[f"/{name}"] = threading.Event()
        return f"http://{self.host}/{name}"

    def close(self) -> None:
        for held in self.held.values():
            held.set()
        self.server.shutdown()
        self.server.server_close()


def _handler(site: CustomerSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            content = site.files[self.path]
            half = len(content) // 2
            self._head(len(content))
            self.wfile.write(content[:half])
            self.wfile.flush()
            if self.path in site.held:
                site.held[self.path].wait(60)
            self.wfile.write(content[half:])

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            site.hooks.append(Hook({name.lower(): value for name, value in self.headers.items()}, body))
            self._head(0)

        def _head(self, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@dataclass
class House:
    """`manage.py up` on SQLite in a folder of its own."""

    folder: Path
    site: CustomerSite
    port: int = field(init=False)
    up: "subprocess.Popen[bytes]" = field(init=False)

    def open(self) -> None:
        env = {
            **os.environ, "DATA_DIR": str(self.folder), "DATABASE_URL": "", "REDIS_URL": "", "DEBUG": "", "HTTPS": "",
            "FETCH_ALLOWED_HOSTS": self.site.host, "DESTINATIONS": "", "WORKERS": "2", "WEB_WORKERS": "2",
            "API_RATE": "0", "LOG_LEVEL": "WARNING", "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings",
        }  # fmt: skip
        prepare = f"from tests.flow import shop; shop.open_shop('http://{self.site.host}/hooks', {self.site.secret!r})"
        subprocess.run([sys.executable, "manage.py", "shell", "-v0", "-c", prepare], cwd=ROOT, env=env, check=True)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        env |= {"BIND": "127.0.0.1", "PORT": str(self.port), "PUBLIC_URL": f"http://127.0.0.1:{self.port}"}
        with (self.folder / "up.log").open("wb") as words:
            up = [sys.executable, "manage.py", "up"]
            self.up = subprocess.Popen(up, cwd=ROOT, env=env, stdout=words, stderr=words)
        until(self.answers, seconds=30)

    def close(self) -> None:
        self.up.send_signal(signal.SIGTERM)
        self.up.wait(20)

    def answers(self) -> bool:
        try:
            return self.call("GET", "/api/products")[0] == 200
        except OSError:
            return False

    # --- the customer's system ----------------------------------------------------------------------
    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request on a connection of its own: status and answer. Raises OSError when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        said = None if body is None else json.dumps(body)
        try:
            connection.request(
                method, path, said, {"X-API-KEY": shop.KEY, "Content-Type": "application/json", **headers}
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def submit(self, body: dict[str, Any], **headers: str) -> str:
        status, answer = self.call("POST", "/api/orders", body, **headers)
        assert status == 201, answer
        return answer["id"]

    def order(self, id: str) -> dict[str, Any]:
        return self.call("GET", f"/api/orders/{id}")[1]

    def wait_for(self, id: str, status: str) -> dict[str, Any]:
        until(lambda: self.order(id)["fulfillmentStatus"] == status)
        return self.order(id)

    # --- behind the scenes --------------------------------------------------------------------------
    def processes(self, *words: str) -> list[psutil.Process]:
        """What runs below `manage.py up` with these words in its command, heads before their children."""
        running = psutil.Process(self.up.pid).children(recursive=True)
        return [process for process in running if all(word in " ".join(process.cmdline()) for word in words)]

    def ask(self, sql: str, *values: Any) -> list[Any]:
        """Rows of the house's database; a statement that changes something is committed."""
        with sqlite3.connect(self.folder / "gelatoconnect.sqlite3", timeout=10) as database:
            rows = database.execute(sql, values).fetchall()
        database.close()
        return rows


class Person:
    """One of the staff in front of a browser: signs in, follows redirects, sends forms with their CSRF token."""

    def __init__(self, house: House, name: str) -> None:
        self.address = f"http://127.0.0.1:{house.port}"
        self.browser = build_opener(HTTPCookieProcessor(CookieJar()))
        self.send("/login", page="/login", username=name, password=shop.PASSWORD)

    def open(self, path: str) -> str:
        with self.browser.open(self.address + path, timeout=10) as answer:
            return answer.read().decode()

    def send(self, path: str, *, page: str, **values: Any) -> str:
        """Fill in the form that `page` shows, send it to `path`, and read the page that follows."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.open(page))
        assert token, f"{page} shows no form"
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **values}).encode()
        with self.browser.open(self.address + path, body, timeout=10) as answer:
            return answer.read().decode()

    def act(self, order: str, verb: str) -> None:
        self.send(f"/orders/{order}/act/{verb}", page=f"/orders/{order}")
