"""The folder as a connector: what its files mean, and what is laid into it in return."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from gelatoconnect.lib import strict, xml
from gelatoconnect.lib.places import Failed, visit
from gelatoconnect.lib.problems import Problem, Rejected, problem_body
from intake.connectors.base import ConnectorType, Desk, Meaning, Message, Outcome, Submit, Talk, Told
from intake.connectors.folder.config import FolderConfig
from intake.connectors.folder.scan import Scan
from intake.connectors.folder.telling import status_of
from intake.connectors.folder.words import in_our_words, path_of, print_files
from intake.mapping import meaning_of
from intake.tables import ROW_PROBLEMS, order_of
from orders.drafts import pointer, read
from orders.events import Permanent, TryLater

VISIT_SECONDS = 840.0  # of one scan; less than the lease of its claims
TELL_SECONDS = 60.0


class Folder(ConnectorType):
    name = "folder"
    label = "Folder, FTP or SFTP"
    about = "Orders are laid as files into a folder, here or on a server: JSON, XML, CSV, or ZIP with the print files."
    Config = FolderConfig
    pulls = scans = mappable = True
    tells = ("order.shipped", "order.canceled", "order.failed")

    def scan(self, desk: Desk) -> int:
        try:
            with visit(desk.config.account, seconds=VISIT_SECONDS) as place:
                return Scan(place, desk, meaning=self.meaning).run()
        except Failed as failure:
            raise (Permanent if failure.permanent else TryLater)(str(failure)) from failure

    def parse(self, message: Message) -> Meaning:
        """Raises Rejected also for print files that are named, and were not delivered."""
        _refuse_as_before(message)
        meaning = self.meaning(message)
        if isinstance(meaning, Submit):
            missing = [_missing(file.url, pointer("items", item, "files", number, "url"))
                       for item, number, file in print_files(meaning.draft) if file.url not in message.contents]  # fmt: skip
            if missing:
                raise Rejected(missing)
        return meaning

    def meaning(self, message: Message) -> Meaning:
        """What the request asks for, wherever its print files are."""
        meaning = meaning_of(message) if message.mapping is not None else _submit(message)
        if isinstance(meaning, Submit):
            source = {"file": message.topic} | dict(meaning.source) if message.topic else meaning.source
            meaning = replace(meaning, source=source, source_id=meaning.source_id or _source_id(message.headers))
        return meaning

    def answer(self, outcome: Outcome, message: Message) -> str:
        """Nobody is on the line: it stands on the request's page."""
        if outcome.order is None:
            return json.dumps(problem_body(outcome.problems, status=outcome.status) if outcome.problems else {})
        return json.dumps({"id": str(outcome.order.pk), "orderReferenceId": outcome.order.reference})

    def postback(self, told: Told, config: Any, memory: dict[str, Any]) -> Talk[None]:
        """A status file in out/: complete from the moment it has its name. Not by HTTP, so nothing is asked: it is laid
        there directly."""
        if config.status_files:
            name, content = status_of(told)
            try:
                with visit(config.account, seconds=TELL_SECONDS) as place:
                    place.make_folder("out")
                    place.write(f"out/.{name}.part", content)
                    if (
                        place.find(f"out/{name}") is not None
                    ):  # of an attempt that was cut off; not every server replaces
                        place.remove(f"out/{name}")
                    place.rename(f"out/.{name}.part", f"out/{name}")
            except Failed as failure:  # settings may be mended before the last attempt
                raise TryLater(str(failure)) from failure
        return
        yield


def _submit(message: Message) -> Submit:
    body, kind = message.body, message.content_type
    config = message.config or FolderConfig(path="-")
    defaults = {"currency": config.currency, "shipmentMethodUid": config.shipment_method}
    if "xml" in kind and body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] == b"<":
        data = in_our_words(xml.data_of(xml.loads(body, max_bytes=settings.API_MAX_BYTES)), emptied=True)
    else:
        data = strict.loads(body, max_bytes=settings.API_MAX_BYTES)
        if isinstance(data, dict) and ROW_PROBLEMS in data:
            draft, notes = order_of(body, defaults=defaults)
            return Submit(draft, notes=tuple(notes))
        data = in_our_words(data, emptied="from=xml" in kind)
    if isinstance(data, dict):
        data = {key: value for key, value in defaults.items() if value and not data.get(key)} | {
            key: value for key, value in data.items() if not (value == "" and defaults.get(key))
        }
    return Submit(read(data))


def _source_id(headers: Mapping[str, str]) -> str:
    """Of one order in one content: it is made once, whatever its file is called, and also when its request was mended."""
    content = headers.get("file-sha256", "")
    return f"{content[:40]}:{headers.get('file-part', '1')}" if content else ""


def _refuse_as_before(message: Message) -> None:
    """A file that could not be read at all is refused with what was said of it, until somebody mends its body."""
    said = message.headers.get("file-refused")
    if said and message.headers.get("body-sha256") == hashlib.sha256(message.body).hexdigest():
        raise Rejected([Problem(**problem) for problem in json.loads(said)])


def _missing(url: str, path: str) -> Problem:
    if path_of(url) is None:
        return Problem("FILE_NAME_UNSAFE", f"{url[:120]!r} is not the name of a file below the order file's folder.", path,
                       hint="Name a file beside the order file, such as card.pdf or files/card.pdf.")  # fmt: skip
    return Problem("FILE_NOT_DELIVERED", f"The print file {url[:120]!r} did not come with the order file.", path,
                   hint="Put it beside the order file (or into the archive) under this very name, or write its full "
                   "address; then put the order file into the inbox again.")  # fmt: skip
