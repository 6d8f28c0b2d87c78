"""Carrying out a talk: what a connector asks goes through the guarded door, what it remembers is kept at once."""

import json
from typing import Any, TypeVar

from django.db import transaction

from gelatoconnect.lib import http
from intake.connectors import memory_of
from intake.connectors.base import Ask, Remember, Talk
from intake.models import Connector
from orders.events import Permanent, TryLater

T = TypeVar("T")
MAX_ASKED = 500  # requests in one talk: a shop that always has a next page does not hold us for ever
SECRET = {"authorization", "x-api-key", "x-shopify-access-token", "cookie"}
SHOWN = 4096  # characters of a body that are kept with the attempt


def hold(talk: Talk[T], connector: Connector, *, report: dict[str, Any] | None = None) -> T:
    """The talk's result. Raises TryLater or Permanent when the other side does not play along (see Ask).

    report: filled with what was said last, as deliveries keep it, and under "before" with what was said until then.
    """
    said: Any = None
    asked = 0
    try:
        while True:
            step = talk.send(said)
            if isinstance(step, Remember):
                said = keep(connector, step)
                continue
            asked += 1
            if asked > MAX_ASKED:
                raise Permanent(f"More than {MAX_ASKED} requests in one talk.")
            said = _asked(step, report)
    except StopIteration as end:
        return end.value


def keep(connector: Connector, remember: Remember) -> dict[str, Any]:
    """Write into the connector's memory; says the whole of it."""
    with transaction.atomic():
        fresh = Connector.objects.select_for_update().get(pk=connector.pk)
        memory = memory_of(fresh) | dict(remember.values)
        fresh.memory = connector.memory = json.dumps({key: value for key, value in memory.items() if value is not None})
        fresh.save(update_fields=["memory"])
    return memory_of(connector)


def _asked(ask: Ask, report: dict[str, Any] | None) -> http.Answer:
    quiet = SECRET | {name.lower() for name in ask.quiet}
    headers = {name: "•••" if name.lower() in quiet else value for name, value in ask.headers.items()}
    request = {"method": ask.method, "url": _without(ask, ask.url), "headers": headers, "body": _shown(ask, ask.body)}
    if report is not None:
        if "request" in report:
            before = {name: report[name] for name in ("request", "answer") if name in report}
            report["before"] = [*report.get("before", []), before]
        report.pop("answer", None)
        report["request"] = request
    try:
        answer = http.send(ask.url, method=ask.method, body=ask.body, headers=ask.headers, max_answer=ask.max_answer)
    except http.Failed as failure:
        raise (Permanent if failure.permanent else TryLater)(f"{failure.code}: {failure.message}") from failure
    if report is not None:
        report["answer"] = {"status": answer.status, "body": _shown(ask, answer.body)}
    if 200 <= answer.status < 300 or answer.status in ask.accept:
        return answer
    address, said = _without(ask, ask.url).split("?")[0], _shown(ask, answer.body)[:300]
    message = f"{ask.method} {address} was answered {answer.status}: {said}"
    if answer.status in (408, 429) or answer.status >= 500:
        raise TryLater(message, after=answer.retry_after)
    raise Permanent(message)


def _shown(ask: Ask, body: bytes) -> str:
    if ask.private:
        return "•••"
    return _without(ask, body[: 2 * SHOWN].decode(errors="replace"))[:SHOWN].replace("\0", "")


def _without(ask: Ask, text: str) -> str:
    for secret in filter(None, ask.secrets):
        text = text.replace(secret, "•••")
    return text
