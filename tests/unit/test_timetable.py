"""When a window is open."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import eastern
from chalicelib.domain.models import Campaign, Day, Plan, Status, Window
from chalicelib.domain.timetable import Opening, Timetable, may_call

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
SPRING_FORWARD = date(2026, 3, 8)
FALL_BACK = date(2026, 11, 1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc] # year, month, day, hour and so on


def timetable(*windows: Window, days: str = "mon tue wed thu fri sat sun") -> Timetable:
    return Timetable(date(2026, 1, 1), date(2026, 12, 31), frozenset(Day(day) for day in days.split()), windows)


def test_a_winter_morning_is_five_hours_behind_utc() -> None:
    assert eastern.stretches(date(2026, 1, 5), 8 * 60, 11 * 60) == ((utc(2026, 1, 5, 13), utc(2026, 1, 5, 16)),)


def test_a_summer_morning_is_four_hours_behind_utc() -> None:
    assert eastern.stretches(date(2026, 7, 6), 8 * 60, 11 * 60) == ((utc(2026, 7, 6, 12), utc(2026, 7, 6, 15)),)


def test_a_window_in_the_skipped_hour_does_not_open() -> None:
    assert eastern.stretches(SPRING_FORWARD, 2 * 60, 3 * 60) == ()


def test_a_window_over_the_skipped_hour_is_an_hour_shorter() -> None:
    ((opens, closes),) = eastern.stretches(SPRING_FORWARD, 60, 4 * 60)
    assert closes - opens == timedelta(hours=2)


def test_a_window_within_the_repeated_hour_opens_twice() -> None:
    assert eastern.stretches(FALL_BACK, 75, 105) == (
        (utc(2026, 11, 1, 5, 15), utc(2026, 11, 1, 5, 45)),
        (utc(2026, 11, 1, 6, 15), utc(2026, 11, 1, 6, 45)),
    )


def test_a_window_over_the_whole_repeated_hour_opens_once_and_is_an_hour_longer() -> None:
    ((opens, closes),) = eastern.stretches(FALL_BACK, 0, 4 * 60)
    assert closes - opens == timedelta(hours=5)


@pytest.mark.parametrize("day", [SPRING_FORWARD, FALL_BACK, date(2026, 7, 4)])
@given(start=st.integers(0, 1439), length=st.integers(1, 1440))
def test_a_window_holds_just_the_minutes_whose_local_time_it_names(day: date, start: int, length: int) -> None:
    end = min(start + length, 1440)
    stretches = eastern.stretches(day, start, end)
    instant = utc(day.year, day.month, day.day)
    while instant < utc(day.year, day.month, day.day) + timedelta(hours=36):
        local = instant.astimezone(NEW_YORK)
        named = local.date() == day and start <= local.hour * 60 + local.minute < end
        assert any(opens <= instant < closes for opens, closes in stretches) == named, local
        instant += MINUTE


def test_only_the_days_of_the_schedule_are_calling_days() -> None:
    weekdays = timetable(Window(1, 0, 1440), days="mon wed fri")
    assert [weekdays.is_calling_day(date(2026, 1, day)) for day in range(5, 12)] == [
        True,
        False,
        True,
        False,
        True,
        False,
        False,
    ]


def test_both_the_first_and_the_last_date_count() -> None:
    one_day = Timetable(date(2026, 1, 5), date(2026, 1, 5), frozenset(Day), (Window(1, 0, 1440),))
    assert [one_day.is_calling_day(date(2026, 1, day)) for day in (4, 5, 6)] == [False, True, False]


def test_a_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    morning = timetable(Window(1, 8 * 60, 11 * 60))
    assert morning.open_until(utc(2026, 1, 5, 12, 59, 59)) is None
    assert morning.open_until(utc(2026, 1, 5, 13)) == utc(2026, 1, 5, 16)
    assert morning.open_until(utc(2026, 1, 5, 16)) is None


def test_overlapping_windows_are_open_until_the_last_one_closes() -> None:
    both = timetable(Window(1, 8 * 60, 11 * 60), Window(2, 9 * 60, 12 * 60))
    assert both.open_until(utc(2026, 1, 5, 15)) == utc(2026, 1, 5, 17)


def test_calling_hours_begin_when_the_first_of_the_open_windows_opens() -> None:
    both = timetable(Window(1, 9 * 60, 12 * 60), Window(2, 8 * 60, 11 * 60))
    assert both.began(utc(2026, 1, 5, 15)) == utc(2026, 1, 5, 13)


def test_a_window_that_opens_after_midnight_utc_belongs_to_its_eastern_day() -> None:
    late = timetable(Window(1, 22 * 60, 24 * 60), days="mon")
    tuesday_morning_utc = utc(2026, 1, 6, 4)
    window = late.windows[0]
    assert list(late.openings(window, tuesday_morning_utc, tuesday_morning_utc)) == [
        Opening(utc(2026, 1, 6, 3), utc(2026, 1, 6, 5))
    ]


def test_the_latest_possible_date_can_be_a_campaigns_last_day() -> None:
    forever = Timetable(date(2026, 1, 1), date.max, frozenset(Day), (Window(1, 0, 1440),))
    assert forever.open_until(utc(2026, 7, 6, 12)) is not None
    assert forever.open_until(utc(9999, 12, 31, 12)) is None  # its midnight is more than a datetime can hold


def test_a_campaign_that_runs_may_call_until_its_last_day_is_past_in_new_york() -> None:
    plan = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 0, 1440),), "http://tenant.example/", None)
    running = Campaign("acme", 1, plan, Status.RUNNING)
    midnight = utc(2026, 1, 6, 5)
    assert may_call(running, utc(2026, 1, 1))
    assert may_call(running, midnight - timedelta(microseconds=1))
    assert not may_call(running, midnight)
    assert not may_call(replace(running, status=Status.STOPPED), utc(2026, 1, 5, 13))
