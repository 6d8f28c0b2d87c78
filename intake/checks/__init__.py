"""The stages of validation: data at once, with the sender on the line; files and rules afterwards."""

from collections.abc import Iterator

from gelatoconnect.lib.problems import Problem
from intake.checks import data, rules
from intake.checks.base import Case
from orders.drafts import Address, Draft


def check_data(case: Case) -> Iterator[Problem]:
    for check in data.CHECKS:
        yield from check(case.draft)


def check_rules(case: Case) -> Iterator[Problem]:
    for check in rules.CHECKS:
        yield from check(case)


def address_problems(address: Address) -> Iterator[Problem]:
    """What the data checks say of a new address alone."""
    draft = Draft.model_construct(order_reference_id="", items=[], shipping_address=address)
    yield from data.address(draft)
    yield from data.contact(draft)
