"""The contract of a connector: the sender's language, nothing else. One small file for each type.

What comes in is a Call (or a file, or a row), which becomes an Incoming: bytes that are stored. `parse` says what the
bytes mean; what then happens, and that it happens once, is the pipeline's. Everything that asks somebody else over the
network is a Talk: a generator that yields what it asks and is sent what was answered, so that it can be tested as a
pair of texts and never opens a connection itself.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Any, ClassVar, NoReturn, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from gelatoconnect.lib.http import Answer
from gelatoconnect.lib.problems import Problem, Rejected, problem_body
from intake import models
from orders.drafts import Address, Draft
from orders.models import Item, Order

MAX_BYTES = 1024 * 1024


# --- what comes in ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call of a sender to the address of its connector.

    path      below the connector's address, without the slashes around it: "api/order/42"
    url_path  the whole path, percent-decoded, as signatures cover it
    headers   names in lower case
    """

    method: str = "POST"
    path: str = ""
    url_path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """What arrived, byte for byte, without secrets; it is stored as an OrderRequest.

    topic               what the sender calls it: "orders/create"
    key                 the sender's own key for it, our idempotency: the same key again gives the first answer again
    customer_reference  whom it is for, on a connector that is open to all customers
    source_id           the sender's own id of the order it is about, where that is known without reading the body
    contents            print files that came with it: name → sha256 of what lib.storage keeps
    recovered           nobody sent it: it was found when the channel was compared
    essence             what must be the same for it to be the same request again, where that is not the whole body
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    topic: str = ""
    key: str = ""
    customer_reference: str = ""
    source_id: str = ""
    contents: Mapping[str, str] = field(default_factory=dict)
    recovered: bool = False
    essence: bytes = b""


@dataclass(frozen=True, slots=True)
class Message:
    """A stored request as it is read: `body` is what a person made of it, or what was fetched for it, or what came.

    connector  the id of the connector it came through: part of the addresses that an answer may name
    notes      filled by `answer` with what is to be said of the answer itself; kept with the request's problems
    """

    body: bytes
    topic: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    contents: Mapping[str, str] = field(default_factory=dict)
    config: Any = None
    mapping: models.Mapping | None = None
    connector: UUID | None = None
    notes: list[Problem] = field(default_factory=list)


# --- what it means ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Submit:
    """An order to be made.

    source_id  the sender's own id of the order: through one connector it is made once, however often it is sent
    source     what a postback needs to know later, such as the ids of the other side; kept as Order.source
    test       the sender says that it is only a test
    ship_by    the sender's own promise, instead of the customer's SLA
    notes      what is said of it, as warnings or info
    """

    draft: Draft
    source_id: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    test: bool = False
    ship_by: date | None = None
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """The whole order is not wanted any more. Named by the sender's own id, or by our id or orderReferenceId.

    awaits_answer  the sender wants to hear of it, even when the order was canceled before: order.cancel_repeated
    may_return     an order of which nothing is known yet is wanted all the same when it arrives later
    """

    source_id: str = ""
    reference: str = ""
    reason: str = ""
    awaits_answer: bool = False
    may_return: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Another address or shipment method for an order that has not been shipped."""

    source_id: str = ""
    reference: str = ""
    address: Address | None = None
    shipment_method: str | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Understood, and nothing is to be done: an unpaid order, a ping. The request is kept as ignored, with the reason."""

    why: str
    code: str = "REQUEST_IGNORED"
    source_id: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """It speaks of several things: each is stored as a request of its own, and read by a worker."""

    found: tuple[Incoming, ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person as a sender names one: by the sender's ids of the orders, and by e-mail, phone and the sender's own id."""

    source_ids: tuple[str, ...] = ()
    email: str = ""
    phone: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """The person wants to know what is known of them: it is gathered, and mailed to the customer."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Forget:
    """The person is to be forgotten; or, without one, everybody whose orders came through the connector, and its secrets."""

    recipient: Recipient | None = None


Meaning = Submit | Cancel | Change | Nothing | Several | Export | Forget


def said_of(meaning: Meaning) -> str:
    """A meaning as people read it: JSON, indented; of an order the draft with what goes beside it."""
    said: dict[str, Any] = {}
    for each in fields(meaning):
        value = getattr(meaning, each.name)
        if value in ("", None, False, (), {}):
            continue
        if isinstance(value, Draft | Address):
            value = value.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        elif isinstance(value, Recipient):
            value = asdict(value)
        said[each.name] = [note.as_dict() for note in value] if each.name == "notes" else value
    if set(said) == {"draft"}:
        said = said["draft"]
    return json.dumps(said, indent=2, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: the order, or the problems that refused it. replayed: the answer of the first time."""

    status: int
    order: Order | None = None
    problems: list[Problem] = field(default_factory=list)
    answer: str = ""
    replayed: bool = False
    request: UUID | None = None
    state: str = ""  # of the request, where order and problems do not say it


# --- asking somebody else ---------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Ask:
    """A request to somebody else. The talk goes on with the answer when it is 2xx or its status is in `accept`.

    Otherwise the talk is over: tried again later (no answer, 408, 429, 5xx), or given up (anything else).
    quiet: names of headers whose values are not kept with the attempt, besides the usual ones; secrets: texts that are
    left out of what is kept, wherever they stand; private: nothing of both bodies is kept, since the answer is a secret.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    accept: tuple[int, ...] = ()
    quiet: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    private: bool = False
    max_answer: int = 4 * MAX_BYTES


@dataclass(frozen=True, slots=True)
class Remember:
    """Values to be kept with the connector, encrypted, at once: a refreshed token. None removes one."""

    values: Mapping[str, Any]


T = TypeVar("T")
Talk = Generator[Ask | Remember, Any, T]  # is sent an Answer for each Ask, the whole memory for each Remember


def ask_json(method: str, url: str, data: Any = None, *, headers: Mapping[str, str] = {}, **more: Any) -> Ask:
    body = b"" if data is None else json.dumps(data, separators=(",", ":")).encode()
    kind = {"Content-Type": "application/json"} if body else {}
    return Ask(method, url, {"Accept": "application/json", **kind, **headers}, body, **more)


def json_of(answer: Answer) -> Any:
    """What an answer says, or an empty object when it is no JSON."""
    try:
        return json.loads(answer.body or b"{}")
    except ValueError:
        return {}


@dataclass(frozen=True, slots=True)
class Told:
    """An event, as a postback tells of it.

    packages  of the order: tracking_code, tracking_url, status, weight (g) and carrier, where there is one
    changes   of an amendment: what → [before, after], such as "item.2.canceled" → [0, 1]
    """

    kind: str
    at: datetime
    id: UUID
    order: Order
    items: list[Item] = field(default_factory=list)
    packages: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    problems: list[dict[str, Any]] = field(default_factory=list)
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tracked(self) -> list[dict[str, Any]]:
        return [package for package in self.packages if package.get("tracking_code")]


# --- the connector ----------------------------------------------------------------------------------
class Config(BaseModel):
    """What an administrator fills in. The form is made from the fields: title, description, type, default; SecretStr
    for what is never shown again; Literal for a choice; `json_schema_extra={"lines": 5}` for a long text."""

    model_config = ConfigDict(extra="ignore", validate_default=False)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a connector may ask of the house while its sender is on the line."""

    connector: models.Connector
    config: Any
    take: Callable[[Incoming], Outcome]
    dry_run: Callable[[Incoming], list[Problem]]  # everything that would be said against it; nothing is stored
    keep: Callable[[Remember], Any]  # what a connector remembers without a talk


class ConnectorType:
    """How one kind of sender speaks. Methods are pure unless they say otherwise; what is not overridden does nothing."""

    name: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str] = ""  # one sentence for whoever chooses among the types
    Config: ClassVar[type[Config]] = Config
    methods: ClassVar[tuple[str, ...]] = ()  # that its address answers to; none: it has no address below /in
    max_bytes: ClassVar[int] = MAX_BYTES
    answers_in: ClassVar[str] = "application/json"
    key_conflict: ClassVar[int] = 409  # the status for a key that was used before with other content
    keeps_refusals: ClassVar[bool] = (
        False  # a refused request keeps its key: the sender is not asked to mend and send again
    )
    mixed: ClassVar[bool] = False  # orders may hold lines that are not printed here: these are left out, with a note
    mappable: ClassVar[bool] = False  # what it means is said by the connector's templates, where it has any
    tells: ClassVar[tuple[str, ...]] = ()  # kinds of events that `postback` is called for, with wildcards
    pulls: ClassVar[bool] = False  # it is asked regularly: `pull`, or `scan`; its Config is Scheduled
    scans: ClassVar[bool] = False  # it is asked by `scan`

    # --- a call ---
    def verify(self, call: Call, config: Any) -> None:
        """Raises Rejected (401) unless the call comes from whom it should; constant-time, over the raw body."""

    def incoming(self, call: Call, config: Any) -> Incoming:
        """What is stored of a call: secrets are left out of body and headers."""
        return Incoming(call.body, call.headers, call.content_type or "application/json")

    def serve(self, call: Call, desk: Desk) -> Reply:
        """Answer a verified call. Whatever is asked for besides submitting (get, list …) is answered here too."""
        return self.reply(desk.take(self.incoming(call, desk.config)))

    def reply(self, outcome: Outcome) -> Reply:
        return Reply(outcome.status, outcome.answer, self.answers_in)

    def refuse(self, problems: list[Problem], *, status: int) -> Reply:
        """A refusal before anything was understood (signature, size, rate), in the sender's own format."""
        return Reply(status, json.dumps(problem_body(problems, status=status)), "application/problem+json")

    def turn_away(self, call: Call, problems: list[Problem], *, status: int) -> Reply:
        """The same, for one who has to look at the call to choose the format."""
        return self.refuse(problems, status=status)

    def concealed(self, call: Call, config: Any) -> Call:
        """A call that was refused at the door, as it may be kept: without the secrets in its body. config: None when the
        settings are what is wrong."""
        return call

    def example(self, config: Any, *, number: int, sku: str, file_url: str) -> Call:
        """A call as a sender would make it, signed: one order of one `sku` (a product's uid, or a mapped SKU) with this
        print file. For the demo, the benchmark, and to try a new connector."""
        raise NotImplementedError

    # --- a request ---
    def later(self, incoming: Incoming, config: Any) -> bool:
        """True: it is stored and answered at once, and read by a worker afterwards."""
        return False

    def resolve(self, message: Message, memory: dict[str, Any]) -> Talk[bytes | None]:
        """For what is read later: fetch what the body only points to. The bytes are kept and parsed instead of it."""
        return None
        yield

    def parse(self, message: Message) -> Meaning:
        """What the request asks for. Raises Rejected with everything that is wrong with its form."""
        raise NotImplementedError

    def status(self, outcome: Outcome) -> int:
        """The HTTP status of an answer (outcome.status: 200, 201, 202, or that of the refusal)."""
        return outcome.status

    def answer(self, outcome: Outcome, message: Message) -> str:
        """What the sender is told, in its own format, as it goes over the wire."""
        raise NotImplementedError

    # --- the other direction ---
    def wants(self, kind: str, connector: UUID) -> bool:
        """Whether this connector's sender is told of such an event, which is one of `tells`. Not pure: it may look."""
        return True

    def postback(self, told: Told, config: Any, memory: dict[str, Any]) -> Talk[None]:
        """Tell the sender what happened. May run twice: asks first what the other side knows, where that matters."""
        return
        yield

    def wants_refusal(self, topic: str) -> bool:
        """True: the sender of such a request was answered before it was read, and `refusal` tells when it is refused."""
        return False

    def refusal(self, message: Message, problems: list[dict[str, Any]], *, at: datetime, id: UUID,
                request: UUID) -> Talk[None]:  # fmt: skip
        """Tell the sender that what was answered before it was read has been refused, and why. May run twice.

        at, id: of the event, the same on every attempt; request: as the early answer may have named it.
        """
        return
        yield

    def pull(self, since: datetime, config: Any, memory: dict[str, Any]) -> Talk[list[Incoming]]:
        """What the channel holds since then, each with its source_id; those that never arrived are taken."""
        return []
        yield

    def scan(self, desk: Desk) -> int:
        """Take what lies in a folder; says how many files. Not pure: it reads, claims and moves files itself."""
        return 0


class Storefront(ConnectorType):
    """A shop: it wants to know that its message is kept, and would send a refused one again and again. So whatever is
    understood is answered 200; what is wrong with it stands on the requests' page, and is mended there."""

    methods = ("POST",)
    keeps_refusals = True
    mixed = True

    def status(self, outcome: Outcome) -> int:
        return 200 if outcome.order or outcome.status in (200, 201, 202, 404, 409, 422) else outcome.status

    def answer(self, outcome: Outcome, message: Message) -> str:
        said: dict[str, Any] = {"received": True}
        if outcome.order is not None:
            said["id"] = str(outcome.order.pk)
        if outcome.problems:
            said["problems"] = [problem.as_dict() for problem in outcome.problems]
        return json.dumps(said)


def refuse(code: str, message: str, *, hint: str = "", status: int = 401, path: str = "") -> NoReturn:
    """Raises Rejected with one problem."""
    raise Rejected([Problem(code, message, path, hint=hint)], status=status)
