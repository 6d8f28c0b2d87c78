"""Webhooks and platform calls, channel by channel, and beside them, in the same run, the same order by the API."""

from django.conf import settings

from bench.report import Table, percentile
from bench.senders import CLIENTS, Prepared, Sent, rate, send_all, send_orders
from bench.shop import open_shop, processor_seconds, running
from gelatoconnect.demo.channels import SETTINGS, open_channel
from intake.connectors import CONNECTOR_TYPES, config_of
from intake.models import OrderRequest
from orders.models import Customer

COUNT = 400  # calls to each channel
WARM = 20
SKU, FILE = "card-a6", "https://files.example/card.pdf"


def measure() -> list[Table]:
    open_shop()
    table = Table(
        f"channels: {COUNT:,} orders of one item by each, {CLIENTS} clients",
        ["channel", "calls/s", "p50 ms", "p99 ms", "errors", "CPU ms/call", "CPU × API"],
        notes=["CPU: of all web processes. A thin webhook (Etsy) is stored, and read by a worker afterwards."],
    )
    with running("broker", "web") as programs:
        web = programs["web"].process
        assert web is not None
        send_orders(WARM, port=settings.PORT, prefix="warm", items=1)
        before = processor_seconds(web.pid)
        api = send_orders(COUNT, port=settings.PORT, prefix="api", items=1)
        usual = processor_seconds(web.pid) - before
        add(table, "api", api, usual, usual)
        for name in SETTINGS:
            calls = prepared(name)
            send_all(calls[:WARM], port=settings.PORT)
            before = processor_seconds(web.pid)
            sent = send_all(calls[WARM:], port=settings.PORT)
            add(table, name, sent, processor_seconds(web.pid) - before, usual)
            check(name)
    return [table]


def prepared(name: str) -> list[Prepared]:
    """Signed calls to a new connector of that type, each with an order of its own."""
    connector = open_channel(name, customer=Customer.objects.get())
    kind, config = CONNECTOR_TYPES[name], config_of(connector)
    found = []
    for number in range(1, COUNT + WARM + 1):
        call = kind.example(config, number=number, sku=SKU, file_url=FILE)
        path = f"/in/{connector.pk}" + (f"/{call.path}" if call.path else "")
        found.append((call.method, path, dict(call.headers), call.body))
    return found


def add(table: Table, name: str, sent: list[Sent], processor: float, usual: float) -> None:
    times = [percentile((each.milliseconds for each in sent), percent) for percent in (50, 99)]
    errors = sum(not 200 <= each.status < 300 for each in sent)
    table.add(name, rate(sent), *times, errors, processor * 1000 / len(sent), processor / usual)


def check(name: str) -> None:
    """Everything that was answered is stored, as an order or to be read later."""
    requests = OrderRequest.objects.filter(connector__type=name)
    refused = requests.filter(state__in=(OrderRequest.State.REJECTED, OrderRequest.State.IGNORED))
    if requests.count() != COUNT + WARM or refused.exists():
        raise RuntimeError(f"{name}: {requests.count()} requests are stored, {refused.count()} of them refused.")
