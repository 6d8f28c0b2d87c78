"""JSON from strangers: what a lenient parser lets through would break a page or a database later, so it is refused here.

Refused: other encodings than UTF-8, more than the allowed size or depth, duplicate keys, NaN and infinities, numbers
beyond what JSON readers agree on, NUL characters and lone surrogates.
"""

import json
import re
from typing import Any, NoReturn

from gelatoconnect.lib.problems import Problem, Rejected

MAX_DEPTH = 32
MAX_DIGITS = 40
_ILL = re.compile("[\x00\ud800-\udfff]")


def loads(raw: bytes, *, max_bytes: int) -> Any:
    """The value that `raw` spells. Raises Rejected (400, or 413 when it is too large)."""
    if len(raw) > max_bytes:
        raise too_large(max_bytes)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        _refuse("JSON_ENCODING", f"The body is not UTF-8 (byte {error.start}).", "Send the JSON encoded as UTF-8.")
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        _refuse("JSON_MALFORMED", f"The body is not JSON: {error.msg} ({where}).", f"Mend the JSON at {where}.")
    except RecursionError:
        _refuse_depth()
    _inspect(value, 1)
    return value


def read_body(request: Any, *, max_bytes: int) -> bytes:
    """The raw body of a request, refused before it is read when it announces itself too large."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > max_bytes:
        raise too_large(max_bytes)
    if "CONTENT_LENGTH" not in request.META and request.META.get("wsgi.input_terminated"):
        return _read_to_the_end(request.META["wsgi.input"], max_bytes=max_bytes)
    return request.body


def _read_to_the_end(stream: Any, *, max_bytes: int) -> bytes:
    """A body that comes in chunks and never says how long it is: Django would take it for an empty one."""
    pieces, size = [], 0
    while piece := stream.read(65_536):
        size += len(piece)
        if size > max_bytes:
            raise too_large(max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def too_large(max_bytes: int) -> Rejected:
    limit = f"{max_bytes // 1024:,} KiB"
    return Rejected(
        [Problem("BODY_TOO_LARGE", f"The body is larger than {limit}.", hint="Send fewer items in one order.")],
        status=413,
    )


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise Rejected([Problem(code, message, hint=hint)], status=400)


def _refuse_depth() -> NoReturn:
    _refuse("JSON_TOO_DEEP", f"The JSON is nested more than {MAX_DEPTH} levels deep.", "Flatten the document.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        _refuse("JSON_DUPLICATE_KEY", f"The key {twice[:60]!r} stands twice in one object.", "Send each key once.")
    return found


def _constant(word: str) -> NoReturn:
    _refuse("JSON_NUMBER", f"{word} is not a JSON number.", "Send a finite number, or null.")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _refuse("JSON_NUMBER", f"A number has more than {MAX_DIGITS} digits.", "Send it as text.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")) or len(digits) > MAX_DIGITS:
        _refuse("JSON_NUMBER", "A number is too large or too long.", "Send it as text.")
    return value


def _inspect(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if _ILL.search(value):
            _refuse("JSON_CHARACTER", "A text holds a NUL or half a surrogate pair.", "Send well-formed Unicode text.")
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            _refuse_depth()
        if isinstance(value, dict):
            for key in value:
                _inspect(key, depth)
        for inner in value.values() if isinstance(value, dict) else value:
            _inspect(inner, depth + 1)
