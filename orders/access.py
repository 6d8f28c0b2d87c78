"""Who is asking, and which orders they may know of. What a sender may not see does not exist for them (404)."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from orders.models import Customer, Order


@dataclass(frozen=True, slots=True)
class Sender:
    """An API client: the connector whose key it used and the customer it speaks for (None: not named, open connector)."""

    connector: UUID
    connector_name: str
    customer: Customer | None

    is_authenticated = True

    @property
    def by(self) -> str:
        return f"connector:{self.connector_name}"

    def orders(self) -> QuerySet[Order]:
        """Its customer's orders; without a customer those that came through the connector itself."""
        if self.customer is not None:
            return Order.objects.filter(customer=self.customer)
        return Order.objects.filter(connector=self.connector)
