"""The folder as a channel: whole files become orders once, and are moved away with what became of them."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from gelatoconnect.lib import storage
from intake import pipeline, polling
from intake.connectors.folder import scan as scanning
from intake.models import Connector, Mapping, OrderRequest
from orders.models import Order, PrintFile
from tests.connectors.walk import walk

NOW = {"stable_seconds": 0, "ready": "rename", "interval": 1}


class Box:
    """A folder of this machine that is a customer's channel: `put` lays a file into it, `scan` looks into it once."""

    def __init__(self, home: Path, connector: Connector) -> None:
        self.home, self.connector = home, connector

    def put(self, name: str, content: Any, *, inbox: str = "in") -> Path:
        path = self.home / inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def scan(self, *, after: float = 0) -> int:
        """After so many seconds more."""
        connector = Connector.objects.select_related("customer").get(pk=self.connector.pk)
        with at(timezone.now() + timedelta(seconds=after)):
            return polling.pull(connector)

    @property
    def files(self) -> list[str]:
        """What lies in it, without the folders that are always there."""
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file())

    @property
    def error(self) -> str:
        return Connector.objects.get(pk=self.connector.pk).pull_error


def at(moment: datetime) -> Any:
    return mock.patch("django.utils.timezone.now", return_value=moment)


def zipped(**members: Any) -> bytes:
    said = io.BytesIO()
    with zipfile.ZipFile(said, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return said.getvalue()


@pytest.fixture
def box(channel: Callable[..., Connector], settings: Any, tmp_path: Path) -> Callable[..., Box]:
    settings.FOLDERS_ROOT = tmp_path / "folders"

    def make(**config: Any) -> Box:
        return Box(tmp_path / "folders" / "acme", channel("folder", path="acme", **NOW | config))

    return make


def references() -> list[str]:
    return sorted(Order.objects.values_list("reference", flat=True))


def test_an_order_with_its_print_file_is_taken_and_both_are_moved(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box()
    here.put("grüße an alle.json", order_body("F-1", url="files/card.pdf"))
    here.put("files/card.pdf", good_pdf)
    here.put("readme.pdf", b"not asked for")
    assert (here.scan(), here.error) == (1, "")
    assert here.files == ["in/readme.pdf", "processed/files/card.pdf", "processed/grüße an alle.json"]
    order, request = Order.objects.get(), OrderRequest.objects.get()
    assert (order.reference, order.source["file"], request.topic) == ("F-1", "grüße an alle.json", "grüße an alle.json")
    file = PrintFile.objects.get()
    assert file.url == "handed-over:files/card.pdf"
    assert storage.path_of(file.sha256).read_bytes() == good_pdf
    assert storage.path_of(request.headers["file-sha256"]).exists()
    assert here.scan() == 0
    assert walk(order).status == "shipped"


def test_a_file_of_several_orders_makes_each_of_them_and_says_which_were_refused(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box()
    bad = order_body("F-2")
    del bad["shippingAddress"]["city"]
    here.put("many.json", {"orders": [order_body("F-1"), bad, order_body("F-3")]})
    here.scan()
    assert references() == ["F-1", "F-3"]
    assert here.files == ["failed/many.json", "failed/many.json.error.txt"]
    said = (here.home / "failed/many.json.error.txt").read_text()
    assert "Order 2 of 3:\n- " in said and "(/shippingAddress/city)" in said and "F-1" not in said
    assert list(OrderRequest.objects.filter(state="rejected").values_list("reference", "topic")) == [
        ("F-2", "many.json")
    ]

    mended = json.loads((here.home / "failed/many.json").read_bytes())
    (here.home / "failed/many.json").rename(here.home / "in/many.json")
    here.scan()  # put back as it is: nothing is made twice, the bad one is refused again
    assert (references(), OrderRequest.objects.filter(state="rejected").count()) == (["F-1", "F-3"], 2)
    (here.home / "failed/many.json").unlink()
    mended["orders"] = [mended["orders"][1] | {"shippingAddress": order_body()["shippingAddress"]}]
    here.put("many.json", mended)
    here.scan()
    assert references() == ["F-1", "F-2", "F-3"]
    assert here.files == ["processed/many.json"]


def test_the_same_content_under_another_name_is_known(box: Callable[..., Box], order_body: Callable[..., Any]) -> None:
    here = box()
    for name in ("a.json", "b.json"):
        here.put(name, order_body("F-1"))
        here.scan()
    assert references() == ["F-1"]
    assert here.files == ["processed/a.json", "processed/b.json", "processed/b.json.note.txt"]
    here.put("a.json", order_body("F-2"))
    here.scan()
    assert references() == ["F-1", "F-2"]
    dated = [name for name in here.files if name.endswith(" a.json")]
    assert len(dated) == 1 and dated[0].startswith(f"processed/{timezone.now():%Y-%m-%dT}")


def test_a_request_that_a_person_mended_is_not_made_again_when_its_file_is_put_back(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box()
    bad = order_body("F-1") | {
        "items": [{"productUid": "no-such-card", "files": [{"url": "https://files.example/a.pdf"}]}]
    }
    here.put("a.json", bad)
    here.scan()
    pipeline.process_again(OrderRequest.objects.get(), by="user:ada", body=json.dumps(order_body("F-1")).encode())
    assert references() == ["F-1"]
    (here.home / "failed/a.json").rename(here.home / "in/a.json")
    here.scan()
    assert references() == ["F-1"]


def test_tables_and_xml_are_read_and_orders_may_lack_what_the_settings_say(
    box: Callable[..., Box], product: Any
) -> None:
    here = box(currency="NOK")
    here.put("rows.csv", "orderReferenceId;firstName;addressLine1;city;postCode;country;productUid;quantity;fileUrl\r\n"
             "C-1;Jürgen;Gate 4;Oslo;0154;NO;card-a6;2;https://files.example/a.pdf\r\n"
             "C-1;Jürgen;Gate 4;Oslo;0154;NO;card-a6;1;https://files.example/b.pdf\r\n"
             "C-2;Ana;Gate 4;Oslo;0154;NO;card-a6;1;https://files.example/b.pdf\r\n".encode("cp1252"))  # fmt: skip
    here.put("one.xml", b"<order><orderReferenceId>X-1</orderReferenceId><shippingAddress><firstName>Ana</firstName>"
             b"<addressLine1>Gate 4</addressLine1><city>Oslo</city><postCode>0154</postCode><country>NO</country>"
             b"</shippingAddress><items><item><productUid>card-a6</productUid><files><file>"
             b"<url>https://files.example/a.pdf</url></file></files></item></items></order>")  # fmt: skip
    here.scan()
    assert references() == ["C-1", "C-2", "X-1"]
    first = Order.objects.get(reference="C-1")
    assert (first.currency, first.item_count, first.address.first_name) == ("NOK", 2, "Jürgen")
    assert here.files == ["processed/one.xml", "processed/rows.csv"]


def test_a_mapping_reads_the_senders_own_words(box: Callable[..., Box], product: Any) -> None:
    here = box(group_by="Nr")
    Mapping.objects.create(connector=here.connector, version=1, by="ada", submit="""{
        "orderReferenceId": {{ request[0].Nr | tojson }}, "currency": "EUR",
        "shippingAddress": {"firstName": "Ana", "addressLine1": "Gate 4", "city": "Oslo", "postCode": "0154",
                            "country": "NO"},
        "items": [{% for row in request %}{"productUid": "card-a6", "quantity": {{ row.Menge | int }},
                   "files": [{"url": {{ row.Datei | tojson }}}]}
                  {% if not loop.last %},{% endif %}{% endfor %}]}""")  # fmt: skip
    here.put("liste.csv", b"Nr;Menge;Datei\n7;2;a.pdf\n8;1;b.pdf\n7;1;b.pdf\n")
    here.put("a.pdf", b"%PDF a")
    assert here.scan() == 0  # b.pdf is not there yet
    here.put("b.pdf", b"%PDF b")
    assert here.scan() == 1
    assert [(order.reference, order.item_count) for order in Order.objects.order_by("reference")] == [
        ("7", 2),
        ("8", 1),
    ]
    assert here.files == ["processed/a.pdf", "processed/b.pdf", "processed/liste.csv"]


# --- whole files ------------------------------------------------------------------------------------
def test_a_file_that_still_changes_is_not_read(box: Callable[..., Box], order_body: Callable[..., Any]) -> None:
    here, whole = box(ready="stable", stable_seconds=60), json.dumps(order_body("F-1")).encode()
    path = here.put("a.json", whole[:100])
    assert [here.scan(after=seconds) for seconds in (0, 40, 80, 120)] == [0, 0, 0, 0]  # unchanged, but no JSON yet
    path.write_bytes(whole)
    assert [here.scan(after=seconds) for seconds in (160, 161, 195)] == [0, 0, 0]
    assert (OrderRequest.objects.count(), here.files) == (0, ["in/a.json"])
    assert here.scan(after=230) == 1
    assert references() == ["F-1"]


def test_a_file_that_never_becomes_whole_is_refused_after_a_while(box: Callable[..., Box]) -> None:
    here = box(ready="stable", stable_seconds=0, wait_minutes=10)
    here.put("a.json", b'{"orderReferenceId": ')
    assert [here.scan(after=seconds) for seconds in (0, 60, 120, 599)] == [0, 0, 0, 0]
    assert here.scan(after=601) == 1
    assert here.files == ["failed/a.json", "failed/a.json.error.txt"]
    request = OrderRequest.objects.get()
    assert (request.state, request.problems[0]["code"], bytes(request.body)) == (
        "rejected", "JSON_MALFORMED", b'{"orderReferenceId": ')  # fmt: skip


def test_a_marker_says_that_a_file_and_its_print_files_are_whole(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box(ready="marker")
    here.put("a.json", order_body("F-1", url="card.pdf"))
    here.put("card.pdf", good_pdf)
    assert here.scan() == 0
    here.put("a.json.done", b"")
    assert here.scan() == 1
    assert (references(), here.files) == (["F-1"], ["processed/a.json", "processed/card.pdf"])


def test_a_file_with_the_name_of_an_unfinished_one_is_left_alone(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box()
    names = [".a.json", "a.json.part", "a.json.filepart", "a.tmp", "~a.json"]
    for name in names:
        here.put(name, order_body("F-1"))
    assert here.scan() == 0
    assert (references(), here.files) == ([], sorted(f"in/{name}" for name in names))
    (here.home / "in/a.json.part").rename(here.home / "in/a.json")
    assert (here.scan(), references()) == (1, ["F-1"])


def test_a_print_file_that_never_comes_refuses_the_order_after_a_while(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box(wait_minutes=30)
    here.put("a.json", order_body("F-1", url="card.pdf"))
    assert [here.scan(after=seconds) for seconds in (0, 60, 1_799)] == [0, 0, 0]
    assert OrderRequest.objects.count() == 0
    assert here.scan(after=1_801) == 1
    said = (here.home / "failed/a.json.error.txt").read_text()
    assert (
        "The print file 'card.pdf' did not come with the order file. (/items/0/files/0/url) [FILE_NOT_DELIVERED]"
        in said
    )
    here.put("card.pdf", good_pdf)
    (here.home / "failed/a.json").rename(here.home / "in/a.json")
    assert (here.scan(), references(), here.files) == (1, ["F-1"], ["processed/a.json", "processed/card.pdf"])


def test_a_print_file_stays_for_an_order_that_waits_for_another(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box()
    two = order_body("F-2", url="logo.pdf")
    two["items"][0]["files"].append({"type": "back", "url": "back.pdf"})
    here.put("one.json", order_body("F-1", url="LOGO.pdf"))
    here.put("two.json", two)
    here.put("logo.pdf", good_pdf)
    assert (here.scan(), here.files) == (1, ["in/logo.pdf", "in/two.json", "processed/one.json"])
    here.put("back.pdf", good_pdf)
    assert (here.scan(), references()) == (1, ["F-1", "F-2"])
    assert here.files == ["processed/back.pdf", "processed/logo.pdf", "processed/one.json", "processed/two.json"]


def test_a_known_order_with_another_print_file_says_so(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box()
    for content in (good_pdf, b"%PDF another"):
        here.put("a.json", order_body("F-1", url="card.pdf"))
        here.put("card.pdf", content)
        here.scan()
    assert references() == ["F-1"]
    assert storage.path_of(PrintFile.objects.get().sha256).read_bytes() == good_pdf
    assert "ORDER_FILE_CHANGED" in (here.home / "failed/a.json.error.txt").read_text()
    assert here.files == ["failed/a.json", "failed/a.json.error.txt", "failed/card.pdf", "processed/a.json",
                          "processed/card.pdf"]  # fmt: skip


# --- bundles ----------------------------------------------------------------------------------------
def test_a_bundle_brings_order_and_print_files(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box(ready="stable", stable_seconds=0)
    members = {"x/order.json": order_body("F-1", url="files/card.pdf"), "x/files/card.pdf": good_pdf,
               "x/second.json": order_body("F-2", url="../card.pdf"), "x/files/notes.json": [1],
               "__MACOSX/._x.json": b"x"}  # fmt: skip
    here.put("bundle.zip", zipped(**members))
    assert [here.scan() for _ in range(3)] == [0, 0, 1]
    assert (references(), PrintFile.objects.get().url) == (["F-1"], "handed-over:files/card.pdf")
    assert here.files == ["failed/bundle.zip", "failed/bundle.zip.error.txt"]
    assert "FILE_NAME_UNSAFE" in (here.home / "failed/bundle.zip.error.txt").read_text()


def test_bombs_and_hostile_archives_are_refused_and_the_next_file_is_taken(
    box: Callable[..., Box], order_body: Callable[..., Any], settings: Any
) -> None:
    settings.FETCH_MAX_BYTES = 30_000_000
    here = box()
    good = order_body("F-1")
    bad = {
        "bomb": ("ARCHIVE_BOMB", zipped(**{"order.json": good, "card.pdf": b"\0" * 20_000_000})),
        "bomb2": ("ARCHIVE_BOMB", zipped(**{"order.json": b" " * 20_000_000})),
        "up": ("ARCHIVE_NAME", zipped(**{"../order.json": good})),
        "nested": ("ARCHIVE_NESTED", zipped(**{"order.json": good, "more.zip": b"x"})),
        "none": ("BUNDLE_WITHOUT_ORDER", zipped(**{"card.pdf": b"%PDF"})),
        "garbage": ("ARCHIVE_DAMAGED", b"PK\x03\x04" + os.urandom(1000)),
    }
    for name, (_, content) in bad.items():
        here.put(f"{name}.zip", content)
    here.put("wide.csv", b"orderReferenceId,sku\nA," + b"x" * 10_000_000 + b"\n")
    here.put("good.json", good)
    assert (here.scan(), here.error, references()) == (8, "", ["F-1"])
    for name, (code, _) in bad.items():
        assert f"[{code}]" in (here.home / f"failed/{name}.zip.error.txt").read_text(), name
    assert "[TABLE_CELL_TOO_LONG]" in (here.home / "failed/wide.csv.error.txt").read_text()
    assert OrderRequest.objects.filter(state="rejected").count() == 7
    assert sorted(path.name for path in storage.incoming_dir().iterdir()) == []


def test_hostile_names_lead_nowhere(box: Callable[..., Box], order_body: Callable[..., Any], tmp_path: Path) -> None:
    here = box()
    (tmp_path / "secret.pdf").write_bytes(b"%PDF secret")
    here.put("ev\nil <b>name.json", order_body("F-1", url="https://files.example/a.pdf"))
    for number, url in enumerate(
        ("../secret.pdf", "../../../secret.pdf", str(tmp_path / "secret.pdf"), "file:///etc/passwd")
    ):
        here.put(f"{number}.json", order_body(f"U-{number}", url=url))
    (here.home / "in/link.pdf").symlink_to(tmp_path / "secret.pdf")
    (here.home / "in/link.json").symlink_to(tmp_path / "secret.pdf")
    here.put("l.json", order_body("U-9", url="link.pdf"))
    here.scan()
    here.scan(after=3_601)
    assert references() == ["F-1"]
    assert (here.home / "processed/ev_il <b>name.json").exists()
    assert [name for name in here.files if name.startswith("in/") and "link" not in name] == []
    assert (tmp_path / "secret.pdf").read_bytes() == b"%PDF secret"
    assert not any("%PDF secret" in str(bytes(request.body)) for request in OrderRequest.objects.all())


# --- claims and faults ------------------------------------------------------------------------------
def test_a_file_whose_claimer_died_is_taken_once_after_the_lease(
    box: Callable[..., Box], order_body: Callable[..., Any], good_pdf: bytes
) -> None:
    here = box()
    for name in ("a.json", "b.json"):
        here.put(name, order_body(name, url="card.pdf"))
    here.put("card.pdf", good_pdf)

    with mock.patch.object(scanning.Scan, "_take", side_effect=SystemExit), pytest.raises(SystemExit):
        here.scan()  # killed before anything was stored
    assert OrderRequest.objects.count() == 0
    with mock.patch.object(scanning.Scan, "_end", side_effect=SystemExit), pytest.raises(SystemExit):
        here.scan()  # killed after the commit
    assert Order.objects.count() == 1
    assert len([name for name in here.files if name.startswith("work/")]) == 2
    assert (here.scan(after=800), Order.objects.count()) == (0, 1)  # both are somebody's still
    assert here.scan(after=901) == 2
    assert references() == ["a.json", "b.json"]
    assert [name for name in here.files if not name.endswith(".note.txt")] == [
        "processed/a.json", "processed/b.json", "processed/card.pdf"]  # fmt: skip


def test_a_file_that_kills_whoever_takes_it_is_given_up(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box()
    here.put("a.json", order_body("F-1"))
    with mock.patch.object(scanning.Scan, "_take", side_effect=SystemExit):
        for number in range(3):
            with pytest.raises(SystemExit):
                here.scan(after=number * 1_000)
        assert here.scan(after=3_000) == 1
    assert here.files == ["failed/a.json", "failed/a.json.error.txt"]
    assert "[FILE_GIVEN_UP]" in (here.home / "failed/a.json.error.txt").read_text()
    assert Order.objects.count() == 0


def test_a_fault_with_one_file_stops_no_other(box: Callable[..., Box], order_body: Callable[..., Any]) -> None:
    here = box()
    here.put("a.json", order_body("F-1"))
    here.put("b.json", order_body("F-2"))
    real = scanning.Scan._take

    def faulty(self: Any, file: Any, shelf: Any) -> Any:
        if file.name == "a.json":
            raise ZeroDivisionError
        return real(self, file, shelf)

    with mock.patch.object(scanning.Scan, "_take", faulty):
        here.scan()
    assert (references(), here.error) == (
        ["F-2"],
        "FOLDER_FAULT: A fault of ours: ZeroDivisionError. It is tried again.",
    )
    assert here.scan(after=1_000) == 1
    assert (references(), here.error) == (["F-1", "F-2"], "")


def test_a_file_that_changes_while_it_is_claimed_is_read_anew(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box()
    path = here.put("a.json", order_body("F-1"))
    real = scanning.claim

    def late(place: Any, at: str, **more: Any) -> Any:
        path.write_bytes(json.dumps(order_body("F-1-changed")).encode())
        return real(place, at, **more)

    with mock.patch.object(scanning, "claim", late):
        assert here.scan() == 0
    assert Order.objects.count() == 0
    assert (here.scan(after=1_000), references()) == (1, ["F-1-changed"])


# --- schedule and archive ---------------------------------------------------------------------------
def test_quiet_hours_are_kept_however_the_channel_came_to_be_due(
    box: Callable[..., Box], order_body: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = box(quiet_from="22:00", quiet_to="06:00", time_zone="Europe/Oslo")
    here.put("a.json", order_body("F-1"))
    monkeypatch.setattr(polling.connections, "close_all", lambda: None)
    night = datetime.fromisoformat("2026-01-15T23:30:00+01:00")
    Connector.objects.update(next_pull=night)
    with at(night):
        assert polling.claim(here.connector.pk)
        polling._in_thread(here.connector.pk)
    assert (OrderRequest.objects.count(), here.files) == (0, ["in/a.json"])
    morning = datetime.fromisoformat("2026-01-16T06:00:00+01:00")
    assert Connector.objects.get(pk=here.connector.pk).next_pull == morning
    with at(morning):
        polling._in_thread(here.connector.pk)
    assert references() == ["F-1"]
    assert Connector.objects.get(pk=here.connector.pk).next_pull == morning + timedelta(minutes=1)


def test_after_a_failure_in_the_evening_it_is_not_asked_in_the_night(box: Callable[..., Box]) -> None:
    here = box(quiet_from="22:00", quiet_to="06:00", interval=60)
    with at(datetime.fromisoformat("2026-01-15T21:58:00+00:00")):
        polling.note(here.connector, polling.config_of(here.connector), error="gone")  # type: ignore[arg-type]
    assert Connector.objects.get(pk=here.connector.pk).next_pull == datetime.fromisoformat("2026-01-16T06:00:00+00:00")


def test_processed_and_failed_files_are_deleted_when_they_are_old(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box(keep_days=30)
    here.put("good.json", order_body("F-1"))
    here.put("bad.json", b"{}")
    old = here.put("copied with its old time.json", order_body("F-2"))
    os.utime(old, (1_500_000_000, 1_500_000_000))
    here.scan()
    assert len(here.files) == 4
    day = 24 * 3600
    here.scan(after=29 * day)
    assert len(here.files) == 4
    here.put("late.json", order_body("F-3"))
    here.scan(after=31 * day + 3_601)
    assert here.files == [name for name in here.files if "late.json" in name]
    assert len(here.files) == 1
    assert references() == ["F-1", "F-2", "F-3"]


def test_nothing_is_deleted_when_files_are_kept_for_ever(
    box: Callable[..., Box], order_body: Callable[..., Any]
) -> None:
    here = box(keep_days=0)
    here.put("good.json", order_body("F-1"))
    here.scan()
    here.scan(after=4_000 * 24 * 3600)
    assert here.files == ["processed/good.json"]


def test_the_folder_itself_may_be_the_inbox(box: Callable[..., Box], order_body: Callable[..., Any]) -> None:
    here = box(inbox="")
    here.put("a.json", order_body("F-1"), inbox=".")
    assert (here.scan(), here.scan(), references(), here.files) == (1, 0, ["F-1"], ["processed/a.json"])


def test_a_folder_outside_is_refused_and_said(box: Callable[..., Box]) -> None:
    here = box()
    Connector.objects.update(settings=json.dumps({"path": "/etc"}))
    assert here.scan() == 0
    assert here.error.startswith("FOLDER_OUTSIDE: The folder must lie below ")
