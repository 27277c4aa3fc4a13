"""The databases that storage must keep its promises on."""

from collections.abc import Iterator
from typing import cast

import pytest
from botocore.session import get_session
from moto import mock_aws

from chalicelib.storage.database import Database, DynamoDB
from infra.local.emulator import Emulator
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.databases import with_tables


@pytest.fixture(scope="session")
def emulated(emulator: Emulator) -> DynamoDB:
    """One client for all tests: making one takes longer than most of them."""
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
        with mock_aws():
            session = get_session()
            session.set_credentials("test", "test")
            yield cast(DynamoDB, session.create_client("dynamodb", region_name="us-east-1"))


@pytest.fixture
def database(dynamodb: DynamoDB) -> Database:
    return with_tables(dynamodb)
