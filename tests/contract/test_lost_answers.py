"""The answer to a write is lost on its way, and the SDK sends it again: it is done once, and known as done."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.call import ReportState, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Counts, Status
from chalicelib.errors import InUse
from chalicelib.storage.accounts import Accounts, Kind
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.log import Log
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.tokens import Tokens
from chalicelib.storage.writes import WriteRefused, conditional
from tests.support.databases import with_tables
from tests.support.examples import ENTRY, KEY, NOW, OUTCOME, entries, plan, profile, receipt, schedule
from tests.support.tasks import waiting

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}


class Repeating:
    """A client whose every write is done without an answer at first, and sent again as the SDK would."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name in WRITES:
            self._client._make_api_call(operation_name, copy.deepcopy(api_params))
        return self._client._make_api_call(operation_name, api_params)


@pytest.fixture
def database(dynamodb: DynamoDB) -> Database:
    return with_tables(Repeating(dynamodb))


def test_a_write_without_a_mark_of_its_own_would_be_taken_for_somebody_elses(database: Database) -> None:
    item = database.catalog("acme", "one", id=1)
    with pytest.raises(WriteRefused), conditional():
        item.save(condition=database.catalog.key.does_not_exist())


def test_a_claim_is_had_and_its_outcome_written(database: Database) -> None:
    calls = Stores.of(database).calls
    claim = calls.claim(KEY, ENTRY, 1, NOW)
    assert claim is not None
    assert calls.claim(KEY, ENTRY, 1, NOW) is None
    finished = calls.finish(claim, OUTCOME, NOW, ReportState.NONE)
    assert finished is not None
    assert (finished.state, finished.attempt) == (State.COMPLETED, 1)


def test_a_token_and_a_secret_are_given_to_who_asked(database: Database) -> None:
    assert Tokens(database).create("acme", "3cbde128-32b6", NOW).account == "acme"
    assert Accounts(database).ensure("acme", "whsec_first") == "whsec_first"


def test_an_id_is_given_out_once(database: Database) -> None:
    accounts = Accounts(database)
    given = [accounts.next_id("acme", Kind.CAMPAIGN) for _ in range(3)]
    assert given == sorted(set(given))


@pytest.mark.real_database
class TestTransactions:
    """moto does each of them twice."""

    @pytest.fixture
    def campaigns(self, database: Database) -> Campaigns:
        """Campaign 1 has ten numbers."""
        Schedules(database).add(schedule(), None, NOW)
        Profiles(database).add(profile(), None, NOW)
        campaigns = Stores.of(database).campaigns
        campaigns.add(Campaign("acme", 1, plan(), Status.CREATED), entries(10), None, NOW)
        return campaigns

    def test_numbers_are_queued_once(self, campaigns: Campaigns, database: Database) -> None:
        campaigns.append(CampaignKey("acme", 1), entries(5, first=10), receipt(), NOW)
        assert campaigns.get(CampaignKey("acme", 1)).tail == 15
        assert [entry for _, entry in Log(database).read(CampaignKey("acme", 1), 0, 100)] == entries(15)

    def test_a_start_is_one_start(self, campaigns: Campaigns) -> None:
        campaigns.start(CampaignKey("acme", 1), receipt(), NOW)
        assert campaigns.get(CampaignKey("acme", 1)).generation == 1

    def test_users_are_counted_once(self, campaigns: Campaigns, database: Database) -> None:
        schedules = Schedules(database)
        with pytest.raises(InUse):
            schedules.delete("acme", 1)
        campaigns.delete(CampaignKey("acme", 1), NOW)
        schedules.delete("acme", 1)

    def test_slots_are_had_by_who_reserved_them_and_counts_by_who_counted(
        self, campaigns: Campaigns, database: Database
    ) -> None:
        progress = ProgressStore(database)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        before = campaigns.get(CampaignKey("acme", 1))
        reserved = progress.reserve(before, 4, before.cursors, spread=1)
        assert reserved is not None
        assert progress.reserve(before, 4, before.cursors, spread=1) is None
        after = replace(reserved, settled=2, counts=Counts(1, 1, 0))
        assert progress.settle(reserved, after)
        assert not progress.settle(reserved, after)
        assert campaigns.get(CampaignKey("acme", 1)) == after

    def test_a_deferred_number_has_one_slip(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        assert calls.defer_unsent(claim, "dns", NOW)
        assert waiting(TaskStore(database), CampaignKey("acme", 1), spread=1) == [KEY.sequence]
        again = calls.claim(KEY, ENTRY, 1, NOW)
        assert again is not None
        assert again.unsent == 1
