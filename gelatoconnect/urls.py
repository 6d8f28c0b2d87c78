"""Every address of the product."""

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView, TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from gelatoconnect.operations import views as operations
from intake import api as intake_api
from intake.doors import door
from intake.uploads import upload
from orders import api as orders_api
from orders import api_deliveries

admin.site.site_header = admin.site.site_title = "GelatoConnect"
admin.site.index_title = "Settings"
# What can be asked of one order; the same views under both path forms.
ONE_ORDER = [
    ("", orders_api.OrderGet),
    ("/cancel", orders_api.OrderCancel),
    ("/shipment", intake_api.Shipment),
    ("/history", orders_api.OrderHistory),
    ("/actions", orders_api.OrderActions),
    ("/report", intake_api.ProblemReport),
    ("/report.pdf", intake_api.ProblemReportPdf),
]
# What a customer was told, and its endpoints.
TOLD = [
    ("deliveries", "", api_deliveries.DeliveryList),
    ("deliveries", "/replay", api_deliveries.DeliveriesReplay),
    ("deliveries", "/<str:ref>", api_deliveries.DeliveryGet),
    ("deliveries", "/<str:ref>/replay", api_deliveries.DeliveryReplay),
    ("endpoints", "", api_deliveries.EndpointList),
    ("endpoints", "/<str:ref>/test", api_deliveries.EndpointTest),
]
# Swagger UI styles itself inline; nothing else does.
reference = csp_update({"style-src": ["'self'", "'unsafe-inline'"]})(
    SpectacularSwaggerSplitView.as_view(url_name="schema")
)
SHORT, LONG = "api/orders", "api/<slug:prefix>/order/<uuid:connector>"


def api_paths() -> list[URLPattern]:
    """The short form (the key names the connector) and the one existing clients of GelatoConnect use."""
    found = [
        path("api/products", orders_api.ProductList.as_view()),
        path("api/orders", intake_api.Submit.as_view(), name="api-submit"),
        path("api/<slug:prefix>/<uuid:connector>/order", intake_api.Submit.as_view()),
        path(f"{SHORT}/search", orders_api.OrderSearch.as_view()),
        path(f"{LONG}/search", orders_api.OrderSearch.as_view()),
        path("api/<slug:prefix>/<uuid:connector>/order/search", orders_api.OrderSearch.as_view()),
    ]
    for base in (SHORT, LONG):
        found += [path(f"{base}/<str:ref>{end}", view.as_view()) for end, view in ONE_ORDER]
        found += [
            path(f"{base}/<str:ref>/{verb}", orders_api.OrderMove.as_view(), {"verb": verb})
            for verb in ("submit", "retry")
        ]
    for what, end, view in TOLD:
        found += [
            path(f"api/{what}{end}", view.as_view()),
            path(f"api/<slug:prefix>/{what}/<uuid:connector>{end}", view.as_view()),
        ]
    found.append(path(f"{SHORT}/<str:ref>/files/<uuid:file>/previews/<int:page>", orders_api.Preview.as_view()))
    return found


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="orders:list")),
    path("", include("orders.urls")),
    path("", include("intake.urls")),
    path("", include("shipping.urls")),
    *api_paths(),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", reference, name="schema-ui"),
    path("api/<path:rest>", orders_api.Nowhere.as_view()),
    path("in/<uuid:connector>", door, name="door"),
    path("in/<uuid:connector>/files/<str:token>", upload, name="upload"),
    path("in/<uuid:connector>/<path:rest>", door),
    path("healthz", operations.healthz),
    path("readyz", operations.readyz),
    path("metrics", operations.figures),
    path("status", operations.status_page, name="status"),
    path("favicon.ico", RedirectView.as_view(url=f"/{settings.STATIC_URL.strip('/')}/logo.svg")),
    path("admin/", admin.site.urls),
    path("login", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
]
if settings.DEBUG:
    urlpatterns.append(path("styleguide/", TemplateView.as_view(template_name="styleguide.html")))
