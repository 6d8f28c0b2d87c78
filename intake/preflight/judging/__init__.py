"""From facts to Problems: pure, one small generator for each group of checks; the texts are in `codes`."""

from collections.abc import Iterable, Iterator

from gelatoconnect.lib.problems import Problem
from intake.preflight.facts import Facts
from intake.preflight.judging.colour import colours
from intake.preflight.judging.document import document
from intake.preflight.judging.file import file_itself, system
from intake.preflight.judging.finding import Finding, pages_in_words
from intake.preflight.judging.fonts import fonts, small_things
from intake.preflight.judging.images import images
from intake.preflight.judging.pages import pages
from intake.preflight.judging.raster import raster
from intake.preflight.profile import Profile

MOST = 100
"""Problems of one code, and pages of one problem, that are listed."""


def judge(facts: Facts, profile: Profile, *, name: str = "") -> list[Problem]:
    """What speaks against printing a file with these facts as this product; the same on many pages is said once."""
    return list(_at_most(_gathered(_findings(facts, profile, name))))


def _findings(facts: Facts, profile: Profile, name: str) -> Iterator[Finding]:
    yield from system(facts)
    yield from file_itself(facts, profile, name)
    if facts["state"] != "read" or facts["format"] not in profile.formats:
        return
    if facts["format"] != "pdf":
        yield from raster(facts, profile)
        return
    for group in (document, pages, fonts, small_things, images, colours):
        yield from group(facts, profile)


def _gathered(findings: Iterable[Finding]) -> Iterator[Problem]:
    """One Problem for what differs in nothing but the page."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.weight, finding.message), []).append(finding)
    for (code, _, message), same in groups.items():
        numbers = sorted({finding.page for finding in same if finding.page})
        details = same[0].details
        if numbers:
            details, message = details | {"page": numbers[0]}, f"{pages_in_words(numbers)}: {message}"
        if len(numbers) > 1:
            details |= {"pages": numbers[:MOST], "page_count": len(numbers)}
        yield Problem(code, message, severity=same[0].weight, hint=same[0].hint, details=details)


def _at_most(problems: Iterable[Problem]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for problem in problems:
        seen[problem.code] = seen.get(problem.code, 0) + 1
        if seen[problem.code] <= MOST:
            yield problem
