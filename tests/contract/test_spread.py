"""Slips that lie in several partitions, because their campaign makes many calls."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.calling.settler import Settler
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Counts
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.domain.tasks import DialTask, Lease, ReportTask, Task, UncountedOutcome
from chalicelib.runtime.metrics import Metric
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from tests.support.databases import with_tables, with_work
from tests.support.examples import ENTRY, NOW, OUTCOME, Counting, add, profile, schedule
from tests.support.tasks import waiting
from tests.support.world import FakeMetrics, HandClock

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
BEFORE, NOW_SPREAD = 2, 5


@pytest.fixture
def campaigns(database: Database) -> Campaigns:
    Schedules(database).add(schedule(), None, NOW)
    Profiles(database).add(profile(), None, NOW)
    return Stores.of(database).campaigns


def key(sequence: int) -> CallKey:
    return CallKey("acme", 1, sequence)


def dial(sequence: int, not_before: datetime | None = None) -> DialTask:
    return DialTask(key(sequence), ENTRY, 1, not_before)


def report(sequence: int, not_before: datetime = NOW) -> ReportTask:
    return ReportTask(key(sequence), 2, not_before)


def defer(database: Database, spread: int, *deferred: Task) -> TaskStore:
    tasks = TaskStore(database)
    for one in deferred:
        transaction = database.transaction()
        tasks.add(transaction, one, spread=spread)
        transaction.commit()
    return tasks


def end(database: Database, *ended: UncountedOutcome) -> None:
    for one in ended:
        transaction = database.transaction()
        TaskStore(database).add_outcome(transaction, one)
        transaction.commit()


def partitions(database: Database, kind: str) -> set[str]:
    return {item.campaign for item in database.tasks.scan() if item.key.startswith(f"{kind}/")}


def settler(database: Database, metrics: FakeMetrics) -> Settler:
    stores, clock = Stores.of(database), HandClock(NOW)
    return Settler(stores, clock, metrics, map, Sleeper(stores, clock))


class TestNumbers:
    def test_slips_of_numbers_lie_in_as_many_partitions_as_the_campaign_has(self, database: Database) -> None:
        defer(database, 3, *(one for sequence in range(6) for one in (dial(sequence), report(sequence))))
        there = {"acme/1", "acme/1#1", "acme/1#2"}
        assert partitions(database, "dial") == partitions(database, "report") == there
        assert Counter(item.campaign for item in database.tasks.scan()) == dict.fromkeys(there, 4)

    def test_a_dial_written_with_a_small_spread_is_handed_over_and_forgotten_after_it_has_grown(
        self, database: Database
    ) -> None:
        dials = [dial(sequence) for sequence in range(8)]
        tasks = defer(database, BEFORE, *dials)
        due = list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=NOW_SPREAD))
        assert [scheduled.task for scheduled in due] == dials
        assert sorted(waiting(tasks, CampaignKey("acme", 1), spread=NOW_SPREAD)) == list(range(8))
        name = tasks.lease(due, NOW)
        assert list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=NOW_SPREAD)) == []
        assert [(item.campaign, item.key) for item in database.tasks.scan()] == [("acme/1", name)]

    def test_a_report_written_with_a_small_spread_is_handed_over_and_taken_back_after_it_has_grown(
        self, database: Database
    ) -> None:
        reports = tuple(report(sequence) for sequence in range(8))
        tasks = defer(database, BEFORE, *reports)
        due = list(tasks.due_reports(CampaignKey("acme", 1), NOW, spread=NOW_SPREAD))
        assert {scheduled.task for scheduled in due} == set(reports)
        handed = Lease(reports, tasks.lease(due, NOW))
        assert tasks.count_reports(CampaignKey("acme", 1), 100, spread=NOW_SPREAD) == 0
        tasks.release(handed, NOW, reports, spread=NOW_SPREAD)
        assert len(partitions(database, "report")) == NOW_SPREAD
        again = tasks.due_reports(CampaignKey("acme", 1), NOW, spread=NOW_SPREAD)
        assert {scheduled.task for scheduled in again} == set(reports)

    def test_what_is_due_comes_in_one_order_over_all_partitions(self, database: Database) -> None:
        early, late = NOW - 2 * SECOND, NOW - SECOND
        ordered = [dial(3), dial(5), dial(8), dial(20), dial(2, early), dial(9, early), dial(1, late), dial(4, late)]
        tasks = defer(database, 3, *reversed(ordered))
        assert [scheduled.task for scheduled in tasks.due_dials(CampaignKey("acme", 1), NOW, spread=3)] == ordered
        reports = [report(7, early), report(2, late), report(6, late), report(0, NOW)]
        tasks = defer(database, 3, *reversed(reports), report(1, NOW + SECOND))
        assert [scheduled.task for scheduled in tasks.due_reports(CampaignKey("acme", 1), NOW, spread=3)] == reports

    def test_the_waiting_are_counted_over_all_partitions_up_to_so_many(self, database: Database) -> None:
        tasks = defer(database, 3, *map(dial, range(5)), *map(report, range(4)))
        assert [tasks.count_dials(CampaignKey("acme", 1), most, spread=3) for most in (4, 100)] == [4, 5]
        assert [tasks.count_reports(CampaignKey("acme", 1), most, spread=3) for most in (3, 100)] == [3, 4]

    def test_one_slip_in_the_last_partition_is_something_to_do(self, database: Database) -> None:
        tasks = defer(database, 3, dial(2))
        assert tasks.any_unfinished(CampaignKey("acme", 1), spread=3)
        assert not tasks.any_in_progress(CampaignKey("acme", 1), spread=3)
        end(database, UncountedOutcome(key(2), State.FAILED, partition=2))
        assert tasks.any_in_progress(CampaignKey("acme", 1), spread=3)

    def test_what_was_returned_together_is_scattered_over_all_partitions(self, database: Database) -> None:
        tasks = TaskStore(database)
        tasks.add_returned([dial(sequence) for sequence in range(3)], "one")
        (returned,) = tasks.returned_slices(CampaignKey("acme", 1))
        tasks.replace_returned(returned, returned.tasks, spread=3)
        assert len(partitions(database, "dial")) == 3
        assert sorted(waiting(tasks, CampaignKey("acme", 1), spread=3)) == [0, 1, 2]


class TestSlices:
    def test_slips_of_slices_stay_in_the_first_partition(self, database: Database) -> None:
        tasks = defer(database, 3, *map(dial, range(1, 3)), report(1))
        name = tasks.lease(list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=3)), NOW)
        tasks.lease(list(tasks.due_reports(CampaignKey("acme", 1), NOW, spread=3)), NOW)
        tasks.add_returned([dial(5)], "one")
        tasks.add_acknowledgement(CampaignKey("acme", 1), [4], NOW, "two")
        assert {item.campaign for item in database.tasks.scan()} == {"acme/1"}
        assert len(list(tasks.expired_leases(CampaignKey("acme", 1), NOW + HOUR))) == 2
        tasks.delete_lease(CampaignKey("acme", 1), name)
        assert tasks.returned_sequences(CampaignKey("acme", 1)) == {5}

    def test_what_is_due_first_is_found_in_any_partition(self, database: Database) -> None:
        soon, later = NOW + timedelta(minutes=20), NOW + HOUR
        tasks = defer(database, 3, dial(0, later), dial(1, soon), report(3, later), report(5, soon))
        assert (
            tasks.first_dial(CampaignKey("acme", 1), spread=3)
            == tasks.first_report(CampaignKey("acme", 1), spread=3)
            == soon
        )
        assert (
            tasks.first_dial(CampaignKey("acme", 1), spread=1)
            == tasks.first_report(CampaignKey("acme", 1), spread=1)
            == later
        )
        defer(database, 3, dial(4))
        at_once = tasks.first_dial(CampaignKey("acme", 1), spread=3)
        assert at_once is not None
        assert at_once < NOW
        assert (
            tasks.first_dial(CampaignKey("acme", 2), spread=3)
            is tasks.first_report(CampaignKey("acme", 2), spread=3)
            is None
        )
        tasks.add_returned([dial(7)], "one")
        assert tasks.first_dial(CampaignKey("acme", 1), spread=1) == at_once


class TestEnded:
    def test_a_call_leaves_its_slips_where_its_claim_says(self, database: Database) -> None:
        calls, tasks = Stores.of(database).calls, TaskStore(database)
        claim = calls.claim(key(7), ENTRY, 1, NOW, spread=4)
        assert claim is not None
        assert calls.defer_retry(claim, Outcome(Result.FAILED, "http_486"), NOW, NOW)
        assert partitions(database, "dial") == {"acme/1#3"}
        call = calls.get(key(7))
        assert call is not None
        assert calls.skip(call)
        again = calls.claim(key(7), ENTRY, 2, NOW, spread=4)
        assert again is not None
        finished = calls.finish(again, OUTCOME, NOW, ReportState.PENDING)
        assert finished is not None
        assert list(tasks.uncounted_outcomes(CampaignKey("acme", 1), spread=4)) == [
            UncountedOutcome(key(7), State.COMPLETED, partition=3)
        ]
        calls.defer_report(finished, 1, "http_500", NOW, spread=4)
        assert partitions(database, "report") == {"acme/1#3"}

    def test_a_call_that_nobody_hears_of_again_leaves_its_slips_there_too(self, database: Database) -> None:
        calls = Stores.of(database).calls
        assert calls.defer_lost(key(7), ENTRY, spread=4)
        assert calls.claim(key(7), ENTRY, 1, NOW, spread=4) is not None
        call = calls.get(key(7))
        assert call is not None
        assert calls.expire(call, report=True, now=NOW, spread=4)
        for kind in ("dial", "report", "ended"):
            assert partitions(database, kind) == {"acme/1#3"}

    def test_the_settler_counts_what_has_ended_in_all_partitions_and_forgets_it(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        numbers = 200
        before = add(campaigns, numbers=numbers)
        grown = ProgressStore(database).reserve(before, 0, before.cursors, spread=NOW_SPREAD)
        assert grown is not None
        for sequence in range(numbers):  # some of them ended before it had grown
            spread = BEFORE if sequence % 3 else NOW_SPREAD
            end(database, UncountedOutcome(key(sequence), State.COMPLETED, partition=sequence % spread))
        settler(database, FakeMetrics()).settle(NOW + HOUR, [CampaignKey("acme", 1)])
        assert campaigns.get(CampaignKey("acme", 1)).counts == Counts(completed=numbers)
        assert list(database.tasks.scan()) == []

    def test_the_settler_sees_what_waits_in_any_partition_and_does_not_let_the_campaign_rest(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        progress, metrics = ProgressStore(database), FakeMetrics()
        before = add(campaigns, numbers=8)
        grown = progress.reserve(before, 8, before.cursors, spread=NOW_SPREAD)
        assert grown is not None
        assert progress.settle(grown, replace(grown, settled=8))
        defer(database, NOW_SPREAD, *map(dial, range(1, 3)), report(3, NOW + HOUR))
        settler(database, metrics).settle(NOW + HOUR, [CampaignKey("acme", 1)])
        assert with_work(progress, NOW + HOUR) == [CampaignKey("acme", 1)]
        assert (metrics.counted[Metric.NUMBERS_WAITING], metrics.counted[Metric.REPORTS_PENDING]) == (2, 1)


class TestCampaign:
    def test_a_campaign_has_the_spread_with_the_slots_that_need_it(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        before, progress = add(campaigns), ProgressStore(database)
        assert before.spread == 1
        after = progress.reserve(before, 0, before.cursors, spread=8)
        assert after is not None
        assert after.spread == campaigns.get(CampaignKey("acme", 1)).spread == 8
        assert progress.reserve(before, 0, before.cursors, spread=3) is None
        campaigns.start(CampaignKey("acme", 1), None, NOW)
        assert campaigns.get(CampaignKey("acme", 1)).spread == 8

    def test_a_campaign_from_before_there_was_a_spread_has_one_partition(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        add(campaigns)
        database.campaigns("acme", 1).update([database.campaigns.spread.remove()])
        assert campaigns.get(CampaignKey("acme", 1)).spread == 1


LOOKS: list[Callable[[TaskStore, int], object]] = [
    lambda tasks, spread: list(tasks.due_dials(CampaignKey("acme", 1), NOW, spread=spread)),
    lambda tasks, spread: list(tasks.due_reports(CampaignKey("acme", 1), NOW, spread=spread)),
    lambda tasks, spread: tasks.count_reports(CampaignKey("acme", 1), 100, spread=spread),
    lambda tasks, spread: list(tasks.uncounted_outcomes(CampaignKey("acme", 1), spread=spread)),
    lambda tasks, spread: tasks.any_unfinished(CampaignKey("acme", 1), spread=spread),
    lambda tasks, spread: tasks.any_in_progress(CampaignKey("acme", 1), spread=spread),
]


@pytest.mark.parametrize("look", range(len(LOOKS)))
def test_a_look_is_one_request_for_each_partition(dynamodb: DynamoDB, look: int) -> None:
    counting = Counting(dynamodb)
    tasks = TaskStore(with_tables(counting))
    for spread in (1, 4):
        counting.requests = 0
        LOOKS[look](tasks, spread)
        assert counting.requests == spread
