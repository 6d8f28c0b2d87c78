"""The form of a mapping, and its tables as people type them: [name], and below it CODE = value on each line."""

import re
from typing import Any

from django import forms

from gelatoconnect.lib.sandbox import MAX_SOURCE
from intake.connectors.mapped.starters import Starter
from intake.models import Mapping

FIELDS = ("submit", "cancel", "answer", "answer_type", "lookups", "sample")
_NAME = re.compile(r"\[\s*(\w[\w .-]{0,59})\s*\]")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?charset=[\w-]+)?")


def _code(rows: int, **more: Any) -> forms.CharField:
    attrs = {"class": "mono", "rows": rows, "spellcheck": "false", "data-lines": ""}
    return forms.CharField(widget=forms.Textarea(attrs=attrs), strip=False, max_length=MAX_SOURCE, **more)


class MappingForm(forms.Form):
    """request: the id of a stored request, tried in place of the typed sample. base: the version it was opened at."""

    submit = _code(24, label="What is ordered")
    cancel = _code(6, required=False, label="What is canceled")
    answer = _code(8, required=False, label="What the sender is told")
    answer_type = forms.CharField(max_length=120, label="Content type of the answer")
    lookups = _code(6, required=False, label="Tables")
    sample = _code(12, required=False, label="A request to try it on")
    topic = forms.CharField(max_length=120, required=False, label="As if it came to …/")
    request = forms.ChoiceField(required=False, label="Or one that came")
    note = forms.CharField(max_length=200, required=False, label="What is new in it")
    base = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    confirm = forms.BooleanField(required=False, label="Save it all the same")

    def __init__(self, *args: Any, requests: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["request"]
        choices.choices = [("", "The one above"), *requests]

    def clean_submit(self) -> str:
        return _plain(self.cleaned_data["submit"])

    def clean_cancel(self) -> str:
        return _plain(self.cleaned_data["cancel"])

    def clean_answer(self) -> str:
        return _plain(self.cleaned_data["answer"])

    def clean_sample(self) -> str:
        return _plain(self.cleaned_data["sample"])

    def clean_answer_type(self) -> str:
        said = self.cleaned_data["answer_type"].strip()
        if not _TYPE.fullmatch(said):
            raise forms.ValidationError("Write it as application/json, or text/xml; charset=utf-8.")
        return said

    def clean_lookups(self) -> dict[str, dict[str, str]]:
        return tables_of(self.cleaned_data["lookups"])


def initial_of(source: Mapping | Starter, *, base: int) -> dict[str, Any]:
    """What the form shows of a saved mapping, or of the one to begin with."""
    return {name: getattr(source, name) for name in FIELDS} | {"lookups": written(source.lookups), "base": base}


def mapping_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Mapping."""
    return {name: cleaned[name] for name in FIELDS}


def tables_of(text: str) -> dict[str, dict[str, str]]:
    """Raises django's ValidationError, naming the line."""
    found: dict[str, dict[str, str]] = {}
    table: dict[str, str] | None = None
    for number, line in enumerate(_plain(text).split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if named := _NAME.fullmatch(line):
            if named[1] in found:
                raise forms.ValidationError(f"Line {number}: there are two tables [{named[1]}].")
            table = found[named[1]] = {}
            continue
        code, sign, value = line.partition(" = ") if " = " in line else line.partition("=")
        if table is None or not sign:
            raise forms.ValidationError(f"Line {number}: write [name], and below it CODE = value on each line.")
        if code.strip() in table:
            raise forms.ValidationError(f"Line {number}: the code {code.strip()!r} stands twice in its table.")
        table[code.strip()] = value.strip()
    return found


def written(tables: dict[str, dict[str, Any]]) -> str:
    """As it is typed."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{code} = {value}\n" for code, value in table.items())
        for name, table in tables.items()
    )


def _plain(text: str) -> str:
    """With the line ends of Unix, and without what PostgreSQL refuses."""
    return text.replace("\r\n", "\n").replace("\0", "")
