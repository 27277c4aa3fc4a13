"""The answer to a write is lost, and the SDK sends the write again. It takes effect once, and has its result."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.call import State
from chalicelib.domain.models import Counts
from chalicelib.errors import InUse
from chalicelib.storage.accounts import Accounts, Kind
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.log import Log
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.tokens import Tokens
from chalicelib.storage.writes import WriteRefused, conditional
from tests.support.databases import with_tables
from tests.support.examples import CAMPAIGN, ENTRY, KEY, NOW, add, claimed, entries, finished, receipt
from tests.support.tasks import waiting

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}


class RepeatingClient:
    """Sends every write twice, as the SDK does when the first answer is lost."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name in WRITES:
            self._client._make_api_call(operation_name, copy.deepcopy(api_params))
        return self._client._make_api_call(operation_name, api_params)


@pytest.fixture
def database(dynamodb: DynamoDB) -> Database:
    return with_tables(RepeatingClient(dynamodb))


def test_a_repeated_write_without_a_nonce_is_refused(database: Database) -> None:
    item = database.catalog("acme", "one", id=1)
    with pytest.raises(WriteRefused), conditional():
        item.save(condition=database.catalog.key.does_not_exist())


def test_a_claim_is_given_once_and_its_outcome_is_written(calls: Calls) -> None:
    claim = claimed(calls)
    assert calls.claim(KEY, ENTRY, 1, NOW) is None
    call = finished(calls, claim)
    assert (call.state, call.attempt) == (State.COMPLETED, 1)


def test_a_token_and_a_secret_are_created(database: Database) -> None:
    assert Tokens(database).create("acme", "3cbde128-32b6", NOW).account == "acme"
    assert Accounts(database).ensure("acme", "whsec_first") == "whsec_first"


def test_an_id_is_given_out_once(database: Database) -> None:
    accounts = Accounts(database)
    given = [accounts.next_id("acme", Kind.CAMPAIGN) for _ in range(3)]
    assert given == sorted(set(given))


@pytest.mark.real_database
class TestTransactions:
    """moto executes a repeated transaction twice."""

    @pytest.fixture
    def campaigns(self, campaigns: Campaigns) -> Campaigns:
        """Campaign 1 has ten numbers."""
        add(campaigns, numbers=10)
        return campaigns

    def test_numbers_are_queued_once(self, campaigns: Campaigns, database: Database) -> None:
        campaigns.append(CAMPAIGN, entries(5, first=10), receipt(), NOW)
        assert campaigns.get(CAMPAIGN).tail == 15
        assert [entry for _, entry in Log(database).read(CAMPAIGN, 0, 100)] == entries(15)

    def test_a_start_is_one_generation(self, campaigns: Campaigns) -> None:
        campaigns.start(CAMPAIGN, receipt(), NOW)
        assert campaigns.get(CAMPAIGN).generation == 1

    def test_the_uses_of_a_schedule_are_counted_once(self, campaigns: Campaigns, schedules: Schedules) -> None:
        with pytest.raises(InUse):
            schedules.delete("acme", 1)
        campaigns.delete(CAMPAIGN, NOW)
        schedules.delete("acme", 1)

    def test_slots_are_reserved_once_and_outcomes_counted_once(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        campaigns.start(CAMPAIGN, None, NOW)
        before = campaigns.get(CAMPAIGN)
        reserved = progress.reserve(before, 4, before.cursors, spread=1)
        assert reserved is not None
        assert progress.reserve(before, 4, before.cursors, spread=1) is None
        after = replace(reserved, settled=2, counts=Counts(1, 1, 0))
        assert progress.settle(reserved, after)
        assert not progress.settle(reserved, after)
        assert replace(campaigns.get(CAMPAIGN), settling_version="") == after

    def test_a_deferred_number_has_one_task(self, calls: Calls, tasks: TaskStore) -> None:
        assert calls.defer_unsent(claimed(calls), "dns", NOW)
        assert waiting(tasks, CAMPAIGN, spread=1) == [KEY.sequence]
        assert claimed(calls).unsent == 1
