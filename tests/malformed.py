"""Bodies that no client should send, by hand: each once broke something somewhere."""

import json
from typing import Any

GOOD: dict[str, Any] = {
    "orderReferenceId": "BAD-1",
    "currency": "EUR",
    "shippingAddress": {"firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Street 1", "city": "Oslo",
                        "postCode": "0154", "country": "NO", "email": "ana@example.com"},
    "items": [{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 2,
               "files": [{"url": "https://files.example/card.pdf"}]}],
}  # fmt: skip


def _with(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def _item(**changes: Any) -> bytes:
    return _with(items=[GOOD["items"][0] | changes])


def _address(**changes: Any) -> bytes:
    return _with(shippingAddress=GOOD["shippingAddress"] | changes)


def _raw(text: str) -> bytes:
    """The good body, with `text` as the value of its metadata, as it is."""
    return json.dumps(GOOD)[:-1].encode() + b', "metadata": ' + text.encode() + b"}"


RTL = "\u202egnp.drac\u202c"
BODIES: dict[str, bytes] = {
    # no JSON at all
    "nothing": b"", "blank": b"   \n", "a nul": b"\0", "bytes": bytes(range(256)), "a letter": b"x",
    "html": b"<html></html>",
    "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "a form": b"orderReferenceId=1&items=2",
    "cut off": json.dumps(GOOD).encode()[:-9], "a comma too many": b'{"a": 1,}', "two values": b"{} {}",
    "a comment": b"{} // a",
    "single quotes": b"{'a': 1}", "a byte order mark": b"\xef\xbb\xbf{}", "utf-16": json.dumps(GOOD).encode("utf-16"),
    "utf-32": json.dumps(GOOD).encode("utf-32"), "latin-1": '{"orderReferenceId": "Zoë"}'.encode("latin-1"),
    "overlong utf-8": b'{"a": "\xc0\xaf"}', "a surrogate in utf-8": b'{"a": "\xed\xa0\x80"}',
    "half a letter": b'{"a": "\xe2\x82"}',
    "a control character": b'{"a": "\x01"}', "a line end in a text": b'{"a": "\n"}',
    "an unknown escape": b'{"a": "\\x41"}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "a pickle": b"\x80\x04K\x01.", "true only": b"true",
    "null only": b"null",
    "a number only": b"7", "a text only": b'"x"', "a list only": b"[]", "a list of lists": b"[[[[]]]]",
    "an empty object": b"{}",
    # characters and numbers
    "half a surrogate": _raw(r'{"a": "\ud800"}'), "the other half": _raw(r'{"a": "\udfff"}'),
    "a half as key": _raw(r'{"\ud800": 1}'),
    "halves in the wrong order": _raw(r'{"a": "\udc00\ud800"}'), "an escaped nul": _raw(r'{"a": "\u0000"}'),
    "a nul as key": _raw(r'{"\u0000": 1}'), "a nul in the reference": _with(orderReferenceId="a\0b"),
    "NaN": _raw('{"a": NaN}'), "Infinity": _raw('{"a": -Infinity}'), "1e400": _raw('{"a": 1e400}'),
    "-1e400": _raw('{"a": -1e400}'),
    "400 digits": _raw(f'{{"a": {"9" * 400}}}'), "5,000 digits": _raw(f'{{"a": {"9" * 5000}}}'),
    "5,000 decimals": _raw(f'{{"a": 0.{"9" * 5000}}}'), "a huge exponent": _raw('{"a": 1e99999999999}'),
    "minus zero": _raw('{"a": -0.0}'), "a leading zero": _raw('{"a": 007}'), "hexadecimal": _raw('{"a": 0x7}'),
    # depth, keys and size
    "33 deep": _raw("[" * 33 + "]" * 33), "900 deep": _raw("[" * 900 + "]" * 900),
    "5,000 deep": _raw("[" * 5000 + "]" * 5000),
    "100,000 deep": b"[" * 100_000, "objects 5,000 deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "a key twice": _raw('{"a": 1, "a": 2}'),
    "the reference twice": b'{"orderReferenceId": "A", "orderReferenceId": "B"}',
    "10,000 keys": _with(metadata={f"k{n}": n for n in range(10_000)}),
    "an empty key": _raw('{"": 1}'), "a key of 100,000": _raw(json.dumps({"k" * 100_000: 1})),
    "__proto__": _raw('{"__proto__": {"admin": true}}'),
    "a text of 1 MB": _raw(json.dumps("x" * 1_048_576)), "just below 1 MB": _raw(json.dumps("x" * 1_040_000)),
    "2 MB": b" " * 2_097_152,
    # wrong kinds and ranges
    "items as object": _with(items={"0": GOOD["items"][0]}), "items as text": _with(items="1"),
    "no items": _with(items=[]), "items of null": _with(items=[None]),
    "501 items": _with(items=[GOOD["items"][0]] * 501),
    "21 files": _item(files=[{"url": "https://files.example/a.pdf"}] * 21), "files as text": _item(files="x"),
    "a file of null": _item(files=[None]), "an empty url": _item(files=[{"url": ""}]),
    "a url of 3,000": _item(files=[{"url": "https://files.example/" + "a" * 3000}]),
    "a url with a line end": _item(files=[{"url": "https://files.example/\r\nHost: x"}]),
    "quantity 0": _item(quantity=0), "quantity -1": _item(quantity=-1),
    "quantity 2^63": _item(quantity=2**63), "quantity 10^38": _item(quantity=10**38),
    "quantity 1.5": _item(quantity=1.5), "quantity true": _item(quantity=True),
    "quantity in Arabic digits": _item(quantity="٣"), "quantity as 1e3": _item(quantity="1e3"),
    "a price of NaN": _item(retailPriceInclVat="NaN"),
    "a price of -1": _item(retailPriceInclVat="-1"), "a price of 10^30": _item(retailPriceInclVat=10**30),
    "a price as object": _item(retailPriceInclVat={"a": 1}),
    "variant as list": _item(productVariant=["x"]),
    "metadata as list": _with(metadata=[{"key": "a", "value": {"b": [1]}}]),
    "metadata keys of lists": _with(metadata=[{"key": ["a"]}]),
    "reference as object": _with(orderReferenceId={"a": 1}), "reference as number": _with(orderReferenceId=10**38),
    "a reference of 121": _with(orderReferenceId="x" * 121),
    "a reference of blanks": _with(orderReferenceId="  "), "currency as list": _with(currency=["EUR"]),
    "currency XXX": _with(currency="XXX"), "currency of emoji": _with(currency="💶"),
    "no address": _with(shippingAddress=None), "address as text": _with(shippingAddress="Street 1"),
    "address as list": _with(shippingAddress=[]), "country of emoji": _address(country="🇳🇴"),
    "country as number": _address(country=578), "a name of 10,000": _address(firstName="x" * 10_000),
    "e-mail with line ends": _address(email="a@b.example\nBcc: c@d.example"),
    "phone of letters": _address(phone="call me"), "a postcode of formulas": _address(postCode="=1+1"),
    "order type unknown": _with(orderType="gift"),
    # what is accepted, and must not break what is shown later
    "right to left": _with(orderReferenceId=RTL, metadata={RTL: RTL}),
    "combining marks": _address(firstName="Z" + "\u0301" * 60),
    "zero width": _with(orderReferenceId="a\u200b\ufeffb"),
    "formulas": _with(orderReferenceId="=cmd|' /C calc'!A0", metadata={"=1": "@SUM(1)"}),
    "html in texts": _address(firstName="<script>alert(1)</script>", city="\"'><img src=x>"),
    "template words": _with(orderReferenceId="{{ 7*7 }}{% debug %}", metadata={"a": "${7*7}#{7*7}"}),
    "percent": _with(orderReferenceId="%s%d%%n"), "quotes": _with(orderReferenceId="'; DROP TABLE orders--"),
    "line separators": _address(addressLine1="a\u2028b\u2029c\x85d"), "beyond the plane": _address(city="𝕆𝕤𝕝𝕠 🏳️‍🌈"),
    "private use": _with(orderReferenceId="\ue000\U0010ffff"), "a tab": _with(orderReferenceId="a\tb\x7fc"),
    "extra keys": _with(id="1", status="shipped", customer="beta", order={"status": "shipped"}, toString=1),
    "a path": _with(orderReferenceId="../../etc/passwd"), "a slash": _with(orderReferenceId="a/b?c#d%2f"),
    "as an id": _with(orderReferenceId="01a21876-b351-7555-afcc-b4e73d29e0d9"),
    "numbers as texts": _item(quantity="2", retailPriceInclVat="4.90"), "31 deep": _raw("[" * 30 + "]" * 30),
    "38 digits": _raw('{"a": ' + "9" * 38 + "}"),
}  # fmt: skip

# What may stand after the ? of a list.
NAMES = ("limit", "cursor", "page", "q", "status", "view", "since", "until", "customer", "id", "order", "endpoint")
VALUES = ("", "-1", "9999999999999", "9" * 30, "1e3", "%00", "%ED%A0%80", "%FF", "~~x", "%27", "2026-13-45", "0000-00-00",
          "99999-01-01", "ffffffff-ffff-ffff-ffff-ffffffffffff", "a" * 5000, "%F0%9F%92%B6")  # fmt: skip
QUERIES = [f"{name}={value}" for name in NAMES for value in VALUES]

CONTENT_TYPES = ("", "x", "text/xml", "multipart/form-data", "multipart/form-data; boundary=x", "application/json; q",
                 "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/json; charset=x",
                 "\xff", "a" * 9000)  # fmt: skip
HEADERS = ("Idempotency-Key", "Customer-Reference-ID", "X-API-KEY", "Accept", "Content-Encoding")
HEADER_VALUES = (
    "",
    "\0",
    "\x85",
    "a" * 9000,
    "é",
    "::",
    "acme:" + "x" * 9000,
    "-1",
    "9" * 40,
    "*/*;q=x",
    "application/pdf",
)
