"""Preflight: looks into one print file and says what speaks against printing it. Knows no order and no database.

`inspect` gathers facts in a process of its own; `judge` holds them against a product's Profile.
"""

from typing import TYPE_CHECKING

from intake.preflight.facts import VERSION, Facts
from intake.preflight.pool import inspect
from intake.preflight.profile import DIGITAL, LARGE_FORMAT, SHEETFED, Profile, profile

if TYPE_CHECKING:
    from gelatoconnect.lib.problems import Problem

__all__ = ["DIGITAL", "LARGE_FORMAT", "SHEETFED", "VERSION", "Facts", "Profile", "inspect", "judge", "profile"]


def judge(facts: Facts, profile: Profile, *, name: str = "") -> "list[Problem]":
    """What speaks against printing a file with these facts as this product. Pure; `name`: the file's own, if known."""
    # Not at the top: the reading process imports this package too and must not load the settings and their secrets.
    from intake.preflight.judging import judge as judged

    return judged(facts, profile, name=name)
