from django.urls import path

from shipping import views

app_name = "shipping"
urlpatterns = [
    path("orders/<uuid:pk>/pack", views.pack, name="pack"),
    path("orders/<uuid:pk>/labels", views.labels, name="labels"),
    path("packages/<uuid:pk>/label", views.label, name="label"),
    path("packages/<uuid:pk>/unpack", views.unpack, name="unpack"),
    path("shipping", views.package_list, name="list"),
    path("shipping/hand-over", views.hand_over, name="hand_over"),
    path("scan", views.scan, name="scan"),
]
