"""Recipients who want to know what is known of them, or to be forgotten: what their requests say, and who is told.

The marks and the export are written with the request. What takes longer follows: orders that have ended are forgotten one
by one, the others when they have ended; the export is mailed to the customer.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.template.loader import render_to_string
from django.utils import timezone

from gelatoconnect.lib.ids import born
from gelatoconnect.lib.problems import Problem
from intake.connectors import kind_of
from intake.connectors.base import Export, Forget, Message, Outcome, Recipient
from intake.models import ApiKey, Connector, FileFacts, Import, OrderRequest
from intake.records import State, record
from orders import audit, privacy
from orders.events import Permanent, TryLater, emit, listen
from orders.models import Delivery, Event, Order

LONG_ENOUGH = 8  # characters of an id by which a request is known without being read
AS_JSON = "recipient-data.json"


# --- what is done for such a request --------------------------------------------------------------------
def export(request: OrderRequest, asked: Export, *, by: str) -> Outcome:
    """Gather what is known; it stands as the request's answer on its page, and is mailed to the customer."""
    orders = orders_of(request.connector, asked.recipient)
    loose = requests_of(request.connector, asked.recipient, but=request)
    found = privacy.export(orders) | {"requests": [told(each) for each in loose]}
    said = Problem("PRIVACY_EXPORTED", f"{len(found['orders'])} orders and {len(loose)} other requests tell of the person.",
                   severity="info", hint="Hand it over to the person who asked: it is the answer below.")  # fmt: skip
    with transaction.atomic():
        outcome = record(request, Outcome(200, problems=[said], state=State.ACCEPTED))
        request.answer = json.dumps(found, ensure_ascii=False)
        request.save(update_fields=["answer"])
        _tell(request, "request.exported", by=by)
    return outcome


def forget(request: OrderRequest, asked: Forget, *, by: str) -> Outcome:
    """Mark the orders, blank the requests that became none, and this one too: it names the person."""
    connector, person = request.connector, asked.recipient
    with transaction.atomic():
        orders = orders_of(connector, person) if person else Order.objects.filter(connector=connector.pk)
        loose = requests_of(connector, person, but=request) if person else _loose(connector, but=request).iterator(200)
        count, blanked, gone = privacy.ask_to_forget(orders), 0, set()
        for each in loose:
            gone |= blank(each)
            blanked += 1
        said = Problem("PRIVACY_FORGOTTEN", f"{count} orders are forgotten as soon as they have ended, {blanked} other "
                       "requests are forgotten.", severity="info")  # fmt: skip
        outcome = record(request, Outcome(200, problems=[said], state=State.ACCEPTED))
        blank(request, problems=request.problems)
        if person is None:
            with audit.watch(connector, *connector.keys.all(), by=by):
                close(connector)
        for sha256 in gone:
            transaction.on_commit(partial(privacy.remove, sha256), robust=True)
        _tell(request, "request.forgotten", by=by)
    return outcome


def close(connector: Connector) -> None:
    """Nobody comes in through it any more, and nothing is sent through it: what it knew of the other side is gone."""
    ApiKey.objects.filter(connector=connector, revoked_at=None).update(revoked_at=timezone.now())
    connector.settings, connector.memory, connector.active = "", "", False
    connector.save(update_fields=["settings", "memory", "active"])


def _tell(request: OrderRequest, kind: str, *, by: str) -> None:
    emit(None, kind, by=by, customer=request.customer, request={"id": str(request.pk)})


# --- what follows ---------------------------------------------------------------------------------------
@listen("request.forgotten", name="forget")
def follow_forgotten(delivery: Delivery) -> None:
    privacy.forget_due()


@listen("request.exported", name="export")
def mail_export(delivery: Delivery) -> None:
    """To the customer, whose duty it is to answer the person."""
    request = OrderRequest.objects.select_related("customer", "connector").get(pk=delivery.event.data["request"]["id"])
    customer = request.customer
    if not request.body:
        raise Permanent("The person has been forgotten since.")
    if customer is None or not customer.email:
        raise Permanent("The customer has no e-mail address: the export stands on the request's page.")
    text = render_to_string("emails/export.txt", {"request": request, "customer": customer})
    message = EmailMessage("What we know of a recipient who asked for it", text, to=[customer.email],
                           headers={"Message-ID": f"<{delivery.event_id}.export@gelatoconnect>"})  # fmt: skip
    message.attach(AS_JSON, request.answer, "application/json")
    delivery.report = {"request": {"to": customer.email, "subject": message.subject, "attached": AS_JSON}}
    try:
        message.send()
    except OSError as error:  # smtplib's errors are OSErrors
        raise TryLater(f"The mail server did not take it: {error}") from error


# --- who is meant ---------------------------------------------------------------------------------------
def orders_of(connector: Connector, recipient: Recipient) -> QuerySet[Order]:
    """The person's orders that came through the connector: those named, and those with the same e-mail (or phone)."""
    wanted = Q(source_id__in=recipient.source_ids)
    if recipient.email:
        wanted |= Q(address__email__iexact=recipient.email)
    elif recipient.phone:
        wanted |= Q(address__phone=recipient.phone)
    found = Order.objects.filter(wanted, connector=connector.pk)
    return found.select_related("customer", "address").order_by("id")


def requests_of(connector: Connector, recipient: Recipient, *, but: OrderRequest | None = None) -> list[OrderRequest]:
    """The person's requests that became no order: by the order's id, or because something in them names the person."""
    ids = [id for id in (*recipient.source_ids, recipient.id) if len(id) >= LONG_ENOUGH]
    words = [word.lower().encode() for word in (recipient.email, recipient.phone, *ids) if word]
    return [each for each in _loose(connector, but=but).iterator(chunk_size=200)
            if each.source_id in recipient.source_ids or any(word in _all_of(each) for word in words)]  # fmt: skip


def _loose(connector: Connector, *, but: OrderRequest | None) -> QuerySet[OrderRequest]:
    found = OrderRequest.objects.filter(connector=connector, order=None).select_related("connector")
    return found.exclude(pk=but.pk) if but is not None else found


def _all_of(request: OrderRequest) -> bytes:
    texts = (request.body, request.fetched_body, request.mended_body, request.answer.encode())
    return b"\n".join(bytes(text or b"") for text in texts).lower()


# --- what is kept of an order on this side ----------------------------------------------------------------
def blank(request: OrderRequest, *, problems: list[dict[str, Any]] | None = None, events: bool = True) -> set[str]:
    """What came and what was said of it; key and fingerprint stay. Says the contents that it needs no more.

    events: also what events without an order tell of the request.
    """
    gone = set(request.contents.values())
    request.body, request.fetched_body, request.mended_body = b"", None, None
    request.headers, request.contents, request.answer = {}, {}, _answer_of(request)
    request.problems = [privacy.without_words(each) for each in request.problems] if problems is None else problems
    request.save()
    if events:
        about = Event.objects.filter(order=None, id__gt=request.pk, data__request__id=str(request.pk))
        privacy.erase_events(about)
    return gone


def _answer_of(request: OrderRequest) -> str:
    """The answer once more, as it is without anything that was sent: a late repetition is still understood."""
    with suppress(Exception):  # a type whose answers need what was sent has none
        outcome = Outcome(request.answer_status or 200, order=request.order, request=request.pk)
        if request.order is not None:
            return kind_of(request.connector).answer(outcome, Message(b"", request.topic))
    return ""


def behind(order: Order) -> QuerySet[OrderRequest]:
    """The requests that made the order, and those that were about it."""
    wanted = Q(order=order)
    if order.source_id and order.connector:
        wanted |= Q(connector=order.connector, source_id=order.source_id)
    return OrderRequest.objects.filter(wanted).select_related("connector", "order")


def _erase(order: Order) -> set[str]:
    return {sha256 for request in behind(order) for sha256 in blank(request)}


def _told(order: Order) -> list[dict[str, Any]]:
    return [told(request) for request in behind(order).order_by("id")]


def told(request: OrderRequest) -> dict[str, Any]:
    texts = {"body": request.body, "fetched": request.fetched_body, "mended": request.mended_body}
    said = {name: bytes(text).decode(errors="replace") for name, text in texts.items() if text}
    at = born(request.pk).isoformat()
    return {"id": str(request.pk), "receivedAt": at, "topic": request.topic, "headers": request.headers, **said}


def _needs(contents: set[str]) -> set[str]:
    """Contents of files that came with requests, and of imported files."""
    return set(_named(contents)) | set(Import.objects.filter(sha256__in=contents).values_list("sha256", flat=True))


def _named(contents: set[str]) -> Iterator[str]:
    any_of = Q(*(Q(text__contains=sha256) for sha256 in contents), _connector=Q.OR)
    held = OrderRequest.objects.exclude(contents={}).annotate(text=Cast("contents", TextField()))
    for names in held.filter(any_of).values_list("contents", flat=True) if contents else ():
        yield from contents & set(names.values())


def _drop(sha256: str) -> None:
    """What preflight saw in it: its previews are gone, so it is looked into anew if it ever comes again."""
    FileFacts.objects.filter(sha256=sha256).delete()


privacy.KEEPERS.append(privacy.Keeper("requests", _erase, _told, _needs, _drop))
