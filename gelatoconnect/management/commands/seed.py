"""`manage.py seed`: demo customers, products, people and orders. Once, and never in a real installation."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gelatoconnect.demo.walks import Demo
from orders.models import Customer


class Command(BaseCommand):
    help = "Fill an empty database with a demo shop"

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo's logins and key are public knowledge: it is made only with DEBUG=1.")
        if Customer.objects.exists():
            self.stdout.write("There are customers already: nothing to do.")
            return
        Demo().build(say=lambda text: self.stdout.write(f"  seed: {text}"))
