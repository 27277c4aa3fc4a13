"""What an event does to a call: pure decisions, from the call's record.

Events come twice, late and out of order. The first final event brings the outcome. After that, and out of order, an
event changes nothing. A call that has become uncertain is corrected by a final event that comes within a day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.call import Call, State
from chalicelib.domain.events import CallEvent, outcome_of_event
from chalicelib.domain.models import Plan
from chalicelib.domain.outcome import Outcome
from chalicelib.domain.providers import UNDER_WAY
from chalicelib.domain.retries import Finish, Retry, after_outcome

#: How long after a call has become uncertain a final event still corrects it.
CORRECTED_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Nothing:
    """The event says nothing new."""


@dataclass(frozen=True)
class Record:
    """The call is further than it was, and goes on."""


@dataclass(frozen=True)
class End:
    """The event is the first final one: the attempt is over."""

    next: Finish | Retry


@dataclass(frozen=True)
class Correct:
    """The call was uncertain, and now its outcome is known. It isn't dialled again."""

    outcome: Outcome


EventAction = Nothing | Record | End | Correct


def event_action(call: Call, attempt: int, event: CallEvent, plan: Plan, now: datetime) -> EventAction:
    """What an event of this attempt does to the call."""
    if attempt != call.attempt:
        return Nothing()
    if call.state in (State.DIALLING, State.IN_PROGRESS):
        if event.status.is_final:
            return End(after_outcome(outcome_of_event(event), attempt, plan, now, event.status))
        return Record() if _is_further(call, event) else Nothing()
    if call.state is State.UNCERTAIN and event.status.is_final and _is_in_time(call, now):
        return Correct(outcome_of_event(event))
    return Nothing()


def _is_further(call: Call, event: CallEvent) -> bool:
    """So at most four events of an attempt are recorded before its end, however many come."""
    reached = [UNDER_WAY.index(one.status) for one in call.events if one.attempt == call.attempt]
    return UNDER_WAY.index(event.status) > max(reached, default=-1)


def _is_in_time(call: Call, now: datetime) -> bool:
    uncertain_since = call.ended_at or call.last_attempt_at
    return uncertain_since is not None and now - uncertain_since <= CORRECTED_WITHIN
