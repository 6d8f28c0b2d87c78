"""Tables of orders: bytes → rows → drafts, whatever the encoding, the delimiter and the program that wrote them."""

import zipfile
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from openpyxl import Workbook

from gelatoconnect.lib.problems import Rejected
from intake.imports import template
from intake.tables import Table, amount, drafts_of, order_of, read_table
from intake.tables.cells import MAX_CELL, MAX_ROWS
from intake.tables.columns import columns_of

TEXT = ("orderReferenceId;Product UID;quantity;retail_price_incl_vat;First Name;lastName;city\n"
        "Å-1;card-a6;2,0;4,90;Jürgen;Weiß;Köln\n")  # fmt: skip
HEAD = b"orderReferenceId,sku,quantity\n"


def read(raw: bytes | str, name: str = "orders.csv") -> Table:
    return read_table(raw.encode() if isinstance(raw, str) else raw, name=name)


def refused(act: Callable[[], Any]) -> list[str]:
    with pytest.raises(Rejected) as refusal:
        act()
    assert all(problem.hint for problem in refusal.value.problems)
    return [problem.code for problem in refusal.value.problems]


def workbook(*rows: list[Any], **formats: str) -> bytes:
    book, file = Workbook(), BytesIO()
    for row in rows:
        book.active.append(row)
    for cell, shown in formats.items():
        book.active[cell].number_format = shown
    book.save(file)
    return file.getvalue()


def packed(**parts: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


# --- CSV --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("written", "shown"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"),
     ("utf-16-be", "utf-16-be"), ("cp1252", "cp1252")],
)  # fmt: skip
def test_the_encoding_is_sensed_and_shown(written: str, shown: str) -> None:
    table = read(TEXT.encode(written))
    assert (table.encoding, table.delimiter) == (shown, ";")
    assert table.rows == [(2, {"orderReferenceId": "Å-1", "Product UID": "card-a6", "quantity": "2,0", "lastName": "Weiß",
                               "retail_price_incl_vat": "4,90", "First Name": "Jürgen", "city": "Köln"})]  # fmt: skip


def test_polish_letters_of_windows_are_read() -> None:
    assert read("orderReferenceId,city\nA,Łódź\nB,Zażółć gęślą\n".encode("cp1250")).rows[0] == (
        2, {"orderReferenceId": "A", "city": "Łódź"},
    )  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_sensed(delimiter: str) -> None:
    table = read(
        delimiter.join(["orderReferenceId", "sku", "name"]) + "\r\n" + delimiter.join(["A", "S", '"1, 2; 3|4"'])
    )
    assert (table.delimiter, table.rows) == (
        delimiter,
        [(2, {"orderReferenceId": "A", "sku": "S", "name": "1, 2; 3|4"})],
    )


def test_excels_own_line_about_the_delimiter_is_followed() -> None:
    assert read("sep=;\norderReferenceId;a,b,c\nA;1,2,3\n").rows == [(3, {"orderReferenceId": "A", "a,b,c": "1,2,3"})]


def test_lines_are_those_of_the_file_and_empty_ones_are_left_out() -> None:
    table = read('orderReferenceId,note\n\nA,"two\nlines"\n,,\nB,\n')
    assert table.rows == [(3, {"orderReferenceId": "A", "note": "two\nlines"}), (6, {"orderReferenceId": "B"})]


def test_an_apostrophe_that_guards_against_formulas_is_taken_off() -> None:
    assert read("orderReferenceId,phone,name\nA,'+47 22,'t Hooft\n").rows == [
        (2, {"orderReferenceId": "A", "phone": "+47 22", "name": "'t Hooft"})
    ]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "TABLE_EMPTY"),
        (b" \r\n ", "TABLE_EMPTY"),
        (HEAD, "TABLE_EMPTY"),
        (b"orderReferenceId,SKU,sku\nA,1,2\n", "TABLE_COLUMN_TWICE"),
        (b"A\n" + b"a,b,c\n" * 3, "TABLE_HEADER"),
        (HEAD + b'A,"S,1\nB,S,1\n', "TABLE_QUOTE"),
        (HEAD + b"A," + b"x" * 10_000_000 + b",1\n", "TABLE_CELL_TOO_LONG"),
        (HEAD + b"A," + b"x" * (MAX_CELL + 1) + b",1\n", "TABLE_CELL_TOO_LONG"),
        (HEAD + b"A,S,1\n" * (MAX_ROWS + 1), "TABLE_TOO_LONG"),
        (b",".join(b"c%d" % n for n in range(300)) + b"\n1\n", "TABLE_TOO_WIDE"),
        (HEAD + b" " * (21 * 1024 * 1024), "TABLE_TOO_LARGE"),
        ("orderReferenceId,city\nA,Köln\nB,Zürich\nC,".encode() + b"K\xf6ln\n", "TABLE_ENCODING"),
        (b"\xff\xfeo\x00r\x00\x00", "TABLE_ENCODING"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "TABLE_UNREADABLE"),
        (HEAD + b"\0" * 500, "TABLE_UNREADABLE"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "TABLE_OLD_EXCEL"),
    ],
)
def test_what_is_no_table_is_refused_with_a_hint(raw: bytes, code: str) -> None:
    assert refused(lambda: read(raw)) == [code]


def test_as_many_rows_as_allowed_are_read() -> None:
    assert len(read(HEAD + b"A,S,1\n" * MAX_ROWS).rows) == MAX_ROWS


def test_a_row_with_too_many_cells_is_a_problem_of_that_row() -> None:
    good, bad = drafts_of(read(HEAD + b"A,S,1\nB,S,1,and,more\n"))
    assert good.problems == []
    assert [(each.code, each.details["line"], each.details["value"]) for each in bad.problems] == [
        ("ROW_CELLS", 3, "and, more")
    ]
    assert refused(lambda: order_of(bad.body)) == ["ROW_CELLS"]


def test_a_nul_in_a_cell_refuses_its_order_and_no_other() -> None:
    good, bad = drafts_of(read(HEAD + b"A,S,1\nB,S\0,1\n"))
    assert order_of(good.body)[0].items[0].sku == "S"
    assert refused(lambda: order_of(bad.body)) == ["JSON_CHARACTER"]


# --- Excel ------------------------------------------------------------------------------------------
def test_a_workbook_is_read_as_a_person_sees_it() -> None:
    raw = workbook(["orderReferenceId", "quantity", "retailPriceInclVat", "postCode", "day", "gift", "sum"],
                   [1001, 2.0, 4.9, 154, date(2026, 1, 2), True, "=1+1"], [None] * 7,
                   ["B", 1, 12.5, "0155", None, None, "#N/A"], D2="0000")  # fmt: skip
    table = read(raw, "orders.xlsx")
    assert (table.sheet, table.encoding, table.rows) == ("Sheet", "", [
        (2, {"orderReferenceId": "1001", "quantity": "2", "retailPriceInclVat": "4.9", "postCode": "0154",
             "day": "2026-01-02", "gift": "true"}),
        (4, {"orderReferenceId": "B", "quantity": "1", "retailPriceInclVat": "12.5", "postCode": "0155"}),
    ])  # fmt: skip
    assert [(line, [each.code for each in found]) for line, found in table.problems.items()] == [
        (4, ["ROW_FORMULA_ERROR"])
    ]


def test_only_the_first_sheet_with_rows_is_read_and_that_is_said() -> None:
    book, file = Workbook(), BytesIO()
    book.create_sheet("Orders").append(["orderReferenceId"])
    book["Orders"].append(["A"])
    book.create_sheet("More").append(["x"])
    book.save(file)
    table = read(file.getvalue())
    assert (table.sheet, [note.code for note in table.notes]) == ("Orders", ["TABLE_SHEETS"])


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"PK\x03\x04 rubbish", "TABLE_UNREADABLE"),
        (packed(readme=b"hello"), "TABLE_UNREADABLE"),
        (packed(xl__workbook=b""), "TABLE_UNREADABLE"),
        (packed(**{"xl__workbook.xml": b"<a/>", "xl__b.xml": b"0" * 40_000_000}), "TABLE_TOO_LARGE"),
        (packed(**{"xl__workbook.xml": b"<a/>"} | {f"p{n}": b"" for n in range(1_001)}), "TABLE_TOO_LARGE"),
        (packed(**{"xl__workbook.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "TABLE_UNREADABLE"),
        (workbook(), "TABLE_EMPTY"),
        (workbook(["orderReferenceId"]), "TABLE_EMPTY"),
        (workbook(["orderReferenceId"], ["x" * (MAX_CELL - 1)] * 2, [1] * 300), "TABLE_TOO_WIDE"),
    ],
)
def test_a_hostile_workbook_is_refused(raw: bytes, code: str) -> None:
    assert refused(lambda: read(raw, "orders.xlsx")) == [code]


def test_a_workbook_that_lies_about_its_size_is_read_all_the_same() -> None:
    raw = workbook(["orderReferenceId", "sku"], ["A", "S"])
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    assert parts["xl/worksheets/sheet1.xml"] != sheet
    assert read(packed(**parts)).rows == [(2, {"orderReferenceId": "A", "sku": "S"})]


# --- columns ----------------------------------------------------------------------------------------
def test_names_are_known_whatever_their_case_spaces_and_underscores() -> None:
    names = ["Order Reference Id", "order_type", "FIRSTNAME", "Shipping Address.City", "Zip", "QTY", "fileUrl:Back",
             "file_url", "Product-Variant: size", "metadata.Shop", "Gift message"]  # fmt: skip
    assert [(each.place, each.key, each.known) for each in columns_of(names)] == [
        ("order", "orderReferenceId", True), ("order", "orderType", True), ("address", "firstName", True),
        ("address", "city", True), ("address", "postCode", True), ("item", "quantity", True), ("file", "back", True),
        ("file", "default", True), ("productVariant", "size", True), ("metadata", "Shop", True),
        ("itemMetadata", "Gift message", False),
    ]  # fmt: skip


def test_two_columns_that_say_the_same_are_refused() -> None:
    assert refused(lambda: columns_of(["orderReferenceId", "zip", "postCode"])) == ["TABLE_COLUMN_TWICE"]


def test_without_the_column_of_references_nothing_is_guessed() -> None:
    assert refused(lambda: drafts_of(read("sku,quantity\nS,1\n"))) == ["TABLE_COLUMN_MISSING"]


@pytest.mark.parametrize("raw", [template.as_csv(), template.as_workbook()], ids=["csv", "xlsx"])
def test_the_template_is_one_good_order_of_two_items(raw: bytes) -> None:
    table = read(raw)
    assert [each.name for each in columns_of(table.columns) if not each.known] == []
    (entry,) = drafts_of(table)
    draft, notes = order_of(entry.body)
    assert (draft.order_reference_id, [item.quantity for item in draft.items], notes) == ("ORDER-1", [25, 10], [])
    assert (draft.shipping_address.post_code, draft.shipping_address.phone) == ("0154", "+47 22 12 34 56")


# --- orders -----------------------------------------------------------------------------------------
def test_rows_with_the_same_reference_are_one_order() -> None:
    table = read("orderReferenceId,itemReferenceId,productUid,fileUrl,fileType,fileUrl:back,firstName,metadata.shop,gift,"
                 "variant.size\nA,1,card,https://f/1,front,https://f/2,Ana,s1,yes,A5\nB,1,card,,,,Ben,,,\n"
                 "A,2,flyer,,,,,,,\n")  # fmt: skip
    first, second = drafts_of(table)
    assert (first.reference, first.lines, first.problems) == ("A", [2, 4], [])
    assert first.data == {
        "orderReferenceId": "A", "shippingAddress": {"firstName": "Ana"}, "metadata": {"shop": "s1"},
        "items": [
            {"itemReferenceId": "1", "productUid": "card", "metadata": {"gift": "yes"}, "productVariant": {"size": "A5"},
             "files": [{"type": "front", "url": "https://f/1"}, {"type": "back", "url": "https://f/2"}]},
            {"itemReferenceId": "2", "productUid": "flyer"},
        ],
    }  # fmt: skip
    assert (second.reference, second.lines) == ("B", [3])


def test_rows_without_a_reference_stand_alone() -> None:
    entries = drafts_of(read(HEAD + b",S,1\n,S,2\n"))
    assert [(entry.reference, entry.lines) for entry in entries] == [("", [2]), ("", [3])]
    assert refused(lambda: order_of(entries[0].body)) == ["FIELD_MISSING"]


def test_rows_of_one_order_that_go_to_two_places_are_refused() -> None:
    (entry,) = drafts_of(read("orderReferenceId,city,metadata.note\nA,Oslo,x\nA,Bergen,y\n"))
    assert [(each.code, each.path, each.severity, each.details["line"]) for each in entry.problems] == [
        ("ROW_DIFFERS", "/shippingAddress/city", "error", 3), ("ROW_DIFFERS", "/metadata/note", "warning", 3),
    ]  # fmt: skip
    with pytest.raises(Rejected) as refusal:
        order_of(entry.body)
    assert [each.code for each in refusal.value.problems] == ["ROW_DIFFERS", "ROW_DIFFERS"]
    assert "rowProblems" in refusal.value.problems[0].hint


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("4.90", "4.90"), ("4,90", "4.90"), ("4,9", "4.9"), ("5", "5"), ("1.234,50", "1234.50"), ("1,234.50", "1234.50"),
     ("1 234,50", "1234.50"), ("1'234.50", "1234.50"), ("1.234.567", "1234567"), ("12.3456", "12.3456")],
)  # fmt: skip
def test_amounts_are_read_with_point_or_comma(written: str, read_as: str) -> None:
    assert amount(written) == (read_as, True)


@pytest.mark.parametrize("written", ["1,234", "4,90 €", "free", "1.2.3", "-1", "4,9,0", "1e3"])
def test_an_amount_that_could_be_two_numbers_is_not_guessed(written: str) -> None:
    assert amount(written) == (written, False)


@pytest.mark.parametrize("written", ["two", "1.000", "1,000", "2.5", "-1", "1e2"])
def test_a_quantity_that_is_no_whole_number_is_a_problem_of_its_row(written: str) -> None:
    (entry,) = drafts_of(read(f"orderReferenceId;quantity\nA;{written}\n"))
    assert [(each.code, each.path, each.details) for each in entry.problems] == [
        ("FIELD_TYPE", "/items/0/quantity", {"line": 2, "column": "quantity", "value": written})
    ]
    assert refused(lambda: order_of(entry.body)) == ["FIELD_TYPE"]


def test_a_problem_is_over_when_its_value_was_mended() -> None:
    (entry,) = drafts_of(read("orderReferenceId;quantity\nA;1.000\n"))
    mended = entry.body.replace(b'"quantity": "1.000"', b'"quantity": 1000')
    draft, notes = order_of(mended)
    assert (draft.items[0].quantity, notes) == (1000, [])


@pytest.mark.parametrize(
    "said", ["null", "{}", "[1]", '[{"code": 1}]', '[{"code": "A", "message": "b", "severity": "worse"}]',
             '[{"code": "A", "message": "b", "details": 3}]', '[{"code": "A", "message": "b", "path": 3}]']
)  # fmt: skip
def test_row_problems_that_make_no_sense_are_left_out(said: str) -> None:
    body = f'{{"orderReferenceId": "A", "shippingAddress": {{}}, "items": [{{}}], "rowProblems": {said}}}'.encode()
    assert order_of(body)[1] == []


def test_what_is_no_order_is_refused() -> None:
    assert [refused(lambda raw=raw: order_of(raw)) for raw in (b"[]", b"3", b'"a"', b"{")] == [
        ["FIELD_TYPE"], ["FIELD_TYPE"], ["FIELD_TYPE"], ["JSON_MALFORMED"],
    ]  # fmt: skip


def test_defaults_fill_what_is_missing() -> None:
    (entry,) = drafts_of(read("orderReferenceId,currency\nA,\nA,\n"))
    assert order_of(entry.body, defaults={"currency": "EUR", "shipmentMethodUid": ""})[0].currency == "EUR"
    (entry,) = drafts_of(read("orderReferenceId,currency\nA,NOK\n"))
    assert order_of(entry.body, defaults={"currency": "EUR"})[0].currency == "NOK"
