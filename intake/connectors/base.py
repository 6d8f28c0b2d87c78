"""The contract of a connector: the sender's language, nothing else. One small file for each type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from gelatoconnect.lib.problems import Problem
from orders.drafts import Draft
from orders.models import Order


@dataclass(frozen=True, slots=True)
class Incoming:
    """What arrived, byte for byte. key: the sender's own key for it, our idempotency; customer_reference: whom it is for."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    key: str = ""
    customer_reference: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: the order, or the problems that refused it. replayed: the answer of the first time."""

    status: int
    order: Order | None = None
    problems: list[Problem] = field(default_factory=list)
    answer: str = ""
    replayed: bool = False


class ConnectorType:
    """How one kind of sender speaks."""

    name: ClassVar[str]
    label: ClassVar[str]

    def parse(self, raw: bytes) -> Draft:
        """The draft that the bytes ask for; pure. Raises Rejected with everything that is wrong with their form."""
        raise NotImplementedError

    def answer(self, outcome: Outcome) -> str:
        """What the sender is told, in its own format, as it goes over the wire."""
        raise NotImplementedError
