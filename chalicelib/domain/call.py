"""One number's way from the queue to its outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.providers import EventStatus


class State(StrEnum):
    """The state of a number, as its record has it."""

    #: a dialer has claimed it, and has no outcome yet
    DIALLING = "dialling"
    #: it is dialled later: it was moved to the front, its time hasn't come, the last look refused it, it was surely not
    #: sent, its message was lost, or it is retried
    DEFERRED = "deferred"
    #: start_url answered 202: the call lasts, and an event brings its outcome
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    #: nobody can know whether the call went out; it is never dialled again by itself
    UNCERTAIN = "uncertain"
    #: its owner canceled it before it was dialled, or before it was dialled again
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self in (State.COMPLETED, State.FAILED, State.UNCERTAIN, State.CANCELED)


class ReportState(StrEnum):
    """The state of the report of an outcome."""

    #: the campaign has no result_url
    NONE = "none"
    #: not sent yet; or acknowledged at the first attempt, which an `Acknowledgement` records for many calls together
    PENDING = "pending"
    #: not acknowledged, and to be sent again
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    #: no attempt was acknowledged, or result_url answered 410
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class RecordedEvent:
    """What an event said of an attempt, and when it came."""

    at: datetime
    attempt: int
    status: EventStatus
    callee_type: CalleeType = CalleeType.UNKNOWN

    @property
    def line(self) -> str:
        """The event as one line of text: `2026-11-23T18:00:00+0000 1 ringing`. A callee type follows if it is known."""
        callee = "" if self.callee_type is CalleeType.UNKNOWN else f" {self.callee_type}"
        return f"{self.at:%Y-%m-%dT%H:%M:%S%z} {self.attempt} {self.status}{callee}"

    @classmethod
    def from_line(cls, line: str) -> "RecordedEvent":
        """The reverse of `line`."""
        at, attempt, status, *callee = line.split(" ")
        return cls(datetime.fromisoformat(at), int(attempt), EventStatus(status), *map(CalleeType, callee))


@dataclass(frozen=True)
class EndedAttempt:
    """How an attempt ended after which the number is dialled again."""

    attempt: int
    #: when start_url answered
    answered_at: datetime
    outcome: Outcome

    @property
    def line(self) -> str:
        """It as one line of text: `1 2026-11-23T18:00:00+0000 failed voice 3 busy`."""
        outcome = self.outcome
        words = (outcome.result, outcome.callee_type, outcome.duration, outcome.reason)
        return f"{self.attempt} {self.answered_at:%Y-%m-%dT%H:%M:%S%z} {' '.join(map(str, words))}"

    @classmethod
    def from_line(cls, line: str) -> "EndedAttempt":
        """The reverse of `line`, to the second."""
        attempt, answered_at, result, callee_type, duration, reason = line.split(" ", 5)
        outcome = Outcome(Result(result), reason, CalleeType(callee_type), int(duration))
        return cls(int(attempt), datetime.fromisoformat(answered_at), outcome)


@dataclass(frozen=True)
class Call:
    """What is recorded of one number."""

    key: CallKey
    entry: Entry
    state: State
    #: the attempt being made, or the last one made; 0 before the first
    attempt: int
    #: the settler skipped it while it was deferred; its outcome is counted as an `UncountedOutcome`
    skipped: bool
    claimed_at: datetime | None
    #: why it ended as it did, or why it wasn't sent: `http_200`, `timeout`…
    reason: str | None
    callee_type: CalleeType
    #: seconds
    duration: int
    #: when start_url answered
    last_attempt_at: datetime | None
    report: ReportState
    report_attempts: int
    report_error: str | None
    #: the events that were recorded, in the order in which they came
    events: tuple[RecordedEvent, ...] = ()
    #: when an event, or the lack of one, brought the outcome; None if start_url's answer did
    ended_at: datetime | None = None
    #: how often a late event has corrected the outcome: 0 or 1
    revision: int = 0
    #: a dialer listed it among the open calls (`OpenCalls`), so the settler's sweep doesn't list it again
    listed: bool = False
    #: The tries at reports of attempts that weren't acknowledged, for attempts before the last one: `1/2` is the second
    #: try to report attempt 1.
    attempt_reports: tuple[str, ...] = ()

    @property
    def heard_callee(self) -> CalleeType:
        """Who, or what, picked up, by the last event of this attempt that knows it."""
        heard = [one.callee_type for one in self.events if one.attempt == self.attempt]
        return next((one for one in reversed(heard) if one is not CalleeType.UNKNOWN), CalleeType.UNKNOWN)

    @property
    def counted_state(self) -> State:
        """The state by which the settler counts it. A correction is counted separately, after that."""
        return State.UNCERTAIN if self.revision else self.state


def time_taken(call: Call) -> timedelta:
    """From the claim to start_url's answer; zero if either is missing."""
    if call.claimed_at is None or call.last_attempt_at is None:
        return timedelta(0)
    return max(timedelta(0), call.last_attempt_at - call.claimed_at)


def is_unclaimed(call: Call | None, attempt: int) -> bool:
    """True if this attempt may still be claimed. `call` is None for a number without a record."""
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
    #: storage recognises the claim's holder by it
    nonce: str
    claimed_at: datetime
    #: the campaign's when the attempt was dispatched
    spread: int = 1


def finished(claim: Claim, outcome: Outcome, ended_at: datetime, report: ReportState) -> Call:
    """The call as it is recorded after the claim's holder has written the outcome."""
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
