"""What staff may do with an order, as the table of arrows and their permissions say: the steps, hold and resume,
and the amendments with a form of their own. Pages draw their buttons from here and ask here before they act.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import transaction
from django.db.models import prefetch_related_objects
from django_fsm import TransitionNotAllowed

from orders.forms import (
    AddressForm,
    AmendForm,
    FilesForm,
    HoldForm,
    NoteForm,
    PiecesForm,
    ProductsForm,
    ReasonForm,
    ShipmentForm,
    SignOffForm,
    signable,
)
from orders.lifecycle import STEPS, Step, available
from orders.models import Order
from orders.services import amend, move


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person may do with an order. run: does it, or raises TransitionNotAllowed and nothing has happened.

    asks: the form of what it needs; danger: cannot be undone.
    """

    name: str
    label: str
    permission: str
    run: Callable[..., Order]
    asks: type[forms.Form] | None = None
    danger: bool = False
    bulk: bool = False

    @property
    def needs_confirmation(self) -> bool:
        return self.danger or self.asks is not None

    @property
    def style(self) -> str:
        return "danger" if self.danger else ""


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of what an order says. allowed: whether it may still be made; mends: a failed order may pass after it."""

    name: str
    label: str
    form: type[AmendForm]
    allowed: Callable[[Order], bool]
    permission: str = "orders.amend_order"
    mends: bool = True


def is_open(order: Order) -> bool:
    """The carrier does not have it yet: the same rule by which it may be canceled."""
    return "cancel" in available(order, api=True)


def is_judged_again(order: Order) -> bool:
    """The checks still follow: what is to be printed may change."""
    return bool({"submit", "retry"} & set(available(order, api=True)))


def may_be_signed_off(order: Order) -> bool:
    return is_judged_again(order) and bool(signable(order))


def _step(name: str, said: Step) -> Action:
    def run(order: Order, *, by: str, **answers: Any) -> Order:
        return move(order, name, by=by, **answers)

    asks = ReasonForm if "reason" in said.asks else None
    return Action(name, said.label, said.permission, run, asks, said.danger, said.bulk)


def _hold(order: Order, *, by: str, reason: str, until: Any = None) -> Order:
    return change(order, is_open, by=by, reason=reason, hold=(reason, until))


def _resume(order: Order, *, by: str) -> Order:
    return change(order, lambda fresh: fresh.held, by=by, hold=None)


ACTIONS = {name: _step(name, said) for name, said in STEPS.items() if said.permission} | {
    "hold": Action("hold", "Hold", "orders.amend_order", _hold, HoldForm, bulk=True),
    "resume": Action("resume", "Resume", "orders.amend_order", _resume, bulk=True),
}
AMENDMENTS = {
    each.name: each
    for each in (
        Amendment("address", "Change recipient", AddressForm, is_open),
        Amendment("shipment", "Change shipment method", ShipmentForm, is_open),
        Amendment("files", "Replace print files", FilesForm, is_judged_again),
        Amendment("signoff", "Sign off findings", SignOffForm, may_be_signed_off),
        Amendment("products", "Choose products", ProductsForm, is_judged_again),
        Amendment("pieces", "Cancel pieces", PiecesForm, is_open, "orders.cancel_order", mends=False),
        Amendment("note", "Add a note", NoteForm, lambda order: True, mends=False),
    )
}


def change(order: Order, allowed: Callable[[Order], bool], *, by: str, **changes: Any) -> Order:
    """Amend the order if that is still allowed when its row is locked; otherwise TransitionNotAllowed."""
    with transaction.atomic():
        fresh = Order.objects.select_for_update().get(pk=order.pk)
        if not allowed(fresh):
            raise TransitionNotAllowed("The order has moved on meanwhile.")
        return amend(order, by=by, **changes)


def actions_of(order: Order, *, user: Any) -> list[Action]:
    """What this person may do with the order now, in the order of its life."""
    prefetch_related_objects([order], "items")
    names = available(order, user=user)
    if user.has_perm("orders.amend_order"):
        names += ["resume"] if order.held else ["hold"] if is_open(order) else []
    return [ACTIONS[name] for name in names]


def amendments_of(order: Order, *, user: Any) -> dict[str, Amendment]:
    """The changes this person may make now, by name."""
    return {name: each for name, each in AMENDMENTS.items() if user.has_perm(each.permission) and each.allowed(order)}


def bulk_actions(user: Any) -> list[Action]:
    """What this person may do with a selection."""
    return [action for action in ACTIONS.values() if action.bulk and user.has_perm(action.permission)]
