"""The switch, a campaign and its schedule are read at most once a second, however many calls a process makes."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from chalicelib.storage.database import DynamoDB
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import MINUTE, numbers, prepare_running
from tests.support.databases import with_tables
from tests.support.world import HandClock, World

SECOND = timedelta(seconds=1)


class TimedClient:
    """Notes when an item of which table was read."""

    def __init__(self, client: DynamoDB, clock: HandClock) -> None:
        self._client = client
        self._clock = clock
        self.reads: dict[str, list[datetime]] = defaultdict(list)

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name == "GetItem":
            self.reads[api_params["TableName"].rpartition("-")[2]].append(self._clock.now())
        return self._client._make_api_call(operation_name, api_params)


@pytest.fixture
def client(clock: HandClock) -> TimedClient:
    return TimedClient(SimulatedDynamoDB(), clock)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_a_process_reads_switch_schedule_and_campaign_at_most_once_a_second(
    client: TimedClient, clock: HandClock
) -> None:
    world, calls = World(with_tables(client), clock), 600
    prepare_running(world, numbers(calls), amount=calls)
    world.tick()
    client.reads.clear()
    world.drain(clock.now() + 2 * MINUTE)  # an invocation for each slice of twenty calls
    assert len(world.tenant.calls) == calls
    # A dialer reads no other item of the catalog than schedules.
    for table in ("operator", "catalog", "campaigns"):
        reads = client.reads[table]
        assert 10 < len(reads) <= 61, table
        assert all(later - earlier > SECOND for earlier, later in pairwise(reads)), table
