"""The problem report of an order: to read, to print and to forward."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from intake.report_pdf import report_response
from intake.reports import report_of
from orders.models import Order
from orders.pages import staff_only


@staff_only("orders.view_order")
@require_GET
def order_report(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What its sender needs to mend an order: to read, to print and to forward."""
    order = _reported(pk)
    context = {"section": "orders", "title": f"Problem report: {order.reference}", "order": order}
    return render(request, "intake/report.html", context | {"report": report_of(order)})


@staff_only("orders.view_order")
@require_GET
def order_report_pdf(request: HttpRequest, pk: UUID) -> HttpResponse:
    return report_response(_reported(pk))


def _reported(pk: UUID) -> Order:
    found = Order.objects.select_related("customer").prefetch_related("items__product", "items__files")
    return get_object_or_404(found, pk=pk)
