"""The carrier of a shop that takes its parcels to the post office itself: a code and a label of our own."""

from dataclasses import replace
from hashlib import sha256
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field

from shipping import labels
from shipping.carriers.base import Booking, Carrier, Parcel

DIGITS = 17  # before the check digit: among a million parcels two share a code once in 200,000 times


def _tracking_page(url: str) -> str:
    if url and not (url.startswith(("https://", "http://")) and "{code}" in url):
        raise ValueError("Write an address with {code} where the tracking code belongs.")
    return url


class Config(BaseModel):
    """What the shop says of itself."""

    name: str = Field("Parcel service", max_length=40, title="Name", description="As it stands on the label")
    tracking_url: Annotated[str, AfterValidator(_tracking_page)] = Field(
        "", max_length=300, title="Tracking page", description="Address with {code}; empty: parcels cannot be followed"
    )
    prefix: str = Field(
        "GC", max_length=6, pattern=r"^[A-Z]*$", title="Code prefix", description="Letters A-Z before the tracking code"
    )


class Manual(Carrier[Config]):
    name = "manual"
    label = "Own delivery"
    Config: ClassVar[type[BaseModel]] = Config

    def book(self, parcel: Parcel, service: str, *, key: str) -> Booking:
        code = tracking_code(key, prefix=self.config.prefix)
        label = labels.draw(replace(parcel, service=service), carrier=self.config.name, code=code)
        return Booking(carrier_reference=key, tracking_code=code, tracking_url=self._page(code), label=label)

    def _page(self, code: str) -> str:
        return self.config.tracking_url.replace("{code}", quote(code, safe=""))


def tracking_code(key: str, *, prefix: str = "") -> str:
    """The code of the parcel with this key, always the same: prefix, digits, check digit."""
    digits = f"{int(sha256(key.encode()).hexdigest(), 16) % 10**DIGITS:0{DIGITS}}"
    return f"{prefix}{digits}{check_digit(digits)}"


def check_digit(digits: str) -> int:
    """By the formula of ISO/IEC 7812-1, Annex B ("Luhn"): it finds one wrong digit, and most swapped neighbours."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return -total % 10
