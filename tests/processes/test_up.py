"""What `manage.py up` looks at before it starts anything, and what it would start."""

import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from gelatoconnect.management.commands import up


def names(programs: list[up.Program]) -> list[str]:
    return [program.name for program in programs]


def test_a_port_in_use_is_said_before_anything_starts(settings: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings.BIND, settings.PORT = other.getsockname()
        with pytest.raises(CommandError) as refusal:
            up.refuse_taken_port()
    assert str(refusal.value) == (
        f"Cannot listen on 127.0.0.1:{settings.PORT} (Address already in use): set PORT or BIND, or stop what uses it."
    )


def test_a_free_port_is_accepted_and_left_free(settings: Any, free_port: int) -> None:
    settings.BIND, settings.PORT = "127.0.0.1", free_port
    up.refuse_taken_port()
    up.refuse_taken_port()


def test_a_second_one_on_the_same_data_is_refused(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    with up.only_one(), pytest.raises(CommandError) as refusal, up.only_one():
        pass
    expected = f"Another `manage.py up` runs on {tmp_path}: stop it first, or set another DATA_DIR."
    assert str(refusal.value) == expected
    with up.only_one():
        pass


def test_without_a_broker_given_it_runs_its_own_on_a_unix_socket(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = Path("/data")
    programs = up.programs()
    assert names(programs) == ["broker", "web", "worker", "timetable"]
    assert [program.env.get("REDIS_URL") for program in programs[1:]] == ["unix:///data/broker.sock"] * 3
    command = list(programs[0].command)
    assert command[command.index("--port") + 1] == "0"
    assert [program.last for program in programs] == [True, False, False, False]


def test_a_broker_given_by_the_operator_is_used(settings: Any) -> None:
    settings.REDIS_URL = "redis://redis.example/0"
    programs = up.programs()
    assert names(programs) == ["web", "worker", "timetable"]
    assert {program.env["REDIS_URL"] for program in programs} == {"redis://redis.example/0"}


def test_with_no_broker_at_all_clocks_do_the_work(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WORKERS = 4
    monkeypatch.setattr(up, "own_redis", lambda: None)
    programs = up.programs()
    assert names(programs) == ["web", "timetable", "timetable"]
    assert [list(program.command[-2:]) for program in programs[1:]] == [["--grace", "0"]] * 2


def test_a_socket_path_that_would_be_too_long_is_put_elsewhere(settings: Any) -> None:
    settings.DATA_DIR = Path("/" + "d" * 120)
    _, url = up.choose_broker()
    assert len(url) < 100
    path = Path(url.removeprefix("unix://"))
    assert path.parent.stat().st_mode & 0o077 == 0
    path.parent.rmdir()
