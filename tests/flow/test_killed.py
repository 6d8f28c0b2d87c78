"""kill -9 where it hurts: what was accepted is never lost and never done twice."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

from tests.flow.house import CustomerSite, House, until

SENDERS, EACH = 4, 15  # orders that each sender has
KILLS = 4


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
    # The lease of the killed worker would end within a minute; here that minute is over.
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
    url = site.add("storm.pdf", good_pdf)
    bodies = [order_body(f"STORM-{number}", url=url) for number in range(SENDERS * EACH)]
    with ThreadPoolExecutor(SENDERS) as senders:
        sent = [senders.submit(send_until_accepted, house, body) for body in bodies]
        killed = [kill_a_web_worker(house) for _ in range(KILLS)]
        accepted = {body["orderReferenceId"]: each.result() for body, each in zip(bodies, sent, strict=True)}

    assert len(set(killed)) == KILLS
    rows = house.ask("SELECT reference, id FROM orders_order WHERE reference LIKE 'STORM-%'")
    assert sorted(rows) == sorted((reference, hex_(id)) for reference, id in accepted.items())
    for id in accepted.values():
        house.wait_for(id, "created")


def send_until_accepted(house: House, body: dict[str, Any]) -> str:
    """As a careful sender does: the same request under the same Idempotency-Key until there is an answer."""

    def send() -> str:
        try:
            status, answer = house.call("POST", "/api/orders", body, **{"Idempotency-Key": body["orderReferenceId"]})
        except OSError:
            return ""
        assert status in (200, 201), answer
        return answer["id"]

    return until(send, seconds=20)


def kill_a_web_worker(house: House) -> int:
    """One of the processes that answer requests, as soon as there is one besides the head of them."""
    workers = until(lambda: house.processes("granian")[1:])
    workers[0].send_signal(signal.SIGKILL)
    sleep(0.4)
    return workers[0].pid


def hex_(id: str) -> str:
    """An id as SQLite holds it."""
    return id.replace("-", "")
