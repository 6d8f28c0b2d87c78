"""Draft: an order as it is asked for, whatever channel it came through. Pure data, in the API's own words.

Every connector ends in a Draft and every order begins as one. Unknown keys are kept (`model_extra`), types are
read leniently ("2" is a number), and `read` reports everything that is wrong at once.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from gelatoconnect.lib.problems import Problem, Rejected

MAX_ITEMS = 500
MAX_QUANTITY = 1_000_000
HANDED_OVER = "handed-over"


def is_handed_over(url: str) -> bool:
    """Whether it is the name of a file that was, or will be, handed over rather than an address: handed-over:card.pdf."""
    return url.startswith(f"{HANDED_OVER}:")


def _text(value: Any) -> Any:
    """Null is an empty text, a number its digits: senders mix them. Raises ValueError for what cannot be stored."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and "\0" in value:
        raise ValueError("it holds a NUL, which no database keeps")
    return value


def _object(value: Any) -> Any:
    """Metadata comes as an object or as a list of {key, value}."""
    if value is None:
        return {}
    if isinstance(value, list) and all(isinstance(entry, dict) and "key" in entry for entry in value):
        return {str(entry["key"]): entry.get("value") for entry in value}
    return value


# Stripped; null is empty, a number its digits.
Text = Annotated[str, BeforeValidator(_text), StringConstraints(strip_whitespace=True)]
Upper = Annotated[Text, StringConstraints(to_upper=True)]
Metadata = Annotated[dict[str, Any], BeforeValidator(_object)]
# In major units ("12.90") as senders write it; stored as minor units of the order's currency.
Money = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=4)]


class Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", coerce_numbers_to_str=True
    )


class Address(Part):
    """Where the parcel goes and to whom (the recipient). country: ISO 3166-1 alpha-2; state: the country's own code."""

    first_name: Text = Field("", max_length=100)
    last_name: Text = Field("", max_length=100)
    company_name: Text = Field("", max_length=100)
    address_line1: Text = Field("", max_length=200, alias="addressLine1")
    address_line2: Text = Field("", max_length=200, alias="addressLine2")
    city: Text = Field("", max_length=100)
    post_code: Text = Field("", max_length=20)
    state: Text = Field("", max_length=60)
    country: Upper = Field("", max_length=60)
    email: Text = Field("", max_length=254)
    phone: Text = Field("", max_length=40)
    is_business: bool = False
    federal_tax_id: Text = Field("", max_length=60)
    state_tax_id: Text = Field("", max_length=60)
    registration_state: Text = Field("", max_length=60)


class DraftFile(Part):
    """A print file by address. type: the part it prints (default, front, back, inside …)."""

    type: Text = Field("default", min_length=1, max_length=40)
    url: Text = Field(min_length=1, max_length=2048)
    md5: Text = Field("", max_length=32)
    # Not to be fetched: the sha256 of content that is here already; empty: it is still to be handed over.
    _kept: str | None = PrivateAttr(None)

    @classmethod
    def handed_over(cls, file: "DraftFile", sha256: str = "") -> "DraftFile":
        """The same file, when its content comes to us by itself: with the order, or in an upload that follows."""
        known = cls(
            type=file.type, url=file.url if is_handed_over(file.url) else f"{HANDED_OVER}:{file.url}", md5=file.md5
        )
        known._kept = sha256
        return known

    @property
    def kept(self) -> str | None:
        return self._kept


class DraftItem(Part):
    """One line. The product is named by productUid (ours), by sku, or by productName with productVariant (theirs)."""

    item_reference_id: Text = Field("", max_length=120)
    sku: Text = Field("", max_length=120)
    product_uid: Text = Field("", max_length=120)
    product_name: Text = Field("", max_length=200)
    product_variant: Metadata = {}
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1
    retail_price_incl_vat: Money | None = None
    files: Annotated[list[DraftFile], Field(max_length=20)] = []
    metadata: Metadata = {}


class Draft(Part):
    order_reference_id: Text = Field(min_length=1, max_length=120)
    order_type: Literal["order", "draft"] = "order"
    prevent_duplicate: bool = False
    customer_reference_id: Text = Field("", max_length=120)
    currency: Upper = Field("", max_length=3)
    retail_currency: Upper = Field("", max_length=3)
    retail_shipping_price_incl_vat: Money | None = None
    shipment_method_uid: Text = Field("", max_length=200)
    metadata: Metadata = {}
    shipping_address: Address
    items: Annotated[list[DraftItem], Field(min_length=1, max_length=MAX_ITEMS)]


def pointer(*steps: str | int) -> str:
    """An RFC 6901 JSON pointer: ("items", 0, "files") → "/items/0/files"."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


_CODES = {
    "missing": "FIELD_MISSING",
    "string_too_short": "FIELD_MISSING",
    "too_short": "FIELD_MISSING",
    "string_too_long": "FIELD_TOO_LONG",
    "too_long": "FIELD_TOO_LONG",
    "greater_than_equal": "FIELD_RANGE",
    "less_than_equal": "FIELD_RANGE",
    "literal_error": "FIELD_VALUE",
}
_HINTS = {"FIELD_MISSING": "Send a value for this field.", "FIELD_TOO_LONG": "Shorten the value.",
          "FIELD_RANGE": "Send a number within the range.", "FIELD_VALUE": "Send one of the values named.",
          "FIELD_TYPE": "Send a value of the type named."}  # fmt: skip


def _problem(error: ErrorDetails) -> Problem:
    code = _CODES.get(error["type"], "FIELD_TYPE")
    where = [step for step in error["loc"] if step != "function-before[_text(), str]"]
    return Problem(code, f"{where[-1] if where else 'body'}: {error['msg']}", pointer(*where), hint=_HINTS[code])


P = TypeVar("P", bound=Part)


def read(data: Any, kind: type[P] = Draft) -> P:  # type: ignore[assignment]
    """The Draft (or another Part) that `data`, decoded JSON, asks for. Raises Rejected with all that is wrong."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise Rejected(map(_problem, error.errors(include_url=False))) from None
