"""What may be seen of what was sent: the values of what is named like a secret never."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

MASK = "••••••••"
# Whoever sent it may have masked it before; nobody has to.
SECRET = re.compile(r"authori[sz]ation|cookie|token|secret|password|passwd|api-?_?key|access-?_?key|^sig$|^key$", re.I)


def masked(headers: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        yield name, MASK if SECRET.search(name) else str(value)


def masked_url(url: str) -> str:
    """Without a password, and without the values of parameters that are named like secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        query = [(name, MASK if SECRET.search(name) else value) for name, value in parse_qsl(parts.query, True)]
    except ValueError:
        return url
    said = urlencode(query).replace(quote(MASK), MASK) if any(value == MASK for _, value in query) else parts.query
    where = f"{MASK}@{host}" if "@" in parts.netloc else parts.netloc
    return urlunsplit((parts.scheme, where, parts.path, said, parts.fragment))
