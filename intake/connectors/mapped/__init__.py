"""Any sender, without code: templates say what its calls mean and how it is answered, settings how it proves who it is."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field, SecretStr, field_validator

from gelatoconnect.lib.problems import Problem, Rejected, problem_body
from intake.connectors.base import (
    Call,
    Config,
    ConnectorType,
    Desk,
    Incoming,
    Meaning,
    Message,
    Outcome,
    Reply,
    Talk,
    Told,
    refuse,
)
from intake.connectors.mapped.postback import TELLS, PostbackConfig, is_told, tell
from intake.connectors.mapped.starters import PLAIN, Starter
from intake.mapping import MAX_BYTES, answer_of, meaning_of
from intake.mapping.decoding import data_of
from intake.models import Connector, OrderRequest

ANSWER_FAILED = "MAPPING_ANSWER"
WAYS = {"header": "A header with a fixed value", "basic": "HTTP Basic", "hmac": "A header with HMAC-SHA256 of the body",
        "query": "A key in the address"}  # fmt: skip


class AuthConfig(Config):
    auth: Literal["header", "basic", "hmac", "query"] = Field(
        "header", title="The sender proves itself by", json_schema_extra={"labels": WAYS}  # type: ignore[dict-item]
    )  # fmt: skip
    secret: SecretStr = Field(
        min_length=1, title="Secret", description="The header's whole value (Bearer …), the password, or the key"
    )
    header: str = Field("Authorization", pattern=r"^[A-Za-z0-9-]{1,80}$", title="Header",
                        description="With the fixed value, or with the signature")  # fmt: skip
    user: str = Field("", title="User", description="Of HTTP Basic")
    encoding: Literal["hex", "base64"] = Field("hex", title="The signature is written in")
    prefix: str = Field("", title="Before the signature", description="Such as sha256=")
    parameter: str = Field("key", min_length=1, title="Parameter", description="Of the address, with the key: ?key=…")


class ReadingConfig(Config):
    cancel_when: str = Field(
        'topic.endswith("cancel")', title="Cancellations are",
        description="Calls for which this Jinja2 expression holds; they are read by the cancel template",
    )  # fmt: skip
    key_header: str = Field(
        "", title="Header with the sender's key", description="Of a call: sent twice, it is done once. Idempotency-Key"
    )
    key_pointer: str = Field(
        "", title="or where in the body the key stands", description="A JSON pointer, such as /event/id"
    )

    @field_validator("key_pointer")
    @classmethod
    def _pointer(cls, value: str) -> str:
        value = value.strip()
        if value and not value.startswith("/"):
            raise ValueError("Write it as /event/id.")
        return value


class MappedConfig(PostbackConfig, ReadingConfig, AuthConfig):
    pass


class Mapped(ConnectorType):
    name = "mapped"
    label = "Mapped without code"
    about = "Any system that sends JSON, XML, CSV or a form: templates say what it means."
    Config: ClassVar[type[Config]] = MappedConfig
    methods = ("POST", "PUT")
    max_bytes = MAX_BYTES
    mappable = True
    tells = TELLS
    starter: ClassVar[Starter] = PLAIN

    # --- a call ---
    def verify(self, call: Call, config: Any) -> None:
        given, wanted = credentials(call, config)
        if not given:
            refuse("AUTH_MISSING", "The call does not prove who sends it.", hint="Send the header or key agreed on.")
        if not hmac.compare_digest(given, wanted):
            refuse("AUTH_INVALID", "The call is not from the sender it should be from.",
                   hint="Compare the secret on both sides.")  # fmt: skip

    def concealed(self, call: Call, config: Any) -> Call:
        return replace(call, headers=self._shown(call, config))

    def incoming(self, call: Call, config: Any) -> Incoming:
        headers = call.headers
        return Incoming(
            call.body, self._shown(call, config), call.content_type or "application/json", topic=call.path,
            key=key_of(call, config), customer_reference=headers.get("customer-reference-id", ""),
        )  # fmt: skip

    def serve(self, call: Call, desk: Desk) -> Reply:
        outcome = desk.take(self.incoming(call, desk.config))
        return Reply(outcome.status, outcome.answer, self._answered_in(outcome))

    def example(self, config: Any, *, number: int, sku: str, file_url: str) -> Call:
        """As the starting mapping reads it."""
        body = json.loads(self.starter.sample)
        body["number"] = f"W-{number}"
        body["lines"][0] |= {"article": sku, "file": file_url}
        return signed(Call(body=json.dumps(body).encode(), headers={"content-type": "application/json"}), config)

    # --- a request ---
    def parse(self, message: Message) -> Meaning:
        return meaning_of(message)

    def answer(self, outcome: Outcome, message: Message) -> str:
        """By the template, or, when there is none or it fails, as the API answers."""
        if message.mapping is not None and message.mapping.answer.strip():
            try:
                return answer_of(outcome, message)
            except Rejected as refusal:
                said = refusal.problems[0]
                message.notes.append(Problem(
                    ANSWER_FAILED, f"The answer template failed, so the API's own answer was given. {said.message}",
                    severity="warning", hint=said.hint, details=said.details))  # fmt: skip
        return json.dumps(plain_answer(outcome))

    # --- the other direction ---
    def wants(self, kind: str, connector: UUID) -> bool:
        """As its settings say; what they do not ask for makes no delivery."""
        found = Connector.objects.filter(pk=connector).first()
        try:
            return found is not None and is_told(kind, self.Config.model_validate_json(found.settings or "{}"))
        except ValueError:
            return True  # the delivery says what is wrong with them

    def postback(self, told: Told, config: Any, memory: dict[str, Any]) -> Talk[None]:
        yield from tell(told, config)

    def _answered_in(self, outcome: Outcome) -> str:
        """The content type of the answer: the template's, unless the API's own answer stands in for it."""
        found = OrderRequest.objects.filter(pk__in=[outcome.request]).values_list("mapping__answer", "mapping__answer_type",
                                                                            "problems").first()  # fmt: skip
        if found is None or not found[0] or any(problem["code"] == ANSWER_FAILED for problem in found[2]):
            return self.answers_in
        return found[1]

    def _shown(self, call: Call, config: Any) -> dict[str, str]:
        """The headers without the one that is a secret."""
        secret = config.header.lower() if config is not None and config.auth == "header" else ""
        return {name: value for name, value in call.headers.items() if name != secret}


def plain_answer(outcome: Outcome) -> dict[str, Any]:
    """As the API answers."""
    if outcome.order is not None:
        order = outcome.order
        return {"id": str(order.pk), "orderReferenceId": order.reference, "createdAt": order.created_at.isoformat()}
    if outcome.status < 300:
        return {"received": True, "problems": [problem.as_dict() for problem in outcome.problems]}
    return problem_body(outcome.problems, status=outcome.status)


# --- who it is --------------------------------------------------------------------------------------
def credentials(call: Call, config: AuthConfig) -> tuple[bytes, bytes]:
    """What the call shows, and what it should show."""
    secret = config.secret.get_secret_value().encode()
    header = call.headers.get(config.header.lower(), "").encode("latin-1", "replace")
    if config.auth == "header":
        return header, secret
    if config.auth == "basic":
        return _basic(call.headers.get("authorization", "")), config.user.encode() + b":" + secret
    if config.auth == "query":
        return call.query.get(config.parameter, "").encode(), secret
    given = header.strip().removeprefix(config.prefix.encode())
    return (given.lower() if config.encoding == "hex" else given), signature(call.body, config)


def signature(body: bytes, config: AuthConfig) -> bytes:
    digest = hmac.new(config.secret.get_secret_value().encode(), body, hashlib.sha256).digest()
    return digest.hex().encode() if config.encoding == "hex" else base64.b64encode(digest)


def signed(call: Call, config: AuthConfig) -> Call:
    """The call as its sender would make it."""
    secret, headers, query = config.secret.get_secret_value(), dict(call.headers), dict(call.query)
    if config.auth == "header":
        headers[config.header.lower()] = secret
    elif config.auth == "basic":
        headers["authorization"] = "Basic " + base64.b64encode(f"{config.user}:{secret}".encode()).decode()
    elif config.auth == "query":
        query[config.parameter] = secret
    else:
        headers[config.header.lower()] = config.prefix + signature(call.body, config).decode()
    return replace(call, headers=headers, query=query)


def _basic(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    try:
        return base64.b64decode(value.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (ValueError, binascii.Error):
        return b""


# --- once -------------------------------------------------------------------------------------------
def key_of(call: Call, config: ReadingConfig) -> str:
    """The sender's key of the call: from the header, else from the body, where it counts for each topic."""
    if config.key_header and (key := call.headers.get(config.key_header.strip().lower(), "").strip()):
        return key
    if not config.key_pointer:
        return ""
    try:
        found = data_of(call.body, content_type=call.content_type, max_bytes=MAX_BYTES)
    except Rejected:  # `parse` says what is wrong with it
        return ""
    for step in config.key_pointer[1:].split("/"):
        found = _inside(found, step.replace("~1", "/").replace("~0", "~"))
    is_key = isinstance(found, str | int) and not isinstance(found, bool) and found != ""
    return f"{call.path}#{found}" if is_key else ""


def _inside(data: Any, step: str) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, list) and step.isdecimal() and int(step[:9]) < len(data):
        return data[int(step[:9])]
    return None
