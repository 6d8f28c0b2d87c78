"""The customer's system: so many orders a second, each sent again under its Idempotency-Key until it is answered."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter, sleep, time

from bench.faults.history import Sent
from bench.faults.receiver import CONTEXT
from bench.senders import KEY, order_body

QUIET_KEY = "quiet:quiet"  # of the customer who is told of nothing
TOLD = "sxf"  # parts of orders that are sent by the one who is told of everything
AT_ONCE = 64  # orders that are being sent at the same time, at most
WAIT = 10.0  # seconds for one answer
PAUSE = 0.5  # seconds before the same order is sent again; twice as long each time,
LONGEST = 4.0  # and so long at most
PATIENCE = 240.0  # seconds after which it is given up


def part_of(number: int) -> str:
    """What is done with the order of this number: of 20, one is canceled by its sender and one has a broken file."""
    return "x" if number % 20 == 7 else "f" if number % 20 == 13 else "s"


@contextmanager
def sending(
    count: int, *, rate: float, port: int, files: str, prefix: str, share: float = 1.0
) -> "Iterator[Future[list[Sent]]]":
    """Begin to send, in a process of its own; the future says what came of it. share: of the good orders, how many are
    driven on to the end of their way; the others stay created."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        yield pool.submit(send, count, rate, port, files, prefix, share)


def send(count: int, rate: float, port: int, files: str, prefix: str, share: float) -> list[Sent]:
    begun = perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = []
        for number in range(count):
            sleep(max(0.0, begun + number / rate - perf_counter()))
            part = part_of(number)
            if part == "s" and number * share % 1 >= share:
                part = "c"
            sent.append(pool.submit(send_one, f"{prefix}-{number:05}{part}", port, files))
        return [each.result() for each in sent]


def send_one(reference: str, port: int, files: str) -> Sent:
    name = "broken.pdf" if reference.endswith("f") else "card.pdf"
    body = order_body(reference, url=f"{files}/{name}", items=1)
    key = KEY if reference[-1] in TOLD else QUIET_KEY
    attempts: list[tuple[float, float, int]] = []
    until, id = perf_counter() + PATIENCE, ""
    while not id and perf_counter() < until:
        started = time()
        status, answer = call(port, "/api/orders", body, {"Idempotency-Key": reference, "X-API-KEY": key})
        attempts.append((started, time(), status))
        if status in (200, 201):
            id = json.loads(answer)["id"]
        elif 0 < status < 500:
            break
        else:
            sleep(min(PAUSE * 2 ** (len(attempts) - 1), LONGEST))
    if id and reference.endswith("x"):
        _cancel(id, port, until)
    return Sent(reference, id, attempts)


def _cancel(id: str, port: int, until: float) -> None:
    """Until it is answered; that it is canceled already is an answer too."""
    while perf_counter() < until:
        if call(port, f"/api/orders/{id}/cancel", b"{}", {})[0] in (200, 409):
            return
        sleep(PAUSE)


def call(port: int, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and answer; 0 when none came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request("POST", path, body, {"X-API-KEY": KEY, "Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
