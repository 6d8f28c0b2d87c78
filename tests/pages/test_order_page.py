import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from gelatoconnect.lib import storage
from orders.actions import actions_of
from orders.drafts import Address
from orders.lifecycle import Status
from orders.models import Item, Order, PrintFile
from orders.services import amend
from tests.factories import make_order, make_product, make_user


def buttons(answer: Any) -> list[str]:
    """The verbs that the head of the page offers, whether as link or as form."""
    head = answer.content.decode().partition('<ol class="steps"')[0]
    return re.findall(r"/act/(\w+)\"", head)


OFFERED = {
    "draft": ["submit", "cancel", "hold"],
    "received": ["fail", "cancel", "hold"],
    "passed": ["release", "cancel", "hold"],
    "failed": ["retry", "cancel", "hold"],
    "created": ["start", "fail", "reprocess", "cancel", "hold"],
    "in_production": ["finish", "fail", "reprocess", "cancel", "hold"],
    "printed": ["fail", "reprocess", "cancel", "hold"],
    "packaged": ["ship", "reprocess", "cancel", "hold"],
    "shipped": ["travel", "arrive", "come_back"],
    "in_transit": ["arrive", "come_back"],
    "delivered": ["come_back"],
    "returned": [],
    "canceled": [],
}


def test_every_status_is_tried() -> None:
    assert list(OFFERED) == [str(status) for status in Status]


@pytest.mark.parametrize("status", OFFERED)
def test_a_manager_is_offered_what_the_table_allows(manager: Client, status: str) -> None:
    order = make_order(status)
    assert buttons(manager.get(order.get_absolute_url())) == OFFERED[status]


@pytest.mark.parametrize("role", ["Accountant", "Packaging user", "Print operator", "Administrator"])
@pytest.mark.parametrize("status", ["failed", "in_production", "packaged", "shipped"])
def test_other_roles_are_offered_what_they_may_do_and_nothing_else(sign_in: Callable, role: str, status: str) -> None:
    order = make_order(status)
    expected = [action.name for action in actions_of(order, user=make_user(role))]
    assert buttons(sign_in(role).get(order.get_absolute_url())) == expected


def test_an_order_on_hold_offers_to_resume_and_not_to_produce(manager: Client) -> None:
    order = amend(make_order("created"), by="user:ada", hold=("Wait for the new design", None))
    answer = manager.get(order.get_absolute_url())
    assert buttons(answer) == ["fail", "reprocess", "cancel", "resume"]
    assert b"Wait for the new design" in answer.content


@pytest.mark.parametrize("items", [1, 3])
def test_the_page_costs_the_same_queries_for_one_item_and_for_three(
    manager: Client, items: int, django_assert_num_queries: Any
) -> None:
    line = {"productUid": "x", "quantity": 1, "files": [{"url": "https://files.example/a.pdf"}]}
    order = make_order("created", items=[line] * items)
    with django_assert_num_queries(13):
        assert len(manager.get(order.get_absolute_url()).context["items"]) == items


def test_the_history_says_who_did_what_and_why_newest_first(manager: Client) -> None:
    order = make_order("failed")
    manager.post(reverse("orders:act", args=[order.pk, "cancel"]), {"reason": "Ordered twice"})
    first, second, third = manager.get(order.get_absolute_url()).context["entries"]
    assert (first.title, first.actor, first.lines) == (
        "Canceled",
        "ada",
        ["Cancel: Failed → Canceled", "Reason: Ordered twice"],
    )
    assert (second.title, second.actor, second.tone) == ("Failed", "system", "error")
    assert second.lines == [
        "Report failure: Received → Failed",
        "ADDRESS_POSTCODE_FORMAT: 123 is not a postcode of Germany.",
    ]
    assert (third.title, third.actor) == ("Received", "test (connector)")


def test_a_change_is_told_before_and_after(manager: Client) -> None:
    order = make_order("failed")
    amend(order, by="user:ada", shipment_method="express", address=Address(**order.address.as_dict() | {"post_code": "1"}),
          files={PrintFile.objects.get().pk: "https://files.example/new.pdf"})  # fmt: skip
    assert manager.get(order.get_absolute_url()).context["entries"][0].lines == [
        "Shipment method: – → express",
        "Address post code: 0154 → 1",
        "File default: https://files.example/card.pdf → https://files.example/new.pdf",
    ]


def test_a_hold_is_told_with_its_reason(manager: Client) -> None:
    order = make_order("created")
    manager.post(reverse("orders:act", args=[order.pk, "hold"]), {"reason": "Stock-taking"})
    entry = manager.get(order.get_absolute_url()).context["entries"][0]
    assert (entry.title, entry.actor, entry.lines) == ("Held", "ada", ["Reason: Stock-taking"])


def test_the_way_of_an_order_shows_how_far_it_came(manager: Client) -> None:
    way = dict(manager.get(make_order("printed").get_absolute_url()).context["progress"])
    assert [label for label, state in way.items() if state == "done"] == [
        "Received",
        "Passed",
        "Created",
        "In Production",
    ]
    assert way["Printed"] == "current"
    stopped = dict(manager.get(make_order("failed").get_absolute_url()).context["progress"])
    assert stopped["Received"] == "stopped"


def test_problems_of_one_place_stand_together_with_the_field_that_mends_them(manager: Client) -> None:
    order = make_order("failed")
    file = PrintFile.objects.get(item__order=order)
    problems = [
        {"code": "FILE_CORRUPT", "severity": "error", "path": "/items/0/files/0", "message": "It is damaged."},
        {"code": "ADDRESS_POSTCODE_FORMAT", "severity": "error", "path": "/shippingAddress/postCode", "message": "No."},
        {"code": "PAGE_COUNT", "severity": "error", "path": "/items/0/files/0", "message": "Two pages."},
        {"code": "ELSEWHERE", "severity": "error", "path": "/currency", "message": "No such currency."},
        {"code": "ODD", "severity": "error", "path": "/items/99/files/7", "message": "There is no such file."},
    ]
    Order.objects.filter(pk=order.pk).update(problems=problems)
    groups = manager.get(order.get_absolute_url()).context["mendings"]
    assert [[problem["code"] for problem in group.problems] for group in groups] == [
        ["FILE_CORRUPT", "PAGE_COUNT"],
        ["ADDRESS_POSTCODE_FORMAT"],
        ["ELSEWHERE", "ODD"],
    ]
    assert [[field.name for field in group.fields][:1] for group in groups] == [[f"file-{file.pk}"], ["first_name"], []]


def test_people_who_may_not_amend_read_the_problems_without_fields(sign_in: Callable) -> None:
    order = make_order("failed")
    groups = sign_in("Print operator").get(order.get_absolute_url()).context["mendings"]
    assert [(len(group.problems), group.fields) for group in groups] == [(1, [])]


@pytest.fixture
def fetched(settings: Any) -> tuple[Order, PrintFile, bytes]:
    """An order whose print file has been fetched and looked into."""
    content = b"%PDF-1.7 <script>alert(1)</script>"
    order = make_order("created", product=make_product(uid="card", trim_width=100, trim_height=150, bleed=3))
    sha256 = hashlib.sha256(content).hexdigest()
    storage.keep_bytes(content)
    folder = storage.previews_of(sha256)
    folder.mkdir(parents=True)
    (folder / "page-1.jpg").write_bytes(b"\xff\xd8picture")
    previews = [{"page": 1, "width": 106, "height": 156}, {"page": "2"}, "nonsense"]
    PrintFile.objects.update(
        sha256=sha256, size=len(content), page_count=1, mime_type="application/pdf", previews=previews
    )
    return order, PrintFile.objects.get(), content


def test_a_print_file_is_only_ever_saved_never_shown(manager: Client, fetched: Any) -> None:
    order, file, content = fetched
    answer = manager.get(reverse("orders:file", args=[order.pk, file.pk]))
    assert b"".join(answer.streaming_content) == content
    assert {name: answer[name] for name in ("Content-Disposition", "X-Content-Type-Options", "Content-Security-Policy")} == {
        "Content-Disposition": f'attachment; filename="{order.reference}-1-default.pdf"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }  # fmt: skip


def test_a_page_is_shown_as_a_picture_with_trim_and_bleed_over_it(manager: Client, fetched: Any) -> None:
    order, file, _ = fetched
    answer = manager.get(order.get_absolute_url())
    picture = reverse("orders:preview", args=[order.pk, file.pk, 1])
    assert f'<img src="{picture}"' in answer.content.decode()
    assert '<rect class="trim" x="3.0" y="3.0" width="100.0" height="150.0"/>' in answer.content.decode()
    assert b"".join(manager.get(picture).streaming_content) == b"\xff\xd8picture"


def test_the_pieces_of_an_item_are_shown_as_they_are_due(manager: Client) -> None:
    order = make_order("created")
    amend(order, by="user:ada", cancel={Item.objects.get().pk: 1})
    body = manager.get(order.get_absolute_url()).content.decode()
    assert '<span class="num">1</span> × Card A6' in body
    assert "1 canceled" in body


def test_deliveries_are_shown_to_those_who_may_see_them(sign_in: Callable) -> None:
    order = make_order("created")
    assert [
        each.listener for each in sign_in("Manager").get(order.get_absolute_url()).context["deliveries"]["open"]
    ] != []
    assert sign_in("Print operator", username="bob").get(order.get_absolute_url()).context["deliveries"] == {}
    assert User.objects.count() == 2
