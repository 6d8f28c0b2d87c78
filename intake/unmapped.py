"""Products that customers name and nobody has mapped yet: gathered as they are seen, with the requests that wait."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from intake.models import OrderRequest, Unmapped
from orders.drafts import DraftItem


@dataclass(frozen=True, slots=True)
class Missing:
    """A line whose product is not known. needed: its order waits for it; else the line was left out."""

    item: DraftItem
    needed: bool


def remember(request: OrderRequest, missing: Iterable[Missing]) -> None:
    """Note each of the names, once, and that this request waits for it. In the transaction that stores the request."""
    if request.customer is None:
        return
    for each in missing:
        item, now = each.item, timezone.now()
        row, new = Unmapped.objects.get_or_create(
            customer=request.customer, sku=item.sku, name="" if item.sku else item.product_name,
            variant={} if item.sku else item.product_variant, defaults={"needed": each.needed, "last_seen": now},
        )  # fmt: skip
        if not new:
            Unmapped.objects.filter(pk=row.pk).update(needed=row.needed or each.needed, last_seen=now)
        row.waiting.add(request)


def forget(request: OrderRequest) -> None:
    """It waits for nothing any more: what it means now is not what it meant before."""
    request.unmapped.clear()
