"""Where the print files lie that an order file names: beside it in the inbox, or with it in one archive."""

import tempfile
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from django.conf import settings

from gelatoconnect.lib import storage
from gelatoconnect.lib.archives import Archive
from gelatoconnect.lib.places import Entry, Place
from intake.connectors.folder.parts import is_hidden
from intake.connectors.folder.watch import Watch, is_unfinished
from intake.connectors.folder.words import path_of


class Shelf(Protocol):
    def find(self, name: str, *, folder: str) -> str | None:
        """The path of the file that an order calls so; None when there is none, or more than one might be meant."""

    def keep(self, path: str) -> str:
        """Store the file by its content; its sha256, or nothing when it has gone meanwhile."""


class Beside:
    """The inbox with the folders in it. kept: path → sha256 of the files stored for one order file."""

    def __init__(self, place: Place, inbox: str, watch: Watch) -> None:
        self._place, self._inbox, self._watch = place, inbox, watch
        self._entries: dict[str, list[Entry]] = {}
        self.kept: dict[str, str] = {}

    def entries(self, folder: str) -> list[Entry]:
        """What lies there, as it was when it was first asked for; each file counts as seen."""
        if folder not in self._entries:
            path = "/".join(filter(None, (self._inbox, folder)))
            self._entries[folder] = self._place.entries(path)
            for entry in self._entries[folder]:
                if not entry.is_folder and not is_unfinished(entry.name):
                    self._watch.see(f"{folder}/{entry.name}" if folder else entry.name, entry)
        return self._entries[folder]

    def names(self) -> set[str]:
        return {entry.name for entry in self.entries("")}

    def find(self, name: str, *, folder: str) -> str | None:
        path = path_of(name)
        if path is None or is_unfinished(path.rpartition("/")[2]):
            return None
        above, _, last = path.rpartition("/")
        names = [entry.name for entry in self.entries(above) if not entry.is_folder]
        found = _best(last, names)
        return found and (f"{above}/{found}" if above else found)

    def keep(self, path: str) -> str:
        if path not in self.kept and (sha256 := self._stored("/".join(filter(None, (self._inbox, path))))):
            self.kept[path] = sha256
        return self.kept.get(path, "")

    def _stored(self, path: str) -> str:
        with tempfile.NamedTemporaryFile(dir=storage.incoming_dir(), prefix="folder-", delete=False) as file:
            temporary = Path(file.name)
            try:
                there = self._place.read(path, cast(BinaryIO, file), max_bytes=settings.FETCH_MAX_BYTES)
                file.flush()
                return storage.keep_file(temporary) if there else ""
            finally:
                temporary.unlink(missing_ok=True)


class InBundle:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._kept: dict[str, str] = {}

    def find(self, name: str, *, folder: str) -> str | None:
        """Below the order file's folder, or else below the archive's own."""
        path = path_of(name)
        if path is None:
            return None
        names = [member.name for member in self._archive.members if not is_hidden(member.name)]
        return _best(f"{folder}/{path}" if folder else path, names) or _best(path, names)

    def keep(self, path: str) -> str:
        if path not in self._kept:
            found = self._archive.unpack(path, into=storage.incoming_dir())
            storage.keep(found.path, found.sha256)
            self._kept[path] = found.sha256
        return self._kept[path]


def _best(name: str, names: list[str]) -> str | None:
    """The very name, or the only one that differs in nothing but case."""
    if name in names:
        return name
    similar = [each for each in names if each.casefold() == name.casefold()]
    return similar[0] if len(similar) == 1 else None
