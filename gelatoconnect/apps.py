from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class GelatoConnectConfig(AppConfig):
    name = "gelatoconnect"

    def ready(self) -> None:
        from . import celery, checks, roles  # noqa: F401  # the application that hints are sent by; the system checks

        post_migrate.connect(roles.write_groups)


class SettingsConfig(AdminConfig):
    default_site = "gelatoconnect.site.Site"
