"""One number's way from the queue to its outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import CalleeType, Outcome


class State(StrEnum):
    """What a number that was released has come to."""

    #: handed to the dialer, or being dialled
    DIALLING = "dialling"
    #: to be dialled later: it was refused by the last look, surely not sent, or is to be tried again
    DEFERRED = "deferred"
    COMPLETED = "completed"
    FAILED = "failed"
    #: nobody can know whether the call went out; it is never dialled again by itself
    UNCERTAIN = "uncertain"

    @property
    def is_final(self) -> bool:
        return self in (State.COMPLETED, State.FAILED, State.UNCERTAIN)


class ReportState(StrEnum):
    """How far the news of an outcome is."""

    #: there is no result_url to tell
    NONE = "none"
    #: not told yet; or told and taken at once, which is noted for many together (`Told`)
    PENDING = "pending"
    #: told in vain, to be told again
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    #: told in vain for too long, or not wanted any more
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Call:
    """What is recorded of one number."""

    key: CallKey
    entry: Entry
    state: State
    #: the attempt being made, or the last one made; 0 before the first
    attempt: int
    #: the settler has passed it over while it was deferred: its outcome is counted by its slip
    skipped: bool
    claimed_at: datetime | None
    #: why it ended as it did, or wasn't sent: `http_200`, `timeout`…
    reason: str | None
    callee_type: CalleeType
    #: seconds
    duration: int
    last_attempt_at: datetime | None
    report: ReportState
    report_attempts: int
    report_error: str | None


def time_taken(call: Call) -> timedelta:
    """From its claim to its outcome."""
    if call.claimed_at is None or call.last_attempt_at is None:
        return timedelta(0)
    return max(timedelta(0), call.last_attempt_at - call.claimed_at)


def is_unclaimed(call: Call | None, attempt: int) -> bool:
    """May this attempt still be claimed? `call` is None for a number without a record."""
    if call is None:
        return attempt == 1
    return call.state is State.DEFERRED and call.attempt == attempt - 1


@dataclass(frozen=True)
class Claim:
    """The right to make one attempt at one number, which storage gives only once."""

    key: CallKey
    entry: Entry
    attempt: int
    #: how often in a row it was surely not sent before
    unsent: int
    #: as in Call
    skipped: bool
    #: the mark by which storage knows the holder
    nonce: str
    claimed_at: datetime
    #: the campaign's, when the attempt was handed over
    spread: int = 1


def finished(claim: Claim, outcome: Outcome, ended_at: datetime, report: ReportState) -> Call:
    """The call as it is recorded when the claim's holder has written the outcome."""
    return Call(
        key=claim.key,
        entry=claim.entry,
        state=State(outcome.result),
        attempt=claim.attempt,
        skipped=claim.skipped,
        claimed_at=claim.claimed_at,
        reason=outcome.reason,
        callee_type=outcome.callee_type,
        duration=outcome.duration,
        last_attempt_at=ended_at,
        report=report,
        report_attempts=0,
        report_error=None,
    )
