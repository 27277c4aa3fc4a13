"""What the demo's customer knows of its calls: the requests that its tenant got, and the events that it posted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: the outcomes after which the campaign calls a number again, by their reasons
RETRIED = ("busy", "no_answer")
#: the most attempts at a number
ATTEMPTS = 2
#: seconds from the end of an attempt to the next; the API allows no fewer
GAP = 60


class State(StrEnum):
    """How a number's last call goes, or has ended; the value is what the screen shows."""

    RINGING = "ringing"
    TALKING = "talking"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Number:
    """A number to be called, as its call has to name it."""

    destination: str
    reference: str

    def __str__(self) -> str:
        return f"{self.destination} ({self.reference})"


@dataclass(frozen=True)
class Outcome:
    """How a call ended, by the fields of a report."""

    result: str
    reason: str
    callee_type: str
    #: seconds
    duration: str


@dataclass(frozen=True)
class Call:
    """A request to start_url: one attempt at a number."""

    #: Unix seconds
    at: float
    number: Number
    #: the same in all attempts at the number
    id: str
    #: from 1
    attempt: int
    #: True if its signature is the account's
    signed: bool
    #: how this attempt ends
    outcome: Outcome
    #: True if start_url answers 202, and events tell the rest
    lasts: bool

    @property
    def is_retried(self) -> bool:
        """True if another attempt has to follow once this one is over."""
        return self.outcome.reason in RETRIED and self.attempt < ATTEMPTS


@dataclass(frozen=True)
class Event:
    """What the tenant posted to the status_url of a call."""

    #: Unix seconds, before it was posted
    at: float
    #: the call's id
    id: str
    attempt: int
    status: str
    #: the status of callpacer's answer; 0 if there was none
    answer: int


@dataclass(frozen=True)
class Report:
    """A request to result_url."""

    #: Unix seconds
    at: float
    number: Number
    #: the call's id
    id: str
    #: how many there were
    attempts: int
    signed: bool
    outcome: Outcome

    def is_wrong(self, call: Call) -> bool:
        """True if it isn't what has to be reported after the last call at its number."""
        return (self.number, self.attempts, self.outcome) != (call.number, call.attempt, call.outcome)


def last_calls(calls: Iterable[Call]) -> Mapping[str, Call]:
    """The last attempt at each number, by the call's id."""
    return {call.id: call for call in sorted(calls, key=lambda call: call.attempt)}


def states(calls: Iterable[Call], events: Sequence[Event]) -> list[tuple[Call, State]]:
    """The last attempt at each number, with its state. `events` are in the order in which they were posted."""
    latest = {(event.id, event.attempt): event.status for event in events}
    return [(call, _state(call, latest.get((call.id, call.attempt)))) for call in last_calls(calls).values()]


def ends(calls: Iterable[Call], events: Iterable[Event]) -> dict[tuple[str, int], float]:
    """When each attempt ended, by the call's id and the attempt. One that lasts ends with its last event."""
    at_once = {(call.id, call.attempt): call.at for call in calls if not call.lasts}
    return at_once | {(event.id, event.attempt): event.at for event in events}


def _state(call: Call, status: str | None) -> State:
    """`status` is that of the call's last event."""
    if call.lasts and status in (None, "ringing"):
        return State.RINGING
    if call.lasts and status == "answered":
        return State.TALKING
    if call.outcome.result == "completed":
        return State.COMPLETED
    return {"busy": State.BUSY, "no_answer": State.NO_ANSWER}.get(call.outcome.reason, State.FAILED)
