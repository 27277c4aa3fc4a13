"""What an event does to a call: pure decisions, from the call's record.

Events come twice, late and out of order. The first final event brings the outcome. After that, and out of order, an
event changes nothing. A call that has become uncertain is corrected by a final event that comes within a day.

Who picked up may be told long before the end, as by machine detection. The outcome has what the attempt's last event
that knows it has said of that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.call import Call, State
from chalicelib.domain.events import CallEvent, outcome_of_event
from chalicelib.domain.models import Plan
from chalicelib.domain.outcome import CalleeType, Outcome
from chalicelib.domain.providers import UNDER_WAY
from chalicelib.domain.retries import Finish, Retry, after_outcome

#: How long after a call has become uncertain a final event still corrects it.
CORRECTED_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Nothing:
    """The event says nothing new."""


@dataclass(frozen=True)
class Record:
    """More is known of the call than before, and it goes on."""


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
    if attempt != call.attempt or not _awaits_end(call, now):
        return Nothing()
    if not event.status.is_final:
        return Record() if _is_news(call, event) else Nothing()
    outcome = outcome_of_event(event, call.heard_callee)
    if call.state is State.UNCERTAIN:
        return Correct(outcome)
    return End(after_outcome(outcome, call.entry, attempt, plan, now, event.status))


def _is_news(call: Call, event: CallEvent) -> bool:
    """The call is further than before, or a callee type is named for the first time.

    So at most seven events of an attempt are recorded before its end, however many come: one for each status, and one
    for each callee type.
    """
    earlier = [one for one in call.events if one.attempt == call.attempt]
    reached = max((UNDER_WAY.index(one.status) for one in earlier), default=-1)
    named = {CalleeType.UNKNOWN, *(one.callee_type for one in earlier)}
    return UNDER_WAY.index(event.status) > reached or event.callee_type not in named


def _awaits_end(call: Call, now: datetime) -> bool:
    """A final event would count."""
    if call.state is not State.UNCERTAIN:
        return call.state in (State.DIALLING, State.IN_PROGRESS)
    uncertain_since = call.ended_at or call.last_attempt_at
    return uncertain_since is not None and now - uncertain_since <= CORRECTED_WITHIN
