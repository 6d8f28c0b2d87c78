"""Cloudprinter.com, for its print partners: orders come as one document each, signals go back for every item.

A document is JSON 2.2, JSON 2.1 or XML 2.1 of the same structure; which of them, its first byte says. The key lies in the
document and is taken out before anything is stored.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from pydantic import Field, SecretStr, field_validator

from gelatoconnect.lib import strict, xml
from gelatoconnect.lib.problems import Problem, Rejected, errors
from gelatoconnect.lib.secrets import same
from intake.connectors.base import (
    MAX_BYTES,
    Call,
    Config,
    ConnectorType,
    Incoming,
    Message,
    Outcome,
    Reply,
    Submit,
    Talk,
    Told,
    ask_json,
    refuse,
)
from intake.connectors.cloudprinter import order as document
from orders.models import Item

SIGNALS = {
    "order.received": "ItemRegistered",
    "order.in_production": "ItemProduce",
    "order.printed": "ItemProduced",
    "order.packaged": "ItemPacked",
    "order.shipped": "ItemShipped",
    "order.failed": "ItemError",
    "order.canceled": "ItemCanceled",
    "order.amended": "ItemCanceled",  # of the items that the amendment leaves nothing of
}
# Our words → theirs, in the paths of refusals.
WORDS = {
    "orderReferenceId": "id", "shippingAddress": "addresses", "firstName": "name", "lastName": "name",
    "companyName": "company", "addressLine1": "street1", "addressLine2": "street2", "postCode": "zip",
    "federalTaxId": "customer identification", "shipmentMethodUid": "shipping", "itemReferenceId": "id", "sku": "product",
    "productUid": "product", "quantity": "count", "productVariant": "options", "retailPriceInclVat": "price",
    "md5": "md5sum",
}  # fmt: skip
SHORTEST_KEY = 8  # characters: anything shorter could not be taken out of a document without hurting it
LONGEST_MESSAGE = 500
HIDDEN = "hidden"
XML = "application/xml"
BOM = b"\xef\xbb\xbf"


class Settings(Config):
    key: SecretStr = Field(min_length=SHORTEST_KEY, title="Order key", description="The apikey in their orders")
    second_key: SecretStr = Field(
        SecretStr(""), title="Second order key", description="Also taken: while the key changes"
    )
    signal_key: SecretStr = Field(
        min_length=1, title="Signal key", description="The apikey of our signals: another one"
    )
    signal_url: str = Field("https://api.cloudprinter.com/cloudsignal/2.0/status/", title="Signals go to")
    shipment_methods: str = Field(
        "", title="Shipment methods", json_schema_extra={"lines": 4},
        description="Theirs = ours: dhl_parcel=standard, cp_fast=express; priority 1=express; *=standard for all others",
    )  # fmt: skip

    @field_validator("second_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"A key has at least {SHORTEST_KEY} characters.")
        return value

    @field_validator("shipment_methods")
    @classmethod
    def _pairs(cls, value: str) -> str:
        if not all(document.table(value).values()):
            raise ValueError("Write each as theirs = ours, with commas between them.")
        return value

    @property
    def keys(self) -> list[str]:
        found = (self.key.get_secret_value(), self.second_key.get_secret_value())
        return [key for key in found if key]


class Cloudprinter(ConnectorType):
    name = "cloudprinter"
    label = "Cloudprinter"
    about = "Cloudprinter.com sends its print partner orders as JSON or XML, and hears of every item."
    Config = Settings
    methods = ("POST",)
    tells = tuple(SIGNALS)

    def verify(self, call: Call, config: Settings) -> None:
        given = list(_keys_in(_read(call.body)))
        fits = [same(each, key) for each in given for key in config.keys]  # all of them, so that the time tells nothing
        if not any(fits):
            refuse("AUTH_KEY_INVALID", "The apikey of the order is missing or not valid.",
                   hint="Send the key that this print partner gave you as order.apikey.", path="/apikey")  # fmt: skip

    def incoming(self, call: Call, config: Settings) -> Incoming:
        kind = XML if _is_xml(call.body) else "application/json"
        body, data = _without_keys(call.body, config.keys)
        order = document.order_of(data)
        id = document.id_of(order)
        headers = {name: value for name, value in call.headers.items() if not any(key in value for key in config.keys)}
        return Incoming(body, headers, kind, topic="order", key=f"order:{id}" if id else "", source_id=id,
                        essence=document.essence(order))  # fmt: skip

    def concealed(self, call: Call, config: Any) -> Call:
        """Of a body that was refused, no key is kept either: perhaps it is the right one, in a broken document."""
        keys = config.keys if config else []
        try:
            body, _ = _without_keys(call.body, keys)
        except Rejected:
            body = document.without_apikeys(call.body)
            for key in keys:
                body = body.replace(key.encode(), HIDDEN.encode())
        headers = {name: _hide(value, keys) for name, value in call.headers.items()}
        return replace(call, body=body, headers=headers)

    def parse(self, message: Message) -> Submit:
        return document.submit_of(
            _read(message.body), document.table(message.config.shipment_methods if message.config else "")
        )

    # --- answers ---
    def status(self, outcome: Outcome) -> int:
        return 200 if outcome.status in (200, 201, 202) else outcome.status

    def answer(self, outcome: Outcome, message: Message) -> str:
        as_xml = _is_xml(message.body)
        if outcome.order is None:
            return _refusal(outcome.problems, as_xml=as_xml)
        said = {"message": "The order is accepted.", "order": outcome.order.source_id, "id": str(outcome.order.pk)}
        return _as_xml(said) if as_xml else json.dumps(said)

    def reply(self, outcome: Outcome) -> Reply:
        return Reply(outcome.status, outcome.answer, XML if outcome.answer.startswith("<") else self.answers_in)

    def refuse(self, problems: list[Problem], *, status: int) -> Reply:
        return Reply(status, _refusal(problems, as_xml=False))

    def turn_away(self, call: Call, problems: list[Problem], *, status: int) -> Reply:
        as_xml = _is_xml(call.body) if call.body else "xml" in call.content_type
        return Reply(status, _refusal(problems, as_xml=as_xml), XML if as_xml else self.answers_in)

    # --- the other direction ---
    def postback(self, told: Told, config: Settings, memory: dict[str, Any]) -> Talk[None]:
        """One signal for each item. After a failure all of them are sent once more: a signal heard twice does no harm."""
        key = config.signal_key.get_secret_value()
        for item in _concerned(told):
            yield ask_json("POST", config.signal_url, {"apikey": key, **_signal(told, item)}, secrets=(key,))

    def example(self, config: Settings, *, number: int, sku: str, file_url: str) -> Call:
        order = document.example(number, sku=sku, file_url=file_url)
        body = json.dumps({"order": {"apikey": config.key.get_secret_value(), **order}}).encode()
        return Call("POST", headers={"content-type": "application/json"}, body=body)


def _is_xml(body: bytes) -> bool:
    """Whatever the content type says."""
    return body[:1000].removeprefix(BOM).lstrip().startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<"))


def _read(body: bytes) -> Any:
    if _is_xml(body):
        return xml.data_of(xml.loads(body, max_bytes=MAX_BYTES))
    return strict.loads(body.removeprefix(BOM), max_bytes=MAX_BYTES)


def _keys_in(data: Any) -> Iterator[str]:
    """What stands as apikey beside the order or in it."""
    for place in (data, document.order_of(data)):
        if given := document.text(document.get(place, "apikey")):
            yield given


def _without_keys(body: bytes, keys: list[str]) -> tuple[bytes, Any]:
    """The document without its apikey, written anew, and what it says; nothing else in it holds one of the keys either."""
    if _is_xml(body):
        root = xml.loads(body, max_bytes=MAX_BYTES)
        _clean_element(root, keys)
        return tostring(root, encoding="utf-8"), xml.data_of(root)
    data = _clean(_read(body), keys)
    return json.dumps(data, ensure_ascii=False).encode(), data


def _clean(value: Any, keys: list[str]) -> Any:
    if isinstance(value, dict):
        return {_hide(name, keys): _clean(inner, keys) for name, inner in value.items() if not document.is_apikey(name)}
    if isinstance(value, list):
        return [_clean(inner, keys) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and str(value) in keys:
        return HIDDEN
    return _hide(value, keys) if isinstance(value, str) else value


def _clean_element(element: Element, keys: list[str]) -> None:
    element.tag = _hide(element.tag, keys)
    element.text = _hide(element.text or "", keys)
    element.tail = _hide(element.tail or "", keys)
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        if not document.is_apikey(name):
            element.set(_hide(name, keys), _hide(value, keys))
    for child in list(element):
        if document.is_apikey(child.tag):
            element.remove(child)
        else:
            _clean_element(child, keys)


def _hide(text: str, keys: list[str]) -> str:
    for key in keys:
        text = text.replace(key, HIDDEN)
    return text


def _refusal(problems: list[Problem], *, as_xml: bool) -> str:
    first = problems[0].message if problems else "The order was refused."
    found = errors(problems) or problems
    said = [
        {"code": each.code, "path": _in_their_words(each.path), "message": each.message, "hint": each.hint}
        for each in found
    ]
    return _as_xml({"message": first, "errors": said}) if as_xml else json.dumps({"message": first, "errors": said})


def _in_their_words(path: str) -> str:
    """ "/items/0/quantity" → "/order/items/0/count"."""
    steps = path.split("/")[1:]
    return "/".join(["", "order", *(WORDS.get(step, step) for step in steps)]) if steps else ""


def _as_xml(said: dict[str, Any]) -> str:
    root = Element("response")
    for name, value in said.items():
        child = SubElement(root, name)
        if not isinstance(value, list):
            child.text = str(value)
            continue
        for each in value:
            inner = SubElement(child, "error")
            for field, text in each.items():
                SubElement(inner, field).text = text
    return tostring(root, encoding="unicode")


def _concerned(told: Told) -> list[Item]:
    """The items a signal is about. One that was canceled before has heard so already; one without an id cannot be named."""
    named = [item for item in told.items if item.reference]
    if told.kind != "order.amended":
        return [item for item in named if item.quantity_due]
    canceled = {item.number: told.changes.get(f"item.{item.number}.canceled") for item in named}
    return [item for item in named if (change := canceled[item.number]) and change[0] < item.quantity <= change[1]]


def _signal(told: Told, item: Item) -> dict[str, str]:
    kind = SIGNALS[told.kind]
    said = {"type": kind, "order": told.order.source_id or "", "item": item.reference,
            "datetime": f"{told.at:%Y-%m-%d %H:%M:%S} GMT"}  # fmt: skip
    if kind == "ItemShipped" and told.tracked:
        said["tracking"] = ",".join(package["tracking_code"] for package in told.tracked)
    if kind == "ItemError":
        said |= _failure(told, item)
    if kind == "ItemCanceled":
        said |= {"cause": "canceled", "message": (told.reason or "Canceled at the print partner.")[:LONGEST_MESSAGE]}
    return said


def _failure(told: Told, item: Item) -> dict[str, str]:
    """Why the order failed: what speaks against this item before what speaks against the rest of the order."""
    found = [problem for problem in told.problems if problem.get("severity", "error") == "error"]
    own = f"/items/{item.number - 1}/"
    found.sort(key=lambda problem: not f"{problem.get('path', '')}/".startswith(own))
    causes = [problem["code"] for problem in found]
    messages = [problem["message"] for problem in found] or [told.reason or "The order could not be produced."]
    return {"cause": causes[0] if causes else "error", "message": " ".join(messages)[:LONGEST_MESSAGE]}
