"""An order as a file spells it → the words of the API: keys in any case, envelopes, and lists as XML writes them."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from orders.drafts import Address, Draft, DraftFile, DraftItem, Part, is_handed_over

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_ENVELOPES = ("order", "orders", "data", "payload")


def in_our_words(data: Any, *, emptied: bool = False) -> Any:
    """The order in the API's words. emptied: empty texts are left out, as XML says of what is not there."""
    data = _unwrapped(data)
    if not isinstance(data, dict):
        return data
    order = _renamed(data, Draft)
    if isinstance(address := order.get("shippingAddress"), dict):
        order["shippingAddress"] = _renamed(address, Address)
    if "items" in order:
        order["items"] = [_item(each) for each in _listed(order["items"], "item", "lineitem", "line")]
    _set_metadata(order)
    return _emptied(order) if emptied else order


def print_files(draft: Draft) -> Iterator[tuple[int, int, DraftFile]]:
    """Of the order's files those that are named, not addressed: (item, file, the file)."""
    for place, item in enumerate(draft.items):
        for number, file in enumerate(item.files):
            if file.kept is None and not is_handed_over(file.url) and is_name(file.url):
                yield place, number, file


def is_name(url: str) -> bool:
    """Whether it names a file that is delivered too, rather than an address: "card.pdf", "files/card.pdf"."""
    return bool(re.match(r"[A-Za-z]:[\\/]", url)) or not _ADDRESS.match(url)


def path_of(name: str) -> str | None:
    """The path that a name means, below the folder of its order file; None when it leads out of it."""
    steps = [step for step in unicodedata.normalize("NFC", name).replace("\\", "/").split("/") if step != "."]
    if not all(steps) or ".." in steps or ":" in steps[0] or any(unicodedata.category(sign) == "Cc" for sign in name):
        return None
    return "/".join(steps)


def _unwrapped(data: Any) -> Any:
    """{"order": {…}} → {…}, as long as nothing stands beside it that could be the order."""
    for _ in range(3):
        if not isinstance(data, dict) or "items" in {_folded(key) for key in data}:
            return data
        inner = next((data[key] for key in data if _folded(key) in _ENVELOPES), None)
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        if not isinstance(inner, dict):
            return data
        data = inner
    return data


def _item(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    found = _renamed(item, DraftItem)
    if "files" in found:
        files = _listed(found["files"], "file")
        found["files"] = [
            {"url": each} if isinstance(each, str) else _renamed(each, DraftFile) if isinstance(each, dict) else each
            for each in files
        ]
    _set_metadata(found)
    return found


def _listed(value: Any, *names: str) -> list[Any]:
    """A list as JSON writes it, or as XML does: {"item": […]}, {"item": {…}}, or one without its list."""
    if isinstance(value, dict) and len(value) == 1 and _folded(next(iter(value))) in names:
        value = next(iter(value.values()))
    if value in (None, ""):
        return []
    return value if isinstance(value, list) else [value]


def _set_metadata(found: dict[str, Any]) -> None:
    """Entries as XML writes them: <metadata><entry><key>…</key><value>…</value></entry></metadata>."""
    value = found.get("metadata")
    if isinstance(value, dict) and len(value) == 1 and _folded(next(iter(value))) in ("entry", "metadata"):
        entries = _listed(value, "entry", "metadata")
        if all(isinstance(each, dict) and "key" in each for each in entries):
            found["metadata"] = entries
    elif value == "":
        del found["metadata"]


def _renamed(data: dict[str, Any], kind: type[Part]) -> dict[str, Any]:
    """Keys that are ours but for case, hyphens and underscores, as we write them; null says nothing."""
    names = {_folded(info.alias or name): info.alias or name for name, info in kind.model_fields.items()}
    found: dict[str, Any] = {}
    for key, value in data.items():
        ours = names.get(_folded(key), key)
        if value is None and ours in names.values():
            continue
        if ours not in found or key == ours:
            found[ours] = value
    return found


def _emptied(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _emptied(value) for key, value in data.items() if value != ""}
    return [_emptied(each) for each in data] if isinstance(data, list) else data


def _folded(key: str) -> str:
    return re.sub(r"[\s_-]", "", key).lower()
