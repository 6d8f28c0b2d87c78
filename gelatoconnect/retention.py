"""How long things are kept: what is older than its setting says is erased, a little every hour.

Time runs from the order's end: delivered, returned or canceled, or a month after it was shipped when nobody scanned it. Open
orders are not touched. What became no order counts from when it came.

Each rule walks along the ends of orders, and along the rows that came later or belong to no order. How far it has come
stands in the audit trail, with what it erased; a walk that is cut off goes on from there. Everything may be done twice.
"""

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from gelatoconnect.lib.ids import first_id
from intake.models import Import, OrderRequest
from intake.privacy import behind, blank
from orders import privacy
from orders.lifecycle import ENDED, Status
from orders.models import Attempt, AuditEntry, Delivery, Event, Order, PrintFile
from shipping.models import Package

log = logging.getLogger(__name__)

AT_ONCE = 200  # rows in one look
NOTED = 5_000  # rows between two notes of how far it has come
BY = "system"
KIND = "retention"  # of its entries in the audit trail
LEFT = (Status.SHIPPED, Status.IN_TRANSIT)
Mark = str  # how far a walk has come; empty: not begun
Contents = set[str]  # sha256


@dataclass(frozen=True, slots=True)
class Step:
    """One walk.

    look   the next rows after a mark that are older than a moment, at most AT_ONCE: their marks and ids
    hold   which of them (by id) still hold something that is to go
    erase  lets it go, in a transaction of its own; says the contents that it needs no more
    """

    name: str
    look: Callable[[Mark, datetime], list[tuple[Mark, Any]]]
    hold: Callable[[list[Any], datetime], Iterable[Any]]
    erase: Callable[[Any], Contents]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one setting says. about: what goes, in words."""

    setting: str
    about: str
    steps: tuple[Step, ...]

    @property
    def days(self) -> int:
        return getattr(settings, self.setting)

    def carry_out(self, *, dry: bool = False) -> int:
        """Says how many orders and rows it erased something of, or with `dry` would."""
        if not self.days:
            return 0
        until = timezone.now() - timedelta(days=self.days)
        seen: set[Any] = set()  # what one walk has found another does not count again
        return sum(walk(step, until, about=self.about, dry=dry, seen=seen) for step in self.steps)


def erase_due() -> None:
    """Carry out every rule. Safe to run twice at the same time."""
    for rule in RULES:
        rule.carry_out()


# --- walking ----------------------------------------------------------------------------------------------
def walk(step: Step, until: datetime, *, about: str, dry: bool, seen: set[Any]) -> int:
    """To the end, or until it is cut off. What fails is tried again by the next walk, and holds up nothing else."""
    start = mark = reached(step)
    count = walked = 0
    stuck = False
    while rows := step.look(mark, until):
        gone: Contents = set()
        for thing in step.hold([id for _, id in rows], until):
            if not dry:
                try:
                    gone |= step.erase(thing)
                except Exception:
                    log.exception("%s of %s could not be erased", about, subject(thing))
                    stuck = True
                    continue
            count += (key := subject(thing)) not in seen
            seen.add(key)
        drop(gone)
        mark, walked = rows[-1][0], walked + len(rows)
        if walked >= NOTED and not (dry or stuck):
            note(step, count, about=about, start=start, mark=mark)
            start, walked = mark, 0
    if (count or walked >= AT_ONCE) and mark != start and not (dry or stuck):
        note(step, count, about=about, start=start, mark=mark)
    return count


def subject(thing: Any) -> Any:
    """The order that it belongs to, or itself."""
    owner = thing.delivery if isinstance(thing, Attempt) else thing
    return getattr(owner, "order_id", None) or getattr(owner, "pk", owner)


def reached(step: Step) -> Mark:
    """How far the last walk came."""
    noted = AuditEntry.objects.filter(kind=KIND, object_id=step.name).order_by("-id").first()
    return noted.changes["until"][1] if noted else ""


def note(step: Step, count: int, *, about: str, start: Mark, mark: Mark) -> None:
    AuditEntry.objects.create(by=BY, action="erased", kind=KIND, object_id=step.name, name=f"{about}: {count:,}",
                              changes={"until": [start, mark]})  # fmt: skip


def drop(contents: Contents) -> None:
    """From the disk, what nothing needs any more. Asked for many at once: to ask is dear."""
    for sha256 in contents - privacy.still_needed(contents):
        privacy.drop(sha256)


# --- along the ends of orders -------------------------------------------------------------------------------
def ends(target: Status, mark: Mark, until: datetime) -> list[tuple[Mark, Any]]:
    """Events by which orders came to a status, oldest first; the ids are those of the orders."""
    found = Event.objects.filter(
        target=target, at__lte=until - (privacy.ARRIVED_AFTER if target in LEFT else timedelta())
    )
    if mark:
        at, _, id = mark.partition(" ")
        found = found.filter(at__gte=at).exclude(at=at, id__lte=id)
    rows = found.order_by("at", "id").values_list("at", "id", "order")[:AT_ONCE]
    return [(f"{at.isoformat()} {id}", order) for at, id, order in rows]


def over(until: datetime) -> Q:
    """Orders that have been over since before that moment."""
    arrived = Q(status__in=LEFT, status_since__lte=until - privacy.ARRIVED_AFTER)
    return Q(status__in=ENDED, status_since__lte=until) | arrived


def along_orders(name: str, *, holding: Callable[[QuerySet[Order]], Iterable[Order]],
                 erase: Callable[[Order], Contents]) -> tuple[Step, ...]:  # fmt: skip
    """A step for each status in which an order ends: the index leads through each by time."""

    def hold(ids: list[Any], until: datetime) -> Iterable[Order]:
        return holding(
            Order.objects.filter(over(until), pk__in=ids).select_related("customer", "address").order_by("id")
        )

    return tuple(Step(f"{name}: {target}", partial(ends, target), hold, erase) for target in (*ENDED, *LEFT))


# --- along rows by age -------------------------------------------------------------------------------------
def by_age(rows: QuerySet, mark: Mark, until: datetime) -> list[tuple[Mark, Any]]:
    """Rows whose ids are their age."""
    found = rows.filter(id__lt=first_id(until))
    if mark:
        found = found.filter(id__gt=mark)
    return [(str(id), id) for id in found.order_by("id").values_list("id", flat=True)[:AT_ONCE]]


def attempts(mark: Mark, until: datetime) -> list[tuple[Mark, Any]]:
    """In the order in which they ended, up to the first that is too young."""
    rows = Attempt.objects.filter(id__gt=int(mark or 0)).order_by("id").values_list("id", "at")[:AT_ONCE]
    old = []
    for id, at in rows:
        if at > until:
            break
        old.append((str(id), id))
    return old


# --- recipients ----------------------------------------------------------------------------------------------
def known_recipients(orders: QuerySet[Order]) -> QuerySet[Order]:
    return orders.exclude(address__first_name="", address__last_name="", address__company_name="",
                          address__address_line1="", address__email="", address__phone="")  # fmt: skip


def forget(order: Order) -> Contents:
    privacy.erase(order, by=BY)
    return set()


# --- what came in ------------------------------------------------------------------------------------------
def full(requests: QuerySet[OrderRequest]) -> QuerySet[OrderRequest]:
    """Those of which something stands yet as it came."""
    return requests.exclude(body=b"", fetched_body=None, mended_body=None, headers={}, contents={})


def with_requests(orders: QuerySet[Order]) -> Iterable[Order]:
    return (order for order in orders if full(behind(order)).exists())


@transaction.atomic
def blank_behind(order: Order) -> Contents:
    return {sha256 for request in full(behind(order)) for sha256 in blank(request, events=False)}


def loose_or_late(ids: list[Any], until: datetime) -> QuerySet[OrderRequest]:
    """Requests that belong to no order, or to one that is over; those of open orders wait for its end."""
    named = Order.objects.filter(connector=OuterRef("connector"), source_id=OuterRef("source_id"))
    mine = Q(order=None) & ~Exists(named.exclude(over(until)))
    ended = Exists(Order.objects.filter(over(until), pk=OuterRef("order")))
    return full(OrderRequest.objects.filter(mine | ended, pk__in=ids)).select_related("connector", "order")


@transaction.atomic
def blank_one(request: OrderRequest) -> Contents:
    return blank(request, events=False)


def loose_events(ids: list[Any], until: datetime) -> list[Event]:
    return [event for event in Event.objects.filter(pk__in=ids) if privacy.skeleton_of(event.data) != event.data]


@transaction.atomic
def skeletonize(event: Event) -> Contents:
    privacy.erase_events(Event.objects.filter(pk=event.pk))
    return set()


# --- files ---------------------------------------------------------------------------------------------------
def with_files(orders: QuerySet[Order]) -> Iterable[Order]:
    printed = Exists(PrintFile.objects.filter(item__order=OuterRef("pk")).exclude(sha256=""))
    labeled = Exists(Package.objects.filter(order=OuterRef("pk")).exclude(label=""))
    came = Exists(OrderRequest.objects.filter(order=OuterRef("pk")).exclude(contents={}))
    return orders.filter(printed | labeled | came)


@transaction.atomic
def let_files_go(order: Order) -> Contents:
    """The contents of print files and labels; what was printed, and where it came from, is known still."""
    files, packages = PrintFile.objects.filter(item__order=order), Package.objects.filter(order=order)
    gone = {*files.values_list("sha256", flat=True), *packages.values_list("label", flat=True)}
    files.update(sha256="", fetched_at=None, previews=[])
    packages.update(label="")
    for request in OrderRequest.objects.filter(order=order).exclude(contents={}):
        gone |= set(request.contents.values())
        OrderRequest.objects.filter(pk=request.pk).update(contents={})
    return gone - {""}


# --- what was sent -------------------------------------------------------------------------------------------
def told(tries: QuerySet[Attempt]) -> QuerySet[Attempt]:
    return tries.exclude(report={}, message="")


def with_reports(orders: QuerySet[Order]) -> Iterable[Order]:
    return orders.filter(Exists(told(Attempt.objects.filter(delivery__order=OuterRef("pk")))))


@transaction.atomic
def let_reports_go(order: Order) -> Contents:
    _erase_reports(Attempt.objects.filter(delivery__order=order), Delivery.objects.filter(order=order))
    return set()


def late_reports(ids: list[Any], until: datetime) -> QuerySet[Attempt]:
    """Of attempts that belong to no order, or were made when it was over."""
    ended = Exists(Order.objects.filter(over(until), pk=OuterRef("delivery__order")))
    late = Attempt.objects.filter(Q(delivery__order=None) | ended, pk__in=ids)
    return told(late).select_related("delivery")


@transaction.atomic
def let_report_go(attempt: Attempt) -> Contents:
    _erase_reports(Attempt.objects.filter(pk=attempt.pk), Delivery.objects.filter(pk=attempt.delivery_id))
    return set()


def _erase_reports(tries: QuerySet[Attempt], deliveries: QuerySet[Delivery]) -> None:
    told(tries).update(report={}, message="")
    deliveries.exclude(state=Delivery.State.DUE).exclude(error="").update(error=privacy.ERASED)


def kept_mails(mark: Mark, until: datetime) -> list[tuple[Mark, Any]]:
    """Mails that were kept as files for want of a mail server."""
    folder = Path(getattr(settings, "EMAIL_FILE_PATH", "") or os.devnull)
    if mark or not folder.is_dir():
        return []
    return [("all", path) for path in sorted(folder.iterdir()) if path.stat().st_mtime < until.timestamp()]


def remove_mail(mail: Path) -> Contents:
    mail.unlink(missing_ok=True)
    return set()


# --- imports -----------------------------------------------------------------------------------------------
def with_file(ids: list[Any], until: datetime) -> QuerySet[Import]:
    return Import.objects.filter(pk__in=ids).exclude(state=Import.State.RUNNING).exclude(sha256="")


@transaction.atomic
def let_file_go(found: Import) -> Contents:
    """The file, and what was seen in it; the figures stay."""
    gone = {found.sha256, found.report.get("preview", "")} - {""}
    found.report = {**found.report, "preview": "", "notes": []} if found.report else {}
    found.sha256, found.error = "", found.error and privacy.ERASED
    found.save(update_fields=["sha256", "report", "error"])
    return gone


RULES = (
    Rule("RETAIN_FILE_DAYS", "Print files and labels", along_orders("files", holding=with_files, erase=let_files_go)),
    Rule("RETAIN_BODY_DAYS", "Requests as they came", (
        *along_orders("bodies", holding=with_requests, erase=blank_behind),
        Step("bodies: loose", partial(by_age, OrderRequest.objects.all()), loose_or_late, blank_one),
        Step("bodies: events", partial(by_age, Event.objects.filter(order=None)), loose_events, skeletonize),
    )),
    Rule("RETAIN_DELIVERY_DAYS", "What was sent and answered", (
        *along_orders("deliveries", holding=with_reports, erase=let_reports_go),
        Step("deliveries: late", attempts, late_reports, let_report_go),
        Step("deliveries: mails", kept_mails, lambda paths, until: paths, remove_mail),
    )),
    Rule("RETAIN_IMPORT_DAYS", "Imported files", (
        Step("imports", partial(by_age, Import.objects.all()), with_file, let_file_go),
    )),
    Rule("RETAIN_RECIPIENT_DAYS", "Recipients", along_orders("recipients", holding=known_recipients, erase=forget)),
)  # fmt: skip
