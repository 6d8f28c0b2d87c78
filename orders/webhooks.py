"""The signed POST, by Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks)."""

import time

from gelatoconnect.lib import http, signing
from orders.events import Permanent, TryLater
from orders.models import Delivery, Trigger


def post(trigger: Trigger, delivery: Delivery, *, body: bytes) -> None:
    """Send the body, signed. 2xx is success; a redirect is a failure; the id is the event's on every attempt."""
    headers = {"Content-Type": "application/json"} | signed(
        str(delivery.event_id), int(time.time()), body, secret=trigger.secret
    )
    report = delivery.report = {
        "request": {"method": "POST", "url": trigger.address, "headers": headers, "body": body.decode()}
    }
    try:
        answer = http.send(trigger.address, body=body, headers=headers)
    except http.Failed as failure:
        raise (Permanent if failure.permanent else TryLater)(f"{failure.code}: {failure.message}") from failure
    report["answer"] = {"status": answer.status, "body": answer.body.decode(errors="replace")}
    if not 200 <= answer.status < 300:
        raise TryLater(f"The receiver answered {answer.status}.", after=answer.retry_after)


def signed(id: str, timestamp: int, body: bytes, *, secret: str) -> dict[str, str]:
    """The three headers of the signature; timestamp in Unix seconds, secret as "whsec_" + base64."""
    try:
        return signing.signed(id, timestamp, body, secret=secret)
    except ValueError as error:
        raise Permanent("The trigger's secret is empty, or is not base64.") from error
