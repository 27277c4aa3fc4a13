"""One number's way from the queue to its outcome."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.models import CallKey, Entry
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


@dataclass(frozen=True)
class DialTask:
    """A number that the pacer is to hand over before the log."""

    key: CallKey
    entry: Entry
    #: the attempt to be made
    attempt: int
    #: None: at once, in the order of the queue
    not_before: datetime | None


@dataclass(frozen=True)
class ReportTask:
    """An outcome that is to be reported."""

    key: CallKey
    #: 1 for the first time it is told; one that was made already isn't made again
    attempt: int
    not_before: datetime


Task = DialTask | ReportTask


@dataclass(frozen=True)
class ScheduledTask:
    """A deferred thing as it lies in storage."""

    task: Task
    #: storage's own name for it
    name: str
    #: those that were returned together with it and come after it, which lie in the same place
    following: tuple[DialTask, ...] = ()
    #: what tells those that were returned together from others; empty for one that lies by itself
    mark: str = ""
    #: in which of the campaign's partitions it lies
    partition: int = 0


@dataclass(frozen=True)
class Lease:
    """What was handed over as one slice, after it had been deferred before."""

    numbers: tuple[Task, ...]
    #: storage's own name for it
    name: str

    @property
    def campaign(self) -> tuple[str, int]:
        """Its account and id."""
        return self.numbers[0].key.account, self.numbers[0].key.campaign_id


@dataclass(frozen=True)
class Acknowledgement:
    """Numbers whose outcome result_url took when it was first told. Their own records don't say so."""

    sequences: frozenset[int]
    #: storage's own name for it
    name: str


def acknowledged_sequences(notes: Iterable[Acknowledgement]) -> frozenset[int]:
    """The sequence numbers in any of them."""
    return frozenset().union(*(note.sequences for note in notes))


@dataclass(frozen=True)
class Ended:
    """The outcome of a number that was passed over, not counted yet."""

    key: CallKey
    state: State
    #: in which of the campaign's partitions it lies
    partition: int = 0
