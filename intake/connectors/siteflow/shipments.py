"""Where a Site Flow order goes and how: addresses, carriers and shipments of its document. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any

from gelatoconnect.lib.problems import Rejected
from intake.checks.data import country_names
from intake.connectors.base import refuse
from intake.connectors.loose import document, get, line, plainly, rows, text
from orders.drafts import Address, read

MARKS = ("orderData", "sourceOrderId")
SPOKEN = {"UK": "GB", "EL": "GR"}  # as people write them, and what ISO 3166-1 has instead


@dataclass(frozen=True, slots=True)
class Reading:
    """How the connector's settings want orders read.

    methods   their carriers, plainly ("royalmail/firstclass", an alias, or "*" for all others) → our shipment methods
    currency  of prices that come without one
    account   for which a service user acts
    """

    methods: Mapping[str, str] = field(default_factory=dict)
    currency: str = ""
    account: str = ""


def address_in(body: bytes, *, reading: Reading) -> tuple[Address | None, str | None]:
    """What a change says: the new address, and the new shipment method; None: it says nothing of it. Raises Rejected."""
    said = document(body, marks=(*MARKS, "shipments", "shipTo", "address1", "carrier"))
    data = data_of(said)
    shipment = next(iter(rows(get(data, "shipments", "shipment"))), data)
    to = get(shipment, "shipTo", "address", "shippingAddress")
    to = shipment if not isinstance(to, dict) and get(shipment, "address1", "isoCountry") else to
    address = None
    if isinstance(to, dict):
        try:
            address = read(address_of(to, data), Address)
        except Rejected as refusal:
            raise Rejected([replace(each, path=f"/shippingAddress{each.path}") for each in refusal.problems]) from None
    method, _ = method_of(shipment, reading)
    if address is None and method is None:
        refuse("SHIPMENT_EMPTY", "The call says neither a new address nor a new carrier that is known here.",
               hint="Send shipTo or carrier, as in orderData.shipments.", status=422)  # fmt: skip
    return address, method


def address_of(to: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A shipTo in the words of a draft."""
    first, _, last = line(get(to, "name")).partition(" ")
    return {
        "firstName": first, "lastName": last, "companyName": line(get(to, "companyName")),
        "addressLine1": line(get(to, "address1")),
        "addressLine2": ", ".join(filter(None, (line(get(to, "address2")), line(get(to, "address3"))))),
        "city": line(get(to, "town", "city")), "postCode": line(get(to, "postcode", "zip")),
        "state": line(get(to, "state", "county")), "country": country_of(to),
        "email": text(get(to, "email") or get(data, "email")), "phone": line(get(to, "phone")),
    }  # fmt: skip


def country_of(to: Mapping[str, Any]) -> str:
    """Its two letters; written as a name they are looked up, and what is not found stays as it is."""
    said = line(get(to, "isoCountry", "country", "countryCode"), most=60).upper()
    return SPOKEN.get(said) or (said if len(said) == 2 else _codes().get(said, said))


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    return {name.upper(): code for code, name in country_names().items()}


def day_of(value: Any) -> date | None:
    """The day of a date or a time, as an order may be promised for."""
    try:
        day = date.fromisoformat(text(value)[:10])
    except ValueError:
        return None
    return day if 2000 <= day.year < 2100 else None


def data_of(order: dict[str, Any]) -> dict[str, Any]:
    data = get(order, "orderData")
    data = data[0] if isinstance(data, list) and len(data) == 1 else data
    return data if isinstance(data, dict) else order


def method_of(shipment: Mapping[str, Any], reading: Reading) -> tuple[str | None, str]:
    """Our shipment method for its carrier, None where there is none; and what it calls the carrier."""
    carrier = get(shipment, "carrier")
    names = [line(get(carrier, "alias")), line(carrier)] if isinstance(carrier, dict) else [line(carrier)]
    code, service = line(get(carrier, "code")), line(get(carrier, "service"))
    names = [name for name in (*names, f"{code}/{service}" if code and service else "", code) if name]
    known = (reading.methods.get(plainly(name)) for name in names)
    method = next((uid for uid in known if uid is not None), reading.methods.get("*") if names else None)
    return method, names[0] if names else ""


def index_of(said: Mapping[str, Any], otherwise: int) -> str:
    """A shipmentIndex, which may be a number or its digits."""
    return line(get(said, "shipmentIndex"), most=40) or str(otherwise)


def goes_to(shipment: Mapping[str, Any]) -> dict[str, Any]:
    to = get(shipment, "shipTo", "address")
    return address_of(to if isinstance(to, dict) else {}, {})
