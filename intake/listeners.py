"""What intake does when orders change: checks follow every reception."""

from intake import pipeline
from orders.events import Conclusion, is_last_attempt, listen
from orders.models import Delivery

# A file server may be away for a while: about 40 minutes in all, then the order fails with the reason.
FETCH_DELAYS = (5, 30, 120, 600, 1_800)


@listen("order.received", name="check", delays=FETCH_DELAYS)
def check(delivery: Delivery) -> Conclusion | None:
    assert delivery.order is not None
    return pipeline.check(delivery.order, last_attempt=is_last_attempt(delivery))
