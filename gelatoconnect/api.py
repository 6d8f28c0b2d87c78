"""The API's wiring: who is calling (X-API-KEY), how often they may, how bodies are read, and the one shape of errors."""

import logging
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django_fsm import TransitionNotAllowed
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from gelatoconnect.lib import limits, strict
from gelatoconnect.lib.problems import Problem, Rejected, problem_body
from gelatoconnect.lib.secrets import hashed, same
from intake.checks.references import find_customer
from intake.models import ApiKey, Connector
from orders.access import Sender

log = logging.getLogger(__name__)


class KeyAuthentication(BaseAuthentication):
    """`X-API-KEY: <key>:<secret>` names the connector; `Customer-Reference-ID` the customer of an open one."""

    def authenticate(self, request: Request) -> tuple[Sender, Connector]:
        key, _, secret = request.headers.get("X-API-KEY", "").partition(":")
        if not key or not secret:
            raise exceptions.NotAuthenticated("Send your key in the header X-API-KEY as <key>:<secret>.")
        known = ApiKey.objects.select_related("connector__customer").filter(key=key[:40], revoked_at=None).first()
        if not same(hashed(secret), known.secret_hash if known else "") or known is None or not known.connector.active:
            raise exceptions.AuthenticationFailed("The key in X-API-KEY is not valid, or was revoked.")
        connector = known.connector
        customer = find_customer(connector, named=request.headers.get("Customer-Reference-ID", ""))
        return Sender(connector.pk, connector.name, customer), connector

    def authenticate_header(self, request: Request) -> str:
        return 'ApiKey realm="GelatoConnect"'


class KeyAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = KeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-API-KEY", "description": "<key>:<secret>"}


class KeyThrottle(BaseThrottle):
    """So many requests a second for each key."""

    def allow_request(self, request: Request, view: Any) -> bool:
        sender = cast(Sender | None, request.user)
        self.seconds = limits.take(f"api:{sender.connector}", rate=settings.API_RATE) if sender else 0.0
        return not self.seconds

    def wait(self) -> float:
        return self.seconds


class StrictJSONParser(BaseParser):
    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.API_MAX_BYTES
        return strict.loads(strict.read_body(parser_context["request"], max_bytes=limit), max_bytes=limit)


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every error as RFC 9457 application/problem+json, with all that is wrong in `errors`."""
    headers = {}
    if isinstance(error, Rejected):
        status, title, problems = error.status, error.title, error.problems
    elif isinstance(error, TransitionNotAllowed):
        status, title = 409, "The order is not in a status that allows this."
        problems = [
            Problem("ORDER_STATUS_CONFLICT", str(title), hint="Read `actions` of the order to see what is allowed now.")
        ]
    else:
        if isinstance(error, Http404):
            error = exceptions.NotFound("There is nothing at this address for this key.")
        elif isinstance(error, PermissionDenied):
            error = exceptions.PermissionDenied()
        if not isinstance(error, exceptions.APIException):
            return None
        status, title = error.status_code, str(error.detail)
        problems = [Problem(CODES.get(status, "REQUEST_REFUSED"), title)]
        if isinstance(error, exceptions.Throttled):
            headers["Retry-After"] = str(max(1, round(getattr(error, "wait", 1))))
        if header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = header
    body = problem_body(problems, status=status, title=str(title))
    return Response(body, status=status, headers=headers, content_type=PROBLEM)


def short_paths(endpoints: list[Any]) -> list[Any]:
    """For the schema: the short path of each view; the other form is the same view."""
    return [endpoint for endpoint in endpoints if "{prefix}" not in endpoint[0]]


def problem_types(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """For the schema: errors come as application/problem+json."""
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status >= "400" and "application/json" in content:
                    content[PROBLEM] = content.pop("application/json")
    return result


PROBLEM = "application/problem+json"
CODES = {401: "AUTH_KEY_INVALID", 403: "AUTH_FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED",
         406: "NOT_ACCEPTABLE", 415: "MEDIA_TYPE_UNSUPPORTED", 429: "RATE_LIMITED"}  # fmt: skip
