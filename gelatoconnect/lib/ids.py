"""Public ids: UUIDv7 (RFC 9562), so that sorting by id is sorting by the time of birth."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

NO_ID = UUID(int=0)


def new_id() -> UUID:
    return uuid7()


def first_id(at: datetime) -> UUID:
    """The smallest id that can be born at or after `at`: turns a date filter into a range of ids."""
    return UUID(int=(max(0, int(at.timestamp() * 1000)) << 80) | (0x7 << 76) | (0x2 << 62))


def parse_id(text: object) -> UUID | None:
    """The id that `text` spells, or None when it spells none."""
    try:
        return UUID(str(text))
    except ValueError:
        return None


def born(id: UUID) -> datetime:
    """When the id was made (UTC, to the millisecond)."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, tz=UTC)
