"""A place of the benchmark's own: a folder, a database and a port, gone afterwards."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

MANY = "100000"  # calls a second for one key: they are counted, and never too many


@contextmanager
def own_environment() -> Iterator[dict[str, str]]:
    """The environment that leads the product to a new folder, database and port of this machine."""
    with TemporaryDirectory(prefix="bench-") as folder, own_database() as database:
        port = free_port()
        yield {
            "DATA_DIR": folder, "DATABASE_URL": database, "REDIS_URL": "", "PORT": str(port), "BIND": "127.0.0.1",
            "PUBLIC_URL": f"http://127.0.0.1:{port}", "DEBUG": "", "HTTPS": "", "API_RATE": MANY,
            "LOG_LEVEL": "WARNING", "EMAIL_HOST": "", "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings",
        }  # fmt: skip


@contextmanager
def own_database() -> Iterator[str]:
    """The address of a new database on the server that DATABASE_URL names; empty, for SQLite, when it names none."""
    server = urlsplit(os.environ.get("DATABASE_URL", ""))
    if not server.scheme.startswith("postgres"):
        yield ""
        return
    name = f"gelatoconnect_bench_{os.getpid()}"
    with psycopg.connect(make_conninfo(os.environ["DATABASE_URL"], dbname="postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{server.scheme}://{server.netloc}/{name}?{server.query}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
