"""The packing table, labels, the parcels' list and the scan at the door."""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from pypdf import PdfWriter

from gelatoconnect.lib import lists, storage
from gelatoconnect.lib.problems import Problem, Rejected
from orders.lifecycle import Status
from orders.models import Order
from orders.pages import MAX_SELECTED, actor, asked, list_page, staff_only
from shipping import packing, tracking
from shipping.filters import VIEWS, PackageFilter
from shipping.forms import PackingForm, ScanForm
from shipping.models import Package, Scan
from shipping.panels import labels_missing, packages_of

COLUMNS = (("Parcel", ""), ("Order", ""), ("Recipient", ""), ("Status", ""), ("Carrier", "wide"), ("Weight", "num wide"),
           ("Last scan", "fit"), ("", "fit"))  # fmt: skip
Bench = dict[UUID, int]


@staff_only("orders.pack_order")
@require_http_methods(["GET", "POST"])
def pack(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The packing table of one order. What is in the open package stays in the person's session until it is closed."""
    order = get_object_or_404(Order.objects.select_related("customer", "address"), pk=pk)
    items = list(order.items.select_related("product"))
    form = PackingForm(request.POST or None, items=items, contents=_bench(request, order))
    refused: list[Problem] = []
    if request.method == "POST":
        try:
            PACKING.get(request.POST.get("action", ""), _add)(request, order, _checked(form))
            return redirect("shipping:pack", order.pk)
        except Rejected as rejected:
            refused = rejected.problems
    packages = packages_of(order)
    missing = labels_missing(order, packages)
    return render(
        request,
        "shipping/pack.html",
        {
            "section": "shipping",
            "title": f"{'Pack' if packing.packable(order) else 'Labels of'} {order.reference}",
            "order": order,
            "form": form,
            "refused": refused,
            "obstacles": [] if packages and not packing.packable(order) else list(packing.obstacles(order)),
            "packable": packing.packable(order),
            "due": sum(item.quantity_due for item in items),
            "packed": sum(item.packed for item in items),
            "packages": packages,
            "missing": missing,
            "waiting": any(not each.given_up for each in missing),
        },
        status=422 if refused else 200,
    )


def _add(request: HttpRequest, order: Order, form: PackingForm) -> None:
    """One more piece in the open package, by its code; without one, what was counted by hand is kept."""
    contents = form.counted()
    if code := form.cleaned_data["scanned"]:
        contents = packing.count_piece(order, code, contents=contents)
    _keep(request, order, contents)


def _close_package(request: HttpRequest, order: Order, form: PackingForm) -> None:
    package = packing.pack(order, contents=form.counted(), weight=form.cleaned_data["weight"], by=actor(request))
    _keep(request, order, {})
    messages.success(request, f"Package {package.number} is closed: {package.weight:,} g.")


def _close_order(request: HttpRequest, order: Order, form: PackingForm) -> None:
    packing.close(order, contents=form.counted(), weight=form.cleaned_data["weight"], by=actor(request))
    _keep(request, order, {})
    messages.success(request, f"The packages of {order.reference} are closed.")


PACKING: dict[str, Callable[[HttpRequest, Order, PackingForm], None]] = {
    "add": _add,
    "pack": _close_package,
    "close": _close_order,
}


def _checked(form: PackingForm) -> PackingForm:
    if not form.is_valid():
        raise Rejected([Problem("PACK_COUNT", f"{form.fields[name].label}: {error}", hint="Type a whole number.")
                        for name, errors in form.errors.items() for error in errors])  # fmt: skip
    return form


def _bench(request: HttpRequest, order: Order) -> Bench:
    kept = request.session.get("packing", {}).get(str(order.pk), {})
    return {UUID(id): count for id, count in kept.items()}


def _keep(request: HttpRequest, order: Order, contents: Bench) -> None:
    packing_now = request.session.get("packing", {})
    packing_now.pop(str(order.pk), None)
    if contents:
        packing_now[str(order.pk)] = {str(id): count for id, count in contents.items()}
    request.session["packing"] = packing_now


@staff_only("orders.pack_order")
@require_POST
def unpack(request: HttpRequest, pk: UUID) -> HttpResponse:
    package = get_object_or_404(Package.objects.select_related("order"), pk=pk)
    try:
        packing.unpack(package, by=actor(request))
        messages.success(request, f"Package {package.number} is unpacked.")
    except Rejected as rejected:
        messages.error(request, rejected.title)
    return redirect("shipping:pack", package.order_id)


@staff_only("orders.view_order")
@require_GET
def label(request: HttpRequest, pk: UUID) -> FileResponse:
    package = get_object_or_404(Package.objects.live().select_related("order"), pk=pk)
    return _pdf([package], name=f"label-{package.order.reference}-{package.number}")


@staff_only("orders.view_order")
@require_GET
def labels(request: HttpRequest, pk: UUID) -> FileResponse:
    """Every label of the order in one file, to be printed at once."""
    order = get_object_or_404(Order, pk=pk)
    return _pdf(Package.objects.live().filter(order=order).exclude(label=""), name=f"labels-{order.reference}")


def _pdf(packages: Iterable[Package], *, name: str) -> FileResponse:
    paths = [storage.path_of(package.label) for package in packages if package.label]
    if not paths or not all(path.exists() for path in paths):
        raise Http404
    whole = PdfWriter()
    for path in paths:
        whole.append(path)
    content = BytesIO()
    whole.write(content)
    content.seek(0)
    response = FileResponse(content, as_attachment=True, filename=f"{name}.pdf", content_type="application/pdf")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@staff_only("orders.view_order")
@require_GET
def package_list(request: HttpRequest) -> HttpResponse:
    said = asked(request)
    known = Package.objects.live().select_related("order__customer", "order__address", "account")
    narrowed = any(said.get(name) for name in ("q", "status", "customer", "account"))
    if said.get("q") or not said.get("view"):  # a search looks everywhere
        said["view"] = "all" if narrowed else next(iter(VIEWS))
    chosen = PackageFilter(said, queryset=known)
    may_scan = request.user.has_perm("orders.ship_order")
    return render(
        request,
        "shipping/list.html",
        {
            "section": "shipping",
            "page": list_page(chosen, title="Shipping", columns=COLUMNS, tabs=_tabs(chosen)),
            "row_template": "shipping/_row.html",
            "bulk_url": reverse("shipping:hand_over"),
            "bulk_moves": [("hand_over", "Handed over to the carrier", "primary")] if may_scan else [],
            "empty_text": "As soon as the packages of an order are closed, they stand here.",
        },
    )


def _tabs(chosen: PackageFilter) -> Iterator[tuple[str, str, str, bool]]:
    """The views with how many parcels each holds; those that grow for ever are not counted."""
    current = chosen.data.get("view") or "all"
    for name, (label, _) in VIEWS.items():
        inside = chosen.in_view(Package.objects.live(), "view", name)
        counted = name in ("to_hand_over", "on_the_way", "not_scanned")
        yield label, f"?view={name}", lists.count_label(lists.capped_count(inside)) if counted else "", name == current


@staff_only("orders.ship_order")
@require_POST
def hand_over(request: HttpRequest) -> HttpResponse:
    """The carrier took the selected parcels."""
    ids = request.POST.getlist("ids")
    if not 0 < len(ids) <= MAX_SELECTED:
        messages.error(request, f"Select between 1 and {MAX_SELECTED} parcels.")
        return redirect("shipping:list")
    taken = Package.objects.live().filter(pk__in=lists.rows_by_id(Package, ids)).select_related("order").order_by("id")
    for package in taken:
        tracking.note(package, status=Status.SHIPPED, at=timezone.now(), by=actor(request))
    messages.success(request, f"Handed over: {len(taken)} parcel{'' if len(taken) == 1 else 's'}.")
    return redirect("shipping:list")


@staff_only("orders.ship_order")
@require_http_methods(["GET", "POST"])
def scan(request: HttpRequest) -> HttpResponse:
    """One word about one parcel, typed or scanned; the page keeps what happened for the next parcel."""
    form = ScanForm(request.POST or None, initial={"status": request.GET.get("status", Status.SHIPPED)})
    if request.method == "POST" and form.is_valid():
        return _scanned(request, form)
    context: dict[str, Any] = {"section": "shipping", "title": "Scan parcels", "form": form}
    context["scans"] = Scan.objects.select_related("package__order").order_by("-id")[:10]
    return render(request, "shipping/scan.html", context, status=422 if form.errors else 200)


def _scanned(request: HttpRequest, form: ScanForm) -> HttpResponse:
    said = form.cleaned_data
    order = tracking.note(said["code"], status=said["status"], at=timezone.now(), place=said["place"],
                          message=said["message"], by=actor(request))  # fmt: skip
    package = Package.objects.get(pk=said["code"].pk)
    words = f"{package} of {order.reference} is {Status(package.status).label}."
    if package.status == said["status"]:
        messages.success(request, words)
    else:
        messages.warning(request, f"{words} The scan is kept, but the parcel had come further before.")
    if request.POST.get("back") == "order":
        return redirect(order)
    return redirect(f"{reverse('shipping:scan')}?status={said['status']}")
