"""Backups are made while orders come in, and restored elsewhere they hold every order with its whole history and files."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gelatoconnect import specimens
from gelatoconnect.backups import archive, databases
from gelatoconnect.backups.databases import Impossible
from tests.flow.house import ROOT, CustomerSite, until

GIVEN = os.environ.get("DATABASE_URL", "")
KINDS = ["sqlite", "postgresql"] if GIVEN.startswith("postgres") else ["sqlite"]


@dataclass(frozen=True)
class Installation:
    """A DATA_DIR and a database of their own."""

    folder: Path
    env: dict[str, str]

    def manage(self, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "manage.py", *args]
        return subprocess.run(command, cwd=ROOT, env=self.env | env, capture_output=True, text=True, timeout=120)

    def ask(self, question: str, **env: str) -> Any:
        """What a line of Python says there, as JSON."""
        said = self.manage("shell", "-v0", "-c", f"import json; {question}", **env)
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)


@pytest.fixture
def site(good_pdf: bytes) -> Iterator[CustomerSite]:
    site = CustomerSite()
    yield site
    site.close()


@pytest.fixture(params=KINDS)
def install(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """`install("there")`: an empty installation; on PostgreSQL with a database that is dropped at the end."""
    made: list[str] = []
    admin = make_conninfo(GIVEN, dbname="postgres") if request.param == "postgresql" else ""

    def make(name: str, **env: str) -> Installation:
        folder = tmp_path / name
        url = ""
        if admin:
            database = f"backup_{uuid4().hex[:12]}"
            with psycopg.connect(admin, autocommit=True) as server:
                server.execute(f'CREATE DATABASE "{database}"')
            made.append(database)
            said = conninfo_to_dict(GIVEN)
            user = f"{said['user']}:{said.get('password', '')}@" if said.get("user") else ""
            url = f"postgresql://{user}{said.get('host', '')}:{said.get('port', '5432')}/{database}"
        base = {**os.environ, "DATA_DIR": str(folder), "DATABASE_URL": url, "REDIS_URL": "", "DEBUG": "", "HTTPS": "",
                "DJANGO_SETTINGS_MODULE": "gelatoconnect.settings", "API_RATE": "0", "LOG_LEVEL": "WARNING",
                "SECRET_KEY": "the same", "ENCRYPTION_KEYS": "", "PYTHONPATH": str(ROOT)}  # fmt: skip
        return Installation(folder, base | env)

    yield make
    for database in made:
        with psycopg.connect(admin, autocommit=True) as server:
            server.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


HISTORY = (
    "from orders.models import *; from intake.models import *; from gelatoconnect.lib import storage;"
    "from gelatoconnect.management.commands.restore import gaps;"
    "files = set(PrintFile.objects.exclude(sha256='').values_list('sha256', flat=True));"
    "print(json.dumps({'orders': Order.objects.count(), 'requests': OrderRequest.objects.count(),"
    "'gaps': len(gaps()), 'files': len(files), 'missing': [f for f in files if not storage.path_of(f).exists()],"
    "'previews': [f for f in files if not storage.previews_of(f).is_dir()],"
    "'unborn': Order.objects.filter(requests=None).count(), 'secret': Trigger.objects.first().secret,"
    "'due': Delivery.objects.filter(state='due').count(),"
    "'unended': Delivery.objects.filter(state='done', tries=None).count()}))"
)


@pytest.fixture
def here(install: Callable[..., Installation], site: CustomerSite) -> Installation:
    """A shop with nothing in it yet."""
    found = install("here", FETCH_ALLOWED_HOSTS=site.host)
    opened = found.manage(
        "shell", "-v0", "-c", f"from tests.flow import shop; shop.open_shop('http://{site.host}/h', '{site.secret}')"
    )
    assert opened.returncode == 0, opened.stderr
    return found


@pytest.fixture
def busy(here: Installation, site: CustomerSite, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Orders come in from now on, until it is called."""
    files = [site.add(f"card-{n}.pdf", specimens.pdf(trim=(105, 148), bleed=3, seed=n)) for n in range(6)]
    stop = tmp_path / "stop"
    words = (tmp_path / "busy.log").open("wb")
    process = subprocess.Popen([sys.executable, str(ROOT / "tests/operations/busy.py"), str(stop), *files],
                               cwd=ROOT, env=here.env, stdout=words, stderr=words)  # fmt: skip

    def end() -> None:
        stop.touch()
        assert process.wait(30) == 0, (tmp_path / "busy.log").read_text()[-2000:]

    yield end
    process.kill()
    process.wait()


def test_a_backup_under_load_restored_elsewhere_has_every_order_with_its_history_and_files(
    here: Installation, busy: Callable[[], None], install: Callable[..., Installation], tmp_path: Path
) -> None:
    until(lambda: len([*here.folder.glob("files/blobs/*/*/*")]) >= 6, seconds=60)
    before = here.ask(HISTORY)
    said = here.manage("backup", str(tmp_path / "b.tar"))
    assert (said.returncode, said.stderr) == (0, "")
    sleep(0.5)
    busy()
    after = here.ask(HISTORY)

    there = install("there")
    restored = there.manage("restore", str(tmp_path / "b.tar"))
    assert (restored.returncode, restored.stderr) == (0, ""), restored.stdout
    found = there.ask(HISTORY)
    assert before["orders"] <= found["orders"] < after["orders"]
    assert found["requests"] == found["orders"]
    assert {name: found[name] for name in ("gaps", "missing", "previews", "unborn", "unended")} == {
        "gaps": 0, "missing": [], "previews": [], "unborn": 0, "unended": 0}  # fmt: skip
    assert (found["files"], found["secret"]) == (6, after["secret"])
    assert there.manage("migrate", "--check").returncode == 0
    # What was under way goes on there.
    go_on = "from orders.events import sweep; print(json.dumps(sweep(seconds=20) > 0))"
    assert there.ask(go_on, FETCH_ALLOWED_HOSTS=here.env["FETCH_ALLOWED_HOSTS"]) is (found["due"] > 0)
    names = there.ask(
        "from orders.models import *; print(json.dumps(SearchEntry.objects.filter(text__contains='ruiz').count()))"
    )
    assert names == found["orders"]


def test_a_backup_is_looked_through_by_tools_of_every_machine(here: Installation, tmp_path: Path) -> None:
    (blob,) = [write_blob(here, b"a print file")]
    assert here.manage("backup", str(tmp_path / "b.tar")).returncode == 0
    room = tmp_path / "room"
    room.mkdir()
    subprocess.run(["tar", "-xf", str(tmp_path / "b.tar"), "-C", str(room)], check=True)
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=room, capture_output=True, text=True)
    assert sums.returncode == 0, sums.stdout
    assert (room / "files" / "blobs" / blob[:2] / blob[2:4] / blob).read_bytes() == b"a print file"
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert not (room / "secret_key").exists()


def write_blob(place: Installation, content: bytes, *, name: str = "") -> str:
    sha256 = name or hashlib.sha256(content).hexdigest()
    path = place.folder / "files" / "blobs" / sha256[:2] / sha256[2:4] / sha256
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return sha256


def refusal(said: "subprocess.CompletedProcess[str]") -> str:
    assert said.returncode == 1, said.stdout
    return said.stderr.strip().removeprefix("CommandError: ")


def test_what_is_not_empty_is_not_overwritten_unless_forced(
    here: Installation, install: Callable[..., Installation], tmp_path: Path
) -> None:
    backup = str(tmp_path / "b.tar")
    assert here.manage("backup", backup).returncode == 0
    assert refusal(here.manage("backup", backup)) == f"{backup} is there already: a backup is never overwritten."
    assert refusal(here.manage("restore", backup)).startswith("The database is not empty. With --force")
    there = install("there")
    write_blob(there, b"another")
    assert refusal(there.manage("restore", backup)).startswith(f"{there.folder}/files is not empty.")
    remove = "from orders.models import *; Trigger.objects.all().delete(); print(json.dumps(0))"
    count = "from orders.models import *; print(json.dumps(Trigger.objects.count()))"
    here.ask(remove)
    assert here.ask(count) == 0
    assert here.manage("restore", backup, "--force").returncode == 0
    assert here.ask(count) == 1
    # A database that is migrated and otherwise empty is empty.
    third = install("third")
    assert third.manage("migrate", "-v0").returncode == 0
    said = third.manage("restore", backup)
    assert (said.returncode, third.ask(count)) == (0, 1), said.stderr


def test_other_keys_are_remarked_and_the_secret_key_can_come_along(
    here: Installation, install: Callable[..., Installation], tmp_path: Path
) -> None:
    backup = str(tmp_path / "b.tar")
    assert "keep it with the settings" in refusal(here.manage("backup", backup, "--with-secret-key"))
    assert not (tmp_path / "b.tar").exists()
    assert here.manage("backup", backup).returncode == 0
    other = install("other", SECRET_KEY="another")
    said = other.manage("restore", backup)
    assert (said.returncode, "set the ENCRYPTION_KEYS (or SECRET_KEY)" in said.stderr) == (0, True)
    (here.folder / "secret_key").write_text("the same")
    assert here.manage("backup", str(tmp_path / "c.tar"), "--with-secret-key", SECRET_KEY="").returncode == 0
    third = install("third", SECRET_KEY="")
    said = third.manage("restore", str(tmp_path / "c.tar"))
    assert (said.returncode, said.stderr) == (0, "")
    assert (third.folder / "secret_key").read_text() == "the same"
    assert (third.folder / "secret_key").stat().st_mode & 0o777 == 0o600
    secret = "from orders.models import *; print(json.dumps(Trigger.objects.get().secret))"
    assert third.ask(secret) == here.ask(secret) != ""


def test_a_file_that_was_damaged_on_the_disk_is_said(
    here: Installation, install: Callable[..., Installation], tmp_path: Path
) -> None:
    name = write_blob(here, b"rotten", name=hashlib.sha256(b"sound").hexdigest())
    said = here.manage("backup", str(tmp_path / "b.tar"))
    assert (said.returncode, said.stderr.count("damaged on the disk before")) == (0, 1)
    there = install("there")
    assert there.manage("restore", str(tmp_path / "b.tar")).returncode == 0
    assert (there.folder / "files" / "blobs" / name[:2] / name[2:4] / name).read_bytes() == b"rotten"


# --- backups that nobody should believe -----------------------------------------------------------------------
def remade(
    path: Path, change: Callable[[dict[str, tarfile.TarInfo], dict[str, bytes]], None], *, sums: bool = True
) -> Path:
    """The backup with some members changed, and, unless told otherwise, sums that fit."""
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar.getmembers()}
        contents = {name: tar.extractfile(member).read() for name, member in members.items()}  # type: ignore[union-attr]
    change(members, contents)
    if sums:
        lines = [
            f"{hashlib.sha256(content).hexdigest()}  {name}\n"
            for name, content in contents.items()
            if name != "SHA256SUMS"
        ]
        contents["SHA256SUMS"] = "".join(lines).encode()
    target = path.with_name("changed.tar")
    with tarfile.open(target, "w") as tar:
        for name, content in contents.items():
            member = members.get(name) or tarfile.TarInfo(name)
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return target


def put(name: str, content: bytes = b"x", **fields: Any) -> Callable[[dict, dict], None]:
    def change(members: dict[str, tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        contents[name] = content
        member = members.setdefault(name, tarfile.TarInfo(name))
        for field, value in fields.items():
            setattr(member, field, value)

    return change


EVIL = "files/blobs/aa/bb/aabb" + "0" * 60


@pytest.mark.parametrize(
    "name, fields",
    [
        ("../evil", {}),
        ("/tmp/evil", {}),
        ("files/blobs/aa/bb/../../../../evil", {}),
        ("files/blobs/aa/cc/aabb" + "0" * 60, {}),
        ("files/previews/aa/aa" + "0" * 62 + "/../evil", {}),
        ("files/previews/aa/aa" + "0" * 62 + "/.evil", {}),
        (EVIL, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        (EVIL, {"type": tarfile.LNKTYPE, "linkname": "manifest.json"}),
        (EVIL, {"type": tarfile.FIFOTYPE}),
        ("heartbeats/x", {}),
    ],
)
def test_a_member_that_has_no_place_in_a_backup_is_refused(small: Path, name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Impossible, match="has no place in a backup"):
        archive.Reader(remade(small, put(name, **fields)))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A backup that is made by hand, of a database that is none."""
    database = tmp_path / "database.sqlite3"
    database.write_bytes(b"rows")
    manifest = archive.Manifest("2026-01-01T00:00:00", "0.1.0", database.name, [], "")
    with archive.appearing(tmp_path / "small.tar") as part:
        archive.write(part, manifest, database=database, secret=None)
    return tmp_path / "small.tar"


def test_content_that_is_not_what_its_name_says_is_refused(small: Path, tmp_path: Path) -> None:
    reader = archive.Reader(remade(small, put(EVIL)))
    with pytest.raises(Impossible, match="is damaged"):
        reader.take_out(EVIL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_content_that_does_not_fit_its_sum_is_refused(small: Path, tmp_path: Path) -> None:
    reader = archive.Reader(remade(small, put("database.sqlite3", b"others"), sums=False))
    with pytest.raises(Impossible, match=r"database\.sqlite3 is damaged"):
        reader.take_out("database.sqlite3", tmp_path / "out")


@pytest.mark.parametrize("lost", ["SHA256SUMS", "manifest.json", "database.sqlite3"])
def test_a_backup_without_one_of_its_parts_is_refused(small: Path, lost: str) -> None:
    def lose(members: dict[str, tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        del contents[lost]

    with pytest.raises(Impossible):
        archive.Reader(remade(small, lose, sums=lost != "SHA256SUMS"))


def test_a_backup_that_was_cut_off_is_refused_wherever_it_was_cut(small: Path) -> None:
    content = small.read_bytes().rstrip(b"\0")
    cut = small.with_name("cut.tar")
    for size in range(0, len(content) - 512, 512):
        cut.write_bytes(content[:size])
        with pytest.raises(Impossible):
            archive.Reader(cut)


def test_a_manifest_of_a_newer_version_is_refused(small: Path) -> None:
    manifest = json.dumps({"made_at": "", "compressed_with": "zstd"}).encode()
    with pytest.raises(Impossible, match="newer version"):
        archive.Reader(remade(small, put("manifest.json", manifest)))


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), archive.appearing(tmp_path / "b.tar") as part:
        part.write_bytes(b"half")
        raise OSError("The disk is full.")
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), archive.appearing(tmp_path / "b.tar"):
        (tmp_path / "b.tar").write_text("first")
    assert ([path.name for path in tmp_path.iterdir()], (tmp_path / "b.tar").read_text()) == (["b.tar"], "first")


# --- PostgreSQL's programs ------------------------------------------------------------------------------------
class Server:
    """A connection to a server of that version."""

    vendor, pg_version = "postgresql", 160_004

    def cursor(self) -> Any:
        return open(os.devnull)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which programs are looked for."""
    monkeypatch.setattr(databases, "connection", Server())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Server, "settings_dict", {}, raising=False)
    return tmp_path


def test_a_program_that_is_missing_is_named_with_its_package(server: Path) -> None:
    with pytest.raises(Impossible) as refused:
        databases.check_tools()
    assert str(refused.value) == (
        "pg_dump is not on this machine: install it, on Debian and Ubuntu with `apt install postgresql-client-16` "
        "(or postgresql-client)."
    )


@pytest.mark.parametrize("version, fine", [(15, False), (16, True), (17, True)])
def test_a_program_that_is_older_than_the_server_is_refused(server: Path, version: int, fine: bool) -> None:
    for name in ("pg_dump", "pg_restore"):
        (server / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}.4 (Debian {version}.4-1)'\n")
        (server / name).chmod(0o755)
    if fine:
        databases.check_tools()
        return
    with pytest.raises(Impossible, match="pg_dump is of version 15, too old for the server's 16"):
        databases.check_tools()
