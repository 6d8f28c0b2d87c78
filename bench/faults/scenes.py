"""What is being done when the process dies, and done again afterwards. Imports models: only where Django is set up.

Each scene's `act` may be cut off anywhere and is then begun again from its beginning, as senders, clocks and people do.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from bench.senders import KEY, order_body
from gelatoconnect.demo.channels import settings_of
from intake import imports, polling
from intake.connectors import config_of, kind_of
from intake.connectors.folder.claims import LEASE
from intake.models import Connector, Import, OrderRequest
from orders.events import sweep
from orders.models import Customer, Delivery, Order
from orders.services import move
from shipping import packing

PATIENCE = 30.0  # seconds of one sweep


@dataclass(frozen=True, slots=True)
class Scene:
    """begin: what there is before; done: what must be so at the end, besides what every history must be: nothing, or what
    is wrong. All are told the run's name, which its orders' references begin with, and the address of print files."""

    name: str
    points: tuple[str, ...]
    act: Callable[[str, str], None]
    done: Callable[[str], str]
    begin: Callable[[str, str], None] = lambda name, files: None


def let_time_pass() -> None:
    """What the dead have claimed is claimed no longer."""
    Delivery.objects.filter(state=Delivery.State.DUE).exclude(lease=None).update(
        due=timezone.now() - timedelta(minutes=1)
    )
    place = settings.FOLDERS_ROOT / "bench" / "work"
    for path in place.iterdir() if place.exists() else ():
        at = timezone.now() - 2 * LEASE
        path.rename(path.with_name(f"{at:%Y%m%dT%H%M%S}Z.{path.name.partition('.')[2]}"))


# --- an order by the API, all the way to the carrier ---------------------------------------------------
def send_and_make(name: str, files: str) -> None:
    headers = {"X-API-KEY": KEY, "Idempotency-Key": name}
    body = order_body(f"{name}-s", url=f"{files}/card.pdf", items=1)
    answer = Client(SERVER_NAME="localhost").post("/api/orders", body, content_type="application/json", headers=headers)
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"It was not accepted: {answer.status_code} {answer.content!r}")
    order = Order.objects.get(pk=answer.json()["id"])
    sweep(seconds=PATIENCE)
    for verb in ("start", "finish"):
        _try(order, verb)
    fresh = Order.objects.get(pk=order.pk)
    if packing.packable(fresh):
        contents = {item.pk: item.quantity_due - item.packed for item in fresh.items.all()}
        packing.close(fresh, contents=contents, by="user:floor")
    sweep(seconds=PATIENCE)
    _try(order, "ship")
    sweep(seconds=PATIENCE)


def _try(order: Order, verb: str) -> None:
    try:
        move(order, verb, by="user:floor")
    except TransitionNotAllowed:  # it was done before
        pass


def one_request(name: str) -> str:
    count = OrderRequest.objects.filter(order__reference=f"{name}-s").count()
    return "" if count == 1 else f"{count} requests made the order"


# --- a table of orders -----------------------------------------------------------------------------------
ROWS = 5
COLUMNS = ("orderReferenceId", "productUid", "quantity", "fileUrl", "firstName", "lastName", "addressLine1", "postCode",
           "city", "country", "currency", "retailPriceInclVat", "email")  # fmt: skip


def bring_table(name: str, files: str) -> None:
    said = StringIO()
    writer = csv.writer(said, delimiter=";")
    writer.writerow(COLUMNS)
    for number in range(ROWS):
        writer.writerow([f"{name}-{number}c", "card-a6", 2, f"{files}/card.pdf", "Ana", "Ruiz", "Karl Johans gate 4",
                         "0154", "Oslo", "NO", "EUR", "4,90", "ana@example.com"])  # fmt: skip
    found = imports.bring(said.getvalue().encode(), file_name=f"{name}.csv", customer=_customer(), by="user:bench")
    imports.start(found, by="user:bench")


def work(name: str, files: str) -> None:
    """What clock and workers do."""
    sweep(seconds=PATIENCE)


def imported(name: str) -> str:
    found = Import.objects.get(file_name=f"{name}.csv")
    if (found.state, found.accepted, found.refused, found.known) == (Import.State.DONE, ROWS, 0, 0):
        return ""
    return f"the import is {found.state}: {found.accepted} accepted, {found.refused} refused, {found.known} known"


# --- files in a folder -------------------------------------------------------------------------------------
FILES = 3


def lay_files(name: str, files: str) -> None:
    home = _folder()
    if not Connector.objects.filter(name="bench-folder").exists():
        config = {"path": "bench", "ready": "rename", "stable_seconds": 0, "interval": 1}
        Connector.objects.create(name="bench-folder", type="folder", customer=_customer(), settings=json.dumps(config))
    (home / "in").mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        body = order_body(f"{name}-{number}c", url=f"{files}/card.pdf", items=1)
        (home / "in" / f"{name}-{number}.json").write_bytes(body)


def scan_and_work(name: str, files: str) -> None:
    polling.pull(Connector.objects.select_related("customer").get(name="bench-folder"))
    sweep(seconds=PATIENCE)


def filed_away(name: str) -> str:
    home = _folder()
    there = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and name in path.name)
    # A note says, rightly, that a file was taken already when its claimer died.
    orders = [path for path in there if not path.endswith(".note.txt")]
    fine = len(orders) == FILES and all(path.startswith("processed/") for path in orders)
    return "" if fine else f"the folder holds {there}"


# --- a call that is read later ---------------------------------------------------------------------------------
def open_siteflow(name: str, files: str) -> None:
    if not Connector.objects.filter(name="bench-siteflow").exists():
        config = json.loads(settings_of("siteflow", base="")) | {"answers": "async", "postback_url": ""}
        config["carriers"] = "standard=normal"
        Connector.objects.create(
            name="bench-siteflow", type="siteflow", customer=_customer(), settings=json.dumps(config)
        )


def call_and_work(name: str, files: str) -> None:
    connector = Connector.objects.select_related("customer").get(name="bench-siteflow")
    call = kind_of(connector).example(config_of(connector), number=1, sku="card-a6", file_url=f"{files}/card.pdf")
    call = replace(call, body=call.body.replace(b"ACME-1", f"{name}-c".encode()))
    path = f"/in/{connector.pk}/{call.path}".rstrip("/")
    client, headers = Client(SERVER_NAME="localhost"), dict(call.headers)
    answer = client.generic(call.method, path, call.body, content_type="application/json", headers=headers)
    if not 200 <= answer.status_code < 300:
        raise RuntimeError(f"It was not taken: {answer.status_code} {answer.content!r}")
    sweep(seconds=PATIENCE)


def one_order(name: str) -> str:
    count = Order.objects.filter(reference=f"{name}-c").count()
    return "" if count == 1 else f"{count} orders"


SCENES = (
    Scene("an order by the API, made and shipped",
          ("take.committed", "deliver.claimed", "deliver.begun", "deliver.done", "wake", "move.done"),
          send_and_make, one_request),
    Scene(f"a table of {ROWS} orders", ("import.taken",), work, imported, bring_table),
    Scene(f"{FILES} files in a folder", ("folder.claimed", "folder.committed"), scan_and_work, filed_away, lay_files),
    Scene("a call that is read later", ("aside.committed",), call_and_work, one_order, open_siteflow),
)  # fmt: skip


def _customer() -> Customer:
    return Customer.objects.get(reference="bench")


def _folder() -> Path:
    return settings.FOLDERS_ROOT / "bench"
