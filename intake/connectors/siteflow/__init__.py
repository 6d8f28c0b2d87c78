"""HP Site Flow (OneFlow): clients written for it send, ask for and cancel orders at the connector's address."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, field_validator

from gelatoconnect.lib.problems import Problem, Rejected, errors
from intake.connectors.base import (
    Call,
    Cancel,
    Change,
    Config,
    ConnectorType,
    Desk,
    Incoming,
    Meaning,
    Message,
    Outcome,  # fmt: skip
    Reply,
    Talk,
    Told,
)
from intake.connectors.loose import pairs
from intake.connectors.siteflow import answers, auth, orders, postbacks, shipments
from intake.connectors.siteflow import desk as counter
from intake.models import OrderRequest
from orders.models import Order

ADDRESSED = ("shipto", "address", "shipment", "shipments")  # what may stand after the id when a shipment is changed
SUBMITS = re.compile(r"order(/validate|/route/[^/]+)?", re.IGNORECASE)
ASYNC = "POST async/order"


class SiteFlowConfig(Config):
    token: str = Field(title="Token", description="The first half of x-oneflow-authorization", min_length=1)
    secret: SecretStr = Field(title="Secret", description="Signs the calls", min_length=1)
    token_2: str = Field("", title="Second token", description="Taken as well, while keys are exchanged")
    secret_2: SecretStr | None = Field(None, title="Second secret")
    answers: Literal["sync", "async"] = Field("sync", title="Answers", json_schema_extra={
        "labels": {"sync": "When the order is made, or refused", "async": "At once; faults by postback"}},
        description="Calls below async/ or sync/ are answered as these say")  # fmt: skip
    sha1: bool = Field(True, title="Take signatures by SHA1", description="Old clients know no other")
    window: int = Field(
        300, ge=10, le=86_400, title="Seconds", description="that a signature is taken, before and after"
    )
    time_zone: str = Field(
        "UTC", title="Time zone", description="Of times that clients sign without one: Europe/London"
    )
    currency: str = Field("", title="Currency", description="Of prices that come without one: EUR")
    carriers: str = Field("", title="Carriers", json_schema_extra={"lines": 4},
                          description="Theirs = ours: royalmail/firstclass=standard, *=normal")  # fmt: skip
    postback_url: str = Field("", title="Postback address", description="Empty: postbackAddress of each order")
    postback_method: Literal["POST", "PUT"] = Field("POST", title="Postback method")
    postback_user: str = Field("", title="Postback user", description="HTTP Basic, for the address above")
    postback_password: SecretStr | None = Field(None, title="Postback password")
    postback_on: list[str] = Field(list(postbacks.USUAL), title="Postback on",
                                   description=f"Of: {', '.join(postbacks.STATUSES)}")  # fmt: skip
    postback_type: str = Field("application/json", title="Postback content type")
    postback_template: str = Field("", title="Postback template", json_schema_extra={"lines": 8},
                                   description="Jinja2; empty: the usual JSON")  # fmt: skip

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("There is no such time zone; write it as Europe/Oslo.")
        return value

    @field_validator("postback_on")
    @classmethod
    def _known_statuses(cls, value: list[str]) -> list[str]:
        if unknown := [word for word in value if word not in postbacks.STATUSES]:
            raise ValueError(f"There is no status {unknown[0]!r}: choose among {', '.join(postbacks.STATUSES)}.")
        return value

    @field_validator("postback_type")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable() or not value.isascii():
            raise ValueError("Write it as application/json.")
        return value

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(token, secret) of those that are taken."""
        second = self.secret_2.get_secret_value() if self.secret_2 else ""
        return [(self.token, self.secret.get_secret_value())] + [(self.token_2, second)] * bool(self.token_2 and second)


class SiteFlow(ConnectorType):
    name = "siteflow"
    label = "HP Site Flow"
    about = "Clients written for HP Site Flow (OneFlow) send their orders here instead."
    Config = SiteFlowConfig
    methods = ("POST", "GET", "PUT")
    tells = tuple(postbacks.EVENTS)

    # --- a call ---
    def verify(self, call: Call, config: SiteFlowConfig) -> None:
        auth.check(call, keys=config.keys, sha1=config.sha1, window=config.window, zone=config.time_zone,
                   now=datetime.now(UTC))  # fmt: skip

    def incoming(self, call: Call, config: SiteFlowConfig) -> Incoming:
        """An order document. Its key is the source account with the sourceOrderId, as far as it can be read."""
        account = auth.account_of(call.headers)
        known = orders.known_as(call.body, account=account)
        first = call.path.split("/")[0].lower()
        early = first == "async" or (first != "sync" and config.answers == "async")
        return Incoming(call.body, call.headers, "application/json", source_id=known, key=f"order:{known}" if known else "",
                        topic=ASYNC if early else f"POST {'/'.join(auth.meant(call.path))}")  # fmt: skip

    def serve(self, call: Call, desk: Desk) -> Reply:
        parts = auth.meant(call.path)
        path = "/".join(parts)
        if call.method == "GET":
            return _shown(call, desk, parts)
        if call.method == "POST" and SUBMITS.fullmatch(path):
            return self._submit(call, desk, dry=path.lower().endswith("/validate"))
        head, rest = (parts[0].lower(), parts[1:]) if parts else ("", [])
        if call.method == "PUT" and head == "order" and len(rest) in (2, 3) and rest[-1].lower() == "cancel":
            return self._cancel(call, desk, rest[:-1])
        if call.method == "PUT" and head in ("order", "shipment"):
            rest = rest[:-1] if rest and rest[-1].lower() in ADDRESSED else rest
            if len(rest) == 1 or (head == "order" and len(rest) == 2):
                return self._change(call, desk, rest)
        raise _nowhere(call.method, path)

    def _submit(self, call: Call, desk: Desk, *, dry: bool) -> Reply:
        incoming = _addressed(self.incoming(call, desk.config), desk)
        if dry:
            incoming = replace(incoming, key="", topic="POST order/validate")
            problems = desk.dry_run(incoming)
            if errors(problems):
                raise Rejected(problems)
            return Reply(200, answers.valid(problems))
        return self.reply(desk.take(incoming))

    def _cancel(self, call: Call, desk: Desk, named: list[str]) -> Reply:
        """Of an order; or of a request that is to become one, which is then set aside."""
        found = counter.find(desk.connector, named, account=auth.account_of(call.headers))
        if isinstance(found, OrderRequest):
            return self._act(call, desk, f"PUT request/{found.source_id}/cancel")
        return self._act(call, desk, f"PUT order/{_name_of(found, call, named)}/cancel")

    def _change(self, call: Call, desk: Desk, named: list[str]) -> Reply:
        found = counter.find(desk.connector, named, account=auth.account_of(call.headers))
        return self._act(call, desk, f"PUT order/{_name_of(found, call, named)}/shipto")

    def _act(self, call: Call, desk: Desk, topic: str) -> Reply:
        incoming = Incoming(call.body, call.headers, "application/json", topic=topic[:120])
        return self.reply(desk.take(_addressed(incoming, desk)))

    def refuse(self, problems: list[Problem], *, status: int) -> Reply:
        return Reply(400 if status == 422 else status, answers.fault(problems, status=status))

    def example(self, config: SiteFlowConfig, *, number: int, sku: str, file_url: str) -> Call:
        body = {
            "destination": {"name": "hp.acmeprint"},
            "orderData": {
                "sourceOrderId": f"ACME-{number}", "customerName": "Acme Gifts",
                "items": [{"sourceItemId": f"ACME-{number}-1", "sku": sku, "quantity": 2, "shipmentIndex": 0,
                           "components": [{"code": "Card", "path": file_url, "fetch": True}]}],
                "shipments": [{"shipmentIndex": 0, "carrier": {"alias": "standard"},
                               "shipTo": {"name": "Ana Ruiz", "address1": "Karl Johans gate 4", "town": "Oslo",
                                          "postcode": "0154", "isoCountry": "NO", "email": "ana@example.com"}}],
            },
        }  # fmt: skip
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        token, secret = config.keys[0]
        signed = auth.signature_of(secret, f"POST /api/order {at}")
        headers = {"x-oneflow-authorization": f"{token}:{signed}", "x-oneflow-date": at, "x-oneflow-algorithm": "SHA256",
                   "content-type": "application/json"}  # fmt: skip
        return Call("POST", "api/order", headers=headers, body=json.dumps(body).encode())

    # --- a request ---
    def later(self, incoming: Incoming, config: SiteFlowConfig) -> bool:
        return incoming.topic == ASYNC

    def parse(self, message: Message) -> Meaning:
        reading = _reading(message)
        method, _, path = message.topic.partition(" ")
        if method != "PUT":
            return orders.meaning_of(message.body, reading=reading)
        kind, _, rest = path.partition("/")
        named, _, verb = rest.rpartition("/")
        if verb == "cancel" and kind == "request":
            return Cancel(source_id=named, reason="Canceled by the sender")
        if verb == "cancel":
            return Cancel(reference=named, reason="Canceled by the sender")
        address, shipment_method = shipments.address_in(message.body, reading=reading)
        return Change(reference=named, address=address, shipment_method=shipment_method)

    def status(self, outcome: Outcome) -> int:
        return {422: 400, 202: 201}.get(outcome.status, outcome.status)

    def answer(self, outcome: Outcome, message: Message) -> str:
        if outcome.state == OrderRequest.State.RECEIVED:
            return answers.arrived(outcome, connector=message.connector, account=auth.account_of(message.headers))
        if outcome.order is None and outcome.state != OrderRequest.State.IGNORED:
            return answers.fault(outcome.problems, status=outcome.status)
        if message.topic.startswith("PUT"):
            return answers.done(
                "The order is canceled." if "/cancel" in message.topic else "The order is changed.", outcome
            )
        return answers.submitted(outcome.order) if outcome.order else answers.done("It was canceled before.", outcome)

    # --- the other direction ---
    def postback(self, told: Told, config: SiteFlowConfig, memory: dict[str, Any]) -> Talk[None]:
        word, _ = postbacks.EVENTS[told.kind]
        if word not in config.postback_on:
            return
        ask = postbacks.post_of(postbacks.words_of(told), config, otherwise=told.order.source.get("postback", ""))
        if ask is not None:
            yield ask

    def wants_refusal(self, topic: str) -> bool:
        return topic == ASYNC

    def refusal(self, message: Message, problems: list[dict[str, Any]], *, at: datetime, id: UUID,
                request: UUID) -> Talk[None]:  # fmt: skip
        """A submission error: whatever can be read of the document says whose it is and where to tell it."""
        reference, source = orders.origin_of(message.body, account=auth.account_of(message.headers))
        said = postbacks.words_of_refusal(problems, at, id=id, request=request, reference=reference, source=source)
        ask = postbacks.post_of(said, message.config, otherwise=source.get("postback", ""))
        if ask is not None:
            yield ask


def _reading(message: Message) -> shipments.Reading:
    config: SiteFlowConfig = message.config
    return shipments.Reading(pairs(config.carriers), config.currency, auth.account_of(message.headers))


def _addressed(incoming: Incoming, desk: Desk) -> Incoming:
    """On a connector that is open to all customers: whose it is, by the header or by the account that is acted for."""
    named = incoming.headers.get("customer-reference-id", "")
    if not named and desk.connector.customer_id is None:
        named = auth.account_of(incoming.headers)
    return replace(incoming, customer_reference=named)


def _shown(call: Call, desk: Desk, parts: list[str]) -> Reply:
    words, account = [part.lower() for part in parts[:2]], auth.account_of(call.headers)
    if words[:1] == ["order"] and len(parts) == 1:
        return counter.show_list(desk.connector, SiteFlow.name, call)
    if words[:1] == ["order"] and len(parts) in (2, 3):
        return counter.show_order(desk.connector, parts[1:], account=account)
    if words == ["files", "order"] and len(parts) == 3:
        return counter.show_files(desk.connector, parts[2:], account=account)
    raise _nowhere(call.method, "/".join(parts))


def _name_of(found: Order | OrderRequest | None, call: Call, named: list[str]) -> str:
    """What a stored request calls the order it is about: our id; of an unknown one what the sender calls it, so that it
    is never another account's."""
    if isinstance(found, Order):
        return str(found.pk)
    account = auth.account_of(call.headers)
    return "/".join([account, *named] if account else named)


def _nowhere(method: str, path: str) -> Rejected:
    problem = Problem(
        "PATH_UNKNOWN", f"There is no {method} {path[:80]!r} here.", hint="See the connector's documentation."
    )
    return Rejected([problem], status=404)
