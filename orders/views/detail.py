"""The page of one order, and what can be done there."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods
from django_fsm import TransitionNotAllowed

from orders.actions import ACTIONS, AMENDMENTS, Action, actions_of, amendments_of, change
from orders.lifecycle import STEPS
from orders.mending import mendings
from orders.models import Order, ShipmentMethod, Trigger
from orders.pages import actor, staff_only
from orders.panels import PANELS
from orders.services import move
from orders.timeline import entry_of

MOVED_ON = "Nothing was changed: the order has moved on meanwhile."


@staff_only("orders.view_order")
@require_GET
def order_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    order = _order(pk)
    allowed = amendments_of(order, user=request.user)
    return render(
        request,
        "orders/detail.html",
        {
            "section": "orders",
            "title": order.reference,
            "order": order,
            "moves": [_button(order, action) for action in actions_of(order, user=request.user)],
            "amendments": allowed,
            "mendings": mendings(order, allowed),
            "can_retry": ACTIONS["retry"] in actions_of(order, user=request.user),
            "items": order.items.all(),
            "method": ShipmentMethod.objects.filter(uid=order.shipment_method.partition(",")[0].strip()).first(),
            "panels": _panels(request, order),
            "entries": [entry_of(event) for event in order.events.order_by("-sequence")],
            "deliveries": _deliveries(request, order),
        },
    )
