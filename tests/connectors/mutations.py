"""Every small thing that can be wrong with a good sample: each value at each level dropped, null, or of another kind."""

import copy
import json
from collections.abc import Iterator
from typing import Any

OTHERS: list[Any] = [None, "", "x", 0, -1, 1.5, 10**38, True, [], {}, [[]], {"a": {"b": 1}}, ["x", None], "9" * 400,
                     "<b>&", "NaN", "2026-13-45", {"url": 1}, [{"key": [], "value": {}}], "{\"url\":", "‮é"]  # fmt: skip


def mutations(sample: Any) -> Iterator[bytes]:
    for path in _paths(sample, ()):
        if path:
            changed = copy.deepcopy(sample)
            del _at(changed, path[:-1])[path[-1]]
            yield json.dumps(changed).encode()
        for other in OTHERS:
            if not path:
                yield json.dumps(other).encode()
                continue
            changed = copy.deepcopy(sample)
            _at(changed, path[:-1])[path[-1]] = other
            yield json.dumps(changed).encode()


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield path
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from _paths(value[key], (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value
