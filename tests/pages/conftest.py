from collections.abc import Callable

import pytest
from django.test import Client

from tests.factories import make_user


@pytest.fixture
def sign_in(db: None) -> Callable[..., Client]:
    """A browser in which a person of that role is signed in: `sign_in("Print operator")`."""

    def browser(role: str = "Manager", username: str = "ada") -> Client:
        client = Client()
        client.force_login(make_user(role, username=username))
        return client

    return browser


@pytest.fixture
def manager(sign_in: Callable[..., Client]) -> Client:
    return sign_in()
