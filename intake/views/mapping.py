"""The mapping editor: a connector's templates and tables, tried on a request, and saved as a new version."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import localtime
from django.views.decorators.http import require_http_methods

from gelatoconnect.lib.ids import born, parse_id
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Message
from intake.connectors.mapped import Mapped
from intake.connectors.mapped.starters import Starter
from intake.mapping.form import FIELDS, MappingForm, initial_of, mapping_of
from intake.mapping.trial import Trial, sample_message, try_mapping
from intake.models import Connector, Mapping, OrderRequest
from orders import audit
from orders.pages import actor, staff_only

OFFERED = 25  # of the latest requests, to be tried on
HEAVY = ("submit", "cancel", "answer", "lookups", "sample")


@staff_only("intake.change_connector")
@require_http_methods(["GET", "POST"])
def mapping(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The editor. Trying stores nothing; saving makes a new version, which reads every request from then on."""
    connector = get_object_or_404(Connector.objects.select_related("customer"), pk=pk)
    kind = CONNECTOR_TYPES.get(connector.type)
    if not isinstance(kind, Mapped):
        raise Http404
    versions = list(connector.mappings.defer(*HEAVY))
    latest = versions[0].version if versions else 0
    shown = _shown(connector, request.GET.get("version", ""))
    context: dict[str, Any] = {
        "section": "settings", "title": f"Mapping of {connector.name}", "connector": connector, "kind": kind,
        "versions": [(each, born(each.pk)) for each in versions], "latest": latest, "shown": shown,
        "may_save": request.user.has_perm("intake.add_mapping"),
    }  # fmt: skip
    if request.method == "POST":
        context |= _asked(request, connector, latest=latest)
        if context.get("saved"):
            return redirect("intake:mapping", pk)
    else:
        context |= _opened(connector, shown or kind.starter, latest=latest, chosen=request.GET.get("request", ""))
    return render(request, "intake/mapping.html", context)


def _opened(connector: Connector, source: Mapping | Starter, *, latest: int, chosen: str) -> dict[str, Any]:
    """A saved version, or the beginning of one, with what it makes of its own sample or of the chosen request."""
    form = MappingForm(initial=initial_of(source, base=latest) | {"request": chosen}, requests=_requests(connector))
    unsaved = Mapping(connector=connector, **{name: getattr(source, name) for name in FIELDS})
    return {"form": form, "trial": _tried(unsaved, sample=source.sample, chosen=chosen)}


def _asked(request: HttpRequest, connector: Connector, *, latest: int) -> dict[str, Any]:
    """What was typed, tried; and saved, when that is asked for and nothing speaks against it."""
    form = MappingForm(request.POST, requests=_requests(connector))
    if not form.is_valid():
        return {"form": form}
    cleaned = form.cleaned_data
    made = Mapping(connector=connector, **mapping_of(cleaned))
    trial = _tried(made, sample=cleaned["sample"], topic=cleaned["topic"], chosen=cleaned["request"])
    if request.POST.get("action") != "save":
        return {"form": form, "trial": trial}
    doubt = _doubt(trial, cleaned, latest)
    saved = (cleaned["confirm"] or not doubt) and _save(request, made, cleaned, latest=latest)
    return {"form": form, "trial": trial, "asks": doubt, "saved": saved}


def _shown(connector: Connector, version: str) -> Mapping | None:
    """The version that is asked for, or the latest; None: there is none yet."""
    if not version:
        return connector.mappings.first()
    if not version.isdecimal():
        raise Http404
    return get_object_or_404(connector.mappings, version=int(version[:9]))


def _requests(connector: Connector) -> list[tuple[str, str]]:
    """The latest, to choose from: by time, result and reference."""
    found = connector.requests.order_by("-id").only("state", "reference", "topic")[:OFFERED]
    return [(str(each.pk), f"{localtime(born(each.pk)):%d %b %H:%M:%S} · {each.get_state_display()} · "
                           f"{each.reference or each.topic or 'no reference'}") for each in found]  # fmt: skip


def _tried(mapping: Mapping, *, sample: str, topic: str = "", chosen: str = "") -> Trial | None:
    """On a stored request, or else on the sample; None: there is neither."""
    id = parse_id(chosen)
    found = OrderRequest.objects.filter(pk=id, connector=mapping.connector).first() if id else None
    if found is not None:
        body = bytes(found.mended_body or found.fetched_body or found.body)
        return try_mapping(mapping, Message(body, found.topic, found.headers, found.content_type, found.contents))
    return try_mapping(mapping, sample_message(sample, topic=topic)) if sample.strip() else None


def _doubt(trial: Trial | None, cleaned: dict[str, Any], latest: int) -> str:
    """What a person should think about before it is saved; empty: nothing."""
    if cleaned["base"] != latest:
        return f"Version {latest} was saved while you worked on version {cleaned['base']}; yours would replace it."
    if trial is None:
        return "It was not tried on any request."
    return "" if trial.renders else "It does not work on the request that it was tried on."


def _save(request: HttpRequest, made: Mapping, cleaned: dict[str, Any], *, latest: int) -> bool:
    """As the next version; False: somebody else was quicker."""
    if not request.user.has_perm("intake.add_mapping"):
        raise PermissionDenied
    made.version, made.by, made.note = latest + 1, actor(request), cleaned["note"].strip()
    former = made.connector.mappings.first()
    try:
        with transaction.atomic():
            made.save()
            before, after = (audit.state_of(former) if former else None) or {}, audit.state_of(made) or {}
            audit.enter(made, action="created", changes=audit.changes_of(before, after), by=made.by)
    except IntegrityError:
        messages.error(request, "Somebody saved another version at the same moment. Yours is not lost: save it again.")
        return False
    messages.success(request, f"Version {made.version} is saved. Every request is read with it from now on.")
    return True
