"""When a channel is asked: every so many minutes, except in its quiet hours."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from intake.connectors.base import Config


class Scheduled(Config):
    """Settings of a channel that is asked regularly."""

    interval: int = Field(60, ge=0, le=10_080, title="Every … minutes", description="0: never")
    quiet_from: time | None = Field(None, title="Quiet from", description="Not asked from then, such as 22:00")
    quiet_to: time | None = Field(None, title="Quiet until", description="until then, such as 06:00")
    time_zone: str = Field("UTC", title="Time zone", description="Of the quiet hours, such as Europe/Oslo")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("There is no such time zone; write it as Europe/Oslo.")
        return value

    def next_after(self, now: datetime) -> datetime | None:
        """When to ask again; None: never."""
        if not self.interval:
            return None
        return self.after_quiet(now + timedelta(minutes=self.interval))

    def after_quiet(self, at: datetime) -> datetime:
        """`at`, or the end of the quiet hours it lies in. Both ends are wall clock times, and may lie across midnight."""
        if self.quiet_from is None or self.quiet_to is None or self.quiet_from == self.quiet_to:
            return at
        local = at.astimezone(ZoneInfo(self.time_zone))
        clock, start, end = local.time().replace(tzinfo=None), self.quiet_from, self.quiet_to
        quiet = start <= clock < end if start < end else clock >= start or clock < end
        if not quiet:
            return at
        day = local.date() + timedelta(days=1 if start > end and clock >= start else 0)
        return datetime.combine(day, end, tzinfo=ZoneInfo(self.time_zone)).astimezone(at.tzinfo)
