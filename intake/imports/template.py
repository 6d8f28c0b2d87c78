"""The table to fill in: every column that an import understands, with what it is for, and two rows as an example."""

import csv
from io import BytesIO, StringIO

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

_FILE = "https://files.example.com/card.pdf"
# Name, whether it is needed, what it is for, and its value in the rows of the example.
COLUMNS: list[tuple[str, bool, str, str]] = [
    ("orderReferenceId", True, "Your number of the order. Rows with the same one are one order.", "ORDER-1"),
    ("itemReferenceId", False, "Your number of the line.", "1"),
    ("productUid", False, "Our product. Or name it by sku, or by productName with productVariant columns.", "card-a6"),
    ("sku", False, "Your own SKU, mapped to a product of ours.", ""),
    ("productName", False, "Your own name of the product, mapped to one of ours.", ""),
    ("productVariant.size", False, "A choice that tells products of one name apart; one column for each.", ""),
    ("quantity", False, "Pieces, a whole number; 1 when empty.", "25"),
    ("fileUrl", False, "Where the print file is. Needed unless the mapped product brings one.", _FILE),
    ("fileType", False, "The part that fileUrl prints; default when empty.", "default"),
    ("fileUrl:back", False, "The file of another part: front, back, inside … after the colon.", ""),
    ("fileMd5", False, "The MD5 of the file in fileUrl, to be compared.", ""),
    (
        "retailPriceInclVat",
        False,
        "What the buyer paid for one piece, such as 4.90 or 4,90; needed across customs.",
        "4.90",
    ),
    ("currency", False, "ISO 4217, such as EUR.", "EUR"),
    ("firstName", True, "The recipient; or companyName.", "Ana"),
    ("lastName", True, "", "Ruiz"),
    ("companyName", False, "", ""),
    ("addressLine1", True, "Street and number.", "Karl Johans gate 4"),
    ("addressLine2", False, "", ""),
    ("city", True, "", "Oslo"),
    ("postCode", True, "In Excel format the column as text, or 0154 becomes 154.", "0154"),
    ("state", False, "Its code or name, where the country asks for one (US, CA, AU, BR …).", ""),
    ("country", True, "ISO 3166-1, two letters.", "NO"),
    ("email", False, "", "ana@example.com"),
    ("phone", False, "With the country's code.", "+47 22 12 34 56"),
    ("isBusiness", False, "yes or no.", ""),
    ("federalTaxId", False, "The recipient's tax number, where customs ask for it.", ""),
    ("stateTaxId", False, "", ""),
    ("registrationState", False, "", ""),
    ("shipmentMethodUid", False, "Preferred methods, best first: standard,express.", "standard"),
    ("orderType", False, "order, or draft to save it without checks.", ""),
    ("customerReferenceId", False, "Must be the customer's own reference, when given.", ""),
    ("retailCurrency", False, "Of the prices, when it is not currency.", ""),
    ("retailShippingPriceInclVat", False, "What the buyer paid for shipping.", ""),
    ("metadata.campaign", False, "Whatever you want to find again on the order; one column for each.", ""),
    ("itemMetadata.note", False, "The same on the line. Columns with unknown names become this too.", ""),
]
_SECOND = {"itemReferenceId": "2", "quantity": "10"}


def rows() -> list[list[str]]:
    """The header, and the two items of one order."""
    first = [example for *_, example in COLUMNS]
    return [[name for name, *_ in COLUMNS], first, [_SECOND.get(name, example) for name, *_, example in COLUMNS]]


def as_csv() -> bytes:
    """UTF-8 with the mark by which Excel knows it."""
    file = StringIO(newline="")
    csv.writer(file).writerows(rows())
    return file.getvalue().encode("utf-8-sig")


def as_workbook() -> bytes:
    """Every cell formatted as text, and a second sheet that explains the columns."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Orders"
    for row in rows():
        sheet.append(row)
    for place, (name, needed, *_) in enumerate(COLUMNS, 1):
        letter = get_column_letter(place)
        sheet.column_dimensions[letter].width = max(12, len(name) + 2)
        sheet[f"{letter}1"].font = Font(bold=needed)
        for line in range(2, 502):
            sheet[f"{letter}{line}"].number_format = "@"
    sheet.freeze_panes = "B2"
    guide = book.create_sheet("Columns")
    guide.append(["Column", "Needed", "What it is for"])
    for name, needed, purpose, _ in COLUMNS:
        guide.append([name, "yes" if needed else "", purpose])
    for letter, width in (("A", 30), ("B", 9), ("C", 90)):
        guide.column_dimensions[letter].width = width
        guide[f"{letter}1"].font = Font(bold=True)
    file = BytesIO()
    book.save(file)
    return file.getvalue()
