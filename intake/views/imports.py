"""Imports: files of orders, brought by a person, looked at before anything is made, and what became of every row."""

import csv
import json
from io import BytesIO
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from gelatoconnect.lib import lists, storage
from gelatoconnect.lib.ids import born
from gelatoconnect.lib.problems import Rejected
from intake import imports
from intake.filters import ImportFilter
from intake.forms import ImportForm
from intake.imports import template
from intake.imports.preview import result_rows
from intake.models import Import
from intake.tables import drafts_of
from intake.tables.cells import DELIMITERS
from orders.pages import actor, asked, list_page, staff_only

COLUMNS = (("File", ""), ("Customer", ""), ("State", ""), ("Orders", "num"), ("Imported", "num"), ("Refused", "num"),
           ("By", "wide"), ("Time", "fit"))  # fmt: skip
# The look of a state's badge, in the words of the orders'.
BADGES = {"preview": "draft", "running": "in_production", "done": "done", "failed": "failed", "discarded": "canceled"}
SHOWN = 100  # orders on one page of the preview
# Which orders of the preview are shown: name → (label, results).
VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "all": ("All", ()),
    "problems": ("With problems", ("refused", "failing", "warning", "known")),
    "refused": ("Refused", ("refused",)),
    "failing": ("Would fail", ("failing",)),
    "warning": ("With warnings", ("warning",)),
    "known": ("Known", ("known",)),
}
State = Import.State


@staff_only("intake.import_orders")
@require_GET
def import_list(request: HttpRequest) -> HttpResponse:
    chosen = ImportFilter(asked(request), queryset=Import.objects.select_related("customer").defer("report"))
    page = list_page(chosen, title="Imports", columns=COLUMNS)
    for row in page.rows:
        row.brought_at, row.badge, row.person = born(row.pk), badge_of(row), row.by.removeprefix("user:")
        row.told = state_of(row)
    return render(request, "intake/imports.html", {
        "section": "imports", "page": page, "row_template": "intake/import_row.html", "bulk_moves": [],
        "empty_text": "Bring a CSV or Excel file with a row for each item; it is looked at before anything is made.",
    })  # fmt: skip


@staff_only("intake.import_orders")
@require_http_methods(["GET", "POST"])
def bring(request: HttpRequest) -> HttpResponse:
    """A file in a form. One that is no table of orders is refused there, and not kept."""
    posted = request.method == "POST"
    initial = {"email": getattr(request.user, "email", ""), "customer": request.GET.get("customer")}
    form = ImportForm(request.POST if posted else None, request.FILES if posted else None, initial=initial)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            found = imports.bring(file.read(), file_name=file.name, customer=form.cleaned_data["customer"],
                                  email=form.cleaned_data["email"], by=actor(request))  # fmt: skip
            return redirect("intake:import", found.pk)
        except Rejected as refusal:
            for problem in refusal.problems:
                form.add_error("file", f"{problem.message} {problem.hint}")
    return render(request, "intake/import_form.html", {
        "section": "imports", "title": "Import orders", "form": form, "submit_label": "Look at it",
        "back_url": reverse("intake:imports"), "columns": template.COLUMNS,
    })  # fmt: skip


@staff_only("intake.import_orders")
@require_GET
def import_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Its preview while it waits for a person, then how far it is, then what became of it."""
    found = get_object_or_404(Import.objects.select_related("customer", "connector"), pk=pk)
    report = found.report
    counts = report.get("counts")
    looking = found.state == State.PREVIEW and counts is None
    context: dict[str, Any] = {
        "section": "imports", "title": found.file_name, "found": found, "state": state_of(found),
        "brought_at": born(found.pk),
        "badge": badge_of(found), "person": found.by.removeprefix("user:"), "looking": looking, "counts": counts,
        "read_as": _read_as(report), "unknown": [each["name"] for each in report["columns"] if not each["known"]],
        "columns": report["columns"], "refresh": 2 if looking or found.state == State.RUNNING else 0,
        "looked": report.get("looked", 0), "done": found.accepted + found.refused + found.known,
        "left": found.orders - found.accepted - found.refused - found.known,
        "will": counts["fine"] + counts["warning"] + counts["failing"] if counts else 0,
    }  # fmt: skip
    if found.state != State.RUNNING and "preview" in report:
        context |= _preview(found, asked(request).get("view", ""), asked(request).get("page", ""))
    return render(request, "intake/import.html", context)


def state_of(found: Import) -> str:
    """As people read it: one that a person stopped did not fail."""
    stopped = found.state == State.FAILED and found.error.startswith(imports.STOPPED)
    return "Stopped" if stopped else found.get_state_display()


def badge_of(found: Import) -> str:
    return "held" if state_of(found) == "Stopped" else BADGES[found.state]


def _read_as(report: dict[str, Any]) -> str:
    if report["sheet"]:
        return f"Excel, sheet {report['sheet']}"
    return f"CSV, {report['encoding'].upper()}, {DELIMITERS.get(report['delimiter'], 'comma')}s between the cells"


def _preview(found: Import, view: str, page: str) -> dict[str, Any]:
    try:
        entries = json.loads(storage.path_of(found.report["preview"]).read_bytes())
    except OSError:  # the files were moved or cleared
        return {"gone": True}
    counts = found.report["counts"]
    sums = {
        name: sum(counts[each] for each in results) if results else found.orders for name, (_, results) in VIEWS.items()
    }
    view = view if view in VIEWS else "problems" if sums["problems"] else "all"
    wanted = VIEWS[view][1]
    fitting = [entry for entry in entries if not wanted or entry["result"] in wanted]
    last = max(1, -(-len(fitting) // SHOWN))
    number = min(max(int(page), 1), last) if page.isdecimal() and len(page) < 9 else 1
    return {
        "tabs": [(label, f"?view={name}", sums[name], name == view) for name, (label, _) in VIEWS.items()
                 if sums[name] or name in ("all", "problems")],
        "entries": fitting[(number - 1) * SHOWN : number * SHOWN], "number": number, "last": last,
        "previous_url": f"?view={view}&page={number - 1}" if number > 1 else "",
        "next_url": f"?view={view}&page={number + 1}" if number < last else "",
    }  # fmt: skip


@staff_only("intake.import_orders")
@require_POST
def act(request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
    """Start, stop or discard it. Of two people who do so at once, one does."""
    found = get_object_or_404(Import.objects.select_related("customer"), pk=pk)
    if verb == "start":
        if imports.start(found, by=actor(request)):
            messages.success(request, "It is being imported.")
        else:
            messages.warning(request, "It is being imported already, or was discarded.")
    elif verb == "stop":
        if imports.stop(found, by=actor(request)):
            messages.success(request, "Stopped. The orders that were made stay; the rest can be imported later.")
    elif imports.discard(found):
        messages.success(request, f"{found.file_name} was discarded; no order was made of it.")
        return redirect("intake:imports")
    return redirect("intake:import", pk)


@staff_only("intake.import_orders")
@require_GET
def result(request: HttpRequest, pk: UUID) -> StreamingHttpResponse:
    """What became of every row, by now, as CSV."""
    found = get_object_or_404(Import.objects.select_related("customer", "connector"), pk=pk)
    try:
        entries = drafts_of(imports.table_of(found))
    except OSError:  # the files were moved or cleared
        raise Http404 from None
    made = imports.requests_of(found).select_related("order").defer("body", "mended_body", "fetched_body", "answer")
    rows = result_rows(found, entries, [imports.key_of(found, entry) for entry in entries],
                       requests={each.key or "": each for each in made})  # fmt: skip
    writer = csv.writer(lists.Echo(), quoting=csv.QUOTE_ALL)
    response = StreamingHttpResponse((writer.writerow(row) for row in rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="import-{found.pk}.csv"'
    return response


@staff_only("intake.import_orders")
@require_GET
def blank(request: HttpRequest, kind: str) -> FileResponse:
    """The template to fill in, as CSV or as an Excel workbook."""
    content = template.as_csv() if kind == "csv" else template.as_workbook()
    return FileResponse(BytesIO(content), as_attachment=True, filename=f"orders.{kind}")
