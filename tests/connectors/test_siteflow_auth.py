"""Who may call: every way in which Site Flow clients sign is taken, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gelatoconnect.lib.problems import Rejected
from intake.connectors.base import Call
from intake.connectors.siteflow import SiteFlow, SiteFlowConfig
from intake.connectors.siteflow.auth import check, moment_of, signature_of
from intake.models import OrderRequest
from orders.models import Order
from tests.connectors.siteflow_client import SECRET, TOKEN, SiteFlowClient, order_of

AT = "2026-01-15T09:30:00.000Z"
NOW = datetime(2026, 1, 15, 9, 30, 10, tzinfo=UTC)
VECTOR = f"POST /api/order {AT}"
BY_SHA256 = "48cd8fbb4191a7a88b9389d69b1d8c34fd4744fe1088dc341bcaecca12ab2956"
BY_SHA1 = "8a1d17964ca3d010a80e4d4590fa0fced5d46bc5"
ID = "01a21833-0169-77d4-9010-61661937338f"


def call_of(signature: str, *, at: str = AT, method: str = "POST", path: str = "api/order", **headers: str) -> Call:
    named = {"x-oneflow-authorization": f"{TOKEN}:{signature}", "x-oneflow-date": at} | headers
    return Call(method, path, f"/in/{ID}/{path}", {}, named)


def codes(call: Call, **changes: Any) -> list[str]:
    """What speaks against the call."""
    how: dict[str, Any] = {"keys": [(TOKEN, SECRET)], "sha1": True, "window": 300, "zone": "UTC", "now": NOW} | changes
    try:
        check(call, **how)
    except Rejected as refusal:
        assert refusal.status == 401
        return [problem.code for problem in refusal.problems]
    return []


def test_the_vectors_are_signed_as_site_flow_signs() -> None:
    assert signature_of(SECRET, VECTOR) == BY_SHA256
    assert signature_of(SECRET, VECTOR, digest="sha1") == BY_SHA1


@pytest.mark.parametrize(
    ("signature", "headers"),
    [(BY_SHA256, {"x-oneflow-algorithm": "SHA256"}), (BY_SHA256.upper(), {"x-oneflow-algorithm": "sha-256"}),
     (BY_SHA1, {"x-oneflow-algorithm": "SHA1"}), (BY_SHA1, {})],
)  # fmt: skip
def test_the_vectors_pass(signature: str, headers: dict[str, str]) -> None:
    assert codes(call_of(signature, **headers)) == []


@pytest.mark.parametrize(
    "text",
    ["POST /in/{id}/async/api/order {at}", "post /in/{id}/async/api/order {at}", "POST /async/api/order {at}",
     "POST /api/order {at}", "POST api/order {at}", "POST /order {at}", "POST order {at}", "post order/ {at}",
     "POST /api/order{at}", "POST /api/order?page=1&pagesize=5 {at}"],
)  # fmt: skip
def test_every_form_of_the_signed_text_passes(text: str) -> None:
    signature = signature_of(SECRET, text.format(id=ID, at=AT), digest="sha1")
    call = replace(call_of(signature, path="async/api/order"), query={"page": "1", "pagesize": "5"})
    assert codes(call) == []


@pytest.mark.parametrize("path", ["/in/{id}/api/order/Gäste 1/cancel", "/in/{id}/api/order/G%C3%A4ste%201/cancel"])
def test_paths_are_signed_decoded_or_as_they_are_sent(path: str) -> None:
    signature = signature_of(SECRET, f"PUT {path.format(id=ID)} {AT}", digest="sha1")
    assert codes(call_of(signature, method="PUT", path="api/order/Gäste 1/cancel")) == []


def test_clients_of_printos_send_headers_of_their_own() -> None:
    signature = signature_of(SECRET, f"POST /api/order{AT}", digest="sha1")
    headers = {"x-hp-hmac-authentication": f"{TOKEN}:{signature}", "x-hp-hmac-date": AT, "x-hp-hmac-algorithm": "SHA1"}
    assert codes(Call("POST", "api/order", f"/in/{ID}/api/order", {}, headers)) == []


@pytest.mark.parametrize(
    ("said", "zone"),
    [("2026-01-15T09:30:00.000Z", "UTC"), ("2026-01-15T09:30:00Z", "UTC"), ("2026-01-15T10:30:00+0100", "UTC"),
     ("2026-01-15T09:30:00", "UTC"), ("2026-01-15 09:30:00", "UTC"), ("2026-01-15 10:30:00", "Europe/Oslo"),
     ("1768469400", "UTC"), ("1768469400.0", "UTC"), ("1768469400000", "UTC"), (" 1768469400 ", "Europe/Oslo")],
)  # fmt: skip
def test_times_are_read_in_every_style_of_the_clients(said: str, zone: str) -> None:
    assert moment_of(said, zone=zone) == datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
    signature = signature_of(SECRET, f"POST /api/order {said.strip()}", digest="sha1")
    assert codes(call_of(signature, at=said), zone=zone) == []


@pytest.mark.parametrize("said", ["", "soon", "²", "9" * 400, "1e999", "2026-13-45", "0000-00-00 00:00:00"])
def test_what_is_no_time_is_none(said: str) -> None:
    assert moment_of(said, zone="UTC") is None


@pytest.mark.parametrize(
    ("away", "expected"), [(300, []), (301, ["SIGNATURE_EXPIRED"]), (-300, []), (-301, ["SIGNATURE_EXPIRED"])]
)
def test_a_signature_is_taken_for_a_while_only(away: int, expected: list[str]) -> None:
    now = datetime(2026, 1, 15, 9, 30, tzinfo=UTC) + timedelta(seconds=away)
    assert codes(call_of(BY_SHA1), now=now) == expected


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Call("POST", "api/order"), "SIGNATURE_MISSING"),
        (call_of(""), "SIGNATURE_MISSING"),
        (call_of(BY_SHA1, at=""), "SIGNATURE_MISSING"),
        (call_of(BY_SHA1, **{"x-oneflow-algorithm": "MD5"}), "SIGNATURE_ALGORITHM"),
        (call_of(BY_SHA1, **{"x-oneflow-algorithm": "SHA256"}), "SIGNATURE_INVALID"),
        (call_of(BY_SHA256), "SIGNATURE_INVALID"),
        (call_of(BY_SHA1[:-1] + "6"), "SIGNATURE_INVALID"),
        (call_of(BY_SHA1, at="2026-01-15T09:30:01.000Z"), "SIGNATURE_INVALID"),
        (call_of(BY_SHA1, method="PUT"), "SIGNATURE_INVALID"),
        (call_of(BY_SHA1, path="api/order/validate"), "SIGNATURE_INVALID"),
        (call_of("ÄÖ\udcff"), "SIGNATURE_INVALID"),
        (call_of(signature_of(SECRET, "POST /api/order now", digest="sha1"), at="now"), "SIGNATURE_DATE"),
        (call_of(BY_SHA1, **{"x-oneflow-authorization": f"other:{BY_SHA1}"}), "SIGNATURE_INVALID"),
    ],
)
def test_whatever_else_is_refused(call: Call, code: str) -> None:
    assert codes(call) == [code]


def test_sha1_can_be_forbidden() -> None:
    assert codes(call_of(BY_SHA1), sha1=False) == ["SIGNATURE_ALGORITHM"]
    assert codes(call_of(BY_SHA256, **{"x-oneflow-algorithm": "SHA256"}), sha1=False) == []


def test_two_keys_are_taken_while_they_are_exchanged() -> None:
    new = SiteFlowConfig.model_validate({"token": "new", "secret": "s2", "token_2": TOKEN, "secret_2": SECRET})
    assert codes(call_of(BY_SHA1), keys=new.keys) == []
    assert codes(call_of(BY_SHA1), keys=[("new", SECRET), (TOKEN, "s2")]) == ["SIGNATURE_INVALID"]
    alone = SiteFlowConfig.model_validate({"token": "new", "secret": "s2", "token_2": TOKEN})
    assert alone.keys == [("new", "s2")]  # a second token without its secret opens nothing


@pytest.mark.parametrize("wrong", [{}, {"token": "t", "secret": ""}, {"token": "", "secret": "s"}, {"secret": "s"},
                                   {"token": "t", "secret": "s", "time_zone": "Mars"},
                                   {"token": "t", "secret": "s", "postback_on": ["sent"]},
                                   {"token": "t", "secret": "s", "postback_type": "text/xml\r\nX: 1"}])  # fmt: skip
def test_settings_without_which_a_call_could_not_be_judged_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SiteFlowConfig.model_validate(wrong)


def test_an_unsigned_call_is_refused_in_site_flows_shape_and_shown(channel: Any, send: Any) -> None:
    connector = channel("siteflow", token=TOKEN, secret=SECRET)
    answer = send(connector, order_of(), path="api/order", **{"x-hp-hmac-authentication": "sf:abc"})
    assert answer.status_code == 401
    assert answer.json() == {"success": False, "error": {
        "code": 401, "name": "UnauthorizedError",
        "message": "The call is not signed. Send x-oneflow-authorization and x-oneflow-date."}}  # fmt: skip
    assert SiteFlowClient(connector)("POST", "api/order", order_of(), secret="guess").status_code == 401
    assert [request.state for request in OrderRequest.objects.all()] == ["rejected"] * 2
    assert not any("hmac" in name.lower() or "authorization" in name.lower()
                   for request in OrderRequest.objects.all() for name in request.headers)  # fmt: skip
    assert not Order.objects.exists()


def test_the_example_is_signed(channel: Any) -> None:
    connector = channel("siteflow", token=TOKEN, secret=SECRET)
    config = SiteFlowConfig.model_validate_json(connector.settings)
    call = SiteFlow().example(config, number=7, sku="card-a6", file_url="https://files.example/card.pdf")
    SiteFlow().verify(replace(call, url_path=f"/in/{connector.pk}/api/order"), config)
