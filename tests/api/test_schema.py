"""The API keeps to its own OpenAPI schema, and nothing that Schemathesis makes of the schema breaks it.

In the suite some calls of each kind, the same ones every time. For more and others:
`SCHEMA_CALLS=500 python -m pytest tests/api/test_schema.py`.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector
from orders.models import Customer, Delivery, Order, PrintFile, Product, Trigger
from tests.factories import make_order
from tests.lib.fake_dns import FakeDns

CALLS = int(os.environ.get("SCHEMA_CALLS", 0))
KEPT = [checks.not_a_server_error, checks.content_type_conformance, checks.response_schema_conformance]
how = settings(max_examples=CALLS or 8, deadline=None, database=None, derandomize=not CALLS,
               phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip


@pytest.fixture
def one_connection() -> Iterator[None]:
    """A request closes no connection: it is the one of the test, as with Django's own client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def shop(
    one_connection: None, customer: Customer, product: Product, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A customer with an order, deliveries and an endpoint; says its key."""
    settings.API_RATE = 0
    FakeDns(monkeypatch)  # nobody is there when an endpoint is tested
    connector = Connector.objects.create(name="acme-shop", customer=customer)
    ApiKey.objects.create(connector=connector, key="acme", secret_hash=hashed("secret"))
    Trigger.objects.create(name="hook", customer=customer, event="*", address="https://shop.example/hook")
    make_order("failed", customer=customer, product=product)
    return {"X-API-KEY": "acme:secret"}


def known_ref(path: str) -> str:
    """An id that there is, for what the path asks for."""
    model = Trigger if "/endpoints/" in path else Delivery if "/deliveries/" in path else Order
    found = model.objects.filter(listener="trigger") if model is Delivery else model.objects.all()
    return str(found.latest("id").pk)


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_wsgi("/api/schema", WSGIHandler())
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", GenerationMode)
def test_nothing_that_the_schema_allows_or_forbids_breaks_the_api(shop: dict[str, str], mode: GenerationMode) -> None:
    """Of each operation, with an id that there is and with any; what is answered is as the schema says."""
    answers: Counter[int] = Counter()
    for operation in operations():
        found = {"ref": known_ref(operation.path)} if "{ref}" in operation.path else {}
        if "{file}" in operation.path:
            found |= {"file": str(PrintFile.objects.latest("id").pk), "page": 1}
        for path_parameters in (found, None) if found and mode is GenerationMode.POSITIVE else (found or None,):
            strategy = operation.as_strategy(generation_mode=mode, path_parameters=path_parameters)

            @how
            @given(case=strategy)
            def call(case: Any) -> None:
                response = case.call(headers=shop)
                answers[response.status_code] += 1
                case.validate_response(response, checks=KEPT)

            call()
    assert answers.total() > 100
    assert answers[200] > 20 or (mode is GenerationMode.NEGATIVE and answers[400] + answers[422] > 10)
    assert set(answers) <= {200, 201, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429}
    assert Order.objects.count() >= 1


def test_every_operation_is_described(shop: dict[str, str]) -> None:
    described = {operation.label for operation in operations()}
    assert len(described) >= 15
    assert {"POST /api/orders", "GET /api/orders/{ref}", "POST /api/orders/search"} <= described
