"""The mapping editor: tried on a request before it is saved, versions kept, tables typed, nothing lost."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from intake.connectors.mapped.starters import PLAIN
from intake.mapping.form import tables_of, written
from intake.mapping.trial import sample_message
from intake.models import Connector, Mapping, OrderRequest
from orders.models import Customer, Event, Order, Product, ShipmentMethod


@pytest.fixture
def connector(customer: Customer, product: Product) -> Connector:
    ShipmentMethod.objects.create(uid="normal", name="Letter post")
    return Connector.objects.create(
        name="acme-mapped", type="mapped", customer=customer, settings='{"secret": "s3cret"}'
    )


@pytest.fixture
def admin(sign_in: Callable[..., Client]) -> Client:
    return sign_in("Administrator")


@pytest.fixture
def typed() -> Callable[..., dict[str, Any]]:
    """What a person who changes nothing sends; keyword arguments change its fields."""

    def fields(**changes: Any) -> dict[str, Any]:
        return {
            "submit": PLAIN.submit, "cancel": PLAIN.cancel, "answer": PLAIN.answer, "answer_type": PLAIN.answer_type,
            "lookups": written(PLAIN.lookups), "sample": PLAIN.sample, "base": "0", "action": "try",
        } | changes  # fmt: skip

    return fields


def address(connector: Connector) -> str:
    return reverse("intake:mapping", args=[connector.pk])


def text(response: Any) -> str:
    """The page as it reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def save(connector: Connector, version: int, **changes: Any) -> Mapping:
    fields = {"submit": PLAIN.submit, "sample": PLAIN.sample, "by": "user:eve", "lookups": PLAIN.lookups} | changes
    return Mapping.objects.create(connector=connector, version=version, **fields)


def arrived(connector: Connector, body: bytes, **more: Any) -> OrderRequest:
    return OrderRequest.objects.create(connector=connector, body=body, fingerprint="x", state="rejected", **more)


def test_a_new_mapping_begins_with_one_that_works_on_its_sample(admin: Client, connector: Connector) -> None:
    page = admin.get(address(connector))
    assert page.context["form"]["submit"].value() == PLAIN.submit
    trial = page.context["trial"]
    assert (trial.renders, trial.what, trial.shown_problems) == (True, "An order", [])
    assert '"orderReferenceId": "W-1001"' in text(page)
    assert (trial.answer_status, '"number": "W-1001"' in trial.answer) == (201, True)


def test_trying_stores_nothing(admin: Client, connector: Connector, typed: Any) -> None:
    page = admin.post(address(connector), typed())
    assert (page.status_code, page.context["trial"].renders) == (200, True)
    assert [kind.objects.count() for kind in (Mapping, OrderRequest, Order, Event)] == [0, 0, 0, 0]


def test_a_mapping_that_works_is_saved_as_the_next_version(admin: Client, connector: Connector, typed: Any) -> None:
    page = admin.post(address(connector), typed(action="save", note="First"), follow=True)
    assert "Version 1 is saved. Every request is read with it from now on." in text(page)
    page = admin.post(
        address(connector), typed(action="save", base="1", lookups="[shipping]\r\nSTD = express"), follow=True
    )
    assert page.context["latest"] == 2
    saved = list(Mapping.objects.order_by("version").values_list("version", "by", "note", "lookups"))
    assert saved == [(1, "user:ada", "First", PLAIN.lookups), (2, "user:ada", "", {"shipping": {"STD": "express"}})]


def test_a_mapping_that_does_not_work_is_saved_only_when_a_person_insists(
    admin: Client, connector: Connector, typed: Any
) -> None:
    wrong = typed(action="save", submit='{\n"orderReferenceId": {{ request.nr | tojson }}\n}')
    page = admin.post(address(connector), wrong)
    assert "It does not work on the request that it was tried on." in text(page)
    assert "Line 2: 'nr' is not there; there is: number, currency, shipping, ship_to, lines." in text(page)
    assert Mapping.objects.count() == 0
    assert admin.post(address(connector), wrong | {"confirm": "on"}).status_code == 302
    assert Mapping.objects.get().version == 1


def test_one_that_was_not_tried_is_saved_only_when_a_person_insists(
    admin: Client, connector: Connector, typed: Any
) -> None:
    page = admin.post(address(connector), typed(action="save", sample=""))
    assert ("It was not tried on any request." in text(page), Mapping.objects.count()) == (True, 0)


def test_output_that_is_no_json_is_shown_with_its_line(admin: Client, connector: Connector, typed: Any) -> None:
    page = admin.post(address(connector), typed(submit='{"orderReferenceId": "1",\n"items": [,]}'))
    assert page.context["trial"].lines == [(1, '{"orderReferenceId": "1",', False), (2, '"items": [,]}', True)]
    assert 'class="line wrong"' in page.content.decode()
    assert "MAPPING_OUTPUT" in text(page)


def test_what_the_data_checks_say_is_shown_and_does_not_hinder_saving(
    admin: Client, connector: Connector, typed: Any
) -> None:
    sample = PLAIN.sample.replace("card-a6", "mug").replace('"NO"', '"XX"')
    page = admin.post(address(connector), typed(sample=sample))
    codes = [problem["code"] for problem in page.context["trial"].shown_problems]
    assert sorted(codes) == ["ADDRESS_COUNTRY_UNKNOWN", "PRODUCT_UNMAPPED"], codes
    assert page.context["trial"].answer_status == 422
    assert admin.post(address(connector), typed(sample=sample, action="save")).status_code == 302


def test_it_is_tried_on_a_request_that_came(admin: Client, connector: Connector, typed: Any) -> None:
    came = arrived(connector, PLAIN.sample.replace("W-1001", "W-77").encode(), content_type="application/json")
    mended = arrived(connector, b"{broken", mended_body=PLAIN.sample.replace("W-1001", "W-78").encode())
    assert '"W-77"' in admin.post(address(connector), typed(request=str(came.pk))).context["trial"].meaning
    assert '"W-78"' in admin.get(f"{address(connector)}?request={mended.pk}").context["trial"].meaning


def test_requests_of_other_connectors_are_not_shown(admin: Client, connector: Connector, typed: Any) -> None:
    other = Connector.objects.create(name="other", type="mapped", customer=connector.customer)
    theirs = arrived(other, b'{"number": "secret"}')
    page = admin.post(address(connector), typed(request=str(theirs.pk)))
    assert page.context["form"].errors.keys() == {"request"}
    assert "secret" not in admin.get(f"{address(connector)}?request={theirs.pk}").context["trial"].data


def test_a_cancellation_is_tried_by_its_path(admin: Client, connector: Connector, typed: Any) -> None:
    trial = admin.post(address(connector), typed(topic="orders/cancel")).context["trial"]
    assert (trial.template, trial.what, '"source_id": "W-1001"' in trial.meaning) == ("cancel", "A cancellation", True)


def test_an_answer_that_fails_is_shown(admin: Client, connector: Connector, typed: Any) -> None:
    trial = admin.post(address(connector), typed(answer="{{ nothing }}")).context["trial"]
    assert ([problem["code"] for problem in trial.shown_problems], trial.renders) == (["MAPPING_ANSWER"], False)


def test_an_old_version_is_shown_and_restored_as_a_new_one(admin: Client, connector: Connector, typed: Any) -> None:
    save(connector, 1, note="Old", submit='{"ignore": "old"}')
    save(connector, 2)
    page = admin.get(f"{address(connector)}?version=1")
    assert page.context["form"]["submit"].value() == '{"ignore": "old"}'
    assert "This is version 1. Requests are read with version 2; save this one to go back to it." in text(page)
    admin.post(address(connector), typed(submit='{"ignore": "old"}', base="2", action="save"))
    restored = connector.mappings.get(version=3)
    assert restored.submit == '{"ignore": "old"}'
    assert [admin.get(f"{address(connector)}?version={version}").status_code for version in ("4", "x", "9" * 30)] == [
        404
    ] * 3


def test_what_somebody_else_saved_meanwhile_is_not_replaced_unasked(
    admin: Client, connector: Connector, typed: Any
) -> None:
    save(connector, 1)
    page = admin.post(address(connector), typed(base="0", action="save", note="Mine"))
    assert "Version 1 was saved while you worked on version 0; yours would replace it." in text(page)
    assert (Mapping.objects.count(), page.context["form"]["note"].value()) == (1, "Mine")


def test_only_who_may_change_connectors_sees_it(sign_in: Any, connector: Connector, typed: Any) -> None:
    for number, role in enumerate(("Manager", "Accountant", "Print operator")):
        client = sign_in(role, username=f"p{number}")
        assert [client.get(address(connector)).status_code, client.post(address(connector), typed()).status_code] == [
            403,
            403,
        ]
    assert Client().get(address(connector)).status_code == 302
    assert Mapping.objects.count() == 0


def test_other_connectors_have_no_editor(admin: Client, customer: Customer) -> None:
    plain = Connector.objects.create(name="plain", type="api", customer=customer)
    assert admin.get(address(plain)).status_code == 404


def test_the_settings_lead_to_it(admin: Client, connector: Connector) -> None:
    User.objects.update(is_staff=True)
    page = admin.get(reverse("admin:intake_connector_change", args=[connector.pk]))
    assert f'<a href="{address(connector)}">None yet: write one</a>' in page.content.decode()


def test_settings_that_are_not_complete_are_said(admin: Client, connector: Connector, typed: Any) -> None:
    Connector.objects.filter(pk=connector.pk).update(settings="")
    trial = admin.post(address(connector), typed()).context["trial"]
    assert ([each["code"] for each in trial.shown_problems], trial.renders) == (["CONNECTOR_SETTINGS"], True)


@pytest.mark.parametrize("changes", [
    {"submit": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"},
    {"submit": "{{ 'x' * 10**9 }}"}, {"submit": "<script>{{ request.number }}</script>"},
    {"sample": "\0\ufffe"}, {"sample": "<!DOCTYPE a><a/>"}, {"sample": "a=b&c"}, {"sample": "a;b\n1;2"}, {"topic": "\0"},
    {"request": "x"}, {"request": "\0"}, {"base": "x"}, {"answer_type": "a\r\nb"}, {"lookups": "x"}, {"submit": ""},
    {"answer": "{% include 'x' %}"}, {"cancel": "{{", "topic": "cancel"},
])  # fmt: skip
def test_whatever_is_typed_the_page_is_shown(
    changes: dict[str, str], admin: Client, connector: Connector, typed: Any
) -> None:
    page = admin.post(address(connector), typed(**changes, action="save"))
    assert (page.status_code, Mapping.objects.count()) == (200, 0)
    assert "<script>{{" not in page.content.decode()


# --- tables and samples -----------------------------------------------------------------------------
def test_tables_are_read_as_they_are_written() -> None:
    tables = {"shipping": {"STD": "normal", "a=b": "c = d", "": "none"}, "paper 2": {}}
    assert tables_of(written({"shipping": {"STD": "normal", "x": "c = d"}, "paper 2": {}})) == {
        "shipping": {"STD": "normal", "x": "c = d"}, "paper 2": {}}  # fmt: skip
    assert tables_of("# remark\r\n[a]\r\n 1=2 \r\n\r\nb = x=y\n") == {"a": {"1": "2", "b": "x=y"}}
    assert tables_of(written({"shipping": {"a=b": tables["shipping"]["a=b"]}})) == {"shipping": {"a=b": "c = d"}}


@pytest.mark.parametrize(
    ("typed_in", "line"), [("a = b", 1), ("[a]\nb", 2), ("[a]\nb = 1\nb = 2", 3), ("[a]\n\n[a]", 3)]
)
def test_tables_that_cannot_be_read_say_the_line(typed_in: str, line: int) -> None:
    with pytest.raises(ValidationError, match=f"Line {line}: "):
        tables_of(typed_in)


@pytest.mark.parametrize(("sample", "kind"), [
    ('{"a": 1}', "application/json"), ("\n <a/>", "application/json"), ("a;b\n1;2", "text/csv"),
    ("a=1&b=2", "application/x-www-form-urlencoded"), ("hello", "text/plain"), ("", "application/json"),
])  # fmt: skip
def test_a_sample_is_told_by_its_look(sample: str, kind: str) -> None:
    assert sample_message(sample).content_type == kind
