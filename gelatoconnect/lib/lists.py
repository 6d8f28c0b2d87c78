"""Lists: a filtered queryset becomes a page, a CSV file or an API answer. Newest first, by keyset, never a full count."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse

from gelatoconnect.lib.ids import parse_id

COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first; the cursors lead to the older (`next`) and the newer (`previous`) page, empty at the ends."""

    rows: list[Any]
    next: str = ""
    previous: str = ""


def page(queryset: QuerySet, *, parts: Sequence[QuerySet] = (), cursor: str = "", limit: int = 50) -> Page:
    """The page of `queryset` (rows whose id is a UUIDv7) at `cursor`: "<id>" older than, "~<id>" newer than that row.

    parts: the same rows as several queries that each walk one index, where no index serves the whole.
    An unreadable cursor gives the first page.
    """
    back, edge = cursor.startswith("~"), parse_id(cursor.lstrip("~"))
    whole = [part.order_by() for part in parts or (queryset,)]
    if edge and back:
        found = _ids([part.filter(id__gt=edge) for part in whole], limit + 1, order="id")
        ids, newer, older = found[:limit][::-1], len(found) > limit, True
    else:
        found = _ids([part.filter(id__lt=edge) if edge else part for part in whole], limit + 1, order="-id")
        ids, newer, older = found[:limit], edge is not None, len(found) > limit
    rows = list(queryset.filter(pk__in=ids).order_by("-id")) if ids else []
    return Page(rows, next=f"{ids[-1]}" if ids and older else "", previous=f"~{ids[0]}" if ids and newer else "")


def _ids(parts: Sequence[QuerySet], count: int, *, order: str) -> list[Any]:
    """Ids alone need no joins: with them a planner may begin at the wrong table."""
    if len(parts) == 1:
        return list(parts[0].order_by(order).values_list("pk", flat=True)[:count])
    # SQLite knows no LIMIT within a UNION, but one within a subquery.
    first, *others = [
        part.model._default_manager.filter(pk__in=part.order_by(order).values("pk")[:count]).values_list(
            "pk", flat=True
        )
        for part in parts
    ]
    return list(first.union(*others).order_by("pk" if order == "id" else "-pk")[:count])


def capped_count(queryset: QuerySet, *others: QuerySet, cap: int = COUNTED) -> int:
    """How many rows (those of several queries together), counted no further than cap + 1."""
    ids = queryset.order_by().values("pk")
    if others:
        ids = ids.union(*(other.order_by().values("pk") for other in others))
    return ids[: cap + 1].count()


def count_label(count: int, *, cap: int = COUNTED) -> str:
    return f"{cap:,}+" if count > cap else f"{count:,}"


def csv_response(
    queryset: QuerySet, columns: Mapping[str, Callable[[Any], Any]], *, name: str
) -> StreamingHttpResponse:
    """The whole list as CSV, streamed; columns are heading → value of a row."""

    def rows() -> Iterator[Iterable[Any]]:
        yield columns
        for row in queryset.order_by("-id").iterator(chunk_size=500):
            yield [safe_cell(value(row)) for value in columns.values()]

    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL)
    response = StreamingHttpResponse((writer.writerow(row) for row in rows()), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def safe_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula (CSV injection, OWASP)."""
    text = "" if value is None else str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


class Echo:
    """A file that gives back what is written to it, for rows that are streamed."""

    def write(self, text: str) -> str:
        return text


def rows_by_id(model: type[Model], ids: Iterable[str]) -> QuerySet:
    """The rows that a selection of ids names; what is no id is left out."""
    return model._default_manager.filter(pk__in=[id for id in map(parse_id, ids) if id])
