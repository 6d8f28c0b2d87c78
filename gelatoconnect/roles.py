"""The roles of a print shop's staff, as groups: the one table of who may do what."""

from contextlib import nullcontext
from typing import Any

from django.db import connection

ROLES: dict[str, list[str]] = {
    "Administrator": ["*"],
    "Manager": [
        "view",
        "orders.cancel_order",
        "orders.retry_order",
        "orders.release_order",
        "orders.reprocess_order",
        "orders.amend_order",
        "orders.produce_order",
        "orders.pack_order",
        "orders.ship_order",
        "orders.export_order",
        "orders.view_analytics",
        "orders.replay_delivery",
        "orders.add_trigger",
        "orders.change_trigger",
        "intake.process_orderrequest",
        "orders.add_customerproduct",
        "orders.change_customerproduct",
        "intake.import_orders",
    ],
    "Accountant": ["view", "orders.export_order", "orders.view_analytics"],
    "Packaging user": ["orders.view_order", "orders.pack_order", "orders.ship_order"],
    "Print operator": ["orders.view_order", "orders.produce_order"],
}
APPS = ("orders", "intake", "shipping")
SEALED = {"orders.view_auditentry"}  # is no part of "view"


def write_groups(sender: Any = None, **_: Any) -> None:
    """Bring the groups in line with ROLES; runs after every migrate. Audited once there is a person whose rights change."""
    from django.contrib.auth.models import Group, Permission, User

    from orders import audit

    ours = Permission.objects.filter(content_type__app_label__in=(*APPS, "auth")).select_related("content_type")
    known = {f"{permission.content_type.app_label}.{permission.codename}": permission for permission in ours}
    for role, granted in ROLES.items():
        group, _new = Group.objects.get_or_create(name=role)
        wanted = {permission for name, permission in known.items()
                  if "*" in granted or name in granted or ("view" in granted and _is_view(name))}  # fmt: skip
        if set(group.permissions.all()) != wanted:
            with audit.watch(group, by="system") if _has_audit() and User.objects.exists() else nullcontext():
                group.permissions.set(wanted)


def _is_view(name: str) -> bool:
    return name.split(".")[1].startswith("view_") and name not in SEALED


def _has_audit() -> bool:
    """Not before the first migration of orders, nor after its last was taken back."""
    return "orders_auditentry" in connection.introspection.table_names()
