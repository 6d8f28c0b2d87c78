"""Tell the workers that something is due. Only a hint: what is due stands in the database, and the timetable's sweep
finds it without any hint. So `wake` costs its caller nothing, never fails, and may be lost.
"""

import logging
import os
import threading
from queue import Empty, Full, Queue
from time import sleep

from celery import current_app
from django.conf import settings
from django.db import connection, transaction

from gelatoconnect.lib import broker
from gelatoconnect.lib.failpoints import reached

log = logging.getLogger(__name__)

GATHER = 0.02  # seconds in which hints become one batch
FRESH = 5  # seconds after which a message is of no use any more

_breaker = broker.Breaker()
_lock = threading.Lock()
_hints: Queue[None] | None = None


def wake() -> None:
    """Once the current transaction is committed (now, when there is none), let an idle worker look for due work."""
    if not settings.REDIS_URL:
        return
    if connection.in_atomic_block:
        transaction.on_commit(_hint, robust=True)
    else:
        _hint()


def reaches_nobody() -> bool:
    """Whether hints are in vain at present: there is no broker, or it does not answer."""
    return not settings.REDIS_URL or _breaker.is_open


def _hint() -> None:
    """More hints than workers say nothing more: the queue is as long as there are workers, the rest is dropped."""
    global _hints
    reached("wake")
    with _lock:
        if _hints is None:
            hints: Queue[None] = Queue(maxsize=settings.WORKERS)
            try:
                threading.Thread(target=_serve, args=(hints,), daemon=True, name="wake").start()
            except RuntimeError:  # the process is ending, or has no thread left to give
                return
            _hints = hints
    try:
        _hints.put_nowait(None)
    except Full:
        pass


def _forget() -> None:
    """A forked process has neither the thread nor a lock that is surely open."""
    global _hints, _lock
    _hints, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _serve(hints: "Queue[None]") -> None:
    while True:
        count = _gather(hints)
        if not _breaker.lets_pass():
            continue
        try:
            _publish(count)
        except Exception as error:  # whatever it was, the thread lives on
            if _breaker.failed():
                log.warning("The broker does not answer (%s): the timetable sweeps until it does.", error)
        else:
            _breaker.succeeded()


def _gather(hints: "Queue[None]") -> int:
    hints.get()
    sleep(GATHER)
    count = 1
    try:
        while True:
            hints.get_nowait()
            count += 1
    except Empty:
        return count


def _publish(count: int) -> None:
    """As many messages as hints, but never more waiting than this machine has workers: none pile up while all are away."""
    waiting = broker.client(settings.REDIS_URL).llen(broker.QUEUE)
    for _ in range(min(count, settings.WORKERS - waiting)):
        current_app.send_task("sweep", expires=FRESH)
