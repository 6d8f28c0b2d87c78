"""What intake shows of an order on its page: the requests behind it."""

from typing import Any

from intake.models import OrderRequest
from orders.models import Order
from orders.panels import panel


@panel("Requests", template="intake/_panel.html", place="side")
def requests(order: Order, user: Any) -> dict[str, Any]:
    if not user.has_perm("intake.view_orderrequest"):
        return {}
    found = OrderRequest.objects.filter(order=order).select_related("connector").only("state", "connector__name")
    return {"requests": list(found)} if found else {}
