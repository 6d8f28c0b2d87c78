"""The columns of a table of orders: what each is, by its name. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from intake.tables.cells import refuse

Place = Literal["order", "address", "item", "file", "metadata", "itemMetadata", "productVariant"]
_ADDRESS = ("firstName", "lastName", "companyName", "addressLine1", "addressLine2", "city", "postCode", "state", "country",
            "email", "phone", "isBusiness", "federalTaxId", "stateTaxId", "registrationState")  # fmt: skip
_ORDER = ("orderReferenceId", "orderType", "customerReferenceId", "currency", "retailCurrency", "retailShippingPriceInclVat",
          "shipmentMethodUid")  # fmt: skip
_ITEM = ("itemReferenceId", "productUid", "sku", "productName", "quantity", "retailPriceInclVat")
# Other names that people give the same columns.
_ALIASES = {
    "orderReferenceId": "order orderid ordernumber orderno orderreference",
    "itemReferenceId": "itemid lineid itemreference", "productName": "product", "quantity": "qty",
    "retailPriceInclVat": "price retailprice", "shipmentMethodUid": "shipmentmethod shippingmethod",
    "companyName": "company", "addressLine1": "address address1 street", "addressLine2": "address2",
    "postCode": "zip zipcode postalcode", "state": "province", "country": "countrycode", "email": "emailaddress",
    "phone": "phonenumber telephone", "fileUrl": "file url", "fileMd5": "md5",
}  # fmt: skip
_PREFIXES: dict[str, Place] = {"metadata": "metadata", "itemmetadata": "itemMetadata", "productvariant": "productVariant",
                               "variant": "productVariant", "option": "productVariant"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of the file is: where its values go, and by what name there. known: False: kept as metadata."""

    name: str
    place: Place
    key: str
    known: bool = True


def columns_of(names: Sequence[str]) -> list[Column]:
    """What each column is; case, spaces, underscores and hyphens do not matter. Raises Rejected when two are the same."""
    found = [_column(name) for name in names]
    first: dict[tuple[str, str], Column] = {}
    for column in found:
        other = first.setdefault((column.place, column.key), column)
        if other is not column:
            refuse("TABLE_COLUMN_TWICE", f"The columns {other.name!r} and {column.name!r} both say {column.key}.",
                   "Rename one of them, or remove it.")  # fmt: skip
    if ("order", "orderReferenceId") not in first:
        refuse("TABLE_COLUMN_MISSING", "No column is called orderReferenceId.",
               "Name the column with the number of the order so; the template has all the names.")  # fmt: skip
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name).casefold()


_KNOWN: dict[str, tuple[Place, str]] = {
    **{_plain(key): ("order", key) for key in _ORDER}, **{_plain(key): ("address", key) for key in _ADDRESS},
    **{_plain(key): ("item", key) for key in _ITEM},
    "fileurl": ("file", "default"), "filetype": ("item", "fileType"), "filemd5": ("item", "fileMd5"),
}  # fmt: skip
_KNOWN |= {alias: _KNOWN[_plain(key)] for key, aliases in _ALIASES.items() for alias in aliases.split()}


def _column(name: str) -> Column:
    plain = _plain(name)
    if plain in _KNOWN:
        return Column(name, *_KNOWN[plain])
    if match := re.match(r"file[\s_-]*url[\s_.:-]+(\w.*)|files?[.:]\s*(\w.*)", name, re.IGNORECASE):
        return Column(name, "file", (match[1] or match[2]).casefold())
    if (match := re.match(r"([^.:]+)[.:]\s*(\S.*)", name)) and (head := _plain(match[1])) in _PREFIXES:
        return Column(name, _PREFIXES[head], match[2])
    if match := re.fullmatch(r"(?:shippingaddress|shipping|recipient)\.?(\w+)", plain):
        place, key = _KNOWN.get(match[1], ("order", ""))
        if place == "address":
            return Column(name, place, key)
    return Column(name, "itemMetadata", name, known=False)
