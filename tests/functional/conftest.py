"""The world that functional tests live in."""

from collections.abc import Iterator
from typing import cast

import pytest
from botocore.session import get_session
from moto import mock_aws
from pynamodb.models import Model

from chalicelib.storage.tables import Database, DynamoDB
from tests.functional.world import HandClock, World


@pytest.fixture
def database() -> Iterator[Database]:
    with mock_aws():
        session = get_session()
        session.set_credentials("test", "test")
        client = session.create_client("dynamodb", region_name="us-east-1")
        database = Database("test", cast(DynamoDB, client), pause=lambda _: None)
        for table in vars(database).values():
            if isinstance(table, type) and issubclass(table, Model):
                table.create_table(billing_mode="PAY_PER_REQUEST")
        yield database


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def world(database: Database, clock: HandClock) -> World:
    return World(database, clock)
