"""What a trigger would send of an event, for a person to look at."""

from dataclasses import dataclass, field
from typing import Any

from gelatoconnect.lib.problems import Problem, Rejected
from orders.models import Trigger
from orders.notifications import Body, Malformed, make
from orders.payloads import Occasion
from orders.texts import pretty

SHOWN = 20_000  # characters
MOST_HTML = 200_000


@dataclass
class Preview:
    """What would be sent; empty where it does not apply or did not get so far.

    kind     "json", "xml", "text" or "mail"
    frame    the address at which the mail's HTML is shown
    """

    told: str
    kind: str = ""
    content_type: str = ""
    body: str = ""
    size: int = 0
    subject: str = ""
    to: str = ""
    html: str = ""
    frame: str = ""
    data: str = ""
    problems: list[Problem] = field(default_factory=list)

    @property
    def shown_problems(self) -> list[dict[str, Any]]:
        return [problem.as_dict() for problem in self.problems]

    @property
    def lines(self) -> list[tuple[int, str, bool]]:
        """The body by line, and whether a problem is in it."""
        wrong = {problem.details.get("outputLine") for problem in self.problems}
        return [(number, text, number in wrong) for number, text in enumerate(self.body.splitlines(), 1)]


def preview(trigger: Trigger, occasion: Occasion) -> Preview:
    """Renders and sends nothing."""
    trial = Preview(told=occasion.kind)
    if trigger.template.strip() or trigger.html.strip() or trigger.subject.strip():
        trial.data = pretty(occasion.context())[:SHOWN]
    try:
        made = make(trigger, occasion)
    except Rejected as refusal:
        trial.problems += refusal.problems
        trial.body = refusal.text[:SHOWN] if isinstance(refusal, Malformed) else ""
        return trial
    except ValueError as error:
        trial.problems.append(Problem("TRIGGER_HEADERS", str(error)))
        return trial
    if isinstance(made, Body):
        trial.kind = next((kind for kind in ("json", "xml") if kind in made.content_type), "text")
        trial.content_type, trial.size = made.content_type, len(made.text.encode(errors="replace"))
        # The standard payload is sent on one line; it is shown with one for each value.
        trial.body = (made.text if trigger.template.strip() else _readable(made.text, trial.kind))[:SHOWN]
    else:
        trial.kind, trial.to, trial.subject = "mail", ", ".join(made.to), str(made.subject)
        trial.body = str(made.body)[:SHOWN]
        trial.html = next((str(content)[:MOST_HTML] for content, kind in made.alternatives if kind == "text/html"), "")
    return trial


def _readable(text: str, kind: str) -> str:
    return pretty(text) if kind == "json" else text.replace("><", ">\n<")
