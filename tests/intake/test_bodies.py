"""How what came in reads on a page: by what it is, without secrets, and whatever it is."""

from time import perf_counter

import pytest

from intake.bodies import HEX_SHOWN, masked_headers, show
from intake.diffs import Line, diff


def test_json_gets_a_line_for_each_value_and_loses_nothing() -> None:
    shown = show(b'{"a": 1.10, "a": 2, "id": 12345678901234567890}')
    assert (shown.kind, shown.text) == ("JSON", '{\n  "a": 1.10,\n  "a": 2,\n  "id": 12345678901234567890\n}')


def test_xml_gets_a_line_for_each_element_and_loses_nothing() -> None:
    raw = (b'<?xml version="1.0"?><o id="1" x=">"><!-- c --><e/><sku>A &amp; B</sku><n>Hi <b>you</b>!</n>'
           b"<d><![CDATA[<x>]]></d></o>")  # fmt: skip
    assert show(raw, content_type="application/xml").text.splitlines() == [
        '<?xml version="1.0"?>', '<o id="1" x=">">', "  <!-- c -->", "  <e/>", "  <sku>A &amp; B</sku>", "  <n>Hi",
        "    <b>you</b>", "    !", "  </n>", "  <d>", "    <![CDATA[<x>]]>", "  </d>", "</o>",
    ]  # fmt: skip


def test_xml_with_a_dtd_is_only_text() -> None:
    raw = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert (show(raw).kind, show(raw).text) == ("text", raw.decode())


@pytest.mark.parametrize(
    "raw",
    ["order;name\nA-1;Kühn\n".encode("cp1252"), "order;name\nA-1;Kühn\n".encode(),
     "order\tname\nA-1\tKühn\n".encode("utf-16"),
     b'\xef\xbb\xbforder,name\r\nA-1,"K\xc3\xbchn"\r\n'],
)  # fmt: skip
def test_a_csv_is_a_table_in_whatever_encoding_and_with_whatever_delimiter(raw: bytes) -> None:
    shown = show(raw, content_type="text/csv")
    assert (shown.kind, shown.rows, shown.broken) == ("CSV", [["order", "name"], ["A-1", "Kühn"]], False)


def test_a_long_csv_shows_its_first_rows() -> None:
    shown = show(b"a,b\n" + b"1,2\n" * 250, content_type="text/csv")
    assert (len(shown.rows), shown.more) == (101, 150)


def test_what_is_no_text_is_shown_as_hexadecimal() -> None:
    shown = show(b"%PDF\x00\x01\x02" * 1000)
    assert (shown.kind, shown.cut, shown.size) == ("binary", True, 7000)
    assert shown.text.splitlines()[0] == "0000  25 50 44 46 00 01 02 25 50 44 46 00 01 02 25 50  %PDF...%PDF...%P"
    assert len(shown.text.splitlines()) == HEX_SHOWN // 16


def test_bytes_that_are_no_text_are_replaced_and_that_is_said() -> None:
    shown = show(b'{"a": "\xff\xfe"}')
    assert (shown.text, shown.broken) == ('{\n  "a": "��"\n}', True)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"apiKey": "s3cret", "b": 1}', '{\n  "apiKey": "•••",\n  "b": 1\n}'),
        (b'{"my_token": 12}', '{\n  "my_token": •••\n}'),
        (b'{"client-secret": "a\\"s3cret"', '{"client-secret": "•••"'),  # not even JSON
        (b"apikey=s3cret&order=1", "apikey=•••&order=1"),
        (b"Authorization: Bearer s3cret", "Authorization: •••"),
        (b"<o><ApiKey>s3cret</ApiKey><n:Password a='1'><![CDATA[s3cret]]></n:Password></o>", None),
        (b"<o api_key='s3cret'/>", "<o api_key=•••/>"),
    ],
)
def test_the_values_of_secrets_are_hidden(raw: bytes, text: str | None) -> None:
    shown = show(raw).text
    assert "s3cret" not in shown
    assert text is None or shown == text


def test_secrets_are_hidden_in_tables_and_headers() -> None:
    assert show(b"order,token\nA-1,s3cret\n", content_type="text/csv").rows == [["order", "token"], ["A-1", "•••"]]
    assert masked_headers({"X-Shop-Token": "s3cret", "Accept": "*/*"}) == [("Accept", "*/*"), ("X-Shop-Token", "•••")]


@pytest.mark.parametrize(
    "raw",
    [b"secret" * 20_000, b"x" * 1_000_000, b"[" * 1_000_000, b"<a>" * 300_000, b"<" * 200_000, b'"' * 200_000,
     b"token=" * 30_000, b"<secret " + b"a" * 200_000, b'"secret": "' + b"\\" * 200_000, b"a;" * 100_000,
     b'{"a": ' * 100_000],
)  # fmt: skip
def test_no_body_is_slow_to_show(raw: bytes) -> None:
    started = perf_counter()
    for kind in ("application/json", "text/csv", "application/xml"):
        show(raw, content_type=kind)
    assert perf_counter() - started < 5


def test_a_diff_says_what_was_and_what_is_with_the_part_that_differs() -> None:
    before, after = "a\nb\nc\nd\ne\n1\n2\n3\n4\n5\n6\n7\n8", "a\nb\nc\nd\nEe\n1\n2\n3\n4\n5\n6\n7\n"
    found = diff(before, after)
    assert found is not None
    kinds = [*["same"] * 3, "removed", "added", *["same"] * 3, "gap", *["same"] * 3, "removed"]
    assert [line.kind for line in found] == kinds
    assert found[3:5] == [Line("removed", (("e", False),), old=5), Line("added", (("E", True), ("e", False)), new=5)]


def test_what_is_the_same_has_no_diff_and_what_is_endless_neither() -> None:
    assert diff("a\nb", "a\nb") == []
    assert diff("a\n" * 2001, "a") is None
