"""A real SFTP server: OpenSSH's sshd, with keys of its own, for the user who runs the tests."""

import base64
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host
AuthorizedKeysFile {home}/allowed
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
Subsystem sftp internal-sftp
"""


class SftpServer:
    """Lets whoever has `private_key` into everything that the user may see; `folder` is where the tests look."""

    def __init__(self, home: Path) -> None:
        if SSHD is None:
            if os.environ.get("CI"):
                pytest.fail("sshd is missing: install openssh-server")
            pytest.skip("sshd is missing: install openssh-server to test SFTP")
        self.folder = home / "folder"
        self.folder.mkdir(parents=True)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
        shutil.copy(home / "user.pub", home / "allowed")
        self.private_key = (home / "user").read_text()
        self.host_key = " ".join((home / "host.pub").read_text().split()[:2])
        digest = hashlib.sha256(base64.b64decode(self.host_key.split()[1])).digest()
        self.fingerprint = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        (home / "config").write_text(CONFIG.format(home=home, port=self.port))
        log = (home / "log").open("w")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", home / "config"], stderr=log)
        until = monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert monotonic() < until, (home / "log").read_text()
                sleep(0.05)

    @property
    def host(self) -> str:
        """As the operator allows it."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "user": getpass.getuser(), "private_key": self.private_key,
                "host_key": self.host_key, "path": str(self.folder)}  # fmt: skip

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(5)
