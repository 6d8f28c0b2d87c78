"""The staff's pages of requests, and the problem report of an order."""

from django.urls import path

from intake import panels  # noqa: F401  # registers itself for the order's page
from intake.views import reports, requests

app_name = "intake"
urlpatterns = [
    path("requests", requests.request_list, name="list"),
    path("requests/bulk", requests.bulk, name="bulk"),
    path("requests/<uuid:pk>", requests.request_detail, name="detail"),
    path("requests/<uuid:pk>/mend", requests.mend, name="mend"),
    path("requests/<uuid:pk>/process", requests.process, name="process"),
    path("requests/<uuid:pk>/ignore", requests.ignore, name="ignore"),
    path("orders/<uuid:pk>/report", reports.order_report, name="report"),
    path("orders/<uuid:pk>/report.pdf", reports.order_report_pdf, name="report-pdf"),
]
