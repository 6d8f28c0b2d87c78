"""The process apart: `serve` is its main loop, started and asked by `owner`.

It imports everything once, and forks a child for each question, under limits; the next child waits ready before its
question comes. A child may hang, crash or eat its memory; this process only copies bytes, so it survives. It ends when its
stdin closes, and its children with it.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # unshare(2)
DIE_WITH_PARENT, NO_NEW_PRIVILEGES = 1, 38  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with a question.

    do            what is said to it (JSON), one after the other; `parts` at most
    warm_up       run in each child before its question comes: touches the memory that the work needs
    memory        bytes of address space of a child; cpu_seconds: of its work
    answer_bytes  of all that it says
    file_bytes    the largest file that it may write, once it asks for that (RLIMIT_FSIZE is 0 at first)
    rest_seconds  of wall time for what follows its first word; that one's time comes with each question
    timeout, too_long, crashed   what is said in its place when it was stopped, or ended without a word
    """

    do: Callable[[Any], Iterator[Any]]
    warm_up: Callable[[], object]
    memory: int
    cpu_seconds: int
    answer_bytes: int
    timeout: Any
    too_long: Any
    crashed: Any
    parts: int = 1
    rest_seconds: float = 0
    file_bytes: int = 0
    open_files: int = 64


class OwnerGone(Exception):
    """Nobody is left who wants the answer."""


def serve(work: Work) -> None:
    """Answer each line of stdin, a JSON object with "seconds", by a line: a list of what the work says to it."""
    _leave_network()
    gc.collect()
    gc.freeze()  # forks share these pages until they write to them
    gc.disable()  # a child lives for one question only
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = Child(work)
    for question in sys.stdin.buffer:
        try:
            answer = child.answer(question, seconds=json.loads(question)["seconds"])
        except OwnerGone:
            break
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()
        done, child = child, Child(work)
        done.end()
    child.end()


def _leave_network() -> None:
    """Into a network of its own, with nobody in it, where the kernel lets us: nothing a question does can call home."""
    if _libc.unshare(NEW_NETWORK):
        _libc.unshare(NEW_USER | NEW_NETWORK)


class Child:
    """A forked process for one question: waits for it, says what there is to say, and is ended."""

    def __init__(self, work: Work) -> None:
        self.work = work
        asked, self.ask = os.pipe()
        self.said, say = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be_child(work, asked, say)
        os.close(asked)
        os.close(say)
        os.set_blocking(self.ask, False)

    def answer(self, question: bytes, *, seconds: float) -> bytes:
        """JSON, a list of what the child says; if that is nothing, of why it says nothing."""
        deadline = time.monotonic() + seconds
        said, verdict = ([], self.work.timeout) if not self._take(question, deadline) else self._listen(deadline)
        return b"[%s]" % b", ".join(said or [json.dumps(verdict or self._cause()).encode()])

    def _take(self, question: bytes, deadline: float) -> bool:
        """Hand the question over, which may be longer than a pipe is deep; False: there was no time for it."""
        left = memoryview(question)
        while left:
            if not select.select([], [self.ask], [], max(0, deadline - time.monotonic()))[1]:
                return False
            try:
                left = left[os.write(self.ask, left) :]
            except BrokenPipeError:
                return True  # it died while it waited: it will have nothing to say
        return True

    def _listen(self, deadline: float) -> tuple[list[bytes], Any]:
        """What the child says, in `parts` lines or fewer, and why it was stopped, if it was."""
        buffer = b""
        lines: list[bytes] = []
        while len(lines) < self.work.parts:
            ready = select.select([self.said, 0], [], [], max(0, deadline - time.monotonic()))[0]
            if 0 in ready:  # the owner asks one question at a time: this can only be the end
                raise OwnerGone
            if not ready:
                return lines, self.work.timeout
            part = os.read(self.said, 1 << 20)
            if not part:
                break
            buffer += part
            if len(buffer) > self.work.answer_bytes:
                return lines, self.work.too_long
            if b"\n" in part:
                lines = buffer.split(b"\n")[:-1]
                deadline = time.monotonic() + self.work.rest_seconds
        return lines, None

    def _cause(self) -> Any:
        """Why it ended without a word."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        timed_out = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
        return self.work.timeout if timed_out else self.work.crashed

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
def _be_child(work: Work, asked: int, say: int) -> NoReturn:
    try:
        for inherited in {*range(3, work.open_files)} - {asked, say}:
            _close(inherited)
        os.setsid()
        _limit(work)
        work.warm_up()
        if question := _question(asked):
            for said in work.do(json.loads(question)):
                _say(say, said)
    finally:
        os._exit(0)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        pass


def _question(asked: int) -> bytes:
    """One line; nothing when the parent has gone."""
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        parts.append(os.read(asked, 1 << 20))
        if not parts[-1]:
            return b""
    return b"".join(parts)


def _say(pipe: int, what: Any) -> None:
    line = json.dumps(what, allow_nan=False).encode() + b"\n"
    while line:
        line = line[os.write(pipe, line) :]


def _limit(work: Work) -> None:
    """What this process may use from now on; it dies with its parent."""
    _libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)
    _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for what, now, most in (
        (resource.RLIMIT_AS, work.memory, work.memory),
        (resource.RLIMIT_CPU, work.cpu_seconds, work.cpu_seconds + 5),  # equal ones would end it by SIGKILL, like any crash
        (resource.RLIMIT_FSIZE, 0, work.file_bytes), (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, work.open_files, work.open_files),
    ):  # fmt: skip
        resource.setrlimit(what, (now, most))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.chdir("/")
