"""Where files go when they are done with: processed/ and failed/, for as long as is set."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count

from gelatoconnect.lib.places import Entry, Place

TIDIED_EVERY = timedelta(hours=1)
FOLDERS = ("processed", "failed")
_DATED = re.compile(r"(\d{4}-\d\d-\d\d)T\d{6} ")
A_DAY = 24 * 3600.0


class Archives:
    def __init__(self, place: Place, *, now: datetime, days: int) -> None:
        self._place, self._now, self._days = place, now, days

    def file_away(self, path: str, name: str, *, to: str) -> str:
        """Move a file there, under its own name; with the time before it when that is taken, or when the file is older
        than a day, since its age tells when it is deleted. Says the name; folders in it are made."""
        above, _, last = name.rpartition("/")
        folder = f"{to}/{above}" if above else to
        if above:
            self._place.make_folder(folder)
        entry = self._place.find(path)
        is_old = entry is not None and abs(self._now.timestamp() - entry.changed) > A_DAY
        if is_old or self._place.find(f"{folder}/{last}") is not None:
            last = self._free(folder, last)
        self._place.rename(path, f"{folder}/{last}")
        return f"{above}/{last}" if above else last

    def _free(self, folder: str, name: str) -> str:
        moment = f"{self._now.astimezone(UTC):%Y-%m-%dT%H%M%S}"
        names = (f"{moment} {name}" if number == 1 else f"{moment} {number} {name}" for number in count(1))
        return next(each for each in names if self._place.find(f"{folder}/{each}") is None)

    def forget_failure(self, name: str) -> None:
        """A file that failed was put back and taken: the text that says why it failed is of no use any more."""
        if self._place.find(f"failed/{name}") is None:
            self._place.remove(f"failed/{name}.error.txt")

    def is_due(self, tidied: float) -> bool:
        return self._now.timestamp() - tidied >= TIDIED_EVERY.total_seconds()

    def tidy(self) -> None:
        """Delete what has lain there longer than is set; folders in it too are looked through."""
        for folder in FOLDERS:
            for entry in self._place.entries(folder):
                if entry.is_folder:
                    for inner in self._place.entries(f"{folder}/{entry.name}"):
                        self._remove_old(f"{folder}/{entry.name}", inner)
                else:
                    self._remove_old(folder, entry)

    def _remove_old(self, folder: str, entry: Entry) -> None:
        if not entry.is_folder and self._now.timestamp() - moved_at(entry) > self._days * A_DAY:
            self._place.remove(f"{folder}/{entry.name}")


def moved_at(entry: Entry) -> float:
    """When it came here, at the latest by a day: as its name says, else when it was last changed."""
    if match := _DATED.match(entry.name):
        try:
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            pass
    return entry.changed
