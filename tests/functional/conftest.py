"""The world that functional tests live in."""

from collections.abc import Iterator

import pytest

from chalicelib.storage.tables import Database
from tests.databases import in_moto
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
