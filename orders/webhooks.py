"""The signed call, by Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks)."""

import re
import time
from typing import Any

from django.utils import timezone

from gelatoconnect.lib import http, signing
from orders.events import Permanent, TryLater
from orders.models import Trigger

MASK = "••••••••"  # what is shown of a header's value
OURS = {"host", "content-length", "transfer-encoding", "accept-encoding", "connection", "keep-alive", "upgrade", "expect",
        "te", "trailer", "proxy-connection", "webhook-id", "webhook-timestamp", "webhook-signature",
        "x-gelatoconnect-test"}  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def post(trigger: Trigger, body: bytes, *, content_type: str, id: str, report: dict[str, Any], test: bool = False,
         seconds: float = 20) -> None:  # fmt: skip
    """Send the body, signed. 2xx is success; a redirect is a failure; 410 is an end; the id stays the same on every attempt.

    report: gets what was sent, without the values of the trigger's own headers, and what was answered.
    """
    more = {name: value for name, value in headers_of(trigger.headers).items() if name.lower() != "content-type"}
    ours = {"Content-Type": content_type} | ({"X-GelatoConnect-Test": "true"} if test else {})
    ours |= signed(id, int(time.time()), body, secret=trigger.secret, former=former_secret(trigger))
    shown = {**ours, **dict.fromkeys(more, MASK)}
    report["request"] = {"method": trigger.method, "url": trigger.address, "headers": shown,
                         "body": body.decode(errors="replace")}  # fmt: skip
    try:
        answer = http.send(trigger.address, method=trigger.method, body=body, headers={**more, **ours}, seconds=seconds)
    except http.Failed as failure:
        raise (Permanent if failure.permanent else TryLater)(f"{failure.code}: {failure.message}") from failure
    report["answer"] = {"status": answer.status, "headers": _kept(answer.headers),
                        "body": answer.body.decode(errors="replace").replace("\0", "")}  # fmt: skip
    if answer.status == 410:
        raise Permanent("The receiver answered 410: it wants no more of them.")
    if not 200 <= answer.status < 300:
        raise TryLater(f"The receiver answered {answer.status}.", after=answer.retry_after)


def _kept(headers: dict[str, str]) -> dict[str, str]:
    """The first of an answer's headers: a stranger says how many there are."""
    return {name[:60]: value[:300].replace("\0", "") for name, value in list(headers.items())[:30]}


def signed(id: str, timestamp: int, body: bytes, *, secret: str, former: str = "") -> dict[str, str]:
    """The three headers of the signature; timestamp in Unix seconds, secret as "whsec_" + base64.

    former: the secret that was valid before; while it still is, both sign.
    """
    try:
        headers = signing.signed(id, timestamp, body, secret=secret)
        if former:
            headers["webhook-signature"] += (
                " " + signing.signed(id, timestamp, body, secret=former)["webhook-signature"]
            )
    except ValueError as error:
        raise Permanent("The trigger's secret is empty, or is not base64.") from error
    return headers


def former_secret(trigger: Trigger) -> str:
    """The secret before the present one, as long as it signs as well."""
    until = trigger.former_until
    return trigger.former_secret if until is not None and until > timezone.now() else ""


def headers_of(text: str) -> dict[str, str]:
    """A line each, Name: value. Raises ValueError, which names the line, for what is no header or is not the trigger's
    to say."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, sign, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not sign or not _NAME.fullmatch(name) or not value:
            raise ValueError(f"Line {number}: write Name: value.")
        if not (value.isprintable() and (value.isascii() or value == MASK)):
            raise ValueError(f"Line {number}: the value of {name} has characters that headers cannot hold.")
        if name.lower() in OURS:
            raise ValueError(f"Line {number}: {name} is written by us.")
        if name.lower() in {other.lower() for other in found}:
            raise ValueError(f"Line {number}: {name} stands there twice.")
        found[name] = value
    return found


def masked(text: str) -> str:
    """The lines as a person may see them: names, and that there is a value."""
    return "".join(f"{line.partition(':')[0].strip()}: {MASK}\n" for line in text.splitlines() if line.strip())


def unmasked(typed: str, *, stored: str) -> str:
    """What was typed, with the stored values where a mask was left. Raises ValueError as headers_of does."""
    known = {name.lower(): value for name, value in headers_of(stored).items()}
    lines = []
    for name, value in headers_of(typed).items():
        if value == MASK:
            if name.lower() not in known:
                raise ValueError(f"Type the value of {name}.")
            value = known[name.lower()]
        lines.append(f"{name}: {value}\n")
    return "".join(lines)
