"""Settings in the admin: what is typed is judged, and secrets are shown once."""

import json
from datetime import time
from typing import Any, Literal

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from pydantic import Field, SecretStr

from gelatoconnect.lib.secrets import hashed
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import Config, ConnectorType
from intake.models import ApiKey, Connector
from orders.forms import OptionsField
from orders.models import Customer, CustomerProduct, Delivery, Event, Order, Product, Trigger
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
    "products-TOTAL_FORMS": "0", "products-INITIAL_FORMS": "0",
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
        opened = [settler.get(f"{base}/{path}", follow=True).status_code for path in ("", "add/")]
        assert opened == [200, 200]
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


def test_triggers_have_pages_of_their_own(settler: Client) -> None:
    trigger = Trigger.objects.create(name="Hook", address="https://shop.example/hook")
    base = "/admin/orders/trigger/"
    there = [
        settler.get(f"{base}{path}").url for path in ("", "add/", f"{trigger.pk}/change/", f"{trigger.pk}/delete/")
    ]
    assert there == ["/triggers", "/triggers/new", f"/triggers/{trigger.pk}", f"/triggers/{trigger.pk}"]
    customer = make_customer(reference="acme")
    page = settler.get(f"/admin/orders/customer/{customer.pk}/change/").content.decode()
    assert '<a href="/triggers?customer=acme">' in page


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


# --- a connector's settings, by its type -------------------------------------------------------------------
CONNECTOR = {"name": "shop", "active": "on", "keys-TOTAL_FORMS": "0", "keys-INITIAL_FORMS": "0"}


class House(Config):
    """One setting of each kind."""

    address: str = Field(title="Shop address", description="Such as acme.example")
    secret: SecretStr = Field(title="Signing secret", min_length=8)
    mode: Literal["live", "test"] = Field("live", title="Mode")
    limit: int = Field(10, ge=1, le=20, title="At most")
    share: float = 0.5
    strict: bool = True
    opens: time | None = None
    methods: list[str] = Field(["normal", "express"], title="Methods")
    notes: str = Field("", title="Notes", json_schema_extra={"lines": 4})


@pytest.fixture
def shop(settler: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a saved connector's form, of a type with every kind of setting."""
    kind = type("Shop", (ConnectorType,), {"name": "house", "label": "House", "Config": House, "methods": ("POST",)})()
    monkeypatch.setitem(CONNECTOR_TYPES, "house", kind)
    save(settler, "/admin/intake/connector/add/", **CONNECTOR, type="house")
    return f"/admin/intake/connector/{Connector.objects.get().pk}/change/"


FILLED = {
    "set_address": "acme.example", "set_secret": "s3cret-s3cret", "set_mode": "test", "set_limit": "12", "set_share": "0.25",
    "set_opens": "06:30", "set_methods": "normal, overnight ,", "set_notes": "One\nTwo",
}  # fmt: skip


def stored() -> dict[str, Any]:
    return json.loads(Connector.objects.get().settings or "{}")


def test_a_new_connector_leads_on_to_its_settings(settler: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type("Shop", (ConnectorType,), {"name": "house", "label": "House", "Config": House})()
    monkeypatch.setitem(CONNECTOR_TYPES, "house", kind)
    answer = settler.post("/admin/intake/connector/add/", CONNECTOR | {"type": "house"})
    assert answer.url == f"/admin/intake/connector/{Connector.objects.get().pk}/change/"


def test_settings_of_every_kind_are_kept_encrypted_and_shown_again_but_for_secrets(settler: Client, shop: str) -> None:
    assert save(settler, shop, **CONNECTOR, **FILLED)[0] == {}
    assert stored() == {
        "address": "acme.example", "secret": "s3cret-s3cret", "mode": "test", "limit": 12, "share": 0.25, "strict": False,
        "opens": "06:30:00", "methods": ["normal", "overnight"], "notes": "One\nTwo",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT settings FROM intake_connector")
        assert "acme.example" not in cursor.fetchone()[0]
    page = settler.get(shop).content.decode()
    assert ("s3cret" in page, 'value="acme.example"' in page, 'value="normal, overnight"' in page) == (
        False,
        True,
        True,
    )
    assert f"/in/{Connector.objects.get().pk}" in page


def test_a_secret_that_is_left_empty_stays_and_a_new_one_takes_its_place(settler: Client, shop: str) -> None:
    save(settler, shop, **CONNECTOR, **FILLED)
    save(settler, shop, **CONNECTOR, **FILLED | {"set_secret": ""})
    assert stored()["secret"] == "s3cret-s3cret"
    save(settler, shop, **CONNECTOR, **FILLED | {"set_secret": "an0ther-one"})
    assert stored()["secret"] == "an0ther-one"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"set_secret": "short"}, "set_secret"), ({"set_limit": "21"}, "set_limit"), ({"set_limit": "many"}, "set_limit"),
     ({"set_mode": "other"}, "set_mode"), ({"set_opens": "25:00"}, "set_opens"), ({"set_share": "half"}, "set_share")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_at_their_field(
    settler: Client, shop: str, wrong: dict[str, str], field: str
) -> None:
    before = stored()
    errors, _ = save(settler, shop, **CONNECTOR, **FILLED | wrong)
    assert (list(errors), stored()) == ([field], before)


@pytest.mark.parametrize("kind", sorted(CONNECTOR_TYPES))
def test_the_settings_of_every_type_open_and_none_is_unnamed(settler: Client, kind: str) -> None:
    connector = Connector.objects.create(name="shop", type=kind, customer=make_customer())
    page = settler.get(f"/admin/intake/connector/{connector.pk}/change/")
    form = page.context["adminform"].form
    assert page.status_code == 200
    assert [name for name, field in form.fields.items() if name.startswith("set_") and not field.label] == []
    assert {name.removeprefix("set_") for name in form.fields if name.startswith("set_")} == set(
        CONNECTOR_TYPES[kind].Config.model_fields
    )


# --- customers' products --------------------------------------------------------------------------------------
MAPPING = {"sku": "MUG-11", "name": "", "variant": "", "attributes": "size=11 oz, glaze=matt", "file_url": ""}


def test_a_customer_s_product_is_mapped_with_options_as_people_write_them(settler: Client) -> None:
    customer, product = make_customer(), make_product()
    form = MAPPING | {"customer": customer.pk, "product": product.pk, "file_url": "https://files.example/mug.pdf"}
    assert save(settler, "/admin/orders/customerproduct/add/", **form)[0] == {}
    mapping = CustomerProduct.objects.get()
    assert (mapping.sku, mapping.attributes) == ("MUG-11", {"glaze": "matt", "size": "11 oz"})
    page = settler.get(f"/admin/orders/customerproduct/{mapping.pk}/change/").content.decode()
    assert 'value="size=11 oz, glaze=matt"' in page
    inline = settler.get(f"/admin/orders/customer/{customer.pk}/change/").content.decode()
    assert 'value="size=11 oz, glaze=matt"' in inline


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"sku": ""}, "sku"), ({"name": "Mug"}, "name"), ({"attributes": "matt"}, "attributes"), ({"variant": "{"}, "variant"),
     ({"attributes": "[1]"}, "attributes"), ({"file_url": "mug.pdf"}, "file_url")],
)  # fmt: skip
def test_a_mapping_that_cannot_be_is_refused(settler: Client, wrong: dict[str, str], field: str) -> None:
    form = MAPPING | {"customer": make_customer().pk, "product": make_product().pk} | wrong
    errors, _ = save(settler, "/admin/orders/customerproduct/add/", **form)
    assert (list(errors), CustomerProduct.objects.count()) == ([field], 0)


@pytest.mark.parametrize("options", [{"size": "A5"}, {"text": "a, b"}, {"n": 1}, {"a=b": "c"}, {"x": ""}, {}])
def test_options_read_as_they_are_written(options: dict[str, Any]) -> None:
    field = OptionsField()
    assert field.clean(field.prepare_value(options)) == options
