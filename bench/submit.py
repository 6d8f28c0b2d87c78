"""Submitting over HTTP, and beside it, in the same run, the same rows inserted without any of the product's thinking."""

from django.conf import settings

from bench import inserts
from bench.report import Cost, Table, percentile
from bench.senders import CLIENTS, rate, send_orders
from bench.shop import open_shop, processor_seconds, running
from orders.models import Order

ITEMS = 2
WARM = 40  # orders sent before the measurement, so that nothing is done for the first time in it


def measure(count: int) -> list[Table]:
    sample = inserts.record_submission(open_shop(), items=ITEMS)
    orm, bare = inserts.insert_by_orm(count, sample), inserts.insert_bare(count, sample)
    http = submit(count)
    table = Table(
        f"submit: {count:,} orders of {ITEMS} items, {len(sample.statements)} INSERT statements each",
        ["way", "orders/s", "p50 ms", "p95 ms", "p99 ms", "errors", "CPU ms/order", "CPU × ORM", "CPU × bare"],
        notes=["CPU: of the inserting process, or of all web processes; a database server's is not in it."],
    )
    for way, cost in (("bare driver", bare), ("ORM", orm), (f"HTTP, {CLIENTS} clients", http)):
        times = [percentile(cost.times, percent) for percent in (50, 95, 99)]
        ratios = cost.processor / orm.processor, cost.processor / bare.processor
        table.add(way, cost.rate, *times, cost.errors, cost.processor, *ratios)
    if (stored := Order.objects.count()) != (expected := 1 + 3 * count + WARM - http.errors):
        raise RuntimeError(f"{stored:,} orders are stored, not {expected:,}.")
    return [table]


def submit(count: int) -> Cost:
    """The real thing: web server and broker as `manage.py up` runs them, and clients of this machine."""
    with running("broker", "web") as programs:
        if any(each.status != 201 for each in send_orders(WARM, port=settings.PORT, prefix="warm")):
            raise RuntimeError("The web server does not accept the sample order.")
        web = programs["web"].process
        assert web is not None
        before = processor_seconds(web.pid)
        sent = send_orders(count, port=settings.PORT, prefix="sent")
        spent = processor_seconds(web.pid) - before
    errors = sum(each.status != 201 for each in sent)
    return Cost([each.milliseconds for each in sent], rate(sent), spent * 1000 / count, errors)
