"""The database as one file, and back: SQLite by its own copying, PostgreSQL by pg_dump and pg_restore."""

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from django.db import DatabaseError, connection
from psycopg.conninfo import make_conninfo

SQLITE, POSTGRESQL = "database.sqlite3", "database.dump"
OURS = ("orders_order", "orders_customer", "intake_orderrequest", "auth_user")
# What a role that is no superuser may restore, too.
PLAIN = ("--no-owner", "--no-privileges")


class Impossible(Exception):
    """It cannot be done, and what to do about it."""


def name() -> str:
    """What the database is called in a backup; says its kind, too."""
    return POSTGRESQL if connection.vendor == "postgresql" else SQLITE


def save(target: Path) -> None:
    """Write all of it as it is at one moment, while others write. Raises Impossible."""
    if connection.vendor == "postgresql":
        _run(
            [
                program("pg_dump"),
                "--format=custom",
                *PLAIN,
                "--no-comments",
                f"--file={target}",
                f"--dbname={address()}",
            ]
        )
        return
    with closing(sqlite3.connect(_sqlite_path(), timeout=60)) as source:
        source.execute("VACUUM INTO ?", [str(target)])
    _look_through(target)


def load(source: Path) -> None:
    """Put it in the place of what is there. Raises Impossible, and then nothing has changed."""
    if connection.vendor == "postgresql":
        instead = ["--clean", "--if-exists"] if connection.introspection.table_names() else []
        restore = program("pg_restore")
        connection.close()
        whole = ["--single-transaction", "--exit-on-error"]
        _run([restore, *instead, *whole, *PLAIN, f"--dbname={address()}", str(source)])
        return
    _look_through(source)
    path = _sqlite_path()
    connection.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    os.replace(source, path)


def check_tools() -> None:
    """Raises Impossible when what `save` and `load` need is not on this machine."""
    if connection.vendor == "postgresql":
        program("pg_dump")
        program("pg_restore")


def holds_anything() -> bool:
    """Whether there is any work in it: what `migrate` makes counts as nothing."""
    try:
        tables = set(connection.introspection.table_names()) & set(OURS)
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608
                if cursor.fetchone():
                    return True
    except DatabaseError as error:
        raise Impossible(f"The database does not answer: {str(error).strip()}") from None
    return False


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises Impossible when it is missing, or older than the server."""
    with connection.cursor():
        server = connection.pg_version // 10_000  # type: ignore[attr-defined]
    package = f"install it, on Debian and Ubuntu with `apt install postgresql-client-{server}` (or postgresql-client)"
    path = shutil.which(name)
    if path is None:
        raise Impossible(f"{name} is not on this machine: {package}.")
    said = _run([path, "--version"])
    client = int(found[1]) if (found := re.search(r"(\d+)", said)) else 0
    if client < server:
        raise Impossible(f"{name} is of version {client}, too old for the server's {server}: {package}.")
    return path


def address() -> str:
    """The database in libpq's words, without the password, which is no argument that others may read."""
    said = connection.get_connection_params()
    known = (
        "dbname",
        "user",
        "host",
        "port",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "service",
        "connect_timeout",
    )
    return make_conninfo("", **{name: said[name] for name in known if said.get(name)})


def _run(command: list[str]) -> str:
    password = connection.settings_dict.get("PASSWORD") or os.environ.get("PGPASSWORD") or ""
    env = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace")  # noqa: S603
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Impossible(f"{Path(command[0]).name} failed: {said[0]}")
    return done.stdout


def _sqlite_path() -> Path:
    return Path(connection.settings_dict["NAME"])


def _look_through(path: Path) -> None:
    with closing(sqlite3.connect(path)) as copy:
        (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise Impossible(f"The database is damaged: {said}")
