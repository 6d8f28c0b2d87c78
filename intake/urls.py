"""The staff's pages of requests, and the problem report of an order."""

from django.urls import path

from intake import panels, views  # noqa: F401  # panels registers itself for the order's page

app_name = "intake"
urlpatterns = [
    path("requests", views.request_list, name="list"),
    path("requests/bulk", views.bulk, name="bulk"),
    path("requests/<uuid:pk>", views.request_detail, name="detail"),
    path("requests/<uuid:pk>/mend", views.mend, name="mend"),
    path("requests/<uuid:pk>/process", views.process, name="process"),
    path("requests/<uuid:pk>/ignore", views.ignore, name="ignore"),
    path("orders/<uuid:pk>/report", views.order_report, name="report"),
    path("orders/<uuid:pk>/report.pdf", views.order_report_pdf, name="report-pdf"),
]
