"""The address of each connector, below /in: where shops and platforms call. Verified, served, and refused visibly."""

import logging
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from gelatoconnect.lib import limits, logs, strict
from gelatoconnect.lib.problems import Problem, Rejected
from intake import pipeline
from intake.connectors import CONNECTOR_TYPES, config_of
from intake.connectors.base import Call, ConnectorType, Desk, Incoming, Outcome, Reply
from intake.models import Connector
from intake.records import keep_refused
from intake.talks import keep

log = logging.getLogger(__name__)


@csrf_exempt
def door(request: HttpRequest, connector: UUID, rest: str = "") -> HttpResponse:
    """One call of a sender. Whatever goes wrong is answered in the sender's own format, and kept where it can be."""
    found = Connector.objects.select_related("customer").filter(pk=connector, active=True).first()
    kind = CONNECTOR_TYPES.get(found.type) if found else None
    if found is None or kind is None or not kind.methods:
        return HttpResponse("There is no connector at this address.", status=404, content_type="text/plain")
    logs.note(connector=found.name)
    if request.method not in kind.methods:
        return HttpResponse(status=405, headers={"Allow": ", ".join(kind.methods)})
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = Call(request.method or "", rest.strip("/"), request.path, request.GET.dict(), headers)
    if wait := limits.take(f"in:{found.pk}", rate=settings.API_RATE):
        reply = kind.turn_away(call, [Problem("RATE_LIMITED", "Too many calls in one second.")], status=429)
        return _response(reply, {"Retry-After": str(max(1, round(wait)))})
    try:
        return _response(_served(call, request, kind, found))
    except Exception as error:
        if not isinstance(error, DatabaseError):
            log.exception("A call to connector %s failed", found.name)
        problem = Problem("INTERNAL_ERROR", "It could not be taken because of a fault of ours: send it again.")
        return _response(kind.turn_away(call, [problem], status=503 if isinstance(error, DatabaseError) else 500))


def _served(call: Call, request: HttpRequest, kind: ConnectorType, connector: Connector) -> Reply:
    config = None
    try:
        call = _with_body(call, request, kind)
        config = config_of(connector)
        _verify(kind, call, config)
    except Rejected as refusal:
        reply = kind.turn_away(call, refusal.problems, status=refusal.status)
        keep_refused(call, connector, refusal, config=config, answer=reply.body)
        return reply
    try:
        return kind.serve(call, desk_of(connector, config))
    except Rejected as refusal:
        return kind.turn_away(call, refusal.problems, status=refusal.status)


def _verify(kind: ConnectorType, call: Call, config: Any) -> None:
    """Raises Rejected: 401 for a stranger; 500 when looking at the call breaks, which lets nobody in."""
    try:
        kind.verify(call, config)
    except (Rejected, DatabaseError):
        raise
    except Exception:
        log.exception("A call to a connector of type %s could not be verified", kind.name)
        problem = Problem("REQUEST_FAILED", "It could not be verified because of a fault of ours: send it again.")
        raise Rejected([problem], status=500) from None


def _with_body(call: Call, request: HttpRequest, kind: ConnectorType) -> Call:
    """Refused before it is read when it says itself that it is too large, and at the latest when it is."""
    try:
        body = strict.read_body(request, max_bytes=kind.max_bytes)
    except RequestDataTooBig:
        raise strict.too_large(kind.max_bytes) from None
    if len(body) > kind.max_bytes:
        raise strict.too_large(kind.max_bytes)
    return Call(call.method, call.path, call.url_path, call.query, call.headers, body)


def desk_of(connector: Connector, config: Any) -> Desk:
    """What the connector's type may ask of the house."""

    def take(incoming: Incoming) -> Outcome:
        return pipeline.take(incoming, connector=connector)

    def dry_run(incoming: Incoming) -> list[Problem]:
        return pipeline.dry_run(incoming, connector=connector)

    return Desk(connector, config, take, dry_run, keep=partial(keep, connector))


def _response(reply: Reply, more: dict[str, str] | None = None) -> HttpResponse:
    headers = {"X-Content-Type-Options": "nosniff", **reply.headers, **(more or {})}
    return HttpResponse(reply.body, status=reply.status, content_type=reply.content_type, headers=headers)
