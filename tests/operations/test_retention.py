"""What is old is erased, what is open is not; by a clock that tests move on."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from gelatoconnect import retention
from gelatoconnect.lib import storage
from intake.imports import bring
from intake.models import Connector, Import, OrderRequest
from orders.events import sweep
from orders.models import Attempt, AuditEntry, Customer, Delivery, Event, Order, PrintFile, Product, Trigger
from orders.services import move
from shipping.models import Package
from tests.conftest import ApiClient, FileServer
from tests.connectors.walk import walk
from tests.factories import make_order

RULES = {rule.setting: rule for rule in retention.RULES}
DAYS = ("RECIPIENT", "BODY", "FILE", "DELIVERY", "IMPORT")


@pytest.fixture(autouse=True)
def keep_all(settings: Any) -> None:
    """Nothing is erased but what a test asks for."""
    for name in DAYS:
        setattr(settings, f"RETAIN_{name}_DAYS", 0)


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`after(89.9)`: so many days pass."""
    start = timezone.now()

    def pass_by(days: float) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: start + timedelta(days=days))

    return pass_by


@pytest.fixture
def submit(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], file_server: FileServer, good_pdf: bytes,
    customer: Customer,
) -> Callable[..., Order]:  # fmt: skip
    """`submit("A-1", to="delivered")`: an order that came by the API and went so far, its webhook refused."""
    url = file_server.add("ana-ruiz.pdf", good_pdf)
    Trigger.objects.create(name="mail", customer=customer, channel="email", address="staff@acme.example")

    def make(reference: str, *, to: str = "delivered") -> Order:
        answer = api.post("/api/orders", order_body(reference, url=url))
        order = Order.objects.get(pk=answer.json()["id"])
        if to == "received":
            return order
        order = walk(order, to="shipped" if to == "delivered" else to)
        return move(order, Order.arrive, by="user:ada") if to == "delivered" else order

    return make


def erase() -> dict[str, int]:
    """How many each rule erased; those that erased nothing left out."""
    counts = {name: rule.carry_out() for name, rule in RULES.items()}
    return {name: count for name, count in counts.items() if count}


def contents(order: Order) -> list[Path]:
    files = PrintFile.objects.filter(item__order=order).values_list("sha256", flat=True)
    labels = Package.objects.filter(order=order).values_list("label", flat=True)
    return [storage.path_of(sha256) for sha256 in (*files, *labels) if sha256]


def reports(order: Order) -> int:
    return Attempt.objects.filter(delivery__order=order).exclude(report={}, message="").count()


# --- what each rule lets go -------------------------------------------------------------------------------
def test_files_and_labels_go_on_the_day_that_the_setting_says(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None]
) -> None:
    settings.RETAIN_FILE_DAYS = 90
    order = submit("A-1")
    paths = contents(order)
    (file,) = PrintFile.objects.all()
    previews = storage.previews_of(file.sha256)
    assert ([path.exists() for path in paths], previews.exists()) == ([True, True], True)
    after(89.99)
    assert (erase(), [path.exists() for path in paths]) == ({}, [True, True])
    after(90.01)
    assert (erase(), [path.exists() for path in paths], previews.exists()) == (
        {"RETAIN_FILE_DAYS": 1}, [False, False], False)  # fmt: skip
    kept = PrintFile.objects.get()
    assert (kept.sha256, kept.previews, kept.url, kept.size) == ("", [], file.url, file.size)
    assert Order.objects.get().address.last_name == "Ruiz"
    assert Package.objects.get().tracking_code == Package.objects.get().tracking_code != ""


def test_a_file_that_an_open_order_prints_too_stays(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None]
) -> None:
    settings.RETAIN_FILE_DAYS = 90
    first, second = submit("A-1"), submit("A-2", to="created")
    (path,) = contents(second)
    after(100)
    assert (erase(), path.exists(), contents(first)) == ({"RETAIN_FILE_DAYS": 1}, True, [])


def test_what_came_in_goes_and_what_repeats_it_is_still_known(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None], api: ApiClient,
    order_body: Callable[..., dict[str, Any]],
) -> None:  # fmt: skip
    settings.RETAIN_BODY_DAYS = 30
    submit("A-1")
    key = OrderRequest.objects.get().fingerprint
    after(31)
    assert erase() == {"RETAIN_BODY_DAYS": 1}
    request = OrderRequest.objects.get()
    assert (bytes(request.body), request.headers, request.fingerprint) == (b"", {}, key)
    assert "Ana" not in request.answer


def test_a_request_that_became_no_order_counts_from_when_it_came(
    api: ApiClient, order_body: Callable[..., dict[str, Any]], settings: Any, after: Callable[[float], None]
) -> None:
    settings.RETAIN_BODY_DAYS = 30
    api.post("/api/orders", order_body() | {"items": []})
    after(29)
    assert erase() == {}
    after(31)
    # the request, and the event that says what was wrong with it
    assert erase() == {"RETAIN_BODY_DAYS": 2}
    assert (bytes(OrderRequest.objects.get().body), "Ana" in str(Event.objects.get().data)) == (b"", False)
    assert erase() == {}


def test_what_was_sent_goes(submit: Callable[..., Order], settings: Any, after: Callable[[float], None]) -> None:
    settings.RETAIN_DELIVERY_DAYS = 14
    order = submit("A-1")
    sweep()
    assert reports(order) > 0
    after(15)
    counts = erase()
    assert (reports(order), counts["RETAIN_DELIVERY_DAYS"] >= 1) == (0, True)
    assert Attempt.objects.count() > 0
    assert erase() == {}


def test_what_is_sent_again_long_after_the_end_goes_too(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None]
) -> None:
    settings.RETAIN_DELIVERY_DAYS = 14
    order = submit("A-1")
    after(15)
    erase()
    after(20)
    again = Delivery.objects.filter(order=order, listener__in=("trigger", "mail", "notify", "webhook")).first()
    again = again or Delivery.objects.filter(order=order).latest("id")
    Attempt.objects.create(delivery=again, at=timezone.now(), milliseconds=5, succeeded=True, report={"request": "Ana"})
    after(33)
    assert (erase(), reports(order)) == ({}, 1)
    after(35)
    assert (erase(), reports(order)) == ({"RETAIN_DELIVERY_DAYS": 1}, 0)


def test_mails_that_are_kept_as_files_go(
    db: None, settings: Any, tmp_path: Path, after: Callable[[float], None]
) -> None:
    settings.RETAIN_DELIVERY_DAYS, settings.EMAIL_FILE_PATH = 14, tmp_path
    for name, age in (("old.log", 15), ("new.log", 1)):
        (tmp_path / name).write_text("Ana")
        at = timezone.now().timestamp() - age * 86_400
        os.utime(tmp_path / name, (at, at))
    assert erase() == {"RETAIN_DELIVERY_DAYS": 1}
    assert [path.name for path in tmp_path.glob("*.log")] == ["new.log"]
    assert erase() == {}


def test_imported_files_go(customer: Customer, product: Product, settings: Any, after: Callable[[float], None]) -> None:
    settings.RETAIN_IMPORT_DAYS = 30
    raw = b"orderReferenceId,productUid,quantity,firstName,lastName\nI-1,card-a6,1,Ana,Ruiz\n"
    found = bring(raw, file_name="orders.csv", customer=customer, by="user:ada")
    paths = [storage.path_of(sha256) for sha256 in (found.sha256, found.report["preview"])]
    assert [path.exists() for path in paths] == [True, True]
    after(29)
    assert erase() == {}
    after(31)
    assert (erase(), [path.exists() for path in paths]) == ({"RETAIN_IMPORT_DAYS": 1}, [False, False])
    assert (Import.objects.get().sha256, Import.objects.get().orders) == ("", 1)


def test_an_import_that_runs_keeps_its_file(
    customer: Customer, product: Product, settings: Any, after: Callable[[float], None]
) -> None:
    settings.RETAIN_IMPORT_DAYS = 30
    found = bring(b"orderReferenceId,sku\nI-1,card-a6\n", file_name="orders.csv", customer=customer, by="user:ada")
    Import.objects.update(state="running")
    after(31)
    assert (erase(), storage.path_of(found.sha256).exists()) == ({}, True)


def test_recipients_go_and_everything_that_tells_of_them(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None], admin_client: Client
) -> None:
    settings.RETAIN_RECIPIENT_DAYS = 365
    order = submit("A-1")
    after(364)
    assert (erase(), Order.objects.get().address.last_name) == ({}, "Ruiz")
    after(366)
    assert (erase(), Order.objects.get().address.last_name) == ({"RETAIN_RECIPIENT_DAYS": 1}, "")
    assert Event.objects.filter(order=order).latest("sequence").kind == "order.forgotten"
    assert (bytes(OrderRequest.objects.get().body), reports(order)) == (b"", 0)
    assert erase() == {}
    admin_client.force_login(User.objects.get(username="admin"))  # the session has run out since
    assert admin_client.get(f"/orders/{order.pk}").status_code == 200


def test_pages_open_after_everything_went(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None], admin_client: Client
) -> None:
    for name in DAYS:
        setattr(settings, f"RETAIN_{name}_DAYS", 10)
    order = submit("A-1")
    after(11)
    erase()
    admin_client.force_login(User.objects.get(username="admin"))
    paths = ["/orders", f"/orders/{order.pk}", "/requests", f"/requests/{OrderRequest.objects.get().pk}", "/postbacks"]
    paths += [f"/postbacks/{pk}" for pk in Delivery.objects.values_list("pk", flat=True)]
    assert {path: admin_client.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


# --- when an order is over -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "status", ["draft", "received", "failed", "passed", "created", "in_production", "printed", "packaged"]
)
def test_open_orders_are_not_touched_however_old(
    db: None, status: str, settings: Any, after: Callable[[float], None]
) -> None:
    for name in DAYS:
        setattr(settings, f"RETAIN_{name}_DAYS", 1)
    make_order(status)
    after(4000)
    erase()
    order = Order.objects.get()
    assert (order.address.last_name, order.events.filter(kind="order.forgotten").exists()) == ("Ruiz", False)


@pytest.mark.parametrize("status", ["shipped", "in_transit"])
def test_a_parcel_that_nobody_scans_is_over_after_a_month(
    db: None, status: str, settings: Any, after: Callable[[float], None]
) -> None:
    settings.RETAIN_RECIPIENT_DAYS = 10
    make_order(status)
    after(39)
    assert erase() == {}
    after(41)
    assert erase() == {"RETAIN_RECIPIENT_DAYS": 1}


def test_an_order_that_came_back_counts_from_then(db: None, settings: Any, after: Callable[[float], None]) -> None:
    settings.RETAIN_RECIPIENT_DAYS = 10
    order = make_order("delivered")
    after(5)
    move(order, Order.come_back, by="user:ada", reason="Refused")
    after(11)
    assert (erase(), Order.objects.get().address.last_name) == ({}, "Ruiz")
    after(16)
    assert (erase(), Order.objects.get().address.last_name) == ({"RETAIN_RECIPIENT_DAYS": 1}, "")


def test_a_request_about_an_open_order_waits_for_its_end(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None], connector: Connector
) -> None:
    settings.RETAIN_BODY_DAYS = 10
    order = submit("A-1", to="created")
    Order.objects.filter(pk=order.pk).update(source_id="shop-1", connector=connector.pk)
    about = OrderRequest.objects.create(connector=connector, source_id="shop-1", body=b"Ana", fingerprint="f")
    after(11)
    assert (erase(), bytes(OrderRequest.objects.get(pk=about.pk).body)) == ({}, b"Ana")
    move(Order.objects.get(pk=order.pk), Order.cancel, by="user:ada")
    after(22)
    erase()
    assert set(OrderRequest.objects.values_list("body", flat=True)) == {b""}


# --- how it goes about it ----------------------------------------------------------------------------------
def test_it_goes_on_where_it_was_and_leaves_a_note(
    db: None, settings: Any, after: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETAIN_RECIPIENT_DAYS = 10
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "NOTED", 2)
    for _ in range(5):
        make_order("canceled")
    after(11)
    assert erase() == {"RETAIN_RECIPIENT_DAYS": 5}
    notes = AuditEntry.objects.filter(kind="retention").order_by("id")
    assert [(note.by, note.action, note.object_id) for note in notes] == [
        ("system", "erased", "recipients: canceled")
    ] * 3
    assert [note.changes["until"][0] for note in notes][1:] == [note.changes["until"][1] for note in notes][:-1]
    (step,) = (step for step in RULES["RETAIN_RECIPIENT_DAYS"].steps if step.name == "recipients: canceled")
    assert step.look(retention.reached(step), timezone.now()) == []
    make_order("canceled")
    after(40)
    assert erase() == {"RETAIN_RECIPIENT_DAYS": 1}


def test_one_that_fails_holds_up_no_other_and_is_tried_again(
    db: None, settings: Any, after: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETAIN_RECIPIENT_DAYS = 10
    first, second = make_order("canceled"), make_order("canceled")
    after(11)
    erase_order = retention.privacy.erase

    def fail(order: Order, *, by: str) -> bool:
        if order.pk == first.pk:
            raise OSError("The disk is away.")
        return erase_order(order, by=by)

    with monkeypatch.context() as patched:
        patched.setattr(retention.privacy, "erase", fail)
        assert erase() == {"RETAIN_RECIPIENT_DAYS": 1}
    names = dict(Order.objects.values_list("pk", "address__last_name"))
    assert names == {first.pk: "Ruiz", second.pk: ""}
    assert erase() == {"RETAIN_RECIPIENT_DAYS": 1}
    assert set(Order.objects.values_list("address__last_name", flat=True)) == {""}


def test_a_dry_run_says_what_would_go_and_changes_nothing(
    submit: Callable[..., Order], settings: Any, after: Callable[[float], None], capsys: pytest.CaptureFixture
) -> None:
    settings.RETAIN_FILE_DAYS = settings.RETAIN_BODY_DAYS = 10
    order = submit("A-1")
    after(11)
    call_command("retain", "--dry-run")
    assert capsys.readouterr().out.splitlines() == [
        "Print files and labels: 1 would be erased (RETAIN_FILE_DAYS=10)",
        "Requests as they came: 1 would be erased (RETAIN_BODY_DAYS=10)",
        "What was sent and answered: kept for ever (RETAIN_DELIVERY_DAYS=0)",
        "Imported files: kept for ever (RETAIN_IMPORT_DAYS=0)",
        "Recipients: kept for ever (RETAIN_RECIPIENT_DAYS=0)",
    ]
    assert ([path.exists() for path in contents(order)], AuditEntry.objects.filter(kind="retention").count()) == (
        [True, True], 0)  # fmt: skip
    call_command("retain")
    assert capsys.readouterr().out.splitlines()[0] == "Print files and labels: 1 erased (RETAIN_FILE_DAYS=10)"
    assert contents(order) == []


def test_walks_have_names_of_their_own() -> None:
    names = [step.name for rule in retention.RULES for step in rule.steps]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 60
