"""Every address of the product, walked from its urls: no list to forget something on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True, slots=True)
class Route:
    """path: as Django writes it, "orders/<uuid:pk>"; names: of what it asks for; view: the function."""

    path: str
    name: str
    names: tuple[str, ...]
    view: Any

    def filled(self, values: dict[str, Any]) -> str:
        """The address with these values in their places."""
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), self.path)
        return "/" + path


def routes() -> list[Route]:
    """All but the admin's, which are Django's own."""
    return list(_walk(get_resolver().url_patterns, "", ""))


def admin_routes() -> list[Route]:
    return list(_walk(admin.site.get_urls(), "admin/", "admin:"))


def _walk(patterns: list[URLPattern | URLResolver], before: str, space: str) -> Iterator[Route]:
    for each in patterns:
        path = before + _readable(str(each.pattern))
        if isinstance(each, URLResolver):
            if path != "admin/":
                yield from _walk(each.url_patterns, path, f"{each.namespace}:" if each.namespace else space)
        else:
            names = tuple(re.findall(r"<(?:\w+:)?(\w+)>", path))
            yield Route(path, f"{space}{each.name or ''}", names, each.callback)


def _readable(pattern: str) -> str:
    """A regular expression as the path it stands for: ^imports/(?P<pk>[0-9a-f-]{36})$ → imports/<pk>."""
    if not pattern.startswith("^"):
        return pattern
    return re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", pattern).strip("^$").replace("\\", "")
