"""`manage.py forget REFERENCE_OR_EMAIL`: forget a recipient who asked for it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Q

from gelatoconnect.lib.ids import parse_id
from orders import audit, privacy
from orders.models import Order


class Command(BaseCommand):
    help = "Forget the recipient of an order (its id or reference), or of all orders with an e-mail address"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("whom", metavar="REFERENCE_OR_EMAIL")

    def handle(self, *args: Any, whom: str, **options: Any) -> None:
        wanted = Q(address__email__iexact=whom) if "@" in whom else Q(reference=whom) | Q(pk=parse_id(whom))
        orders = Order.objects.filter(wanted)
        ids = list(orders.values_list("pk", flat=True))
        if not ids:
            raise CommandError(f"No order has {whom!r} as its id, reference or e-mail.")
        with transaction.atomic():
            for order in orders.filter(address__erase_at=None):  # by whom it was asked; not for whom
                asked = {"recipient": ["known", "to be forgotten"]}
                audit.enter(order, action="changed", changes=asked, by="command:forget")
            privacy.ask_to_forget(orders)
        privacy.forget_due()
        later = Order.objects.filter(pk__in=ids).exclude(address__erase_at=None).count()
        self.stdout.write(f"{len(ids) - later} forgotten, {later} as soon as they have ended.")
