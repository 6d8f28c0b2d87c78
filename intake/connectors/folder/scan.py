"""One look into a folder: whole files are claimed, taken, and moved away with what became of them."""

import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import cast
from uuid import UUID

from django.db import DatabaseError
from django.utils import timezone

from gelatoconnect.lib import storage
from gelatoconnect.lib.archives import opened
from gelatoconnect.lib.failpoints import reached
from gelatoconnect.lib.places import Entry, Failed, Place
from gelatoconnect.lib.problems import Problem, Rejected
from intake.connectors.base import Desk, Incoming, Meaning, Message, Outcome, Remember, Submit
from intake.connectors.folder.archive import Archives
from intake.connectors.folder.claims import TRIES, Claim, abandoned, claim, shown
from intake.connectors.folder.config import RESERVED, FolderConfig
from intake.connectors.folder.parts import Part, kind_of_file
from intake.connectors.folder.reading import OrderFile, limits, reading, refused
from intake.connectors.folder.shelves import Beside, InBundle, Shelf
from intake.connectors.folder.telling import why_failed
from intake.connectors.folder.watch import Watch, is_unfinished, markers_of
from intake.connectors.folder.words import print_files
from intake.models import OrderRequest

log = logging.getLogger(__name__)

SCAN_SECONDS = 600.0  # after which nothing new is begun
SUBFOLDERS = 20  # of the inbox, in which print files are watched
NOTE_KNOWN = "This very content was taken before, perhaps under another name: no second order was made of it.\n"
PRINT_FILE_CHANGED = Problem(
    "ORDER_FILE_CHANGED", "This very order was taken before, with another print file; it was not changed.",
    hint="To print the new file, send the order under another orderReferenceId, or replace the file on the order's page.",
)  # fmt: skip
_GONE_FOR_ALL = ("FOLDER_UNREACHABLE", "FOLDER_TIMEOUT", "FOLDER_HOST", "FOLDER_LOGIN")


@dataclass(slots=True)
class Verdict:
    """What became of a file: the orders of it that were refused, by what they are called. known: all were taken before."""

    refused: list[tuple[str, list[Problem]]] = field(default_factory=list)
    known: bool = False

    def add(self, called: str, problems: list[Problem]) -> None:
        self.refused.append((called, problems))


class Scan:
    """`meaning`: what a message asks for, so that its print files are known before it is taken."""

    def __init__(self, place: Place, desk: Desk, *, meaning: Callable[[Message], Meaning]) -> None:
        self.place, self.desk, self.meaning = place, desk, meaning
        self.config = cast(FolderConfig, desk.config)
        self.mapping = desk.connector.mappings.first()
        self.now = timezone.now()
        memory = json.loads(desk.connector.memory or "{}")
        self.watch = Watch(memory.get("seen"), self.config, now=self.now.timestamp())
        self.archives = Archives(place, now=self.now, days=self.config.keep_days)
        self.tidied = float(memory.get("tidied") or 0)
        self.beside = Beside(place, self.config.inbox, self.watch)
        self.waiting_for: set[str] = set()  # print files of orders that wait for others
        self.used: dict[str, str] = {}  # print files of orders that were taken → where they go
        self.troubles: list[Failed] = []

    def run(self) -> int:
        """Says how many files were taken. Raises Failed at the end, when some could not be handled."""
        until, count = monotonic() + SCAN_SECONDS, 0
        for folder in filter(None, (self.config.inbox, "work", "processed", "failed")):
            self.place.make_folder(folder)
        try:
            for each in self._work():
                if monotonic() > until:
                    break
                with self._trouble_noted():
                    count += each()
            self._move_print_files()
            self._tidy()
        finally:
            if (seen := self.watch.changes) is not None:
                self.desk.keep(Remember({"seen": seen or None}))
        if self.troubles:
            raise self.troubles[0]
        return count

    def _work(self) -> Iterator[Callable[[], bool]]:
        """First what somebody claimed and never ended, then what lies in the inbox."""
        for left in abandoned(self.place, now=self.now):
            yield partial(self._take_over, left)
        files = [each for each in self._inbox() if kind_of_file(each.name) and not is_unfinished(each.name)]
        random.shuffle(files)  # several pollers: fewer collisions
        for entry in files:
            yield partial(self._look_at, entry)

    def _inbox(self) -> list[Entry]:
        """Its files, each seen once more; with those of the folders in it, where print files may lie."""
        entries = self.beside.entries("")
        folders = [each.name for each in entries if each.is_folder and not is_unfinished(each.name)]
        if not self.config.inbox:
            folders = [name for name in folders if name not in RESERVED]
        for folder in folders[:SUBFOLDERS]:
            self.beside.entries(folder)
        return [each for each in entries if not each.is_folder]

    # --- one file ---
    def _look_at(self, entry: Entry) -> bool:
        """Take a file of the inbox, if it is whole and all of its print files are there, and nobody else was quicker."""
        around = self.beside.names()
        if not self.watch.is_whole(entry.name, around):
            return False
        path = self._in_inbox(entry.name)
        with self._read(path, entry, shown(entry.name)) as file:
            if file is None:
                return False
            file.names = [self._named(part) for part in file.parts]
            over = self.watch.is_patience_over(entry.name)
            if not over and self.config.ready == "stable" and file.ends_early:
                return False
            with ExitStack() as stack:
                shelf = self._shelf_of(file, stack)
                if not over and not self._are_known(file) and (missing := self._missing(file, shelf, around)):
                    self.waiting_for |= missing
                    return False
                mine = claim(self.place, path, now=timezone.now())
                if mine is None or not self._is_unchanged(mine, entry):
                    return False
                reached("folder.claimed")
                self._end(mine, file, self._take(file, shelf))
        for marker in markers_of(entry.name, around):
            self.place.remove(self._in_inbox(marker))
        self.watch.forget(entry.name)
        return True

    def _take_over(self, left: Claim) -> bool:
        """Take a file whose claimer died. What was claimed too often takes its claimers with it, and is given up."""
        mine = claim(self.place, left.path, now=timezone.now(), name=left.name, tries=left.tries + 1)
        entry = self.place.find(mine.path) if mine else None
        if mine is None or entry is None:
            return False
        if mine.tries > TRIES:
            problem = Problem("FILE_GIVEN_UP", f"It was begun {TRIES} times, and never ended.",
                              hint="Tell whoever runs this system; the file itself may be what stops it.")  # fmt: skip
            self._end(mine, None, Verdict([(mine.name, [problem])]))
            return True
        with self._read(mine.path, entry, mine.name) as file:
            if file is None:
                return False
            file.names = [self._named(part) for part in file.parts]
            with ExitStack() as stack:
                self._end(mine, file, self._take(file, self._shelf_of(file, stack)))
        return True

    def _read(self, path: str, entry: Entry, name: str) -> AbstractContextManager[OrderFile | None]:
        mapped = self.mapping is not None
        return reading(self.place, path, entry, name=name, mapped=mapped, group_by=self.config.group_by)

    def _is_unchanged(self, mine: Claim, entry: Entry) -> bool:
        """Whether what was claimed is what was read. If not it is left to itself until its claim is over."""
        found = self.place.find(mine.path)
        if found is None or found.size != entry.size:
            return False
        return (
            not found.changed or not entry.changed or abs(found.changed - entry.changed) < 60
        )  # not all servers tell it

    # --- its print files ---
    def _shelf_of(self, file: OrderFile, stack: ExitStack) -> Shelf:
        if file.refusal is None and file.is_bundle:
            return InBundle(stack.enter_context(opened(file.content, limits=limits())))
        return self.beside

    def _named(self, part: Part) -> list[str]:
        """The print files that an order names; none when it cannot be understood."""
        message = Message(part.body, content_type=part.content_type, config=self.config, mapping=self.mapping)
        try:
            meaning = self.meaning(message)
        except Rejected:
            return []
        return [file.url for _, _, file in print_files(meaning.draft)] if isinstance(meaning, Submit) else []

    def _missing(self, file: OrderFile, shelf: Shelf, around: set[str]) -> set[str]:
        """Where one of the named files is not there, or not whole: all of them, which are to stay until it is."""
        if isinstance(shelf, InBundle):
            return set()
        found = [shelf.find(name, folder=part.folder) for part, names in zip(file.parts, file.names, strict=True)
                 for name in names]  # fmt: skip
        wanted = {each for each in found if each}
        marked = self.config.ready == "marker"  # the marker is laid last
        if all(each is not None and (marked or self.watch.is_whole(each, around)) for each in found):
            return set()
        return wanted or {""}

    def _are_known(self, file: OrderFile) -> bool:
        keys = file.keys
        known = OrderRequest.objects.filter(connector=self.desk.connector.pk, key__in=keys).count()
        return bool(keys) and known == len(keys)

    # --- taking ---
    def _take(self, file: OrderFile, shelf: Shelf) -> Verdict:
        """Every order of the file, as a request of its own. The file itself is kept by its content."""
        if file.refusal is not None:
            return self._refuse(file, file.refusal)
        if not file.is_bundle:  # whose members are kept
            storage.keep_bytes(file.content.read_bytes())
        verdict = Verdict(known=bool(file.parts))
        for number, (part, names, key) in enumerate(zip(file.parts, file.names, file.keys, strict=True), 1):
            called = file.name if len(file.parts) == 1 else f"Order {number} of {len(file.parts)}"
            try:
                contents = self._stored(names, shelf, folder=part.folder)
            except Rejected as refusal:
                return self._refuse(file, refusal)
            headers = {"file-name": file.name, "file-sha256": file.sha256, "file-part": str(number)}
            incoming = Incoming(part.body, headers, part.content_type, topic=file.name, key=key, contents=contents)
            try:
                outcome = self.desk.take(incoming)
            except Rejected as refusal:
                verdict.add(called, refusal.problems)
                continue
            verdict.known &= outcome.replayed
            if outcome.status >= 400:
                verdict.add(called, outcome.problems)
            elif outcome.replayed and contents and not self._had(outcome, contents):
                verdict.add(called, [PRINT_FILE_CHANGED])
        return verdict

    def _refuse(self, file: OrderFile, refusal: Rejected) -> Verdict:
        self.desk.take(refused(file, refusal))
        return Verdict([(file.name, refusal.problems)])

    def _stored(self, names: list[str], shelf: Shelf, *, folder: str) -> dict[str, str]:
        """The print files that an order names and that are there: as it calls them → sha256. Raises Rejected."""
        stored = {}
        for name in names:
            found = shelf.find(name, folder=folder)
            try:
                if found and (sha256 := shelf.keep(found)):
                    stored[name] = sha256
            except Failed as failure:
                if failure.code != "FOLDER_FILE_TOO_LARGE":
                    raise
                raise Rejected([Problem("FILE_TOO_LARGE", failure.message, hint="Send a smaller file.")]) from failure
        return stored

    def _had(self, outcome: Outcome, contents: dict[str, str]) -> bool:
        """Whether the order, when it was taken before, had these very print files."""
        return OrderRequest.objects.filter(pk=outcome.request or UUID(int=0), contents=contents).exists()

    def _end(self, mine: Claim, file: OrderFile | None, verdict: Verdict) -> None:
        """Everything is committed: move the file to where it belongs, and say why if it failed."""
        reached("folder.committed")
        to = "failed" if verdict.refused else "processed"
        name = self.archives.file_away(mine.path, mine.name, to=to)
        if verdict.refused:
            self.place.write(f"failed/{name}.error.txt", why_failed(mine.name, verdict.refused).encode())
        else:
            self.archives.forget_failure(mine.name)
            if verdict.known:
                self.place.write(f"processed/{name}.note.txt", NOTE_KNOWN.encode())
        if file is not None:
            for path in self.beside.kept:
                self.used[path] = "failed" if "failed" in (to, self.used.get(path)) else to
            self.beside.kept.clear()

    def _move_print_files(self) -> None:
        """With the last order that named them, so that no later order gets an earlier one's file of the same name."""
        for path, to in self.used.items():
            if path not in self.waiting_for:
                self.archives.file_away(self._in_inbox(path), path, to=to)
                self.watch.forget(path)

    def _tidy(self) -> None:
        if self.config.keep_days and self.archives.is_due(self.tidied):
            self.archives.tidy()
            self.desk.keep(Remember({"tidied": self.now.timestamp()}))

    def _in_inbox(self, name: str) -> str:
        return f"{self.config.inbox}/{name}" if self.config.inbox else name

    @contextmanager
    def _trouble_noted(self) -> Iterator[None]:
        """One file that cannot be handled stops no other. It stays where it is: in the inbox, or claimed for a while."""
        try:
            yield
        except Failed as failure:
            if failure.code in _GONE_FOR_ALL:
                raise
            self.troubles.append(failure)
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("A file of the folder %s could not be taken", self.desk.connector.name)
            self.troubles.append(Failed("FOLDER_FAULT", f"A fault of ours: {type(error).__name__}. It is tried again."))
