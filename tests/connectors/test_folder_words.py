"""What files mean: words, envelopes, several orders in one file, tables; and that nothing a stranger writes breaks it."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gelatoconnect.lib.places import Entry
from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import Message, Submit
from intake.connectors.folder import Folder
from intake.connectors.folder.archive import moved_at
from intake.connectors.folder.claims import claim_of, shown
from intake.connectors.folder.config import FolderConfig
from intake.connectors.folder.parts import kind_of_file, parts_of
from intake.connectors.folder.watch import Watch, is_unfinished, markers_of
from intake.connectors.folder.words import is_name, path_of

KIND, CONFIG = Folder(), FolderConfig(path="acme")
GOOD = {
    "order": {
        "orderReferenceId": "F-1", "currency": "EUR", "metadata": {"a": "b"},
        "shippingAddress": {"firstName": "Ana", "addressLine1": "Street 1", "city": "Oslo", "postCode": "0154",
                            "country": "NO"},
        "items": {"item": [{"sku": "A", "quantity": 2, "files": {"file": [{"type": "front", "url": "a.pdf"}]},
                            "productVariant": {"size": "A6"}, "retailPriceInclVat": "4.90"}]},
    }
}  # fmt: skip


def codes(raw: bytes, name: str, **how: Any) -> list[str]:
    with pytest.raises(Rejected) as refusal:
        parts_of(raw, name=name, **how)
    return [problem.code for problem in refusal.value.problems]


def test_a_file_may_hold_one_order_or_several() -> None:
    one = b'{"orderReferenceId": "1"}'
    assert [part.body for part in parts_of(one, name="a.json")] == [one]
    assert [part.body for part in parts_of(b"\xef\xbb\xbf" + one, name="a.JSON")] == [one]
    for raw in (b"[%b, %b]" % (one, one), b'{"orders": [%b, %b]}' % (one, one), b'{"Orders": [%b, %b]}' % (one, one)):
        assert [json.loads(part.body) for part in parts_of(raw, name="a.json")] == [json.loads(one)] * 2
    xml = b"<orders>" + b"<order><orderReferenceId>1</orderReferenceId></order>" * 2 + b"</orders>"
    assert [json.loads(part.body) for part in parts_of(xml, name="a.xml")] == [json.loads(one)] * 2
    assert [part.body for part in parts_of(b"<order><x/></order>", name="a.xml")] == [b"<order><x/></order>"]


def test_rows_of_a_table_are_grouped_into_orders() -> None:
    raw = b"orderReferenceId;sku;quantity;fileUrl\nA;X;1;a.pdf\nB;X;1;a.pdf\nA;Y;2;b.pdf\n"
    orders = [json.loads(part.body) for part in parts_of(raw, name="a.csv")]
    assert [(order["orderReferenceId"], len(order["items"])) for order in orders] == [("A", 2), ("B", 1)]


def test_rows_that_a_mapping_reads_keep_their_own_columns() -> None:
    raw = b"Nr;Artikel\n7;X\n8;X\n7;Y\n"
    assert [part.body for part in parts_of(raw, name="a.csv", mapped=True, group_by="Nr")] == [
        b"Nr,Artikel\r\n7,X\r\n7,Y\r\n", b"Nr,Artikel\r\n8,X\r\n"]  # fmt: skip
    assert len(parts_of(raw, name="a.csv", mapped=True)) == 3
    assert codes(raw, "a.csv", mapped=True, group_by="Nummer") == ["TABLE_COLUMN_MISSING"]


@pytest.mark.parametrize(
    ("raw", "name", "code"),
    [(b"", "a.json", "FILE_EMPTY"), (b" \n", "a.xml", "FILE_EMPTY"), (b"[]", "a.json", "FILE_EMPTY"),
     (b'{"a": ', "a.json", "JSON_MALFORMED"), (b"\xff\xfe{", "a.json", "JSON_ENCODING"), (b"<a>", "a.xml", "XML_MALFORMED"),
     (b"[" * 100_000, "a.json", "JSON_TOO_DEEP"), (b"<!DOCTYPE a><a/>", "a.xml", "XML_DTD"), (b"a", "a.csv", "TABLE_EMPTY"),
     (b"[" + b"1," * 6_000 + b"1]", "a.json", "FILE_TOO_MANY_ORDERS"),
     (b'"' + b" " * 21 * 1024**2 + b'"', "a.json", "FILE_TOO_LARGE")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(raw: bytes, name: str, code: str) -> None:
    assert codes(raw, name) == [code]


def test_a_cell_of_ten_megabytes_is_refused() -> None:
    raw = b"orderReferenceId,sku\nA," + b"x" * 10_000_000 + b"\n"
    assert codes(raw, "a.csv") == ["TABLE_CELL_TOO_LONG"]


def mutations(data: Any) -> Iterator[Any]:
    """The data with one of its values dropped, emptied, or of another type."""
    for path in list(paths(data)):
        for change in ("drop", None, "", "x", -1, 10**30, 1.5, True, [], {}, [None], {"item": None}, [[]], "\ud800"):
            changed = copy.deepcopy(data)
            parent = changed
            for step in path[:-1]:
                parent = parent[step]
            if change == "drop":
                del parent[path[-1]]
            else:
                parent[path[-1]] = change
            yield changed


def paths(data: Any, before: tuple = ()) -> Iterator[tuple]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*before, key)
        yield from paths(value, (*before, key))


def test_no_change_of_an_order_does_more_than_refuse_it() -> None:
    understood = 0
    for data in [GOOD, *mutations(GOOD)]:
        message = Message(json.dumps(data).encode(), config=CONFIG, contents={"a.pdf": "0" * 64})
        try:
            understood += isinstance(KIND.parse(message), Submit)
        except Rejected as refusal:
            assert refusal.problems
    assert understood > 100


@pytest.mark.parametrize("raw", [b"", b"null", b"1", b'"x"', b"[]", b"<a/>", b"{", b"\x00\xff", b"PK\x03\x04"])
@pytest.mark.parametrize("content_type", ["application/json", "application/xml", "text/csv", "text/plain", ""])
def test_nothing_but_an_order_is_refused(raw: bytes, content_type: str) -> None:
    with pytest.raises(Rejected):
        KIND.parse(Message(raw, content_type=content_type, config=CONFIG))


@pytest.mark.parametrize(
    ("url", "path"),
    [("card.pdf", "card.pdf"), ("files/card.pdf", "files/card.pdf"), ("./a b.pdf", "a b.pdf"),
     ("files\\a.pdf", "files/a.pdf"), ("u\u0308.pdf", "ü.pdf"), ("../a.pdf", None), ("a/../../b.pdf", None),
     ("/etc/passwd", None), ("C:\\a.pdf", None), ("a\nb.pdf", None), ("", None), ("a//b.pdf", None)],
)  # fmt: skip
def test_a_name_stays_below_its_folder(url: str, path: str | None) -> None:
    assert (path_of(url), is_name(url)) == (path, True)


@pytest.mark.parametrize(
    "url", ["https://files.example/a.pdf", "ftp://x/a.pdf", "file:///etc/passwd", "data:text/plain,x"]
)
def test_an_address_is_no_name(url: str) -> None:
    assert not is_name(url)


def test_names_tell_what_a_file_is() -> None:
    names = ("a.json", "A.XML", "a.csv", "a.xlsx", "a.zip", "a.pdf", "json", "a.json.part")
    assert [kind_of_file(name) for name in names] == [
        "application/json", "application/xml", "text/csv", "text/csv", "application/zip", "", "", ""]  # fmt: skip
    assert [is_unfinished(name) for name in ("a.json.part", "a.TMP", ".a.json", "~a.json", "a.json~", "a.json")] == [
        True, True, True, True, True, False]  # fmt: skip
    assert markers_of("a.json", {"a.json", "a.json.done", "a.ready"}) == ["a.json.done", "a.ready"]
    assert shown("../e\nvil\ud800.json") == ".._e_vil_.json"
    claim = claim_of(Entry("20261126T135027Z.2.0a1b2c3d.my order.json"))
    assert claim is not None
    assert (claim.name, claim.tries, claim.at) == ("my order.json", 2, datetime(2026, 11, 26, 13, 50, 27, tzinfo=UTC))
    assert [claim_of(Entry(name)) for name in ("a.json", "20269926T135027Z.2.0a1b2c3d.x")] == [None, None]
    assert moved_at(Entry("2026-11-26T135027 a.json", changed=5)) == datetime(2026, 11, 26, tzinfo=UTC).timestamp()
    assert moved_at(Entry("a.json", changed=5)) == 5


def test_a_file_is_whole_when_it_was_seen_three_times_without_a_change() -> None:
    seen: Any = None

    def look(now: float, size: int) -> bool:
        nonlocal seen
        watch = Watch(seen, CONFIG, now=now)
        watch.see("a.json", Entry("a.json", size, 1.0))
        seen = json.loads(json.dumps(watch.changes)) if watch.changes is not None else seen
        return watch.is_whole("a.json", set())

    assert [look(now, 10) for now in (0, 5, 31, 59)] == [False] * 4
    assert look(61, 20) is False  # it has grown: counted anew
    assert [look(now, 20) for now in (91, 120, 121)] == [False, False, True]


@pytest.mark.parametrize(
    "filled_in", [{"place": "sftp"}, {"path": ""}, {"path": "../x"}, {"path": "a", "inbox": "a/b"},
                  {"path": "a", "inbox": "work"}, {"path": "a", "port": 70_000}, {"path": "a", "interval": -1}]
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(filled_in: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FolderConfig(**filled_in)
