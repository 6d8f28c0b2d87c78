"""The process is killed after each commit and around each effect, many times; then it goes on, and the history is read."""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import print_exc
from typing import Any

from bench.faults import history
from bench.faults.apart import apart
from bench.faults.cluster import own_cluster
from bench.faults.house import environment, prepare
from bench.faults.receiver import Hook, hooks_in, own_receiver
from bench.report import Table
from gelatoconnect.lib import failpoints
from gelatoconnect.lib.secrets import new_signing_secret

NEVER = 1_000_000  # passes
NOBODY = "unix:///nonexistent/redis.sock"  # a broker that is away, so that hints are tried


@dataclass(slots=True)
class Tried:
    """A place where the process died: how often, what was wrong afterwards, and webhooks that came once more."""

    point: str
    scene: str
    passes: int
    deaths: int = 0
    orders: int = 0
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)


def measure(database: str, *, times: int) -> list[Tried]:
    secret = new_signing_secret()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
        receiver = stack.enter_context(own_receiver(folder, secret))
        cluster = stack.enter_context(own_cluster()) if database == "postgresql" else None
        env = environment(folder, database=cluster.url if cluster else "", broker=NOBODY, receiver=receiver.host)
        prepare(env, receiver=receiver.host, secret=secret)
        ask = stack.enter_context(apart(env | {"LOG_LEVEL": "CRITICAL"}))
        return ask("bench.faults.points", "try_all", times, f"http://{receiver.host}", receiver.log)


def try_all(times: int, files: str, log: Path) -> list[Tried]:
    """Runs where Django is set up, and forks: each death is that of a child, and so is each new beginning."""
    scenes = import_module("bench.faults.scenes")
    import_module("gelatoconnect.urls")
    return [_try(scene, point, times, files, log) for scene in scenes.SCENES for point in scene.points]


def _try(scene: Any, point: str, times: int, files: str, log: Path) -> Tried:
    tried = Tried(point, scene.name, _passes(scene, point, files) if times > 1 else 1)
    for number in range(times):
        name, at = f"{point}-{number}", number % tried.passes + 1
        _in_child(partial(scene.begin, name, files))
        _die(scene, point, name, files, at=at)
        tried.deaths += 1
        orders, repeated, wrong = _in_child(partial(_go_on, scene, name, files, log))
        tried.orders += orders
        tried.repeated += repeated
        tried.wrong += [f"{point}, pass {at}: {each}" for each in wrong]
    return tried


def _passes(scene: Any, point: str, files: str) -> int:
    """How often the scene passes there when nobody dies."""

    def count() -> int:
        failpoints.arm(f"{point}:{NEVER}")
        scene.begin(f"{point}-whole", files)
        failpoints.arm(f"{point}:{NEVER}")
        scene.act(f"{point}-whole", files)
        return NEVER - failpoints._left

    passes = _in_child(count)
    if not passes:
        raise RuntimeError(f"Nothing passes at {point}.")
    return passes


def _die(scene: Any, point: str, name: str, files: str, *, at: int) -> None:
    if not (pid := os.fork()):
        try:
            failpoints.arm(f"{point}:{at}")
            scene.act(name, files)
        except BaseException:
            print_exc()
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"The process did not die at pass {at} of {point}.")


def _go_on(scene: Any, name: str, files: str, log: Path) -> tuple[int, int, list[str]]:
    """(orders, repeated webhooks, what is wrong) once everything was begun again."""
    scenes, shop = import_module("bench.faults.scenes"), import_module("bench.faults.shop")
    scenes.let_time_pass()
    scene.act(name, files)
    stored = shop.stored(f"{name}-")
    ids = {order.id for order in stored}
    hooks: list[Hook] = [hook for hook in hooks_in(log) if hook.order in ids]
    left = [each for each in shop.left() if each.reference == "–" or each.reference.startswith(f"{name}-")]
    findings = history.judge([], stored, hooks, left, arrows=shop.moves())
    wrong = [f"{mark}: {each}" for mark, all in findings.missed.items() for each in all]
    if said := scene.done(name):
        wrong.append(said)
    return len(stored), history.repeated(hooks), wrong


def _in_child(act: Callable[[], Any]) -> Any:
    """What `act` gives, in a forked process: ours never has a connection or a thread that a child could inherit."""
    read, write = os.pipe()
    if not (pid := os.fork()):
        os.close(read)
        try:
            said = pickle.dumps((True, act()))
        except BaseException as error:
            print_exc(file=sys.stderr)
            said = pickle.dumps((False, f"{type(error).__name__}: {error}"))
        with open(write, "wb") as pipe:
            pipe.write(said)
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    fine, value = pickle.loads(said)
    if not fine:
        raise RuntimeError(value)
    return value


def table(database: str, tried: list[Tried], *, seconds: float) -> Table:
    found = Table(
        f"points, {database}: the process killed there, and everything begun again ({seconds:.0f} s)",
        ["place", "deaths", "passes", "orders", "webhooks repeated", "wrong"],
    )
    for each in tried:
        found.add(each.point, each.deaths, each.passes, each.orders, each.repeated, len(each.wrong))
        found.notes += each.wrong[:5]
    return found
