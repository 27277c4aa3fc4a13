"""What events write, and open calls: on each database."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from chalicelib.domain.call import Call, RecordedEvent, ReportState, State
from chalicelib.domain.models import Campaign, Counts
from chalicelib.domain.open_calls import MOST_WRITES
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.providers import EventStatus
from chalicelib.domain.tasks import Correction, DialTask, OpenCalls, ReportTask, UncountedOutcome
from chalicelib.storage.call_events import CallEvents
from chalicelib.storage.call_reports import CallReports
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import Database
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.writes import WriteRefused
from tests.support.databases import with_work
from tests.support.examples import CAMPAIGN, ENTRY, KEY, NOW, OUTCOME, add_running, claimed, recorded
from tests.support.tasks import tasks_of

RINGING = RecordedEvent(NOW + timedelta(seconds=2), 1, EventStatus.RINGING)
COMPLETED = RecordedEvent(NOW + timedelta(seconds=40), 1, EventStatus.COMPLETED)
BUSY = RecordedEvent(NOW + timedelta(seconds=5), 1, EventStatus.BUSY)
HUNG_UP = Outcome(Result.COMPLETED, "completed", CalleeType.VOICE, 31)
LINE_BUSY = Outcome(Result.FAILED, "busy")


@pytest.fixture
def events(database: Database) -> CallEvents:
    return Stores.of(database).call_events


@pytest.fixture
def lasting(calls: Calls) -> Call:
    assert calls.begin_progress(claimed(calls), NOW)
    return recorded(calls)


@pytest.fixture
def skipped(calls: Calls) -> Call:
    """A retry that is being dialled, whose number the settler has skipped."""
    assert calls.defer_retry(claimed(calls), LINE_BUSY, NOW, NOW)
    assert calls.skip(recorded(calls))
    claimed(calls, attempt=2)
    return recorded(calls)


class TestProgress:
    def test_a_call_in_progress_keeps_its_claim(self, calls: Calls) -> None:
        claim = claimed(calls)
        assert calls.begin_progress(claim, NOW)
        assert calls.begin_progress(claim, NOW)  # a repeated write
        call = recorded(calls)
        assert (call.state, call.last_attempt_at, call.claimed_at, call.listed) == (State.IN_PROGRESS, NOW, NOW, False)
        assert calls.claim(KEY, ENTRY, 1, NOW) is calls.claim(KEY, ENTRY, 2, NOW) is None

    def test_a_call_that_an_event_has_ended_does_not_go_on(self, calls: Calls, events: CallEvents) -> None:
        claim = claimed(calls)
        events.end(recorded(calls), COMPLETED, HUNG_UP, ReportState.PENDING, spread=1)
        assert not calls.begin_progress(claim, NOW)
        assert calls.finish(claim, OUTCOME, NOW, ReportState.PENDING) is None
        assert recorded(calls).reason == "completed"

    def test_a_skipped_number_is_listed_instead(self, calls: Calls, tasks: TaskStore) -> None:
        assert calls.defer_lost(KEY, ENTRY, spread=1)
        claim = claimed(calls)
        assert claim.skipped
        assert calls.begin_progress(claim, NOW)
        call = recorded(calls)
        assert (call.state, call.skipped, call.listed) == (State.IN_PROGRESS, False, True)
        assert [one.sequences for one in tasks.open_calls(CAMPAIGN)] == [{KEY.sequence}]


class TestEvents:
    def test_events_are_recorded_in_their_order(self, calls: Calls, events: CallEvents, lasting: Call) -> None:
        events.record(lasting, RINGING)
        events.record(recorded(calls), replace(RINGING, status=EventStatus.IN_PROGRESS))
        assert [one.status for one in recorded(calls).events] == ["ringing", "in_progress"]
        assert recorded(calls).events[0] == RINGING

    def test_who_picked_up_is_recorded_with_the_event(self, calls: Calls, events: CallEvents, lasting: Call) -> None:
        machine = replace(RINGING, status=EventStatus.IN_PROGRESS, callee_type=CalleeType.ANSWERINGMACHINE)
        events.record(lasting, RINGING)
        events.record(recorded(calls), machine)
        events.record(recorded(calls), replace(machine, callee_type=CalleeType.VOICE))
        assert recorded(calls).events[:2] == (RINGING, machine)
        assert recorded(calls).heard_callee is CalleeType.VOICE
        assert calls.expire(recorded(calls), report=True, now=NOW, spread=1)
        assert (recorded(calls).reason, recorded(calls).callee_type) == ("no_outcome", CalleeType.VOICE)

    def test_an_event_decided_on_an_older_record_is_refused(
        self, calls: Calls, events: CallEvents, lasting: Call
    ) -> None:
        events.record(lasting, RINGING)
        with pytest.raises(WriteRefused):
            events.record(lasting, RINGING)
        with pytest.raises(WriteRefused):
            events.end(lasting, BUSY, LINE_BUSY, ReportState.NONE, spread=1)
        with pytest.raises(WriteRefused):
            events.defer(lasting, BUSY, LINE_BUSY, NOW, spread=1)
        assert recorded(calls).state is State.IN_PROGRESS

    def test_the_first_final_event_wins(self, calls: Calls, events: CallEvents, lasting: Call) -> None:
        events.end(lasting, COMPLETED, HUNG_UP, ReportState.PENDING, spread=1)
        with pytest.raises(WriteRefused):
            events.end(lasting, BUSY, LINE_BUSY, ReportState.PENDING, spread=1)
        call = recorded(calls)
        assert (call.state, call.reason, call.callee_type, call.duration) == ("completed", "completed", "voice", 31)
        assert (call.report, call.ended_at, call.last_attempt_at) == (ReportState.PENDING, COMPLETED.at, NOW)

    def test_a_skipped_number_gets_an_outcome_to_count_and_a_report(
        self, calls: Calls, events: CallEvents, tasks: TaskStore, skipped: Call
    ) -> None:
        events.end(skipped, COMPLETED, HUNG_UP, ReportState.PENDING, spread=1)
        assert recorded(calls).report is ReportState.DEFERRED
        assert list(tasks.uncounted_outcomes(CAMPAIGN, spread=1)) == [UncountedOutcome(KEY, State.COMPLETED)]
        assert tasks_of(tasks.due_reports(CAMPAIGN, COMPLETED.at, spread=1)) == [ReportTask(KEY, 1, COMPLETED.at)]

    def test_the_next_attempt_waits_as_a_task(
        self, calls: Calls, events: CallEvents, tasks: TaskStore, lasting: Call
    ) -> None:
        later = NOW + timedelta(minutes=5)
        events.defer(lasting, BUSY, LINE_BUSY, later, spread=1)
        call = recorded(calls)
        assert (call.state, call.attempt, call.reason) == (State.DEFERRED, 1, "busy")
        assert tasks_of(tasks.due_dials(CAMPAIGN, later, spread=1)) == [DialTask(KEY, call.entry, 2, later)]
        claimed(calls, attempt=2)

    def test_a_call_in_progress_that_ends_meanwhile_does_not_expire(
        self, calls: Calls, events: CallEvents, lasting: Call
    ) -> None:
        events.end(lasting, COMPLETED, HUNG_UP, ReportState.NONE, spread=1)
        assert not calls.expire(lasting, report=True, now=NOW, spread=1)
        assert recorded(calls).state is State.COMPLETED


class TestCorrections:
    def test_a_correction_is_reported_again_and_wakes_its_campaign(
        self,
        calls: Calls,
        call_reports: CallReports,
        campaigns: Campaigns,
        progress: ProgressStore,
        tasks: TaskStore,
        events: CallEvents,
    ) -> None:
        campaign = add_running(campaigns, numbers=8)
        assert calls.begin_progress(claimed(calls), NOW)
        assert calls.expire(recorded(calls), report=True, now=NOW, spread=1)
        call_reports.report_ended(recorded(calls), ReportState.DELIVERED, 1, None)
        progress.clear_work_flag(campaign)
        assert with_work(progress, NOW) == []
        reported = replace(campaign, plan=replace(campaign.plan, result_url="http://tenant.example/result"))
        events.correct(reported, recorded(calls), COMPLETED, HUNG_UP)
        call = recorded(calls)
        assert (call.state, call.revision, call.report) == (State.COMPLETED, 1, ReportState.DEFERRED)
        assert call.report_attempts == 0
        assert tasks.corrections(CAMPAIGN) == [Correction(KEY, State.COMPLETED)]
        assert ReportTask(KEY, 1, COMPLETED.at) in tasks_of(tasks.due_reports(CAMPAIGN, COMPLETED.at, spread=1))
        assert (campaigns.get(CAMPAIGN).corrections_due, with_work(progress, COMPLETED.at)) == (1, [CAMPAIGN])

    def test_an_acknowledgement_of_the_uncertain_outcome_does_not_count_for_the_corrected_one(
        self, calls: Calls, call_reports: CallReports, campaigns: Campaigns, events: CallEvents
    ) -> None:
        campaign = add_running(campaigns, numbers=8)
        reported = replace(campaign, plan=replace(campaign.plan, result_url="http://tenant.example/result"))
        assert calls.begin_progress(claimed(calls), NOW)
        assert calls.expire(recorded(calls), report=True, now=NOW, spread=1)
        before = recorded(calls)
        events.correct(reported, before, COMPLETED, HUNG_UP)
        call_reports.report_ended(before, ReportState.DELIVERED, 1, None)
        call_reports.defer_report(before, 1, "http_500", NOW, spread=1)
        assert (recorded(calls).report, recorded(calls).report_attempts) == (ReportState.DEFERRED, 0)

    def test_a_campaign_does_not_fall_asleep_over_a_correction(
        self, calls: Calls, campaigns: Campaigns, progress: ProgressStore, events: CallEvents
    ) -> None:
        seen = add_running(campaigns, numbers=8)
        assert calls.begin_progress(claimed(calls), NOW)
        assert calls.expire(recorded(calls), report=False, now=NOW, spread=1)
        events.correct(seen, recorded(calls), COMPLETED, HUNG_UP)
        progress.sleep(seen, NOW + timedelta(hours=1))
        progress.clear_work_flag(seen)
        assert with_work(progress, COMPLETED.at) == [CAMPAIGN]


def count(
    database: Database, before: Campaign, after: Campaign, lists: Sequence[OpenCalls], left: Iterable[int]
) -> None:
    stores = Stores.of(database)
    transaction = database.transaction()
    stores.progress.count(transaction, before, after)
    stores.tasks.replace_open(transaction, CAMPAIGN, lists, frozenset(left))
    transaction.commit()


def add_open(database: Database, *lists: Iterable[int]) -> list[OpenCalls]:
    tasks = Stores.of(database).tasks
    for sequences in lists:
        transaction = database.transaction()
        tasks.add_open(transaction, CAMPAIGN, sequences)
        transaction.commit()
    return tasks.open_calls(CAMPAIGN)


class TestOpenCalls:
    def test_a_list_is_counted_and_shortened_together_and_once(
        self, database: Database, campaigns: Campaigns, tasks: TaskStore
    ) -> None:
        before = add_running(campaigns, numbers=9)
        listed = add_open(database, [3, 1, 2])
        assert [one.sequences for one in listed] == [{1, 2, 3}]
        after = replace(before, counts=Counts(completed=1))
        count(database, before, after, listed, {2, 3})
        for again in (before, after):
            with pytest.raises(WriteRefused):
                count(database, again, replace(again, counts=Counts(completed=2)), listed, {3})
        shorter = tasks.open_calls(CAMPAIGN)
        assert [one.sequences for one in shorter] == [{2, 3}]
        assert campaigns.get(CAMPAIGN).counts == Counts(completed=1)
        count(database, after, replace(after, counts=Counts(completed=3)), shorter, set())
        assert tasks.open_calls(CAMPAIGN) == []

    def test_lists_are_merged_into_the_last_one_which_is_read_last(
        self, database: Database, campaigns: Campaigns, tasks: TaskStore
    ) -> None:
        before = add_running(campaigns, numbers=9)
        lists = add_open(database, [5], [7, 2], [1])
        assert [one.sequences for one in lists] == [{1}, {2, 7}, {5}]
        count(database, before, replace(before, counts=Counts(failed=1)), lists, {1, 5, 7})
        (merged,) = tasks.open_calls(CAMPAIGN)
        assert merged == OpenCalls(frozenset({1, 5, 7}), lists[-1].name)

    def test_lists_are_merged_only_if_each_is_as_it_was_read(
        self, database: Database, campaigns: Campaigns, tasks: TaskStore
    ) -> None:
        before = add_running(campaigns, numbers=9)
        lists = add_open(database, [1, 2], [3], [4])
        for place, changed in enumerate(lists):
            left = changed.sequences - {2, 3, 4}
            count(database, before, before, [changed], left)
            known = tasks.open_calls(CAMPAIGN)
            with pytest.raises(WriteRefused):
                count(database, before, before, lists[place:], {1, 2, 3, 4})
            assert tasks.open_calls(CAMPAIGN) == known

    def test_a_list_is_replaced_only_if_the_same_reports_are_dispatched_as_when_it_was_read(
        self, database: Database, campaigns: Campaigns, tasks: TaskStore
    ) -> None:
        before = add_running(campaigns, numbers=9)
        (known,) = add_open(database, [1, 2, 3])
        for dispatched in (frozenset({2}), frozenset({2, 3})):
            transaction = database.transaction()
            tasks.replace_open(transaction, CAMPAIGN, [known], known.sequences, dispatched)
            transaction.commit()
            stale, known = known, replace(known, dispatched=dispatched)
            assert tasks.open_calls(CAMPAIGN) == [known]
            with pytest.raises(WriteRefused):
                count(database, before, before, [stale], {1})
        count(database, before, before, [known], {1})
        assert tasks.open_calls(CAMPAIGN) == [OpenCalls(frozenset({1}), known.name)]

    def test_of_two_settlers_that_dispatch_the_same_report_one_does(
        self, campaigns: Campaigns, progress: ProgressStore
    ) -> None:
        before = add_running(campaigns, numbers=9)
        after = replace(before, reports_ahead=(3, 5))
        assert progress.settle(before, after)
        assert not progress.settle(before, after)
        assert campaigns.get(CAMPAIGN).reports_ahead == (3, 5)
        assert progress.settle(after, replace(after, settled=6, reports_ahead=()))
        assert campaigns.get(CAMPAIGN).reports_ahead == ()

    def test_as_many_lists_are_merged_at_once_as_a_transaction_writes(
        self, database: Database, campaigns: Campaigns, tasks: TaskStore
    ) -> None:
        before = add_running(campaigns, numbers=200)
        lists = add_open(database, *([sequence] for sequence in range(MOST_WRITES - 1)))
        count(database, before, before, lists, range(MOST_WRITES - 1))
        assert [len(one.sequences) for one in tasks.open_calls(CAMPAIGN)] == [MOST_WRITES - 1]

    def test_an_open_call_is_under_way(self, database: Database, tasks: TaskStore) -> None:
        assert not tasks.any_in_progress(CAMPAIGN, spread=1)
        add_open(database, [3])
        assert tasks.any_in_progress(CAMPAIGN, spread=1)
        assert tasks.any_unfinished(CAMPAIGN, spread=1)
        assert tasks.first_dial(CAMPAIGN, spread=1) is tasks.first_report(CAMPAIGN, spread=1) is None

    def test_a_deferred_open_call_is_skipped_unless_it_is_claimed(
        self, database: Database, calls: Calls, events: CallEvents, lasting: Call
    ) -> None:
        events.defer(lasting, BUSY, LINE_BUSY, NOW, spread=1)
        deferred = recorded(calls)
        transaction = database.transaction()
        calls.skip_open(transaction, deferred)
        transaction.commit()
        assert recorded(calls).skipped
        claimed(calls, attempt=2)
        transaction = database.transaction()
        calls.skip_open(transaction, deferred)
        with pytest.raises(WriteRefused):
            transaction.commit()


@pytest.mark.real_database
class TestRaces:
    """Eight threads write at once. moto loses updates between threads, so it is left out."""

    def test_one_of_event_timeout_and_answer_ends_a_call(
        self, calls: Calls, events: CallEvents, tasks: TaskStore
    ) -> None:
        keys = [CAMPAIGN.call(sequence) for sequence in range(12)]
        claims = [claimed(calls, key) for key in keys]
        seen = [recorded(calls, key) for key in keys]

        def end(event: RecordedEvent, outcome: Outcome, place: int) -> bool:
            try:
                events.end(seen[place], event, outcome, ReportState.NONE, spread=1)
            except WriteRefused:
                return False
            return True

        def expire(place: int) -> bool:
            return calls.expire(seen[place], report=False, now=NOW, spread=1)

        def begin(place: int) -> bool:
            return calls.begin_progress(claims[place], NOW)

        def defer(place: int) -> bool:
            try:
                events.defer(seen[place], BUSY, LINE_BUSY, NOW, spread=1)
            except WriteRefused:
                return False
            return True

        ways: dict[State, Callable[[int], bool]] = {
            State.COMPLETED: partial(end, COMPLETED, HUNG_UP),
            State.FAILED: partial(end, BUSY, LINE_BUSY),
            State.UNCERTAIN: expire,
            State.IN_PROGRESS: begin,
            State.DEFERRED: defer,
        }
        with ThreadPoolExecutor(8) as threads:
            running = {(place, state): threads.submit(way, place) for place in range(12) for state, way in ways.items()}
        for place, key in enumerate(keys):
            won = {state for state in ways if running[place, state].result()}
            assert won == {recorded(calls, key).state}
        waiting = {task.key for task in tasks_of(tasks.due_dials(CAMPAIGN, NOW, spread=1))}
        assert waiting == {key for key in keys if recorded(calls, key).state is State.DEFERRED}
