"""The Celery application, and the timetable: the one list of what runs regularly.

Celery only wakes; the database knows what is due. A message is lost without harm, so there is nothing to acknowledge
late, to retry or to store: no results, no countdowns, no durable broker.
"""

import os
from dataclasses import dataclass
from importlib import import_module
from time import monotonic
from typing import Any

from celery import Celery
from celery.signals import worker_init
from django.conf import settings

from gelatoconnect.lib import broker, later
from gelatoconnect.operations import heartbeats

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gelatoconnect.settings")

SPELL = 5.0  # seconds that one task sweeps: a worker that is asked to stop does so soon after


@dataclass(frozen=True, slots=True)
class Every:
    """`function`, a dotted path, is called without arguments when the clock starts and then every so many seconds.

    Several clocks may run at once, so whatever is listed must be safe to run twice at the same time.
    """

    seconds: float
    name: str
    function: str


TIMETABLE = [
    # The clock wakes the workers for this, and does it by itself only when nobody else does.
    Every(1, "sweep", "orders.events.sweep"),
    Every(60, "resume holds", "orders.services.resume_due"),
    Every(60, "tell delays", "orders.deadlines.tell_delays"),
    Every(300, "miss scans", "shipping.alerts.tell_unscanned"),
    Every(5, "ask channels", "intake.polling.pull_due"),
    Every(3600, "forget recipients", "orders.privacy.forget_due"),
    Every(3600, "erase what is old", "gelatoconnect.retention.erase_due"),
    Every(10, "heartbeat", "gelatoconnect.operations.heartbeats.beat"),
    Every(15, "count totals", "gelatoconnect.operations.totals.count"),
    Every(3600, "clear downloads", "gelatoconnect.lib.storage.clear_incoming"),
]

app = Celery("gelatoconnect")
app.set_default()


def configuration() -> dict[str, Any]:
    """Read when Celery is first used, not when it is imported: the settings may still be loading then."""
    return {
        "broker_url": broker.celery_url(settings.REDIS_URL),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # for ever
        # The default is to wait for a frozen broker for ever.
        "broker_transport_options": {
            "socket_timeout": 2,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        "task_default_queue": broker.QUEUE,
        "task_publish_retry": False,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # One spell, and one delivery at its end whose lease was renewed for as long as it can be.
        "task_time_limit": 960,
        "worker_concurrency": settings.WORKERS,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": 200,
        "worker_hijack_root_logger": False,
    }


app.add_defaults(configuration)


@app.task(name="sweep")
def sweep() -> None:
    """Deliver what is due for a spell. A worker that finds more than it can do at once wakes the next one."""
    heartbeats.beat("worker")
    events = import_module("orders.events")  # the models are loaded only after this module
    if len(events.due(limit=2)) > 1:
        later.wake()
    until = monotonic() + SPELL
    events.sweep(seconds=SPELL)
    if monotonic() >= until:
        later.wake()


@worker_init.connect
def refuse_to_wait_for_nothing(**_: Any) -> None:
    if not settings.REDIS_URL:
        raise SystemExit(
            "REDIS_URL is not set, so nothing wakes a worker: run `manage.py timetable --grace 0` instead."
        )
