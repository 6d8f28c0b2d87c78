"""The two calls: `fetch` brings a file in, `send` takes a message out."""

import hashlib
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from time import monotonic
from urllib.parse import urljoin

from django.conf import settings

from gelatoconnect.lib.http.addresses import Target, read
from gelatoconnect.lib.http.failures import Failed
from gelatoconnect.lib.http.wire import Deadline, Reply, ask

MOST_REDIRECTS = 3
LONGEST_REDIRECT = 8192  # characters: stores sign the addresses they redirect to, at length
LONGEST_WAIT = 86_400.0  # seconds that a Retry-After is believed
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that arrived whole. size in bytes, hashes in hex, content_type as the server says, url the last address."""

    path: Path
    size: int
    sha256: str
    md5: str
    content_type: str
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, whatever its status. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    milliseconds: int

    @property
    def retry_after(self) -> float | None:
        """Seconds until the server wants to be asked again, when it says so."""
        return _retry_after(self.headers)


def fetch(url: str, *, into: Path, max_bytes: int | None = None, seconds: float | None = None) -> Fetched:
    """Download to a new file in the directory `into`; the caller owns it. Raises Failed, and then nothing is kept.

    At most `max_bytes` (FETCH_MAX_BYTES) and `seconds` (FETCH_SECONDS), redirects and all.
    """
    most = settings.FETCH_MAX_BYTES if max_bytes is None else max_bytes
    deadline = Deadline(settings.FETCH_SECONDS if seconds is None else seconds)
    target = read(url)
    for _ in range(MOST_REDIRECTS + 1):
        with ask(target, method="GET", headers=_headers(target, {}), deadline=deadline) as reply:
            if reply.status not in _REDIRECTS:
                _refuse_unusable(reply, target, most=most)
                return _keep(reply, target, into=into, most=most)
            target = _redirected(target, reply)
    raise Failed("FETCH_PROTOCOL", f"The address redirects more than {MOST_REDIRECTS} times.", permanent=True)


def send(
    url: str,
    *,
    method: str = "POST",
    body: bytes = b"",
    headers: Mapping[str, str] = {},
    seconds: float = 20,
    max_answer: int = 4096,
) -> Answer:
    """Make one request and say what was answered. Raises Failed only when there was no answer.

    Redirects are not followed. Of the answer's body at most `max_answer` bytes are read, and what there is of it when
    the other side hangs up half-way: the status has been said by then.
    """
    started, deadline, target = monotonic(), Deadline(seconds), read(url)
    said = bytearray()
    with ask(target, method=method, headers=_headers(target, headers), body=body, deadline=deadline) as reply:
        try:
            for piece in reply.pieces():
                said += piece
                if len(said) >= max_answer:
                    break
        except Failed as failure:
            if failure.code != "FETCH_INCOMPLETE":
                raise
    return Answer(reply.status, reply.headers, bytes(said[:max_answer]), round((monotonic() - started) * 1000))


def _headers(target: Target, more: Mapping[str, str]) -> dict[str, bytes]:
    """The caller's headers between our defaults and what may not be otherwise. Raises ValueError for a line break."""
    headers = {"User-Agent": _user_agent(), "Accept": "*/*"}
    headers |= {name.title(): value for name, value in more.items()}
    headers |= {"Host": target.authority, "Accept-Encoding": "identity", "Connection": "close"}
    for name, value in headers.items():
        if any(sign in name + value for sign in "\r\n\0"):
            raise ValueError(f"The header {name!r} has a line break in it.")
    return {name: value.encode() for name, value in headers.items()}


@cache
def _user_agent() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return f"GelatoConnect/{project['version']}"


def _redirected(target: Target, reply: Reply) -> Target:
    """Where the answer points to. Like the first address it is judged when it is asked."""
    location = reply.headers.get("location", "").strip()
    if not location:
        raise Failed("FETCH_PROTOCOL", f"{target.host} redirects to nowhere.", permanent=True)
    with suppress(UnicodeError):  # headers are read as Latin-1, and servers write UTF-8
        location = location.encode("latin-1").decode()
    try:
        joined = urljoin(target.url, location)
    except ValueError as error:
        raise Failed("URL_INVALID", f"{target.host} redirects to what is no address.") from error
    return read(joined, longest=LONGEST_REDIRECT)


def _refuse_unusable(reply: Reply, target: Target, *, most: int) -> None:
    """Raises Failed unless the answer is a file, as it is, of no more than `most` bytes."""
    if reply.status != 200:
        raise _status_refused(reply, target)
    coding = reply.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Failed("FETCH_PROTOCOL", f"{target.host} sent the file compressed, which it was asked not to.",
                     permanent=True, hint="Serve the file without a Content-Encoding.")  # fmt: skip
    if reply.length is not None and reply.length > most:
        raise _too_large(most)


def _status_refused(reply: Reply, target: Target) -> Failed:
    status = reply.status
    if status in (404, 410):
        return Failed("FETCH_NOT_FOUND", f"There is no file at the address: {target.host} answered {status}.")
    if status in (401, 403):
        return Failed("FETCH_FORBIDDEN", f"{target.host} does not let us read the file: it answered {status}.")
    again = status in (408, 429) or status >= 500
    wait = _retry_after(reply.headers) if status in (429, 503) else None
    return Failed("FETCH_STATUS", f"{target.host} answered {status}.", permanent=not again, retry_after=wait)


def _too_large(most: int) -> Failed:
    return Failed("FETCH_TOO_LARGE", f"The file is larger than {most:,} bytes.")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, of both forms in RFC 9110 §10.2.3: a number of seconds, or a date."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 0.0), LONGEST_WAIT)


def _keep(reply: Reply, target: Target, *, into: Path, most: int) -> Fetched:
    """The body in a file of its own, hashed on the way."""
    into.mkdir(parents=True, exist_ok=True)
    size, sha256, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with tempfile.NamedTemporaryFile(dir=into, prefix="fetch-", delete=False) as file:
        path = Path(file.name)
        try:
            for piece in reply.pieces():
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                sha256.update(piece)
                md5.update(piece)
                file.write(piece)
            file.flush()
        except BaseException:
            path.unlink()
            raise
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Fetched(path, size, sha256.hexdigest(), md5.hexdigest(), kind[:100], target.url)
