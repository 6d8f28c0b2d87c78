"""Orders that come in and are looked into without a pause, until a file appears: a process of the tests of backups."""

import sys
from itertools import count
from pathlib import Path
from threading import Thread
from uuid import uuid4

import django

django.setup()

from django.test import Client  # noqa: E402

from orders.events import sweep  # noqa: E402
from tests.flow import shop  # noqa: E402


def main(stop: Path, files: list[str]) -> None:
    def submit() -> None:
        client = Client(headers={"X-API-KEY": shop.KEY, "Host": "localhost"})
        for number in count():
            if stop.exists():
                return
            body = {
                "orderReferenceId": f"B-{uuid4()}", "currency": "EUR",
                "shippingAddress": {"firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Karl Johans gate 4",
                                    "city": "Oslo", "postCode": "0154", "country": "NO", "email": "ana@example.com"},
                "items": [{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 1,
                           "files": [{"url": files[number % len(files)]}]}],
            }  # fmt: skip
            answer = client.post("/api/orders", body, content_type="application/json")
            assert answer.status_code == 201, answer.content

    def work() -> None:
        while not stop.exists():
            sweep(seconds=0.5)

    threads = [Thread(target=each) for each in (submit, submit, work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
