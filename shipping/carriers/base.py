"""The contract of a carrier: rates, labels and scans of parcels. One small file for each carrier.

Parcels, bookings and reports are plain data, and a carrier knows neither orders nor the database. Weights are in g,
lengths in mm.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Party:
    """A sender or recipient as written on the parcel. country: ISO 3166-1 alpha-2."""

    name: str
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    post_code: str = ""
    state: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """So many pieces of one thing in a parcel."""

    description: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the carrier takes: `number` of `count` parcels that go together, packed on `packed_on`."""

    reference: str
    sender: Party
    recipient: Party
    weight_g: int
    packed_on: date
    service: str = ""
    contents: tuple[Content, ...] = ()
    number: int = 1
    count: int = 1
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """A parcel that the carrier expects. carrier_reference: its own name for it, by which it is voided."""

    carrier_reference: str
    tracking_code: str
    tracking_url: str = ""
    label: bytes = b""
    label_format: Literal["pdf"] = "pdf"


@dataclass(frozen=True, slots=True)
class Rate:
    """What a service costs: `amount` in minor units of `currency` (ISO 4217); days on the way, if known."""

    service: str
    name: str
    amount: int
    currency: str
    days: int | None = None


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Where a parcel was seen. status in our words, whatever the carrier's are."""

    code: str  # the parcel's tracking code
    status: Literal["shipped", "in_transit", "delivered", "returned"]
    at: datetime
    place: str = ""
    message: str = ""


class NotSupported(Exception):
    """The carrier has no such thing."""


class Failed(Exception):
    """The carrier did not do it. permanent: trying again is useless; retry_after: seconds to wait, when it said so."""

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


C = TypeVar("C", bound=BaseModel)


class Carrier(ABC, Generic[C]):
    """One carrier under one contract. Calls raise NotSupported, or Failed when the carrier does not do it.

    Config: what the administrator fills in; the form is made from it.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def book(self, parcel: Parcel, service: str, *, key: str) -> Booking:
        """Announce a parcel and get its label. The same key gives the same booking, however often it is asked."""

    def rates(self, parcel: Parcel) -> list[Rate]:
        """The services that take the parcel, and their prices."""
        raise NotSupported(f"{self.label} has no rates.")

    def void(self, booking: Booking) -> None:
        """Take a booking back; done twice, it is done."""
        raise NotSupported(f"{self.label} has no voiding.")

    def track(self, codes: Sequence[str]) -> list[ScanReport]:
        """Ask where parcels are, by their tracking codes."""
        raise NotSupported(f"{self.label} has no tracking.")

    def read(self, body: bytes, *, headers: Mapping[str, str]) -> list[ScanReport]:
        """What the carrier tells of its own accord, verified."""
        raise NotSupported(f"{self.label} sends no news.")
