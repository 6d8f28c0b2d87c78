"""Names that exist only in a test, and a watch over every connection that is attempted."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class FakeDns:
    """In place of getaddrinfo. A name has a list of answers, each a list of addresses; the last answer stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.questions: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self.answer)

    def answer(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.questions.append(host)
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [self._place(address, port) for address in addresses]

    @staticmethod
    def _place(address: str, port: int) -> Any:
        if ip_address(address).version == 4:
            return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))


class Connections:
    """Every attempt to connect, in order. Only those to `real` are made; the others are refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.attempts: list[tuple[str, int]] = []
        self.real: set[tuple[str, int]] = set()
        connect = socket.socket.connect

        def watched(sock: socket.socket, place: Any) -> None:
            self.attempts.append(place[:2])
            if place[:2] not in self.real:
                raise ConnectionRefusedError
            connect(sock, place)

        monkeypatch.setattr(socket.socket, "connect", watched)
