"""Files of orders that people import: brought and looked at, confirmed, then taken in the background, order by order.

Nothing is made before a person confirms. Each order becomes a request of its own under a key of the import, so that an
import that was cut off goes on where it was, and a second run makes nothing twice. A refused order stops no other: it
stands among the requests, and is mended there.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from gelatoconnect.lib import storage
from gelatoconnect.lib.failpoints import reached
from gelatoconnect.lib.problems import Rejected
from intake import pipeline
from intake.connectors.base import Incoming
from intake.imports.preview import LOOKED_AT_ONCE, known_references, look
from intake.models import Connector, Import, OrderRequest
from intake.tables import Entry, Table, columns_of, drafts_of, read_table
from orders import audit
from orders.events import Conclusion, TryLater, emit, is_last_attempt, listen
from orders.models import Customer, Delivery, Event

log = logging.getLogger(__name__)

AT_ONCE = 50  # orders between two looks at whether to go on, and two notes of how far it is
STOPPED = "Stopped by"
AGAIN = (5.0, 30.0, 120.0, 600.0)
State = Import.State


# --- what a person does -----------------------------------------------------------------------------
def bring(raw: bytes, *, file_name: str, customer: Customer, by: str, email: str = "") -> Import:
    """Keep a file and look at it: at once, or by a worker when it holds many orders. Raises Rejected when it is no table
    of orders."""
    table = read_table(raw, name=file_name)
    entries = drafts_of(table)
    found = Import(
        connector=connector_of(customer, by=by), customer=customer, by=by, email=email, file_name=file_name[:200],
        sha256=storage.keep_bytes(raw), rows=len(table.rows), orders=len(entries), report=told_of(table),
    )  # fmt: skip
    if len(entries) <= LOOKED_AT_ONCE:
        found.report |= look(found, entries)
        found.save(force_insert=True)
        return found
    with transaction.atomic():
        found.save(force_insert=True)
        _emit(found, "import.brought", by=by)
    return found


def start(found: Import, *, by: str) -> bool:
    """Import it, or what is left of it after it failed or was stopped. False: somebody else was quicker."""
    with transaction.atomic():
        if not _move(found, (State.PREVIEW, State.FAILED), State.RUNNING, error="", ended_at=None):
            return False
        _emit(found, "import.started", by=by)
    return True


def stop(found: Import, *, by: str) -> bool:
    """The orders made so far stay; the rest can be imported later."""
    return _move(
        found, (State.RUNNING,), State.FAILED, error=f"{STOPPED} {by.removeprefix('user:')}.", ended_at=timezone.now()
    )


def discard(found: Import) -> bool:
    return _move(found, (State.PREVIEW,), State.DISCARDED, ended_at=timezone.now())


def connector_of(customer: Customer, *, by: str) -> Connector:
    """The customer's connector for files, made when there is none: an orderReferenceId is then taken once."""
    files = Connector.objects.filter(type="csv", customer=customer, active=True).order_by("id")
    if found := files.select_related("customer").first():
        return found
    for number in range(1, 100):
        name = f"{customer.reference[:50]}-csv" + (f"-{number}" if number > 1 else "")
        try:
            with transaction.atomic():
                made = Connector.objects.create(name=name, type="csv", customer=customer, prevent_duplicates=True)
                audit.record(made, before=None, by=by)
                return made
        except IntegrityError:  # the name is taken, perhaps just now by another import of this customer
            if found := files.select_related("customer").first():
                return found
    raise RuntimeError(f"No name is left for a connector of {customer}.")


def _move(found: Import, before: Sequence[str], after: str, **more: Any) -> bool:
    return bool(Import.objects.filter(pk=found.pk, state__in=before).update(state=after, **more))


def _emit(found: Import, kind: str, *, by: str) -> Event:
    data: dict[str, Any] = {"import": {"id": str(found.pk), "file": found.file_name}}
    return emit(None, kind, by=by, customer=found.customer, **data)


# --- the file ---------------------------------------------------------------------------------------
def table_of(found: Import) -> Table:
    return read_table(storage.path_of(found.sha256).read_bytes(), name=found.file_name)


def told_of(table: Table) -> dict[str, Any]:
    """How a file was read, for those who look at it."""
    columns = [
        {"name": each.name, "place": each.place, "key": each.key, "known": each.known}
        for each in columns_of(table.columns)
    ]
    return {"encoding": table.encoding, "delimiter": table.delimiter, "sheet": table.sheet, "columns": columns,
            "notes": [note.as_dict() for note in table.notes]}  # fmt: skip


def key_of(found: Import, entry: Entry) -> str:
    """Of an order's request; by its line where its reference is none to build a key of."""
    fine = 0 < len(entry.reference) <= 120 and entry.reference.isprintable()
    return f"{found.pk}:{entry.reference if fine else f':{entry.lines[0]}'}"


def requests_of(found: Import) -> QuerySet[OrderRequest]:
    return OrderRequest.objects.filter(connector_id=found.connector_id, key__startswith=f"{found.pk}:")


# --- what a worker does -----------------------------------------------------------------------------
@listen("import.brought", name="import-look", delays=AGAIN)
def look_later(delivery: Delivery) -> Conclusion | None:
    """What `bring` does itself with a short file."""
    found = _import_of(delivery)
    if found.state != State.PREVIEW or "preview" in found.report:
        return None

    def tell(count: int) -> None:
        Import.objects.filter(pk=found.pk).update(report=found.report | {"looked": count})

    report = look(found, drafts_of(table_of(found)), tell=tell)
    return partial(Import.objects.filter(pk=found.pk).update, report=found.report | report)


@listen("import.started", name="import", delays=AGAIN)
def run(delivery: Delivery) -> Conclusion | None:
    """Take order by order; each commits by itself. Ends early when it was stopped."""
    found = _import_of(delivery)
    if found.state != State.RUNNING:
        return None
    try:
        ended = take_all(found, drafts_of(table_of(found)))
    except Exception as error:
        if is_last_attempt(delivery):
            _move(found, (State.RUNNING,), State.FAILED, error=f"{type(error).__name__}: {error}"[:500],
                  ended_at=timezone.now())  # fmt: skip
        raise
    return partial(_end, found) if ended else None


def _end(found: Import) -> None:
    if _move(found, (State.RUNNING,), State.DONE, ended_at=timezone.now()):
        _emit(found, "import.ended", by=found.by)


def _import_of(delivery: Delivery) -> Import:
    found = Import.objects.select_related("connector__customer", "customer")
    return found.get(pk=delivery.event.data["import"]["id"])


def take_all(found: Import, entries: Iterable[Entry]) -> bool:
    """Every order that was not taken before. False: it was stopped on the way."""
    counts: Counter[str] = Counter()
    rest = iter(entries)
    while chunk := list(islice(rest, AT_ONCE)):
        for result in _take_some(found, chunk):
            counts[result] += 1
            reached("import.taken")
        done = Import.objects.filter(pk=found.pk, state=State.RUNNING)
        if not done.update(**{name: counts[name] for name in ("accepted", "refused", "known")}):
            return False
    return True


def _take_some(found: Import, entries: Sequence[Entry]) -> Iterator[str]:
    """accepted, refused or known, for each. What an earlier run has done is only counted."""
    keys = {key_of(found, entry): entry for entry in entries}
    before = OrderRequest.objects.filter(connector_id=found.connector_id, key__in=keys)
    done = {key: order is not None for key, order in before.values_list("key", "order_id")}
    known: dict[str, UUID] = {}
    if found.connector.prevent_duplicates:
        left = [entry.reference for key, entry in keys.items() if key not in done]
        known = known_references(found.customer, left)
    for key, entry in keys.items():
        if key in done:
            yield "accepted" if done[key] else "refused"
        elif entry.reference in known:
            yield "known"
        else:
            yield _take(found, entry, key=key)


def _take(found: Import, entry: Entry, *, key: str) -> str:
    lines = ", ".join(map(str, entry.lines[:50]))
    incoming = Incoming(
        entry.body, {"File": found.file_name, "Lines": lines}, topic=f"{found.file_name}: {lines}", key=key
    )
    try:
        outcome = pipeline.take(incoming, connector=found.connector)
    except DatabaseError:
        raise
    except Rejected:  # the same key with another body: its rows are read otherwise since an update of the program
        return "refused"
    except Exception:  # a fault of ours: the request is kept with the reason, and the others go on
        log.exception("An order of the import %s could not be taken", found.pk)
        return "refused"
    if outcome.order is None and any(problem.code == "ORDER_DUPLICATE" for problem in outcome.problems):
        return "known"
    return "accepted" if outcome.order is not None else "refused"


# --- the mail at the end ----------------------------------------------------------------------------
def told_to(event: Event) -> Iterator[str]:
    wanting = Import.objects.filter(pk=event.data["import"]["id"]).exclude(email="")
    yield from map(str, wanting.values_list("pk", flat=True))


@listen("import.ended", name="import-mail", each=told_to)
def mail(delivery: Delivery) -> None:
    found = _import_of(delivery)
    context = {"found": found, "url": settings.PUBLIC_URL + reverse("intake:import", args=[found.pk])}
    subject = " ".join(f"Imported {found.file_name}: {found.accepted} of {found.orders} orders".split())
    message = EmailMessage(subject, render_to_string("emails/import.txt", context), to=[found.email],
                           headers={"Message-ID": f"<{delivery.event_id}.import@gelatoconnect>"})  # fmt: skip
    delivery.report = {"request": {"to": found.email, "subject": subject, "body": message.body}}
    try:
        message.send()
    except OSError as error:  # smtplib's errors are OSErrors
        raise TryLater(f"The mail server did not take it: {error}") from error
