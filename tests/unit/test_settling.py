"""What the settler does with each number before the head."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.load import average_call_time
from chalicelib.domain.models import Campaign, Counts, Entry, HeadObservation, Plan, Status, Window
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.settling import (
    BATCH_SIZE,
    SettlingAction,
    Step,
    SweepInput,
    batch,
    classify,
    corrected,
    counted,
    is_stale,
    lost_before,
    new_reports,
    observe_head,
    owes_report,
    still_to_do,
    sweep_steps,
    swept,
    with_acknowledgement,
)
from chalicelib.domain.tasks import DialTask, ReportTask, Task

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
OLD = NOW - 2 * MINUTE
CAMPAIGN, ENTRY = CampaignKey("acme", 1), Entry("tel:+12223334444")
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 8 * 60, 11 * 60),), "http://tenant.example/", None)
RUNNING = Campaign("acme", 1, PLAN, Status.RUNNING, tail=10, head=8, settled=2, counts=Counts(completed=2))
FIRST, AGAIN = (DialTask(CAMPAIGN.call(0), ENTRY, attempt, None) for attempt in (1, 2))
REPORT = ReportTask(CAMPAIGN.call(0), 1, NOW)


def call(
    sequence: int, state: State, report: ReportState = ReportState.NONE, at: datetime = NOW, *, skipped: bool = False
) -> Call:
    """A call that was claimed and answered at `at`."""
    key = CAMPAIGN.call(sequence)
    return Call(key, ENTRY, state, 1, skipped, at, None, CalleeType.UNKNOWN, 0, at, report, 0, None)


PENDING_BY_EVENT = call(0, State.COMPLETED, ReportState.PENDING, at=NOW - HOUR)


@pytest.mark.parametrize(
    ("record", "dispatched_long_ago", "expected"),
    [
        (None, False, SettlingAction.WAIT),
        (None, True, SettlingAction.DEFER_LOST),
        (call(0, State.DIALLING, at=OLD + timedelta(seconds=1)), True, SettlingAction.WAIT),
        (call(0, State.DIALLING, at=OLD), False, SettlingAction.EXPIRE),
        (call(0, State.DEFERRED), False, SettlingAction.SKIP),
        (call(0, State.DEFERRED, skipped=True), False, SettlingAction.ALREADY_SKIPPED),
        (call(0, State.COMPLETED, skipped=True), False, SettlingAction.ALREADY_SKIPPED),
        (call(0, State.COMPLETED), False, SettlingAction.COUNT),
        (call(0, State.FAILED, ReportState.DEFERRED), False, SettlingAction.COUNT),
        (call(0, State.UNCERTAIN, ReportState.DELIVERED), False, SettlingAction.COUNT),
        (call(0, State.COMPLETED, ReportState.PENDING, at=OLD + timedelta(seconds=1)), False, SettlingAction.WAIT),
        (call(0, State.COMPLETED, ReportState.PENDING, at=OLD), False, SettlingAction.DEFER_REPORT),
        (call(0, State.IN_PROGRESS, at=NOW - HOUR + SECOND), False, SettlingAction.LIST_OPEN),
        (call(0, State.IN_PROGRESS, at=NOW - HOUR), False, SettlingAction.EXPIRE),
        *(
            (replace(call(0, state, at=NOW - HOUR), listed=True), False, SettlingAction.ALREADY_LISTED)
            for state in (State.IN_PROGRESS, State.DEFERRED, State.DIALLING, State.COMPLETED)
        ),
        (replace(PENDING_BY_EVENT, ended_at=NOW - 4 * MINUTE + SECOND), False, SettlingAction.LIST_OPEN),
        (replace(PENDING_BY_EVENT, ended_at=NOW - 4 * MINUTE), False, SettlingAction.DEFER_REPORT),
    ],
)
def test_the_settler_classifies_a_number_by_its_record(
    record: Call | None, dispatched_long_ago: bool, expected: SettlingAction
) -> None:
    assert (
        classify(record, NOW, dispatched_long_ago=dispatched_long_ago, acknowledgements_read_at=NOW, call_timeout=HOUR)
        is expected
    )


def test_a_report_is_deferred_only_by_acknowledgements_that_were_read_late_enough() -> None:
    record = call(0, State.COMPLETED, ReportState.PENDING, at=OLD)
    assert (
        classify(
            record,
            NOW,
            dispatched_long_ago=False,
            acknowledgements_read_at=NOW - timedelta(seconds=1),
            call_timeout=HOUR,
        )
        is SettlingAction.WAIT
    )


def test_only_a_call_that_is_being_dialled_has_a_claim_that_grows_stale() -> None:
    assert is_stale(call(0, State.DIALLING, at=OLD), NOW)
    assert not is_stale(call(0, State.IN_PROGRESS, at=OLD), NOW)


def test_only_a_report_that_is_pending_is_owed() -> None:
    assert owes_report(call(0, State.COMPLETED, ReportState.PENDING, at=OLD), NOW)
    assert not owes_report(call(0, State.COMPLETED, ReportState.DELIVERED, at=OLD), NOW)


def test_an_outcome_is_counted_once_under_its_state() -> None:
    counts = Counts(completed=1, failed=2, uncertain=3)
    assert counted(counts, State.COMPLETED) == replace(counts, completed=2)
    assert counted(counts, State.FAILED) == replace(counts, failed=3)
    assert counted(counts, State.UNCERTAIN) == replace(counts, uncertain=4)
    assert corrected(counts, State.FAILED) == replace(counts, failed=3, uncertain=2)


@pytest.mark.parametrize("state", [state for state in State if not state.is_final])
def test_a_state_that_is_no_outcome_is_not_counted(state: State) -> None:
    with pytest.raises(ValueError, match="no outcome"):
        counted(Counts(), state)


def test_a_pending_report_is_delivered_if_it_is_acknowledged_or_settled() -> None:
    pending = call(7, State.FAILED, ReportState.PENDING)
    delivered = replace(pending, report=ReportState.DELIVERED, report_attempts=1)
    assert with_acknowledgement(pending, {6, 7}) == with_acknowledgement(pending, (), settled=8) == delivered
    assert with_acknowledgement(pending, {6, 8}, settled=7) == pending


def test_the_report_of_an_open_call_is_pending_until_it_is_acknowledged() -> None:
    pending = call(7, State.FAILED, ReportState.PENDING)
    assert with_acknowledgement(pending, {6, 8}, settled=8, open_sequences={7}) == pending
    assert with_acknowledgement(pending, {7}, settled=8, open_sequences={7}).report is ReportState.DELIVERED


@pytest.mark.parametrize(
    "recorded",
    [
        call(7, State.COMPLETED, ReportState.NONE),
        call(7, State.COMPLETED, ReportState.DEFERRED),
        call(7, State.COMPLETED, ReportState.GIVEN_UP),
        call(7, State.COMPLETED, ReportState.PENDING, skipped=True),
    ],
)
def test_any_other_report_is_as_recorded(recorded: Call) -> None:
    assert with_acknowledgement(recorded, {7}, settled=8) == recorded


def minutes_ago(minutes: int, head: int) -> HeadObservation:
    return HeadObservation(head, NOW - timedelta(minutes=minutes))


def test_a_number_is_lost_five_minutes_after_it_was_observed_before_the_head() -> None:
    head_observations = (minutes_ago(6, 10), minutes_ago(5, 20), minutes_ago(4, 30))
    assert lost_before(head_observations, NOW) == 20
    assert lost_before(head_observations, NOW + timedelta(minutes=1)) == 30
    assert lost_before((), NOW) == 0


def test_a_sweep_observes_the_head_and_drops_observations_that_are_no_longer_needed() -> None:
    head_observations = (minutes_ago(6, 10), minutes_ago(5, 20), minutes_ago(4, 30))
    assert observe_head(head_observations, head=40, settled=0, now=NOW) == (
        *head_observations[1:],
        HeadObservation(40, NOW),
    )
    assert observe_head(head_observations, head=30, settled=0, now=NOW) == head_observations[1:]
    assert observe_head(head_observations, head=30, settled=20, now=NOW) == head_observations[2:]
    assert observe_head(head_observations, head=30, settled=30, now=NOW) == ()
    assert observe_head((), head=5, settled=3, now=NOW) == (HeadObservation(5, NOW),)


@pytest.mark.parametrize(
    ("task", "record", "left"),
    [
        (FIRST, None, True),
        (AGAIN, call(0, State.DEFERRED, at=NOW - SECOND), True),
        (AGAIN, call(0, State.DEFERRED, at=NOW + 2 * SECOND), True),  # by clocks that differ, it may be older
        (AGAIN, replace(call(0, State.DEFERRED), claimed_at=None), True),
        (AGAIN, call(0, State.DEFERRED, at=NOW + 3 * SECOND), False),  # it has a task of its own
        (FIRST, call(0, State.DEFERRED, at=NOW - SECOND), False),
        (AGAIN, call(0, State.DIALLING, at=NOW - SECOND), False),
        (REPORT, call(0, State.FAILED, ReportState.PENDING), True),
        (REPORT, call(0, State.FAILED, ReportState.DEFERRED), True),
        (REPORT, call(0, State.FAILED, ReportState.DELIVERED), False),
    ],
)
def test_what_is_left_of_a_task_that_was_leased_now(task: Task, record: Call | None, left: bool) -> None:
    assert still_to_do(task, record, leased_at=NOW) is left


def steps_of(campaign: Campaign, *calls: Call, returned: Iterable[int] = ()) -> list[Step]:
    known = SweepInput(NOW, (), frozenset(returned))
    return sweep_steps(campaign, {one.key.sequence: one for one in calls}, known, NOW)


def test_a_sweep_reads_a_batch_of_the_numbers_before_the_head() -> None:
    assert batch(RUNNING) == range(2, 8)
    assert batch(replace(RUNNING, head=5000)) == range(2, 2 + BATCH_SIZE)
    assert not batch(replace(RUNNING, settled=8))


def test_a_number_that_was_dispatched_long_ago_is_lost_unless_it_is_returned() -> None:
    seen = replace(RUNNING, head_observations=(minutes_ago(5, 5),))
    steps = steps_of(seen, call(2, State.COMPLETED), returned=[3])
    assert [(step.sequence, step.action) for step in steps] == [
        (2, SettlingAction.COUNT),
        (3, SettlingAction.WAIT),
        (4, SettlingAction.DEFER_LOST),
        (5, SettlingAction.WAIT),
        (6, SettlingAction.WAIT),
        (7, SettlingAction.WAIT),
    ]


def test_a_sweep_counts_up_to_the_first_number_that_is_under_way() -> None:
    calls = [
        replace(call(2, State.COMPLETED), last_attempt_at=NOW + 2 * SECOND),
        call(3, State.IN_PROGRESS),
        call(4, State.FAILED),
        call(6, State.IN_PROGRESS),
        call(7, State.COMPLETED),
    ]
    steps = steps_of(RUNNING, *calls)
    found = swept(RUNNING, steps, {2, 3, 4, 6, 7}, NOW)
    assert (found.campaign.settled, found.campaign.counts) == (5, Counts(completed=3, failed=1))
    assert (found.counted, set(found.opened)) == ([calls[0], calls[2]], {3})
    assert found.campaign.head_observations == (HeadObservation(8, NOW),)
    assert found.campaign.call_time > timedelta(0)


def test_a_sweep_averages_the_times_of_the_calls_that_it_counts() -> None:
    calls = [
        replace(call(2, State.COMPLETED), last_attempt_at=NOW + 2 * SECOND),
        replace(call(3, State.IN_PROGRESS), last_attempt_at=NOW + HOUR),
        replace(call(4, State.FAILED), last_attempt_at=NOW + 4 * SECOND),
    ]
    steps = steps_of(RUNNING, *calls)
    assert swept(RUNNING, steps, {2, 3, 4}, NOW).campaign.call_time == 3 * SECOND
    known = replace(RUNNING, call_time=MINUTE)
    assert swept(known, steps, {2, 3, 4}, NOW).campaign.call_time == average_call_time(MINUTE, [2 * SECOND, 4 * SECOND])
    assert swept(known, steps, {3}, NOW).campaign.call_time == MINUTE


def test_a_canceled_number_says_nothing_about_how_long_calls_take() -> None:
    called = replace(call(2, State.COMPLETED), last_attempt_at=NOW + 2 * SECOND)
    canceled = replace(call(3, State.CANCELED), claimed_at=None, last_attempt_at=None)
    known = replace(RUNNING, call_time=MINUTE)
    both = swept(known, steps_of(known, called, canceled), {2, 3}, NOW).campaign
    assert (both.call_time, both.counts.canceled) == (average_call_time(MINUTE, [2 * SECOND]), 1)
    assert swept(known, steps_of(known, replace(canceled, key=called.key)), {2}, NOW).campaign.call_time == MINUTE


def test_a_call_in_progress_times_out_by_the_plan_of_its_campaign() -> None:
    (lasting, *_) = steps_of(RUNNING, call(2, State.IN_PROGRESS, at=NOW - HOUR + SECOND))
    assert lasting.action is SettlingAction.LIST_OPEN
    impatient = replace(RUNNING, plan=replace(PLAN, call_timeout=60))
    (timed_out, *_) = steps_of(impatient, call(2, State.IN_PROGRESS, at=NOW - MINUTE))
    assert timed_out.action is SettlingAction.EXPIRE


def test_a_corrected_call_is_counted_as_uncertain_until_its_correction_is() -> None:
    mended = replace(call(2, State.COMPLETED), revision=1)
    counts = swept(RUNNING, steps_of(RUNNING, mended), {2}, NOW).campaign.counts
    assert counts == Counts(completed=2, uncertain=1)
    assert corrected(counts, State.COMPLETED) == Counts(completed=3)


def test_a_sweep_that_counts_nothing_only_observes_the_head() -> None:
    found = swept(RUNNING, steps_of(RUNNING), (), NOW)
    assert found.campaign == replace(RUNNING, head_observations=(HeadObservation(8, NOW),))
    assert [*found.counted, *found.opened, *found.dispatched, *found.reports] == []


def ended_by_event(sequence: int, ago: timedelta = SECOND) -> Call:
    return replace(call(sequence, State.COMPLETED, ReportState.PENDING), ended_at=NOW - ago)


def test_a_first_report_is_dispatched_once_whether_its_number_is_passed_or_not() -> None:
    steps = steps_of(RUNNING, ended_by_event(2), call(3, State.IN_PROGRESS), ended_by_event(5), ended_by_event(6))
    known = replace(RUNNING, reports_ahead=(6,))
    found = swept(known, steps, {2, 3, 5, 6}, NOW)
    assert [one.key.sequence for one in found.reports] == [2, 5]
    assert (set(found.opened), set(found.dispatched)) == ({2, 3}, {2})
    assert (found.campaign.settled, found.campaign.reports_ahead) == (4, (5, 6))
    later = swept(found.campaign, steps_of(found.campaign, ended_by_event(5)), (), NOW)
    assert (list(later.reports), later.campaign.reports_ahead) == ([], (5, 6))
    steps = steps_of(found.campaign, call(4, State.COMPLETED), ended_by_event(5), call(6, State.COMPLETED))
    passed = swept(found.campaign, steps, {4, 5, 6}, NOW)
    assert (list(passed.reports), set(passed.opened), set(passed.dispatched)) == ([], {5}, {5})
    assert (passed.campaign.settled, passed.campaign.reports_ahead) == (7, ())


@pytest.mark.parametrize(
    ("record", "dispatched"),
    [
        (ended_by_event(2, -SECOND), True),  # the clock of the API is ahead
        (ended_by_event(2, 2 * MINUTE - SECOND), True),
        (ended_by_event(2, 2 * MINUTE), False),  # it is owed soon
        (ended_by_event(2, 4 * MINUTE), False),  # it is owed, and scheduled
        (replace(ended_by_event(2), report=ReportState.DELIVERED), False),
        (replace(ended_by_event(2), listed=True), False),  # its list is read, too
        (call(2, State.COMPLETED, ReportState.PENDING), False),  # its dialer reports it
    ],
)
def test_the_settler_dispatches_the_first_report_of_what_an_event_has_ended(record: Call, dispatched: bool) -> None:
    assert bool(new_reports(steps_of(RUNNING, record), (), NOW)) is dispatched


def test_a_number_whose_step_was_refused_is_settled_by_a_later_sweep() -> None:
    steps = steps_of(RUNNING, call(2, State.COMPLETED), call(3, State.DEFERRED), call(4, State.COMPLETED))
    assert steps[1].action is SettlingAction.SKIP
    assert swept(RUNNING, steps, {2, 4}, NOW).campaign.settled == 3
    assert swept(RUNNING, steps, {2, 3, 4}, NOW).campaign.settled == 5
