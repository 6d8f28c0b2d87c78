"""Signatures: the vectors of the senders' documentation, both directions, and everything that is no signature."""

import base64
import json
import time

import pytest
from standardwebhooks import Webhook

from gelatoconnect.lib import signing
from gelatoconnect.lib.problems import Rejected

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()
BODY = b'{"type":"order.shipped","timestamp":"2026-01-15T09:30:00Z","data":{"id":"ord_9"}}'
AT = 1768469400
SIGNATURE = "v1,6kPrKllDfeDGa6e0MR15pXk46X5mULwd+KmEHI1XgXA="
HEADERS = {"webhook-id": "msg_01TEST", "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}


def refusal(
    headers: dict[str, str], *, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), now: float = AT
) -> list[str]:
    with pytest.raises(Rejected) as refused:
        signing.verify(headers, body, secrets=secrets, now=now)
    assert refused.value.status == 401
    return [problem.code for problem in refused.value.problems]


def test_a_shop_signs_as_its_documentation_says() -> None:
    body = b'{"id":5012,"number":"5012","status":"processing"}'
    signature = "XtfBOt0YMRhdicOtS5Rit9LgrHQf++4NxYjzEeVzjGQ="
    assert signing.in_base64(body, secret="woo-hook-secret") == signature
    assert signing.fits(signature, body, secrets=["woo-hook-secret"])
    assert signing.fits(signature, body, secrets=["new", "woo-hook-secret"])
    assert not signing.fits(signature, body + b" ", secrets=["woo-hook-secret"])
    assert not signing.fits("é", body, secrets=["woo-hook-secret"])


def test_an_empty_secret_lets_nobody_in() -> None:
    assert not signing.fits(signing.in_base64(BODY, secret=""), BODY, secrets=["", ""])
    assert refusal(HEADERS, secrets=("", "")) == ["SIGNATURE_INVALID"]


def test_standard_webhooks_are_signed_and_verified_alike() -> None:
    assert signing.signed("msg_01TEST", AT, BODY, secret=SECRET) == HEADERS
    signing.verify(HEADERS, BODY, secrets=[SECRET], now=AT)
    now = int(time.time())
    headers = signing.signed("msg_2", now, b"{}", secret=OTHER)
    assert Webhook(OTHER).verify(b"{}", headers) == json.loads(b"{}")


@pytest.mark.parametrize("given", [f"v1,{'A' * 43}= {SIGNATURE}", f"v1a,xyz {SIGNATURE} garbage", SIGNATURE])
def test_one_good_signature_of_several_is_enough(given: str) -> None:
    signing.verify(HEADERS | {"webhook-signature": given}, BODY, secrets=["", OTHER, SECRET], now=AT + 299)


def test_the_headers_of_svix_are_read_too() -> None:
    signing.verify(
        {name.replace("webhook", "svix"): value for name, value in HEADERS.items()}, BODY, secrets=[SECRET], now=AT
    )


@pytest.mark.parametrize("away", [-301, 301, 10**9])
def test_an_old_call_and_one_from_the_future_are_refused(away: int) -> None:
    assert refusal(HEADERS, now=AT + away) == ["TIMESTAMP_STALE"]


@pytest.mark.parametrize("name", HEADERS)
def test_each_header_is_needed(name: str) -> None:
    assert refusal({key: value for key, value in HEADERS.items() if key != name}) == ["SIGNATURE_MISSING"]


@pytest.mark.parametrize(
    "wrong",
    [{"webhook-signature": "garbage"}, {"webhook-signature": "v1,,,"}, {"webhook-signature": "v1,é"},
     {"webhook-signature": SIGNATURE.replace("v1,", "v2,")}, {"webhook-id": "msg_02"}, {"webhook-timestamp": "soon"},
     {"webhook-timestamp": "١٧٦٨٤٦٩٤٠٠"}, {"webhook-timestamp": str(AT + 1)}],
)  # fmt: skip
def test_what_is_no_signature_of_this_body_is_refused(wrong: dict[str, str]) -> None:
    assert refusal(HEADERS | wrong) == ["SIGNATURE_INVALID"]


def test_another_body_or_secret_is_refused() -> None:
    assert refusal(HEADERS, body=BODY + b" ") == refusal(HEADERS, secrets=(OTHER,)) == ["SIGNATURE_INVALID"]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "no base64!"])
def test_what_is_no_secret_is_said(secret: str) -> None:
    with pytest.raises(ValueError):
        signing.key_of(secret)
