"""Every address of the staff's, walked from the urls: to whom it opens, and that reading changes nothing."""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from gelatoconnect.roles import ROLES
from intake.models import Connector, Import, OrderRequest, Unmapped
from orders.models import CustomerProduct, Delivery, Order, PrintFile, Trigger
from shipping.models import Package
from tests.factories import make_customer, make_order, make_product, make_user
from tests.intake.test_imports import row, table
from tests.routes import Route, admin_routes, routes

# Open to everybody, and what they are for: signing in, the parts that machines look at.
OPEN = {"", "api/schema", "api/docs", "healthz", "readyz", "metrics", "favicon.ico", "login", "logout", "styleguide/"}
METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE")


@pytest.fixture
def ids(db: None, tmp_path: Path, settings: Any) -> dict[str, Any]:
    """One of everything, by the app whose addresses ask for it as pk."""
    settings.API_RATE = 0
    customer, product = make_customer(), make_product()
    order = make_order("packaged", customer=customer, product=product)
    make_order("failed", customer=customer, product=product)
    connector = Connector.objects.create(name="shop", type="mapped", customer=customer)
    trigger = Trigger.objects.create(name="hook", customer=customer, event="*", address="https://shop.example/")
    request = OrderRequest.objects.create(connector=connector, body=b"{}", state="rejected")
    return {
        "orders": order.pk,
        "file": PrintFile.objects.get(item__order=order).pk,
        "postbacks": Delivery.objects.filter(order=order).latest("id").pk,
        "endpoints": trigger.pk,
        "triggers": trigger.pk,
        "requests": request.pk,
        "imports": brought(customer.reference).pk,
        "channels": connector.pk,
        "connectors": connector.pk,
        "products": Unmapped.objects.create(customer=customer, sku="MUG", last_seen=timezone.now()).pk,
        "mapped": CustomerProduct.objects.create(customer=customer, sku="CARD", product=product).pk,
        "packages": Package.objects.create(order=order, number=1).pk,
    }  # fmt: skip


def brought(customer: str) -> Import:
    file = SimpleUploadedFile("orders.csv", table(row("A")))
    browser(make_user("Administrator")).post("/imports/new", {"customer": customer, "file": file})
    return Import.objects.get()


def pages() -> list[Route]:
    """All that people open in a browser."""
    return [each for each in routes() if not each.path.startswith(("api/", "in/")) and each.path not in OPEN]


def address(route: Route, ids: dict[str, Any]) -> str:
    first, *rest = route.path.split("/")
    pk = ids["mapped"] if rest[:1] == ["mapped"] else ids.get(first, ids["orders"])
    known = {"pk": pk, "file": ids["file"], "page": 1, "verb": "cancel", "what": "address", "kind": "csv", "attempt": 1,
             "number": 1, "token": "x"}  # fmt: skip
    if first == "imports":
        known["verb"] = "start"
    if first == "mailbox":
        known["file"] = "x.log"
    return route.filled({name: known.get(name, pk) for name in route.names})


def everything() -> str:
    """Every row of every table, but those that signing in writes."""
    found = [
        model for app in ("orders", "intake", "shipping", "admin") for model in apps.get_app_config(app).get_models()
    ]
    rows = {model.__name__: sorted(map(repr, model.objects.values_list())) for model in found}
    return json.dumps(rows | {"users": sorted(map(repr, User.objects.values_list("pk", "username", "is_active")))})


def browser(user: User | None = None) -> Client:
    client = Client(raise_request_exception=False)
    if user:
        client.force_login(user)
    return client


def test_there_are_pages_to_walk(ids: dict[str, Any]) -> None:
    assert len(pages()) > 40
    assert len(admin_routes()) > 40


def test_no_page_opens_to_a_stranger_by_any_method(ids: dict[str, Any]) -> None:
    before, client = everything(), browser()
    for route in pages():
        path = address(route, ids)
        for method in METHODS:
            response = client.generic(method, path, "")
            where = response.headers.get("Location", "")
            assert (response.status_code, where.startswith("/login?next=/")) == (302, True), (method, path)
    assert everything() == before


def test_no_page_opens_to_a_person_without_a_role(ids: dict[str, Any]) -> None:
    client = browser(User.objects.create_user("nobody"))
    before = everything()
    answers = {(method, address(route, ids)): client.generic(method, address(route, ids), "").status_code
               for route in pages() for method in METHODS}  # fmt: skip
    assert {key: status for key, status in answers.items() if status != 403} == {}
    assert everything() == before


def permission_of(path: str, client: Client) -> tuple[str, ...]:
    """What the page's guard asks for: the first question that it puts about the person."""
    asked: list[tuple[str, ...]] = []
    with mock.patch.object(User, "has_perms", lambda user, perms, obj=None: asked.append(tuple(perms)) or False):
        client.get(path)
    return asked[0] if asked else ()


def test_each_page_asks_for_a_permission_and_opens_to_the_roles_that_have_it(ids: dict[str, Any]) -> None:
    """Opening is not the same as being there: who may look is answered 404 or 405 where there is nothing to read."""
    people = {role: make_user(role) for role in ROLES}
    clients, nobody = (
        {role: browser(user) for role, user in people.items()},
        browser(User.objects.create_user("nobody")),
    )
    for route in pages():
        path = address(route, ids)
        wanted = permission_of(path, nobody)
        assert wanted, f"{path} asks for no permission"
        for role, user in people.items():
            opened = clients[role].get(path).status_code != 403
            asks_more = route.name in ("orders:act", "orders:amend", "orders:trigger-new")  # for what is done, besides
            assert opened == user.has_perms(wanted) or (asks_more and not opened), (path, role, wanted)


def test_no_page_is_changed_by_reading_it(ids: dict[str, Any]) -> None:
    client = browser(make_user("Administrator"))
    before, opened = everything(), 0
    for route in pages():
        path = address(route, ids)
        for query in ("", "?confirm=1&ids=" + str(ids["orders"]) + "&reason=x&verb=cancel&action=cancel&_method=POST"):
            response = client.get(path + query)
            b"".join(response.streaming_content) if response.streaming else None
            opened += response.status_code == 200
            assert response.status_code < 500, path
            assert everything() == before, path + query
    assert opened > 40
    assert Order.objects.filter(status="packaged").count() == 1


def test_the_settings_open_to_staff_only_and_are_not_changed_by_reading(ids: dict[str, Any]) -> None:
    """Django's admin: the roles are no staff there unless they are made so."""
    outsiders = [browser(), browser(make_user("Manager")), browser(User.objects.create_user("nobody"))]
    root = browser(User.objects.create_superuser("root"))
    before = everything()
    for route in admin_routes():
        path = route.filled(dict.fromkeys(route.names, ids["orders"]))
        if path.startswith(("/admin/login", "/admin/logout", "/admin/jsi18n")):
            continue
        for client in outsiders:
            for method in ("GET", "POST"):
                response = client.generic(method, path, "")
                assert response.status_code in (302, 403), (method, path, response.status_code)
                assert response.status_code == 403 or "/login" in response.headers["Location"], path
        assert root.get(path).status_code < 500, path
    assert everything() == before


def test_what_a_role_may_do_is_what_its_permissions_say_and_a_button_pressed_without_them_does_nothing(
    ids: dict[str, Any],
) -> None:
    for role in ("Accountant", "Print operator", "Packaging user"):
        client = browser(make_user(role))
        before = everything()
        for verb in ("cancel", "retry", "release", "reprocess", "hold"):
            response = client.post(f"/orders/{ids['orders']}/act/{verb}", {"reason": "x"})
            assert response.status_code in (403, 404, 409), (role, verb, response.status_code)
        assert everything() == before
