"""Print files that are uploaded after the order: to a signed address, whole or not at all, and the order goes on."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from gelatoconnect.lib import storage
from intake import uploads
from intake.models import Connector
from orders.drafts import DraftFile
from orders.events import hasten, sweep
from orders.models import Customer, Delivery, Event, Order, PrintFile, Product
from orders.services import move, place
from tests.factories import make_draft


@pytest.fixture
def waiting(connector: Connector, customer: Customer, product: Product) -> Callable[..., Order]:
    """`waiting(2)`: an order whose item waits for two files."""

    def make(count: int = 1) -> Order:
        draft = make_draft()
        names = ["default"] if count == 1 else [f"part{number}" for number in range(count)]
        draft.items[0].files = [DraftFile.handed_over(DraftFile(type=name, url=f"{name}.pdf")) for name in names]
        return place(draft, customer=customer, products=[product], by="connector:acme-shop", connector=connector.pk)

    return make


@pytest.fixture
def put() -> Callable[..., Any]:
    """`put(url, content)`: what a sender does with an address that it was given."""
    client = Client(raise_request_exception=False)

    def call(
        url: str, content: bytes, *, method: str = "PUT", content_type: str = "application/pdf", **more: Any
    ) -> Any:
        return client.generic(method, urlsplit(url).path, content, content_type=content_type, **more)

    return call


def files_of(order: Order) -> list[PrintFile]:
    return list(PrintFile.objects.filter(item__order=order))


def url_of(order: Order, place: int = 0) -> str:
    assert order.connector is not None
    return uploads.address_of(files_of(order)[place], order.connector)


def status_of(order: Order) -> str:
    return Order.objects.get(pk=order.pk).status


def left_behind() -> list[Any]:
    return list(storage.incoming_dir().iterdir())


def test_an_uploaded_file_is_kept_and_the_waiting_check_goes_on(waiting: Any, put: Any, good_pdf: bytes) -> None:
    order = waiting()
    sweep()
    assert status_of(order) == "received"  # the check has seen that nothing is there, and waits for hours
    assert Delivery.objects.get(listener="check").due > timezone.now() + timedelta(hours=2)
    answer = put(url_of(order), good_pdf)
    [file] = files_of(order)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "size": len(good_pdf), "sha256": file.sha256})
    assert (file.size, storage.path_of(file.sha256).read_bytes()) == (len(good_pdf), good_pdf)
    assert file.fetched_at is not None and left_behind() == []
    sweep()
    assert status_of(order) == "created"
    assert Event.objects.get(kind="order.file_uploaded").by == "connector:acme-shop"


def test_the_check_waits_until_the_last_file_is_there(waiting: Any, put: Any, good_pdf: bytes) -> None:
    order = waiting(2)
    sweep()
    put(url_of(order, 0), good_pdf)
    sweep()
    assert (status_of(order), Delivery.objects.get(listener="check").attempts) == ("received", 1)
    put(url_of(order, 1), good_pdf, method="POST")
    sweep()
    assert status_of(order) == "created"


def test_a_file_that_comes_while_the_check_is_at_work_is_not_missed(waiting: Any, put: Any, good_pdf: bytes) -> None:
    order = waiting()
    check = Delivery.objects.filter(listener="check")
    check.update(lease=order.pk, due=timezone.now() + timedelta(seconds=30))  # a worker has it, and saw no file
    put(url_of(order), good_pdf)
    sweep()
    wake = Delivery.objects.get(listener="wake")
    assert (wake.state, wake.attempts) == ("due", 1)
    check.update(lease=None, due=timezone.now() + timedelta(hours=2), attempts=1)  # it ends, to look again much later
    Delivery.objects.filter(pk=wake.pk).update(due=timezone.now())
    sweep()
    assert status_of(order) == "created"


def test_an_order_that_failed_for_want_of_its_file_is_tried_again(waiting: Any, put: Any, good_pdf: bytes) -> None:
    order = waiting()
    for _ in range(6):
        Delivery.objects.filter(listener="check").update(due=timezone.now())
        sweep()
    assert (status_of(order), Order.objects.get().problems[0]["code"]) == ("failed", "FILE_UPLOAD_MISSING")
    put(url_of(order), good_pdf)
    sweep()
    assert status_of(order) == "created"


def test_a_bad_file_is_replaced_and_the_order_tried_again(waiting: Any, put: Any, good_pdf: bytes) -> None:
    order = waiting()
    put(url_of(order), b"no PDF at all")
    sweep()
    assert status_of(order) == "failed"
    put(url_of(order), good_pdf)
    sweep()
    assert status_of(order) == "created"


def test_an_order_that_failed_for_another_reason_stays_failed(waiting: Any, put: Any, good_pdf: bytes) -> None:
    order = move(waiting(), Order.fail, by="system", reason="The paper is out.")
    put(url_of(order), good_pdf)
    sweep()
    assert (status_of(order), files_of(order)[0].size) == ("failed", len(good_pdf))


@pytest.mark.parametrize("status", ["canceled", "passed"])
def test_files_of_an_order_that_has_moved_on_are_fixed(waiting: Any, put: Any, status: str) -> None:
    order = waiting()
    url, moved = url_of(order), move(order, {"canceled": "cancel", "passed": "accept"}[status], by="user:ada")
    answer = put(url, b"%PDF-1.7")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "ORDER_STATUS_CONFLICT")
    assert answer["Content-Type"] == "application/problem+json"
    assert (files_of(order)[0].sha256, left_behind()) == ("", [])
    assert Event.objects.filter(order=moved).count() == 2  # as before


def _other(url: str) -> str:
    return url[:-1] + ("A" if url[-1] != "A" else "B")


def test_a_wrong_address_is_forbidden(waiting: Any, put: Any) -> None:
    order = waiting()
    url, stranger = url_of(order), Connector.objects.create(name="stranger")
    wrong = [_other(url), url.replace(str(order.connector), str(stranger.pk)), url.replace("files/", "files/x")]
    assert [put(each, b"%PDF").status_code for each in wrong] == [403, 403, 403]
    Connector.objects.filter(pk=order.connector).update(active=False)
    assert put(url, b"%PDF").status_code == 403
    assert (files_of(order)[0].sha256, left_behind()) == ("", [])


def test_an_address_expires(waiting: Any, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = url_of(waiting())
    monkeypatch.setattr(uploads, "MAX_AGE", -1)
    answer = put(url, b"%PDF")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "UPLOAD_EXPIRED")


def test_a_file_with_an_address_of_its_own_is_not_replaced(waiting: Any, put: Any) -> None:
    order = waiting()
    url = url_of(order)
    PrintFile.objects.update(url="https://files.example/mended.pdf")
    assert put(url, b"%PDF").status_code == 409


class _BreaksOff(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError("The client hung up.")


@pytest.mark.parametrize(
    ("content", "more", "status", "code"),
    [
        (b"", {"CONTENT_LENGTH": "0"}, 400, "FILE_EMPTY"),
        (b"x" * 101, {}, 413, "FILE_TOO_LARGE"),
        (b"short", {"CONTENT_LENGTH": "99", "wsgi.input": BytesIO(b"short")}, 400, "UPLOAD_INCOMPLETE"),
        (b"gone", {"wsgi.input": _BreaksOff()}, 400, "UPLOAD_INCOMPLETE"),
        (b"chunks", {"CONTENT_LENGTH": ""}, 411, "UPLOAD_LENGTH_MISSING"),
        (b"a=1", {"content_type": "multipart/form-data; boundary=x"}, 415, "UPLOAD_FORMAT"),
    ],
)  # fmt: skip
def test_what_is_no_whole_file_is_refused_and_nothing_is_kept(
    waiting: Any, put: Any, settings: Any, content: bytes, more: dict[str, Any], status: int, code: str
) -> None:
    settings.FETCH_MAX_BYTES = 100
    order = waiting()
    answer = put(url_of(order), content, **more)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert (files_of(order)[0].sha256, left_behind()) == ("", [])
    assert not Event.objects.filter(kind="order.file_uploaded").exists()


def test_files_larger_than_what_a_body_may_be_are_read_in_pieces(waiting: Any, put: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    content = b"0123456789" * 200_000
    assert put(url_of(waiting()), content).json()["size"] == 2_000_000


def test_only_files_are_taken_at_the_address(waiting: Any, put: Any) -> None:
    answer = put(url_of(waiting()), b"", method="GET")
    assert (answer.status_code, answer["Allow"]) == (405, "PUT, POST")


def test_only_a_delivery_that_waits_is_hastened(waiting: Any) -> None:
    order = waiting()
    later = timezone.now() + timedelta(hours=1)
    check = Delivery.objects.filter(listener="check")
    check.update(due=later, attempts=5)
    assert hasten(order, "check")
    assert (check.get().due < later, check.get().attempts) == (True, 0)
    check.update(due=later, lease=order.pk)
    assert not hasten(order, "check")
    assert check.get().due == later
    check.update(lease=None, state="done")
    assert hasten(order, "check")  # nothing waits: nothing to do
