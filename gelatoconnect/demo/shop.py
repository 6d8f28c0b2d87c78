"""What the demo shop sells, to whom, and the print files that are sent to it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from gelatoconnect import specimens

CUSTOMERS: list[dict[str, Any]] = [
    dict(reference="acme", name="Acme Gifts", email="orders@acme.example"),
    dict(reference="nordic", name="Nordic Posters", email="print@nordic.example", requires_approval=True),
    dict(
        reference="bookworm",
        name="Bookworm GmbH",
        email="druck@bookworm.example",
        countries=["DE", "AT", "CH", "NO", "SE"],
    ),
]
PRODUCTS: list[dict[str, Any]] = [
    dict(
        uid="card-a6",
        name="Greeting card A6",
        trim_width=105,
        trim_height=148,
        pages_max=2,
        weight=8,
        formats=["pdf"],
        customs_description="Printed greeting cards",
        hs_code="4909.00",
    ),
    dict(
        uid="flyer-a5",
        name="Flyer A5",
        trim_width=148,
        trim_height=210,
        pages_max=2,
        weight=6,
        quantity_max=50_000,
        formats=["pdf"],
        print_profile="sheetfed",
        customs_description="Printed flyers",
        hs_code="4911.10",
    ),
    dict(
        uid="poster-30x40",
        name="Poster 30 × 40 cm",
        trim_width=300,
        trim_height=400,
        weight=60,
        formats=["pdf", "jpeg", "png"],
        customs_description="Printed poster",
        hs_code="4911.91",
    ),
    dict(
        uid="photobook-a5",
        name="Photo book A5, softcover",
        trim_width=148,
        trim_height=210,
        pages_min=8,
        pages_max=96,
        pages_multiple=4,
        weight=180,
        formats=["pdf"],
        customs_description="Photo book",
        hs_code="4911.91",
    ),
    dict(
        uid="sticker-7x7",
        name="Sticker 70 × 70 mm",
        trim_width=70,
        trim_height=70,
        bleed=2,
        weight=2,
        formats=["pdf", "png"],
        available=False,
        customs_description="Stickers",
        hs_code="4911.99",
    ),
]
METHODS = [("normal", "Letter post"), ("standard", "Parcel"), ("express", "Express parcel")]
# File name → how it is made. The good ones first; each of the others has one fault.
FILES: dict[str, Callable[[], bytes]] = {
    "card-a6.pdf": partial(specimens.pdf, trim=(105, 148), seed=1, text="Happy birthday"),
    "card-dots.pdf": partial(specimens.pdf, trim=(105, 148), seed=2, text="Thank you"),
    "card-both.pdf": partial(specimens.pdf, trim=(105, 148), pages=2, seed=3, text="With love"),
    "flyer-a5.pdf": partial(specimens.pdf, trim=(148, 210), pages=2, seed=4, text="Open day"),
    "poster.pdf": partial(specimens.pdf, trim=(300, 400), seed=5, text="Fjord"),
    "poster-2.pdf": partial(specimens.pdf, trim=(300, 400), seed=6, text="Aurora"),
    "photobook.pdf": partial(specimens.pdf, trim=(148, 210), pages=8, seed=7, text="Summer"),
    "low-resolution.pdf": partial(specimens.pdf, trim=(105, 148), ppi=72, seed=8, text="Blurry"),
    "no-bleed.pdf": partial(specimens.pdf, trim=(105, 148), bleed=0, seed=9, text="Too tight"),
    "wrong-size.pdf": partial(specimens.pdf, trim=(90, 120), seed=10, text="Too small"),
    "font-missing.pdf": partial(specimens.pdf, trim=(105, 148), embed_fonts=False, seed=11, text="Which font?"),
    "password.pdf": partial(specimens.pdf, trim=(105, 148), encrypt=True, seed=12),
    "truncated.pdf": partial(specimens.pdf, trim=(105, 148), truncated=True, seed=13),
    "web-page.pdf": lambda: b"<!doctype html><title>Sign in</title><p>Please sign in to see this file.",
}
PEOPLE = [
    ("Ana", "Ruiz", "Karl Johans gate 4", "Oslo", "0154", "NO"),
    ("Lena", "Koch", "Am Weg 3", "Bonn", "53111", "DE"),
    ("Ingrid", "Berg", "Strandgaten 12", "Bergen", "5013", "NO"),
    ("Łukasz", "Żak", "ul. Długa 5", "Kraków", "31-147", "PL"),
    ("Zoë", "de Vries", "Keizersgracht 210", "Amsterdam", "1016 DZ", "NL"),
    ("Elin", "Åkesson", "Storgatan 8", "Malmö", "211 42", "SE"),
    ("Max", "Gruber", "Ringstraße 1", "Wien", "1010", "AT"),
    ("Chloé", "Martin", "12 rue des Lilas", "Lyon", "69003", "FR"),
]
