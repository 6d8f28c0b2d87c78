"""What is done to one order from its page: steps, hold and resume, and the amendments with their forms."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_fsm import TransitionNotAllowed

from orders.actions import ACTIONS, AMENDMENTS, Action, Amendment, actions_of, change
from orders.lifecycle import available
from orders.models import Order
from orders.pages import actor, staff_only
from orders.services import move
from orders.views.detail import find_order

MOVED_ON = "Nothing was done: that is not possible (any more)."


@staff_only("orders.view_order")
@require_http_methods(["GET", "POST"])
def act(request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
    """Take a step, hold or resume: at once, or after asking for what it needs."""
    order, action = find_order(pk), ACTIONS.get(verb)
    if action is None:
        raise Http404
    if not request.user.has_perm(action.permission):
        raise PermissionDenied
    if action not in actions_of(order, user=request.user):
        messages.error(request, f"{action.label}: {MOVED_ON}")
        return redirect(order)
    form = action.asks(request.POST or None) if action.asks else None
    if request.method == "GET" or (form and not form.is_valid()):
        return _ask(request, order, action, form)
    answers = form.cleaned_data if form else {}
    return _told(request, order, action.label, lambda: action.run(order, by=actor(request), **answers))


def _ask(request: HttpRequest, order: Order, action: Action, form: Any) -> HttpResponse:
    return render(
        request,
        "confirm.html",
        {
            "section": "orders",
            "title": f"{action.label}: {order.reference}?",
            "intro": "This cannot be undone." if action.danger else "",
            "form": form,
            "style": "danger" if action.danger else "primary",
            "submit_label": action.label,
            "back_url": order.get_absolute_url(),
        },
    )


@staff_only("orders.view_order")
@require_http_methods(["GET", "POST"])
def amend_order(request: HttpRequest, pk: UUID, what: str) -> HttpResponse:
    """Change what the order says by a form of its own, and try it again where that was asked ("retry")."""
    order, amendment = find_order(pk), AMENDMENTS.get(what)
    if amendment is None:
        raise Http404
    if not request.user.has_perm(amendment.permission):
        raise PermissionDenied
    if not amendment.allowed(order):
        messages.error(request, f"{amendment.label}: {MOVED_ON}")
        return redirect(order)
    form = amendment.form(request.POST if request.method == "POST" else None, order=order)
    if amendment.mends and "retry" in available(order, user=request.user):
        form.fields["retry"] = forms.BooleanField(required=False, initial=True, label="Retry the order at once")
    if form.is_valid():
        again = form.cleaned_data.pop("retry", False)
        changes = form.changes()
        return _told(request, order, amendment.label, lambda: _amend(request, order, amendment, again, **changes))
    context = {"section": "orders", "title": f"{amendment.label}: {order.reference}", "form": form}
    return render(request, "form.html", context | {"back_url": order.get_absolute_url()})


def _amend(request: HttpRequest, order: Order, amendment: Amendment, again: bool, **changes: Any) -> Order:
    """In one transaction: the change, and the step that it is made for."""
    by = actor(request)
    with transaction.atomic():
        order = change(order, amendment.allowed, by=by, **changes)
        if again:
            order = move(order, Order.retry, by=by)
        if amendment.name == "pieces" and not any(item.quantity_due for item in order.items.all()):
            order = move(order, Order.cancel, by=by, reason="All pieces were canceled.")
    return order


def _told(request: HttpRequest, order: Order, label: str, act: Callable[[], Order]) -> HttpResponse:
    """Do it, say what became of it, and show the order."""
    before = order.sequence
    try:
        after = act()
    except TransitionNotAllowed:
        messages.error(request, f"{label}: {MOVED_ON}")
    else:
        if after.sequence == before:
            messages.info(request, f"{label}: nothing was different.")
        else:
            messages.success(request, f"{label}: done. The order is {after.get_status_display()}.")  # type: ignore[attr-defined]
    return redirect(order)
