"""What shipping does when orders change: labels are booked and voided, orders and packages keep step."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from django.conf import settings
from django.utils import timezone

from gelatoconnect.lib import storage
from gelatoconnect.lib.ids import born
from orders import search
from orders.events import Conclusion, Permanent, TryLater, emit, listen
from orders.lifecycle import STEPS
from orders.models import Delivery, Event, Order
from orders.services import changing
from shipping import panels, privacy  # noqa: F401  # they register what is shown, and what is kept of recipients
from shipping.carriers import open_carrier
from shipping.carriers.base import Booking, Content, Failed, NotSupported, Parcel, Party
from shipping.models import CarrierAccount, Package
from shipping.packing import void
from shipping.tracking import VERBS, WAY, follow_packages, goal, note, path, told

ENDINGS = ("order.canceled", "order.reprocessed")  # of the packages that an order has


def each_package(event: Event) -> Iterator[str]:
    live = Package.objects.live().filter(order=event.order_id)
    return (str(pk) for pk in live.values_list("pk", flat=True))


# --- labels ------------------------------------------------------------------------------------------
@listen("order.packaged", name="label", each=each_package)
def book_label(delivery: Delivery) -> Conclusion | None:
    """Buy the package's label, unless it has one, or the order was canceled or is made again since. The package's id
    is the key by which the carrier knows that it was asked before."""
    package = package_of(delivery.target)
    ended = Event.objects.filter(order=delivery.order, sequence__gt=delivery.event.sequence, kind__in=ENDINGS)
    if package.label or package.voided_at or ended.exists():
        return None
    account = CarrierAccount.objects.filter(active=True).order_by("name").first()
    if account is None:
        raise Permanent("No carrier account is active. Activate one in the settings, then send this delivery again.")
    service = package.order.shipment_method.partition(",")[0].strip()
    with carrier_asked():
        carrier = open_carrier(account.carrier, account.config)
        booking = carrier.book(parcel_of(package), service, key=str(package.pk))
    label = storage.keep_bytes(booking.label)
    return partial(keep_label, package, booking, account=account, service=service, label=label)


def keep_label(package: Package, booking: Booking, *, account: CarrierAccount, service: str, label: str) -> None:
    """Write down what was booked. label: the sha256 of its PDF."""
    with changing(package.order) as order:
        known = Package.objects.get(pk=package.pk)
        known.order, known.account, known.service, known.label = order, account, service, label
        known.carrier_reference = booking.carrier_reference
        known.tracking_code, known.tracking_url = booking.tracking_code, booking.tracking_url
        known.labeled_at = timezone.now()
        known.save()
        search.add_words(order, booking.tracking_code)
        emit(order, "package.labeled", by=f"carrier:{account.carrier}", **told(known))


# --- the end of packages -------------------------------------------------------------------------------
@listen(*ENDINGS, name="unpack", each=each_package)
def end_package(delivery: Delivery) -> Conclusion:
    """The order was canceled or is made again: its packages are no more."""
    return partial(void_package, package_of(delivery.target), by=delivery.event.by)


def void_package(package: Package, *, by: str) -> None:
    with changing(package.order) as order:
        known = Package.objects.get(pk=package.pk)
        if known.voided_at is None:
            void(known)
            known.order = order
            emit(order, "package.voided", by=by, **told(known))


@listen("package.voided", name="void label", each=lambda event: (event.data["package"]["id"],))
def void_label(delivery: Delivery) -> None:
    """Give the label back, where the carrier takes it back."""
    package = package_of(delivery.target)
    if Delivery.objects.filter(listener="label", target=delivery.target, state=Delivery.State.DUE).exists():
        raise TryLater("The label is being booked.")
    if package.account is None:
        return
    booking = Booking(package.carrier_reference, package.tracking_code, package.tracking_url)
    with carrier_asked(), suppress(NotSupported):
        open_carrier(package.account.carrier, package.account.config).void(booking)


@contextmanager
def carrier_asked() -> Iterator[None]:
    """What carriers say when they do not do it, in the words of deliveries."""
    try:
        yield
    except Failed as failure:
        raise (
            Permanent(str(failure)) if failure.permanent else TryLater(str(failure), after=failure.retry_after)
        ) from failure


# --- orders and packages keep step -----------------------------------------------------------------------
@listen(*(STEPS[verb].event for verb in VERBS), name="parcels")
def follow_order(delivery: Delivery) -> Conclusion | None:
    """A status that no package has reached was given to the order by hand: its packages are there too."""
    event = delivery.event
    live = list(Package.objects.live().filter(order=delivery.order))
    if not live or any(WAY.index(package.status) >= WAY.index(event.target) for package in live):
        return None
    return partial(_note_all, live, event)


def _note_all(packages: list[Package], event: Event) -> None:
    for package in packages:
        note(package, status=event.target, at=event.at, message=event.data.get("reason", ""), by=event.by)


@listen("order.resumed", name="catch up")
def catch_up(delivery: Delivery) -> Conclusion | None:
    """Packages that were seen while the order was on hold."""
    order = delivery.order
    assert order is not None
    if not path(order.status, goal(order)):
        return None
    return partial(follow_packages, order, by="system")  # type: ignore[return-value]


# --- our rows in the carriers' words ------------------------------------------------------------------------
def package_of(target: str) -> Package:
    return Package.objects.select_related("order__address", "account").get(pk=target)


def parcel_of(package: Package) -> Parcel:
    """The package as carriers are told of it."""
    order = package.order
    contents = package.contents.select_related("item__product")
    return Parcel(
        reference=order.reference,
        sender=producer(),
        recipient=recipient_of(order),
        weight_g=package.weight,
        packed_on=born(package.pk).date(),
        contents=tuple(Content(piece.item.name, piece.quantity) for piece in contents),
        number=package.number,
        count=Package.objects.live().filter(order=order).count(),
    )


def producer() -> Party:
    return Party(name=settings.PRODUCER_NAME, line1=settings.PRODUCER_LINE1, post_code=settings.PRODUCER_POSTCODE,
                 city=settings.PRODUCER_CITY, country=settings.PRODUCER_COUNTRY)  # fmt: skip


def recipient_of(order: Order) -> Party:
    to = order.address
    return Party(name=f"{to.first_name} {to.last_name}".strip(), company=to.company_name, line1=to.address_line1,
                 line2=to.address_line2, city=to.city, post_code=to.post_code, state=to.state, country=to.country,
                 email=to.email, phone=to.phone)  # fmt: skip
