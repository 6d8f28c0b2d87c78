"""A failpoint ends the process exactly where it is told to, and nothing where nobody asked for it."""

import os
import signal
import subprocess
import sys

import pytest

PASSES = (
    "from gelatoconnect.lib.failpoints import reached\nfor n in range(1, 4): reached('there'); print(n, flush=True)"
)
ALLOWED = [{"FAILPOINTS_ALLOWED": "1"}, {"DEBUG": "true"}]


def run(**env: str) -> tuple[int, list[str]]:
    """Three passes in a process with that environment: its exit code, and the passes that it survived."""
    clean = {
        name: value for name, value in os.environ.items() if name not in ("DEBUG", "FAILPOINTS_ALLOWED", "FAILPOINT")
    }
    done = subprocess.run([sys.executable, "-c", PASSES], env=clean | env, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("allowed", ALLOWED, ids=str)
def test_the_process_dies_at_the_pass_that_was_asked_for(allowed: dict[str, str]) -> None:
    assert run(FAILPOINT="there", **allowed) == (-signal.SIGKILL, [])
    assert run(FAILPOINT="there:3", **allowed) == (-signal.SIGKILL, ["1", "2"])


def test_it_lives_where_another_place_is_named_or_none() -> None:
    assert run(FAILPOINT="elsewhere", FAILPOINTS_ALLOWED="1") == (0, ["1", "2", "3"])
    assert run(FAILPOINTS_ALLOWED="1") == (0, ["1", "2", "3"])


@pytest.mark.parametrize("env", [{}, {"DEBUG": "0"}, {"FAILPOINTS_ALLOWED": ""}], ids=str)
def test_one_variable_alone_kills_nobody(env: dict[str, str]) -> None:
    assert run(FAILPOINT="there", **env) == (0, ["1", "2", "3"])
