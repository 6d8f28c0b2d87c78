"""The life of an order: every status and every arrow. This table is the specification; nothing else moves an order.

Buttons on pages, the API's `actions`, bulk actions, permissions and the picture in docs/lifecycle.md are read from
it. The methods change fields of the order in memory only; `orders.services.move` locks, saves and tells.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone
from django_fsm import FSMField, Transition, transition

from gelatoconnect.lib.problems import Problem


class Status(models.TextChoices):
    DRAFT = "draft", "Draft"
    RECEIVED = "received", "Received"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    CREATED = "created", "Created"
    IN_PRODUCTION = "in_production", "In Production"
    PRINTED = "printed", "Printed"
    PACKAGED = "packaged", "Packaged"
    SHIPPED = "shipped", "Shipped"
    IN_TRANSIT = "in_transit", "In Transit"
    DELIVERED = "delivered", "Delivered"
    RETURNED = "returned", "Returned"
    CANCELED = "canceled", "Canceled"


FLOOR = (Status.CREATED, Status.IN_PRODUCTION, Status.PRINTED)
BEFORE_SHIPPING = (Status.DRAFT, Status.RECEIVED, Status.PASSED, Status.FAILED, *FLOOR, Status.PACKAGED)
ENDED = (Status.DELIVERED, Status.RETURNED, Status.CANCELED)
OPEN = tuple(status for status in Status if status not in ENDED)


@dataclass(frozen=True, slots=True)
class Step:
    """What people and clients see of an arrow.

    event       the kind of Event that a move along it writes.
    permission  what staff need; empty: only the system takes this step.
    api         True: the customer's own system may take it.
    asks        the answers it needs, by name ("reason").
    danger      cannot be undone: the page asks for confirmation.
    bulk        offered for a selection in lists.
    """

    event: str
    label: str
    permission: str = ""
    api: bool = False
    asks: tuple[str, ...] = ()
    danger: bool = False
    bulk: bool = False


def step(
    source: Status | Iterable[Status], target: Status, *, conditions: Iterable[Callable] = (), **shown: Any
) -> Callable:
    """An arrow of the lifecycle: django-fsm's transition with what people see of it (see Step)."""
    sources = [source] if isinstance(source, Status) else list(source)
    said = Step(**shown)
    return transition(
        field="status",
        source=[status.value for status in sources],
        target=target.value,
        conditions=list(conditions),
        permission=said.permission or None,
        custom={"step": said},
    )


def not_held(order: "Lifecycle") -> bool:
    return not order.held


def all_packed(order: "Lifecycle") -> bool:
    """Every item of the order has been verified into a package."""
    return all(item.packed >= item.quantity_due for item in order.items.all())  # type: ignore[attr-defined]


class Lifecycle(models.Model):
    """The status of an order, its arrows, and the hold that stops it where it stands."""

    status = FSMField(default=Status.DRAFT, choices=Status.choices, protected=True, editable=False)
    status_since = models.DateTimeField(default=timezone.now, editable=False)
    problems = models.JSONField(default=list, blank=True, help_text="What the checks or the floor found")
    held = models.BooleanField(default=False)
    hold_reason = models.CharField(max_length=300, blank=True)
    hold_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    # --- initial -------------------------------------------------------------------------------
    @step(
        Status.DRAFT, Status.RECEIVED, event="order.received", label="Submit", permission="orders.amend_order", api=True
    )
    def submit(self) -> None:
        """Taken on: the checks follow."""

    @step(Status.RECEIVED, Status.PASSED, event="order.passed", label="Pass")
    def accept(self, *, problems: Iterable[Problem] = ()) -> None:
        self._find(problems)

    @step(Status.PASSED, Status.CREATED, event="order.created", label="Release to production",
          permission="orders.release_order", conditions=[not_held], bulk=True)  # fmt: skip
    def release(self) -> None:
        """Ready for production."""

    @step(Status.FAILED, Status.RECEIVED, event="order.received", label="Retry",
          permission="orders.retry_order", api=True, bulk=True)  # fmt: skip
    def retry(self) -> None:
        """Mended or as it is: all checks again."""
        self.problems = []

    # --- production ----------------------------------------------------------------------------
    @step(Status.CREATED, Status.IN_PRODUCTION, event="order.in_production", label="Start production",
          permission="orders.produce_order", conditions=[not_held], bulk=True)  # fmt: skip
    def start(self) -> None:
        """The first print job has begun."""

    @step(Status.IN_PRODUCTION, Status.PRINTED, event="order.printed", label="Finish printing",
          permission="orders.produce_order", conditions=[not_held], bulk=True)  # fmt: skip
    def finish(self) -> None:
        """The last print job is done."""

    @step(Status.PRINTED, Status.PACKAGED, event="order.packaged", label="Close packages",
          permission="orders.pack_order", conditions=[not_held, all_packed])  # fmt: skip
    def package(self) -> None:
        """Every item is verified into a package."""

    # --- shipping ------------------------------------------------------------------------------
    @step(Status.PACKAGED, Status.SHIPPED, event="order.shipped", label="Hand over to carrier",
          permission="orders.ship_order", conditions=[not_held], bulk=True)  # fmt: skip
    def ship(self) -> None:
        """The carrier has the parcels."""

    @step(Status.SHIPPED, Status.IN_TRANSIT, event="order.in_transit", label="Mark in transit",
          permission="orders.ship_order")  # fmt: skip
    def travel(self) -> None:
        """The carrier's first scan on the way."""

    @step((Status.IN_TRANSIT, Status.SHIPPED), Status.DELIVERED, event="order.delivered", label="Mark delivered",
          permission="orders.ship_order")  # fmt: skip
    def arrive(self) -> None:
        """The recipient has it; also straight from Shipped, when the scan between never came."""

    @step((Status.SHIPPED, Status.IN_TRANSIT, Status.DELIVERED), Status.RETURNED, event="order.returned",
          label="Mark returned", permission="orders.ship_order", asks=("reason",))  # fmt: skip
    def come_back(self, *, reason: str = "") -> None:
        """It has come back to us."""

    # --- error ---------------------------------------------------------------------------------
    @step((Status.RECEIVED, *FLOOR), Status.FAILED, event="order.failed", label="Report failure",
          permission="orders.produce_order", asks=("reason",), danger=True)  # fmt: skip
    def fail(self, *, problems: Iterable[Problem] = (), reason: str = "") -> None:
        """A check or the floor says no; `reason` alone becomes a problem of its own."""
        self._find(problems or [Problem("PRODUCTION_FAILED", reason or "Production reported a failure.",
                                        hint="Mend the cause, then retry or cancel the order.")])  # fmt: skip

    @step((*FLOOR, Status.PACKAGED), Status.CREATED, event="order.reprocessed", label="Reprocess",
          permission="orders.reprocess_order", asks=("reason",), danger=True, bulk=True)  # fmt: skip
    def reprocess(self, *, reason: str = "") -> None:
        """The whole production again, same order and reference; what was packed is unpacked."""
        self.items.update(packed=0)  # type: ignore[attr-defined]

    @step(BEFORE_SHIPPING, Status.CANCELED, event="order.canceled", label="Cancel",
          permission="orders.cancel_order", api=True, asks=("reason",), danger=True, bulk=True)  # fmt: skip
    def cancel(self, *, reason: str = "") -> None:
        """By the customer or staff, until the carrier has it."""
        self.held, self.hold_reason, self.hold_until = False, "", None

    def _find(self, problems: Iterable[Problem]) -> None:
        self.problems = [problem.as_dict() for problem in problems]


STEPS: dict[str, Step] = {
    name: next(iter(method._django_fsm.transitions.values())).custom["step"]
    for name, method in vars(Lifecycle).items()
    if hasattr(method, "_django_fsm")
}


def arrows() -> list[Transition]:
    """Every arrow of the table, one for each source status, verb by verb."""
    return [arrow for name in STEPS for arrow in vars(Lifecycle)[name]._django_fsm.transitions.values()]


def available(order: Lifecycle, *, user: Any = None, api: bool = False) -> list[str]:
    """The verbs that may be applied to `order` now: by this user, or by the customer's own system (`api`)."""
    possible = {arrow.name for arrow in order.get_available_status_transitions()}  # type: ignore[attr-defined]
    return [name for name, said in STEPS.items() if name in possible and _may(said, user=user, api=api)]


def _may(said: Step, *, user: Any, api: bool) -> bool:
    if api:
        return said.api
    return bool(said.permission) and user is not None and user.has_perm(said.permission)
