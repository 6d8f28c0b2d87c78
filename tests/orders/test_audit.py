"""Who changed which setting: every door writes it down, and the database refuses to forget it."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gelatoconnect import roles
from intake import privacy as intake_privacy
from intake.imports import connector_of
from intake.models import ApiKey, Connector, Mapping, Unmapped
from intake.products import map_to
from orders import audit, drafts, privacy
from orders.audited import Audited
from orders.models import Address, AuditEntry, Customer, CustomerProduct, Event, Order, Product, ShipmentMethod, Trigger
from orders.services import amend
from shipping.models import CarrierAccount
from tests.factories import make_customer, make_order, make_product, make_user

SECRET = "s3cret-s3cret"
Told = list[tuple[str, str, str, dict[str, Any]]]


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="hunter-hunter"))
    return client


@pytest.fixture(autouse=True)
def from_here(db: None) -> int:
    """Entries that the migrations wrote are not looked at."""
    return AuditEntry.objects.count()


def told(**wanted: Any) -> Told:
    """(by, action, kind, changes) of the entries that the roles' own writing did not make, oldest first."""
    found = AuditEntry.objects.exclude(by="system", kind="group").filter(**wanted).order_by("id")
    return [(entry.by, entry.action, entry.kind, entry.changes) for entry in found]


class Fields(HTMLParser):
    """What a browser would send of the admin's form as it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sent: dict[str, Any] = {}
        self._in_form, self._select, self._text = False, "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        name = said.get("name") or ""
        if tag == "form":
            self._in_form = (said.get("id") or "").endswith("_form")
        if not self._in_form or "disabled" in said:
            return
        kind = said.get("type")
        if (
            tag == "input"
            and name
            and kind not in ("submit", "file")
            and (kind not in ("checkbox", "radio") or "checked" in said)
        ):
            self.sent[name] = said.get("value") or ("on" if kind == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in said and self._select:
            self.sent.setdefault(self._select, []).append(said.get("value") or "")
        elif tag == "textarea":
            self._text, self.sent[name] = name, ""

    def handle_data(self, data: str) -> None:
        if self._text:
            self.sent[self._text] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = ""
        elif tag == "select":
            self._select = ""


# One row of each setting that has a page in the admin, and a change of it: (field of the form, new value, what is told).
def specimens() -> dict[type[models.Model], tuple[models.Model, str, Any, dict[str, Any]]]:
    customer, product = make_customer(name="Acme"), make_product(name="Card")
    connector = Connector.objects.create(name="shop", type="woocommerce", customer=customer,
                                         settings=json.dumps({"secret": SECRET}))  # fmt: skip
    mapping = CustomerProduct.objects.create(customer=customer, sku="MUG", product=product)
    trigger = Trigger.objects.create(name="Hook", address="https://shop.example/hook")
    account = CarrierAccount.objects.create(name="Shop", config={"name": "Own", "tracking_url": "", "prefix": "GC"})
    return {
        Customer: (customer, "name", "Acme AS", {"name": ["Acme", "Acme AS"]}),
        Product: (product, "weight", "9", {"weight": [8, 9]}),
        CustomerProduct: (mapping, "sku", "MUG-11", {"sku": ["MUG", "MUG-11"]}),
        ShipmentMethod: (ShipmentMethod.objects.create(uid="express", name="Express"), "name", "Fast",
                         {"name": ["Express", "Fast"]}),
        Trigger: (trigger, "", "", {}),
        Connector: (connector, "set_secret", "an0ther-one", {"settings.secret": ["•••", "•••"]}),
        ApiKey: (ApiKey.objects.create(connector=connector, key="gc_1", secret_hash="x"), "", "", {}),
        CarrierAccount: (account, "manual__prefix", "XY", {"settings.prefix": ["GC", "XY"]}),
        User: (make_user("Accountant", username="eve"), "is_superuser", "on", {"is_superuser": [False, True]}),
        Group: (Group.objects.create(name="Helpers"), "name", "Hands", {"name": ["Helpers", "Hands"]}),
    }  # fmt: skip


LAST = [CustomerProduct, Connector, Product, Customer]  # in this order, and after all others


def path_of(row: models.Model, what: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{what}", args=[row.pk])


# --- the admin ------------------------------------------------------------------------------------------------
def test_every_setting_that_has_a_page_is_audited(db: None) -> None:
    pages = admin.site._registry
    assert [model for model, page in pages.items() if not isinstance(page, Audited)] == []
    assert [model for model, page in pages.items() if type(page).__mro__.index(Audited) > type(page).__mro__.index(
        admin.ModelAdmin)] == []  # fmt: skip
    assert [model for model in pages if model not in audit.SETTINGS] == []
    inlines = [inline.model for page in pages.values() for inline in page.inlines]
    assert [model for model in inlines if model not in audit.SETTINGS] == []
    assert set(specimens()) == set(pages)


def test_a_change_of_every_setting_is_told_with_before_and_after(root: Client) -> None:
    for model, (row, field, value, changes) in specimens().items():
        if not field:  # a key is never changed, a trigger has pages of its own
            continue
        form = Fields(root.get(path_of(row, "change")).content.decode()).sent
        before = told()
        answer = root.post(path_of(row, "change"), form | {field: value})
        assert answer.status_code == 302, (model, answer.context["errors"])
        assert told()[len(before) :] == [("user:root", "changed", model._meta.model_name, changes)]


def test_what_is_saved_as_it_was_is_no_change(root: Client) -> None:
    for model, (row, field, *_) in specimens().items():
        if field:
            form = Fields(root.get(path_of(row, "change")).content.decode()).sent
            before = told()
            assert root.post(path_of(row, "change"), form).status_code == 302
            assert (model, told()[len(before) :]) == (model, [])


def test_the_end_of_every_setting_is_told_with_what_it_held(root: Client) -> None:
    for model, (row, *_) in sorted(
        specimens().items(), key=lambda each: LAST.index(each[0]) if each[0] in LAST else -1
    ):
        name, pk = str(row), str(row.pk)
        if model in (ApiKey, Trigger):  # a key is never deleted; a trigger on a page of its own
            type(row).objects.all().delete()
            continue
        assert root.post(path_of(row, "delete"), {"post": "yes"}).status_code == 302
        entry = AuditEntry.objects.get(action="deleted", kind=model._meta.model_name, object_id=pk)
        assert (entry.by, entry.name, bool(entry.changes)) == ("user:root", name, True)
        assert [after for _, after in entry.changes.values() if after is not None] == []


def test_what_is_deleted_along_is_told_too(root: Client) -> None:
    customer = make_customer()
    connector = Connector.objects.create(name="shop", customer=customer)
    Mapping.objects.create(connector=connector, version=1, submit="{}", by="x")
    Trigger.objects.create(name="Hook", customer=customer, address="https://shop.example/hook")
    root.post(reverse("admin:orders_customer_changelist"), {"action": "delete_selected", "_selected_action": [customer.pk],
                                                            "post": "yes"})  # fmt: skip
    assert Customer.objects.count() == 0
    assert sorted(kind for _, _, kind, _ in told(action="deleted")) == ["connector", "customer", "mapping", "trigger"]


TRIGGER = {"name": "Hook", "event": "order.*", "customer": "", "active": "on", "channel": "webhook", "method": "POST",
           "format": "json", "address": "https://shop.example/hook", "headers": "X-Token: t0psecret", "retry": "on",
           "template": "", "subject": "", "html": "", "channels": "", "countries": "", "products": "", "on": "",
           "action": "save", "confirm": "on"}  # fmt: skip


def test_a_trigger_is_told_from_its_making_to_its_end(root: Client) -> None:
    root.post("/triggers/new", TRIGGER)
    trigger = Trigger.objects.get()
    path = reverse("orders:trigger", args=[trigger.pk])
    root.post(path, TRIGGER | {"event": "order.shipped"})
    root.post(reverse("orders:trigger-secret", args=[trigger.pk]), {"hours": "24"})
    root.post(path, {name: value for name, value in TRIGGER.items() if name != "active"} | {"event": "order.shipped"})
    root.post(reverse("orders:endpoint_on", args=[trigger.pk]))
    root.post(reverse("orders:trigger-delete", args=[trigger.pk]))
    made, *rest = told()
    assert made[:3] == ("user:root", "created", "trigger")
    assert (made[3]["address"], made[3]["secret"], made[3]["headers"]) == (
        [None, "https://shop.example/hook"], [None, "•••"], [None, "•••"])  # fmt: skip
    assert [(action, changes) for _, action, _, changes in rest[:-1]] == [
        ("changed", {"event": ["order.*", "order.shipped"]}),
        ("changed", {"secret": ["•••", "•••"]}),
        ("changed", {"active": [True, False]}),
        ("changed", {"active": [False, True]}),
    ]
    assert rest[-1][:3] == ("user:root", "deleted", "trigger")
    everything = json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))
    assert (trigger.secret in everything, "t0psecret" in everything) == (False, False)


def test_no_secret_ever_stands_in_an_entry(root: Client) -> None:
    test_a_change_of_every_setting_is_told_with_before_and_after(root)
    person = User.objects.get(username="eve")
    everything = json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))
    for secret in (SECRET, "an0ther-one", person.password, "hunter-hunter"):
        assert secret not in everything


def test_inlines_are_told_as_settings_of_their_own(root: Client) -> None:
    customer, product = make_customer(), make_product()
    known = CustomerProduct.objects.create(customer=customer, sku="A", product=product)
    gone = CustomerProduct.objects.create(customer=customer, sku="B", product=product)
    form = Fields(root.get(path_of(customer, "change")).content.decode()).sent
    place = next(name for name, value in form.items() if value == str(gone.pk) and name.startswith("products-")).split(
        "-"
    )[1]
    other = "0" if place == "1" else "1"
    form |= {f"products-{place}-DELETE": "on", f"products-{other}-sku": "A2"}
    assert root.post(path_of(customer, "change"), form).status_code == 302
    assert {(action, changes["sku"][0], changes["sku"][1]) for _, action, _, changes in told()} == {
        ("changed", "A", "A2"), ("deleted", "B", None)}  # fmt: skip
    assert {entry.object_id for entry in AuditEntry.objects.filter(kind="customerproduct")} == {
        str(known.pk),
        str(gone.pk),
    }


# --- people ---------------------------------------------------------------------------------------------------
def test_a_person_s_roles_and_rights_are_told_by_name(root: Client) -> None:
    person = make_user("Accountant", username="eve")
    form = Fields(root.get(path_of(person, "change")).content.decode()).sent
    manager = Group.objects.get(name="Manager")
    root.post(path_of(person, "change"), form | {"groups": [manager.pk], "is_staff": "on"})
    assert told() == [
        ("user:root", "changed", "user", {"is_staff": [False, True], "groups": [["Accountant"], ["Manager"]]})
    ]


def test_a_role_s_rights_are_told_as_the_code_names_them(root: Client) -> None:
    group = Group.objects.create(name="Helpers")
    form = Fields(root.get(path_of(group, "change")).content.decode()).sent
    wanted = Permission.objects.get(codename="cancel_order")
    root.post(path_of(group, "change"), form | {"permissions": [wanted.pk]})
    assert told() == [("user:root", "changed", "group", {"permissions": [[], ["orders.cancel_order"]]})]


def test_another_password_is_told_and_not_which(root: Client) -> None:
    person = make_user("Accountant", username="eve")
    path = reverse("admin:auth_user_password_change", args=[person.pk])
    new = {"usable_password": "true", "password1": "orange-bicycle-9", "password2": "orange-bicycle-9"}
    assert root.post(path, new).status_code == 302
    assert told() == [("user:root", "changed", "user", {"password": ["•••", "•••"]})]
    root.post(path, new | {"password2": "something else"})
    assert len(told()) == 1


def test_one_s_own_password_is_told_too(root: Client) -> None:
    new = {"old_password": "hunter-hunter", "new_password1": "orange-bicycle-9", "new_password2": "orange-bicycle-9"}
    assert root.post("/admin/password_change/", new).status_code == 302
    assert told() == [("user:root", "changed", "user", {"password": ["•••", "•••"]})]
    assert Client().get("/admin/password_change/").status_code == 302


def test_what_a_release_changes_of_the_roles_is_told() -> None:
    group = Group.objects.get(name="Accountant")
    make_user("Accountant")
    rights = sorted(audit._name(right) for right in group.permissions.select_related("content_type"))
    group.permissions.clear()
    count = AuditEntry.objects.count()
    roles.write_groups()
    [entry] = AuditEntry.objects.order_by("id")[count:]
    assert (entry.by, entry.name, entry.changes) == ("system", "Accountant", {"permissions": [[], rights]})
    roles.write_groups()
    assert AuditEntry.objects.count() == count + 1


def test_where_nobody_has_a_role_yet_there_is_nothing_to_tell() -> None:
    Group.objects.get(name="Accountant").permissions.clear()
    roles.write_groups()
    assert (AuditEntry.objects.count(), Group.objects.get(name="Accountant").permissions.count() > 0) == (0, True)


# --- the other doors --------------------------------------------------------------------------------------------
def test_a_revoked_key_is_told(root: Client) -> None:
    key = ApiKey.objects.create(connector=Connector.objects.create(name="shop"), key="gc_1", secret_hash="x")
    for _ in range(2):
        root.post("/admin/intake/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    [(by, action, kind, changes)] = told()
    assert (by, action, kind, list(changes), changes["revoked_at"][0]) == (
        "user:root",
        "changed",
        "apikey",
        ["revoked_at"],
        None,
    )


def test_a_channel_that_is_switched_off_is_told(root: Client) -> None:
    connector = Connector.objects.create(name="shop")
    for _ in range(2):
        root.post(reverse("intake:channel-switch", args=[connector.pk]), {"active": "no"})
    assert told() == [("user:root", "changed", "connector", {"active": [True, False]})]


def test_a_new_version_of_a_mapping_tells_what_is_different(root: Client) -> None:
    connector = Connector.objects.create(name="shop", type="mapped", customer=make_customer())
    path = reverse("intake:mapping", args=[connector.pk])
    form = {"submit": "{}", "answer_type": "application/json", "lookups": "", "sample": "Ana Ruiz", "base": "0",
            "action": "save", "confirm": "on", "cancel": "", "answer": "", "note": "first", "topic": "",
            "request": ""}  # fmt: skip
    assert root.post(path, form).status_code == 302
    assert root.post(path, form | {"submit": '{"a": 1}', "base": "1", "note": ""}).status_code == 302
    first, second = told()
    assert first[:3] == ("user:root", "created", "mapping")
    assert second[3]["submit"] == ["{}", '{"a": 1}']
    assert second[3]["version"] == [1, 2]
    assert "Ana Ruiz" not in json.dumps([first, second])


def test_a_name_that_is_mapped_changed_and_unmapped_is_told(root: Client) -> None:
    customer, product = make_customer(), make_product(name="Mug")
    name = Unmapped.objects.create(customer=customer, sku="MUG-11", last_seen=timezone.now())
    map_to(name, product, by="user:ada")
    [(by, action, kind, changes)] = told()
    assert (by, action, kind, changes["product"]) == (
        "user:ada",
        "created",
        "customerproduct",
        [None, f"Mug ({product.pk})"],
    )
    mapping = CustomerProduct.objects.get()
    root.post(reverse("intake:product-remove", args=[mapping.pk]))
    assert [entry[:3] for entry in told()[1:]] == [("user:root", "deleted", "customerproduct")]


def test_a_connector_made_for_an_import_is_told() -> None:
    customer = make_customer(reference="acme")
    assert connector_of(customer, by="user:ada") == connector_of(customer, by="user:ada")
    assert [entry[:3] for entry in told()] == [("user:ada", "created", "connector")]


def test_a_shop_that_closes_its_account_is_told() -> None:
    connector = Connector.objects.create(name="shop", type="shopify", settings=json.dumps({"secret": SECRET}))
    ApiKey.objects.create(connector=connector, key="gc_1", secret_hash="x")
    with audit.watch(connector, *connector.keys.all(), by="connector:shop"):
        intake_privacy.close(connector)
    by_kind = {kind: changes for _, _, kind, changes in told()}
    assert by_kind["connector"] == {"active": [True, False], "settings.secret": ["•••", None]}
    assert list(by_kind["apikey"]) == ["revoked_at"]


def test_who_is_to_be_forgotten_is_told_by_order_not_by_name() -> None:
    order = make_order("delivered")
    call_command("forget", "ana@example.com")
    [entry] = AuditEntry.objects.filter(kind="order")
    assert (entry.by, entry.object_id, entry.name) == ("command:forget", str(order.pk), order.reference)
    assert "ana" not in json.dumps(entry.changes).lower()


# --- written with the change, or not at all -----------------------------------------------------------------------
def test_the_entry_goes_when_the_change_is_rolled_back() -> None:
    customer = make_customer()
    with pytest.raises(RuntimeError), audit.watch(customer, by="user:ada"):
        Customer.objects.update(name="Other")
        raise RuntimeError
    assert (told(), Customer.objects.get().name) == ([], customer.name)


@pytest.mark.django_db(transaction=True)
def test_an_entry_is_refused_outside_of_a_transaction() -> None:
    customer = make_customer()
    with pytest.raises(RuntimeError, match="transaction"):
        audit.record(customer, before=None, by="x")
    assert AuditEntry.objects.filter(kind="customer").count() == 0


def test_two_rows_of_one_name_are_told_apart() -> None:
    first, second = make_product(name="Card"), make_product(name="Card")
    mapping = CustomerProduct.objects.create(customer=make_customer(), sku="A", product=first)
    with audit.watch(mapping, by="user:ada"):
        CustomerProduct.objects.update(product=second)
    assert told()[0][3] == {"product": [f"Card ({first.pk})", f"Card ({second.pk})"]}


def test_a_setting_that_its_type_does_not_know_is_taken_for_a_secret() -> None:
    connector = Connector.objects.create(name="shop", type="nothing", settings=json.dumps({"token": SECRET}))
    with audit.watch(connector, by="user:ada"):
        connector.delete()
    assert told()[0][3]["settings.token"] == ["•••", None]


# --- orders: what their events say of changes -------------------------------------------------------------------------
def test_a_hold_tells_its_reason_and_end_with_what_they_were() -> None:
    order = amend(make_order("created"), by="user:ada", hold=("Paper", None))
    order = amend(order, by="user:ada", hold=("Ink", None))
    amend(order, by="user:ada", hold=None)
    told = [event.data["changes"] for event in order.events.filter(kind__in=("order.held", "order.resumed"))]
    assert told == [
        {"held": [False, True], "hold_reason": ["", "Paper"]},
        {"held": [True, True], "hold_reason": ["Paper", "Ink"]},
        {"held": [True, False], "hold_reason": ["Ink", ""]},
    ]


def test_every_field_of_the_recipient_is_told_when_it_changes() -> None:
    new = dict.fromkeys(Address.FIELDS, "x") | {"is_business": True, "country": "DE"}
    order = amend(make_order(), by="user:ada", address=drafts.Address.model_validate(new))
    changes = order.events.get(kind="order.amended").data["changes"]
    assert set(changes) == {f"address.{name}" for name in Address.FIELDS}
    assert changes["address.city"] == ["Oslo", "x"]


# --- append-only ------------------------------------------------------------------------------------------------------
def refused(act: Any) -> bool:
    try:
        with transaction.atomic():
            act()
    except DatabaseError as error:
        assert "append-only" in str(error)
        return True
    return False


def test_the_database_refuses_to_change_or_delete_an_entry() -> None:
    with transaction.atomic():
        entry = audit.enter(make_customer(), action="changed", changes={"name": ["a", "b"]}, by="user:ada")
    for act in (
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(by="user:eve"),
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(changes={}),
        lambda: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda: entry.save(),
        lambda: connection.cursor().execute("DELETE FROM orders_auditentry"),
    ):
        assert refused(act)
    assert AuditEntry.objects.values_list("by", "changes").get(pk=entry.pk) == ("user:ada", {"name": ["a", "b"]})


@pytest.mark.parametrize(
    "field", [field.attname for field in Event._meta.concrete_fields if field.name not in ("data", "id")]
)
def test_the_database_refuses_to_change_what_happened(field: str) -> None:
    order = make_order("created")
    before = list(Event.objects.values())
    assert refused(lambda: Event.objects.filter(order=order).update(**{field: models.F(field)}))
    assert list(Event.objects.values()) == before


def test_an_order_that_has_a_history_cannot_be_deleted() -> None:
    order = make_order("canceled")
    assert refused(order.delete)
    assert refused(lambda: Event.objects.all().delete())
    assert Event.objects.filter(order=order).count() == order.sequence


def test_personal_data_in_events_may_be_blanked() -> None:
    order = amend(make_order("delivered"), by="user:ada", note="Ana asked for a bow")
    assert privacy.erase(order, by="system")
    assert "Ana" not in json.dumps(list(Event.objects.values_list("data", flat=True)))
    assert Order.objects.get().sequence == Event.objects.count()


def test_every_table_of_history_is_guarded_in_this_database() -> None:
    table = "information_schema.triggers" if connection.vendor == "postgresql" else "sqlite_master"
    column = "trigger_name" if connection.vendor == "postgresql" else "name"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE '%%no_%%'")
        found = {name for (name,) in cursor.fetchall() if re.fullmatch(r"(audit|event)_no_(update|delete)", name)}
    assert found == {"audit_no_update", "audit_no_delete", "event_no_update", "event_no_delete"}
