"""The world that functional tests live in."""

import uuid
from collections.abc import Iterator

import pytest

from chalicelib.api.services import Services
from chalicelib.storage.database import Database
from tests.databases import in_moto
from tests.functional.customer import Customer
from tests.functional.world import HandClock, World


@pytest.fixture
def database() -> Iterator[Database]:
    with in_moto() as database:
        yield database


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def world(database: Database, clock: HandClock) -> World:
    return World(database, clock)


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """Shared by a module's tests: each has an account, and with it all there is, of its own. Time stands still."""
    with in_moto() as database:
        yield Services.over(database, HandClock())


@pytest.fixture
def customer(services: Services) -> Customer:
    return new_customer(services)


@pytest.fixture
def other_customer(services: Services) -> Customer:
    return new_customer(services)


def new_customer(services: Services) -> Customer:
    """Somebody with an account that nothing was made in."""
    account = uuid.uuid4().hex
    return Customer(services, account, token=account)
