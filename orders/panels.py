"""What the apps above show of an order: panels on its page and fields in its API answer.

`orders` knows neither intake nor shipping; they register here, as they do for events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orders.models import Order


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the order's page: a template and what it needs. place: "main" or "side"."""

    name: str
    template: str
    context: Callable[[Order, Any], dict[str, Any]]
    place: str


PANELS: list[Panel] = []
PACKAGES: list[Callable[[Order], list[dict[str, Any]]]] = []


def panel(name: str, *, template: str, place: str = "main") -> Callable:
    """Register a panel; the function gives its template's context for (order, user), an empty one hides it."""

    def register(context: Callable[[Order, Any], dict[str, Any]]) -> Callable:
        PANELS.append(Panel(name, template, context, place))
        return context

    return register


def packages(answer: Callable[[Order], list[dict[str, Any]]]) -> Callable:
    """Register what fills `shipment.packages` of the API's answer."""
    PACKAGES.append(answer)
    return answer
