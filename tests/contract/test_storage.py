"""What storage promises, on every database there is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from chalicelib.domain import pacing
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Counts, Cursor, Plan, Profile, Status
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.sharding import Work
from chalicelib.domain.tasks import DialTask, Lease, ReportTask, ScheduledTask, UncountedOutcome
from chalicelib.errors import Busy, InUse, NicknameTaken, NotFound, ReferenceGone
from chalicelib.storage.accounts import Accounts, Kind
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.log import CHUNK_BYTES, Log
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.receipts import AlreadyAnswered, Receipt, Receipts, add_receipt, commit_with_receipt
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.tokens import Tokens, TokenTaken
from tests.support.databases import with_tables, with_work
from tests.support.examples import ENTRY, KEY, NOW, OUTCOME, Counting, add, entries, plan, profile, receipt, schedule
from tests.support.tasks import waiting

HOUR = timedelta(hours=1)


@pytest.fixture
def campaigns(database: Database) -> Campaigns:
    Schedules(database).add(schedule(), None, NOW)
    Profiles(database).add(profile(), None, NOW)
    return Stores.of(database).campaigns


@pytest.fixture
def progress(database: Database) -> ProgressStore:
    return ProgressStore(database)


def keep(database: Database, kept: Receipt, now: datetime) -> None:
    """As whatever does what its request asked for."""
    transaction = database.transaction()
    add_receipt(transaction, database, kept, now)
    commit_with_receipt(transaction)


class TestAccounts:
    def test_ids_rise_for_each_kind_and_account_by_itself(self, database: Database) -> None:
        accounts = Accounts(database)
        assert [accounts.next_id("acme", Kind.SCHEDULE) for _ in range(3)] == [1, 2, 3]
        assert accounts.next_id("acme", Kind.PROFILE) == 1
        assert accounts.next_id("globex", Kind.SCHEDULE) == 1

    def test_an_account_keeps_its_first_secret(self, database: Database) -> None:
        accounts = Accounts(database)
        assert accounts.secret("acme") is None
        assert accounts.ensure("acme", "whsec_first") == "whsec_first"
        assert accounts.ensure("acme", "whsec_second") == "whsec_first"
        assert accounts.secret("acme") == "whsec_first"

    def test_a_token_is_known_until_it_is_revoked(self, database: Database) -> None:
        tokens = Tokens(database)
        tokens.create("acme", "3cbde128-32b6", NOW)
        assert tokens.account_of("3cbde128-32b6") == "acme"
        assert tokens.account_of("3cbde128-32b7") is None
        tokens.create("acme", "00000000-0000", NOW)
        tokens.revoke("acme", "3cbde1")
        assert tokens.account_of("3cbde128-32b6") is None
        assert tokens.account_of("00000000-0000") == "acme"

    def test_a_token_opens_one_account_only(self, database: Database) -> None:
        tokens = Tokens(database)
        tokens.create("acme", "3cbde128-32b6", NOW)
        tokens.create("acme", "3cbde128-32b6", NOW)
        with pytest.raises(TokenTaken):
            tokens.create("globex", "3cbde128-32b6", NOW)

    def test_no_token_is_stored(self, database: Database) -> None:
        Tokens(database).create("acme", "3cbde128-32b6", NOW)
        assert "3cbde128-32b6" not in str([item.serialize() for item in database.tokens.scan()])


class TestCatalog:
    def test_what_is_added_is_found_by_id_and_by_nickname(self, database: Database) -> None:
        schedules = Schedules(database)
        schedules.add(schedule(6), None, NOW)
        assert (
            schedules.get("acme", 6) == schedules.find("acme", "6") == schedules.find("acme", "3wkdays") == schedule(6)
        )

    def test_where_a_reference_is_both_an_id_and_a_nickname_the_id_wins(self, database: Database) -> None:
        schedules = Schedules(database)
        schedules.add(schedule(1, "2"), None, NOW)
        assert schedules.find("acme", "2").id == 1
        schedules.add(schedule(2, "other"), None, NOW)
        assert schedules.find("acme", "2").id == 2

    def test_another_accounts_things_are_not_found(self, database: Database) -> None:
        schedules = Schedules(database)
        schedules.add(schedule(), None, NOW)
        for reference in ("1", "3wkdays"):
            with pytest.raises(NotFound):
                schedules.find("globex", reference)
        with pytest.raises(NotFound):
            schedules.delete("globex", 1)
        assert schedules.page("globex") == []

    def test_a_nickname_is_taken_once_in_an_account_and_kind(self, database: Database) -> None:
        schedules = Schedules(database)
        schedules.add(schedule(1), None, NOW)
        with pytest.raises(NicknameTaken):
            schedules.add(schedule(2), None, NOW)
        with pytest.raises(NotFound):
            schedules.get("acme", 2)
        Profiles(database).add(profile(1, "3wkdays"), None, NOW)
        schedules.add(schedule(1, account="globex"), None, NOW)

    def test_a_nickname_that_was_given_up_can_be_taken(self, database: Database) -> None:
        schedules = Schedules(database)
        schedules.add(schedule(1), None, NOW)
        schedules.change("acme", 1, {"nickname": "renamed"})
        schedules.add(schedule(2), None, NOW)
        schedules.delete("acme", 1)
        schedules.add(schedule(3, "renamed"), None, NOW)
        with pytest.raises(NicknameTaken):
            schedules.change("acme", 3, {"nickname": "3wkdays"})

    def test_a_change_leaves_what_it_does_not_name(self, database: Database) -> None:
        profiles = Profiles(database)
        profiles.add(profile(), None, NOW)
        changed = profiles.change("acme", 1, {"amount_per_period": 7})
        assert changed == profiles.get("acme", 1) == Profile("acme", 1, "MorningPace", 30, 7, 10)

    def test_pages_are_in_the_order_of_ids(self, database: Database) -> None:
        schedules = Schedules(database)
        for identifier in (10, 9, 1, 100):
            schedules.add(schedule(identifier, None), None, NOW)
        assert [one.id for one in schedules.page("acme")] == [1, 9, 10, 100]
        assert [one.id for one in schedules.page("acme", after=9, limit=1)] == [10]

    def test_what_is_in_use_is_not_deleted_and_the_highest_user_is_named(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        for identifier in (2, 11, 3):
            add(campaigns, identifier)
        with pytest.raises(InUse) as refused:
            Schedules(database).delete("acme", 1)
        assert (refused.value.nickname, refused.value.campaign_id) == ("3wkdays", 11)
        campaigns.delete(CampaignKey("acme", 11), NOW)
        with pytest.raises(InUse) as refused:
            Profiles(database).delete("acme", 1)
        assert refused.value.campaign_id == 3

    def test_what_is_no_longer_in_use_is_deleted(self, database: Database, campaigns: Campaigns) -> None:
        Schedules(database).add(schedule(2, "other"), None, NOW)
        add(campaigns)
        campaigns.change(CampaignKey("acme", 1), lambda _: plan(schedule_id=2), NOW)
        Schedules(database).delete("acme", 1)
        with pytest.raises(InUse):
            Schedules(database).delete("acme", 2)

    def test_what_storage_itself_contradicts_is_not_tried_for_ever(self, database: Database) -> None:
        Schedules(database).add(schedule(), None, NOW)
        item = database.catalog("acme", "schedule/000000000001")
        item.update([database.catalog.uses.add(1)])  # though nobody uses it
        with pytest.raises(Busy):
            Schedules(database).delete("acme", 1)


class TestCampaigns:
    def test_a_campaign_is_read_back_as_it_was_added(self, campaigns: Campaigns) -> None:
        assert replace(add(campaigns), pacing_version="") == Campaign("acme", 1, plan(), Status.CREATED)

    def test_a_campaign_cannot_refer_to_what_is_not_there(self, campaigns: Campaigns) -> None:
        lost = Campaign("acme", 1, plan(schedule_id=8, profile_id=9), Status.CREATED)
        with pytest.raises(ReferenceGone) as refused:
            campaigns.add(lost, entries(3), None, NOW)
        assert refused.value.fields == ("profiles", "schedule")
        assert campaigns.find(CampaignKey("acme", 1)) is None

    def test_another_accounts_campaign_is_not_found(self, campaigns: Campaigns) -> None:
        add(campaigns, numbers=1)
        for act in (
            lambda: campaigns.get(CampaignKey("globex", 1)),
            lambda: campaigns.append(CampaignKey("globex", 1), entries(1), None, NOW),
            lambda: campaigns.start(CampaignKey("globex", 1), None, NOW),
            lambda: campaigns.stop(CampaignKey("globex", 1), None, NOW),
            lambda: campaigns.delete(CampaignKey("globex", 1), NOW),
            lambda: campaigns.change(CampaignKey("globex", 1), lambda before: before, NOW),
        ):
            with pytest.raises(NotFound):
                act()
        assert campaigns.get(CampaignKey("acme", 1)).tail == 1

    def test_each_start_is_a_new_generation_and_a_second_one_changes_nothing(self, campaigns: Campaigns) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        campaigns.start(CampaignKey("acme", 1), None, NOW + timedelta(hours=1))
        running = campaigns.get(CampaignKey("acme", 1))
        assert (running.status, running.generation) == (Status.RUNNING, 1)
        assert running.cursors == (Cursor(NOW, NOW),) * 2
        campaigns.stop(CampaignKey("acme", 1), None, NOW)
        campaigns.stop(CampaignKey("acme", 1), None, NOW)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        assert campaigns.get(CampaignKey("acme", 1)).generation == 2

    def test_stopping_what_never_ran_changes_nothing(self, campaigns: Campaigns) -> None:
        before = add(campaigns)
        campaigns.stop(CampaignKey("acme", 1), None, NOW)
        assert campaigns.get(CampaignKey("acme", 1)) == before

    def test_a_deleted_campaign_is_not_found_but_kept(self, campaigns: Campaigns) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        campaigns.delete(CampaignKey("acme", 1), NOW)
        with pytest.raises(NotFound):
            campaigns.get(CampaignKey("acme", 1))
        assert list(campaigns.page("acme")) == []
        kept = campaigns.find(CampaignKey("acme", 1))
        assert kept is not None
        assert (kept.deleted, kept.status) == (True, Status.STOPPED)

    def test_slots_are_reserved_only_once(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        add(campaigns, numbers=10)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        before = campaigns.get(CampaignKey("acme", 1))
        cursors = pacing.fresh(2, NOW + timedelta(minutes=1))
        after = progress.reserve(before, 0, cursors, spread=1)
        assert after == campaigns.get(CampaignKey("acme", 1))
        assert progress.reserve(before, 0, cursors, spread=1) is None
        assert after is not None
        assert progress.reserve(after, 4, cursors, spread=1) is not None
        assert campaigns.get(CampaignKey("acme", 1)).head == 4

    @pytest.mark.parametrize("meanwhile", ["start", "change", "append"])
    def test_slots_are_not_reserved_over_new_cursors(
        self, campaigns: Campaigns, progress: ProgressStore, meanwhile: str
    ) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        seen = campaigns.get(CampaignKey("acme", 1))
        if meanwhile == "start":
            campaigns.stop(CampaignKey("acme", 1), None, NOW)
            campaigns.start(CampaignKey("acme", 1), None, NOW)
        elif meanwhile == "change":
            campaigns.change(CampaignKey("acme", 1), lambda before: replace(before, windows=before.windows[:1]), NOW)
        else:
            campaigns.append(CampaignKey("acme", 1), entries(1), None, NOW)
        now = campaigns.get(CampaignKey("acme", 1))
        assert progress.reserve(seen, 0, pacing.fresh(2, NOW + timedelta(minutes=1)), spread=1) is None
        assert campaigns.get(CampaignKey("acme", 1)) == now

    def test_new_windows_are_not_given_cursors_that_have_moved(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        later = pacing.fresh(2, NOW + timedelta(minutes=1))
        tries = []

        def revise(before: Plan) -> Plan:
            tries.append(before)
            if len(tries) == 1:
                assert progress.reserve(campaigns.get(CampaignKey("acme", 1)), 0, later, spread=1) is not None
            return replace(before, windows=before.windows[:1])

        campaigns.change(CampaignKey("acme", 1), revise, NOW)
        assert campaigns.get(CampaignKey("acme", 1)).cursors == later[:1]

    def test_a_campaign_that_is_started_while_it_is_changed_has_a_cursor_for_each_window(
        self, campaigns: Campaigns
    ) -> None:
        add(campaigns)
        tries = []

        def revise(before: Plan) -> Plan:
            tries.append(before)
            if len(tries) == 1:
                campaigns.start(CampaignKey("acme", 1), None, NOW)
            return replace(before, windows=before.windows[:1])

        campaigns.change(CampaignKey("acme", 1), revise, NOW)
        assert len(campaigns.get(CampaignKey("acme", 1)).cursors) == 1

    def test_the_head_passes_what_was_handed_over_even_after_a_restart(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add(campaigns, numbers=10)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        running = campaigns.get(CampaignKey("acme", 1))
        campaigns.stop(CampaignKey("acme", 1), None, NOW)
        campaigns.start(CampaignKey("acme", 1), None, NOW + timedelta(minutes=5))
        assert progress.advance_head(running, 4)
        assert not progress.advance_head(running, 3)
        after = campaigns.get(CampaignKey("acme", 1))
        assert (after.head, after.cursors) == (4, pacing.fresh(2, NOW + timedelta(minutes=5)))

    def test_counts_move_only_from_where_they_were_read(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        before = add(campaigns, numbers=3)
        assert progress.settle(before, replace(before, settled=2, counts=Counts(1, 1, 0)))
        assert not progress.settle(before, replace(before, settled=1, counts=Counts(1, 0, 0)))
        after = campaigns.get(CampaignKey("acme", 1))
        assert (after.settled, after.counts) == (2, Counts(1, 1, 0))

    def test_only_campaigns_with_work_are_found_by_the_pacer(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add(campaigns, 1)
        add(campaigns, 2)
        campaigns.start(CampaignKey("acme", 2), None, NOW)
        assert with_work(progress, NOW) == [CampaignKey("acme", 2)]
        progress.clear_work_flag(campaigns.get(CampaignKey("acme", 2)))
        assert with_work(progress, NOW) == []
        campaigns.append(CampaignKey("acme", 2), entries(1), None, NOW)
        assert with_work(progress, NOW) == [CampaignKey("acme", 2)]

    @pytest.mark.parametrize("meanwhile", ["append", "reserve", "settle", "change"])
    def test_a_campaign_that_changed_meanwhile_does_not_rest(
        self, campaigns: Campaigns, progress: ProgressStore, meanwhile: str
    ) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        seen = campaigns.get(CampaignKey("acme", 1))
        if meanwhile == "append":
            campaigns.append(CampaignKey("acme", 1), entries(1), None, NOW)
        elif meanwhile == "reserve":
            assert progress.reserve(seen, 0, seen.cursors, spread=1) is not None
        elif meanwhile == "settle":
            assert progress.settle(seen, replace(seen, counts=Counts(completed=1)))
        else:
            campaigns.change(
                CampaignKey("acme", 1), lambda before: replace(before, start_url="http://new.example/"), NOW
            )
        progress.clear_work_flag(seen)
        progress.sleep(seen, NOW + HOUR)
        assert with_work(progress, NOW) == [CampaignKey("acme", 1)]

    def test_a_campaign_that_sleeps_is_found_when_it_wakes(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        sleeping(campaigns, progress)
        assert with_work(progress, NOW + HOUR - timedelta(seconds=1)) == []
        assert with_work(progress, NOW + HOUR) == [CampaignKey("acme", 1)]

    @pytest.mark.parametrize(
        "ask",
        [
            lambda campaigns: campaigns.append(CampaignKey("acme", 1), entries(1), None, NOW),
            lambda campaigns: campaigns.change(
                CampaignKey("acme", 1), lambda plan: replace(plan, retry_interval=60), NOW
            ),
            lambda campaigns: campaigns.delete(CampaignKey("acme", 1), NOW),
            lambda campaigns: (
                campaigns.stop(CampaignKey("acme", 1), None, NOW),
                campaigns.start(CampaignKey("acme", 1), None, NOW),
            ),
            lambda campaigns: campaigns.wake_users(Schedules(campaigns._database), "acme", 1, NOW),
            lambda campaigns: campaigns.wake_users(Profiles(campaigns._database), "acme", 1, NOW),
        ],
        ids=["append", "change", "delete", "restart", "schedule", "profile"],
    )
    def test_whatever_its_owner_asks_wakes_it(
        self, campaigns: Campaigns, progress: ProgressStore, ask: Callable[[Campaigns], None]
    ) -> None:
        sleeping(campaigns, progress)
        ask(campaigns)
        assert with_work(progress, NOW) == [CampaignKey("acme", 1)]

    def test_it_is_woken_even_if_it_fell_asleep_while_it_was_asked(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        tries = []

        def revise(before: Plan) -> Plan:
            tries.append(before)
            if len(tries) == 1:
                progress.sleep(campaigns.get(CampaignKey("acme", 1)), NOW + HOUR)
            return replace(before, retry_interval=60)

        campaigns.change(CampaignKey("acme", 1), revise, NOW)
        assert len(tries) == 2
        assert with_work(progress, NOW) == [CampaignKey("acme", 1)]

    def test_it_does_not_fall_asleep_by_a_schedule_that_was_changed_meanwhile(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        seen = campaigns.get(CampaignKey("acme", 1))
        campaigns.wake_users(Schedules(campaigns._database), "acme", 1, NOW)
        progress.sleep(seen, NOW + HOUR)
        assert with_work(progress, NOW) == [CampaignKey("acme", 1)]

    def test_a_campaign_that_was_awake_keeps_the_slots_it_has_to_make_up(self, campaigns: Campaigns) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        before = campaigns.get(CampaignKey("acme", 1)).wakes_at
        campaigns.append(CampaignKey("acme", 1), entries(1), None, NOW + HOUR)
        assert campaigns.get(CampaignKey("acme", 1)).wakes_at == before < NOW

    def test_what_is_known_of_its_dialers_is_told_with_the_work(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add(campaigns)
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        assert works(progress) == [Work(CampaignKey("acme", 1), None)]
        seen = campaigns.get(CampaignKey("acme", 1))
        reserved = progress.reserve(seen, 0, seen.cursors, spread=1, dialers=2.5)
        assert works(progress) == [Work(CampaignKey("acme", 1), 2.5)]
        assert reserved is not None
        progress.sleep(reserved, NOW)
        assert works(progress) == [Work(CampaignKey("acme", 1), None)]


def works(progress: ProgressStore) -> list[Work]:
    return [work for each in progress.work_in(range(SHARDS), NOW).values() for work in each]


def sleeping(campaigns: Campaigns, progress: ProgressStore) -> None:
    """It runs, and there is nothing to do for it within the hour."""
    add(campaigns)
    campaigns.start(CampaignKey("acme", 1), None, NOW)
    progress.sleep(campaigns.get(CampaignKey("acme", 1)), NOW + HOUR)
    assert with_work(progress, NOW) == []


class TestLog:
    def test_uploads_are_read_in_their_order_as_one_queue(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns, numbers=3)
        campaigns.append(CampaignKey("acme", 1), entries(2, first=3), None, NOW)
        campaigns.append(CampaignKey("acme", 1), entries(1, first=5), None, NOW)
        log = Log(database)
        assert list(log.read(CampaignKey("acme", 1), 0, 100)) == list(enumerate(entries(6)))
        assert list(log.read(CampaignKey("acme", 1), 4, 1)) == [(4, entries(1, first=4)[0])]
        assert list(log.read(CampaignKey("acme", 1), 6, 1)) == []
        assert campaigns.get(CampaignKey("acme", 1)).tail == 6

    def test_a_large_upload_is_packed_hundreds_to_an_item(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns, numbers=5000)
        chunks = list(database.chunks.scan())
        assert len(chunks) == 4
        assert max(len(chunk.entries) for chunk in chunks) <= CHUNK_BYTES
        assert list(Log(database).read(CampaignKey("acme", 1), 0, 5000)) == list(enumerate(entries(5000)))
        assert list(Log(database).read(CampaignKey("acme", 1), 1466, 3)) == list(
            enumerate(entries(3, first=1466), 1466)
        )

    def test_a_small_upload_stands_in_its_segment_and_a_larger_one_in_a_chunk(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        add(campaigns, numbers=2)
        assert list(database.chunks.scan()) == []
        campaigns.append(CampaignKey("acme", 1), entries(200, first=2), None, NOW)
        assert len(list(database.chunks.scan())) == 1
        campaigns.append(CampaignKey("acme", 1), entries(1, first=202), None, NOW)
        assert list(Log(database).read(CampaignKey("acme", 1), 0, 1000)) == list(enumerate(entries(203)))

    def test_a_queue_filled_number_by_number_is_read_in_few_requests(self, dynamodb: DynamoDB) -> None:
        counting = Counting(dynamodb)
        database = with_tables(counting)
        campaigns = Stores.of(database).campaigns
        Schedules(database).add(schedule(), None, NOW)
        Profiles(database).add(profile(), None, NOW)
        add(campaigns, numbers=1)
        for number in range(1, 40):
            campaigns.append(CampaignKey("acme", 1), entries(1, first=number), None, NOW)
        counting.requests = 0
        assert list(Log(database).read(CampaignKey("acme", 1), 5, 100)) == list(enumerate(entries(35, first=5), 5))
        # each upload by itself would take two
        assert counting.requests <= 10

    def test_an_accepted_upload_does_not_expire(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns, numbers=5000)
        assert [chunk.expires_at for chunk in database.chunks.scan()] == [None] * 4

    def test_an_upload_that_was_never_accepted_expires_by_itself(self, database: Database) -> None:
        Log(database).stage(CampaignKey("acme", 1), entries(5000), NOW)
        assert all(chunk.expires_at > NOW for chunk in database.chunks.scan())

    def test_what_was_accepted_but_not_sealed_is_sealed_later(self, database: Database, campaigns: Campaigns) -> None:
        log = Log(database)
        add(campaigns)
        staged = log.stage(CampaignKey("acme", 1), entries(5000), NOW)
        transaction = database.transaction()
        log.add(transaction, staged, first=0)
        transaction.commit()
        log.seal(CampaignKey("acme", 1))
        assert [chunk.expires_at for chunk in database.chunks.scan()] == [None] * 4
        assert [item.key for item in database.log.query("acme/1")] == ["segment/000000000000"]


class TestCalls:
    def test_a_number_is_claimed_once(self, database: Database) -> None:
        calls = Stores.of(database).calls
        assert calls.claim(KEY, ENTRY, 1, NOW) is not None
        assert calls.claim(KEY, ENTRY, 1, NOW) is None

    def test_a_claim_given_up_can_be_had_again_for_the_same_attempt(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        assert calls.give_up(claim, "late")
        assert not calls.give_up(claim, "late")
        assert calls.claim(KEY, ENTRY, 2, NOW) is None
        assert calls.claim(KEY, ENTRY, 1, NOW) is not None

    def test_a_finished_call_is_never_claimed_again(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        call = calls.finish(claim, OUTCOME, NOW, ReportState.PENDING)
        assert call == calls.get(KEY)
        assert call is not None
        assert (call.state, call.entry, call.attempt) == (State.COMPLETED, ENTRY, 1)
        assert calls.claim(KEY, ENTRY, 1, NOW) is calls.claim(KEY, ENTRY, 2, NOW) is None

    def test_an_outcome_is_answered_as_it_is_recorded(self, database: Database) -> None:
        """Whatever its record has been through."""
        calls = Stores.of(database, retention=timedelta(days=400)).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        assert calls.defer_unsent(claim, "dns", NOW)
        claim = calls.claim(KEY, ENTRY, 1, NOW + timedelta(seconds=1))
        assert claim is not None
        assert calls.defer_retry(claim, Outcome(Result.FAILED, "http_486"), NOW, NOW)
        claim = calls.claim(KEY, ENTRY, 2, NOW + timedelta(seconds=2, microseconds=3))
        assert claim is not None
        told = Outcome(Result.FAILED, "http_200", CalleeType.FAX, 31)
        call = calls.finish(claim, told, NOW + timedelta(seconds=3), ReportState.PENDING)
        assert call == calls.get(KEY)

    def test_a_failed_attempt_leaves_the_next_one_to_be_claimed(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        assert calls.defer_retry(claim, Outcome(Result.FAILED, "http_486"), NOW, NOW + timedelta(minutes=1))
        assert calls.claim(KEY, ENTRY, 1, NOW) is None
        again = calls.claim(KEY, ENTRY, 2, NOW)
        assert again is not None
        assert (again.attempt, again.unsent) == (2, 0)

    def test_how_often_it_was_not_sent_is_known_to_the_next_claim(self, database: Database) -> None:
        calls = Stores.of(database).calls
        for unsent in range(3):
            claim = calls.claim(KEY, ENTRY, 1, NOW)
            assert claim is not None
            assert claim.unsent == unsent
            assert calls.defer_unsent(claim, "dns", NOW)

    def test_only_the_holder_of_the_claim_writes_the_outcome(self, database: Database) -> None:
        calls = Stores.of(database).calls
        first = calls.claim(KEY, ENTRY, 1, NOW)
        assert first is not None
        calls.give_up(first, "late")
        second = calls.claim(KEY, ENTRY, 1, NOW)
        assert second is not None
        assert calls.finish(first, OUTCOME, NOW, ReportState.NONE) is None
        assert calls.finish(second, OUTCOME, NOW, ReportState.NONE) is not None

    def test_a_number_that_was_passed_over_leaves_a_slip_when_it_ends(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        calls.give_up(claim, "late")
        call = calls.get(KEY)
        assert call is not None
        assert calls.skip(call)
        again = calls.claim(KEY, ENTRY, 1, NOW)
        assert again is not None
        assert not calls.skip(call)
        calls.finish(again, OUTCOME, NOW, ReportState.NONE)
        assert list(TaskStore(database).uncounted_outcomes(CampaignKey("acme", 1), spread=1)) == [
            UncountedOutcome(KEY, State.COMPLETED)
        ]

    def test_a_claim_nobody_hears_of_again_is_uncertain_for_good(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        call = calls.get(KEY)
        assert claim is not None
        assert call is not None
        assert calls.expire(call, report=True, now=NOW, spread=1)
        assert not calls.expire(call, report=True, now=NOW, spread=1)
        assert calls.finish(claim, OUTCOME, NOW, ReportState.NONE) is None
        assert not calls.give_up(claim, "late")
        assert calls.claim(KEY, ENTRY, 1, NOW) is calls.claim(KEY, ENTRY, 2, NOW) is None
        expired = calls.get(KEY)
        assert expired is not None
        assert (expired.state, expired.report) == (State.UNCERTAIN, ReportState.DEFERRED)
        assert len(list(TaskStore(database).due_reports(CampaignKey("acme", 1), NOW, spread=1))) == 1

    def test_a_record_expires_after_its_outcome_and_none_without_one(self, database: Database) -> None:
        calls = Stores.of(database, retention=timedelta(days=400)).calls

        def expiry(key: CallKey) -> datetime | None:
            (found,) = (item for item in database.calls.scan() if item.call.endswith(f"/{key.sequence}"))
            return cast(datetime | None, found.expires_at)

        ends, vanishes = KEY, CallKey("acme", 1, KEY.sequence + 1)
        first = calls.claim(ends, ENTRY, 1, NOW)
        assert first is not None
        assert calls.defer_retry(first, Outcome(Result.FAILED, "http_486"), NOW, NOW)
        assert expiry(ends) is None
        second = calls.claim(ends, ENTRY, 2, NOW)
        assert second is not None
        calls.finish(second, OUTCOME, NOW, ReportState.NONE)
        assert expiry(ends) == NOW + timedelta(days=400)
        calls.claim(vanishes, ENTRY, 1, NOW)
        call = calls.get(vanishes)
        assert call is not None
        assert expiry(vanishes) is None
        assert calls.expire(call, report=False, now=NOW, spread=1)
        assert expiry(vanishes) == NOW + timedelta(days=400)

    def test_records_are_kept_for_ever_unless_told_otherwise(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        calls.finish(claim, OUTCOME, NOW, ReportState.NONE)
        assert [item.expires_at for item in database.calls.scan()] == [None]

    def test_a_lost_number_is_deferred_unless_it_was_claimed_after_all(self, database: Database) -> None:
        calls = Stores.of(database).calls
        assert calls.defer_lost(KEY, ENTRY, spread=1)
        assert not calls.defer_lost(KEY, ENTRY, spread=1)
        assert waiting(TaskStore(database), CampaignKey("acme", 1), spread=1) == [KEY.sequence]
        assert calls.claim(KEY, ENTRY, 1, NOW) is not None

    def test_calls_between_two_sequence_numbers_are_those_with_a_record(self, database: Database) -> None:
        calls = Stores.of(database).calls
        for sequence in (0, 3, 130):
            calls.claim(CallKey("acme", 1, sequence), ENTRY, 1, NOW)
        assert sorted(call.key.sequence for call in calls.between(CampaignKey("acme", 1), 1, 131)) == [3, 130]

    def test_a_delivered_report_is_not_deferred_by_a_late_message(self, database: Database) -> None:
        calls = Stores.of(database).calls
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        finished = calls.finish(claim, OUTCOME, NOW, ReportState.PENDING)
        assert finished is not None
        calls.defer_report(finished, 1, "http_500", NOW, spread=1)
        deferred = calls.get(KEY)
        assert deferred is not None
        calls.report_ended(KEY, ReportState.DELIVERED, 2, None)
        calls.defer_report(deferred, 2, "timeout", NOW + timedelta(minutes=1), spread=1)
        call = calls.get(KEY)
        assert call is not None
        assert (call.report, call.report_attempts, call.report_error) == (ReportState.DELIVERED, 2, None)

    def test_an_attempt_at_a_report_that_was_made_twice_is_followed_by_one(self, database: Database) -> None:
        calls, tasks = Stores.of(database).calls, TaskStore(database)
        claim = calls.claim(KEY, ENTRY, 1, NOW)
        assert claim is not None
        call = calls.finish(claim, OUTCOME, NOW, ReportState.PENDING)
        assert call is not None
        for error in ("http_500", "timeout"):
            calls.defer_report(call, 1, error, NOW, spread=1)
        assert [scheduled.task for scheduled in tasks.due_reports(CampaignKey("acme", 1), NOW, spread=1)] == [
            ReportTask(KEY, 2, NOW)
        ]
        again = calls.get(KEY)
        assert again is not None
        assert (again.report_attempts, again.report_error) == (1, "http_500")

    def test_whoever_did_not_hear_that_a_claim_was_given_may_ask_again(self, database: Database) -> None:
        calls = Stores.of(database).calls
        mine = calls.claim(KEY, ENTRY, 1, NOW, "mine")
        assert calls.claim(KEY, ENTRY, 1, NOW, "mine") == mine
        assert calls.claim(KEY, ENTRY, 1, NOW, "another's") is None


class TestSwitch:
    def test_it_is_off_until_somebody_turns_it_on(self, database: Database) -> None:
        switch = Switch(database, "stack/1")
        assert not switch.is_set()
        assert not switch.is_on()
        switch.turn(on=True, now=NOW)
        assert switch.is_on()
        switch.turn(on=False, now=NOW)
        assert (switch.is_set(), switch.is_on()) == (True, False)

    def test_a_deployment_over_another_ones_tables_is_off(self, database: Database) -> None:
        Switch(database, "stack/1").turn(on=True, now=NOW)
        restored = Switch(database, "stack/2")
        assert (restored.is_set(), restored.is_on()) == (False, False)


def due_dials(tasks: TaskStore) -> list[ScheduledTask]:
    """Those that the pacer takes, in its order."""
    return [*tasks.returned_dials(CampaignKey("acme", 1)), *tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1)]


class TestSlips:
    def defer(self, database: Database, *deferred: DialTask | ReportTask) -> TaskStore:
        tasks = TaskStore(database)
        for one in deferred:
            transaction = database.transaction()
            tasks.add(transaction, one, spread=1)
            transaction.commit()
        return tasks

    def dial(self, sequence: int, not_before: datetime | None = None) -> DialTask:
        return DialTask(CallKey("acme", 1, sequence), ENTRY, 1, not_before)

    def test_what_is_due_at_once_comes_first_and_in_the_order_of_the_queue(self, database: Database) -> None:
        early, late = NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)
        ordered = [self.dial(3), self.dial(20), self.dial(2, early), self.dial(1, late)]
        tasks = self.defer(database, *reversed(ordered))
        assert [scheduled.task for scheduled in tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1)] == ordered

    def test_what_is_not_due_yet_is_not_handed_out(self, database: Database) -> None:
        report = ReportTask(KEY, 1, NOW + timedelta(seconds=1))
        tasks = self.defer(database, self.dial(1, NOW + timedelta(seconds=1)), report)
        assert (
            list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1))
            == list(tasks.due_reports(CampaignKey("acme", 1), NOW, spread=1))
            == []
        )
        assert waiting(tasks, CampaignKey("acme", 1), spread=1) == [1]
        assert [
            scheduled.task
            for scheduled in tasks.due_reports(CampaignKey("acme", 1), NOW + timedelta(seconds=1), spread=1)
        ] == [report]

    def test_a_slice_that_was_handed_over_lapses_unless_it_is_forgotten(self, database: Database) -> None:
        tasks = self.defer(database, self.dial(1), self.dial(2), self.dial(3))
        first, *others = tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1)
        dealt_with, lost = tasks.lease([first], NOW), tasks.lease(others, NOW)
        assert list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1)) == []
        assert sorted(waiting(tasks, CampaignKey("acme", 1), spread=1)) == [1, 2, 3]
        tasks.delete_lease(CampaignKey("acme", 1), dealt_with)
        later = NOW + timedelta(minutes=15)
        assert list(tasks.expired_leases(CampaignKey("acme", 1), later - timedelta(seconds=1))) == []
        assert list(tasks.expired_leases(CampaignKey("acme", 1), later)) == [Lease((self.dial(2), self.dial(3)), lost)]

    def test_a_number_deferred_again_is_not_lost_with_the_message_that_brought_it(self, database: Database) -> None:
        tasks = self.defer(database, self.dial(1))
        handed = tasks.lease(list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1)), NOW)
        self.defer(database, self.dial(1, NOW + timedelta(minutes=15)))
        tasks.delete_lease(CampaignKey("acme", 1), handed)
        assert waiting(tasks, CampaignKey("acme", 1), spread=1) == [1]

    def test_one_call_may_have_two_slips_and_each_is_forgotten_by_itself(self, database: Database) -> None:
        report = ReportTask(KEY, 3, NOW)
        tasks = self.defer(database, report, report, self.dial(1), self.dial(1))
        first, second = (
            tasks.lease([scheduled], NOW)
            for scheduled in list(tasks.due_reports(CampaignKey("acme", 1), NOW, spread=1))
        )
        tasks.delete_lease(CampaignKey("acme", 1), first)
        assert [
            scheduled.name for scheduled in tasks.expired_leases(CampaignKey("acme", 1), NOW + timedelta(hours=1))
        ] == [second]
        tasks.delete(list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1))[:1])
        assert waiting(tasks, CampaignKey("acme", 1), spread=1) == [1]

    def test_what_is_taken_back_waits_again(self, database: Database) -> None:
        report = ReportTask(KEY, 3, NOW)
        tasks = self.defer(database, self.dial(1, NOW), report)
        for due in (due_dials(tasks), list(tasks.due_reports(CampaignKey("acme", 1), NOW, spread=1))):
            deferred = tuple(scheduled.task for scheduled in due)
            tasks.release(Lease(deferred, tasks.lease(due, NOW)), NOW, deferred, spread=1)
        assert [scheduled.task for scheduled in due_dials(tasks)] == [self.dial(1)]
        assert [scheduled.task for scheduled in tasks.due_reports(CampaignKey("acme", 1), NOW, spread=1)] == [report]
        assert list(tasks.expired_leases(CampaignKey("acme", 1), NOW + timedelta(hours=1))) == []

    @pytest.mark.parametrize("first", range(1, 5))
    def test_what_was_returned_together_may_be_handed_over_in_parts(self, database: Database, first: int) -> None:
        tasks, dials = TaskStore(database), [self.dial(sequence) for sequence in (3, 5, 6, 9)]
        tasks.add_returned(dials, "one")
        tasks.add_returned(dials, "one")  # because the answer is lost
        due = due_dials(tasks)
        assert [scheduled.task for scheduled in due] == dials
        tasks.lease(due[:first], NOW)
        assert [scheduled.task for scheduled in due_dials(tasks)] == dials[first:]
        if due[first:]:
            tasks.lease(due[first:], NOW)
        assert due_dials(tasks) == []
        assert tasks.returned_sequences(CampaignKey("acme", 1)) == {3, 5, 6, 9}
        lapsed = tasks.expired_leases(CampaignKey("acme", 1), NOW + timedelta(hours=1))
        assert sorted(one.key.sequence for handed in lapsed for one in handed.tasks) == [3, 5, 6, 9]

    def test_a_number_that_was_returned_twice_does_not_take_the_others_with_it(self, database: Database) -> None:
        tasks = TaskStore(database)
        tasks.add_returned([self.dial(3), replace(self.dial(3), attempt=2), self.dial(5)], "one")
        first, *others = due_dials(tasks)
        assert (first.task.key.sequence, first.task.attempt) == (3, 2)
        tasks.lease([first], NOW)
        assert due_dials(tasks) == others
        assert [scheduled.task for scheduled in others] == [self.dial(5)]

    def test_what_was_returned_comes_before_what_is_deferred(self, database: Database) -> None:
        tasks = self.defer(database, self.dial(1))
        tasks.add_returned([self.dial(20)], "one")
        tasks.add_returned([self.dial(7), self.dial(8)], "two")
        assert [scheduled.task.key.sequence for scheduled in due_dials(tasks)] == [7, 8, 20, 1]
        handed = tasks.lease(due_dials(tasks), NOW)
        assert due_dials(tasks) == []
        assert [one.name for one in tasks.expired_leases(CampaignKey("acme", 1), NOW + timedelta(hours=1))] == [handed]

    def test_what_was_returned_is_counted_by_its_numbers(self, database: Database) -> None:
        tasks = self.defer(database, self.dial(1))
        tasks.add_returned([self.dial(7), self.dial(8)], "one")
        assert [tasks.count_dials(CampaignKey("acme", 1), most, spread=1) for most in (1, 2, 1000)] == [1, 2, 3]

    def test_what_was_returned_may_be_scattered(self, database: Database) -> None:
        tasks = TaskStore(database)
        tasks.add_returned([self.dial(7), self.dial(8)], "one")
        (returned,) = tasks.returned_slices(CampaignKey("acme", 1))
        tasks.replace_returned(returned, [self.dial(8)], spread=1)
        assert tasks.returned_sequences(CampaignKey("acme", 1)) == set()
        assert waiting(tasks, CampaignKey("acme", 1), spread=1) == [8]

    def test_kinds_of_slips_are_told_apart(self, database: Database) -> None:
        tasks = self.defer(database, self.dial(1))
        assert tasks.any_unfinished(CampaignKey("acme", 1), spread=1)
        assert not tasks.any_in_progress(CampaignKey("acme", 1), spread=1)
        tasks.lease(list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=1)), NOW)
        assert tasks.any_in_progress(CampaignKey("acme", 1), spread=1)
        assert not tasks.any_unfinished(CampaignKey("acme", 2), spread=1)

    def test_who_was_told_is_noted_for_many_together_until_it_is_forgotten(self, database: Database) -> None:
        tasks = TaskStore(database)
        for _ in range(2):  # the second time because the answer is lost
            tasks.add_acknowledgement(CampaignKey("acme", 1), [2**31, 17, 3], NOW, "one")
        tasks.add_acknowledgement(CampaignKey("acme", 1), [4], NOW + timedelta(seconds=1), "two")
        tasks.add_acknowledgement(CampaignKey("acme", 2), [5], NOW, "three")
        first, second = tasks.acknowledgements(CampaignKey("acme", 1))
        assert (first.sequences, second.sequences) == (frozenset({3, 17, 2**31}), frozenset({4}))
        assert not tasks.any_in_progress(CampaignKey("acme", 1), spread=1)
        assert not tasks.any_unfinished(CampaignKey("acme", 1), spread=1)
        assert not waiting(tasks, CampaignKey("acme", 1), spread=1)
        assert not any(tasks.uncounted_outcomes(CampaignKey("acme", 1), spread=1))
        tasks.delete_acknowledgements(CampaignKey("acme", 1), [first])
        assert tasks.acknowledgements(CampaignKey("acme", 1)) == [second]


class TestReceipts:
    def test_a_receipt_is_found_until_it_expires(self, database: Database) -> None:
        receipts = Receipts(database)
        keep(database, receipt(), NOW)
        assert receipts.find("acme", "once", NOW) == receipt()
        assert receipts.find("globex", "once", NOW) is None
        assert receipts.find("acme", "once", NOW + timedelta(hours=24)) is None

    def test_what_was_answered_before_is_not_done_again(self, database: Database, campaigns: Campaigns) -> None:
        keep(database, receipt(), NOW)
        with pytest.raises(AlreadyAnswered):
            add(campaigns, receipt=receipt())
        assert campaigns.find(CampaignKey("acme", 1)) is None
        add(campaigns)
        for act in (campaigns.start, campaigns.stop):
            with pytest.raises(AlreadyAnswered):
                act(CampaignKey("acme", 1), receipt(), NOW)
        with pytest.raises(AlreadyAnswered):
            campaigns.append(CampaignKey("acme", 1), entries(2), receipt(), NOW)
        assert replace(campaigns.get(CampaignKey("acme", 1)), pacing_version="") == Campaign(
            "acme", 1, plan(), Status.CREATED
        )

    def test_an_expired_key_can_be_used_again(self, database: Database) -> None:
        keep(database, receipt(), NOW)
        keep(database, receipt(body="[]"), NOW + timedelta(hours=24))
        with pytest.raises(AlreadyAnswered):
            keep(database, receipt(), NOW)


@pytest.mark.real_database
class TestRaces:
    """Eight threads at once. moto loses updates between threads, so these are for real servers only."""

    def test_ids_are_given_out_once(self, database: Database) -> None:
        accounts = Accounts(database)
        with ThreadPoolExecutor(8) as threads:
            given = list(threads.map(lambda _: accounts.next_id("acme", Kind.CAMPAIGN), range(80)))
        assert sorted(given) == list(range(1, 81))

    def test_of_many_that_want_a_nickname_one_gets_it(self, database: Database) -> None:
        schedules = Schedules(database)

        def take(identifier: int) -> bool:
            try:
                schedules.add(schedule(identifier), None, NOW)
            except NicknameTaken:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(take, range(1, 25))) == 1
        assert len(schedules.page("acme")) == 1

    def test_of_many_that_claim_a_number_one_gets_it(self, database: Database) -> None:
        calls = Stores.of(database).calls
        with ThreadPoolExecutor(8) as threads:
            claims = list(threads.map(lambda _: calls.claim(KEY, ENTRY, 1, NOW), range(40)))
        assert sum(claim is not None for claim in claims) == 1

    def test_uploads_at_once_are_all_queued_each_in_one_piece(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns)
        with ThreadPoolExecutor(8) as threads:
            list(
                threads.map(
                    lambda upload: campaigns.append(CampaignKey("acme", 1), entries(10, first=upload * 10), None, NOW),
                    range(16),
                )
            )
        queue = [entry for _, entry in Log(database).read(CampaignKey("acme", 1), 0, 1000)]
        pieces = [queue[start : start + 10] for start in range(0, 160, 10)]
        assert len(queue) == campaigns.get(CampaignKey("acme", 1)).tail == 160
        assert sorted(pieces, key=lambda piece: piece[0].line) == [
            entries(10, first=upload * 10) for upload in range(16)
        ]

    def test_a_schedule_is_either_deleted_or_used(self, database: Database, campaigns: Campaigns) -> None:
        schedules = Schedules(database)
        for number in range(10):
            schedules.add(schedule(100 + number, None), None, NOW)

        def use(number: int) -> bool:
            campaign = Campaign("acme", 100 + number, plan(schedule_id=100 + number), Status.CREATED)
            try:
                campaigns.add(campaign, [], None, NOW)
            except ReferenceGone:
                return False
            return True

        def delete(number: int) -> bool:
            try:
                schedules.delete("acme", 100 + number)
            except InUse:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            used = [threads.submit(use, number) for number in range(10)]
            deleted = [threads.submit(delete, number) for number in range(10)]
        assert [one.result() for one in used] == [not one.result() for one in deleted]

    def test_a_request_sent_many_times_at_once_is_done_once(self, campaigns: Campaigns) -> None:
        add(campaigns)

        def append(_: int) -> bool:
            try:
                campaigns.append(CampaignKey("acme", 1), entries(1), receipt(), NOW)
            except AlreadyAnswered:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(append, range(16))) == 1
        assert campaigns.get(CampaignKey("acme", 1)).tail == 1

    def test_of_many_pacers_one_gets_the_slots(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        before = add(campaigns, numbers=10)
        with ThreadPoolExecutor(8) as threads:
            reserved = list(threads.map(lambda head: progress.reserve(before, head, (), spread=1), range(1, 9)))
        assert sum(one is not None for one in reserved) == 1
