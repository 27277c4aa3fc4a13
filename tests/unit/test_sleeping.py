"""When a campaign that has nothing to do wakes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import pacing
from chalicelib.domain.models import Cursor, Day, Profile, Window
from chalicelib.domain.pacing import Pace
from chalicelib.domain.sleeping import AHEAD, LONGEST, SHORTEST, next_call, wakes_at
from chalicelib.domain.timetable import Timetable

#: a Monday, 08:00 in New York
EIGHT = datetime(2026, 1, 5, 13, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
#: on all days of a week, from eight to nine
TIMETABLE = Timetable(date(2026, 1, 5), date(2026, 1, 9), frozenset(Day), (Window(1, 8 * 60, 9 * 60),))


def pace(amount: int, period: int, rest: int = 0) -> list[Pace]:
    return [Pace.of(Profile("acme", 1, None, period, amount, rest))]


def cursors(at: datetime) -> tuple[Cursor, ...]:
    return (Cursor(at, at),)


def test_a_campaign_wakes_some_minutes_before_its_first_call_or_report() -> None:
    assert wakes_at([EIGHT + 40 * MINUTE, EIGHT + 30 * MINUTE], EIGHT, 1) == EIGHT + 30 * MINUTE - AHEAD


@pytest.mark.parametrize(("random_fraction", "minutes"), [(0, 30), (0.5, 45), (1, 60)])
def test_with_nothing_due_soon_a_campaign_sleeps_for_a_random_time_from_half_an_hour_to_an_hour(
    random_fraction: float, minutes: int
) -> None:
    until = EIGHT + minutes * MINUTE
    assert (
        wakes_at([EIGHT + timedelta(days=2)], EIGHT, random_fraction) == wakes_at([], EIGHT, random_fraction) == until
    )


@pytest.mark.parametrize("due", [EIGHT - MINUTE, EIGHT, EIGHT + AHEAD + SHORTEST - timedelta(seconds=1)])
def test_a_campaign_with_something_due_soon_stays_awake(due: datetime) -> None:
    assert wakes_at([due, EIGHT + timedelta(days=1)], EIGHT, 1) == EIGHT


def test_a_campaign_sleeps_for_two_minutes_or_not_at_all() -> None:
    least = 2 * MINUTE
    assert wakes_at([EIGHT + AHEAD + least], EIGHT, 1) == EIGHT + least
    assert wakes_at([EIGHT + AHEAD + least - timedelta(seconds=1)], EIGHT, 1) == EIGHT


def test_a_call_soon_after_the_longest_sleep_ends_it_earlier() -> None:
    now = EIGHT - LONGEST - AHEAD + MINUTE
    assert wakes_at(next_call(TIMETABLE, pace(60, 1), cursors(now), now, now), now, 1) == EIGHT - AHEAD


def test_before_its_hours_a_campaigns_next_call_is_the_first_of_the_day() -> None:
    now = EIGHT - 20 * MINUTE
    assert next_call(TIMETABLE, pace(60, 1), cursors(now), now, now) == [EIGHT]


def test_after_its_hours_a_campaign_has_no_call_within_the_hour() -> None:
    now = EIGHT + 61 * MINUTE
    assert next_call(TIMETABLE, pace(60, 1), cursors(now), now, now) == []


def test_in_a_rest_a_campaigns_next_call_is_the_first_of_the_next_period() -> None:
    now = EIGHT + 12 * MINUTE
    assert next_call(TIMETABLE, pace(600, 10, rest=20), cursors(now), now, now) == [EIGHT + 30 * MINUTE]


def test_a_slot_that_is_made_up_for_is_the_next_call() -> None:
    now = EIGHT + 5 * MINUTE
    (due,) = next_call(TIMETABLE, pace(1, 40), cursors(EIGHT - MINUTE), now, now)
    assert due == now + pacing.LEAD


def test_a_number_that_waits_takes_the_first_slot_after_its_time() -> None:
    assert next_call(TIMETABLE, pace(1, 10), cursors(EIGHT), EIGHT + 25 * MINUTE, EIGHT) == [EIGHT + 30 * MINUTE]


@given(
    st.integers(1, 200),
    st.integers(1, 90),
    st.integers(0, 90),
    st.integers(-120, 120),
    st.integers(-240, 0),
)
def test_no_call_is_due_while_a_campaign_sleeps(
    amount: int, period: int, rest: int, minute: int, reserved: int
) -> None:
    now = EIGHT + minute * MINUTE
    paces, before = pace(amount, period, rest), cursors(now + reserved * MINUTE)
    until = wakes_at(next_call(TIMETABLE, paces, before, now, now), now, 1)
    assert now <= until <= now + LONGEST
    if until > now:
        # The first tick after it wakes dispatches the first call in time.
        soon = pacing.slots(TIMETABLE, paces, before, now, until + MINUTE - now)
        assert next(soon, None) is None
