"""Whether a file is whole: as its sender marks it, or because it has not changed for a while.

What was seen is kept between two scans, so that somebody who stops in the middle of an upload is waited for.
"""

from collections.abc import Collection
from typing import Any

from gelatoconnect.lib.places import Entry
from intake.connectors.folder.config import FolderConfig

SIGHTINGS = 3
MOST = 2_000  # files that are remembered
UNFINISHED = (".part", ".tmp", ".temp", ".filepart", ".partial", ".crdownload", ".uploading", ".swp", "~")
MARKERS = (".done", ".ready")


class Watch:
    """What is known of the files that lie there: path → [size, changed, times, first seen, last counted]."""

    def __init__(self, known: Any, config: FolderConfig, *, now: float) -> None:
        self._known: dict[str, list[float]] = dict(known) if isinstance(known, dict) else {}
        self._before = dict(self._known)
        self._config, self._now = config, now
        self._seen: dict[str, list[float]] = {}

    def see(self, path: str, entry: Entry) -> None:
        """Count a sighting, unless the last one was only just now. A file that has changed is a new one."""
        if path in self._seen:
            return
        size, changed, times, first, last = self._known.get(path, [-1, 0, 0, 0, 0])
        if (size, changed) != (entry.size, entry.changed):
            self._seen[path] = [entry.size, entry.changed, 1, self._now, self._now]
        elif times < SIGHTINGS and self._now - last >= self._config.stable_seconds / (SIGHTINGS - 1):
            self._seen[path] = [size, changed, times + 1, first, self._now]
        else:
            self._seen[path] = [size, changed, times, first, last]

    def is_whole(self, path: str, around: Collection[str]) -> bool:
        """around: the names beside it, among which its marker may be."""
        if self._config.ready == "rename":
            return True
        if self._config.ready == "marker":
            return bool(markers_of(path.rpartition("/")[2], around))
        _, _, times, first, _ = self._seen[path]
        return times >= SIGHTINGS and self._now - first >= self._config.stable_seconds

    def is_patience_over(self, path: str) -> bool:
        """Whether it has been waited for what belongs to it, or for its end, as long as is set."""
        return self._now - self._seen[path][3] >= self._config.wait_minutes * 60

    def forget(self, path: str) -> None:
        self._seen.pop(path, None)

    @property
    def changes(self) -> dict[str, list[float]] | None:
        """What is to be remembered, when it is not what was."""
        kept = dict(list(self._seen.items())[:MOST])
        return kept if kept != self._before else None


def is_unfinished(name: str) -> bool:
    """A name that is given to what is still being written, or is nobody's order."""
    return name.startswith((".", "~")) or name.lower().endswith(UNFINISHED)


def markers_of(name: str, around: Collection[str]) -> list[str]:
    """The markers of a file that lie beside it: order.json.done, or order.done."""
    stem = name.rpartition(".")[0]
    return [each for end in MARKERS for each in (f"{name}{end}", f"{stem}{end}") if stem and each in around]
