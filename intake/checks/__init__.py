"""The stages of validation: data at once, with the sender on the line; files and rules afterwards."""

from collections.abc import Iterator

from gelatoconnect.lib.problems import Problem
from intake.checks import data, rules
from intake.checks.base import Case


def check_data(case: Case) -> Iterator[Problem]:
    for check in data.CHECKS:
        yield from check(case.draft)


def check_rules(case: Case) -> Iterator[Problem]:
    for check in rules.CHECKS:
        yield from check(case)
