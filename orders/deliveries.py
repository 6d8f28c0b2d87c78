"""Asking about deliveries: filters and saved views of the postbacks' page, to whom each goes, and why it still waits.

There may be millions. Newest first, each question walks one index; a view of several listeners or targets is asked in
parts, one for each of them, of which a page is made (see lists.page).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from gelatoconnect.lib.ids import first_id, parse_id
from orders import events, search
from orders.models import Customer, Delivery, Event, Order, Trigger

TO_CUSTOMERS = "trigger"  # the listener that tells customers
TO_SHOPS = ("postback", "refusal")  # those that tell the shops orders came from
# Saved views. The first is what the page opens with.
VIEWS = {
    "all": "All",
    "failing": "Failing",
    "given_up": "Given up",
    "customers": "To customers",
    "shops": "Postbacks to shops",
    "email": "E-mail",
    "house": "Inside the house",
}
MOST_PARTS = 30  # asked one by one; more at once are cheaper
RARE = 2_000  # events of a customer who has no more are looked up; those of another are met on the way
NEWEST, OFTEN = 2_000, 20  # so many among the newest events, and a kind is common
MOST_ORDERS = 1_000  # of those a search finds: the newest
# The same columns without their indexes: a search is to look at what it found, not to walk a listener's deliveries.
HIDDEN = {f"hidden_{name}": Concat(name, Value("")) for name in ("listener", "state")}


# --- moments ------------------------------------------------------------------------------------------
def moment(text: str, *, end: bool = False) -> datetime:
    """ "2026-01-15" or "2026-01-15T09:30" (UTC unless it says otherwise). Raises ValueError.

    end: the last moment it can mean: of the day, or of the minute.
    """
    day, at = parse_date(text), parse_datetime(text)
    if at is None and day is None:
        raise ValueError(f"{text!r} is no time.")
    if day is not None:
        at = datetime.combine(day, time.max if end else time.min)
    elif end and at is not None and text.count(":") == 1:
        at += timedelta(seconds=59, milliseconds=999)
    assert at is not None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class MomentField(forms.Field):
    """A day or a minute (UTC)."""

    def __init__(self, *, end: bool = False, **more: Any) -> None:
        self.end = end
        more["required"] = False
        super().__init__(widget=forms.DateTimeInput(attrs={"type": "datetime-local"}), **more)

    def to_python(self, value: Any) -> datetime | None:
        try:
            return moment(str(value).strip(), end=self.end) if value else None
        except (ValueError, OverflowError):
            raise forms.ValidationError("Enter a day or a time, such as 2026-01-15T09:30.") from None

    def prepare_value(self, value: Any) -> Any:
        """As browsers want it: to the minute."""
        try:
            at = value if isinstance(value, datetime) else moment(str(value), end=self.end)
        except (ValueError, OverflowError):
            return value
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if at.year >= 1000 else value


class MomentFilter(filters.Filter):
    field_class = MomentField


def told_since(found: QuerySet[Delivery], at: datetime) -> QuerySet[Delivery]:
    return found.filter(id__gte=first_id(at))


def told_until(found: QuerySet[Delivery], at: datetime) -> QuerySet[Delivery]:
    return found.filter(id__lte=first_id(at))


def sent_to(*targets: object) -> Q:
    """Deliveries to these targets. That none of them is empty lets the database use the index of targets, which has no
    entry for those without one."""
    return Q(target__in=[str(target) for target in targets]) & ~Q(target="") if targets else Q(pk=None)


def kinds_like(text: str) -> Q:
    """Events whose kind begins so, or with one of several between commas: "order.shipped", "order.*", "package."."""
    words = [word.strip().rstrip("*") for word in text.split(",") if word.strip()]
    return reduce(or_, (Q(kind__startswith=word) for word in words), Q())


def with_event(found: QuerySet[Delivery], condition: Q) -> QuerySet[Delivery]:
    """Those whose event fits. Each is looked at on the way: a join would let the planner begin at the events."""
    return found.filter(Exists(Event.objects.filter(condition, pk=OuterRef("event")))) if condition else found


def of_kinds(found: QuerySet[Delivery], condition: Q) -> QuerySet[Delivery]:
    """What happens often is met on the way; events that are seldom are looked up first: walking finds no page of them."""
    newest = Event.objects.order_by("-id").values("pk")[:NEWEST]
    if condition and Event.objects.filter(condition, pk__in=newest)[:OFTEN].count() < OFTEN:
        return found.filter(event__in=Event.objects.filter(condition).values("pk"))
    return with_event(found, condition)


def of_customer(found: QuerySet[Delivery], customer: Customer) -> QuerySet[Delivery]:
    told = Event.objects.filter(customer=customer).order_by()
    if told.values("pk")[: RARE + 1].count() > RARE:
        return with_event(found, Q(customer=customer))
    return found.filter(event__in=told.values("pk"))


# --- the list -----------------------------------------------------------------------------------------
class DeliveryFilter(filters.FilterSet):
    """What the address bar may ask. `parts` are the chosen deliveries as queries that each walk one index."""

    q = filters.CharFilter(method="search", label="Order reference or id")
    view = filters.ChoiceFilter(choices=list(VIEWS.items()), label="View", method="as_it_is")
    listener = filters.ChoiceFilter(choices=lambda: [(name, name) for name in sorted(events.LISTENERS)],
                                    label="Listener", empty_label="", method="to_listener")  # fmt: skip
    trigger = filters.ModelChoiceFilter(
        method="to_trigger", queryset=Trigger.objects.order_by("name"), label="Endpoint", empty_label=""
    )
    state = filters.MultipleChoiceFilter(choices=Delivery.State.choices, label="State", method="in_states")
    customer = filters.ModelChoiceFilter(queryset=Customer.objects.all(), label="Customer", method="of_customer",
                                         to_field_name="reference", empty_label="")  # fmt: skip
    event = filters.CharFilter(method="of_event", label="Event, such as order.shipped")
    order = filters.CharFilter(method="of_order", label="Order reference")
    since = MomentFilter(method="since_moment", label="From (UTC)")
    until = MomentFilter(method="until_moment", label="To (UTC)", end=True)

    class Meta:
        model = Delivery
        fields: list[str] = []

    @property
    def qs(self) -> QuerySet[Delivery]:
        return self.narrowed.filter(reduce(or_, self.conditions))

    @property
    def parts(self) -> list[QuerySet[Delivery]]:
        return [self.narrowed.filter(condition) for condition in self.conditions]

    @property
    def narrowed(self) -> QuerySet[Delivery]:
        """By everything but the view."""
        if not hasattr(self, "_narrowed"):
            self.is_valid()
            self._narrowed = self.filter_queryset(self.queryset.all())
        return self._narrowed

    @property
    def conditions(self) -> list[Q]:
        if not hasattr(self, "_conditions"):
            self.is_valid()
            said = self.form.cleaned_data
            few = any(said.get(name) for name in ("q", "order", "trigger", "listener"))
            view = said.get("view") or "all"
            if view == "all" and Delivery.State.GIVEN_UP in (said.get("state") or ()):
                view = "one state"
            found = conditions_of(view, listener=self.column("listener"), state=self.column("state"))
            self._conditions = [reduce(or_, found)] if few or len(found) > MOST_PARTS else found
        return self._conditions

    def filter_queryset(self, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """What was not understood narrows nothing."""
        if self.is_search:
            queryset = queryset.alias(**HIDDEN)
        for name, value in self.form.cleaned_data.items():
            queryset = self.filters[name].filter(queryset, value)
        return queryset

    @property
    def is_search(self) -> bool:
        """Whether a few deliveries are looked up by their order or id."""
        return any(self.form.cleaned_data.get(name) for name in ("q", "order"))

    def column(self, name: str) -> str:
        return f"hidden_{name}" if self.is_search else name

    def as_it_is(self, found: QuerySet[Delivery], _name: str, _view: str) -> QuerySet[Delivery]:
        return found

    def search(self, found: QuerySet[Delivery], _name: str, text: str) -> QuerySet[Delivery]:
        """By the id of the delivery, its event or its order, else by what finds orders."""
        if id := parse_id(text.strip()):
            return found.filter(Q(pk=id) | Q(event=id) | Q(order=id))
        orders = search.find(Order.objects.all(), text).order_by("-id").values_list("pk", flat=True)
        return found.filter(order__in=list(orders[:MOST_ORDERS]))

    def to_listener(self, found: QuerySet[Delivery], _name: str, listener: str) -> QuerySet[Delivery]:
        return found.filter(**{self.column("listener"): listener})

    def to_trigger(self, found: QuerySet[Delivery], _name: str, trigger: Trigger) -> QuerySet[Delivery]:
        return found.filter(sent_to(trigger.pk))

    def in_states(self, found: QuerySet[Delivery], _name: str, states: list[str]) -> QuerySet[Delivery]:
        many = f"{self.column('state')}__in"
        return found.filter(**{many: states}) if states and len(states) < len(Delivery.State) else found

    def of_customer(self, found: QuerySet[Delivery], _name: str, customer: Customer) -> QuerySet[Delivery]:
        return of_customer(found, customer)

    def of_event(self, found: QuerySet[Delivery], _name: str, text: str) -> QuerySet[Delivery]:
        return of_kinds(found, kinds_like(text))

    def of_order(self, found: QuerySet[Delivery], _name: str, reference: str) -> QuerySet[Delivery]:
        orders = Order.objects.filter(reference=reference.strip()).order_by("-id").values_list("pk", flat=True)
        return found.filter(order__in=list(orders[:MOST_ORDERS]))

    def since_moment(self, found: QuerySet[Delivery], _name: str, at: datetime) -> QuerySet[Delivery]:
        return told_since(found, at)

    def until_moment(self, found: QuerySet[Delivery], _name: str, at: datetime) -> QuerySet[Delivery]:
        return told_until(found, at)


def conditions_of(view: str, *, listener: str = "listener", state: str = "state") -> list[Q]:
    """The deliveries of a view: any of these, each found by an index. listener, state: the names of their columns."""
    if view == "failing":
        return [Q(**{state: Delivery.State.DUE}, attempts__gt=0)]
    if view == "given_up":
        return [Q(**{listener: name, state: Delivery.State.GIVEN_UP}) for name in events.LISTENERS]
    if view == "email":
        mails = Trigger.objects.filter(channel=Trigger.Channel.EMAIL).values_list("pk", flat=True)
        return [sent_to(pk) for pk in mails] or [Q(pk=None)]
    names = {
        "customers": [TO_CUSTOMERS],
        "shops": TO_SHOPS,
        "house": [name for name in events.LISTENERS if name not in (TO_CUSTOMERS, *TO_SHOPS)],
        "one state": list(events.LISTENERS),
    }.get(view)
    return [Q(**{listener: name}) for name in names] if names else [Q()]


# --- each delivery ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Wait:
    """Why a delivery that is due was not sent yet."""

    why: str
    until: datetime | None = None
    behind: Delivery | None = None


def name_targets(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Say on each delivery whom it goes to (`to`, and `trigger` where it is one): else the listener, or the shop's kind."""
    deliveries = list(deliveries)
    triggers = Trigger.objects.in_bulk([id for each in deliveries if (id := parse_id(each.target))])
    for each in deliveries:
        each.trigger = triggers.get(parse_id(each.target))  # type: ignore[attr-defined,arg-type]
        each.to = each.trigger or _named(each)  # type: ignore[attr-defined]
    return deliveries


def _named(delivery: Delivery) -> str:
    if delivery.listener in TO_SHOPS and delivery.order is not None:
        return f"{delivery.listener} to {delivery.order.channel}"
    return delivery.listener


def explain_waits(deliveries: Iterable[Delivery]) -> None:
    """Say on each named delivery that is due why it waits (`wait`). One order's deliveries to one target come in turn."""
    deliveries = list(deliveries)
    due = [each for each in deliveries if each.state == Delivery.State.DUE]
    orders = {each.order_id for each in due if each.order_id}
    first: dict[tuple, Delivery] = {}
    if orders:
        others = Delivery.objects.filter(order__in=orders, state=Delivery.State.DUE).select_related("event")
        for other in others.order_by("-id"):
            first[other.order_id, other.listener, other.target] = other
    for each in deliveries:
        ahead = first.get((each.order_id, each.listener, each.target))
        behind = ahead if ahead is not None and ahead.pk < each.pk else None
        each.wait = _wait(each, behind) if each in due else None  # type: ignore[attr-defined]


def _wait(delivery: Delivery, behind: Delivery | None) -> Wait:
    now, trigger = timezone.now(), delivery.trigger  # type: ignore[attr-defined]
    if delivery.lease and delivery.due > now:
        return Wait("It is being sent.")
    if delivery.listener == TO_CUSTOMERS and trigger is None:
        return Wait("Its trigger was removed.")
    if trigger is not None and not trigger.active:
        why = f": {trigger.switched_off_why}" if trigger.switched_off_why else "."
        return Wait(
            f"Its endpoint was switched off{why}" if trigger.switched_off_at else "Its trigger is switched off."
        )
    if behind is not None:
        return Wait("It follows an earlier delivery of this order.", behind=behind)
    if trigger is not None and trigger.slow_until and trigger.slow_until > now:
        return Wait("Its endpoint failed often and rests.", until=trigger.slow_until)
    if delivery.attempts and delivery.due > now:
        times = "once" if delivery.attempts == 1 else f"{delivery.attempts} times"
        return Wait(f"It failed {times} and is tried again later.")
    return Wait("It is next." if delivery.due <= now else "Its time has not come.")
