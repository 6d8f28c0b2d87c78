"""What is wrong with an order, said to whoever has to mend it: the places on the pages, the page, the PDF, the API."""

import re
from collections.abc import Callable
from html import unescape
from io import BytesIO
from typing import Any

import pikepdf
import pypdf
import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from gelatoconnect import specimens
from gelatoconnect.lib import storage
from intake.report_pdf import draw
from intake.reports import measured, report_of
from orders.events import sweep
from orders.models import Order, PrintFile
from orders.sheets import Box, sheets_of
from tests.conftest import ApiClient, FileServer
from tests.factories import make_user
from tests.preflight.samples import GROUND, MM, Change, add, card, image
from tests.preflight.samples import raster as raster_of

HOSTILE = "<script>alert(1)</script><img src='file:///etc/passwd'/>&amp; 日本語 \x07"


@pytest.fixture
def manager(db: None) -> Client:
    client = Client()
    client.force_login(make_user("Manager", username="ada"))
    return client


@pytest.fixture
def submit(api: ApiClient, order_body: Any, file_server: FileServer) -> Callable[..., Order]:
    """Submit an order with this content as its file, let it be judged, and say how it is now."""

    def submit(content: bytes, *, name: str = "card.pdf") -> Order:
        answer = api.post("/api/orders", order_body(url=file_server.add(name, content)))
        sweep()
        return Order.objects.get(pk=answer.json()["id"])

    return submit


@pytest.fixture
def faulty(submit: Any) -> Order:
    """A failed order: its one page has an image of too few pixels; and there is a problem with its address."""
    order = submit(specimens.pdf(trim=(105, 148), bleed=3, ppi=60))
    order.problems.append({"code": "ADDRESS_POSTCODE_FORMAT", "severity": "error", "path": "/shippingAddress/postCode",
                           "message": f"No postcode. {HOSTILE}", "hint": HOSTILE})  # fmt: skip
    Order.objects.filter(pk=order.pk).update(problems=order.problems)
    return order


def url_of(order: Order, name: str = "report") -> str:
    return reverse(f"intake:{name}", args=[order.pk])


def words_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(pdf)).pages).split())


# --- places on the pages ---------------------------------------------------------------------------
def turned(degrees: int, *, crop: float = 0) -> Change:
    """The page is turned for viewing, and `crop` mm of it are not shown on the left and at the bottom. A black image of 30
    by 20 mm stands 20 mm from the left and 30 mm from the bottom of the media."""

    def change(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        page.Rotate = degrees
        page.CropBox = [crop * MM, crop * MM, *page.MediaBox[2:]]
        add(page, "XObject", Im1=image(pdf, width=30, height=20, space=pikepdf.Name.DeviceGray))

    return change


PLACED = GROUND + b"q %f 0 0 %f %f %f cm /Im1 Do Q" % (30 * MM, 20 * MM, 20 * MM, 30 * MM)
# The card is 111 mm wide and 154 mm high; degrees clockwise → where the image is seen (ISO 32000-1, table 30).
SEEN = {
    0: Box(20, 154 - 30 - 20, 30, 20),
    90: Box(30, 20, 20, 30),
    180: Box(111 - 20 - 30, 30, 30, 20),
    270: Box(154 - 30 - 20, 111 - 20 - 30, 20, 30),
}


def nearly(box: Box) -> Any:
    """Within half a millimetre."""
    return pytest.approx((box.x, box.y, box.width, box.height), abs=0.5)


def seen_at(order: Order, code: str) -> list[tuple[float, ...]]:
    """Where findings of this code are marked on the first page."""
    file = PrintFile.objects.get(item__order=order)
    problems = [
        problem | {"number": number} for number, problem in enumerate(order.problems) if problem["code"] == code
    ]
    boxes = [mark.box for mark in sheets_of(file, None, problems)[0].marks if mark.box]
    return [(box.x, box.y, box.width, box.height) for box in boxes]


def painted_at(order: Order) -> tuple[float, ...]:
    """Where the preview of the first page is dark: left, top, width and height in mm."""
    file = PrintFile.objects.get(item__order=order)
    with Image.open(storage.previews_of(file.sha256) / "page-1.jpg") as picture:
        scale = file.previews[0]["width"] / picture.width
        left, top, right, bottom = picture.convert("L").point(lambda value: 255 * (value < 128)).getbbox() or (0,) * 4
    return left * scale, top * scale, (right - left) * scale, (bottom - top) * scale


@pytest.mark.parametrize("degrees", SEEN)
def test_a_finding_is_marked_where_it_is_seen_however_the_page_is_turned(submit: Any, degrees: int) -> None:
    order = submit(card(PLACED, change=turned(degrees)))
    assert seen_at(order, "IMG_PPI_LOW") == [nearly(SEEN[degrees])]
    assert painted_at(order) == nearly(SEEN[degrees])


def test_a_finding_is_marked_from_the_edge_of_what_is_shown(submit: Any) -> None:
    order = submit(card(PLACED, change=turned(0, crop=5)))
    assert seen_at(order, "IMG_PPI_LOW") == [nearly(Box(20 - 5, 154 - 30 - 20, 30, 20))]
    assert painted_at(order) == nearly(Box(20 - 5, 154 - 30 - 20, 30, 20))


def test_the_orders_page_marks_the_picture_with_the_number_of_the_problem(manager: Client, faulty: Order) -> None:
    page = manager.get(faulty.get_absolute_url()).content.decode()
    [mark] = re.findall(r'<rect class="fault" data-severity="error" x="([\d.]+)" y="([\d.]+)"', page)
    assert [float(length) for length in mark] == pytest.approx([0, 0], abs=0.5)
    assert re.findall(r'<g class="fault-label" data-severity="(\w+)">.*?>(\d+)</text>', page) == [("error", "1")]
    assert re.findall(r'<span class="mark num" data-severity="error">.*?</span>(\d+)</span> (\S+ \S+)', page) == [
        ("1", "Page 1:"),
        ("2", "No postcode."),
    ]


def test_pages_without_a_picture_are_counted(manager: Client, submit: Any) -> None:
    order = submit(card(pages=5))
    assert "Checked, not pictured: 2 more pages" in manager.get(order.get_absolute_url()).content.decode()
    assert "Checked, not pictured: 2 more pages." in words_of(draw(report_of(order)))


# --- the report ---------------------------------------------------------------------------------------
def test_the_report_says_what_where_by_how_much_and_how_to_mend_it(faulty: Order) -> None:
    report = report_of(Order.objects.get())
    file, address = report.parts
    fault = file.faults[0]
    assert (file.where, file.file_name, file.page_count) == ("Item 1: Card A6, default file", "card.pdf", 1)
    assert (fault.number, fault.code, fault.severity) == (1, "IMG_PPI_LOW", "error")
    assert re.fullmatch(r"Found (60|59\.\d+) ppi, limit 149 ppi", fault.measured)
    assert re.fullmatch(r"On page 1, 0 mm from the left and 0 mm .*: an area of 111 × \d+ mm", fault.place)
    assert fault.hint.startswith("Use the image in a higher resolution")
    assert (address.where, [each.number for each in address.faults]) == ("Recipient", [2])
    assert (report.order_reference_id, report.customer, report.said) == ("ACME-1", "Acme Gifts", "2 errors")


def test_what_is_only_noted_is_not_reported(submit: Any, good_pdf: bytes) -> None:
    order = submit(good_pdf)
    assert [problem["severity"] for problem in order.problems] == ["info"]
    assert (report_of(order).parts, report_of(order).said) == ([], "No problems")
    assert "Acme Gifts, received" in words_of(draw(report_of(order)))


def test_addresses_of_files_with_their_keys_stay_with_us(manager: Client, api: ApiClient, faulty: Order) -> None:
    PrintFile.objects.update(url="https://shop.example/private/My%20card.pdf?token=s3cret")
    answer = api.get("/api/orders/ACME-1/report").content.decode()
    told = answer + manager.get(url_of(faulty)).content.decode() + words_of(draw(report_of(Order.objects.get())))
    assert told.count("My card.pdf") == 3
    assert [word for word in ("s3cret", "private", PrintFile.objects.get().sha256) if word in told] == []


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"actual": 1.5, "limit": 3.0, "unit": "mm"}, "Found 1.5 mm, limit 3 mm"),
        ({"actual": [90.0, 120.0], "limit": [105, 148], "unit": "mm"}, "Found 90 × 120 mm, wanted 105 × 148 mm"),
        ({"actual": 341.26, "limit": 320, "unit": "percent"}, "Found 341.26 %, limit 320 %"),
        ({"actual": "rgb", "limit": "cmyk"}, ""), ({"actual": 9, "unit": "images"}, ""), ({"unit": ["mm"]}, ""), ({}, ""),
    ],
)  # fmt: skip
def test_measures_are_put_in_words(details: dict[str, Any], words: str) -> None:
    assert measured(details) == words


# --- on paper -----------------------------------------------------------------------------------------
def test_the_pdf_says_it_all_and_shows_the_page(faulty: Order) -> None:
    pdf = draw(report_of(Order.objects.get()))
    words = words_of(pdf)
    for said in ("Problem report: order ACME-1", "Acme Gifts, received", "2 errors.", "Item 1: Card A6, default file",
                 "Error: Page 1: An image is printed at", "limit 149 ppi", "Use the image in a higher resolution",
                 "Page 1: 111 × 154 mm", "Trim: where it is cut", "Recipient", "No postcode."):  # fmt: skip
        assert said in words
    [page] = pypdf.PdfReader(BytesIO(pdf)).pages
    assert [round(float(side) / MM) for side in page.mediabox[2:]] == [210, 297]
    assert len(page.images) == 1


def test_the_pdf_embeds_every_font(faulty: Order) -> None:
    with pikepdf.open(BytesIO(draw(report_of(Order.objects.get())))) as pdf:
        fonts = [font for page in pdf.pages for font in page.Resources.Font.values()]
        names = {str(font.BaseFont).partition("+")[2] for font in fonts}
        assert all("/FontFile2" in font.FontDescriptor for font in fonts)
    assert names == {"NotoSans-Regular", "NotoSans-Bold", "DroidSansFallback"}


def test_the_same_report_is_the_same_pdf(faulty: Order) -> None:
    report = report_of(Order.objects.get())
    assert draw(report) == draw(report)


def test_a_report_of_many_problems_goes_on_over_pages(faulty: Order) -> None:
    note = faulty.problems[-1]
    many = [
        note | {"path": "/items/0/files/0", "message": f"Problem {n}. {'word ' * 80}", "details": {"page": 1}}
        for n in range(60)
    ]
    Order.objects.update(problems=faulty.problems + many)
    words = words_of(draw(report_of(Order.objects.get())))
    assert [n for n in range(60) if f"Problem {n}." not in words] == []
    assert "page 3" in words


@pytest.mark.parametrize("text", ["word " * 6000, "w" * 6000, "日本" * 3000])
def test_a_problem_longer_than_a_page_goes_on_over_pages(faulty: Order, text: str) -> None:
    Order.objects.update(problems=[faulty.problems[-1] | {"message": text + " the end", "hint": text}])
    words = words_of(draw(report_of(Order.objects.get())))
    assert ("the end" in words, "page 3" in words) == (True, True)


def test_a_file_without_pictures_is_reported_too(submit: Any) -> None:
    submit(b"%PDF-1.7 nothing else")
    assert "The file is damaged" in words_of(draw(report_of(Order.objects.get())))


def test_a_raster_file_is_pictured_at_the_products_size(submit: Any, product: Any) -> None:
    product.formats = ["jpeg"]
    product.save()
    submit(raster_of("JPEG", (111, 154)), name="card.jpg")
    [part] = report_of(Order.objects.get()).parts
    assert [(each.sheet.width, each.sheet.height) for each in part.pictures] == [(111, 154)]


# --- on the page, and for the API -------------------------------------------------------------------
def test_texts_of_strangers_are_no_markup(manager: Client, faulty: Order) -> None:
    page = manager.get(url_of(faulty)).content.decode()
    assert "<script>alert" not in page and "file:///etc" in unescape(page)
    assert "<img src='file" not in page
    assert "<script>alert(1)</script><img src='file:///etc/passwd'/>&amp; 日本語" in words_of(draw(report_of(faulty)))


def test_the_orders_page_leads_to_the_report_where_there_are_problems(
    manager: Client, submit: Any, faulty: Order
) -> None:
    assert url_of(faulty) in manager.get(faulty.get_absolute_url()).content.decode()
    Order.objects.update(problems=[])
    assert url_of(faulty) not in manager.get(faulty.get_absolute_url()).content.decode()


def test_staff_who_see_orders_see_the_report_and_strangers_sign_in(manager: Client, faulty: Order) -> None:
    pages = [manager.get(url_of(faulty, name)) for name in ("report", "report-pdf")]
    assert [answer.status_code for answer in pages] == [200, 200]
    assert pages[1]["Content-Disposition"] == 'attachment; filename="ACME-1 problems.pdf"'
    for name in ("report", "report-pdf"):
        answer = Client().get(url_of(faulty, name))
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/login")


@pytest.mark.parametrize("name", ["report", "report-pdf"])
def test_who_may_not_see_orders_does_not_see_their_reports(faulty: Order, name: str) -> None:
    client, user = Client(), make_user("Manager", username="bob")
    user.groups.clear()
    client.force_login(user)
    assert client.get(url_of(faulty, name)).status_code == 403


@pytest.mark.parametrize("items", [1, 3])
def test_the_report_costs_the_same_queries_for_one_item_and_for_three(
    manager: Client, faulty: Order, items: int, django_assert_num_queries: Any
) -> None:
    item = faulty.items.get()
    for number in range(2, items + 1):
        faulty.items.create(number=number, product=item.product).files.create(url="https://files.example/a.pdf")
    with django_assert_num_queries(8):
        assert manager.get(url_of(faulty)).status_code == 200


def test_the_api_answers_with_the_report_and_the_places(api: ApiClient, faulty: Order) -> None:
    answer = api.get("/api/orders/ACME-1/report").json()
    [file, address] = answer["parts"]
    assert (answer["orderReferenceId"], answer["errorCount"], answer["status"]) == ("ACME-1", 2, "Failed")
    assert [fault["code"] for fault in file["faults"]] == ["IMG_PPI_LOW"]
    [picture] = file["pictures"]
    assert [mark["number"] for mark in picture["sheet"]["marks"]] == [1]
    assert api.get(picture["url"])["Content-Type"] == "image/jpeg"
    assert (address["where"], address["pictures"]) == ("Recipient", [])


def test_the_api_gives_the_pdf_to_whoever_asks_for_one(api: ApiClient, faulty: Order) -> None:
    answer = api.get("/api/orders/ACME-1/report.pdf", Accept="application/pdf")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert "Problem report: order ACME-1" in words_of(answer.content)


@pytest.mark.parametrize("end", ["report", "report.pdf"])
def test_the_report_of_anothers_order_does_not_exist(api: ApiClient, faulty: Order, end: str) -> None:
    assert api.get(f"/api/orders/ACME-1/{end}", **{"X-API-KEY": "acme:wrong"}).status_code == 401
    assert api.get(f"/api/orders/ACME-2/{end}").status_code == 404
