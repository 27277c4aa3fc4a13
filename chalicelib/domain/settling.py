"""What the settler does with each number before the head, by the number's record.

The settler sweeps from `settled` on and stops at the first number that is under way. A deferred number may wait for
days and must not hold the settler up: it is skipped, and counted when it has its outcome.

A sweep reads the records of a batch of numbers, decides on a step for each (`sweep_steps`), and carries the steps out.
What it writes then (`swept`) depends on how far they let it go.
"""

from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import takewhile

from chalicelib.domain import load
from chalicelib.domain.call import Call, ReportState, State, is_unclaimed, time_taken
from chalicelib.domain.models import Campaign, Counts, HeadObservation
from chalicelib.domain.pacing import CLOCKS_DIFFER
from chalicelib.domain.tasks import Acknowledgement, AttemptReportTask, ReportTask, Task, acknowledged_sequences

#: How many records are read between two moves of `settled`.
BATCH_SIZE = 500
#: How long after its dispatch a number without a record counts as lost: its message is gone.
LOST_AFTER = timedelta(minutes=5)
#: How long the settler waits for the outcome of a claim. It is longer than a dialer lives, which is a minute and a
#: half, by clocks that differ. A test compares this with the template.
CLAIM_HELD_FOR = timedelta(minutes=2)
#: How long after the outcome the dialer may still send the report: no longer than a dialer lives.
REPORTING_FOR = CLAIM_HELD_FOR
#: How long after an event the settler dispatches the first report of its outcome: so long that no tick comes too late.
DISPATCHED_FOR = timedelta(minutes=2)
#: How long that report may take: until it is dispatched, and then as long as a dialer takes.
REPORTING_AFTER_EVENT_FOR = DISPATCHED_FOR + REPORTING_FOR
#: How much later than a lease a claim is recorded that was surely made after the lease had begun: clocks differ, and a
#: lease is named after a whole second.
SURELY_LATER = CLOCKS_DIFFER + timedelta(seconds=1)


class SettlingAction(StrEnum):
    """What the settler does with a number."""

    #: leave it: a dialer works on it
    WAIT = "wait"
    #: count its outcome
    COUNT = "count"
    #: go on: an earlier sweep skipped it
    ALREADY_SKIPPED = "already_skipped"
    #: go on without it: it is deferred
    SKIP = "skip"
    #: defer it: it was dispatched, and its message is lost
    DEFER_LOST = "defer_lost"
    #: make it uncertain: it was claimed, and its outcome can't be known any more
    EXPIRE = "expire"
    #: go on without it: an event brings its outcome, or the report that follows; it is listed among the open calls
    LIST_OPEN = "list_open"
    #: go on: a dialer has listed it
    ALREADY_LISTED = "already_listed"
    #: schedule its report again: it has its outcome, and the dialer died before it finished the report
    DEFER_REPORT = "defer_report"


@dataclass(frozen=True)
class SweepInput:
    """What was read of a campaign before a sweep, beside its calls' records."""

    read_at: datetime
    acknowledgements: Sequence[Acknowledgement]
    #: the numbers that were returned or are leased, and may have no record
    returned: Set[int]

    @cached_property
    def acknowledged(self) -> frozenset[int]:
        return acknowledged_sequences(self.acknowledgements)


@dataclass(frozen=True)
class Step:
    """What a sweep does with one number."""

    sequence: int
    action: SettlingAction
    #: None for a number without a record
    call: Call | None


@dataclass(frozen=True)
class SweptBatch:
    """What a sweep of one batch has found. Nothing of it is written yet."""

    #: the campaign as it is to be
    campaign: Campaign
    #: the calls that are counted
    counted: Sequence[Call]
    #: numbers that become open calls
    opened: frozenset[int]
    #: those of them whose first report is dispatched, by now or before
    dispatched: frozenset[int]
    #: calls whose first report is to be dispatched now
    reports: Sequence[Call]


def batch(campaign: Campaign) -> range:
    """The numbers that the next sweep reads."""
    return range(campaign.settled, min(campaign.settled + BATCH_SIZE, campaign.head))


def sweep_steps(campaign: Campaign, calls: Mapping[int, Call], known: SweepInput, now: datetime) -> list[Step]:
    """A step for each number of the batch. `calls` are its records, with their acknowledgements."""
    long_ago = lost_before(campaign.head_observations, now)
    return [
        step(
            campaign,
            sequence,
            calls.get(sequence),
            now=now,
            read_at=known.read_at,
            dispatched_long_ago=sequence < long_ago and sequence not in known.returned,
        )
        for sequence in batch(campaign)
    ]


def step(
    campaign: Campaign,
    sequence: int,
    call: Call | None,
    *,
    now: datetime,
    read_at: datetime,
    dispatched_long_ago: bool = False,
) -> Step:
    """`call` has its acknowledgement, as of `read_at`."""
    action = classify(
        call,
        now,
        dispatched_long_ago=dispatched_long_ago,
        acknowledgements_read_at=read_at,
        call_timeout=timedelta(seconds=campaign.plan.call_timeout),
    )
    return Step(sequence, action, call)


def swept(campaign: Campaign, steps: Sequence[Step], passable: Container[int], now: datetime) -> SweptBatch:
    """The campaign is settled up to the first number that isn't `passable`.

    A number after that one is carried out now, and settled by a later sweep. Until then it isn't listed, so the
    campaign has it if its report is dispatched.
    """
    passed = list(takewhile(lambda step: step.sequence in passable, steps))
    settled = campaign.settled + len(passed)
    ended = [step.call for step in passed if step.call is not None and step.action is SettlingAction.COUNT]
    opened = frozenset(step.sequence for step in passed if step.action is SettlingAction.LIST_OPEN)
    reports = new_reports(steps, campaign.reports_ahead, now)
    dispatched = {*campaign.reports_ahead, *(call.key.sequence for call in reports)}
    after = replace(
        campaign,
        settled=settled,
        counts=counted_all(campaign.counts, ended),
        head_observations=observe_head(campaign.head_observations, campaign.head, campaign.settled, now),
        reports_ahead=tuple(sorted(sequence for sequence in dispatched if sequence >= settled)),
    )
    taken = [time_taken(call) for call in ended if call.claimed_at is not None and call.state is not State.CANCELED]
    if taken:  # what was canceled, or never called, says nothing about how long calls take
        after = replace(after, call_time=load.average_call_time(campaign.call_time, taken))
    return SweptBatch(after, ended, opened, opened & dispatched, reports)


def with_acknowledgement(
    call: Call, acknowledged: Container[int], settled: int = 0, open_sequences: Container[int] = ()
) -> Call:
    """The call with what its record leaves out: that result_url acknowledged the first report.

    Acknowledgements are recorded for many calls together, those in `acknowledged`. They are deleted once all of their
    calls are counted: when `settled` is past them, and none is open. No number that owes a report is counted.
    """
    if call.report is not ReportState.PENDING or call.skipped:
        return call
    sequence = call.key.sequence
    is_counted = sequence < settled and sequence not in open_sequences
    if not is_counted and sequence not in acknowledged:
        return call
    return replace(call, report=ReportState.DELIVERED, report_attempts=1)


def classify(
    call: Call | None,
    now: datetime,
    *,
    dispatched_long_ago: bool,
    acknowledgements_read_at: datetime,
    call_timeout: timedelta,
) -> SettlingAction:
    """`call` is None for a number without a record. It has its acknowledgement, as of `acknowledgements_read_at`."""
    if call is None:
        return SettlingAction.DEFER_LOST if dispatched_long_ago else SettlingAction.WAIT
    if call.skipped:
        return SettlingAction.ALREADY_SKIPPED
    if call.listed:
        return SettlingAction.ALREADY_LISTED
    if call.state is State.DEFERRED:
        return SettlingAction.SKIP
    if call.state is State.DIALLING:
        return SettlingAction.EXPIRE if is_stale(call, now) else SettlingAction.WAIT
    if call.state is State.IN_PROGRESS:
        return SettlingAction.EXPIRE if has_timed_out(call, call_timeout, now) else SettlingAction.LIST_OPEN
    if call.report is ReportState.PENDING:
        if owes_report(call, acknowledgements_read_at):
            return SettlingAction.DEFER_REPORT
        return SettlingAction.WAIT if call.ended_at is None else SettlingAction.LIST_OPEN
    return SettlingAction.COUNT


def lost_before(observations: Iterable[HeadObservation], now: datetime) -> int:
    """Every number before this one was dispatched long ago: if it has no record, it is lost."""
    return max((seen.head for seen in observations if now - seen.at >= LOST_AFTER), default=0)


def observe_head(
    observations: Sequence[HeadObservation], head: int, settled: int, now: datetime
) -> tuple[HeadObservation, ...]:
    """The observations with the current head added, and without those that aren't needed any more."""
    long_ago = lost_before(observations, now)
    kept = [
        seen for seen in observations if seen.head > settled and (seen.head == long_ago or now - seen.at < LOST_AFTER)
    ]
    if head > max((seen.head for seen in kept), default=settled):
        kept.append(HeadObservation(head, now))
    return tuple(kept)


def is_stale(call: Call, now: datetime) -> bool:
    """True if the dialer that claimed it can't be alive any more."""
    return call.state is State.DIALLING and call.claimed_at is not None and now - call.claimed_at >= CLAIM_HELD_FOR


def still_to_do(task: Task, call: Call | None, leased_at: datetime) -> bool:
    """True if a task is left whose message is gone. It was leased at `leased_at`, and the lease has expired.

    A call that was deferred after its claim has a task of its own, which waits for its time. If it was claimed before
    the lease began, that task is the leased one. If the claim came so soon after the lease that nobody can tell, the
    number gets a second task rather than none, and the claim refuses one of the two.
    """
    if isinstance(task, AttemptReportTask):
        return True  # Nobody knows whether it was acknowledged. A try that failed isn't deferred twice.
    if isinstance(task, ReportTask):
        return call is not None and call.report in (ReportState.PENDING, ReportState.DEFERRED)
    is_claimed_since = call is not None and call.claimed_at is not None and call.claimed_at - leased_at > SURELY_LATER
    return is_unclaimed(call, task.attempt) and not is_claimed_since


def has_timed_out(call: Call, call_timeout: timedelta, now: datetime) -> bool:
    """True if the call was in progress for so long that its outcome is no longer waited for."""
    return call.claimed_at is not None and now - call.claimed_at >= call_timeout


def owes_report(call: Call, now: datetime) -> bool:
    """True if its report isn't finished, and whoever was to send it can't be alive any more."""
    if call.report is not ReportState.PENDING:
        return False
    if call.ended_at is not None:
        return now - call.ended_at >= REPORTING_AFTER_EVENT_FOR
    return call.last_attempt_at is not None and now - call.last_attempt_at >= REPORTING_FOR


def new_reports(steps: Iterable[Step], dispatched: Container[int], now: datetime) -> list[Call]:
    """The calls whose first report is to be dispatched: events have ended them, and it isn't `dispatched` yet.

    No instant tells which of them the settler has seen before, since an event's write may come late. If a report isn't
    dispatched in time, or its message is lost, it is owed after a while, and is scheduled like any other. One that is
    owed soon would be sent twice.
    """
    return [
        step.call
        for step in steps
        if step.call is not None
        and step.action is SettlingAction.LIST_OPEN
        and step.call.ended_at is not None
        and now - step.call.ended_at < DISPATCHED_FOR
        and step.sequence not in dispatched
    ]


def counted(counts: Counts, state: State) -> Counts:
    """The counts with one outcome more. Raises ValueError for a state that is no outcome."""
    match state:
        case State.COMPLETED:
            return replace(counts, completed=counts.completed + 1)
        case State.FAILED:
            return replace(counts, failed=counts.failed + 1)
        case State.UNCERTAIN:
            return replace(counts, uncertain=counts.uncertain + 1)
        case State.CANCELED:
            return replace(counts, canceled=counts.canceled + 1)
        case _:
            raise ValueError(f"no outcome: {state}")


def counted_all(counts: Counts, calls: Iterable[Call]) -> Counts:
    """The counts with the outcomes of these calls."""
    for call in calls:
        counts = counted(counts, call.counted_state)
    return counts


def corrected(counts: Counts, state: State) -> Counts:
    """The counts after an outcome that was counted as uncertain is known to be `state`."""
    return counted(replace(counts, uncertain=counts.uncertain - 1), state)
