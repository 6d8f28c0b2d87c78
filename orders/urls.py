"""The staff's pages of orders."""

from django.urls import path

from orders.views import acting, analytics, audit, detail, endpoints, lists, mailbox, postbacks, replays, triggers

app_name = "orders"
urlpatterns = [
    path("orders", lists.order_list, name="list"),
    path("orders.csv", lists.order_csv, name="csv"),
    path("orders/bulk", lists.bulk, name="bulk"),
    path("orders/<uuid:pk>", detail.order_detail, name="detail"),
    path("orders/<uuid:pk>/act/<slug:verb>", acting.act, name="act"),
    path("orders/<uuid:pk>/amend/<slug:what>", acting.amend_order, name="amend"),
    path("orders/<uuid:pk>/files/<uuid:file>", detail.print_file, name="file"),
    path("orders/<uuid:pk>/files/<uuid:file>/previews/<int:page>", detail.preview, name="preview"),
    path("postbacks", postbacks.delivery_list, name="deliveries"),
    path("postbacks/again", postbacks.replay, name="replay"),
    path("postbacks/range", replays.replay_range, name="replay_range"),
    path("postbacks/range/<uuid:pk>", replays.replay_progress, name="replay_progress"),
    path("postbacks/<uuid:pk>", postbacks.delivery_detail, name="delivery"),
    path("postbacks/<uuid:pk>/attempts/<int:attempt>/html", postbacks.mail_html, name="mail_html"),
    path("endpoints/<uuid:pk>", endpoints.endpoint, name="endpoint"),
    path("endpoints/<uuid:pk>/on", endpoints.switch_on, name="endpoint_on"),
    path("triggers", triggers.trigger_list, name="triggers"),
    path("triggers/new", triggers.edit, name="trigger-new"),
    path("triggers/mails/<slug:token>", triggers.mail_preview, name="trigger-mail"),
    path("triggers/<uuid:pk>", triggers.edit, name="trigger"),
    path("triggers/<uuid:pk>/secret", triggers.exchange, name="trigger-secret"),
    path("triggers/<uuid:pk>/delete", triggers.delete, name="trigger-delete"),
    path("mailbox", mailbox.mail_list, name="mailbox"),
    path("mailbox/<str:file>/<int:number>", mailbox.mail_detail, name="mail"),
    path("mailbox/<str:file>/<int:number>/html", mailbox.mail_html, name="mail-html"),
    path("analytics", analytics.analytics, name="analytics"),
    path("audit", audit.audit_list, name="audit"),
    path("audit.csv", audit.audit_csv, name="audit-csv"),
    path("audit/<uuid:pk>", audit.audit_entry, name="audit-entry"),
]
