"""What templates may say beside Jinja2's own words: filters, lookups, and what stands for data that is not there.

Imported by the rendering process only. Pure.
"""

import json
import re
from typing import Any
from xml.sax.saxutils import escape

from jinja2 import StrictUndefined
from jinja2.utils import missing

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_READING = {"get", "items", "keys", "values"}  # methods of an object, where the data has no such key
_SHOWN = 12  # keys that are named in a message


class Missing(StrictUndefined):
    """What is not there: `a.b.c | default("")` may look into it; to use it is an error that says what there is."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _key: Any) -> Any:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self._undefined_obj, dict) and self._undefined_name in _READING:
            return getattr(self._undefined_obj, self._undefined_name)(*args, **kwargs)
        return self._fail_with_undefined_error()

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is missing:
            return f"{name!r} is not known here."
        if isinstance(self._undefined_obj, dict):
            keys = [str(key)[:40] for key in list(self._undefined_obj)[:_SHOWN]]
            more = ", …" if len(self._undefined_obj) > _SHOWN else ""
            return f"{name!r} is not there; there is: {', '.join(keys) or 'nothing'}{more}."
        if self._undefined_obj is None:
            return f"{name!r} is asked of null."
        return f"{name!r} is asked of {_kind(self._undefined_obj)}, which has none."


class UnknownCode(Exception):
    """A strict table has no such entry."""


class Lookup:
    """A table of codes: `table[code]` or `table(code)`. Codes are compared as text, at last without regard to case."""

    __slots__ = ("_default", "_entries", "_folded", "_name", "_strict")

    def __init__(self, entries: dict[Any, Any], name: str, strict: bool, default: Any) -> None:
        self._entries = {str(code).strip(): value for code, value in entries.items()}
        self._folded = {code.casefold(): value for code, value in self._entries.items()}
        self._name, self._strict, self._default = name, strict, default

    def __call__(self, code: Any) -> Any:
        """Raises UnknownCode."""
        asked = "" if code is None or isinstance(code, Missing) else str(code).strip()
        for entries, key in ((self._entries, asked), (self._folded, asked.casefold())):
            if key in entries:
                return entries[key]
        if self._default is not missing and not (self._strict and asked):
            return self._default
        if self._strict:
            said = f"has no entry for {asked[:80]!r}" if asked else "was asked, but the request says no code"
            raise UnknownCode(f"The table {self._name} {said}.")
        return asked

    __getitem__ = __call__


class Words:
    """Functions that know the named tables of the mapping."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}

    def lookups(self, table: Any, strict: bool | None = None, default: Any = missing) -> Lookup:
        """table: codes → values, or the name of a table. strict: unknown codes are refused; so it is without a default.

        default: for unknown codes when it is not strict, and always for a code that is not there or empty. Neither strict
        nor with a default: the code itself.
        """
        name = "in the template"
        if isinstance(table, str):
            name = repr(table)
            if table not in self.tables:
                raise UnknownCode(f"There is no table {table!r}; there is: {', '.join(self.tables) or 'none'}.")
            table = self.tables[table]
        if not isinstance(table, dict):
            raise TypeError("lookups() takes a table {code: value}, or the name of one")
        return Lookup(table, name, default is missing if strict is None else strict, default)

    def lookup(self, code: Any, table: Any, strict: bool | None = None, default: Any = missing) -> Any:
        """The same as a filter: request.ship | lookup({"STD": "normal"})."""
        return self.lookups(table, strict, default)(code)


def tojson(value: Any, indent: int | None = None) -> str:
    """JSON, as JSON readers want it: nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False, default=_unknown)


def fromjson(value: Any) -> Any:
    """What a text that holds JSON says; data that is read already stays as it is."""
    return json.loads(value) if isinstance(value, str) else value


def xml(value: Any) -> str:
    """Text for XML, inside elements and attributes; null is empty."""
    return escape(_NO_XML.sub("", "" if value is None else str(value)), {'"': "&quot;", "'": "&apos;"})


def many(value: Any) -> list[Any]:
    """A list of what may be one, many, or not there: XML does not tell one from many."""
    if value is None or isinstance(value, Missing) or value == "":
        return []
    return value if isinstance(value, list) else [value]


def _unknown(value: Any) -> Any:
    if isinstance(value, Missing):
        str(value)  # raises what it has to say
    raise TypeError(f"{_kind(value)} cannot be written as JSON")


def _kind(value: Any) -> str:
    return {str: "a text", int: "a number", float: "a number", bool: "true or false", list: "a list"}.get(
        type(value), type(value).__name__
    )
