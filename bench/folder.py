"""Folder files a minute: several pollers on one folder of this machine, and on one of an FTP server, at the same time."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings

from bench.pollers import poll
from bench.report import Table
from bench.senders import order_body
from bench.shop import open_shop
from intake.models import Connector, OrderRequest
from orders.models import Order
from tests.servers.ftp import FtpServer

FILES, POLLERS = 200, 4
QUICK = {"ready": "rename", "stable_seconds": 0}


def measure() -> list[Table]:
    open_shop()
    table = Table(
        f"folder: {FILES} files of one order each, {POLLERS} pollers",
        ["folder", "files/min", "seconds", "orders", "of one poller, at most"],
        notes=[
            "Each file is read, claimed by a rename, stored, and moved away. A folder is usually asked by one poller."
        ],
    )
    add(table, "on this machine", settings.FOLDERS_ROOT / "bench", {"path": "bench"}, allowed="")
    server = FtpServer(settings.DATA_DIR / "ftp")
    add(table, "FTP (pyftpdlib)", settings.DATA_DIR / "ftp", {"place": "ftp", **server.settings}, allowed=server.host)
    server.close()
    return [table]


def add(table: Table, name: str, folder: Path, config: dict[str, Any], *, allowed: str) -> None:
    """Lay the files there, let the pollers go, and see that each file has become one order."""
    connector = Connector.objects.create(name=f"folder-{folder.name}", type="folder", customer=_customer(),
                                         settings=json.dumps(QUICK | config))  # fmt: skip
    (folder / "in").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(POLLERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(poll, [None] * POLLERS, [allowed] * POLLERS))  # nothing is done for the first time
        for number in range(FILES):
            body = order_body(f"{folder.name}-{number}", items=1)
            (folder / "in" / f"order {number}.json").write_bytes(body)
        started = perf_counter()
        taken = list(pool.map(poll, [connector.pk] * POLLERS, [allowed] * POLLERS))
        seconds = perf_counter() - started
    references = list(Order.objects.filter(connector=connector.pk).values_list("reference", flat=True))
    requests = OrderRequest.objects.filter(connector=connector.pk).count()
    if sorted(references) != sorted(f"{folder.name}-{number}" for number in range(FILES)) or requests != FILES:
        raise RuntimeError(f"{FILES} files became {len(references)} orders and {requests} requests.")
    table.add(name, FILES * 60 / seconds, seconds, len(references), max(taken))


def _customer() -> Any:
    return Connector.objects.select_related("customer").get(name="bench").customer
