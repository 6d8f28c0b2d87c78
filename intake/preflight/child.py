"""The reading process: `python -m intake.preflight.child`, started and asked by `pool`.

It imports everything once, then answers one question a line by forking a child for that file, under limits. The child
may hang, crash or eat its memory; this process only copies bytes, so it survives. It ends when its stdin closes.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from intake.preflight.limits import CPU_SECONDS, MEMORY, OPEN_FILES, PREVIEW_BYTES, PREVIEW_SECONDS, REPORT_BYTES
from intake.preflight.previews import make_previews
from intake.preflight.reader import read_file

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # unshare(2)
DIE_WITH_PARENT, NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
TIMEOUT = {"code": "SYS_TIMEOUT", "what": "reading took too long"}
OUT_OF_MEMORY = {"code": "SYS_MEMORY", "what": "reading took too much memory"}
CRASHED = {"code": "SYS_CRASH", "what": "the reader crashed"}

_libc = ctypes.CDLL(None, use_errno=True)


class OwnerGone(Exception):
    """Nobody is left who wants the answer."""


def main() -> None:
    _leave_network()
    gc.collect()
    gc.freeze()  # forks share these pages until they write to them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        try:
            answer = _answer(json.loads(line))
        except OwnerGone:
            return
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _leave_network() -> None:
    """Into a network of its own, with nobody in it, where the kernel lets us: nothing a file does can call home."""
    if _libc.unshare(NEW_NETWORK):
        _libc.unshare(NEW_USER | NEW_NETWORK)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        _read_in_child(question, writable)
    os.close(writable)
    try:
        said, verdict = _listen(readable, seconds=question["seconds"])
    finally:
        os.close(readable)
        _end(child)
    _, status, used = os.wait4(child, 0)
    facts = json.loads(said[0]) if said else verdict or _cause_of(status)
    if len(said) > 1:
        facts["previews"] = json.loads(said[1])
    return {"facts": facts, "peak": used.ru_maxrss}


def _end(child: int) -> None:
    """The child and whatever it started."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _cause_of(status: int) -> dict[str, str]:
    return TIMEOUT if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU else CRASHED


def _listen(pipe: int, *, seconds: float) -> tuple[list[bytes], dict[str, str] | None]:
    """The child's whole lines (facts, then previews) until it ends, and why it was stopped, if it was."""
    deadline, buffer = time.monotonic() + seconds, b""
    while True:
        ready = select.select([pipe, 0], [], [], max(0, deadline - time.monotonic()))[0]
        if 0 in ready:  # the owner asks one question at a time: this can only be the end
            raise OwnerGone
        lines = buffer.split(b"\n")[:-1]
        if not ready:
            return lines, TIMEOUT
        part = os.read(pipe, 1 << 20)
        if not part:
            return lines, None
        buffer += part
        if len(buffer) > REPORT_BYTES:
            return lines, {"code": "SYS_LIMIT", "what": "there is too much to say"}
        if b"\n" in part and not lines:
            deadline = time.monotonic() + PREVIEW_SECONDS


def _read_in_child(question: dict[str, Any], pipe: int) -> None:
    try:
        os.setsid()
        _limit(writes=PREVIEW_BYTES if question["previews"] else 0)
        path = Path(question["path"])
        facts = _facts_of(path)
        _say(pipe, facts)
        if question["previews"] and facts.get("state") == "read":
            _say(pipe, make_previews(path, facts, into=Path(question["previews"])))
    finally:
        os._exit(0)


def _facts_of(path: Path) -> Any:
    try:
        return read_file(path)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        return CRASHED | {"what": f"the reader failed: {type(error).__name__}"}


def _say(pipe: int, what: Any) -> None:
    line = json.dumps(what, allow_nan=False).encode() + b"\n"
    while line:
        line = line[os.write(pipe, line) :]


def _limit(*, writes: int) -> None:
    """What this process may use from now on; it dies with its parent."""
    _libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)
    _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_FSIZE, writes),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.chdir("/")


if __name__ == "__main__":
    main()
