from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError

from gelatoconnect.management.commands.lifecycle import PATH, page
from intake.models import ApiKey
from orders.models import Customer


def test_the_picture_of_the_lifecycle_is_what_the_code_says() -> None:
    assert PATH.read_text() == page(), "run `manage.py lifecycle`"


def test_the_demo_is_never_made_without_debug(db: Any, settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError):
        call_command("seed")
    assert Customer.objects.count() == 0


def test_a_real_installation_does_not_start_with_the_demos_key(connector: Any, settings: Any) -> None:
    settings.DEBUG = False
    call_command("check", databases=["default"])
    ApiKey.objects.create(connector=connector, key="demo", secret_hash="x")
    with pytest.raises(SystemCheckError, match=r"gelatoconnect\.E001"):
        call_command("check", databases=["default"])
    settings.DEBUG = True
    call_command("check", databases=["default"])


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("DESTINATIONS", ["XX1"], "E002"), ("PRODUCER_COUNTRY", "Norway", "E002"), ("FETCH_ALLOWED_HOSTS", ["*"], "E003")],
)
def test_a_wrong_setting_is_said_with_a_hint(settings: Any, name: str, value: Any, code: str) -> None:
    setattr(settings, name, value)
    with pytest.raises(SystemCheckError, match=f"gelatoconnect.{code}"):
        call_command("check")
