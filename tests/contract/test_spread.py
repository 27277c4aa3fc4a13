"""Tasks in several partitions, because their campaign makes many calls."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.calling.settler import Settler
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Counts
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.domain.tasks import DialTask, Lease, ReportTask, UncountedOutcome
from chalicelib.gateway.queue import CallQueue
from chalicelib.runtime.metrics import Metric
from chalicelib.storage.call_reports import CallReports
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from tests.support.databases import with_tables, with_work
from tests.support.examples import CAMPAIGN, ENTRY, NOW, CountingClient, add, claimed, finished, recorded
from tests.support.tasks import add_tasks, waiting
from tests.support.world import FakeMetrics, FakeSQS, HandClock

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
#: a campaign's spread before and after it has grown
BEFORE, GROWN = 2, 5
#: a call in the last of four partitions
KEY = CAMPAIGN.call(7)


def dial(sequence: int, not_before: datetime | None = None) -> DialTask:
    return DialTask(CAMPAIGN.call(sequence), ENTRY, 1, not_before)


def report(sequence: int, not_before: datetime = NOW) -> ReportTask:
    return ReportTask(CAMPAIGN.call(sequence), 2, not_before)


def add_outcomes(database: Database, *outcomes: UncountedOutcome) -> None:
    for one in outcomes:
        transaction = database.transaction()
        TaskStore(database).add_outcome(transaction, one)
        transaction.commit()


def partitions(database: Database, kind: str) -> set[str]:
    return {item.campaign for item in database.tasks.scan() if item.key.startswith(f"{kind}/")}


def settler(database: Database, metrics: FakeMetrics) -> Settler:
    stores, clock = Stores.of(database), HandClock(NOW)
    queue = CallQueue(FakeSQS(clock), "calls", clock.now, pause=lambda _: None)
    return Settler(stores, clock, metrics, map, Sleeper(stores, clock), queue)


class TestNumbers:
    def test_tasks_of_numbers_are_in_as_many_partitions_as_the_campaign_has(self, database: Database) -> None:
        add_tasks(database, *map(dial, range(6)), *map(report, range(6)), spread=3)
        expected = {"acme/1", "acme/1#1", "acme/1#2"}
        assert partitions(database, "dial") == partitions(database, "report") == expected
        assert Counter(item.campaign for item in database.tasks.scan()) == dict.fromkeys(expected, 4)

    def test_dials_written_before_the_spread_grew_can_be_leased(self, database: Database, tasks: TaskStore) -> None:
        dials = [dial(sequence) for sequence in range(8)]
        add_tasks(database, *dials, spread=BEFORE)
        due = list(tasks.due_dials(CAMPAIGN, NOW, spread=GROWN))
        assert [scheduled.task for scheduled in due] == dials
        assert sorted(waiting(tasks, CAMPAIGN, spread=GROWN)) == list(range(8))
        name = tasks.lease(due, NOW)
        assert list(tasks.due_dials(CAMPAIGN, NOW, spread=GROWN)) == []
        assert [(item.campaign, item.key) for item in database.tasks.scan()] == [("acme/1", name)]

    def test_reports_written_before_the_spread_grew_can_be_leased_and_released(
        self, database: Database, tasks: TaskStore
    ) -> None:
        reports = tuple(report(sequence) for sequence in range(8))
        add_tasks(database, *reports, spread=BEFORE)
        due = list(tasks.due_reports(CAMPAIGN, NOW, spread=GROWN))
        assert {scheduled.task for scheduled in due} == set(reports)
        lease = Lease(reports, tasks.lease(due, NOW))
        assert tasks.count_reports(CAMPAIGN, 100, spread=GROWN) == 0
        tasks.release(lease, NOW, reports, spread=GROWN)
        assert len(partitions(database, "report")) == GROWN
        again = tasks.due_reports(CAMPAIGN, NOW, spread=GROWN)
        assert {scheduled.task for scheduled in again} == set(reports)

    def test_due_tasks_come_in_one_order_over_all_partitions(self, database: Database, tasks: TaskStore) -> None:
        early, late = NOW - 2 * SECOND, NOW - SECOND
        ordered = [dial(3), dial(5), dial(8), dial(20), dial(2, early), dial(9, early), dial(1, late), dial(4, late)]
        add_tasks(database, *reversed(ordered), spread=3)
        assert [scheduled.task for scheduled in tasks.due_dials(CAMPAIGN, NOW, spread=3)] == ordered
        reports = [report(7, early), report(2, late), report(6, late), report(0, NOW)]
        add_tasks(database, *reversed(reports), report(1, NOW + SECOND), spread=3)
        assert [scheduled.task for scheduled in tasks.due_reports(CAMPAIGN, NOW, spread=3)] == reports

    def test_waiting_tasks_are_counted_over_all_partitions_up_to_a_limit(
        self, database: Database, tasks: TaskStore
    ) -> None:
        add_tasks(database, *map(dial, range(5)), *map(report, range(4)), spread=3)
        assert [tasks.count_dials(CAMPAIGN, most, spread=3) for most in (4, 100)] == [4, 5]
        assert [tasks.count_reports(CAMPAIGN, most, spread=3) for most in (3, 100)] == [3, 4]

    def test_one_task_in_the_last_partition_is_found(self, database: Database, tasks: TaskStore) -> None:
        add_tasks(database, dial(2), spread=3)
        assert tasks.any_unfinished(CAMPAIGN, spread=3)
        assert not tasks.any_in_progress(CAMPAIGN, spread=3)
        add_outcomes(database, UncountedOutcome(CAMPAIGN.call(2), State.FAILED, partition=2))
        assert tasks.any_in_progress(CAMPAIGN, spread=3)

    def test_dials_that_replace_a_returned_slice_are_spread(self, database: Database, tasks: TaskStore) -> None:
        tasks.add_returned([dial(sequence) for sequence in range(3)], "one")
        (returned,) = tasks.returned_slices(CAMPAIGN)
        tasks.replace_returned(returned, returned.tasks, spread=3)
        assert len(partitions(database, "dial")) == 3
        assert sorted(waiting(tasks, CAMPAIGN, spread=3)) == [0, 1, 2]


class TestSlices:
    def test_tasks_of_slices_stay_in_the_first_partition(self, database: Database, tasks: TaskStore) -> None:
        add_tasks(database, *map(dial, range(1, 3)), report(1), spread=3)
        name = tasks.lease(list(tasks.due_dials(CAMPAIGN, NOW, spread=3)), NOW)
        tasks.lease(list(tasks.due_reports(CAMPAIGN, NOW, spread=3)), NOW)
        tasks.add_returned([dial(5)], "one")
        tasks.add_acknowledgement(CAMPAIGN, [4], NOW, "two")
        assert {item.campaign for item in database.tasks.scan()} == {"acme/1"}
        assert len(list(tasks.expired_leases(CAMPAIGN, NOW + HOUR))) == 2
        tasks.delete_lease(CAMPAIGN, name)
        assert tasks.returned_sequences(CAMPAIGN) == {5}

    def test_the_first_due_time_is_found_in_any_partition(self, database: Database, tasks: TaskStore) -> None:
        soon, later = NOW + timedelta(minutes=20), NOW + HOUR
        add_tasks(database, dial(0, later), dial(1, soon), report(3, later), report(5, soon), spread=3)
        assert tasks.first_dial(CAMPAIGN, spread=3) == tasks.first_report(CAMPAIGN, spread=3) == soon
        assert tasks.first_dial(CAMPAIGN, spread=1) == tasks.first_report(CAMPAIGN, spread=1) == later
        add_tasks(database, dial(4), spread=3)
        at_once = tasks.first_dial(CAMPAIGN, spread=3)
        assert at_once is not None
        assert at_once < NOW
        other = CampaignKey("acme", 2)
        assert tasks.first_dial(other, spread=3) is tasks.first_report(other, spread=3) is None
        tasks.add_returned([dial(7)], "one")
        assert tasks.first_dial(CAMPAIGN, spread=1) == at_once


class TestCalls:
    def test_the_tasks_of_a_call_are_in_the_partition_of_its_number(
        self, database: Database, calls: Calls, call_reports: CallReports, tasks: TaskStore
    ) -> None:
        assert calls.defer_retry(claimed(calls, KEY, spread=4), Outcome(Result.FAILED, "http_486"), NOW, NOW)
        assert partitions(database, "dial") == {"acme/1#3"}
        assert calls.skip(recorded(calls, KEY))
        call = finished(calls, claimed(calls, KEY, attempt=2, spread=4), ReportState.PENDING)
        assert list(tasks.uncounted_outcomes(CAMPAIGN, spread=4)) == [
            UncountedOutcome(KEY, State.COMPLETED, partition=3)
        ]
        call_reports.defer_report(call, 1, "http_500", NOW, spread=4)
        assert partitions(database, "report") == {"acme/1#3"}

    def test_the_tasks_of_an_uncertain_call_are_in_the_same_partition(self, database: Database, calls: Calls) -> None:
        assert calls.defer_lost(KEY, ENTRY, spread=4)
        claimed(calls, KEY, spread=4)
        assert calls.expire(recorded(calls, KEY), report=True, now=NOW, spread=4)
        for kind in ("dial", "report", "ended"):
            assert partitions(database, kind) == {"acme/1#3"}

    def test_the_settler_counts_and_deletes_the_outcomes_in_all_partitions(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        numbers = 200
        before = add(campaigns, numbers=numbers)
        grown = ProgressStore(database).reserve(before, numbers, before.cursors, spread=GROWN)
        assert grown is not None
        for sequence in range(numbers):  # two of three were written before the spread grew
            partition = sequence % (BEFORE if sequence % 3 else GROWN)
            add_outcomes(database, UncountedOutcome(CAMPAIGN.call(sequence), State.COMPLETED, partition))
        settler(database, FakeMetrics()).settle(NOW + HOUR, [CAMPAIGN])
        assert campaigns.get(CAMPAIGN).counts == Counts(completed=numbers)
        assert list(database.tasks.scan()) == []

    def test_the_settler_finds_tasks_in_every_partition_and_keeps_the_work_flag(
        self, database: Database, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        metrics = FakeMetrics()
        before = add(campaigns, numbers=8)
        grown = progress.reserve(before, 8, before.cursors, spread=GROWN)
        assert grown is not None
        assert progress.settle(grown, replace(grown, settled=8))
        add_tasks(database, *map(dial, range(1, 3)), report(3, NOW + HOUR), spread=GROWN)
        settler(database, metrics).settle(NOW + HOUR, [CAMPAIGN])
        assert with_work(progress, NOW + HOUR) == [CAMPAIGN]
        assert (metrics.counted[Metric.NUMBERS_WAITING], metrics.counted[Metric.REPORTS_PENDING]) == (2, 1)


class TestCampaign:
    def test_the_spread_is_recorded_with_the_slots_that_need_it(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        before = add(campaigns)
        assert before.spread == 1
        after = progress.reserve(before, 0, before.cursors, spread=8)
        assert after is not None
        assert after.spread == campaigns.get(CAMPAIGN).spread == 8
        assert progress.reserve(before, 0, before.cursors, spread=3) is None
        campaigns.start(CAMPAIGN, None, NOW)
        assert campaigns.get(CAMPAIGN).spread == 8

    def test_a_campaign_without_a_recorded_spread_has_one_partition(
        self, database: Database, campaigns: Campaigns
    ) -> None:
        add(campaigns)
        database.campaigns("acme", 1).update([database.campaigns.spread.remove()])
        assert campaigns.get(CAMPAIGN).spread == 1


READS: list[Callable[[TaskStore, int], object]] = [
    lambda tasks, spread: list(tasks.due_dials(CAMPAIGN, NOW, spread=spread)),
    lambda tasks, spread: list(tasks.due_reports(CAMPAIGN, NOW, spread=spread)),
    lambda tasks, spread: tasks.count_reports(CAMPAIGN, 100, spread=spread),
    lambda tasks, spread: list(tasks.uncounted_outcomes(CAMPAIGN, spread=spread)),
    lambda tasks, spread: tasks.any_unfinished(CAMPAIGN, spread=spread),
    lambda tasks, spread: tasks.any_in_progress(CAMPAIGN, spread=spread),
]


@pytest.mark.parametrize("read", READS)
def test_a_read_takes_one_request_for_each_partition(
    dynamodb: DynamoDB, read: Callable[[TaskStore, int], object]
) -> None:
    client = CountingClient(dynamodb)
    tasks = TaskStore(with_tables(client))
    for spread in (1, 4):
        client.requests = 0
        read(tasks, spread)
        assert client.requests == spread
