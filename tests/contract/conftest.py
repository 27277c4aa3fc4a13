"""The databases on which storage is tested, and stores over each of them."""

from collections.abc import Iterator
from typing import cast

import pytest

from chalicelib.storage.call_reports import CallReports
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.log import Log
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from infra.local.emulator import Emulator
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.databases import moto_client, with_tables
from tests.support.examples import NOW, profile, schedule


@pytest.fixture(scope="session")
def emulated(emulator: Emulator) -> DynamoDB:
    """One client for all tests: creating it takes longer than most tests."""
    return cast(DynamoDB, emulator.client("dynamodb"))


@pytest.fixture(params=["moto", "emulator", "simulated"])
def dynamodb(request: pytest.FixtureRequest) -> Iterator[DynamoDB]:
    if request.param == "simulated":
        yield SimulatedDynamoDB()
    elif request.param == "emulator":
        yield request.getfixturevalue("emulated")
    elif request.node.get_closest_marker("real_database"):
        pytest.skip("moto can't show this")
    else:
        with moto_client("dynamodb") as client:
            yield cast(DynamoDB, client)


@pytest.fixture
def database(dynamodb: DynamoDB) -> Database:
    return with_tables(dynamodb)


@pytest.fixture
def schedules(database: Database) -> Schedules:
    return Schedules(database)


@pytest.fixture
def campaigns(database: Database) -> Campaigns:
    """No campaign yet, but the schedule and the profile that examples refer to."""
    Schedules(database).add(schedule(), None, NOW)
    Profiles(database).add(profile(), None, NOW)
    return Stores.of(database).campaigns


@pytest.fixture
def progress(database: Database) -> ProgressStore:
    return ProgressStore(database)


@pytest.fixture
def calls(database: Database) -> Calls:
    return Stores.of(database).calls


@pytest.fixture
def call_reports(database: Database) -> CallReports:
    return Stores.of(database).call_reports


@pytest.fixture
def tasks(database: Database) -> TaskStore:
    return TaskStore(database)


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)
