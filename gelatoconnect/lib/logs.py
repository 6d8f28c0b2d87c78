"""What the log says: one line for each thing that happened, with what it is about, and nothing of people.

LOG_FORMAT is `json` (a JSON object a line, for collectors) or `line` (for eyes). Names, addresses, e-mails, bodies and query
strings are never logged: messages and errors are cleaned of what may hold them, unless DEBUG is on.
"""

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from gelatoconnect.lib.ids import new_id

access = logging.getLogger("gelatoconnect.access")

HIDDEN = "***"
FORMATS = ("json", "line")
LONGEST_SEGMENT = 48  # characters of a path's segment; what is longer is a token
# Answered all the time and by themselves uninteresting: logged only when they fail.
QUIET = ("/healthz", "/readyz", "/metrics", "/favicon.ico")
_GOOD_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SECRET_PATH = re.compile(r"^(/in/[^/]+/files/)[^/]+")
_EMAIL = re.compile(r"[^\s<>'\"(),:;=]+@[^\s<>'\"(),:;=]+")
_URL = re.compile(r"(\w+://)(?:[^/\s@'\"]*@)?([^/\s'\"?#]+)[^\s'\"]*")
_QUERY = re.compile(r"\?[^\s?]*=\S*")
_QUOTED = re.compile(r"'[^']*'|\"(?![a-z0-9]+(?:_[a-z0-9]+)+\")[^\"]*\"")  # names of columns and constraints may stay
_about: ContextVar[dict[str, str]] = ContextVar("about")


# --- what lines are about -------------------------------------------------------------------------------
@contextmanager
def bound(**about: object) -> Iterator[None]:
    """Every line that is logged inside says this: order, delivery, connector, request_id …; what is empty is left out."""
    token = _about.set(_about.get({}) | _said(about))
    try:
        yield
    finally:
        _about.reset(token)


def note(**about: object) -> None:
    """More of what the innermost `bound` is about, known only now. Outside of any it is lost."""
    _about.get({}).update(_said(about))


def _said(about: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in about.items() if value}


# --- what may be said ---------------------------------------------------------------------------------
def clean_path(path: str) -> str:
    """A path without tokens, e-mails and query."""
    path = _SECRET_PATH.sub(rf"\1{HIDDEN}", path.partition("?")[0])
    return "/".join(HIDDEN if len(part) > LONGEST_SEGMENT or "@" in part else part for part in path.split("/"))


def clean(text: str) -> str:
    """A message without e-mails, without what stands behind the host of an address, without queries."""
    return _EMAIL.sub(HIDDEN, _QUERY.sub(f"?{HIDDEN}", _URL.sub(rf"\1\2/{HIDDEN}", text)))


def clean_error(error: BaseException) -> str:
    """An error's type, and its first line without what it quotes: databases and parsers quote what they were given."""
    first = str(error).strip().partition("\n")[0][:300]
    return f"{type(error).__qualname__}: {clean(_QUOTED.sub(HIDDEN, first))}".rstrip(": ")


def traceback_of(error: BaseException) -> str:
    """Where it happened, and what led to it: files, lines and functions, and errors as `clean_error` says them."""
    parts: list[str] = []
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for each in reversed(chain):
        frames = "".join(traceback.format_list(traceback.extract_tb(each.__traceback__)))
        parts.append(f"{frames}{clean_error(each)}")
    return "\n--- and then\n".join(parts)


# --- the two formats ----------------------------------------------------------------------------------
class Said(logging.Formatter):
    """What both formats share: the record's message, cleaned, and its error."""

    def message_of(self, record: logging.LogRecord) -> str:
        if settings.DEBUG:
            return record.getMessage()
        if isinstance(record.args, tuple):
            record.args = tuple(clean_path(arg) if isinstance(arg, str) and arg.startswith("/") else
                                clean_error(arg) if isinstance(arg, Exception) else arg for arg in record.args)  # fmt: skip
        return clean(record.getMessage())

    def error_of(self, record: logging.LogRecord) -> str:
        if not record.exc_info or record.exc_info[1] is None:
            return ""
        return self.formatException(record.exc_info) if settings.DEBUG else traceback_of(record.exc_info[1])

    def about(self, record: logging.LogRecord) -> dict[str, Any]:
        return _about.get({}) | getattr(record, "about", {})


class Json(Said):
    """A JSON object a line: time, level, logger, message, what it is about, and the error with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "logger": record.name}
        said |= {"message": self.message_of(record), **self.about(record)}
        if found := self.error_of(record):
            said["error"] = found
        return json.dumps(said, ensure_ascii=False, default=str)


class Line(Said):
    """The same for eyes; the error below it."""

    def format(self, record: logging.LogRecord) -> str:
        said = ("method", "path", "status") if record.name == access.name else ()  # its message says them
        about = " ".join(f"{name}={value}" for name, value in self.about(record).items() if name not in said)
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {self.message_of(record)}"
        found = self.error_of(record)
        return line + (f" [{about}]" if about else "") + (f"\n{found}" if found else "")


class Broken(logging.Filter):
    """Of what Django says of answers only what comes with a traceback: the access log has the rest."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def configuration(*, format: str, level: str) -> dict[str, Any]:
    """For settings.LOGGING: everything to the standard error, one handler, one of FORMATS (else JSON)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": "gelatoconnect.lib.logs.Json"},
            "line": {"()": "gelatoconnect.lib.logs.Line"},
        },
        "filters": {"broken": {"()": "gelatoconnect.lib.logs.Broken"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": format if format in FORMATS else "json"}
        },
        "loggers": {
            "django": {"handlers": [], "level": "INFO"},
            "django.request": {"level": "ERROR", "filters": ["broken"]},
            "django.db.backends": {"level": "INFO"},  # its statements carry what is stored
        },
        "root": {"handlers": ["console"], "level": level},
    }


# --- requests -------------------------------------------------------------------------------------------
class RequestLog:
    """Gives each request an id (the caller's X-Request-ID where it is one), which its lines and its answer carry, and logs
    a line for it: method, path, status, milliseconds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        said = request.headers.get("X-Request-ID", "")
        id = said if _GOOD_ID.fullmatch(said) else new_id().hex
        started = perf_counter()
        with bound(request_id=id):
            response = self.get_response(request)
            response["X-Request-ID"] = id
            _tell(request, response, milliseconds=(perf_counter() - started) * 1000)
        return response


def _tell(request: HttpRequest, response: HttpResponse, *, milliseconds: float) -> None:
    if response.status_code < 400 and request.path.startswith((*QUIET, settings.STATIC_URL)):
        return
    path = request.path if settings.DEBUG else clean_path(request.path)
    about = {"method": request.method, "path": path, "status": response.status_code, "ms": round(milliseconds, 1)}
    level = logging.ERROR if response.status_code >= 500 else logging.INFO
    access.log(level, "%s %s %s", request.method, path, response.status_code, extra={"about": about | _who(request)})


def _who(request: HttpRequest) -> dict[str, str]:
    """Who asked, where that is known by now: finding out would cost a query."""
    user = request.__dict__.get("_cached_user") or request.__dict__.get("user")
    if user is None or type(user) is SimpleLazyObject:
        return {}
    if hasattr(user, "get_username"):
        return {"user": user.get_username()} if user.is_authenticated else {}
    return {"connector": name} if (name := getattr(user, "connector_name", "")) else {}
