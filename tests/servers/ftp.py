"""A real FTP server (pyftpdlib) on a folder, with TLS if asked."""

import hashlib
import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

USER, PASSWORD = "acme", "s3cret"
logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)


class FtpServer:
    """Serves `folder` to USER on a port of 127.0.0.1. certificate: a PEM file with certificate and key; then TLS is a must.

    without: commands that it does not know, such as "MLSD".
    """

    def __init__(self, folder: Path, *, certificate: Path | None = None, without: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        users = DummyAuthorizer()
        users.add_user(USER, PASSWORD, str(folder), perm="elradfmwMT")
        base = TLS_FTPHandler if certificate else FTPHandler
        known = {name: said for name, said in base.proto_cmds.items() if name not in without}
        settings: dict[str, Any] = {
            "authorizer": users,
            "proto_cmds": known,
            "auth_failed_timeout": 0.1,
            "use_sendfile": False,
        }
        if certificate:
            settings |= {"certfile": str(certificate), "tls_control_required": True, "tls_data_required": True}
        self.loop = IOLoop()
        self.server = FTPServer(("127.0.0.1", 0), type("Handler", (base,), settings), ioloop=self.loop)
        self.port = self.server.socket.getsockname()[1]
        self.running = True
        self.thread = Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def host(self) -> str:
        """As the operator allows it."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}

    def _serve(self) -> None:
        while self.running:
            self.server.serve_forever(timeout=0.05, blocking=False)
        self.server.close_all()

    def close(self) -> None:
        self.running = False
        self.thread.join(5)


def make_certificate(path: Path) -> str:
    """Sign a certificate for 127.0.0.1 by itself, with its key in one file; its SHA-256 in hex."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]),
    )
    now, host = datetime.now(UTC), x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1),
                                   now + timedelta(days=1)).add_extension(host, critical=False)  # fmt: skip
    signed = made.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(pem) + secret)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(signed.public_bytes(pem).decode())).hexdigest()
