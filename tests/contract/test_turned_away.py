"""What DynamoDB leaves undone, or lets another transaction stand in the way of, is asked for again, ever later."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.keys import CallKey
from chalicelib.errors import Busy
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.stores import Stores
from tests.support.databases import create_tables
from tests.support.examples import ENTRY, NOW

KEYS = [CallKey("acme", 1, sequence) for sequence in range(5)]


class Reluctant:
    """Leaves all but one part of a batch undone, and refuses writes for a conflict, so many times."""

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


class Paused:
    """A database, and the pauses that it makes."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self.pauses: list[float] = []
        self.client = Reluctant(dynamodb)
        self.database = Database("reluctant", self.client, self.pauses.append)
        create_tables(self.database)


@pytest.fixture
def paused(dynamodb: DynamoDB) -> Paused:
    return Paused(dynamodb)


def test_what_a_batch_of_reads_leaves_undone_is_read_later(paused: Paused) -> None:
    calls = Stores.of(paused.database).calls
    for key in KEYS:
        calls.claim(key, ENTRY, 1, NOW)
    paused.client.times = 3
    assert {call.key for call in calls.among(KEYS)} == set(KEYS)
    assert len(paused.pauses) == 3


def test_what_a_batch_of_writes_leaves_undone_is_written_later(paused: Paused) -> None:
    paused.client.times = 3
    with paused.database.tasks.batch_write() as batch:
        for number in range(5):
            batch.save(paused.database.tasks("acme/1", f"dial/0/{number}", sequence=number))
    assert paused.client.batches == len(paused.pauses) == 3
    assert len(list(paused.database.tasks.query("acme/1", consistent_read=True))) == 5


def test_a_write_in_conflict_with_a_transaction_is_made_later(paused: Paused) -> None:
    paused.client.times = 4
    assert Stores.of(paused.database).calls.claim(CallKey("globex", 1, 0), ENTRY, 1, NOW) is not None
    assert len(paused.pauses) == 4


def test_it_ends(paused: Paused) -> None:
    paused.client.times = 1000
    with pytest.raises(Busy):
        Stores.of(paused.database).calls.claim(KEYS[0], ENTRY, 1, NOW)
    assert 5 < len(paused.pauses) < 20
    assert sum(paused.pauses) < 5
