"""How each channel does: when it was heard last, what came of that today, when it is compared next, and whether it is
silent although it used to be busy. Always the same few queries, each bounded by an index."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.utils import timezone
from pydantic import ValidationError

from gelatoconnect.lib.ids import born, first_id
from intake.connectors import CONNECTOR_TYPES
from intake.connectors.base import ConnectorType
from intake.connectors.schedule import Scheduled
from intake.models import Connector, OrderRequest
from orders.texts import duration, serious

COUNTED = 10_000  # of today's requests, the newest
RHYTHM = 10  # requests by which a channel's rhythm is known
SILENCE = timedelta(days=1)  # shorter silences are never remarked
LONGER = 6  # times its usual pause
State = OrderRequest.State


@dataclass(frozen=True, slots=True)
class Today:
    accepted: int = 0
    rejected: int = 0
    recovered: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """One connector, as its row shows it.

    config  its settings, None when they are not complete; silent: for how long nothing came, though it used to
    usual   about how often something came before
    """

    connector: Connector
    kind: ConnectorType | None
    config: Any
    last: OrderRequest | None
    today: Today
    silent: str = ""
    usual: str = ""

    @property
    def last_at(self) -> datetime | None:
        return born(self.last.pk) if self.last else None

    @property
    def address(self) -> str:
        return f"{settings.PUBLIC_URL}/in/{self.connector.pk}" if self.kind and self.kind.methods else ""

    @property
    def scans(self) -> bool:
        return self.kind is not None and self.kind.scans

    @property
    def schedule(self) -> str:
        """How often it is asked; empty: never."""
        config = self.config
        if self.kind is None or not self.kind.pulls or not isinstance(config, Scheduled) or not config.interval:
            return ""
        quiet = (
            f", not {config.quiet_from:%H:%M}–{config.quiet_to:%H:%M}" if config.quiet_from and config.quiet_to else ""
        )
        return f"Every {duration(config.interval * 60)}{quiet}"

    @property
    def is_due(self) -> bool:
        return self.connector.next_pull is not None and self.connector.next_pull <= timezone.now()

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong with it: (tone, what is said); worst first."""
        if not self.connector.active:
            return []
        found = []
        if self.kind is None:
            found.append(("error", f"There is no connector type {self.connector.type!r}."))
        elif self.config is None:
            found.append(("error", "Its settings are not complete."))
        if self.connector.pull_error:
            found.append(("error", self.connector.pull_error))
        if self.silent:
            found.append(("warning", f"Nothing heard for {self.silent}; before, {self.usual}."))
        return found

    @property
    def finding(self) -> dict[str, Any] | None:
        """What stands against the last request, in a word."""
        said = serious(self.last.problems) if self.last else []
        return said[0] if said else None


def channels() -> list[Channel]:
    """Every connector: what needs a person first, then by name; those that are switched off stand last."""
    connectors = list(_connectors())
    latest = OrderRequest.objects.only("state", "problems", "reference", "recovered").in_bulk(
        [each.last_id for each in connectors if each.last_id])  # type: ignore[attr-defined]  # fmt: skip
    today = today_by_connector()
    found = [channel_of(each, latest.get(each.last_id), today.get(each.pk, Today())) for each in connectors]  # type: ignore[attr-defined]
    return sorted(found, key=lambda each: (not each.connector.active, not each.problems, each.connector.name))


def today_by_connector() -> dict[Any, Today]:
    """Counts of today (UTC) by connector, of the newest COUNTED requests."""
    midnight = datetime.combine(timezone.now().date(), time.min, tzinfo=UTC)
    newest = OrderRequest.objects.filter(id__gte=first_id(midnight)).order_by("-id").values("id")[:COUNTED]
    counted = OrderRequest.objects.filter(id__in=Subquery(newest)).order_by()
    found: dict[Any, dict[str, int]] = {}
    for row in counted.values("connector", "state", "recovered").annotate(count=Count("id")):
        sums = found.setdefault(row["connector"], {})
        sums[row["state"]] = sums.get(row["state"], 0) + row["count"]
        sums["recovered"] = sums.get("recovered", 0) + row["count"] * row["recovered"]
    return {pk: Today(sums.get(State.ACCEPTED, 0), sums.get(State.REJECTED, 0), sums["recovered"])
            for pk, sums in found.items()}  # fmt: skip


def silence(last: datetime, earlier: datetime, *, now: datetime) -> tuple[str, str]:
    """For how long it has been silent, and how often something came before; empty when that is nothing unusual.

    earlier: when the RHYTHM-th request before came.
    """
    pause = (last - earlier) / (RHYTHM - 1)
    if now - last < max(SILENCE, pause * LONGER):
        return "", ""
    a_day = timedelta(days=1) / max(pause, timedelta(seconds=1))
    usual = (
        f"about {a_day:,.0f} a day" if a_day >= 1.5 else f"about one in {duration(max(1, round(1 / a_day)) * 86_400)}"
    )
    return duration((now - last).total_seconds()), usual


def _connectors() -> QuerySet[Connector]:
    requests = OrderRequest.objects.filter(connector=OuterRef("pk")).order_by("-id").values("id")
    return Connector.objects.select_related("customer").annotate(
        last_id=Subquery(requests[:1]), earlier_id=Subquery(requests[RHYTHM - 1 : RHYTHM])
    )


def channel_of(connector: Any, last: OrderRequest | None = None, today: Today = Today()) -> Channel:
    kind, config = CONNECTOR_TYPES.get(connector.type), None
    if kind is not None:
        try:
            config = kind.Config.model_validate_json(connector.settings or "{}")
        except ValidationError:
            config = None
    silent = usual = ""
    if connector.active and last is not None and getattr(connector, "earlier_id", None):
        silent, usual = silence(born(last.pk), born(connector.earlier_id), now=timezone.now())
    return Channel(connector, kind, config, last, today, silent, usual)
