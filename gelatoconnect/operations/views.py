"""What supervisors, Prometheus and people ask: /healthz, /readyz, /metrics and the status page."""

import ipaddress
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import resolve
from django.views.decorators.http import require_GET, require_safe
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gelatoconnect.lib.secrets import same
from gelatoconnect.operations import health, metrics, status
from orders.pages import staff_only

PROBES = ("/healthz", "/readyz", "/metrics")
QUIET = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# A proxy sets one of these, so whoever sends it is not on this machine.
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via")
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Probes:
    """Answers the probes before anything else looks at them: whoever asks knows the machine by its address rather than by
    its name, speaks plain HTTP behind the proxy, and has no session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in PROBES:
            return resolve(request.path).func(request)
        return self.get_response(request)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers: whether the rest does is not asked."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8", headers=QUIET)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when orders go their way, else 503; which check failed, and for those who may see the figures, why."""
    found = health.readiness()
    ready = all(check.ok for check in found)
    body: dict[str, object] = {
        "ready": ready,
        "checks": {check.name: "ok" if check.ok else "failed" for check in found},
    }
    if may_measure(request):
        body["said"] = {check.name: check.said for check in found}
    return JsonResponse(body, status=200 if ready else 503, headers=QUIET)


@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Prometheus text format 0.0.4."""
    if not may_measure(request):
        said = {"WWW-Authenticate": "Bearer"} if settings.METRICS_TOKEN else {}
        status = 401 if settings.METRICS_TOKEN else 403
        return HttpResponse("Not for you.\n", status=status, content_type="text/plain", headers=QUIET | said)
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4, headers=QUIET)


def may_measure(request: HttpRequest) -> bool:
    """Whoever has METRICS_TOKEN; when none is set, this machine itself, unless a proxy on it asks for somebody else."""
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and same(token.strip(), settings.METRICS_TOKEN)
    if any(name in request.headers for name in FORWARDED):
        return False
    name = request.headers.get("Host", "localhost").lower()
    name = name[: name.rindex(":")] if ":" in name.rpartition("]")[2] else name
    with suppress(ValueError):
        return name in OWN_NAMES and ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    return False


@staff_only("orders.view_delivery")
@require_GET
def status_page(request: HttpRequest) -> HttpResponse:
    return render(request, "status.html", {"section": "status", "title": "Status", "now": status.found()})
