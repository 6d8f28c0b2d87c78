"""The audit trail of settings: who changed what, when, from what to what. Written with the change, or not at all.

Orders have Events; everything else that a person may set has AuditEntry rows. What a row held before and after is read
from the database, so it does not matter who wrote it or how. Of secrets only their names are kept. The database refuses to
change or delete an entry (see migration 0003).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from json import dumps, loads
from typing import Any, get_args

from django.contrib.admin.utils import NestedObjects
from django.contrib.auth.models import Group, User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, models, transaction
from pydantic import BaseModel, SecretStr

from gelatoconnect.lib.secrets import EncryptedField
from orders.models import AuditEntry, Customer, CustomerProduct, Product, ShipmentMethod, Trigger

HIDDEN = "•••"  # what is told of a secret
PASSWORDS = {"password"}
FACTS = {"date_joined", "last_login"}  # which nobody sets
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's fingerprint, to see that it changed."""

    fingerprint: str

    @classmethod
    def of(cls, value: Any) -> "Secret":
        return cls(sha256(str(value).encode()).hexdigest() if value else "")

    def told(self) -> str:
        return HIDDEN if self.fingerprint else ""


# The settings, and how fields are told that hold several values: model → {field: row → {name: value}}.
SETTINGS: dict[type[models.Model], dict[str, Callable[[Any], State]]] = {
    model: {} for model in (Customer, Product, CustomerProduct, ShipmentMethod, Trigger, User, Group)
}


def setting(model: type[models.Model], **fields: Callable[[Any], State]) -> None:
    """Register a kind of setting of the apps above. fields: how those are told that hold several values, by the row."""
    SETTINGS[model] = fields


# --- writing ------------------------------------------------------------------------------------------------
@contextmanager
def watch(*subjects: models.Model, by: str) -> Iterator[None]:
    """Whatever happens to these rows inside is recorded in the same transaction: made, changed or deleted."""
    with transaction.atomic():
        before = [(subject, subject.pk, state_of(subject)) for subject in subjects]
        yield
        for subject, pk, state in before:
            record(subject, pk=subject.pk or pk, before=state, by=by)


def record(subject: models.Model, *, before: State | None, by: str, pk: Any = None) -> AuditEntry | None:
    """Compare what the row held `before` (None: it was not there) with what it holds now. Nothing changed: no entry."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("An entry of the audit is written in the transaction of the change it tells of.")
    pk = pk or subject.pk
    after = state_of(subject, pk=pk)
    if before == after:
        return None
    action = "created" if before is None else "deleted" if after is None else "changed"
    return enter(subject, action=action, changes=changes_of(before or {}, after or {}), by=by, pk=pk)


def enter(subject: models.Model, *, action: str, changes: Mapping[str, Any], by: str, pk: Any = None) -> AuditEntry:
    """Write an entry whose changes the caller knows."""
    return AuditEntry.objects.create(
        by=by[:120], action=action, kind=kind_of(type(subject)), object_id=str(pk or subject.pk)[:60],
        name=str(subject)[:200], changes=dict(changes),
    )  # fmt: skip


def with_what_goes_along(subjects: Iterable[models.Model]) -> list[models.Model]:
    """These rows, and the settings that the database deletes with them."""
    chosen = list(subjects)
    nested = NestedObjects(using=DEFAULT_DB_ALIAS)
    nested.collect(chosen)
    along = [row for model, rows in nested.data.items() if model in SETTINGS for row in rows]
    return [*chosen, *(row for row in along if row not in chosen)]


def kind_of(model: type[models.Model]) -> str:
    return model._meta.model_name or ""


# --- what a row holds -----------------------------------------------------------------------------------------
def state_of(subject: models.Model, *, pk: Any = None) -> State | None:
    """Every field that can be set, as the database has it; None when the row is not there (yet, or any more)."""
    pk = pk or subject.pk
    found = type(subject)._default_manager.select_for_update(of=("self",)).filter(pk=pk).first() if pk else None
    if found is None:
        return None
    state: State = {}
    for field in found._meta.concrete_fields:
        if field.editable and not field.primary_key and field.name not in FACTS:
            state |= _told(found, field)
    for field in found._meta.many_to_many:
        chosen = getattr(found, field.name)
        state[field.name] = sorted(_name(row) for row in _related(chosen))
    return state


def changes_of(before: State, after: State) -> dict[str, list[Any]]:
    """{field: [before, after]} of those that differ; secrets say only whether there is one."""
    names = [*before, *(name for name in after if name not in before)]
    return {
        name: [_shown(before.get(name)), _shown(after.get(name))]
        for name in names if before.get(name) != after.get(name)
    }  # fmt: skip


def config_state(kind: type[BaseModel] | None, stored: Mapping[str, Any]) -> State:
    """The settings that a Config describes, by name, as they hold; those it does not know are taken for secrets."""
    fields = kind.model_fields if kind else {}
    held = {
        name: info.get_default(call_default_factory=True) for name, info in fields.items() if not info.is_required()
    }
    return {
        f"settings.{name}": _plain(value) if name in fields and not _holds_secret(fields[name].annotation)
        else Secret.of(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in (held | dict(stored)).items()
    }  # fmt: skip


def _told(row: models.Model, field: models.Field) -> State:
    value = field.value_from_object(row)
    if told := SETTINGS.get(type(row), {}).get(field.name):
        return told(row)
    if isinstance(field, EncryptedField) or field.name in PASSWORDS:
        return {field.name: Secret.of(value)}
    if isinstance(field, models.ForeignKey):
        related = getattr(row, field.name)
        return {field.name: None if related is None else f"{related} ({related.pk})"}
    return {field.name: _plain(value)}


def _plain(value: Any) -> Any:
    return loads(dumps(value, cls=DjangoJSONEncoder))


def _related(rows: Any) -> Iterable[models.Model]:
    found = rows.all()
    return found.select_related("content_type") if hasattr(rows.model, "content_type") else found


def _name(row: models.Model) -> str:
    """A permission as the code names it: "orders.cancel_order"."""
    content_type = getattr(row, "content_type", None)
    return f"{content_type.app_label}.{row.codename}" if content_type else str(row)  # type: ignore[attr-defined]


def _shown(value: Any) -> Any:
    return value.told() if isinstance(value, Secret) else value


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))
