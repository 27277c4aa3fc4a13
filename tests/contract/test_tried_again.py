"""Storage repeats what DynamoDB leaves unprocessed, or refuses for a conflict, after growing pauses."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.keys import CallKey
from chalicelib.errors import Busy
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.stores import Stores
from tests.support.databases import create_tables
from tests.support.examples import ENTRY, NOW, add, profile, schedule

KEYS = [CallKey("acme", 1, sequence) for sequence in range(5)]


class RefusingClient:
    """Does only the first part of a batch, and refuses updates for a conflict, for the next `times` requests."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client
        self.times = 0
        self.batches = 0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if not self.times:
            return self._client._make_api_call(operation_name, api_params)
        self.times -= 1
        if operation_name == "UpdateItem":
            raise ClientError({"Error": {"Code": "TransactionConflictException", "Message": "later"}}, operation_name)
        self.batches += 1
        ((table, wanted),) = api_params["RequestItems"].items()
        if operation_name == "BatchGetItem":
            first, rest = {**wanted, "Keys": wanted["Keys"][:1]}, {**wanted, "Keys": wanted["Keys"][1:]}
            answer = self._client._make_api_call(operation_name, {**api_params, "RequestItems": {table: first}})
            return {**answer, "UnprocessedKeys": {table: rest} if rest["Keys"] else {}}
        answer = self._client._make_api_call(operation_name, {**api_params, "RequestItems": {table: wanted[:1]}})
        return {**answer, "UnprocessedItems": {table: wanted[1:]} if wanted[1:] else {}}


class PausingDatabase:
    """A database over a refusing client. Its pauses are recorded, in seconds."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self.pauses: list[float] = []
        self.client = RefusingClient(dynamodb)
        self.database = Database("reluctant", self.client, self.pauses.append)
        self.stores = Stores.of(self.database)
        self.calls = self.stores.calls
        create_tables(self.database)


@pytest.fixture
def pausing(dynamodb: DynamoDB) -> PausingDatabase:
    return PausingDatabase(dynamodb)


def test_the_rest_of_a_batch_of_reads_is_read_later(pausing: PausingDatabase) -> None:
    for key in KEYS:
        pausing.calls.claim(key, ENTRY, 1, NOW)
    pausing.client.times = 3
    assert {call.key for call in pausing.calls.among(KEYS)} == set(KEYS)
    assert len(pausing.pauses) == 3


def test_the_rest_of_a_batch_of_writes_is_written_later(pausing: PausingDatabase) -> None:
    pausing.client.times = 3
    items = pausing.database.tasks
    with items.batch_write() as batch:
        for number in range(5):
            batch.save(items("acme/1", f"dial/0/{number}", sequence=number))
    assert pausing.client.batches == len(pausing.pauses) == 3
    assert len(list(items.query("acme/1", consistent_read=True))) == 5


def a_claim(pausing: PausingDatabase) -> Callable[[], object]:
    return lambda: pausing.calls.claim(CallKey("globex", 1, 0), ENTRY, 1, NOW)


def a_reservation(pausing: PausingDatabase) -> Callable[[], object]:
    Schedules(pausing.database).add(schedule(), None, NOW)
    Profiles(pausing.database).add(profile(), None, NOW)
    campaign = add(pausing.stores.campaigns)
    return lambda: pausing.stores.progress.reserve(campaign, 0, campaign.cursors, spread=1)


@pytest.mark.parametrize("prepare", [a_claim, a_reservation])
def test_a_write_in_conflict_with_a_transaction_is_made_later(
    pausing: PausingDatabase, prepare: Callable[[PausingDatabase], Callable[[], object]]
) -> None:
    write = prepare(pausing)
    pausing.client.times = 4
    assert write() is not None
    assert len(pausing.pauses) == 4


def test_repetition_ends_with_busy_within_five_seconds(pausing: PausingDatabase) -> None:
    pausing.client.times = 1000
    with pytest.raises(Busy):
        pausing.calls.claim(KEYS[0], ENTRY, 1, NOW)
    assert 5 < len(pausing.pauses) < 20
    assert sum(pausing.pauses) < 5
