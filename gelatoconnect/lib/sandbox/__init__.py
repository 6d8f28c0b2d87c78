"""Templates from people, rendered in a process apart: none sees what is not its own, runs on, or eats the memory."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from gelatoconnect.lib.apart.owner import Pool
from gelatoconnect.lib.problems import Problem, Rejected

SECONDS = 1.0  # of wall time
MAX_OUTPUT = 1_000_000  # characters
MAX_SOURCE = 200_000  # characters
MOST_KEPT = 256  # compiled templates
HINTS = {
    "TEMPLATE_SYNTAX": "Mend the template there.",
    "TEMPLATE_UNDEFINED": 'Check the name; for what may be missing, write {{ … | default("") }}.',
    "TEMPLATE_FORBIDDEN": "Templates see only the data they are given, and cannot change it.",
    "TEMPLATE_TIMEOUT": "Try it again; if it goes on, make the template simpler.",
    "TEMPLATE_TOO_LARGE": "Let the template make less text, and shorter ones.",
    "TEMPLATE_FAILED": "Mend the template there.",
    "MAPPING_LOOKUP_UNKNOWN": "Add the code to the table, or give the lookup a default and no strict=true.",
}
BUSY = {"TEMPLATE_TIMEOUT"}  # may go well another time: the sender sends again
CRASHED = {"error": "TEMPLATE_FAILED", "message": "The rendering process could not be kept alive."}

RENDERERS = Pool("gelatoconnect.lib.sandbox.child")

_compiled: OrderedDict[str, str] = OrderedDict()
_lock = Lock()


def render(source: str, context: Mapping[str, Any], *, seconds: float = SECONDS, max_output: int = MAX_OUTPUT,
           tables: Mapping[str, Mapping[str, Any]] = {}) -> str:  # fmt: skip
    """What the Jinja2 template `source` makes of plain data. tables: named ones, for lookups("name").

    Raises Rejected with one Problem, the line of the template in its details; 503 when another try may go well. TypeError
    for a context that is no plain data.
    """
    if len(source) > MAX_SOURCE:
        raise _refused({"error": "TEMPLATE_TOO_LARGE", "message": f"It is longer than {MAX_SOURCE:,} characters."})
    key = hashlib.sha256(source.encode(errors="replace")).hexdigest()
    said = RENDERERS.ask({"template": source, "code": _known(key), "context": context, "tables": tables,
                          "max_output": max_output}, seconds=seconds)  # fmt: skip
    answer = CRASHED if said is None else said[0]
    if "error" in answer:
        raise _refused(answer)
    if code := answer.get("code"):
        _keep(key, code)
    return answer["output"]


def holds(expression: str, context: Mapping[str, Any]) -> bool:
    """Whether a Jinja2 expression is true of plain data. Raises Rejected."""
    return render("{% if " + expression + " %}yes{% endif %}", context) == "yes"


def _refused(said: Mapping[str, Any]) -> Rejected:
    code, line = said["error"], said.get("line")
    where = {"line": line} if line else {}
    message = f"Line {line}: {said['message']}" if line else said["message"]
    return Rejected([Problem(code, message, hint=HINTS[code], details=where)], status=503 if code in BUSY else 422)


def _known(key: str) -> str | None:
    with _lock:
        if key in _compiled:
            _compiled.move_to_end(key)
        return _compiled.get(key)


def _keep(key: str, code: str) -> None:
    with _lock:
        _compiled[key] = code
        if len(_compiled) > MOST_KEPT:
            _compiled.popitem(last=False)
