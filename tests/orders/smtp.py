"""A mail server that says what it is told to say: `refuse` maps an address, or "DATA" or "MAIL", to its answer."""

import socketserver
from threading import Thread
from typing import Any


class MailServer:
    def __init__(self) -> None:
        self.refuse: dict[str, str] = {}
        self.got: list[bytes] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 hello")
                while line := self.rfile.readline():
                    word = line.decode().strip()
                    verb = word[:4].upper()
                    if verb == "QUIT":
                        self.say("221 bye")
                        return
                    self.answer(verb, word)

            def answer(self, verb: str, word: str) -> None:
                if verb == "RCPT":
                    address = word.partition("<")[2].partition(">")[0]
                    self.say(outer.refuse.get(address, "250 ok"))
                elif verb == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (line := self.rfile.readline()) != b".\r\n":
                        lines.append(line)
                    refusal = outer.refuse.get("DATA")
                    if refusal is None:
                        outer.got.append(b"".join(lines))
                    self.say(refusal or "250 taken")
                else:
                    self.say(outer.refuse.get(verb, "250 ok"))

            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server: Any = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
