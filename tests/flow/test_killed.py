"""kill -9 where it hurts: what was accepted is never lost and never done twice."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from time import sleep
from typing import Any

from tests.flow.house import CustomerSite, House, until

SENDERS, KILLS = 4, 3


def test_an_order_is_created_though_its_worker_was_killed_in_the_middle_of_the_download(
    house: House, site: CustomerSite, order_body: Callable[..., dict[str, Any]], good_pdf: bytes
) -> None:
    url = site.add("slow.pdf", good_pdf, held=True)
    id = house.submit(order_body("SLOW-1", url=url))
    until(lambda: "/slow.pdf" in site.asked)
    # Whoever it is that downloads: the workers, and the clock that does their work when they are slow.
    for process in house.processes("celery") + house.processes("timetable"):
        process.send_signal(signal.SIGKILL)
    sleep(0.2)
    assert house.order(id)["fulfillmentStatus"] == "received"

    site.held["/slow.pdf"].set()
    # The lease of the killed worker would run out by itself; here its time is over.
    house.ask("UPDATE orders_delivery SET due = '2020-01-01 00:00:00' WHERE state = 'due' AND listener = 'check'")
    house.wait_for(id, "created")

    assert site.asked.count("/slow.pdf") == 2
    kinds = [
        kind for (kind,) in house.ask("SELECT kind FROM orders_event WHERE order_id = ? ORDER BY sequence", hex_(id))
    ]
    assert kinds == ["order.received", "order.passed", "order.created"]


def test_every_accepted_order_is_stored_once_though_web_workers_are_killed_while_it_is_sent(
    house: House, site: CustomerSite, order_body: Callable[..., dict[str, Any]], good_pdf: bytes
) -> None:
    body = partial(order_body, url=site.add("storm.pdf", good_pdf))
    senders = [Sender(house, body, f"STORM-{number}") for number in range(SENDERS)]
    killed = [kill_a_web_worker(house) for _ in range(KILLS)]
    for sender in senders:
        sender.finish()

    accepted = sorted(pair for sender in senders for pair in sender.accepted)
    assert len(set(killed)) == KILLS
    assert sum(sender.unanswered for sender in senders) > 0
    assert sorted(house.ask("SELECT reference, id FROM orders_order WHERE reference LIKE 'STORM-%'")) == accepted
    waiting = "SELECT id FROM orders_order WHERE reference LIKE 'STORM-%' AND status <> 'created'"
    until(lambda: not house.ask(waiting), seconds=30)


class Sender:
    """A careful customer's system: the same request under the same Idempotency-Key until it is answered, then the next."""

    def __init__(self, house: House, body: Callable[..., dict[str, Any]], name: str) -> None:
        self.house, self.body, self.name = house, body, name
        self.accepted: list[tuple[str, str]] = []  # reference and id
        self.unanswered = 0
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._work = self._pool.submit(self._send_on)

    def finish(self) -> None:
        self._stop.set()
        self._work.result(timeout=20)
        self._pool.shutdown()

    def _send_on(self) -> None:
        for number in count():
            reference = f"{self.name}-{number}"
            self.accepted.append((reference, until(partial(self._send, reference))))
            if self._stop.is_set():
                return

    def _send(self, reference: str) -> str:
        """The order's id, as the database holds it; empty when nobody answered."""
        try:
            status, answer = self.house.call(
                "POST", "/api/orders", self.body(reference), **{"Idempotency-Key": reference}
            )
        except OSError:
            self.unanswered += 1
            return ""
        assert status in (200, 201), answer
        return hex_(answer["id"])


def kill_a_web_worker(house: House) -> int:
    """One of the processes that answer requests, while both of them do."""
    workers = until(lambda: len(found := house.processes("granian")[1:]) == 2 and found)
    sleep(0.3)
    workers[0].send_signal(signal.SIGKILL)
    workers[0].wait()
    return workers[0].pid


def hex_(id: str) -> str:
    """An id as SQLite holds it."""
    return id.replace("-", "")
