"""Places where a test has the process die: `kill -9`, exactly there. Anywhere else they do nothing.

`FAILPOINT=deliver.claimed:3` ends the process at its third pass of `reached("deliver.claimed")`, without a last word: no
handler runs, nothing is rolled back or closed by us. It is heard only where FAILPOINTS_ALLOWED or DEBUG is set as well, so
that no production can be switched off by one variable.
"""

import os
import signal

_YES = ("1", "true", "yes", "on")

_armed: str | None = None
_left = 0  # passes until the process dies


def reached(name: str) -> None:
    """Says that the process is there now."""
    global _left
    if _armed is None or name != _armed:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(text: str) -> None:
    """name[:count], as FAILPOINT says it; empty: nothing. Raises ValueError when the count is no number."""
    global _armed, _left
    name, _, count = text.partition(":")
    _left = int(count or 1)
    _armed = name or None


def _is_allowed() -> bool:
    return any(os.environ.get(name, "").lower() in _YES for name in ("FAILPOINTS_ALLOWED", "DEBUG"))


if _is_allowed():
    arm(os.environ.get("FAILPOINT", ""))
