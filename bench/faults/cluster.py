"""A PostgreSQL cluster of the run's own, which may be restarted at once; no other server of the machine is touched."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.environment import free_port

ORDINARY = "postgres"  # who runs it when we are root, whom PostgreSQL refuses


class Cluster:
    """Needs the programs of a PostgreSQL server on this machine; raises RuntimeError where there are none."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.data, self.log = programs(), folder / "data", folder / "log"
        self.port = free_port()
        self.url = f"postgresql://gelatoconnect@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-D", self.data, "-U", "gelatoconnect", "-A", "trust", "-E", "UTF8", "--no-locale")
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n")
        self._run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")

    def restart_at_once(self) -> None:
        """No connection is ended in order and nothing is written down: it starts as after a power cut."""
        self._run("pg_ctl", "-D", self.data, "-l", self.log, "-m", "immediate", "-w", "restart")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self.bin / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", ORDINARY, "--", *command]
        # A server that goes on must not hold a pipe of ours.
        with (self.data.parent / "words").open("ab") as words:
            done = subprocess.run(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {(self.data.parent / 'words').read_text()[-500:]}")


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    with TemporaryDirectory(prefix="faults-pg-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, ORDINARY, ORDINARY)
        cluster = Cluster(Path(name))
        try:
            yield cluster
        finally:
            cluster.stop()


def programs() -> Path:
    """The folder of initdb and pg_ctl: of the newest version that Debian's packages installed, or on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise RuntimeError(
            "No initdb on this machine: install the PostgreSQL server, or run it with --database sqlite."
        )
    return found[-1].parent if found else Path(on_path or "").parent
