"""The owner's side of reading files elsewhere: a file's path goes there, its facts come back."""

from pathlib import Path
from typing import Any, NamedTuple

from gelatoconnect.lib.apart.owner import Pool
from intake.preflight.facts import Facts, Preview, blank_facts
from intake.preflight.formats import MIME, sniff
from intake.preflight.limits import PREVIEW_SECONDS

READERS = Pool("intake.preflight.child")


class Answer(NamedTuple):
    """facts, or {"code": "SYS_…", "what": …}; the previews made; the most memory used, in kB."""

    facts: Any
    previews: list[Preview] | None = None
    peak: int = 0


def inspect(path: Path, *, previews: Path | None = None, seconds: float = 90) -> Facts:
    """Facts of the file, read in a process of its own with limits on memory, time and writing.

    `previews`: a folder for JPEGs of the first pages. `seconds`: of wall time for the facts. What cannot be told because
    a limit was hit, or because the reading process died, is in `system` of the facts. Raises OSError without the file.
    """
    name = sniff(path)
    if previews is not None:
        previews.mkdir(parents=True, exist_ok=True)
    answer = lend(path, previews=previews, seconds=seconds)
    if "state" in answer.facts:
        return answer.facts | {"previews": answer.previews or []}
    unknown = blank_facts(size=path.stat().st_size, format=name, mime=MIME[name])
    unknown["system"] = [answer.facts]
    return unknown


def lend(path: Path, *, previews: Path | None, seconds: float) -> Answer:
    """The answer of a warm process."""
    question = {"path": str(path.resolve()), "previews": previews and str(previews.resolve())}
    said = READERS.ask(question, seconds=seconds, rest=PREVIEW_SECONDS)
    if said is None:
        return Answer({"code": "SYS_CRASH", "what": "the reading process could not be kept alive"})
    facts, *rest = said
    return Answer(facts, **rest[0] if rest else {})
