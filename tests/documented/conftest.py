"""The account that the reference's examples belong to."""

from collections.abc import Iterator

import pytest

from chalicelib.api.services import Services
from tests.databases import in_moto
from tests.functional.customer import Customer
from tests.functional.world import HandClock


@pytest.fixture
def customer() -> Iterator[Customer]:
    with in_moto() as database:
        yield Customer(Services.over(database, HandClock()))
