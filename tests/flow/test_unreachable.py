"""A file server that is away: tried again for a while, then the order says why it failed."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from intake.listeners import FETCH_DELAYS
from orders.events import sweep
from orders.models import Attempt, Delivery, Order
from tests.conftest import ApiClient, FileServer


def test_an_order_whose_file_cannot_be_fetched_is_tried_again_and_then_fails_with_the_reason(
    api: ApiClient, file_server: FileServer, order_body: Callable[..., dict[str, Any]]
) -> None:
    url = file_server.add("card.pdf", 503)
    id = api.post("/api/orders", order_body(url=url)).json()["id"]

    for attempt in range(len(FETCH_DELAYS)):
        sweep()
        assert Order.objects.get(pk=id).status == "received"
        check = Delivery.objects.get(listener="check")
        wait = (check.due - timezone.now()).total_seconds()
        assert 0.8 * FETCH_DELAYS[attempt] - 1 < wait < 1.2 * FETCH_DELAYS[attempt]
        Delivery.objects.filter(pk=check.pk).update(due=timezone.now())
    sweep()

    order = Order.objects.get(pk=id)
    assert (order.status, [problem["code"] for problem in order.problems]) == ("failed", ["FILE_DOWNLOAD_FAILED"])
    assert order.problems[0]["path"] == "/items/0/files/0"
    assert list(order.events.order_by("sequence").values_list("kind", flat=True)) == ["order.received", "order.failed"]
    tries = Attempt.objects.filter(delivery__listener="check").order_by("at")
    assert [each.succeeded for each in tries] == [False] * len(FETCH_DELAYS) + [True]
    assert file_server.requests == ["/card.pdf"] * (len(FETCH_DELAYS) + 1)
