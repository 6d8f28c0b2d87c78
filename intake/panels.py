"""What intake gives to the page of an order: its problem report, the requests behind it, the judgement of a new address."""

from typing import Any

from intake.checks import address_problems
from intake.models import OrderRequest
from orders.forms import ADDRESS_CHECKS
from orders.models import Order
from orders.panels import panel
from orders.texts import serious

ADDRESS_CHECKS.append(address_problems)


@panel("Problem report", template="intake/_report_panel.html", place="side")
def problem_report(order: Order, user: Any) -> dict[str, Any]:
    found = serious(order.problems)
    return {"count": len(found)} if found else {}


@panel("Requests", template="intake/_panel.html", place="side")
def requests(order: Order, user: Any) -> dict[str, Any]:
    if not user.has_perm("intake.view_orderrequest"):
        return {}
    found = OrderRequest.objects.filter(order=order).select_related("connector").only("state", "connector__name")
    return {"requests": list(found)} if found else {}
