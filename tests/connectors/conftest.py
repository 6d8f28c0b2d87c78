"""What tests of connectors share: a connector with its settings, calls to its address, and a fake of the other side."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from intake.connectors import CONNECTOR_TYPES
from intake.models import Connector
from orders.models import Customer, Product
from tests.connectors.fakes import Fake


@pytest.fixture
def fake(settings: Any) -> Iterator[Fake]:
    """A web server that plays the sender's system; allowed by the door."""
    server = Fake()
    settings.FETCH_ALLOWED_HOSTS = [*settings.FETCH_ALLOWED_HOSTS, server.host]
    yield server
    server.close()


@pytest.fixture
def channel(customer: Customer, product: Product) -> Callable[..., Connector]:
    """`channel("shopify", secret="…")`: a connector of that type, of the customer "acme", with these settings."""

    def make(kind: str, *, name: str = "", customer: Customer | None = customer, **config: Any) -> Connector:
        CONNECTOR_TYPES[kind].Config.model_validate(config)
        return Connector.objects.create(
            name=name or f"acme-{kind}", type=kind, customer=customer, settings=json.dumps(config)
        )

    return make


@pytest.fixture
def send() -> Callable[..., Any]:
    """`send(connector, body, path="…", **headers)`: a call to the connector's address; the response."""
    client = Client(raise_request_exception=False)

    def call(connector: Connector, body: Any = b"", *, path: str = "", method: str = "POST", query: str = "",
             content_type: str = "application/json", **headers: str) -> Any:  # fmt: skip
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        address = f"/in/{connector.pk}" + (f"/{path}" if path else "") + query
        return client.generic(method, address, raw, content_type=content_type, headers=headers)

    return call
