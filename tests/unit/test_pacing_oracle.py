"""P3 and P5 on every minute of three years: whether a window is open, and which calls are due.

The results are compared with those of `tests.support.pacing_oracle`, for each window below and each set of weekdays.
Each of these mistakes in the code has made a test fail:

- the offset at midnight is used for the whole day; the second stretch of the day on which the clocks go back is left
  out, or joined with the first;
- the closing minute counts; the last date doesn't; the day of the week is that of UTC;
- a rest isn't kept, or counts as part of the period; a call's instant is rounded up to the microsecond, or computed in
  floating point; a minute has a call too few at its beginning; a call is due at the closing.

A sample leaves out the windows of more than three hours, if a test computes each minute of three years.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain, combinations, islice, zip_longest

import pytest

from chalicelib.domain import pacing
from chalicelib.domain import timetable as timetables
from chalicelib.domain.forecast import Forecast, forecast
from chalicelib.domain.models import Day, Profile, Window
from chalicelib.domain.pacing import Pace, Slot
from chalicelib.domain.timetable import Timetable
from tests.support import pacing_oracle as oracle
from tests.support.pacing_oracle import FIRST_DAY, LAST_DAY, LocalDay, Opening, Rate, Shape
from tests.support.sampling import sampled

MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
HORIZON = timedelta(seconds=75)
#: how long before an instant a tick must be, so that it isn't late
AHEAD = timedelta(seconds=10)
BEFORE = datetime(2023, 12, 25, tzinfo=UTC)
AFTER = datetime(2027, 1, 7, tzinfo=UTC)

CHANGES = {
    date(2024, 3, 10): 23,
    date(2024, 11, 3): 25,
    date(2025, 3, 9): 23,
    date(2025, 11, 2): 25,
    date(2026, 3, 8): 23,
    date(2026, 11, 1): 25,
}

#: The clocks skip the hour from 2:00 (120) to 3:00 (180), and repeat the one from 1:00 (60) to 2:00 (120).
SHAPES = {
    "the whole day": Shape(0, 1440),
    "a minute": Shape(720, 721),
    "the first minute": Shape(0, 1),
    "the last minute": Shape(1439, 1440),
    "from midnight to the repeated hour": Shape(0, 60),
    "from midnight into the repeated hour": Shape(0, 90),
    "into the repeated hour": Shape(30, 90),
    "the repeated hour": Shape(60, 120),
    "the first minute of the repeated hour": Shape(60, 61),
    "within the repeated hour": Shape(75, 105),
    "the last minute of the repeated hour": Shape(119, 120),
    "around the repeated hour": Shape(59, 121),
    "out of the repeated hour, into the skipped one": Shape(90, 150),
    "the skipped hour": Shape(120, 180),
    "the first minute of the skipped hour": Shape(120, 121),
    "within the skipped hour": Shape(121, 179),
    "the last minute of the skipped hour": Shape(179, 180),
    "around the skipped hour": Shape(119, 181),
    "out of the skipped hour": Shape(150, 210),
    "from the end of the skipped hour": Shape(180, 240),
    "the repeated and the skipped hour": Shape(60, 180),
    "over both hours": Shape(0, 240),
    "morning": Shape(480, 660),
    "late morning": Shape(540, 720),
    "working hours": Shape(540, 1020),
    "until midnight": Shape(1320, 1440),
}
#: minutes
LONGEST_IN_SAMPLE = 180
OVERLAPS = (
    (SHAPES["morning"], SHAPES["late morning"]),
    (SHAPES["into the repeated hour"], SHAPES["within the repeated hour"]),
    (SHAPES["around the repeated hour"], SHAPES["the repeated and the skipped hour"]),
    (SHAPES["around the skipped hour"], SHAPES["out of the skipped hour"]),
    (SHAPES["the whole day"], SHAPES["until midnight"]),
)

WEEKDAYS = (
    "mon tue wed thu fri sat sun",
    "mon tue wed thu fri",
    "sat sun",
    "sun",
    "mon",
    "sat",
    "mon wed fri sun",
    "tue thu sat",
)
WEEKDAY_SETS = tuple(frozenset(days.split()) for days in WEEKDAYS)
EVERY_DAY = WEEKDAY_SETS[0]

#: A call a minute or fewer, so that each call of three years can be computed.
SPARSE = (
    Rate(1, period=1, rest=59),
    Rate(1, period=60),
    Rate(7, period=60),
    Rate(60, period=60, rest=7),
    Rate(2, period=13),
    Rate(7, period=30, rest=45),
    Rate(97, period=1441),
    Rate(1, period=10_000, rest=30),
    Rate(3, period=5, rest=2000),
)
DENSE = (
    Rate(1, period=1),
    Rate(7, period=1),
    Rate(60, period=1),
    Rate(60, period=7, rest=3),
    Rate(61, period=13),
    # Computed in floating point, one of these calls is a microsecond early.
    Rate(147, period=21),
)
#: Their calls are counted. Only some of them are computed.
HUGE = (
    Rate(10**11 - 1, period=1),
    Rate(10**11 - 1, period=60, rest=7),
    Rate(10**11 - 1, period=7, rest=10**11 - 1),
    Rate(10**11 - 1, period=10**11 - 1),
    Rate(1, period=10**11 - 1),
)
RATES = SPARSE + DENSE + HUGE

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_shape_or_a_sample = pytest.mark.parametrize(
    "shape", sampled(SHAPES, lambda shape: shape.end - shape.start <= LONGEST_IN_SAMPLE)
)
each_weekday_set = pytest.mark.parametrize("weekdays", WEEKDAY_SETS, ids=WEEKDAYS)


def timetable(
    *shapes: Shape, weekdays: frozenset[str] = EVERY_DAY, first: date = FIRST_DAY, last: date = LAST_DAY
) -> Timetable:
    return Timetable(
        first, last, frozenset(map(Day, weekdays)), tuple(Window(1, shape.start, shape.end) for shape in shapes)
    )


def pace(rate: Rate) -> Pace:
    return Pace.of(
        Profile(
            "acme",
            1,
            None,
            period=rate.period,
            amount_per_period=rate.amount,
            time_between_periods=rate.rest,
        )
    )


def index_of(shape: Shape) -> int:
    """A window's index. By it a test chooses one of several weekday sets and paces."""
    return list(SHAPES.values()).index(shape)


def found_openings(table: Timetable, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    for opening in table.openings(table.windows[0], since, until):
        yield opening.opens, opening.closes


def intervals(openings: Iterator[Opening]) -> Iterator[tuple[datetime, datetime]]:
    for opening in openings:
        yield opening.opens, opening.closes


def around_the_changes(*years: int) -> list[LocalDay]:
    """The days on which the clocks change, each with the day before it and the one after; of all years, or of some."""
    changes = [change for change in CHANGES if not years or change.year in years]
    return [day for day in oracle.local_days() if any(abs(day.day - change) <= timedelta(days=1) for change in changes)]


def openings_on(days: Sequence[LocalDay], shape: Shape) -> Iterator[Opening]:
    return (opening for opening in oracle.openings(shape, EVERY_DAY) if opening.day in days)


def dispatched_slots(table: Timetable, rates: Sequence[Rate], since: datetime, until: datetime) -> list[Slot]:
    """The slots that a tick a minute from `since` on dispatches, for a campaign that was started then."""
    paces = [pace(rate) for rate in rates]
    cursors = pacing.fresh(len(paces), since)
    dispatched: list[Slot] = []
    now = since
    while now < until:
        slots = list(pacing.slots(table, paces, cursors, now, HORIZON))
        cursors = pacing.advance(cursors, slots)
        dispatched += slots
        now += MINUTE
    return dispatched


def test_three_years_have_six_days_of_23_or_25_hours() -> None:
    hours = {day.day: len(day.shown) / 60 for day in oracle.local_days() if len(day.shown) != 24 * 60}
    assert hours == CHANGES


@pytest.mark.parametrize("rate", [*SPARSE, *DENSE], ids=str)
def test_the_oracle_has_every_call_of_a_period_in_the_minute_in_which_it_is_due(rate: Rate) -> None:
    cycle = rate.period + rate.rest
    for begins in (0, cycle):
        minutes = range(begins, begins + cycle)
        assert [call for minute in minutes for call in oracle.calls(minute, rate)] == list(range(rate.amount))
        assert all(
            minute <= oracle.due_at(minute, call, rate) < minute + 1
            for minute in minutes
            for call in oracle.calls(minute, rate)
        )


@each_weekday_set
def test_a_window_is_open_in_the_oracles_minutes(weekdays: frozenset[str]) -> None:
    for shape in SHAPES.values():
        openings = found_openings(timetable(shape, weekdays=weekdays), BEFORE, AFTER)
        for ours, theirs in zip_longest(openings, intervals(oracle.openings(shape, weekdays))):
            assert ours == theirs, shape


@each_weekday_set
def test_a_window_is_open_in_the_oracles_minutes_between_any_dates(weekdays: frozenset[str]) -> None:
    for change in CHANGES:
        for first, last in [(-1, 1), (0, 0), (1, 1), (-1, -1), (0, 6), (-6, 0), (2, 1)]:
            dates = (change + timedelta(days=first), change + timedelta(days=last))
            for shape in SHAPES.values():
                openings = found_openings(
                    timetable(shape, weekdays=weekdays, first=dates[0], last=dates[1]), BEFORE, AFTER
                )
                assert list(openings) == list(intervals(oracle.openings(shape, weekdays, *dates))), (shape, dates)


def test_calling_days_are_the_oracles_for_any_set_of_weekdays() -> None:
    names = sorted(EVERY_DAY)
    for weekdays in chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)):
        table = timetable(weekdays=frozenset(weekdays))
        for day in oracle.local_days():
            expected = FIRST_DAY <= day.day <= LAST_DAY and day.weekday in weekdays
            assert table.is_calling_day(day.day) == expected, day.day


@each_shape
def test_a_window_is_open_at_an_instant_from_its_first_microsecond_to_its_last(shape: Shape) -> None:
    weekdays = WEEKDAY_SETS[index_of(shape) % len(WEEKDAY_SETS)]
    table = timetable(shape, weekdays=weekdays)
    opens = {opening.opens for opening in oracle.openings(shape, weekdays)}
    closes = {opening.closes for opening in oracle.openings(shape, weekdays)}
    for opening in oracle.openings(shape, weekdays):
        assert table.open_until(opening.opens) == opening.closes
        assert table.open_until(opening.closes - MICROSECOND) == opening.closes
        assert opening.opens in closes or table.open_until(opening.opens - MICROSECOND) is None
        assert opening.closes in opens or table.open_until(opening.closes) is None


@each_shape
def test_openings_found_in_pieces_are_those_found_at_once(shape: Shape) -> None:
    table = timetable(shape, weekdays=WEEKDAY_SETS[6])
    expected = list(intervals(oracle.openings(shape, WEEKDAY_SETS[6])))
    found: list[tuple[datetime, datetime]] = []
    since = BEFORE
    while since < AFTER:
        until = since + timedelta(hours=7, minutes=13)
        # An opening that two pieces share is found in both.
        found += [opening for opening in found_openings(table, since, until - MICROSECOND) if found[-1:] != [opening]]
        since = until
    assert found == expected


@each_shape
def test_a_window_is_open_in_the_oracles_minutes_on_days_on_which_the_clocks_change(shape: Shape) -> None:
    table = timetable(shape)
    for day in around_the_changes(LAST_DAY.year):
        until = {
            opening.opens + minute * MINUTE: opening.closes
            for opening in openings_on([day], shape)
            for minute in range(opening.minutes)
        }
        for minute in range(len(day.shown)):
            instant = day.begins + minute * MINUTE
            assert table.open_until(instant) == until.get(instant), instant


@pytest.mark.parametrize("shapes", OVERLAPS, ids=str)
def test_overlapping_windows_are_open_until_the_last_open_one_closes(shapes: tuple[Shape, Shape]) -> None:
    table = timetable(*shapes)
    for day in around_the_changes(LAST_DAY.year):
        openings = [opening for shape in shapes for opening in openings_on([day], shape)]
        for minute in range(len(day.shown)):
            instant = day.begins + minute * MINUTE
            closings = [opening.closes for opening in openings if opening.opens <= instant < opening.closes]
            assert table.open_until(instant) == max(closings, default=None), instant


@each_shape_or_a_sample
def test_each_minute_has_as_many_calls_as_the_oracles(shape: Shape) -> None:
    """The openings are those of every day. So they include those of each set of weekdays."""
    for turn, opening in enumerate(oracle.openings(shape, EVERY_DAY)):
        assert_counts(opening, RATES[turn % len(RATES)])


@each_shape_or_a_sample
def test_each_minute_has_as_many_calls_as_the_oracles_at_any_pace_when_the_clocks_change(shape: Shape) -> None:
    for opening in openings_on(around_the_changes(FIRST_DAY.year), shape):
        for rate in RATES:
            assert_counts(opening, rate)


def assert_counts(opening: Opening, rate: Rate) -> None:
    window, one = timetables.Opening(opening.opens, opening.closes), pace(rate)
    # from a minute before the opening to a minute after the closing, each from its first microsecond to its last
    edges = [opening.opens + minute * MINUTE - MICROSECOND for minute in range(-1, opening.minutes + 2)]
    ours = [pacing.count(window, one, edges[index], edges[index + 1]) for index in range(len(edges) - 1)]
    assert ours == [0, *oracle.counts(opening.minutes, rate), 0], (opening.opens, rate)


@each_shape_or_a_sample
def test_the_instants_of_three_years_are_the_oracles(shape: Shape) -> None:
    for turn in range(2):
        weekdays = WEEKDAY_SETS[(index_of(shape) + turn * 3) % len(WEEKDAY_SETS)]
        rate = SPARSE[(index_of(shape) + turn * 5) % len(SPARSE)]
        slots = pacing.slots(
            timetable(shape, weekdays=weekdays), [pace(rate)], pacing.fresh(1, BEFORE), BEFORE, AFTER - BEFORE
        )
        expected = (at for opening in oracle.openings(shape, weekdays) for at in oracle.instants(opening, rate))
        for slot, at in zip_longest(slots, expected):
            assert slot is not None, at
            assert (slot.instant, slot.due) == (at, at), rate


@each_shape_or_a_sample
def test_a_tick_a_minute_dispatches_each_instant_of_an_opening_once(shape: Shape) -> None:
    table = timetable(shape)
    for turn, opening in enumerate(openings_on(around_the_changes(), shape)):
        rates = [*SPARSE, *DENSE] if opening.minutes <= 2 and opening.day.day in CHANGES else some_rates(turn, opening)
        for index, rate in enumerate(rates):
            since = opening.opens - 2 * MINUTE - timedelta(seconds=23 * index)
            slots = dispatched_slots(table, [rate], since, opening.closes)
            instants = list(oracle.instants(opening, rate))
            mine = [slot for slot in slots if opening.opens <= slot.instant < opening.closes]
            assert [slot.instant for slot in mine] == instants, rate
            assert [slot.due for slot in mine] == instants, rate


def some_rates(turn: int, opening: Opening) -> list[Rate]:
    """Some of the paces, for an opening that is too long for all of them."""
    dense = [DENSE[turn % len(DENSE)]] if opening.minutes <= 2 * 60 else []
    return [SPARSE[turn % len(SPARSE)], SPARSE[(turn + 4) % len(SPARSE)], *dense]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("shapes", OVERLAPS, ids=str)
def test_a_tick_a_minute_dispatches_the_instants_of_each_overlapping_window(
    shapes: tuple[Shape, Shape], change: date
) -> None:
    rates = (Rate(7, period=60), Rate(2, period=13, rest=4))
    days = [day for day in around_the_changes() if abs(day.day - change) <= timedelta(days=1)]
    table = timetable(*shapes, first=days[0].day, last=days[-1].day)
    since, until = days[0].begins - 5 * MINUTE, days[-1].begins + timedelta(days=1)
    slots = dispatched_slots(table, rates, since, until)
    for index, (shape, rate) in enumerate(zip(shapes, rates, strict=True)):
        expected = [at for opening in openings_on(days, shape) for at in oracle.instants(opening, rate)]
        assert [slot.due for slot in slots if slot.window == index] == expected


@pytest.mark.parametrize("rate", HUGE, ids=str)
@each_shape
def test_the_first_instants_of_a_minute_are_the_oracles_at_any_amount(shape: Shape, rate: Rate) -> None:
    table = timetable(shape)
    for opening in openings_on(around_the_changes(), shape):
        for minute in {0, opening.minutes // 3, opening.minutes - 1}:
            begins = opening.opens + minute * MINUTE
            cursors, now = pacing.fresh(1, begins - MICROSECOND), begins - AHEAD
            ours = islice(pacing.slots(table, [pace(rate)], cursors, now, AHEAD + MINUTE - MICROSECOND), 4)
            theirs = [
                opening.opens + oracle.microseconds(oracle.due_at(minute, call, rate))
                for call in oracle.calls(minute, rate)[:4]
            ]
            assert [(slot.instant, slot.due) for slot in ours] == [(at, at) for at in theirs], begins


def expected_forecast(calls: Sequence[datetime], queued: int) -> Forecast:
    fitting = calls[:queued]
    return Forecast(fitting[-1] if fitting else None, queued - len(fitting))


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("shapes", "rates"),
    [
        ([SHAPES["the whole day"]], [Rate(7, period=60)]),
        ([SHAPES["within the repeated hour"]], [Rate(7, period=1)]),
        ([SHAPES["around the skipped hour"]], [Rate(3, period=5, rest=4)]),
        (
            [SHAPES["over both hours"], SHAPES["around the repeated hour"]],
            [Rate(61, period=13), Rate(2, 60, rest=7)],
        ),
    ],
    ids=str,
)
def test_a_forecast_when_the_clocks_change_has_the_oracles_instant(
    shapes: list[Shape], rates: list[Rate], change: date
) -> None:
    first, last = change - timedelta(days=1), change + timedelta(days=2)
    table, paces = timetable(*shapes, first=first, last=last), [pace(rate) for rate in rates]
    openings = [
        (opening, rate)
        for shape, rate in zip(shapes, rates, strict=True)
        for opening in oracle.openings(shape, EVERY_DAY, first, last)
    ]
    calls = sorted(at for opening, rate in openings for at in oracle.instants(opening, rate))
    for now in (
        calls[0] - timedelta(days=1),
        calls[0] - MICROSECOND,
        calls[0],
        *(opening.opens + timedelta(minutes=opening.minutes // 2, seconds=17) for opening, _ in openings),
        calls[-1],
    ):
        ahead = [at for at in calls if at > now]
        fitting = len(ahead)
        for queued in {0, 1, 2, fitting // 3, fitting // 2, fitting - 1, fitting, fitting + 1, 10**9} - {-1}:
            assert forecast(table, paces, queued, now) == expected_forecast(ahead, queued), (now, queued)


@each_weekday_set
def test_a_forecast_over_three_years_has_the_oracles_instant(weekdays: frozenset[str]) -> None:
    shape, rate = SHAPES["out of the repeated hour, into the skipped one"], Rate(7, period=60, rest=11)
    calls = [at for opening in oracle.openings(shape, weekdays) for at in oracle.instants(opening, rate)]
    for queued in (*range(1, len(calls), len(calls) // 12), len(calls), len(calls) + 5):
        found = forecast(timetable(shape, weekdays=weekdays), [pace(rate)], queued, BEFORE)
        assert found == expected_forecast(calls, queued)


@pytest.mark.parametrize("rate", HUGE, ids=str)
def test_a_forecast_at_any_amount_has_the_oracles_instant(rate: Rate) -> None:
    shape = SHAPES["within the repeated hour"]
    for change in CHANGES:
        last = change + timedelta(days=1)
        table = timetable(shape, first=change, last=last)
        openings = list(oracle.openings(shape, EVERY_DAY, change, last))
        left = 0
        for opening in openings:
            fitting = sum(oracle.counts(opening.minutes, rate))
            for number in {0, fitting // 7, fitting // 2, fitting - 1}:
                expected = Forecast(oracle.instant_of(number, opening, rate), 0)
                assert forecast(table, [pace(rate)], left + number + 1, BEFORE) == expected, (change, number)
            left += fitting
        assert forecast(table, [pace(rate)], left + 3, BEFORE).left_over == 3
