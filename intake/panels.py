"""What intake gives to the page of an order: the requests behind it, and the judgement of a new address."""

from typing import Any

from intake.api import address_problems
from intake.models import OrderRequest
from orders.forms import ADDRESS_CHECKS
from orders.models import Order
from orders.panels import panel

ADDRESS_CHECKS.append(address_problems)


@panel("Requests", template="intake/_panel.html", place="side")
def requests(order: Order, user: Any) -> dict[str, Any]:
    if not user.has_perm("intake.view_orderrequest"):
        return {}
    found = OrderRequest.objects.filter(order=order).select_related("connector").only("state", "connector__name")
    return {"requests": list(found)} if found else {}
