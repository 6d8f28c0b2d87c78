"""A received order is judged on its real files, fetched from a real web server."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from gelatoconnect import specimens
from intake.models import FileFacts
from orders.events import sweep
from orders.forms import signable
from orders.models import Customer, Delivery, Event, Order, PrintFile, Product, ShipmentMethod
from orders.services import amend, move
from orders.sheets import sheets_of
from tests.conftest import ApiClient, FileServer

Body = Callable[..., dict[str, Any]]


@pytest.fixture
def submit(api: ApiClient, order_body: Body) -> Callable[..., Order]:
    """Submit, let everything due be done, and say how the order is now."""

    def submit(url: str, **changes: Any) -> Order:
        response = api.post("/api/orders", order_body(url=url, **changes))
        assert response.status_code == 201, response.content
        sweep()
        return Order.objects.get(pk=response.json()["id"])

    return submit


def codes(order: Order) -> list[str]:
    return [problem["code"] for problem in order.problems if problem["severity"] == "error"]


def due_now() -> None:
    Delivery.objects.filter(state="due").update(due=timezone.now() - timedelta(seconds=1))


def test_a_good_order_becomes_created_by_itself(submit: Any, file_server: FileServer, good_pdf: bytes) -> None:
    order = submit(file_server.add("card.pdf", good_pdf))
    assert (order.status, codes(order)) == ("created", [])
    assert [event.kind for event in order.events.order_by("sequence")] == [
        "order.received",
        "order.passed",
        "order.created",
    ]
    file = PrintFile.objects.get()
    assert (file.size, file.page_count, file.mime_type) == (len(good_pdf), 1, "application/pdf")
    assert [seen["page"] for seen in file.previews] == [1]
    assert order.items.get().page_count == 1


def test_the_preview_is_served_to_the_customers_key_only(
    submit: Any, file_server: FileServer, good_pdf: bytes, api: ApiClient
) -> None:
    order = submit(file_server.add("card.pdf", good_pdf))
    url = api.get(f"/api/orders/{order.pk}").json()["items"][0]["previews"][0]["url"]
    response = api.get(url)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/jpeg")
    assert api.get(url.replace("/previews/1", "/previews/9")).status_code == 404
    assert api.get(url, **{"X-API-KEY": "acme:wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("made", "code"),
    [
        ({"ppi": 60}, "IMG_PPI_LOW"),
        ({"bleed": 0}, "PAGE_BLEED_MISSING"),
        ({"trim": (90, 120)}, "PAGE_SIZE_MISMATCH"),
        ({"embed_fonts": False}, "FONT_NOT_EMBEDDED"),
        ({"encrypt": True}, "PDF_ENCRYPTED"),
        ({"pages": 3}, "PAGE_COUNT_MISMATCH"),
    ],
)
def test_a_bad_file_fails_the_order_and_says_what_where_and_how_to_mend_it(
    submit: Any, file_server: FileServer, made: dict[str, Any], code: str
) -> None:
    order = submit(file_server.add("bad.pdf", specimens.pdf(**{"trim": (105, 148), "bleed": 3, **made})))
    assert order.status == "failed"
    assert code in codes(order)
    assert all(problem["path"] == "/items/0/files/0" and problem["hint"] for problem in order.problems)


@pytest.mark.parametrize("content", [b"", b"<!doctype html><p>Sign in", b"%PDF-1.7 nothing else", b"\x00" * 5000])
def test_what_is_no_print_file_fails_the_order(submit: Any, file_server: FileServer, content: bytes) -> None:
    order = submit(file_server.add("x.pdf", content))
    assert order.status == "failed"
    assert codes(order) != []


def test_an_order_can_be_mended_and_tried_again(submit: Any, file_server: FileServer, good_pdf: bytes) -> None:
    order = submit(file_server.add("bad.pdf", specimens.pdf(trim=(105, 148), bleed=0)))
    file = PrintFile.objects.get()
    amend(order, by="user:ada", files={file.pk: file_server.add("good.pdf", good_pdf)})
    move(order, Order.retry, by="user:ada")
    sweep()
    assert Order.objects.get().status == "created"


def test_a_retry_fetches_the_file_anew_even_from_the_same_address(
    submit: Any, file_server: FileServer, good_pdf: bytes
) -> None:
    order = submit(file_server.add("card.pdf", b"<html>"))
    file_server.add("card.pdf", good_pdf)
    move(order, Order.retry, by="user:ada")
    sweep()
    assert Order.objects.get().status == "created"
    assert file_server.requests == ["/card.pdf", "/card.pdf"]


def test_the_same_content_in_a_second_order_is_not_looked_into_again(
    submit: Any, file_server: FileServer, good_pdf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(file_server.add("card.pdf", good_pdf))
    monkeypatch.setattr("intake.preflight.inspect", lambda *args, **more: 1 / 0)
    assert submit(file_server.add("again.pdf", good_pdf), orderReferenceId="ACME-2").status == "created"
    assert FileFacts.objects.count() == 1


def test_a_changed_threshold_judges_again_without_opening_the_file(
    submit: Any, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = file_server.add("coarse.pdf", specimens.pdf(trim=(105, 148), ppi=120))
    assert codes(submit(url)) == ["IMG_PPI_LOW"]
    monkeypatch.setattr("intake.preflight.inspect", lambda *args, **more: 1 / 0)
    Product.objects.update(ppi_error=100, ppi_warning=110)
    assert submit(url, orderReferenceId="ACME-2").status == "created"


def test_a_file_that_is_not_there_fails_the_order_at_once(submit: Any, file_server: FileServer) -> None:
    order = submit(file_server.add("gone.pdf", 404))
    assert (order.status, codes(order)) == ("failed", ["FILE_DOWNLOAD_NOT_FOUND"])


def test_an_unreachable_file_is_tried_again_and_then_fails_the_order_with_the_reason(
    submit: Any, file_server: FileServer
) -> None:
    order = submit(file_server.add("busy.pdf", 503))
    tries = 1
    while order.status == "received":
        assert Delivery.objects.get(listener="check").state == "due"
        due_now()
        sweep()
        tries += 1
        order = Order.objects.get()
    assert (order.status, codes(order), tries) == ("failed", ["FILE_DOWNLOAD_FAILED"], 6)


def test_a_passing_outage_only_delays_the_order(submit: Any, file_server: FileServer, good_pdf: bytes) -> None:
    order = submit(file_server.add("busy.pdf", 503))
    assert order.status == "received"
    file_server.add("busy.pdf", good_pdf)
    due_now()
    sweep()
    assert Order.objects.get().status == "created"


def test_a_file_inside_our_network_is_refused_without_a_connection(
    submit: Any, file_server: FileServer, settings: Any, good_pdf: bytes
) -> None:
    url = file_server.add("card.pdf", good_pdf)
    settings.FETCH_ALLOWED_HOSTS = []
    order = submit(url)
    assert (order.status, codes(order)) == ("failed", ["FILE_URL_FORBIDDEN"])
    assert file_server.requests == []


def test_a_file_with_another_checksum_than_announced_fails_the_order(
    submit: Any, file_server: FileServer, good_pdf: bytes, order_body: Body
) -> None:
    items = order_body()["items"]
    items[0]["files"] = [{"url": file_server.add("card.pdf", good_pdf), "md5": "0" * 32}]
    assert codes(submit("unused", items=items)) == ["FILE_HASH_MISMATCH"]


def test_an_item_without_a_file_fails_the_order(submit: Any, order_body: Body) -> None:
    items = [order_body()["items"][0] | {"files": []}]
    assert codes(submit("unused", items=items)) == ["FILE_MISSING"]


def test_orders_of_a_customer_who_approves_wait_for_a_person(
    submit: Any, file_server: FileServer, good_pdf: bytes, customer: Customer
) -> None:
    Customer.objects.update(requires_approval=True)
    order = submit(file_server.add("card.pdf", good_pdf))
    assert order.status == "passed"
    assert move(order, Order.release, by="user:ada").status == "created"


def test_a_held_order_is_released_once_it_is_resumed(submit: Any, file_server: FileServer, good_pdf: bytes) -> None:
    order = submit(file_server.add("busy.pdf", 503))
    amend(order, by="user:ada", hold=("wait", None))
    file_server.add("busy.pdf", good_pdf)
    due_now()
    sweep()
    assert Order.objects.get().status == "passed"
    amend(order, by="user:ada", hold=None)
    sweep()
    assert Order.objects.get().status == "created"


def test_a_canceled_order_is_not_judged(submit: Any, file_server: FileServer, good_pdf: bytes) -> None:
    order = submit(file_server.add("busy.pdf", 503))
    move(order, Order.cancel, by="user:ada")
    due_now()
    sweep()
    assert [event.kind for event in Event.objects.order_by("sequence")] == ["order.received", "order.canceled"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: Product.objects.update(available=False), "PRODUCT_UNAVAILABLE"),
        (lambda: Product.objects.update(quantity_min=5), "ITEM_QUANTITY_RANGE"),
        (lambda: Product.objects.update(quantity_max=1), "ITEM_QUANTITY_RANGE"),
        (lambda: Product.objects.update(countries=["DE"]), "DESTINATION_NOT_ALLOWED"),
        (lambda: Customer.objects.update(countries=["DE"]), "DESTINATION_NOT_ALLOWED"),
    ],
)
def test_a_business_rule_fails_the_order(
    submit: Any, file_server: FileServer, good_pdf: bytes, change: Callable[[], None], code: str
) -> None:
    change()
    order = submit(file_server.add("card.pdf", good_pdf))
    assert (order.status, codes(order)) == ("failed", [code])


def test_the_producers_own_destinations_hold_for_all(
    submit: Any, file_server: FileServer, good_pdf: bytes, settings: Any
) -> None:
    settings.DESTINATIONS = ["SE"]
    assert codes(submit(file_server.add("card.pdf", good_pdf))) == ["DESTINATION_NOT_ALLOWED"]


def test_one_preferred_shipment_method_must_reach_the_destination(
    submit: Any, file_server: FileServer, good_pdf: bytes
) -> None:
    ShipmentMethod.objects.create(uid="express", name="Express", countries=["DE"])
    url = file_server.add("card.pdf", good_pdf)
    assert codes(submit(url, shipmentMethodUid="nope")) == ["SHIPMENT_METHOD_UNKNOWN"]
    assert codes(submit(url, shipmentMethodUid="express")) == ["SHIPMENT_METHOD_DESTINATION"]
    ShipmentMethod.objects.create(uid="normal", name="Normal")
    assert submit(url, shipmentMethodUid="express, normal").status == "created"


def test_a_parcel_across_a_customs_border_needs_values_and_descriptions(
    submit: Any, file_server: FileServer, good_pdf: bytes, order_body: Body, product: Product
) -> None:
    Product.objects.update(hs_code="")
    url = file_server.add("card.pdf", good_pdf)
    address = order_body()["shippingAddress"] | {"country": "SE", "postCode": "211 42", "city": "Malmö", "phone": ""}
    order = submit(url, shippingAddress=address, currency="")
    assert codes(order) == ["CUSTOMS_CURRENCY_MISSING", "CUSTOMS_VALUE_MISSING", "CUSTOMS_PRODUCT_INCOMPLETE"]


def test_every_problem_is_said_at_once(submit: Any, file_server: FileServer) -> None:
    Product.objects.update(available=False, quantity_max=1)
    order = submit(file_server.add("gone.pdf", 404))
    assert sorted(codes(order)) == ["FILE_DOWNLOAD_NOT_FOUND", "ITEM_QUANTITY_RANGE", "PRODUCT_UNAVAILABLE"]


def test_a_finding_that_a_person_signs_off_passes_with_the_reason_in_the_history(
    submit: Any, file_server: FileServer
) -> None:
    order = submit(file_server.add("bad.pdf", specimens.pdf(trim=(105, 148), ppi=60)))
    findings = [{name: found[name] for name in ("code", "path", "sha256")} for found in signable(order)]
    assert [finding["code"] for finding in findings] == ["IMG_PPI_LOW"]
    amend(order, by="user:ada", reason="The customer wants it so", sign_off=findings)
    move(order, Order.retry, by="user:ada")
    sweep()
    order = Order.objects.get()
    assert (order.status, codes(order)) == ("created", [])
    assert Event.objects.get(kind="order.signed_off").data["reason"] == "The customer wants it so"


def test_a_sign_off_holds_only_for_the_content_it_was_given_for(submit: Any, file_server: FileServer) -> None:
    order = submit(file_server.add("bad.pdf", specimens.pdf(trim=(105, 148), ppi=60)))
    findings = [{name: found[name] for name in ("code", "path", "sha256")} for found in signable(order)]
    amend(order, by="user:ada", reason="fine", sign_off=findings)
    file_server.add("bad.pdf", specimens.pdf(trim=(105, 148), ppi=50, seed=5))
    move(order, Order.retry, by="user:ada")
    sweep()
    assert codes(Order.objects.get()) == ["IMG_PPI_LOW"]


def test_a_file_that_cannot_be_read_cannot_be_signed_off(submit: Any, file_server: FileServer) -> None:
    assert signable(submit(file_server.add("x.pdf", b"<html>"))) == []


def test_a_file_with_three_faults_says_all_three_and_passes_once_it_is_mended(
    submit: Any, file_server: FileServer, good_pdf: bytes
) -> None:
    bad = specimens.pdf(trim=(105, 148), ppi=90, embed_fonts=False, bleed=0)
    order = submit(file_server.add("bad.pdf", bad))
    assert (order.status, set(codes(order))) == ("failed", {"IMG_PPI_LOW", "FONT_NOT_EMBEDDED", "PAGE_BLEED_MISSING"})
    numbered = [problem | {"number": number} for number, problem in enumerate(order.problems)]
    coarse = next(problem["number"] for problem in numbered if problem["code"] == "IMG_PPI_LOW")
    sheet = sheets_of(PrintFile.objects.get(), order.items.get().product, numbered)[0]
    assert coarse in [mark.number for mark in sheet.boxed]
    amend(order, by="user:ada", files={PrintFile.objects.get().pk: file_server.add("good.pdf", good_pdf)})
    move(order, Order.retry, by="user:ada")
    sweep()
    assert Order.objects.get().status == "created"
