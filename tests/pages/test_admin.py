"""Settings in the admin: what is typed is judged, and secrets are shown once."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from gelatoconnect.lib.secrets import hashed
from intake.models import ApiKey, Connector
from orders.models import Customer, Delivery, Event, Order, Product, Trigger
from tests.factories import make_customer, make_product, make_user


@pytest.fixture
def settler(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def save(client: Client, path: str, **fields: Any) -> tuple[dict[str, list[str]], list[str]]:
    """Save a form of the admin; what it refused, and what it told."""
    answer = client.post(path, fields)
    errors = answer.context["adminform"].form.errors if answer.status_code == 200 else {}
    return dict(errors), [str(message) for message in get_messages(answer.wsgi_request)]


CUSTOMER = {
    "reference": "acme", "name": "Acme", "active": "on", "countries": "", "sla_days": "3",
    "products-TOTAL_FORMS": "0", "products-INITIAL_FORMS": "0", "triggers-TOTAL_FORMS": "0", "triggers-INITIAL_FORMS": "0",
}  # fmt: skip
PRODUCT = {
    "uid": "card", "name": "Card", "trim_width": "105", "trim_height": "148", "bleed": "3", "pages_min": "1",
    "pages_max": "2", "pages_multiple": "1", "formats": "PDF, jpeg", "print_profile": "digital", "quantity_min": "1",
    "quantity_max": "9", "countries": "", "weight": "8",
}  # fmt: skip


def test_every_page_of_the_settings_opens(settler: Client) -> None:
    make_customer(countries=["DE", "NO"]), make_product()
    Connector.objects.create(name="shop")
    ours = [
        model for model in admin.site._registry if model._meta.app_label in ("orders", "intake", "shipping", "auth")
    ]
    for model in ours:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
        assert (settler.get(f"{base}/").status_code, settler.get(f"{base}/add/").status_code) == (200, 200)
    row = settler.get(f"/admin/orders/customer/{Customer.objects.get().pk}/change/")
    assert 'value="DE, NO"' in row.content.decode()


def test_orders_and_their_history_are_not_edited_in_the_admin() -> None:
    assert [model for model in (Order, Event, Delivery) if model in admin.site._registry] == []


def test_people_without_the_admin_s_flag_are_kept_out(db: None) -> None:
    client = Client()
    client.force_login(make_user("Administrator"))
    assert client.get("/admin/").status_code == 302


def test_countries_are_typed_as_text_and_stored_as_a_list(settler: Client) -> None:
    assert save(settler, "/admin/orders/customer/add/", **CUSTOMER | {"countries": "de, NO,,"})[0] == {}
    assert Customer.objects.get().countries == ["DE", "NO"]


@pytest.mark.parametrize("countries", ["XX", "Germany", "DE NO", "EU", "001"])
def test_what_is_no_country_is_refused(settler: Client, countries: str) -> None:
    errors, _ = save(settler, "/admin/orders/customer/add/", **CUSTOMER | {"countries": countries})
    assert (list(errors), Customer.objects.count()) == (["countries"], 0)


def test_a_product_says_which_formats_it_accepts(settler: Client) -> None:
    assert save(settler, "/admin/orders/product/add/", **PRODUCT)[0] == {}
    assert Product.objects.get().formats == ["pdf", "jpeg"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"formats": "docx"}, "formats"), ({"print_profile": "magic"}, "print_profile"), ({"pages_min": "4"}, "pages_max"),
     ({"quantity_min": "10"}, "quantity_max"), ({"trim_width": "0"}, "trim_width")],
)  # fmt: skip
def test_a_product_that_cannot_be_is_refused(settler: Client, wrong: dict[str, str], field: str) -> None:
    errors, _ = save(settler, "/admin/orders/product/add/", **PRODUCT | wrong)
    assert (list(errors), Product.objects.count()) == ([field], 0)


TRIGGER = {
    "name": "Hook",
    "event": "order.*",
    "channel": "webhook",
    "address": "https://shop.example/hook",
    "retry": "on",
}


def test_the_secret_of_a_trigger_is_shown_when_it_is_made_and_never_again(settler: Client) -> None:
    _, said = save(settler, "/admin/orders/trigger/add/", **TRIGGER)
    trigger = Trigger.objects.get()
    assert trigger.secret.startswith("whsec_")
    assert said[0] == f"Hook signs with {trigger.secret} - this is not shown again."
    path = f"/admin/orders/trigger/{trigger.pk}/change/"
    settler.get("/admin/")  # the message has been read
    _, said = save(settler, path, **TRIGGER | {"name": "Renamed"})
    assert [message for message in said if "whsec_" in message] == []
    assert trigger.secret not in settler.get(path).content.decode()
    assert (Trigger.objects.get().name, Trigger.objects.get().secret) == ("Renamed", trigger.secret)


def test_the_secret_of_a_trigger_made_beside_its_customer_is_shown_too(settler: Client) -> None:
    line = {f"triggers-0-{name}": value for name, value in TRIGGER.items()}
    _, said = save(settler, "/admin/orders/customer/add/", **CUSTOMER | line | {"triggers-TOTAL_FORMS": "1"})
    assert f"Hook signs with {Trigger.objects.get().secret} - this is not shown again." in said


@pytest.mark.parametrize(("channel", "address"), [("webhook", "me@shop.example"), ("email", "https://shop.example"),
                                                  ("webhook", "ftp://shop.example")])  # fmt: skip
def test_an_address_fits_its_channel(settler: Client, channel: str, address: str) -> None:
    errors, _ = save(settler, "/admin/orders/trigger/add/", **TRIGGER | {"channel": channel, "address": address})
    assert (list(errors), Trigger.objects.count()) == (["address"], 0)


def test_a_connector_is_of_a_known_type(settler: Client) -> None:
    form = {"name": "shop", "active": "on", "keys-TOTAL_FORMS": "0", "keys-INITIAL_FORMS": "0"}
    errors, _ = save(settler, "/admin/intake/connector/add/", **form, type="telepathy")
    assert (list(errors), Connector.objects.count()) == (["type"], 0)
    assert save(settler, "/admin/intake/connector/add/", **form, type="api")[0] == {}


def test_a_key_is_shown_once_and_kept_as_a_hash(settler: Client) -> None:
    connector = Connector.objects.create(name="shop")
    _, said = save(settler, "/admin/intake/apikey/add/", connector=connector.pk)
    made = ApiKey.objects.get()
    key, _, secret = said[0].split()[3].partition(":")
    assert (made.key, made.secret_hash) == (key, hashed(secret))
    assert (key[:3], len(key), len(secret)) == ("gc_", 11, 43)
    settler.get("/admin/")  # the message has been read
    for path in (f"/admin/intake/apikey/{made.pk}/change/", f"/admin/intake/connector/{connector.pk}/change/"):
        shown = settler.get(path).content.decode()
        assert (made.key in shown, secret in shown, made.secret_hash in shown) == (True, False, False)


def test_a_revoked_key_opens_nothing_any_more(settler: Client) -> None:
    connector = Connector.objects.create(name="shop", customer=make_customer())
    made = ApiKey.objects.create(connector=connector, key="gc_1", secret_hash=hashed("secret"))
    asked = {"headers": {"X-API-KEY": "gc_1:secret"}}
    assert Client().get("/api/products", **asked).status_code == 200
    settler.post("/admin/intake/apikey/", {"action": "revoke", "_selected_action": [made.pk]})
    assert Client().get("/api/products", **asked).status_code == 401


def test_a_key_is_neither_changed_nor_deleted(settler: Client) -> None:
    made = ApiKey.objects.create(connector=Connector.objects.create(name="shop"), key="gc_1", secret_hash=hashed("x"))
    answers = [settler.post(f"/admin/intake/apikey/{made.pk}/{what}/", {"key": "y", "post": "yes"}).status_code
               for what in ("change", "delete")]  # fmt: skip
    assert (answers, ApiKey.objects.get().key) == ([403, 403], "gc_1")
