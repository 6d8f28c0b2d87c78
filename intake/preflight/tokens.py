"""From the decoded bytes of a content stream to a flat list of tokens (ISO 32000-1, 7.8.2).

Strings are cut to a mark, comments and the data of inline images are cut out, and what is left is split at white space:
many times faster than a full parser, and it walks on through damaged streams.
"""

import re
from typing import Any

SHOWN = b"("
"""Stands for a string that is not empty."""

_COMMENT = re.compile(rb"%[^\r\n]*+")
_EMPTY = re.compile(rb"(?<!\\)\(\)|<\s*+>")
_PLAIN = rb"(?:[^()\\]++|\\.)*+"
_ONCE = rb"\(" + _PLAIN + rb"\)"
_TWICE = rb"\((?:[^()\\]++|\\.|" + _ONCE + rb")*+\)"
_STRING = re.compile(rb"\((?:[^()\\]++|\\.|" + _TWICE + rb")*+\)|(?<!<)<(?!<)[0-9A-Fa-f\s]++>", re.DOTALL)
# The keys of an inline image may hold an array or a palette, but no second BI.
_INLINE = re.compile(rb"(?<![^\s\]>)])BI(?=[\s/])((?:(?!\sBI\s).){0,4096}?)(?<=[\s\]>)])ID[\s]", re.DOTALL)
_END = re.compile(rb"\sEI(?=[\s]|$)|(?<=>)EI(?=[\s]|$)")
_BRACKETS = (b"[", b"]", b"<<", b">>")
_TEXT_BYTES = frozenset(b"\t\n\r\f\0") | frozenset(range(32, 127))


def tokens_of(content: bytes) -> list[bytes]:
    """Tokens in order. An inline image leaves its keys: BI, keys and values, ID."""
    if b"BI" in content:
        content = _without_inline_data(content)
    if b"(" in content or b"<" in content:
        content = _STRING.sub(b" ( ", _EMPTY.sub(b" ", content))
    if b"%" in content:
        content = _COMMENT.sub(b" ", content)
    if b"\0" in content:
        content = content.replace(b"\0", b" ")
    for bracket in _BRACKETS:
        content = content.replace(bracket, b" %s " % bracket)
    return content.replace(b"/", b" /").split()


def _without_inline_data(content: bytes) -> bytes:
    kept, position = [], 0
    while found := _INLINE.search(content, position):
        kept.append(content[position : found.end()])
        position = _end_of_data(content, found.end())
    kept.append(content[position:])
    return b" ".join(kept)


def _end_of_data(content: bytes, start: int) -> int:
    """Behind the EI that ends the data: the first one that is followed by text, as image data may hold "EI" too."""
    position = start
    while found := _END.search(content, position):
        if _TEXT_BYTES.issuperset(content[found.end() : found.end() + 16]):
            return found.end()
        position = found.start() + 1
    return len(content)


def number(token: bytes) -> float:
    """A number as PDF writers write it, the wrong ways too ("--5", "1.2.3"); 0 when it is none."""
    try:
        return float(token)
    except ValueError:
        found = re.match(rb"[+-]*(\d*\.?\d*)", token)
        digits = found[1] if found else b""
        sign = -1 if token.startswith(b"-") else 1
        return sign * float(digits) if digits.strip(b".") else 0.0


def spelled(name: Any) -> str:
    """A pikepdf.Name as text, slash included; names of other encodings than UTF-8 keep their bytes as surrogates."""
    try:
        return str(name)
    except UnicodeDecodeError:
        return name_of(name.unparse())


def name_of(token: bytes) -> str:
    """A name object as pikepdf says it: "/A#20B" → "/A B"."""
    if b"#" in token:
        token = re.sub(rb"#([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), token)
    return token.decode("utf-8", "surrogateescape")
