"""A sender as small as they come, to try the doors with: signed and stamped, its own format of errors, all meanings."""

import hashlib
import hmac
import time
from typing import Any

from pydantic import SecretStr

from gelatoconnect.lib import strict, xml
from gelatoconnect.lib.problems import Problem
from gelatoconnect.lib.secrets import same
from intake.connectors.base import (
    Call,
    Cancel,
    Config,
    ConnectorType,
    Incoming,
    Message,
    Outcome,
    Reply,
    Submit,
    refuse,
)
from orders.drafts import read

LIMIT = 600_000  # bytes


class Settings(Config):
    secret: SecretStr


class Tiny(ConnectorType):
    name = "tiny"
    label = "Tiny"
    Config = Settings
    methods = ("POST", "PUT")
    max_bytes = LIMIT
    answers_in = "text/plain"

    def verify(self, call: Call, config: Settings) -> None:
        at = call.headers.get("x-at", "")
        if not at.isdigit() or abs(int(at) - time.time()) > 300:
            refuse("TIMESTAMP_STALE", "It was signed too long ago.")
        if not same(call.headers.get("x-signature", ""), signature(call.body, at, config.secret.get_secret_value())):
            refuse("SIGNATURE_WRONG", "The signature does not fit.")

    def incoming(self, call: Call, config: Settings) -> Incoming:
        return Incoming(call.body, call.headers, call.content_type, key=call.headers.get("x-id", ""))

    def parse(self, message: Message) -> Submit | Cancel:
        if message.body.startswith(b"<"):
            data = xml.data_of(xml.loads(message.body, max_bytes=LIMIT))
        else:
            data = strict.loads(message.body, max_bytes=LIMIT)
        if not isinstance(data, dict):
            refuse("FIELD_TYPE", "It is no object.", status=422)
        id = str(data.get("id", ""))
        if data.get("cancel"):
            return Cancel(source_id=id)
        return Submit(read(data), source_id=id)

    def answer(self, outcome: Outcome, message: Message) -> str:
        if outcome.order is None and outcome.problems:
            return _faults(outcome.problems)
        return f"TAKEN {outcome.order.pk if outcome.order else ''}"

    def refuse(self, problems: list[Problem], *, status: int) -> Reply:
        return Reply(status, _faults(problems), "text/plain")


def signature(body: bytes, at: str, secret: str) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def signed(body: bytes, *, secret: str, at: float | None = None, **headers: str) -> dict[str, Any]:
    """The headers of a call: x_at, x_signature, and whatever else."""
    stamp = str(int(time.time() if at is None else at))
    return {"x-at": stamp, "x-signature": signature(body, stamp, secret), **headers}


def _faults(problems: list[Problem]) -> str:
    return "FAULT " + " ".join(problem.code for problem in problems)
