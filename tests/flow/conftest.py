"""One house for all of these tests (one for each xdist worker), and the web server of its customer."""

from collections.abc import Iterator

import pytest

from tests.flow.house import CustomerSite, House


@pytest.fixture(scope="session")
def site() -> Iterator[CustomerSite]:
    site = CustomerSite()
    yield site
    site.close()


@pytest.fixture(scope="session")
def house(site: CustomerSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"), site)
    house.open()
    yield house
    house.close()
