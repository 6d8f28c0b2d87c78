"""A poller in a process of its own. Models can be imported only when Django is set up there."""

from importlib import import_module
from uuid import UUID


def poll(connector: UUID | None, allowed: str) -> int:
    """Ask the channel once; says how many files were taken. None: only get ready. allowed: a host that may be called."""
    import_module("django").setup()
    import_module("django.conf").settings.FETCH_ALLOWED_HOSTS = [allowed] if allowed else []
    polling, models = import_module("intake.polling"), import_module("intake.models")
    if connector is None:
        return 0
    return polling.pull(models.Connector.objects.select_related("customer").get(pk=connector))
