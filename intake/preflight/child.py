"""The reading process: `python -m intake.preflight.child`, started and asked by `pool`.

It imports everything once, and forks a child for each file, under limits; the next child waits ready before its question
comes. A child may hang, crash or eat its memory; this process only copies bytes, so it survives. It ends when its stdin
closes, and its children with it.
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
from typing import Any, NoReturn

from intake.preflight.limits import CPU_SECONDS, MEMORY, OPEN_FILES, PREVIEW_BYTES, PREVIEW_SECONDS, REPORT_BYTES
from intake.preflight.previews import make_previews
from intake.preflight.reader import read_file

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # unshare(2)
DIE_WITH_PARENT, NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
TIMEOUT = {"code": "SYS_TIMEOUT", "what": "reading took too long"}
WARMUP = Path(__file__).with_name("warmup.pdf")
OUT_OF_MEMORY = {"code": "SYS_MEMORY", "what": "reading took too much memory"}
TOO_LONG = {"code": "SYS_LIMIT", "what": "there is too much to say"}
CRASHED = {"code": "SYS_CRASH", "what": "the reader crashed"}

_libc = ctypes.CDLL(None, use_errno=True)


class OwnerGone(Exception):
    """Nobody is left who wants the answer."""


def main() -> None:
    _leave_network()
    gc.collect()
    gc.freeze()  # forks share these pages until they write to them
    gc.disable()  # a child lives for one file only
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = Child()
    for question in sys.stdin.buffer:
        child.take(question)
        try:
            answer = child.answer(seconds=json.loads(question)["seconds"])
        except OwnerGone:
            break
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()
        done, child = child, Child()
        done.end()
    child.end()


def _leave_network() -> None:
    """Into a network of its own, with nobody in it, where the kernel lets us: nothing a file does can call home."""
    if _libc.unshare(NEW_NETWORK):
        _libc.unshare(NEW_USER | NEW_NETWORK)


class Child:
    """A forked process for one file: waits for its question, says facts, then previews, and is ended."""

    def __init__(self) -> None:
        asked, self.ask = os.pipe()
        self.said, say = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be_child(asked, say)
        os.close(asked)
        os.close(say)

    def take(self, question: bytes) -> None:
        try:
            os.write(self.ask, question)
        except BrokenPipeError:
            pass  # it died while it waited: it will have nothing to say

    def answer(self, *, seconds: float) -> bytes:
        """JSON, [facts, rest] as the child says them; in place of facts {"code": "SYS_…", "what": …} if there are none."""
        said, verdict = self._listen(seconds=seconds)
        return b"[%s]" % b", ".join(said or [json.dumps(verdict or self._cause()).encode()])

    def _listen(self, *, seconds: float) -> tuple[list[bytes], dict[str, str] | None]:
        """What the child says, in two lines or fewer, and why it was stopped, if it was."""
        deadline, buffer = time.monotonic() + seconds, b""
        lines: list[bytes] = []
        while len(lines) < 2:
            ready = select.select([self.said, 0], [], [], max(0, deadline - time.monotonic()))[0]
            if 0 in ready:  # the owner asks one question at a time: this can only be the end
                raise OwnerGone
            if not ready:
                return lines, TIMEOUT
            part = os.read(self.said, 1 << 20)
            if not part:
                break
            buffer += part
            if len(buffer) > REPORT_BYTES:
                return lines, TOO_LONG
            if b"\n" in part:
                lines = buffer.split(b"\n")[:-1]
                deadline = time.monotonic() + PREVIEW_SECONDS
        return lines, None

    def _cause(self) -> dict[str, str]:
        """Why it ended without a word."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return TIMEOUT if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU else CRASHED

    def end(self) -> None:
        """The child and whatever it started."""
        os.close(self.ask)
        os.close(self.said)
        if not self.pid:
            return
        for kill in (os.killpg, os.kill):
            try:
                kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(self.pid, 0)


# --- in the child -----------------------------------------------------------------------------------
def _be_child(asked: int, say: int) -> NoReturn:
    try:
        for inherited in {*range(3, OPEN_FILES)} - {asked, say}:
            _close(inherited)
        os.setsid()
        _limit()
        read_file(WARMUP)  # touches the memory that reading needs: most of a small file's cost, paid before it comes
        question = os.read(asked, 1 << 16)
        if question:
            _read(json.loads(question), say)
    finally:
        os._exit(0)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        pass


def _read(question: dict[str, Any], say: int) -> None:
    path, into, rest = Path(question["path"]), question["previews"], {}
    facts = _facts_of(path)
    said = [facts]
    if into and facts.get("state") == "read":
        _say(say, said)  # at once: making previews may be the end of this process
        resource.setrlimit(resource.RLIMIT_FSIZE, (PREVIEW_BYTES, PREVIEW_BYTES))
        rest["previews"] = make_previews(path, facts, into=Path(into))
        said = []
    _say(say, [*said, rest | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}])


def _facts_of(path: Path) -> Any:
    try:
        return read_file(path)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        return CRASHED | {"what": f"the reader failed ({type(error).__name__})"}


def _say(pipe: int, what: list[Any]) -> None:
    """Each in a line of its own."""
    lines = "".join(json.dumps(one, allow_nan=False) + "\n" for one in what).encode()
    while lines:
        lines = lines[os.write(pipe, lines) :]


def _limit() -> None:
    """What this process may use from now on; it dies with its parent."""
    _libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)
    _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for what, now, most in (
        (resource.RLIMIT_AS, MEMORY, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 5),  # equal ones would end it by SIGKILL, like any crash
        (resource.RLIMIT_FSIZE, 0, PREVIEW_BYTES), (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
    ):  # fmt: skip
        resource.setrlimit(what, (now, most))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.chdir("/")


if __name__ == "__main__":
    main()
