"""What an event does to a call."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import Call, RecordedEvent, ReportState, State
from chalicelib.domain.event_actions import (
    CORRECTED_WITHIN,
    Correct,
    End,
    EventAction,
    Nothing,
    Record,
    event_action,
)
from chalicelib.domain.events import CallEvent
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Entry, Plan, Window
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.providers import EventStatus
from chalicelib.domain.retries import Finish, Retry

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 480, 660),), "http://tenant.example/", None)
LASTING = Call(
    CallKey("acme", 1, 7),
    Entry("tel:+12223334444"),
    State.IN_PROGRESS,
    attempt=2,
    skipped=False,
    claimed_at=NOW,
    reason=None,
    callee_type=CalleeType.UNKNOWN,
    duration=0,
    last_attempt_at=NOW,
    report=ReportState.NONE,
    report_attempts=0,
    report_error=None,
)
UNCERTAIN = replace(LASTING, state=State.UNCERTAIN, ended_at=NOW)
BUSY = CallEvent(EventStatus.BUSY)
FINAL = [status for status in EventStatus if status.is_final]


def action(call: Call, event: CallEvent, *, attempt: int = 2, plan: Plan = PLAN, now: datetime = NOW) -> EventAction:
    return event_action(call, attempt, event, plan, now)


@pytest.mark.parametrize("state", [State.DIALLING, State.IN_PROGRESS])
def test_a_final_event_ends_a_call_even_before_start_url_has_answered(state: State) -> None:
    completed = CallEvent(EventStatus.COMPLETED, "hung_up", CalleeType.VOICE, 31)
    outcome = Outcome(Result.COMPLETED, "hung_up", CalleeType.VOICE, 31)
    assert action(replace(LASTING, state=state), completed) == End(Finish(outcome))


def test_a_failed_attempt_is_followed_by_another_within_the_budget() -> None:
    plan = replace(PLAN, max_retries=2, retry_interval=120)
    busy = Outcome(Result.FAILED, "busy")
    assert action(LASTING, BUSY, plan=plan) == End(Retry(busy, NOW + timedelta(seconds=120)))
    assert action(replace(LASTING, attempt=3), BUSY, attempt=3, plan=plan) == End(Finish(busy))


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.DEFERRED])
@pytest.mark.parametrize("status", EventStatus)
def test_the_first_final_event_wins(state: State, status: EventStatus) -> None:
    assert action(replace(LASTING, state=state), CallEvent(status)) == Nothing()


@given(st.sampled_from(State), st.sampled_from(EventStatus), st.sampled_from([1, 3]))
def test_an_event_of_another_attempt_changes_nothing(state: State, status: EventStatus, attempt: int) -> None:
    assert action(replace(LASTING, state=state), CallEvent(status), attempt=attempt) == Nothing()


def test_ringing_after_answered_changes_nothing() -> None:
    order = [EventStatus.QUEUED, EventStatus.INITIATED, EventStatus.RINGING, EventStatus.IN_PROGRESS]
    for place, reached in enumerate(order):
        call = replace(LASTING, events=(RecordedEvent(NOW, 2, reached),))
        for status in order[: place + 1]:
            assert action(call, CallEvent(status)) == Nothing()
        for status in order[place + 1 :]:
            assert action(call, CallEvent(status)) == Record()


@given(st.lists(st.sampled_from([status for status in EventStatus if not status.is_final])))
def test_at_most_four_events_of_an_attempt_are_recorded_and_the_end_always_counts(statuses: list[EventStatus]) -> None:
    call = LASTING
    for status in statuses:
        if action(call, CallEvent(status)) == Record():
            call = replace(call, events=(*call.events, RecordedEvent(NOW, 2, status)))
    assert len(call.events) <= 4
    assert action(call, BUSY) == End(Finish(Outcome(Result.FAILED, "busy")))


def test_each_attempt_rings_anew() -> None:
    earlier = (RecordedEvent(NOW, 1, EventStatus.IN_PROGRESS), RecordedEvent(NOW, 1, EventStatus.BUSY))
    assert action(replace(LASTING, events=earlier), CallEvent(EventStatus.RINGING)) == Record()


@given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 11), st.sampled_from(EventStatus))
def test_a_recorded_event_reads_back_from_its_line(at: datetime, attempt: int, status: EventStatus) -> None:
    event = RecordedEvent(at.replace(year=max(at.year, 1000), microsecond=0), attempt, status)
    assert RecordedEvent.from_line(event.line) == event


@pytest.mark.parametrize("status", FINAL)
def test_a_late_final_event_corrects_an_uncertain_call_within_a_day(status: EventStatus) -> None:
    event = CallEvent(status)
    assert isinstance(action(UNCERTAIN, event, now=NOW + CORRECTED_WITHIN), Correct)
    assert action(UNCERTAIN, event, now=NOW + CORRECTED_WITHIN + timedelta(microseconds=1)) == Nothing()


def test_a_corrected_call_is_never_dialled_again_by_itself() -> None:
    plan = replace(PLAN, max_retries=10)
    assert action(UNCERTAIN, BUSY, plan=plan) == Correct(Outcome(Result.FAILED, "busy"))


def test_ringing_corrects_nothing() -> None:
    assert action(UNCERTAIN, CallEvent(EventStatus.RINGING)) == Nothing()
