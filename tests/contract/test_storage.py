"""What storage promises, shown on every database that tests use."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from chalicelib.domain import pacing, repeats
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Counts, Cursor, Entry, Plan, Profile, Status
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.repeats import number_of
from chalicelib.domain.sharding import Work
from chalicelib.domain.tasks import DialTask, Lease, ReportTask, ScheduledTask, UncountedOutcome
from chalicelib.domain.upload import Upload
from chalicelib.errors import Busy, InUse, NicknameTaken, NotFound, ReferenceGone, TooManyToCompare
from chalicelib.storage.accounts import Accounts, Kind
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.log import CHUNK_BYTES, Log, LostChunk
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.receipts import AlreadyAnswered, Receipt, Receipts, add_receipt, commit_with_receipt
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.tokens import Tokens, TokenTaken
from tests.support.databases import with_tables, with_work
from tests.support.examples import (
    CAMPAIGN,
    ENTRY,
    KEY,
    NOW,
    OUTCOME,
    CountingClient,
    add,
    add_running,
    claimed,
    entries,
    finished,
    plan,
    profile,
    receipt,
    recorded,
    schedule,
)
from tests.support.interruptions import after_first_call
from tests.support.tasks import add_tasks, tasks_of, waiting

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HTTP_486 = Outcome(Result.FAILED, "http_486")


class TestAccounts:
    def test_ids_rise_separately_for_each_kind_and_account(self, database: Database) -> None:
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

    def test_a_token_is_valid_until_it_is_revoked(self, database: Database) -> None:
        tokens = Tokens(database)
        tokens.create("acme", "3cbde128-32b6", NOW)
        assert tokens.account_of("3cbde128-32b6") == "acme"
        assert tokens.account_of("3cbde128-32b7") is None
        tokens.create("acme", "00000000-0000", NOW)
        tokens.revoke("acme", "3cbde1")
        assert tokens.account_of("3cbde128-32b6") is None
        assert tokens.account_of("00000000-0000") == "acme"

    def test_a_token_belongs_to_one_account(self, database: Database) -> None:
        tokens = Tokens(database)
        tokens.create("acme", "3cbde128-32b6", NOW)
        tokens.create("acme", "3cbde128-32b6", NOW)
        with pytest.raises(TokenTaken):
            tokens.create("globex", "3cbde128-32b6", NOW)

    def test_no_token_is_stored(self, database: Database) -> None:
        Tokens(database).create("acme", "3cbde128-32b6", NOW)
        assert "3cbde128-32b6" not in str([item.serialize() for item in database.tokens.scan()])


class TestCatalog:
    def test_a_schedule_is_found_by_id_and_by_nickname(self, schedules: Schedules) -> None:
        schedules.add(schedule(6), None, NOW)
        found = [schedules.get("acme", 6), schedules.find("acme", "6"), schedules.find("acme", "3wkdays")]
        assert found == [schedule(6)] * 3

    def test_an_id_wins_over_a_nickname(self, schedules: Schedules) -> None:
        schedules.add(schedule(1, "2"), None, NOW)
        assert schedules.find("acme", "2").id == 1
        schedules.add(schedule(2, "other"), None, NOW)
        assert schedules.find("acme", "2").id == 2

    def test_another_accounts_schedule_is_not_found(self, schedules: Schedules) -> None:
        schedules.add(schedule(), None, NOW)
        for reference in ("1", "3wkdays"):
            with pytest.raises(NotFound):
                schedules.find("globex", reference)
        with pytest.raises(NotFound):
            schedules.delete("globex", 1)
        assert schedules.page("globex") == []

    def test_a_nickname_is_unique_in_an_account_and_kind(self, database: Database, schedules: Schedules) -> None:
        schedules.add(schedule(1), None, NOW)
        with pytest.raises(NicknameTaken):
            schedules.add(schedule(2), None, NOW)
        with pytest.raises(NotFound):
            schedules.get("acme", 2)
        Profiles(database).add(profile(1, "3wkdays"), None, NOW)
        schedules.add(schedule(1, account="globex"), None, NOW)

    def test_a_nickname_that_is_no_longer_used_can_be_taken(self, schedules: Schedules) -> None:
        schedules.add(schedule(1), None, NOW)
        schedules.change("acme", 1, {"nickname": "renamed"})
        schedules.add(schedule(2), None, NOW)
        schedules.delete("acme", 1)
        schedules.add(schedule(3, "renamed"), None, NOW)
        with pytest.raises(NicknameTaken):
            schedules.change("acme", 3, {"nickname": "3wkdays"})

    def test_a_change_keeps_the_fields_that_it_does_not_name(self, database: Database) -> None:
        profiles = Profiles(database)
        profiles.add(profile(), None, NOW)
        changed = profiles.change("acme", 1, {"amount_per_period": 7})
        assert changed == profiles.get("acme", 1) == Profile("acme", 1, "MorningPace", 30, 7, 10)

    def test_pages_are_in_the_order_of_ids(self, schedules: Schedules) -> None:
        for identifier in (10, 9, 1, 100):
            schedules.add(schedule(identifier, None), None, NOW)
        assert [one.id for one in schedules.page("acme")] == [1, 9, 10, 100]
        assert [one.id for one in schedules.page("acme", after=9, limit=1)] == [10]

    def test_the_refusal_to_delete_names_the_newest_campaign_that_uses_it(
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

    def test_a_schedule_that_is_no_longer_in_use_can_be_deleted(
        self, schedules: Schedules, campaigns: Campaigns
    ) -> None:
        schedules.add(schedule(2, "other"), None, NOW)
        add(campaigns)
        campaigns.change(CAMPAIGN, lambda _: plan(schedule_id=2), NOW)
        schedules.delete("acme", 1)
        with pytest.raises(InUse):
            schedules.delete("acme", 2)

    def test_a_delete_over_a_wrong_use_count_ends_with_busy(self, database: Database, schedules: Schedules) -> None:
        schedules.add(schedule(), None, NOW)
        item = database.catalog("acme", "schedule/000000000001")
        item.update([database.catalog.uses.add(1)])  # though no campaign uses it
        with pytest.raises(Busy):
            schedules.delete("acme", 1)


class TestCampaigns:
    def test_a_campaign_is_read_back_as_it_was_added(self, campaigns: Campaigns) -> None:
        assert replace(add(campaigns), pacing_version="") == Campaign("acme", 1, plan(), Status.CREATED)

    def test_a_campaign_with_missing_references_is_refused(self, campaigns: Campaigns) -> None:
        campaign = Campaign("acme", 1, plan(schedule_id=8, profile_id=9), Status.CREATED)
        with pytest.raises(ReferenceGone) as refused:
            campaigns.add(campaign, entries(3), None, NOW)
        assert refused.value.fields == ("profiles", "schedule")
        assert campaigns.find(CAMPAIGN) is None

    def test_another_accounts_campaign_is_not_found(self, campaigns: Campaigns) -> None:
        add(campaigns, numbers=1)
        key = CampaignKey("globex", 1)
        for act in (
            lambda: campaigns.get(key),
            lambda: campaigns.append(key, entries(1), None, NOW),
            lambda: campaigns.start(key, None, NOW),
            lambda: campaigns.stop(key, None, NOW),
            lambda: campaigns.delete(key, NOW),
            lambda: campaigns.change(key, lambda before: before, NOW),
        ):
            with pytest.raises(NotFound):
                act()
        assert campaigns.get(CAMPAIGN).tail == 1

    def test_each_start_is_a_new_generation_unless_the_campaign_runs(self, campaigns: Campaigns) -> None:
        add_running(campaigns)
        campaigns.start(CAMPAIGN, None, NOW + HOUR)
        running = campaigns.get(CAMPAIGN)
        assert (running.status, running.generation) == (Status.RUNNING, 1)
        assert running.cursors == (Cursor(NOW, NOW),) * 2
        campaigns.stop(CAMPAIGN, None, NOW)
        campaigns.stop(CAMPAIGN, None, NOW)
        campaigns.start(CAMPAIGN, None, NOW)
        assert campaigns.get(CAMPAIGN).generation == 2

    def test_stopping_a_campaign_that_never_ran_changes_nothing(self, campaigns: Campaigns) -> None:
        before = add(campaigns)
        campaigns.stop(CAMPAIGN, None, NOW)
        assert campaigns.get(CAMPAIGN) == before

    def test_a_deleted_campaign_is_not_found_but_kept(self, campaigns: Campaigns) -> None:
        add_running(campaigns)
        campaigns.delete(CAMPAIGN, NOW)
        with pytest.raises(NotFound):
            campaigns.get(CAMPAIGN)
        assert list(campaigns.page("acme")) == []
        kept = campaigns.find(CAMPAIGN)
        assert kept is not None
        assert (kept.deleted, kept.status) == (True, Status.STOPPED)

    def test_slots_are_reserved_only_once(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        before = add_running(campaigns, numbers=10)
        cursors = pacing.fresh(2, NOW + MINUTE)
        after = progress.reserve(before, 0, cursors, spread=1)
        assert after == campaigns.get(CAMPAIGN)
        assert progress.reserve(before, 0, cursors, spread=1) is None
        assert after is not None
        assert progress.reserve(after, 4, cursors, spread=1) is not None
        assert campaigns.get(CAMPAIGN).head == 4

    @pytest.mark.parametrize("meanwhile", ["start", "change", "append"])
    def test_slots_are_not_reserved_over_new_cursors(
        self, campaigns: Campaigns, progress: ProgressStore, meanwhile: str
    ) -> None:
        before = add_running(campaigns)
        if meanwhile == "start":
            campaigns.stop(CAMPAIGN, None, NOW)
            campaigns.start(CAMPAIGN, None, NOW)
        elif meanwhile == "change":
            campaigns.change(CAMPAIGN, with_one_window, NOW)
        else:
            campaigns.append(CAMPAIGN, entries(1), None, NOW)
        now = campaigns.get(CAMPAIGN)
        assert progress.reserve(before, 0, pacing.fresh(2, NOW + MINUTE), spread=1) is None
        assert campaigns.get(CAMPAIGN) == now

    def test_new_windows_keep_cursors_that_moved_meanwhile(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        add_running(campaigns)
        later = pacing.fresh(2, NOW + MINUTE)

        def reserve() -> None:
            assert progress.reserve(campaigns.get(CAMPAIGN), 0, later, spread=1) is not None

        change_twice(campaigns, with_one_window, meanwhile=reserve)
        assert campaigns.get(CAMPAIGN).cursors == later[:1]

    def test_a_campaign_started_during_a_change_has_a_cursor_for_each_window(self, campaigns: Campaigns) -> None:
        add(campaigns)
        change_twice(campaigns, with_one_window, meanwhile=lambda: campaigns.start(CAMPAIGN, None, NOW))
        assert len(campaigns.get(CAMPAIGN).cursors) == 1

    def test_the_head_moves_past_dispatched_numbers_after_a_restart(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        running = add_running(campaigns, numbers=10)
        campaigns.stop(CAMPAIGN, None, NOW)
        campaigns.start(CAMPAIGN, None, NOW + 5 * MINUTE)
        assert progress.advance_head(running, 4)
        assert not progress.advance_head(running, 3)
        after = campaigns.get(CAMPAIGN)
        assert (after.head, after.cursors) == (4, pacing.fresh(2, NOW + 5 * MINUTE))

    def test_counts_are_written_only_if_they_are_as_they_were_read(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        before = add(campaigns, numbers=3)
        assert progress.settle(before, replace(before, settled=2, counts=Counts(1, 1, 0)))
        assert not progress.settle(before, replace(before, settled=1, counts=Counts(1, 0, 0)))
        after = campaigns.get(CAMPAIGN)
        assert (after.settled, after.counts) == (2, Counts(1, 1, 0))

    def test_the_pacer_finds_only_campaigns_with_work(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        idle, running = CampaignKey("acme", 1), CampaignKey("acme", 2)
        for key in (idle, running):
            add(campaigns, key.id)
        campaigns.start(running, None, NOW)
        assert with_work(progress, NOW) == [running]
        progress.clear_work_flag(campaigns.get(running))
        assert with_work(progress, NOW) == []
        campaigns.append(running, entries(1), None, NOW)
        assert with_work(progress, NOW) == [running]

    @pytest.mark.parametrize("meanwhile", ["append", "reserve", "settle", "change"])
    def test_a_campaign_that_changed_meanwhile_keeps_its_work_flag(
        self, campaigns: Campaigns, progress: ProgressStore, meanwhile: str
    ) -> None:
        before = add_running(campaigns)
        if meanwhile == "append":
            campaigns.append(CAMPAIGN, entries(1), None, NOW)
        elif meanwhile == "reserve":
            assert progress.reserve(before, 0, before.cursors, spread=1) is not None
        elif meanwhile == "settle":
            assert progress.settle(before, replace(before, counts=Counts(completed=1)))
        else:
            campaigns.change(CAMPAIGN, lambda plan: replace(plan, start_url="http://new.example/"), NOW)
        progress.clear_work_flag(before)
        progress.sleep(before, NOW + HOUR)
        assert with_work(progress, NOW) == [CAMPAIGN]

    def test_a_sleeping_campaign_is_found_when_it_wakes(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        add_sleeping(campaigns, progress)
        assert with_work(progress, NOW + HOUR - timedelta(seconds=1)) == []
        assert with_work(progress, NOW + HOUR) == [CAMPAIGN]

    @pytest.mark.parametrize("request_name", ["append", "change", "delete", "restart", "schedule", "profile"])
    def test_every_request_of_its_owner_wakes_a_campaign(
        self, database: Database, campaigns: Campaigns, progress: ProgressStore, request_name: str
    ) -> None:
        def restart() -> None:
            campaigns.stop(CAMPAIGN, None, NOW)
            campaigns.start(CAMPAIGN, None, NOW)

        requests: dict[str, Callable[[], object]] = {
            "append": lambda: campaigns.append(CAMPAIGN, entries(1), None, NOW),
            "change": lambda: campaigns.change(CAMPAIGN, with_short_retries, NOW),
            "delete": lambda: campaigns.delete(CAMPAIGN, NOW),
            "restart": restart,
            "schedule": lambda: campaigns.wake_users(Schedules(database), "acme", 1, NOW),
            "profile": lambda: campaigns.wake_users(Profiles(database), "acme", 1, NOW),
        }
        add_sleeping(campaigns, progress)
        requests[request_name]()
        assert with_work(progress, NOW) == [CAMPAIGN]

    def test_a_change_wakes_a_campaign_that_fell_asleep_during_it(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        add_running(campaigns)
        change_twice(
            campaigns,
            with_short_retries,
            meanwhile=lambda: progress.sleep(campaigns.get(CAMPAIGN), NOW + HOUR),
        )
        assert with_work(progress, NOW) == [CAMPAIGN]

    def test_a_campaign_whose_schedule_changed_meanwhile_does_not_fall_asleep(
        self, campaigns: Campaigns, progress: ProgressStore, schedules: Schedules
    ) -> None:
        before = add_running(campaigns)
        campaigns.wake_users(schedules, "acme", 1, NOW)
        progress.sleep(before, NOW + HOUR)
        assert with_work(progress, NOW) == [CAMPAIGN]

    def test_an_upload_to_an_awake_campaign_keeps_its_missed_slots(self, campaigns: Campaigns) -> None:
        before = add_running(campaigns).wakes_at
        campaigns.append(CAMPAIGN, entries(1), None, NOW + HOUR)
        assert campaigns.get(CAMPAIGN).wakes_at == before < NOW

    def test_work_has_the_number_of_dialers_that_its_campaign_uses(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        def works() -> list[Work]:
            return [work for each in progress.work_in(range(SHARDS), NOW).values() for work in each]

        before = add_running(campaigns)
        assert works() == [Work(CAMPAIGN, None)]
        reserved = progress.reserve(before, 0, before.cursors, spread=1, dialers=2.5)
        assert works() == [Work(CAMPAIGN, 2.5)]
        assert reserved is not None
        progress.sleep(reserved, NOW)
        assert works() == [Work(CAMPAIGN, None)]


def no_receipt(_: Upload) -> None:
    """The request has no key."""


def counting_stores(dynamodb: DynamoDB) -> tuple[CountingClient, Stores]:
    """Stores with the schedule and the profile that examples refer to, and their client."""
    client = CountingClient(dynamodb)
    stores = Stores.of(with_tables(client))
    stores.schedules.add(schedule(), None, NOW)
    stores.profiles.add(profile(), None, NOW)
    return client, stores


def with_one_window(plan: Plan) -> Plan:
    return replace(plan, windows=plan.windows[:1])


def with_short_retries(plan: Plan) -> Plan:
    return replace(plan, retry_interval=60)


def change_twice(campaigns: Campaigns, revise: Callable[[Plan], Plan], meanwhile: Callable[[], object]) -> None:
    """Change a campaign. `meanwhile` happens between the first read and its write, so the change is tried again."""
    tries = []

    def revise_interrupted(before: Plan) -> Plan:
        tries.append(before)
        if len(tries) == 1:
            meanwhile()
        return revise(before)

    campaigns.change(CAMPAIGN, revise_interrupted, NOW)
    assert len(tries) == 2


def add_sleeping(campaigns: Campaigns, progress: ProgressStore) -> None:
    """Add a running campaign that sleeps for an hour."""
    progress.sleep(add_running(campaigns), NOW + HOUR)
    assert with_work(progress, NOW) == []


class TestUnknownNumbers:
    def test_numbers_that_the_campaign_has_are_not_queued_again(self, campaigns: Campaigns, log: Log) -> None:
        add(campaigns, numbers=3)
        campaigns.append(CAMPAIGN, entries(2, first=3), None, NOW)
        same = [Entry(f"{number_of(entry)};postd=1", "other") for entry in entries(4, first=2)]
        queued = campaigns.append_unknown(CAMPAIGN, Upload((*entries(1, first=9), *same)), no_receipt, NOW)
        assert queued == Upload((*entries(1, first=9), same[3]), dropped=3)
        assert list(log.read(CAMPAIGN, 5, 100)) == list(enumerate(queued.entries, 5))
        assert campaigns.get(CAMPAIGN).tail == 7

    def test_what_would_be_queued_is_known_before(self, campaigns: Campaigns) -> None:
        before = add(campaigns, numbers=3)
        found = campaigns.without_known(CAMPAIGN, Upload(tuple(entries(3, first=1)), dropped=4))
        assert found == Upload(tuple(entries(1, first=3)), dropped=6)
        assert campaigns.get(CAMPAIGN) == before

    def test_nothing_is_queued_if_the_campaign_has_every_number(self, campaigns: Campaigns) -> None:
        before = add(campaigns, numbers=3)
        assert campaigns.append_unknown(CAMPAIGN, Upload(tuple(entries(3))), no_receipt, NOW) == Upload((), dropped=3)
        assert campaigns.get(CAMPAIGN) == before

    def test_an_upload_of_known_numbers_has_a_receipt_too(
        self, database: Database, campaigns: Campaigns, log: Log
    ) -> None:
        add(campaigns, numbers=3)
        asked: list[Upload] = []

        def receipt_of(queued: Upload) -> Receipt:
            asked.append(queued)
            return receipt()

        campaigns.append_unknown(CAMPAIGN, Upload(tuple(entries(3))), receipt_of, NOW)
        assert (Receipts(database).find("acme", "once", NOW), asked) == (receipt(), [Upload((), dropped=3)])
        for first in (0, 3):
            with pytest.raises(AlreadyAnswered):
                campaigns.append_unknown(CAMPAIGN, Upload(tuple(entries(3, first))), receipt_of, NOW)
        assert len(list(log.read(CAMPAIGN, 0, 100))) == 3

    @pytest.mark.parametrize("count", [5, 3000])
    def test_an_upload_in_between_is_compared_too(
        self, campaigns: Campaigns, log: Log, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        """It comes after the queue was read, and before the numbers are queued."""
        add(campaigns, numbers=2)
        between = entries(count, first=3)
        after_first_call(monkeypatch, repeats, "without_known", lambda: campaigns.append(CAMPAIGN, between, None, NOW))
        answers: list[Upload] = []

        def receipt_of(queued: Upload) -> Receipt:
            answers.append(queued)
            return receipt(body=str(queued.dropped))

        upload = Upload(tuple(entries(count + 2, first=1)))
        queued = campaigns.append_unknown(CAMPAIGN, upload, receipt_of, NOW)
        assert queued == Upload(tuple(entries(1, first=2)), dropped=count + 1)
        assert [answer.dropped for answer in answers] == [1, count + 1]
        found = [entry for _, entry in log.read(CAMPAIGN, 0, 10_000)]
        assert found == [*entries(2), *between, *entries(1, first=2)]

    def test_new_numbers_of_a_large_upload_do_not_expire(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns, numbers=3)
        campaigns.append_unknown(CAMPAIGN, Upload(tuple(entries(5000))), no_receipt, NOW)
        assert [chunk.expires_at for chunk in database.chunks.scan()] == [None] * 4

    def test_a_deleted_campaign_gets_no_numbers(
        self, database: Database, campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(campaigns, numbers=2)
        after_first_call(monkeypatch, repeats, "without_known", lambda: campaigns.delete(CAMPAIGN, NOW))
        with pytest.raises(NotFound):
            campaigns.append_unknown(CAMPAIGN, Upload(tuple(entries(3))), lambda _: receipt(), NOW)
        assert Receipts(database).find("acme", "once", NOW) is None

    def test_a_campaign_that_is_too_large_is_refused_also_if_it_becomes_so_in_between(
        self, campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(campaigns, numbers=3)
        monkeypatch.setattr(repeats, "MOST_COMPARED", 3)
        upload = Upload(tuple(entries(2, first=8)))
        after_first_call(
            monkeypatch, repeats, "without_known", lambda: campaigns.append(CAMPAIGN, entries(1), None, NOW)
        )
        with pytest.raises(TooManyToCompare):
            campaigns.append_unknown(CAMPAIGN, upload, no_receipt, NOW)
        with pytest.raises(TooManyToCompare):
            campaigns.without_known(CAMPAIGN, upload)
        assert campaigns.get(CAMPAIGN).tail == 4


class TestLog:
    def test_uploads_are_one_queue_in_their_order(self, log: Log, campaigns: Campaigns) -> None:
        add(campaigns, numbers=3)
        campaigns.append(CAMPAIGN, entries(2, first=3), None, NOW)
        campaigns.append(CAMPAIGN, entries(1, first=5), None, NOW)
        assert list(log.read(CAMPAIGN, 0, 100)) == list(enumerate(entries(6)))
        assert list(log.read(CAMPAIGN, 4, 1)) == [(4, entries(1, first=4)[0])]
        assert list(log.read(CAMPAIGN, 6, 1)) == []
        assert campaigns.get(CAMPAIGN).tail == 6

    def test_a_large_upload_has_hundreds_of_numbers_to_a_chunk(
        self, database: Database, log: Log, campaigns: Campaigns
    ) -> None:
        add(campaigns, numbers=5000)
        chunks = list(database.chunks.scan())
        assert len(chunks) == 4
        assert max(len(chunk.entries) for chunk in chunks) <= CHUNK_BYTES
        assert list(log.read(CAMPAIGN, 0, 5000)) == list(enumerate(entries(5000)))
        assert list(log.read(CAMPAIGN, 1466, 3)) == list(enumerate(entries(3, first=1466), 1466))

    def test_a_small_upload_is_in_its_segment_and_a_larger_one_in_a_chunk(
        self, database: Database, log: Log, campaigns: Campaigns
    ) -> None:
        add(campaigns, numbers=2)
        assert list(database.chunks.scan()) == []
        campaigns.append(CAMPAIGN, entries(200, first=2), None, NOW)
        assert len(list(database.chunks.scan())) == 1
        campaigns.append(CAMPAIGN, entries(1, first=202), None, NOW)
        assert list(log.read(CAMPAIGN, 0, 1000)) == list(enumerate(entries(203)))

    def test_a_queue_of_single_uploads_is_read_in_few_requests(self, dynamodb: DynamoDB) -> None:
        client, stores = counting_stores(dynamodb)
        add(stores.campaigns, numbers=1)
        for number in range(1, 40):
            stores.campaigns.append(CAMPAIGN, entries(1, first=number), None, NOW)
        client.requests = 0
        assert list(stores.log.read(CAMPAIGN, 5, 100)) == list(enumerate(entries(35, first=5), 5))
        # One request for each upload would be 35.
        assert client.requests <= 10

    def test_the_entries_of_uploads_of_any_size_are_read_together(self, log: Log, campaigns: Campaigns) -> None:
        """A segment has entries itself, in a chunk, or in several."""
        add(campaigns, numbers=3)
        for first, count in ((3, 200), (203, 5000), (5203, 1)):
            campaigns.append(CAMPAIGN, entries(count, first=first), None, NOW)
        for first, beyond in ((0, 5204), (0, 3), (3, 5203), (203, 5203), (5203, 5204), (5204, 5204)):
            found = sorted(entry.line for entry in log.uploaded(CAMPAIGN, first, beyond))
            assert found == [entry.line for entry in entries(beyond - first, first)]

    def test_the_chunks_of_many_uploads_are_read_in_few_requests(self, dynamodb: DynamoDB) -> None:
        client, stores = counting_stores(dynamodb)
        add(stores.campaigns, numbers=100)
        for first in range(100, 2000, 100):
            stores.campaigns.append(CAMPAIGN, entries(100, first), None, NOW)
        client.requests = 0
        assert len(list(stores.log.uploaded(CAMPAIGN, 0, 2000))) == 2000
        # One request for each chunk would be 20.
        assert client.requests <= 10

    def test_a_missing_chunk_is_noticed_when_uploads_are_read(
        self, database: Database, log: Log, campaigns: Campaigns
    ) -> None:
        add(campaigns, numbers=5000)
        next(iter(database.chunks.scan())).delete()
        with pytest.raises(LostChunk):
            list(log.uploaded(CAMPAIGN, 0, 5000))

    def test_an_accepted_upload_does_not_expire(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns, numbers=5000)
        assert [chunk.expires_at for chunk in database.chunks.scan()] == [None] * 4

    def test_an_upload_that_was_not_accepted_expires(self, database: Database, log: Log) -> None:
        log.stage(CAMPAIGN, entries(5000), NOW)
        assert all(chunk.expires_at > NOW for chunk in database.chunks.scan())

    def test_an_accepted_upload_can_be_sealed_later(self, database: Database, log: Log, campaigns: Campaigns) -> None:
        add(campaigns)
        staged = log.stage(CAMPAIGN, entries(5000), NOW)
        transaction = database.transaction()
        log.add(transaction, staged, first=0)
        transaction.commit()
        log.seal(CAMPAIGN)
        assert [chunk.expires_at for chunk in database.chunks.scan()] == [None] * 4
        assert [item.key for item in database.log.query("acme/1")] == ["segment/000000000000"]


class TestCalls:
    def test_a_number_is_claimed_once(self, calls: Calls) -> None:
        assert calls.claim(KEY, ENTRY, 1, NOW) is not None
        assert calls.claim(KEY, ENTRY, 1, NOW) is None

    def test_an_attempt_can_be_claimed_again_after_its_claim_was_given_up(self, calls: Calls) -> None:
        claim = claimed(calls)
        assert calls.give_up(claim, "late")
        assert not calls.give_up(claim, "late")
        assert calls.claim(KEY, ENTRY, 2, NOW) is None
        assert calls.claim(KEY, ENTRY, 1, NOW) is not None

    def test_a_finished_call_is_never_claimed_again(self, calls: Calls) -> None:
        call = finished(calls, claimed(calls), ReportState.PENDING)
        assert call == calls.get(KEY)
        assert (call.state, call.entry, call.attempt) == (State.COMPLETED, ENTRY, 1)
        assert calls.claim(KEY, ENTRY, 1, NOW) is calls.claim(KEY, ENTRY, 2, NOW) is None

    def test_finish_returns_the_call_as_it_is_recorded(self, database: Database) -> None:
        """Attempts that were not sent, and a retry, make no difference."""
        calls = Stores.of(database, retention=timedelta(days=400)).calls
        assert calls.defer_unsent(claimed(calls), "dns", NOW)
        assert calls.defer_retry(claimed(calls, now=NOW + timedelta(seconds=1)), HTTP_486, NOW, NOW)
        claim = claimed(calls, attempt=2, now=NOW + timedelta(seconds=2, microseconds=3))
        outcome = Outcome(Result.FAILED, "http_200", CalleeType.FAX, 31)
        call = calls.finish(claim, outcome, NOW + timedelta(seconds=3), ReportState.PENDING)
        assert call is not None
        assert call == calls.get(KEY)

    def test_after_a_failed_attempt_the_next_one_can_be_claimed(self, calls: Calls) -> None:
        assert calls.defer_retry(claimed(calls), HTTP_486, NOW, NOW + MINUTE)
        assert calls.claim(KEY, ENTRY, 1, NOW) is None
        retry = claimed(calls, attempt=2)
        assert (retry.attempt, retry.unsent) == (2, 0)

    def test_a_claim_has_the_number_of_times_that_its_attempt_was_not_sent(self, calls: Calls) -> None:
        for unsent in range(3):
            claim = claimed(calls)
            assert claim.unsent == unsent
            assert calls.defer_unsent(claim, "dns", NOW)

    def test_only_the_holder_of_the_claim_writes_the_outcome(self, calls: Calls) -> None:
        first = claimed(calls)
        calls.give_up(first, "late")
        second = claimed(calls)
        assert calls.finish(first, OUTCOME, NOW, ReportState.NONE) is None
        assert calls.finish(second, OUTCOME, NOW, ReportState.NONE) is not None

    def test_the_outcome_of_a_skipped_number_is_a_task_for_the_settler(self, calls: Calls, tasks: TaskStore) -> None:
        calls.give_up(claimed(calls), "late")
        call = recorded(calls)
        assert calls.skip(call)
        again = claimed(calls)
        assert not calls.skip(call)
        calls.finish(again, OUTCOME, NOW, ReportState.NONE)
        assert list(tasks.uncounted_outcomes(CAMPAIGN, spread=1)) == [UncountedOutcome(KEY, State.COMPLETED)]

    def test_an_expired_claim_makes_the_call_uncertain_and_no_later_write_changes_it(
        self, calls: Calls, tasks: TaskStore
    ) -> None:
        claim = claimed(calls)
        call = recorded(calls)
        assert calls.expire(call, report=True, now=NOW, spread=1)
        assert not calls.expire(call, report=True, now=NOW, spread=1)
        assert calls.finish(claim, OUTCOME, NOW, ReportState.NONE) is None
        assert not calls.give_up(claim, "late")
        assert calls.claim(KEY, ENTRY, 1, NOW) is calls.claim(KEY, ENTRY, 2, NOW) is None
        expired = recorded(calls)
        assert (expired.state, expired.report) == (State.UNCERTAIN, ReportState.DEFERRED)
        assert len(list(tasks.due_reports(CAMPAIGN, NOW, spread=1))) == 1

    def test_a_record_expires_after_its_outcome_and_never_without_one(self, database: Database) -> None:
        calls = Stores.of(database, retention=timedelta(days=400)).calls

        def expiry(key: CallKey) -> datetime | None:
            (found,) = (item for item in database.calls.scan() if item.call.endswith(f"/{key.sequence}"))
            return cast(datetime | None, found.expires_at)

        other = CAMPAIGN.call(KEY.sequence + 1)
        assert calls.defer_retry(claimed(calls), HTTP_486, NOW, NOW)
        assert expiry(KEY) is None
        finished(calls, claimed(calls, attempt=2))
        assert expiry(KEY) == NOW + timedelta(days=400)
        claimed(calls, other)
        assert expiry(other) is None
        assert calls.expire(recorded(calls, other), report=False, now=NOW, spread=1)
        assert expiry(other) == NOW + timedelta(days=400)

    def test_without_a_retention_records_do_not_expire(self, database: Database, calls: Calls) -> None:
        finished(calls, claimed(calls))
        assert [item.expires_at for item in database.calls.scan()] == [None]

    def test_a_lost_number_is_deferred_unless_it_has_a_record(self, calls: Calls, tasks: TaskStore) -> None:
        assert calls.defer_lost(KEY, ENTRY, spread=1)
        assert not calls.defer_lost(KEY, ENTRY, spread=1)
        assert waiting(tasks, CAMPAIGN, spread=1) == [KEY.sequence]
        assert calls.claim(KEY, ENTRY, 1, NOW) is not None

    def test_calls_are_read_between_two_sequence_numbers(self, calls: Calls) -> None:
        for sequence in (0, 3, 130):
            calls.claim(CAMPAIGN.call(sequence), ENTRY, 1, NOW)
        assert sorted(call.key.sequence for call in calls.between(CAMPAIGN, 1, 131)) == [3, 130]

    def test_a_claim_is_given_again_for_the_same_nonce(self, calls: Calls) -> None:
        mine = calls.claim(KEY, ENTRY, 1, NOW, "mine")
        assert calls.claim(KEY, ENTRY, 1, NOW, "mine") == mine
        assert calls.claim(KEY, ENTRY, 1, NOW, "another's") is None


class TestSwitch:
    def test_the_switch_is_off_until_it_is_turned_on(self, database: Database) -> None:
        switch = Switch(database, "stack/1")
        assert not switch.is_set()
        assert not switch.is_on()
        switch.turn(on=True, now=NOW)
        assert switch.is_on()
        switch.turn(on=False, now=NOW)
        assert (switch.is_set(), switch.is_on()) == (True, False)

    def test_the_switch_is_off_for_a_stack_over_another_ones_tables(self, database: Database) -> None:
        Switch(database, "stack/1").turn(on=True, now=NOW)
        restored = Switch(database, "stack/2")
        assert (restored.is_set(), restored.is_on()) == (False, False)


def due_dials(tasks: TaskStore) -> list[ScheduledTask]:
    """The dials that the pacer takes, in its order."""
    return [*tasks.returned_dials(CAMPAIGN), *tasks.due_dials(CAMPAIGN, NOW, spread=1)]


def dial(sequence: int, not_before: datetime | None = None) -> DialTask:
    return DialTask(CAMPAIGN.call(sequence), ENTRY, 1, not_before)


class TestTasks:
    def test_dials_without_a_time_come_first_in_the_order_of_the_queue(
        self, database: Database, tasks: TaskStore
    ) -> None:
        ordered = [dial(3), dial(20), dial(2, NOW - 2 * MINUTE), dial(1, NOW - MINUTE)]
        add_tasks(database, *reversed(ordered))
        assert tasks_of(tasks.due_dials(CAMPAIGN, NOW, spread=1)) == ordered

    def test_a_task_is_not_due_before_its_time(self, database: Database, tasks: TaskStore) -> None:
        later = NOW + timedelta(seconds=1)
        report = ReportTask(KEY, 1, later)
        add_tasks(database, dial(1, later), report)
        assert list(tasks.due_dials(CAMPAIGN, NOW, spread=1)) == []
        assert list(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == []
        assert waiting(tasks, CAMPAIGN, spread=1) == [1]
        assert tasks_of(tasks.due_reports(CAMPAIGN, later, spread=1)) == [report]

    def test_a_lease_expires_unless_it_is_deleted(self, database: Database, tasks: TaskStore) -> None:
        add_tasks(database, dial(1), dial(2), dial(3))
        first, *others = tasks.due_dials(CAMPAIGN, NOW, spread=1)
        deleted, kept = tasks.lease([first], NOW), tasks.lease(others, NOW)
        assert list(tasks.due_dials(CAMPAIGN, NOW, spread=1)) == []
        assert sorted(waiting(tasks, CAMPAIGN, spread=1)) == [1, 2, 3]
        tasks.delete_lease(CAMPAIGN, deleted)
        expiry = NOW + 15 * MINUTE
        assert list(tasks.expired_leases(CAMPAIGN, expiry - timedelta(seconds=1))) == []
        assert list(tasks.expired_leases(CAMPAIGN, expiry)) == [Lease((dial(2), dial(3)), kept, expiry)]

    def test_deleting_a_lease_keeps_the_task_of_a_number_that_was_deferred_again(
        self, database: Database, tasks: TaskStore
    ) -> None:
        add_tasks(database, dial(1))
        lease = tasks.lease(list(tasks.due_dials(CAMPAIGN, NOW, spread=1)), NOW)
        add_tasks(database, dial(1, NOW + 15 * MINUTE))
        tasks.delete_lease(CAMPAIGN, lease)
        assert waiting(tasks, CAMPAIGN, spread=1) == [1]

    def test_two_tasks_of_one_call_are_deleted_separately(self, database: Database, tasks: TaskStore) -> None:
        report = ReportTask(KEY, 3, NOW)
        add_tasks(database, report, report, dial(1), dial(1))
        first, second = (
            tasks.lease([scheduled], NOW) for scheduled in list(tasks.due_reports(CAMPAIGN, NOW, spread=1))
        )
        tasks.delete_lease(CAMPAIGN, first)
        assert [lease.name for lease in tasks.expired_leases(CAMPAIGN, NOW + HOUR)] == [second]
        tasks.delete(list(tasks.due_dials(CAMPAIGN, NOW, spread=1))[:1])
        assert waiting(tasks, CAMPAIGN, spread=1) == [1]

    def test_the_tasks_of_a_released_lease_wait_again(self, database: Database, tasks: TaskStore) -> None:
        report = ReportTask(KEY, 3, NOW)
        add_tasks(database, dial(1, NOW), report)
        for due in (due_dials(tasks), list(tasks.due_reports(CAMPAIGN, NOW, spread=1))):
            leased = tuple(tasks_of(due))
            tasks.release(Lease(leased, tasks.lease(due, NOW)), NOW, leased, spread=1)
        assert tasks_of(due_dials(tasks)) == [dial(1)]
        assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [report]
        assert list(tasks.expired_leases(CAMPAIGN, NOW + HOUR)) == []

    @pytest.mark.parametrize("first", range(1, 5))
    def test_a_returned_slice_may_be_leased_in_parts(self, tasks: TaskStore, first: int) -> None:
        dials = [dial(sequence) for sequence in (3, 5, 6, 9)]
        tasks.add_returned(dials, "one")
        tasks.add_returned(dials, "one")  # again, because the answer was lost
        due = due_dials(tasks)
        assert tasks_of(due) == dials
        tasks.lease(due[:first], NOW)
        assert tasks_of(due_dials(tasks)) == dials[first:]
        if due[first:]:
            tasks.lease(due[first:], NOW)
        assert due_dials(tasks) == []
        assert tasks.returned_sequences(CAMPAIGN) == {3, 5, 6, 9}
        expired = tasks.expired_leases(CAMPAIGN, NOW + HOUR)
        assert sorted(task.key.sequence for lease in expired for task in lease.tasks) == [3, 5, 6, 9]

    def test_leasing_one_of_two_dials_of_a_number_leaves_the_rest_of_its_slice(self, tasks: TaskStore) -> None:
        tasks.add_returned([dial(3), replace(dial(3), attempt=2), dial(5)], "one")
        first, *others = due_dials(tasks)
        assert (first.task.key.sequence, first.task.attempt) == (3, 2)
        tasks.lease([first], NOW)
        assert due_dials(tasks) == others
        assert tasks_of(others) == [dial(5)]

    def test_returned_dials_come_before_deferred_ones(self, database: Database, tasks: TaskStore) -> None:
        add_tasks(database, dial(1))
        tasks.add_returned([dial(20)], "one")
        tasks.add_returned([dial(7), dial(8)], "two")
        assert [task.key.sequence for task in tasks_of(due_dials(tasks))] == [7, 8, 20, 1]
        lease = tasks.lease(due_dials(tasks), NOW)
        assert due_dials(tasks) == []
        assert [one.name for one in tasks.expired_leases(CAMPAIGN, NOW + HOUR)] == [lease]

    def test_a_returned_slice_counts_by_its_numbers(self, database: Database, tasks: TaskStore) -> None:
        add_tasks(database, dial(1))
        tasks.add_returned([dial(7), dial(8)], "one")
        assert [tasks.count_dials(CAMPAIGN, most, spread=1) for most in (1, 2, 1000)] == [1, 2, 3]

    def test_a_returned_slice_can_be_replaced_by_single_dials(self, tasks: TaskStore) -> None:
        tasks.add_returned([dial(7), dial(8)], "one")
        (returned,) = tasks.returned_slices(CAMPAIGN)
        tasks.replace_returned(returned, [dial(8)], spread=1)
        assert tasks.returned_sequences(CAMPAIGN) == set()
        assert waiting(tasks, CAMPAIGN, spread=1) == [8]

    def test_waiting_tasks_are_unfinished_and_leased_ones_in_progress(
        self, database: Database, tasks: TaskStore
    ) -> None:
        add_tasks(database, dial(1))
        assert tasks.any_unfinished(CAMPAIGN, spread=1)
        assert not tasks.any_in_progress(CAMPAIGN, spread=1)
        tasks.lease(list(tasks.due_dials(CAMPAIGN, NOW, spread=1)), NOW)
        assert tasks.any_in_progress(CAMPAIGN, spread=1)
        assert not tasks.any_unfinished(CampaignKey("acme", 2), spread=1)

    def test_an_acknowledgement_of_many_calls_is_kept_until_it_is_deleted(self, tasks: TaskStore) -> None:
        for _ in range(2):  # the second time because the answer was lost
            tasks.add_acknowledgement(CAMPAIGN, [2**31, 17, 3], NOW, "one")
        tasks.add_acknowledgement(CAMPAIGN, [4], NOW + timedelta(seconds=1), "two")
        tasks.add_acknowledgement(CampaignKey("acme", 2), [5], NOW, "three")
        first, second = tasks.acknowledgements(CAMPAIGN)
        assert (first.sequences, second.sequences) == (frozenset({3, 17, 2**31}), frozenset({4}))
        assert not tasks.any_in_progress(CAMPAIGN, spread=1)
        assert not tasks.any_unfinished(CAMPAIGN, spread=1)
        assert not waiting(tasks, CAMPAIGN, spread=1)
        assert not any(tasks.uncounted_outcomes(CAMPAIGN, spread=1))
        tasks.delete_acknowledgements(CAMPAIGN, [first])
        assert tasks.acknowledgements(CAMPAIGN) == [second]


class TestReceipts:
    def add(self, database: Database, receipt: Receipt, now: datetime) -> None:
        """Write the receipt, as a request does with what it changes."""
        transaction = database.transaction()
        add_receipt(transaction, database, receipt, now)
        commit_with_receipt(transaction)

    def test_a_receipt_is_found_until_it_expires(self, database: Database) -> None:
        receipts = Receipts(database)
        self.add(database, receipt(), NOW)
        assert receipts.find("acme", "once", NOW) == receipt()
        assert receipts.find("globex", "once", NOW) is None
        assert receipts.find("acme", "once", NOW + timedelta(hours=24)) is None

    def test_a_request_with_a_receipt_is_not_done_again(self, database: Database, campaigns: Campaigns) -> None:
        self.add(database, receipt(), NOW)
        with pytest.raises(AlreadyAnswered):
            add(campaigns, receipt=receipt())
        assert campaigns.find(CAMPAIGN) is None
        add(campaigns)
        for act in (campaigns.start, campaigns.stop):
            with pytest.raises(AlreadyAnswered):
                act(CAMPAIGN, receipt(), NOW)
        with pytest.raises(AlreadyAnswered):
            campaigns.append(CAMPAIGN, entries(2), receipt(), NOW)
        assert replace(campaigns.get(CAMPAIGN), pacing_version="") == Campaign("acme", 1, plan(), Status.CREATED)

    def test_an_expired_key_can_be_used_again(self, database: Database) -> None:
        self.add(database, receipt(), NOW)
        self.add(database, receipt(body="[]"), NOW + timedelta(hours=24))
        with pytest.raises(AlreadyAnswered):
            self.add(database, receipt(), NOW)


@pytest.mark.real_database
class TestRaces:
    """Eight threads write at once. moto loses updates between threads, so it is left out."""

    def test_ids_are_given_out_once(self, database: Database) -> None:
        accounts = Accounts(database)
        with ThreadPoolExecutor(8) as threads:
            given = list(threads.map(lambda _: accounts.next_id("acme", Kind.CAMPAIGN), range(80)))
        assert sorted(given) == list(range(1, 81))

    def test_one_of_many_requests_gets_a_nickname(self, schedules: Schedules) -> None:
        def take(identifier: int) -> bool:
            try:
                schedules.add(schedule(identifier), None, NOW)
            except NicknameTaken:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(take, range(1, 25))) == 1
        assert len(schedules.page("acme")) == 1

    def test_one_of_many_dialers_gets_a_claim(self, calls: Calls) -> None:
        with ThreadPoolExecutor(8) as threads:
            claims = list(threads.map(lambda _: calls.claim(KEY, ENTRY, 1, NOW), range(40)))
        assert sum(claim is not None for claim in claims) == 1

    def test_uploads_at_once_are_each_queued_in_one_piece(self, database: Database, campaigns: Campaigns) -> None:
        add(campaigns)
        uploads = [entries(10, first=upload * 10) for upload in range(16)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda upload: campaigns.append(CAMPAIGN, upload, None, NOW), uploads))
        queue = [entry for _, entry in Log(database).read(CAMPAIGN, 0, 1000)]
        pieces = [queue[start : start + 10] for start in range(0, 160, 10)]
        assert len(queue) == campaigns.get(CAMPAIGN).tail == 160
        assert sorted(pieces, key=lambda piece: piece[0].line) == uploads

    def test_a_number_that_many_uploads_have_at_once_is_queued_once(self, campaigns: Campaigns, log: Log) -> None:
        add(campaigns, numbers=5)
        uploads = [Upload(tuple(entries(20, first=first))) for first in range(0, 80, 5)]
        with ThreadPoolExecutor(8) as threads:
            queued = list(
                threads.map(lambda upload: campaigns.append_unknown(CAMPAIGN, upload, no_receipt, NOW), uploads)
            )
        lines = sorted(entry.line for _, entry in log.read(CAMPAIGN, 0, 1000))
        assert lines == [entry.line for entry in entries(95)]
        assert sum(len(one.entries) for one in queued) == 90
        assert all(len(one.entries) + one.dropped == 20 for one in queued)

    def test_a_schedule_is_either_deleted_or_used(self, schedules: Schedules, campaigns: Campaigns) -> None:
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
                campaigns.append(CAMPAIGN, entries(1), receipt(), NOW)
            except AlreadyAnswered:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(append, range(16))) == 1
        assert campaigns.get(CAMPAIGN).tail == 1

    def test_one_of_many_pacers_gets_the_slots(self, campaigns: Campaigns, progress: ProgressStore) -> None:
        before = add(campaigns, numbers=10)
        with ThreadPoolExecutor(8) as threads:
            reserved = list(threads.map(lambda head: progress.reserve(before, head, (), spread=1), range(1, 9)))
        assert sum(one is not None for one in reserved) == 1
