"""The staff's pages of requests, and the problem report of an order."""

from django.urls import path, re_path

from intake import panels  # noqa: F401  # registers itself for the order's page
from intake.views import channels, imports, mapping, products, reports, requests

app_name = "intake"
urlpatterns = [
    path("requests", requests.request_list, name="list"),
    path("requests/bulk", requests.bulk, name="bulk"),
    path("requests/<uuid:pk>", requests.request_detail, name="detail"),
    path("requests/<uuid:pk>/mend", requests.mend, name="mend"),
    path("requests/<uuid:pk>/process", requests.process, name="process"),
    path("requests/<uuid:pk>/ignore", requests.ignore, name="ignore"),
    path("requests/<uuid:pk>/read", requests.read_now, name="read-now"),
    path("requests/<uuid:pk>/original", requests.download, name="download"),
    path("imports", imports.import_list, name="imports"),
    path("imports/new", imports.bring, name="import-new"),
    re_path(r"^imports/template\.(?P<kind>csv|xlsx)$", imports.blank, name="import-template"),
    path("imports/<uuid:pk>", imports.import_page, name="import"),
    path("imports/<uuid:pk>/result.csv", imports.result, name="import-result"),
    re_path(r"^imports/(?P<pk>[0-9a-f-]{36})/(?P<verb>start|stop|discard)$", imports.act, name="import-act"),
    path("channels", channels.channel_list, name="channels"),
    path("channels/<uuid:pk>/ask", channels.ask_now, name="channel-ask"),
    path("channels/<uuid:pk>/switch", channels.switch, name="channel-switch"),
    path("products", products.unmapped_list, name="products"),
    path("products/<uuid:pk>/map", products.map_name, name="product-map"),
    path("products/<uuid:pk>/ignore", products.set_ignored, name="product-ignore"),
    path("products/mapped", products.mapped_list, name="products-mapped"),
    path("products/mapped/<uuid:pk>", products.edit_mapped, name="product-edit"),
    path("products/mapped/<uuid:pk>/remove", products.remove_mapped, name="product-remove"),
    path("connectors/<uuid:pk>/mapping", mapping.mapping, name="mapping"),
    path("orders/<uuid:pk>/report", reports.order_report, name="report"),
    path("orders/<uuid:pk>/report.pdf", reports.order_report_pdf, name="report-pdf"),
]
