"""`manage.py retain`: erase what is older than the RETAIN_… settings say, at once rather than at the full hour."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gelatoconnect.retention import RULES


class Command(BaseCommand):
    help = "Erase what is older than the RETAIN_… settings say"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        for rule in RULES:
            kept = f"{rule.setting}={rule.days}"
            if not rule.days:
                self.stdout.write(f"{rule.about}: kept for ever ({kept})")
                continue
            count = rule.carry_out(dry=dry_run)
            self.stdout.write(f"{rule.about}: {count:,} {'would be erased' if dry_run else 'erased'} ({kept})")
