"""`manage.py lifecycle`: writes docs/lifecycle.md, the picture and the table of an order's life, from the code."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from orders.lifecycle import STEPS, Status, arrows

PATH = settings.BASE_DIR / "docs" / "lifecycle.md"


def page() -> str:
    """The whole page: a Mermaid state diagram, and a row for every verb."""
    lines = [
        "# The life of an order",
        "",
        "Written by `manage.py lifecycle` from `orders/lifecycle.py`; do not edit.",
        "",
    ]
    lines += ["```mermaid", "stateDiagram-v2", "    [*] --> draft: place (draft)", "    [*] --> received: place"]
    lines += [f"    {arrow.source} --> {arrow.target}: {arrow.name}" for arrow in arrows()]
    lines += ["    delivered --> [*]", "    returned --> [*]", "    canceled --> [*]", "```", ""]
    lines += ["| verb | shown as | from | to | event | who may |", "| --- | --- | --- | --- | --- | --- |"]
    for name, step in STEPS.items():
        mine = [arrow for arrow in arrows() if arrow.name == name]
        sources = ", ".join(Status(str(arrow.source)).label for arrow in mine)
        who = " · ".join(
            filter(None, [f"`{step.permission}`" if step.permission else "the checks", "API" if step.api else ""])
        )
        lines.append(
            f"| `{name}` | {step.label} | {sources} | {Status(str(mine[0].target)).label} | `{step.event}` | {who} |"
        )
    lines += ["", "On hold, `release`, `start`, `finish`, `package` and `ship` wait until the order is resumed.", ""]
    return "\n".join(lines)


class Command(BaseCommand):
    help = "Write the picture of an order's life into docs/lifecycle.md"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")

    def handle(self, *args: Any, check: bool = False, **options: Any) -> None:
        if check:
            if PATH.read_text() != page():
                raise CommandError("docs/lifecycle.md is not what the code says: run `manage.py lifecycle`.")
            return
        PATH.write_text(page())
        self.stdout.write(f"Wrote {PATH.relative_to(settings.BASE_DIR)}")
