"""A connector's settings as form fields, made from its Config; and back again, secrets untouched when left empty."""

import json
from datetime import time
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from django import forms
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from intake.connectors.base import Config

PREFIX = "set_"
WIDE = "vTextField"  # how the admin calls an input of full width
UNCHANGED = "Kept; type a new one to change it."


def form_fields(kind: type[Config], stored: dict[str, Any]) -> dict[str, forms.Field]:
    """A form field for each setting, by its name with PREFIX, showing what is stored; a secret only whether there is one."""
    return {PREFIX + name: _field(name, info, stored) for name, info in kind.model_fields.items()}


def initial(kind: type[Config], stored: dict[str, Any]) -> dict[str, Any]:
    known = {
        name: stored.get(name, info.get_default(call_default_factory=True)) for name, info in kind.model_fields.items()
    }
    return {PREFIX + name: ", ".join(value) if isinstance(value, list) else value
            for name, value in known.items() if not isinstance(value, SecretStr)
            and not _is(kind.model_fields[name].annotation, SecretStr)}  # fmt: skip


def settings_of(kind: type[Config], stored: dict[str, Any], cleaned: dict[str, Any]) -> str:
    """What is stored of a filled-in form, as JSON. Raises django's ValidationError by field."""
    values: dict[str, Any] = {}
    for name, info in kind.model_fields.items():
        value = cleaned.get(PREFIX + name)
        if _is(info.annotation, SecretStr):
            value = value or stored.get(name, "")
        elif get_origin(info.annotation) is list:
            value = [word.strip() for word in (value or "").split(",") if word.strip()]
        elif value in ("", None) and not _is(info.annotation, str):
            continue
        values[name] = value.isoformat() if isinstance(value, time) else value
    try:
        kind.model_validate(values)
    except ValidationError as error:
        said = {PREFIX + str(each["loc"][0]): each["msg"].removeprefix("Value error, ") for each in error.errors()}
        raise forms.ValidationError(said) from None
    return json.dumps(values)


def _field(name: str, info: FieldInfo, stored: dict[str, Any]) -> forms.Field:
    shown: dict[str, Any] = {
        "label": info.title or name.replace("_", " ").capitalize(),
        "help_text": info.description or "",
        "required": False,
    }
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    choice = next((part for part in _parts(info.annotation) if get_origin(part) is Literal), None)
    if choice is not None:
        labels = extra.get("labels")
        words = labels if isinstance(labels, dict) else {}
        return forms.ChoiceField(choices=[(value, words.get(value, value)) for value in get_args(choice)], **shown)
    if _is(info.annotation, SecretStr):
        if stored.get(name):
            shown["help_text"] = ". ".join(filter(None, (shown["help_text"].rstrip("."), UNCHANGED)))
        lines = extra.get("lines")
        widget = (
            forms.Textarea(attrs={"rows": lines})
            if lines
            else forms.PasswordInput(attrs={"autocomplete": "new-password", "class": WIDE})
        )
        return forms.CharField(widget=widget, strip=not lines, **shown)
    if _is(info.annotation, bool):
        return forms.BooleanField(**shown)
    if _is(info.annotation, int):
        return forms.IntegerField(**shown)
    if _is(info.annotation, float):
        return forms.FloatField(**shown)
    if _is(info.annotation, time):
        return forms.TimeField(widget=forms.TimeInput(attrs={"type": "time"}), **shown)
    if lines := extra.get("lines"):
        return forms.CharField(
            widget=forms.Textarea(attrs={"rows": lines, "class": "mono", "spellcheck": "false"}), **shown
        )
    return forms.CharField(widget=forms.TextInput(attrs={"class": WIDE}), **shown)


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is(annotation: Any, kind: type) -> bool:
    return any(part is kind for part in _parts(annotation))
