"""What the data checks say of orders, with no database behind them."""

from typing import Any

import pytest

from gelatoconnect.lib.problems import Problem
from intake.checks.data import CHECKS, country_names, country_of
from orders.drafts import Draft, read

CARD = {"productUid": "card-a6", "files": [{"url": "https://files.example/card.pdf"}]}
OSLO = {"firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Karl Johans gate 4", "city": "Oslo", "postCode": "0154",
        "country": "NO"}  # fmt: skip
AUSTIN = {
    **OSLO,
    "addressLine1": "98 San Jacinto Blvd",
    "city": "Austin",
    "state": "TX",
    "postCode": "78701",
    "country": "US",
}


def draft(address: dict[str, str], **order: Any) -> Draft:
    return read({"orderReferenceId": "A-1", "shippingAddress": address, "items": [CARD], **order})


def problems(address: dict[str, str], **order: Any) -> list[Problem]:
    return [problem for check in CHECKS for problem in check(draft(address, **order))]


def found(address: dict[str, str], **order: Any) -> list[tuple[str, str, str]]:
    return [(problem.code, problem.path, problem.severity) for problem in problems(address, **order)]


def in_address(code: str, field: str, severity: str = "error") -> list[tuple[str, str, str]]:
    return [(code, f"/shippingAddress/{field}", severity)]


# Country, street, city, postcode, state, phone.
GOOD = [
    ("AE", "Villa 12, Al Wasl Road", "Dubai", "", "Dubai", "050 123 4567"),
    ("AE", "Office 3, Corniche", "Abu Dhabi", "00000", "", "+971 2 123 4567"),
    ("AT", "Ringstraße 1", "Wien", "1010", "", "01 5123456"),
    ("AU", "1 Macquarie St", "Sydney", "2000", "NSW", "02 9123 4567"),
    ("AU", "1 Collins St", "Melbourne", "3000", "Victoria", "0412 345 678"),
    ("BE", "Grote Markt 1", "Brussel", "1000", "", "+32 2 123 45 67"),
    ("BR", "Avenida Paulista 1000", "São Paulo", "01310-100", "SP", "(11) 91234-5678"),
    ("BR", "Rua das Flores 7", "Curitiba", "80010000", "Parana", "+55 41 3123-4567"),
    ("CA", "111 Rue Sherbrooke", "Montréal", "H2Y 1C6", "Québec", "514 555 0123"),
    ("CA", "1 Front St", "Toronto", "m5j2x2", "on", "+1 416 555 0123"),
    ("CH", "Bahnhofstrasse 1", "Zürich", "8001", "ZH", "044 123 45 67"),
    ("CN", "建国路88号", "朝阳区", "100022", "北京", "010 1234 5678"),
    ("CN", "Zhongshan Road 5", "Guangzhou", "510000", "Guangdong", "+86 20 1234 5678"),
    ("DE", "Am Weg 3", "Bonn", "53111", "", "0228 123456"),
    ("DK", "Nyhavn 1", "København K", "1051", "", "33 12 34 56"),
    ("ES", "Calle Mayor 1", "Madrid", "28013", "", "912 345 678"),
    ("ES", "Rambla 1", "Barcelona", "08002", "Barcelona", "+34 932 345 678"),
    ("FR", "12 rue des Lilas", "Lyon", "69003", "", "04 72 12 34 56"),
    ("GB", "10 Downing Street", "London", "SW1A 2AA", "Greater London", "020 7946 0000"),
    ("GB", "1 High St", "Leeds", "ls11aa", "", "+44 113 496 0000"),
    ("GR", "Ερμού 15", "Αθήνα", "105 63", "", "210 1234567"),
    ("HK", "1 Nathan Road", "Kowloon", "", "", "2123 4567"),
    ("HK", "1 Queen's Road", "", "999077", "Hong Kong Island", "+852 2123 4567"),
    ("IE", "1 O'Connell Street", "Dublin", "", "", "01 234 5678"),
    ("IE", "1 Main Street", "Dublin 2", "D02 AF30", "Co. Dublin", "+353 1 234 5678"),
    ("IN", "MG Road 1", "Bengaluru", "560001", "Karnataka", "080 1234 5678"),
    ("IT", "Via Roma 1", "Torino", "10121", "", "011 123456"),
    ("IT", "Via Roma 1", "Torino", "10121", "TO", "+39 011 123456"),
    ("JP", "丸の内1丁目", "千代田区", "100-0005", "東京都", "03-1234-5678"),
    ("JP", "Marunouchi 1", "", "1000005", "Tokyo", "+81 3 1234 5678"),
    ("KR", "테헤란로 123", "서울", "06133", "", "02-1234-5678"),
    ("MX", "Av. Reforma 1", "Ciudad de México", "06600", "CDMX", "55 1234 5678"),
    ("NL", "Keizersgracht 210", "Amsterdam", "1016 dz", "", "020 123 4567"),
    ("NO", "Karl Johans gate 4", "Oslo", "0154", "", "22 12 34 56"),
    ("NZ", "1 Queen Street", "Auckland", "1010", "", "09 123 4567"),
    ("PL", "ul. Długa 5", "Kraków", "31-147", "", "600 100 200"),
    ("PT", "Rua Augusta 1", "Lisboa", "1100-048", "", "212 345 678"),
    ("SE", "Storgatan 8", "Malmö", "21142", "", "040 12 34 56"),
    ("SG", "1 Orchard Road", "", "238823", "", "6123 4567"),
    ("TR", "Atatürk Bulvarı 1", "Ankara", "06420", "Ankara", "0312 123 45 67"),
    ("US", "98 San Jacinto Blvd", "Austin", "78701-1234", "TX", "(512) 555-0123"),
    ("US", "350 5th Ave", "New York", "10118", "New York", "+1 212 555 0123"),
    ("US", "1600 Amphitheatre Pkwy", "Mountain View", "94043", "US-CA", "650-253-0000"),
    ("ZA", "1 Long Street", "Cape Town", "8001", "", "021 123 4567"),
]


@pytest.mark.parametrize(("country", "street", "city", "post_code", "state", "phone"), GOOD)
def test_a_good_address_passes_without_a_word(
    country: str, street: str, city: str, post_code: str, state: str, phone: str
) -> None:
    address = {**OSLO, "country": country, "addressLine1": street, "city": city, "postCode": post_code, "state": state,
               "phone": phone, "email": "ana.ruiz@example.com"}  # fmt: skip
    assert found(address) == []


def test_the_good_ones_are_of_25_countries_and_more() -> None:
    assert len({country for country, *_ in GOOD}) >= 25


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"country": ""}, in_address("ADDRESS_COUNTRY_MISSING", "country")),
        ({"country": "XX"}, in_address("ADDRESS_COUNTRY_UNKNOWN", "country")),
        ({"country": "EU"}, in_address("ADDRESS_COUNTRY_UNKNOWN", "country")),
        ({"country": "ZZ"}, in_address("ADDRESS_COUNTRY_UNKNOWN", "country")),
        ({"firstName": "", "lastName": ""}, in_address("ADDRESS_NAME_MISSING", "firstName")),
        ({"firstName": ""}, in_address("ADDRESS_NAME_MISSING", "firstName", "warning")),
        ({"lastName": ""}, in_address("ADDRESS_NAME_MISSING", "lastName", "warning")),
        ({"firstName": "", "lastName": "", "companyName": "Acme"}, []),
        ({"addressLine1": ""}, in_address("ADDRESS_LINE1_MISSING", "addressLine1")),
        ({"city": ""}, in_address("ADDRESS_CITY_MISSING", "city")),
        ({"postCode": ""}, in_address("ADDRESS_POSTCODE_MISSING", "postCode")),
        ({"postCode": "123"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode")),
        ({"postCode": "N-0154"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode", "warning")),
        ({"postCode": "01 54"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode", "warning")),
        ({"country": "PL", "postCode": "31147"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode", "warning")),
        ({"country": "DE", "postCode": "0154"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode")),
        ({"country": "IE", "postCode": "D02"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode", "warning")),
        ({"country": "IT", "postCode": "10121", "state": "Piemonte"},
         in_address("ADDRESS_STATE_UNKNOWN", "state", "warning")),
        ({"country": "NO", "state": "Viken"}, []),
        ({"country": "", "city": "", "postCode": "x"}, in_address("ADDRESS_COUNTRY_MISSING", "country")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_address_is_said(changes: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    assert found({**OSLO, **changes}) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": ""}, in_address("ADDRESS_STATE_MISSING", "state")),
        ({"state": "XX"}, in_address("ADDRESS_STATE_UNKNOWN", "state")),
        ({"state": "--"}, in_address("ADDRESS_STATE_UNKNOWN", "state")),
        ({"postCode": "2139"}, in_address("ADDRESS_POSTCODE_FORMAT", "postCode")),
        ({"postCode": "10118"}, in_address("ADDRESS_POSTCODE_STATE_MISMATCH", "postCode", "warning")),
        ({"state": "texas "}, []),
        ({"state": "Puerto Rico", "postCode": "00901"}, []),
    ],
)
def test_where_the_state_is_needed_it_has_to_be_one(
    changes: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    assert found({**AUSTIN, **changes}) == expected


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("UK", "Use GB for United Kingdom."),
        ("usa", "Use US for United States."),
        ("578", "Use NO for Norway."),
        ("Germany", "Use DE for Germany."),
        ("SU", "Use the country's two letters (ISO 3166-1), such as DE for Germany."),
    ],
)
def test_a_country_said_otherwise_is_told_its_code(said: str, hint: str) -> None:
    assert [problem.hint for problem in problems({**OSLO, "country": said})] == [hint]


def test_the_hint_to_a_wrong_postcode_is_a_right_one_of_that_country() -> None:
    (problem,) = problems({**OSLO, "country": "NL"})
    assert (problem.message, problem.hint) == (
        "Netherlands does not write postcodes like '0154'.", "Send a postcode such as 1234 AB.",
    )  # fmt: skip


def test_every_country_has_rules_and_its_example_keeps_them() -> None:
    countries = {code: country for code in country_names() if (country := country_of(code))}
    assert len(countries) == 252
    wrong = [
        code
        for code, country in countries.items()
        if (country.postcode or "Z" in country.required)
        and not (country.postcode and country.postcode.fullmatch(country.example))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Zoë", False), ("O’Brien", False), ("Anna 🎉", False), ("محمد", False), ("नमस्ते", False), ("می‌خواهم", False),
        ("Jean\u00a0Luc", False), ("Zoe\u0308", False), ("北京", False),
        ("Ana\x01", True), ("Ana\nRuiz", True), ("Ana\tRuiz", True), ("Ana\x7f", True), ("Ana\u2028Ruiz", True),
        ("Ana\u202eziuR", True), ("\ue000Ana", True), ("Stra\ufffde", True),
    ],
)  # fmt: skip
def test_odd_letters_pass_and_control_characters_do_not(text: str, wrong: bool) -> None:
    expected = in_address("ADDRESS_TEXT_UNPRINTABLE", "addressLine2") if wrong else []
    assert found({**OSLO, "addressLine2": f"c/o {text} x"}) == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"firstName": ".", "lastName": "."}, "firstName"),
        ({"addressLine1": "---"}, "addressLine1"),
        ({"city": "???"}, "city"),
    ],
)
def test_signs_alone_are_no_address(changes: dict[str, str], field: str) -> None:
    assert found({**OSLO, **changes}) == in_address("ADDRESS_TEXT_UNPRINTABLE", field)


def test_a_name_of_which_one_part_is_a_dot_passes() -> None:
    assert found({**OSLO, "lastName": "."}) == []


@pytest.mark.parametrize("email", ["ana@example.com", "ana+shop@mail.example.co.uk", "ü@müller.de", "a'b@x.no", ""])
def test_an_address_that_mail_can_go_to_passes(email: str) -> None:
    assert found({**OSLO, "email": email}) == []


@pytest.mark.parametrize("email", ["kai@", "kai", "@example.com", "a b@example.com", "a..b@example.com", "a@localhost",
                                   "a@example,com", "a@b.no, c@d.no", "ana@-x.com", "ana\n@example.com"])  # fmt: skip
def test_what_is_no_mail_address_is_said(email: str) -> None:
    assert found({**OSLO, "email": email}) == in_address("EMAIL_FORMAT", "email")


@pytest.mark.parametrize(
    ("phone", "severity"),
    [
        ("+47 22 12 34 56", ""), ("22123456", ""), ("0047 22123456", ""), ("+1 (212) 555-0123", ""),
        ("tel: 22 12 34 56", ""), ("112", "warning"), ("+47 2212345678901", "warning"), ("+999 12345678", "warning"),
        ("12345678901234567890", "warning"),
        ("n/a", "error"), ("-", "error"), ("ring twice", "error"),
    ],
)  # fmt: skip
def test_a_phone_can_be_dialled_from_where_the_parcel_goes(phone: str, severity: str) -> None:
    assert found({**OSLO, "phone": phone}) == (in_address("PHONE_FORMAT", "phone", severity) if severity else [])


def test_a_local_number_is_not_judged_when_the_country_is_wrong() -> None:
    assert found({**OSLO, "country": "UK", "phone": "020 7946 0000"}) == in_address(
        "ADDRESS_COUNTRY_UNKNOWN", "country"
    )


def items(*prices: str | None) -> list[dict[str, Any]]:
    return [{**CARD, "retailPriceInclVat": price} for price in prices]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, []),
        ({"currency": "EUR", "items": items("4.90", "100.0000")}, []),
        ({"currency": "JPY", "items": items("150", "150.00")}, []),
        ({"currency": "EUR", "retailCurrency": "KWD", "items": items("1.125")}, []),
        ({"items": items(None)}, []),
        ({"currency": "EUX"}, [("CURRENCY_UNKNOWN", "/currency", "error")]),
        ({"currency": "EUR", "retailCurrency": "DEM"}, [("CURRENCY_UNKNOWN", "/retailCurrency", "error")]),
        ({"items": items("4.90", "5.90")}, [("CURRENCY_MISSING", "/currency", "error")]),
        ({"retailShippingPriceInclVat": "3"}, [("CURRENCY_MISSING", "/currency", "error")]),
        ({"currency": "JPY", "items": items("1.50")}, [("PRICE_PRECISION", "/items/0/retailPriceInclVat", "error")]),
        ({"currency": "EUR", "items": items("1", "1.234"), "retailShippingPriceInclVat": "0.999"},
         [("PRICE_PRECISION", "/retailShippingPriceInclVat", "error"),
          ("PRICE_PRECISION", "/items/1/retailPriceInclVat", "error")]),
    ],
)  # fmt: skip
def test_prices_come_in_a_currency_and_no_finer_than_its_coins(
    order: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert found(OSLO, **order) == expected


def test_a_currency_of_the_past_is_called_by_its_name() -> None:
    (problem,) = problems(OSLO, currency="DEM")
    assert problem.message == "'DEM' (German Mark) is no longer in use."


def test_references_have_no_control_characters() -> None:
    order = {
        "orderReferenceId": "A\t1",
        "customerReferenceId": "C\x01",
        "items": [CARD, {**CARD, "itemReferenceId": "x\ny"}],
    }
    assert found(OSLO, **order) == [
        ("REFERENCE_CHARACTERS", path, "error")
        for path in ("/orderReferenceId", "/customerReferenceId", "/items/1/itemReferenceId")
    ]
    assert found(OSLO, orderReferenceId="Bestellung № 7/ß 🎉") == []


@pytest.mark.parametrize(
    "url",
    ["https://files.example/card.pdf", "http://files.example:8080/a?x=1#y", "HTTPS://FILES.EXAMPLE/", "https://müller.example/ä.pdf",
     "http://127.0.0.1:9/x", "https://[2001:db8::1]/x"],
)  # fmt: skip
def test_a_web_address_passes(url: str) -> None:
    assert found(OSLO, items=[{**CARD, "files": [{"url": url}]}]) == []


@pytest.mark.parametrize(
    "url",
    ["card.pdf", "/files/card.pdf", "//files.example/card.pdf", "ftp://files.example/card.pdf", "file:///etc/passwd", "https://",
     "https:///card.pdf", "https://files.example:99999/x", "https://files.example:x/", "https://[::1/x", "https://a..b/x",
     "https://files.example/a b.pdf", "https://files.example/a\nb.pdf", "data:application/pdf;base64,AA==",
     f"https://{'a' * 64}.example/x"],
)  # fmt: skip
def test_what_is_no_web_address_is_said_where_it_stands(url: str) -> None:
    files = [{"url": "https://files.example/front.pdf"}, {"url": url}]
    assert found(OSLO, items=[CARD, {**CARD, "files": files}]) == [
        ("FILE_URL_INVALID", "/items/1/files/1/url", "error")
    ]


def test_everything_that_is_wrong_is_said_at_once_with_a_hint() -> None:
    said = problems({"country": "DE", "postCode": "1", "email": "kai@", "phone": "none"}, currency="XYZ",
                    items=[{"files": [{"url": "card.pdf"}], "retailPriceInclVat": "1"}])  # fmt: skip
    assert [problem.code for problem in said] == [
        "ADDRESS_NAME_MISSING", "ADDRESS_LINE1_MISSING", "ADDRESS_CITY_MISSING", "ADDRESS_POSTCODE_FORMAT", "EMAIL_FORMAT",
        "PHONE_FORMAT", "CURRENCY_UNKNOWN", "FILE_URL_INVALID",
    ]  # fmt: skip
    assert [problem for problem in said if not problem.hint or "{" in problem.hint] == []


def test_a_check_changes_nothing() -> None:
    asked = draft({**OSLO, "country": "uk", "postCode": " d-53111 ", "phone": "x"})
    before = asked.model_dump_json()
    assert [list(check(asked)) for check in CHECKS] == [list(check(asked)) for check in CHECKS]
    assert asked.model_dump_json() == before
