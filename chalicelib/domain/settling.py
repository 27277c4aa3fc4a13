"""What the settler does with each number behind the head: a decision on its record.

The settler walks from `settled` on and stops at the first number that is under way. A number that is deferred, perhaps
for days, must not hold it up: it is passed over, and counted when it ends.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.models import Counts, HeadObservation

#: How long after it was handed over a number without a record is taken for lost: its message is gone.
LOST_AFTER = timedelta(minutes=5)
#: How long a claim is waited for: longer than a dialer lives, which is a minute and a half, by clocks that differ.
CLAIM_HELD_FOR = timedelta(minutes=2)
#: How long the dialer itself may still be at a report that it has neither delivered nor deferred: no longer than that.
REPORTING_FOR = CLAIM_HELD_FOR


class SettlingAction(StrEnum):
    """What is to be done with a number."""

    #: somebody is at it
    WAIT = "wait"
    #: count its outcome
    COUNT = "count"
    #: it was passed over before
    ALREADY_SKIPPED = "go_on"
    #: it is deferred
    SKIP = "step_over"
    #: it was handed over, and never claimed
    DEFER_LOST = "defer_lost"
    #: it was claimed, and nobody can know what came of it
    EXPIRE = "expire"
    #: it has its outcome, but its report was begun and never ended
    DEFER_REPORT = "defer_report"


def with_acknowledgement(call: Call, told: Container[int], settled: int = 0) -> Call:
    """The call with what its record leaves out: that its outcome was taken when it was first told.

    That is noted for many numbers at once, those in `told`; and forgotten when they are behind `settled`, which no
    number passes whose report is on its way.
    """
    if call.report is not ReportState.PENDING or call.skipped:
        return call
    if call.key.sequence >= settled and call.key.sequence not in told:
        return call
    return replace(call, report=ReportState.DELIVERED, report_attempts=1)


def classify(
    call: Call | None, now: datetime, *, dispatched_long_ago: bool, acknowledgements_read_at: datetime
) -> SettlingAction:
    """`call` is None for a number without a record; whom was told what is known as of `told_until`."""
    if call is None:
        return SettlingAction.DEFER_LOST if dispatched_long_ago else SettlingAction.WAIT
    if call.skipped:
        return SettlingAction.ALREADY_SKIPPED
    if call.state is State.DEFERRED:
        return SettlingAction.SKIP
    if call.state is State.DIALLING:
        return SettlingAction.EXPIRE if is_stale(call, now) else SettlingAction.WAIT
    if call.report is ReportState.PENDING:
        return SettlingAction.DEFER_REPORT if is_owed(call, acknowledgements_read_at) else SettlingAction.WAIT
    return SettlingAction.COUNT


def lost_before(head_observations: Iterable[HeadObservation], now: datetime) -> int:
    """Every number before this one was handed over so long ago that without a record it is lost."""
    return max((mark.head for mark in head_observations if now - mark.at >= LOST_AFTER), default=0)


def observe_head(
    head_observations: Sequence[HeadObservation], head: int, settled: int, now: datetime
) -> tuple[HeadObservation, ...]:
    """The marks with one for where the head is now, and without those that tell nothing any more."""
    long_ago = lost_before(head_observations, now)
    kept = [
        mark
        for mark in head_observations
        if mark.head > settled and (mark.head == long_ago or now - mark.at < LOST_AFTER)
    ]
    if head > max((mark.head for mark in kept), default=settled):
        kept.append(HeadObservation(head, now))
    return tuple(kept)


def is_stale(call: Call, now: datetime) -> bool:
    """Was it claimed so long ago that its claim's holder can't be at work any more?"""
    return call.state is State.DIALLING and call.claimed_at is not None and now - call.claimed_at >= CLAIM_HELD_FOR


def is_owed(call: Call, now: datetime) -> bool:
    """Was its outcome recorded so long ago that nobody can be at its report any more?"""
    ended = call.last_attempt_at
    return call.report is ReportState.PENDING and ended is not None and now - ended >= REPORTING_FOR


def counted(counts: Counts, state: State) -> Counts:
    match state:
        case State.COMPLETED:
            return replace(counts, completed=counts.completed + 1)
        case State.FAILED:
            return replace(counts, failed=counts.failed + 1)
        case State.UNCERTAIN:
            return replace(counts, uncertain=counts.uncertain + 1)
        case _:
            raise ValueError(f"no outcome: {state}")
