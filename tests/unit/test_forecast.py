"""When a queue will be done."""

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import pacing
from chalicelib.domain.forecast import Forecast, forecast
from chalicelib.domain.models import Day, Profile, Window
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Timetable

EIGHT = datetime(2026, 1, 5, 13, tzinfo=UTC)  # a Monday, 08:00 in New York
BEFORE = EIGHT - timedelta(minutes=1)


def pace(amount: int) -> Pace:
    return Pace.of(Profile("acme", 1, None, period=60, amount_per_period=amount, time_between_periods=0))


def timetable(windows: int = 1, last: date = date(2026, 1, 9)) -> Timetable:
    return Timetable(date(2026, 1, 5), last, frozenset(Day), (Window(1, 8 * 60, 11 * 60),) * windows)


def test_the_last_call_of_a_short_queue_is_today() -> None:
    assert forecast(timetable(), [pace(60)], 60, BEFORE) == Forecast(EIGHT + timedelta(minutes=59), 0)


def test_a_long_queue_continues_tomorrow() -> None:
    assert forecast(timetable(), [pace(60)], 181, BEFORE) == Forecast(EIGHT + timedelta(days=1), 0)


def test_windows_at_the_same_time_share_the_queue() -> None:
    assert forecast(timetable(windows=2), [pace(60), pace(30)], 3, BEFORE) == Forecast(EIGHT + timedelta(minutes=1), 0)


def test_numbers_that_do_not_fit_before_the_end_are_left_over() -> None:
    assert forecast(timetable(last=date(2026, 1, 5)), [pace(60)], 200, BEFORE) == Forecast(
        EIGHT + timedelta(minutes=179), 20
    )


def test_a_campaign_that_has_ended_makes_no_call() -> None:
    assert forecast(timetable(), [pace(60)], 5, EIGHT + timedelta(days=30)) == Forecast(None, 5)


def test_a_campaign_whose_last_hours_are_over_makes_no_call() -> None:
    evening = EIGHT + timedelta(hours=12)
    assert forecast(timetable(last=date(2026, 1, 5)), [pace(60)], 5, evening) == Forecast(None, 5)


def test_a_campaign_that_begins_in_twenty_years_has_a_forecast() -> None:
    far = replace(timetable(), start_date=date(2046, 1, 5), end_date=date(2046, 1, 5))
    assert forecast(far, [pace(60)], 1, BEFORE) == Forecast(datetime(2046, 1, 5, 13, tzinfo=UTC), 0)


def test_the_longest_campaign_has_a_forecast_to_its_end() -> None:
    longest = timetable(last=date(2200, 12, 31))
    begun = time.process_time()
    left = forecast(longest, [pace(1)], 10**9, BEFORE).left_over
    assert time.process_time() - begun < 3
    assert left == 10**9 - 3 * (date(2200, 12, 31) - date(2026, 1, 4)).days
    # three calls a day, for 20,000 days
    assert forecast(longest, [pace(1)], 60_000, BEFORE) == Forecast(datetime(2080, 10, 7, 14, tzinfo=UTC), 0)


def test_the_latest_possible_date_can_be_a_campaigns_last() -> None:
    forever = replace(timetable(last=date.max), start_date=date(9999, 12, 30))
    assert forecast(forever, [pace(60)], 200, BEFORE).left_over == 20


@settings(max_examples=40)
@given(
    queued=st.integers(1, 3000),
    amount=st.integers(1, 20),
    start=st.integers(0, 24 * 60 - 2),
    length=st.integers(1, 240),
    days=st.sets(st.sampled_from(list(Day)), min_size=1),
    begins=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
)
def test_a_forecast_is_the_same_as_from_the_openings_of_each_day(
    queued: int, amount: int, start: int, length: int, days: set[Day], begins: date
) -> None:
    """The clocks change on some of the days. The window may be in the hour that is skipped or repeated."""
    window = Window(1, start, min(24 * 60, start + length))
    table = Timetable(begins, begins + timedelta(days=400), frozenset(days), (window,))
    now = datetime(begins.year, begins.month, begins.day, 16, tzinfo=UTC)
    left, last = queued, None
    for opening in table.openings(window, now, now + timedelta(days=402)):
        slots = pacing.count(opening, pace(amount), now, opening.closes)
        if slots and left:
            last = opening
            left -= min(left, slots)
    found = forecast(table, [pace(amount)], queued, now)
    assert found.left_over == left
    assert (found.last_call_at is None) == (last is None)
    if last is not None:
        assert found.last_call_at is not None
        assert last.opens <= found.last_call_at < last.closes


@given(amount=st.integers(1, 10**11 - 1), queued=st.integers(1, 10**12))
def test_the_calls_of_a_large_amount_are_counted_and_not_listed(amount: int, queued: int) -> None:
    found = forecast(timetable(), [pace(amount)], queued, BEFORE)
    assert found.left_over == max(0, queued - 5 * 3 * amount)
