"""The progress and the status of a campaign."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Campaign, Counts, Entry, Plan, Status, Window
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.progress import Progress, is_settled, progress, status
from chalicelib.domain.tasks import Correction, UncountedOutcome, Withdrawn

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 8 * 60, 11 * 60),), "http://tenant.example/", None)
RUNNING = Campaign("acme", 1, PLAN, Status.RUNNING, tail=10, head=6, settled=2, counts=Counts(completed=2))
COUNTED = Campaign("acme", 1, PLAN, Status.RUNNING, tail=6, head=6, settled=6, counts=Counts(completed=6))


def call(
    sequence: int,
    state: State,
    report: ReportState = ReportState.NONE,
    at: datetime = NOW,
    *,
    skipped: bool = False,
) -> Call:
    entry, key = Entry("tel:+12223334444"), CallKey("acme", 1, sequence)
    return Call(key, entry, state, 1, skipped, at, None, CalleeType.UNKNOWN, 0, at, report, 0, None)


def ended(sequence: int, state: State) -> UncountedOutcome:
    return UncountedOutcome(CallKey("acme", 1, sequence), state)


def test_a_dispatched_number_without_a_record_is_being_dialled() -> None:
    done = progress(RUNNING, [call(2, State.COMPLETED), call(3, State.DEFERRED)], [], [])
    assert (done.total, done.queued, done.dialling, done.deferred, done.completed) == (10, 4, 2, 1, 3)


def test_a_skipped_number_without_an_outcome_is_deferred_or_being_dialled() -> None:
    campaign = replace(RUNNING, settled=5, head=6, counts=Counts(completed=1))
    # Of the four that were skipped one has just ended, one is being dialled, one is leased and not claimed yet.
    leased = [call(2, State.DIALLING, skipped=True), call(3, State.DEFERRED, skipped=True)]
    done = progress(campaign, [], leased, [ended(1, State.FAILED)])
    assert (done.deferred, done.failed, done.completed, done.dialling) == (2, 1, 1, 2)


def test_a_number_skipped_from_settled_on_is_counted_by_its_record() -> None:
    done = progress(RUNNING, [call(3, State.DEFERRED, skipped=True)], [call(3, State.DEFERRED)], [])
    assert (done.deferred, done.dialling) == (1, 3)


def test_a_number_that_ends_between_two_reads_is_counted_once() -> None:
    campaign = replace(RUNNING, settled=6, counts=Counts(completed=5))
    done = progress(campaign, [], [call(3, State.DIALLING, skipped=True)], [ended(3, State.FAILED)])
    assert (done.deferred, done.failed, done.dialling) == (0, 1, 0)


def test_a_number_that_was_sent_before_the_head_moved_is_queued() -> None:
    assert progress(RUNNING, outcomes=[ended(6, State.FAILED)]) == progress(RUNNING)
    assert progress(RUNNING, open_calls=[call(6, State.IN_PROGRESS)]) == progress(RUNNING)
    assert progress(RUNNING, corrections=[Correction(RUNNING.key.call(6), State.COMPLETED)]) == progress(RUNNING)


def test_a_number_that_is_claimed_between_two_reads_is_being_dialled() -> None:
    assert progress(RUNNING, leased=[call(3, State.DIALLING)]) == progress(RUNNING)


def test_an_open_number_that_is_counted_between_two_reads_is_counted_once() -> None:
    campaign = replace(RUNNING, settled=6, counts=Counts(completed=5, failed=1))
    assert progress(campaign, open_calls=[call(3, State.FAILED, skipped=True)]) == progress(campaign)


def test_a_number_among_the_open_calls_and_the_outcomes_is_counted_once() -> None:
    campaign = replace(RUNNING, settled=6, counts=Counts(completed=5))
    done = progress(campaign, outcomes=[ended(3, State.FAILED)], open_calls=[call(3, State.FAILED)])
    assert (done.failed, done.deferred, done.dialling) == (1, 0, 0)


#: what may have become of a number before `settled`, beside being open
SETTLED = (
    "counted",
    "counted: canceled",
    "waiting",
    "ended",
    "dialled",
    "leased",
    "counted: corrected",
    "ended: corrected",
)
#: what may have become of an open call; its record has this state
OPEN = {
    "open": State.IN_PROGRESS,
    "open: ended": State.FAILED,
    "open: deferred": State.DEFERRED,
    "open: dialled again": State.DIALLING,
    "open: corrected": State.COMPLETED,
}
#: what may have become of a number from `settled` on that was skipped all the same
SKIPPED = {
    "skipped: waiting": State.DEFERRED,
    "skipped: ended": State.FAILED,
    "skipped: dialled": State.DIALLING,
    "skipped: counted": State.COMPLETED,
}
#: or that a dialer has listed among the open calls
LISTED = {"listed": State.IN_PROGRESS, "listed: ended": State.FAILED, "listed: counted": State.COMPLETED}
#: what may have become of a number from the head on that wasn't moved to the front
AHEAD = ("ahead: queued", "ahead: sent", "ahead: canceled")
EXPECTED: dict[State, set[str | None]] = {
    State.DIALLING: {"dialled", "skipped: dialled", "open: dialled again", State.DIALLING, None},
    State.IN_PROGRESS: {"open", "listed", State.IN_PROGRESS},
    State.DEFERRED: {"waiting", "leased", "skipped: waiting", "open: deferred", State.DEFERRED},
    State.COMPLETED: {
        "counted",
        "skipped: counted",
        "listed: counted",
        "counted: corrected",
        "ended: corrected",
        "open: corrected",
        "corrected",
        State.COMPLETED,
    },
    State.FAILED: {"ended", "skipped: ended", "open: ended", "listed: ended", State.FAILED},
    State.UNCERTAIN: {State.UNCERTAIN},
    State.CANCELED: {"counted: canceled", "ahead: canceled", State.CANCELED},
}


@given(
    st.lists(st.sampled_from([*SETTLED, *OPEN]), max_size=30),
    st.lists(st.sampled_from([*SKIPPED, *LISTED, *State, "corrected", None]), max_size=30),
    st.lists(st.sampled_from([*AHEAD, *SETTLED, *OPEN]), max_size=10),
)
def test_each_number_is_counted_once_wherever_it_is(
    before: list[str], after: list[str | None], ahead: list[str]
) -> None:
    """A queued number may have an outcome: a pacer that died before it moved the head has sent it.

    A number from the head on that was moved to the front is like one that the settler has skipped.
    """
    fates = [*before, *after, *ahead]
    head = len(before) + len(after)
    campaign = replace(
        RUNNING,
        tail=len(fates),
        head=head,
        settled=len(before),
        counts=Counts(
            completed=sum(what in ("counted", "skipped: counted", "listed: counted") for what in fates),
            uncertain=fates.count("counted: corrected"),
            canceled=fates.count("counted: canceled"),
        ),
    )
    still_listed = {what: state for what, state in LISTED.items() if what != "listed: counted"}
    by_state = {what: State(what) for what in State} | {"corrected": State.COMPLETED}
    leased = {"dialled": State.DIALLING, "skipped: dialled": State.DIALLING, "leased": State.DEFERRED}

    def records(states: Mapping[str, State], *, skipped: bool = False, listed: bool = False) -> list[Call]:
        found = [(sequence, states[what]) for sequence, what in enumerate(fates) if what is not None and what in states]
        return [replace(call(sequence, state, skipped=skipped), listed=listed) for sequence, state in found]

    outcomes = [
        ended(sequence, State.FAILED) for sequence, what in enumerate(fates) if what in ("ended", "skipped: ended")
    ]
    outcomes += [ended(sequence, State.UNCERTAIN) for sequence, what in enumerate(fates) if what == "ended: corrected"]
    outcomes += [ended(sequence, State.FAILED) for sequence, what in enumerate(fates) if what == "ahead: sent"]
    corrections = [
        Correction(RUNNING.key.call(sequence), State.COMPLETED)
        for sequence, what in enumerate(fates)
        if what is not None and what.endswith("corrected")
    ]
    done = progress(
        campaign,
        [*records(by_state), *records(SKIPPED, skipped=True), *records(LISTED, listed=True)],
        [*records(leased, skipped=True), *records({"open: dialled again": State.DIALLING})],
        outcomes,
        [*records(OPEN), *records(still_listed, listed=True)],
        corrections,
        Withdrawn(
            canceled=frozenset(
                sequence for sequence, what in enumerate(fates) if what is not None and what.endswith("canceled")
            ),
            moved=frozenset(sequence for sequence in range(head, len(fates)) if fates[sequence] not in AHEAD),
        ),
    )
    counts = {state: sum(what in expected for what in fates) for state, expected in EXPECTED.items()}
    assert done == Progress(
        total=len(fates),
        queued=ahead.count("ahead: queued") + ahead.count("ahead: sent"),
        dialling=counts[State.DIALLING],
        in_progress=counts[State.IN_PROGRESS],
        deferred=counts[State.DEFERRED],
        completed=counts[State.COMPLETED],
        failed=counts[State.FAILED],
        uncertain=counts[State.UNCERTAIN],
        canceled=counts[State.CANCELED],
    )


def test_a_campaign_is_completed_when_all_numbers_are_settled_and_reported() -> None:
    done = replace(RUNNING, head=10, settled=10)
    assert status(done, NOW, anything_deferred=False) is Status.COMPLETED
    assert status(done, NOW, anything_deferred=True) is Status.RUNNING
    assert status(replace(done, status=Status.STOPPED), NOW, anything_deferred=False) is Status.COMPLETED
    assert status(done, NOW + timedelta(days=2), anything_deferred=False) is Status.COMPLETED
    assert status(replace(done, settled=9), NOW, anything_deferred=False) is Status.RUNNING


def test_a_campaign_with_queued_numbers_has_ended_after_its_last_day() -> None:
    midnight = datetime(2026, 1, 6, 5, tzinfo=UTC)
    assert status(RUNNING, midnight - timedelta(seconds=1), anything_deferred=False) is Status.RUNNING
    assert status(RUNNING, midnight, anything_deferred=False) is Status.ENDED
    assert status(replace(RUNNING, status=Status.CREATED), midnight, anything_deferred=False) is Status.CREATED


def test_a_stopped_campaign_is_shown_as_stopped_until_its_last_day_is_over() -> None:
    stopped = replace(RUNNING, status=Status.STOPPED)
    assert status(stopped, NOW, anything_deferred=False) is Status.STOPPED
    assert status(stopped, NOW + timedelta(days=2), anything_deferred=False) is Status.ENDED


@pytest.mark.parametrize(
    ("campaign", "expected"),
    [
        (replace(COUNTED, tail=7, has_work=True), True),
        (COUNTED, True),
        (replace(COUNTED, has_work=True), False),
        (replace(COUNTED, tail=7, corrections_due=1), False),
        (replace(COUNTED, tail=7, counts=Counts(completed=5)), False),
        (replace(COUNTED, tail=8, head=7), False),
    ],
    ids=["more is queued", "no work", "work, and nothing queued", "a correction", "one skipped", "one under way"],
)
def test_a_campaign_is_settled_if_all_that_was_dispatched_is_counted_and_nothing_waits(
    campaign: Campaign, expected: bool
) -> None:
    assert is_settled(campaign) is expected


def test_an_empty_campaign_is_not_completed() -> None:
    empty = Campaign("acme", 1, PLAN, Status.RUNNING)
    assert status(empty, NOW, anything_deferred=False) is Status.RUNNING
