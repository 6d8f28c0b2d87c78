"""The local mailbox: without a mail server mail is kept as files, and read here.

Django's file backend writes a file for each connection, its messages one after the other with a line of dashes below.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from django.conf import settings

BACKEND = "django.core.mail.backends.filebased.EmailBackend"
SHOWN = 100  # of the newest
MAX_BYTES = 10 * 1024 * 1024  # of a file
HEADERS = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-GelatoConnect-Test")
_NAME = re.compile(r"\d{8}-\d{6}-\d{1,24}\.log")
_END = b"\n" + b"-" * 79 + b"\n"


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. file, number: where it is kept; number from 1."""

    file: str
    number: int
    message: EmailMessage
    at: datetime

    def header(self, name: str) -> str:
        try:
            return " ".join(str(self.message.get(name, "")).split())
        except Exception:  # a header that cannot be read hinders nobody from reading the rest
            return ""

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name, said) for name in HEADERS if (said := self.header(name))]

    @property
    def to(self) -> str:
        return self.header("To")

    @property
    def subject(self) -> str:
        return self.header("Subject")

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def attachments(self) -> list[str]:
        return [part.get_filename() or part.get_content_type() for part in self.message.iter_attachments()]

    def _part(self, kind: str) -> str:
        for part in self.message.walk():
            if part.get_content_type() == f"text/{kind}" and not part.is_attachment():  # type: ignore[attr-defined]
                raw = part.get_payload(decode=True)
                return raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else ""
        return ""


def in_use() -> bool:
    return settings.EMAIL_BACKEND == BACKEND and bool(getattr(settings, "EMAIL_FILE_PATH", None))


def newest(limit: int = SHOWN) -> list[Mail]:
    found: list[Mail] = []
    for file in sorted(_files(), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        found += reversed(list(_messages(file)))
        if len(found) >= limit:
            break
    return found[:limit]


def find(name: str, number: int) -> Mail | None:
    """The name is looked up among the files that are there; it never makes a path."""
    file = next((path for path in _files() if path.name == name), None)
    return next((mail for mail in _messages(file) if mail.number == number), None) if file else None


def _files() -> list[Path]:
    folder = Path(settings.EMAIL_FILE_PATH)
    if not folder.is_dir():
        return []
    return [
        path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    ]


def _messages(file: Path) -> Iterator[Mail]:
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES)
    at = datetime.fromtimestamp(file.stat().st_mtime, tz=UTC)
    for number, raw in enumerate(content.split(_END), 1):
        if raw.strip():
            message = BytesParser(policy=policy.default).parsebytes(raw)
            yield Mail(file.name, number, message, at)  # type: ignore[arg-type]
