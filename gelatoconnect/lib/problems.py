"""Problem: one thing that is wrong, said so that the reader can mend it.

What, where and how: every check, parser and door of the house speaks in Problems; they are stored on the
order, shown on its page and sent in the API's errors, always in this one shape.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    code      UPPER_SNAKE, the area first (ADDRESS_POSTCODE_FORMAT); stable for ever.
    message   what is wrong, in words a customer understands.
    path      where: an RFC 6901 JSON pointer into the submitted order ("/items/0/files/1").
    severity  "error" fails the order, "warning" lets it pass and is shown, "info" is only shown.
    hint      how to mend it.
    details   machine-readable facts: page, actual, limit, unit …
    """

    code: str
    message: str
    path: str = ""
    severity: Severity = "error"
    hint: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        said = asdict(self)
        if not self.details:
            del said["details"]
        return said


class Rejected(Exception):
    """What came in cannot be taken; carries everything that is wrong with it, and the HTTP status to answer."""

    def __init__(self, problems: Iterable[Problem], *, status: int = 422, title: str = "") -> None:
        self.problems = list(problems)
        self.status = status
        self.title = title or (self.problems[0].message if self.problems else "The request was refused")
        super().__init__("; ".join(f"{p.code} {p.path}: {p.message}" for p in self.problems))


def errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]


def problem_body(problems: Iterable[Problem], *, status: int, title: str = "") -> dict[str, Any]:
    """An error answer by RFC 9457 (application/problem+json) with all that is wrong in `errors`."""
    said = [problem.as_dict() for problem in problems]
    return {"type": "about:blank", "title": title or said[0]["message"], "status": status, "errors": said}
