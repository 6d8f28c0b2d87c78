"""What every test may use. No test reaches the network: print files are served on this machine and allowed by name."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.test import Client

from gelatoconnect import specimens
from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector
from orders.models import Customer, Product


@pytest.fixture(scope="session", autouse=True)
def history_is_swept_between_tests() -> Iterator[None]:
    """Tests with real transactions empty all tables at their end. PostgreSQL truncates them, which its triggers let pass;
    on SQLite those that guard the history (orders/migrations/0003) stand aside meanwhile."""
    guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%\\_no\\_%' ESCAPE '\\'"
    empty = SQLite.ops_class.execute_sql_flush

    def swept(self: Any, sql: list[str]) -> None:
        with self.connection.cursor() as cursor:
            known = cursor.execute(guards).fetchall()
            for name, _ in known:
                cursor.execute(f"DROP TRIGGER {name}")
            empty(self, sql)
            for _, again in known:
                cursor.execute(again)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLite.ops_class, "execute_sql_flush", swept)
        yield


@pytest.fixture(autouse=True)
def own_data(settings: Any, tmp_path: Path) -> None:
    """Files and mail of a test stay in its own folder; nothing is published to a broker."""
    settings.FILES_DIR = tmp_path / "files"
    settings.REDIS_URL = ""


class FileServer:
    """A real web server with print files: `add(name, content)` says the file's address; `requests` counts."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | int] = {}
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                content = outer.files.get(self.path, 404)
                self.send_response(content if isinstance(content, int) else 200)
                body = b"" if isinstance(content, int) else content
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name: str, content: bytes | int) -> str:
        self.files[f"/{name}"] = content
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


@pytest.fixture(scope="session")
def good_pdf() -> bytes:
    return specimens.pdf(trim=(105, 148), bleed=3, seed=1)


@pytest.fixture
def file_server(settings: Any) -> Iterator[FileServer]:
    server = FileServer()
    settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{server.server.server_port}"]
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def customer(db: None) -> Customer:
    return Customer.objects.create(reference="acme", name="Acme Gifts", email="orders@acme.example")


@pytest.fixture
def product(db: None) -> Product:
    return Product.objects.create(uid="card-a6", name="Card A6", trim_width=105, trim_height=148, bleed=3, weight=8,
                                  formats=["pdf"], customs_description="Printed cards", hs_code="4909.00")  # fmt: skip


@pytest.fixture
def connector(customer: Customer) -> Connector:
    found = Connector.objects.create(name="acme-shop", customer=customer)
    ApiKey.objects.create(connector=found, key="acme", secret_hash=hashed("secret"))
    return found


@pytest.fixture
def api(connector: Connector, product: Product) -> "ApiClient":
    return ApiClient("acme:secret")


class ApiClient:
    """A customer's system: `api.post("/api/orders", {...})`."""

    def __init__(self, key: str) -> None:
        self.client, self.headers = Client(raise_request_exception=False), {"X-API-KEY": key}

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=self.headers | headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send(self.client.post, path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send(self.client.put, path, body, headers)

    def _send(self, method: Callable, path: str, body: Any, headers: dict[str, str]) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return method(path, data=raw, content_type="application/json", headers=self.headers | headers)


@pytest.fixture
def order_body() -> Callable[..., dict[str, Any]]:
    """A good submit body; keyword arguments change its fields, `url` the print file's address."""

    def body(
        reference: str = "ACME-1", *, url: str = "https://files.example/card.pdf", **changes: Any
    ) -> dict[str, Any]:
        return {
            "orderReferenceId": reference,
            "currency": "EUR",
            "shippingAddress": {
                "firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Karl Johans gate 4", "city": "Oslo",
                "postCode": "0154", "country": "NO", "email": "ana@example.com", "phone": "+47 22 12 34 56",
            },
            "items": [{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 2, "files": [{"url": url}]}],
            **changes,
        }  # fmt: skip

    return body
