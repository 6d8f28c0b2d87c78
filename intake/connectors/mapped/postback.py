"""Telling a mapped sender what happened to its order: a template makes the body, the settings say where it goes."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any, Literal, NoReturn

from pydantic import Field, SecretStr, field_validator

from gelatoconnect.lib.problems import Rejected
from gelatoconnect.lib.sandbox import render
from intake.connectors.base import Ask, Config, Talk, Told
from orders.events import Permanent, TryLater

TELLS = (
    "order.passed", "order.failed", "order.created", "order.in_production", "order.printed", "order.packaged",
    "order.shipped", "order.in_transit", "order.delivered", "order.returned", "order.canceled", "order.cancel_refused",
    "package.status_updated",
)  # fmt: skip
_HEADER = re.compile(r"([A-Za-z0-9-]{1,80})\s*:\s*(.*)")


class PostbackConfig(Config):
    postback_url: str = Field("", title="Tell the sender at", description=(
        "An address; empty: it is not told. It may hold values: https://shop.example/orders/{{ order.sourceId | urlencode }}"
    ))  # fmt: skip
    postback_events: str = Field("order.shipped, order.canceled", title="of these events",
                                 description="order.shipped, order.canceled, or order.* for all")  # fmt: skip
    postback_method: Literal["POST", "PUT", "PATCH"] = Field("POST", title="Method")
    postback_type: str = Field(
        "application/json", pattern=r"^[\w.+-]+/[\w.+-]+(; ?charset=[\w-]+)?$", title="Content type"
    )
    postback_headers: SecretStr = Field(SecretStr(""), title="Headers", json_schema_extra={"lines": 3},
                                        description="One on each line: Authorization: Bearer …")  # fmt: skip
    postback_template: str = Field("", title="Body", json_schema_extra={"lines": 12}, description=(
        "A Jinja2 template, given event, order, items, packages, tracking, reason and problems; empty: all of it as JSON"
    ))  # fmt: skip

    @field_validator("postback_url")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip()
        if value and not value.startswith(("https://", "http://", "{{")):
            raise ValueError("Write it as https://shop.example/….")
        return value

    @field_validator("postback_events")
    @classmethod
    def _known(cls, value: str) -> str:
        for pattern in _words(value):
            if not any(fnmatchcase(kind, pattern) for kind in TELLS):
                raise ValueError(f"{pattern[:60]} is none of: {', '.join(TELLS)}.")
        return value

    @field_validator("postback_headers")
    @classmethod
    def _written(cls, value: SecretStr) -> SecretStr:
        for line in filter(None, map(str.strip, value.get_secret_value().splitlines())):
            if not _HEADER.fullmatch(line):
                raise ValueError("Write each header on a line of its own, as Name: value.")
        return value


def tell(told: Told, config: PostbackConfig) -> Talk[None]:
    """Raises Permanent for a template that fails: it can be sent again once that is mended."""
    if not is_told(told.kind, config):  # any more
        return
    data = data_of(told)
    try:
        url = render(config.postback_url, data) if "{{" in config.postback_url else config.postback_url
        body = render(config.postback_template, data) if config.postback_template.strip() else json.dumps(data)
    except Rejected as refusal:
        _fail(refusal)
    given = headers_of(config)
    headers = {"Content-Type": config.postback_type, "Idempotency-Key": str(told.id), **given}
    yield Ask(config.postback_method, url.strip(), headers, body.encode(), quiet=tuple(given))


def is_told(kind: str, config: Any) -> bool:
    """Whether there is an address, and such events were chosen."""
    return bool(config.postback_url) and any(fnmatchcase(kind, each) for each in _words(config.postback_events))


def data_of(told: Told) -> dict[str, Any]:
    """What a postback template is given: plain data."""
    order = told.order
    return {
        "event": {"id": str(told.id), "kind": told.kind, "at": told.at.isoformat()},
        "order": {"id": str(order.pk), "referenceId": order.reference, "sourceId": order.source_id or "",
                  "status": order.status, "test": order.test, "source": order.source, "metadata": order.metadata},
        "items": [{"referenceId": item.reference, "sku": item.sku, "productUid": item.product_uid,
                   "quantity": item.quantity_due, "canceled": item.canceled, "metadata": item.metadata}
                  for item in told.items],
        "packages": json.loads(json.dumps(told.packages, default=str)),
        "tracking": json.loads(json.dumps(told.tracked[0] if told.tracked else None, default=str)),
        "reason": told.reason,
        "problems": told.problems,
    }  # fmt: skip


def headers_of(config: PostbackConfig) -> dict[str, str]:
    lines = map(_HEADER.fullmatch, map(str.strip, config.postback_headers.get_secret_value().splitlines()))
    return {found[1]: found[2] for found in lines if found}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _fail(refusal: Rejected) -> NoReturn:
    said = refusal.problems[0]
    if refusal.status == 503:
        raise TryLater(f"{said.code}: {said.message}")
    raise Permanent(f"The postback's template failed. {said.code}: {said.message}")
