"""What an event does to a call."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import Call, RecordedEvent, ReportState, State
from chalicelib.domain.event_actions import (
    Correct,
    End,
    EventAction,
    Nothing,
    Record,
    event_action,
)
from chalicelib.domain.events import CallEvent
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Entry, Plan, RetryKind, RetryRule, Window
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.providers import UNDER_WAY, EventStatus
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
DAY = timedelta(hours=24)
FINAL = [status for status in EventStatus if status.is_final]
#: of years with four digits, as a recorded event's line has them
INSTANTS = st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 # hypothesis adds the zone


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


def test_an_event_with_a_reason_of_its_own_is_followed_by_what_the_rule_of_its_status_says() -> None:
    plan = replace(PLAN, max_retries=2, retries=((RetryKind.NO_ANSWER, RetryRule(attempts=3, gap=60)),))
    rang = CallEvent(EventStatus.NO_ANSWER, "ring_timeout")
    assert action(LASTING, rang, plan=plan) == End(
        Retry(Outcome(Result.FAILED, "ring_timeout"), NOW + timedelta(seconds=60))
    )


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.DEFERRED])
@pytest.mark.parametrize("status", EventStatus)
def test_the_first_final_event_wins(state: State, status: EventStatus) -> None:
    assert action(replace(LASTING, state=state), CallEvent(status)) == Nothing()


@given(st.sampled_from(State), st.sampled_from(EventStatus), st.sampled_from([1, 3]))
def test_an_event_of_another_attempt_changes_nothing(state: State, status: EventStatus, attempt: int) -> None:
    assert action(replace(LASTING, state=state), CallEvent(status), attempt=attempt) == Nothing()


@pytest.mark.parametrize("status", [status for status in EventStatus if not status.is_final])
def test_the_first_event_of_an_attempt_is_recorded_however_far_the_call_is(status: EventStatus) -> None:
    assert action(LASTING, CallEvent(status)) == Record()


def test_ringing_after_answered_changes_nothing() -> None:
    order = [EventStatus.QUEUED, EventStatus.INITIATED, EventStatus.RINGING, EventStatus.IN_PROGRESS]
    for index, reached in enumerate(order):
        call = replace(LASTING, events=(RecordedEvent(NOW, 2, reached),))
        for status in order[: index + 1]:
            assert action(call, CallEvent(status)) == Nothing()
        for status in order[index + 1 :]:
            assert action(call, CallEvent(status)) == Record()


UNDER_WAY_EVENTS = st.builds(
    CallEvent, st.sampled_from(UNDER_WAY), st.none(), st.sampled_from(CalleeType), st.sampled_from([None, 9])
)


def after(call: Call, *events: CallEvent) -> Call:
    """The call when these events have come."""
    for event in events:
        if action(call, event, attempt=call.attempt) == Record():
            recorded = RecordedEvent(NOW, call.attempt, event.status, event.callee_type)
            call = replace(call, events=(*call.events, recorded))
    return call


@given(st.lists(UNDER_WAY_EVENTS, max_size=40))
def test_at_most_seven_events_of_an_attempt_are_recorded_and_the_end_always_counts(events: list[CallEvent]) -> None:
    call = after(LASTING, *events)
    assert len(call.events) <= 7
    ended = action(call, BUSY)
    assert isinstance(ended, End)
    assert ended.next == Finish(Outcome(Result.FAILED, "busy", call.heard_callee))


@given(st.lists(UNDER_WAY_EVENTS, max_size=40))
def test_no_order_of_events_loses_who_picked_up(events: list[CallEvent]) -> None:
    named = {event.callee_type for event in events} - {CalleeType.UNKNOWN}
    assert {one.callee_type for one in after(LASTING, *events).events} - {CalleeType.UNKNOWN} == named


class TestWhoPickedUp:
    """Machine detection tells it in an event of its own, before the end."""

    ANSWERED = CallEvent(EventStatus.IN_PROGRESS)
    MACHINE = CallEvent(EventStatus.IN_PROGRESS, callee_type=CalleeType.ANSWERINGMACHINE)
    PERSON = CallEvent(EventStatus.IN_PROGRESS, callee_type=CalleeType.VOICE)
    COMPLETED = CallEvent(EventStatus.COMPLETED, duration=31)

    @pytest.mark.parametrize("state", [State.DIALLING, State.IN_PROGRESS])
    @pytest.mark.parametrize("status", UNDER_WAY)
    def test_it_is_news_of_a_call_that_is_answered_already(self, state: State, status: EventStatus) -> None:
        call = after(replace(LASTING, state=state), self.ANSWERED)
        assert action(call, CallEvent(status, callee_type=CalleeType.FAX)) == Record()
        assert action(call, CallEvent(status)) == Nothing()

    def test_the_outcome_has_what_was_heard(self) -> None:
        outcome = Outcome(Result.COMPLETED, "completed", CalleeType.ANSWERINGMACHINE, 31)
        assert action(after(LASTING, self.ANSWERED, self.MACHINE), self.COMPLETED) == End(Finish(outcome))

    def test_what_the_final_event_says_precedes_it(self) -> None:
        final = replace(self.COMPLETED, callee_type=CalleeType.VOICE)
        outcome = Outcome(Result.COMPLETED, "completed", CalleeType.VOICE, 31)
        assert action(after(LASTING, self.MACHINE), final) == End(Finish(outcome))

    def test_the_last_that_was_named_counts_and_a_repeated_event_is_not_the_last(self) -> None:
        assert after(LASTING, self.PERSON, self.MACHINE).heard_callee is CalleeType.ANSWERINGMACHINE
        assert after(LASTING, self.PERSON, self.MACHINE, self.PERSON).heard_callee is CalleeType.ANSWERINGMACHINE
        assert after(LASTING, self.MACHINE, self.PERSON).heard_callee is CalleeType.VOICE

    def test_an_event_that_does_not_know_it_says_nothing_against_it(self) -> None:
        ringing = replace(self.MACHINE, status=EventStatus.RINGING)
        assert after(LASTING, ringing, self.ANSWERED).heard_callee is CalleeType.ANSWERINGMACHINE

    def test_a_machine_is_called_again_by_its_rule(self) -> None:
        plan = replace(PLAN, max_retries=2, retries=((RetryKind.MACHINE, RetryRule(attempts=3, gap=120)),))
        ended = action(after(LASTING, self.MACHINE), self.COMPLETED, plan=plan)
        assert isinstance(ended, End)
        assert isinstance(ended.next, Retry)
        assert action(after(LASTING, self.PERSON), self.COMPLETED, plan=plan) != ended

    def test_each_attempt_is_answered_anew(self) -> None:
        second = after(replace(LASTING, attempt=1), self.MACHINE)
        assert replace(second, attempt=2).heard_callee is CalleeType.UNKNOWN
        assert after(replace(second, attempt=2), self.MACHINE).heard_callee is CalleeType.ANSWERINGMACHINE

    def test_its_duration_and_reason_are_none_of_the_outcome(self) -> None:
        heard = replace(self.MACHINE, reason="listening", duration=9)
        outcome = Outcome(Result.FAILED, "failed", CalleeType.ANSWERINGMACHINE, 0)
        assert action(after(LASTING, heard), CallEvent(EventStatus.FAILED)) == End(Finish(outcome))

    def test_it_is_kept_for_a_correction_until_that_is_too_late(self) -> None:
        call = after(UNCERTAIN, self.MACHINE)
        outcome = Outcome(Result.COMPLETED, "completed", CalleeType.ANSWERINGMACHINE, 31)
        assert action(call, self.COMPLETED) == Correct(outcome)
        assert action(UNCERTAIN, self.MACHINE, now=NOW + DAY + timedelta(seconds=1)) == Nothing()

    @pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.DEFERRED])
    def test_after_the_end_it_changes_nothing(self, state: State) -> None:
        assert action(replace(LASTING, state=state), self.MACHINE) == Nothing()


def test_ringing_is_recorded_for_each_attempt() -> None:
    earlier = (RecordedEvent(NOW, 1, EventStatus.IN_PROGRESS), RecordedEvent(NOW, 1, EventStatus.BUSY))
    assert action(replace(LASTING, events=earlier), CallEvent(EventStatus.RINGING)) == Record()


@given(INSTANTS, st.integers(1, 11), st.sampled_from(EventStatus), st.sampled_from(CalleeType))
def test_a_recorded_event_reads_back_from_its_line(
    at: datetime, attempt: int, status: EventStatus, callee: CalleeType
) -> None:
    event = RecordedEvent(at.replace(microsecond=0), attempt, status, callee)
    assert RecordedEvent.from_line(event.line) == event


def test_a_line_has_the_callee_only_if_it_is_known_as_lines_that_are_stored_already() -> None:
    stored = "2026-11-23T18:00:00+0000 1 ringing"
    assert RecordedEvent.from_line(stored).line == stored
    assert RecordedEvent.from_line(f"{stored} fax").line == f"{stored} fax"


@pytest.mark.parametrize("status", FINAL)
def test_a_late_final_event_corrects_an_uncertain_call_within_a_day(status: EventStatus) -> None:
    event = CallEvent(status)
    assert isinstance(action(UNCERTAIN, event, now=NOW + DAY), Correct)
    assert action(UNCERTAIN, event, now=NOW + DAY + timedelta(microseconds=1)) == Nothing()


@pytest.mark.parametrize("waited", [None, timedelta(hours=1)], ids=["no answer of start_url", "no final event"])
def test_the_day_begins_when_the_call_became_uncertain(waited: timedelta | None) -> None:
    call = replace(UNCERTAIN, ended_at=None if waited is None else NOW + waited)
    end = NOW + (waited or timedelta(0)) + DAY
    assert action(call, BUSY, now=end) == Correct(Outcome(Result.FAILED, "busy"))
    assert action(call, BUSY, now=end + timedelta(microseconds=1)) == Nothing()


def test_a_corrected_call_is_never_dialled_again_by_itself() -> None:
    plan = replace(PLAN, max_retries=10)
    assert action(UNCERTAIN, BUSY, plan=plan) == Correct(Outcome(Result.FAILED, "busy"))


def test_ringing_corrects_nothing_and_is_recorded_while_a_final_event_would() -> None:
    assert action(UNCERTAIN, CallEvent(EventStatus.RINGING)) == Record()
    late = NOW + DAY + timedelta(microseconds=1)
    assert action(UNCERTAIN, CallEvent(EventStatus.RINGING), now=late) == Nothing()
