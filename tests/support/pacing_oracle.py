"""When a window is open and which calls are due in it, computed a second time: slowly, minute by minute, without
callpacer's code.

The code under test computes with intervals, offsets and whole microseconds. The oracle looks up every minute of three
years on a wall clock in New York, and answers three questions about it. Is its day one of the campaign's? Is its local
time in the window? For how many minutes has the window been open by then, and so which calls are due?

Three shortcuts leave the answers unchanged:

- The scan of the minutes doesn't depend on the window, so it is done once. It keeps the local time of every minute, day
  by day. Days whose clocks showed the same minutes in the same order share them, and the answer for a window.
- An opening is a run of consecutive minutes. So two lists of openings are equal if, and only if, they agree on every
  minute. The code under test answers intervals of instants; the tests also compare that these begin and end with a
  minute.
- An opening lies within one local day. So the openings of a set of weekdays, or of a campaign's dates, are those of
  every day, without those of the other days.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

#: three years, one of them a leap year
FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2026, 12, 31)

_NEW_YORK = ZoneInfo("America/New_York")
_MINUTE = timedelta(minutes=1)
#: days scanned before and after the three years, so that some days don't count
_MARGIN = timedelta(days=10)
_A_MONDAY = date(2024, 1, 1)
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Shape(NamedTuple):
    """A window, in minutes after midnight."""

    start: int
    end: int


class Rate(NamedTuple):
    """A pace as a customer states it: so many calls in so many minutes, then so many minutes of rest."""

    amount: int
    period: int
    rest: int = 0


@dataclass(frozen=True)
class LocalDay:
    """A day in New York, minute by minute."""

    day: date
    begins: datetime
    #: what the wall clock showed in each minute, in minutes after midnight
    shown: tuple[int, ...]

    @property
    def weekday(self) -> str:
        return _WEEK[(self.day - _A_MONDAY).days % 7]


@dataclass(frozen=True)
class Opening:
    """The longest run of consecutive minutes of one local day in which the window is open."""

    day: LocalDay
    opens: datetime
    minutes: int

    @property
    def closes(self) -> datetime:
        return self.opens + self.minutes * _MINUTE


@cache
def local_days() -> tuple[LocalDay, ...]:
    """The days of the three years and some around them, from a scan of all their minutes."""
    begins: dict[date, datetime] = {}
    shown: dict[date, list[int]] = {}
    instant = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) - _MARGIN
    beyond = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC) + _MARGIN
    latest = date.min
    while instant < beyond:
        local = instant.astimezone(_NEW_YORK)
        day = local.date()
        if day != latest:
            assert day > latest, "a day began twice"
            latest, begins[day], shown[day] = day, instant, []
        assert local.second == local.microsecond == 0, "a minute in New York doesn't begin with a UTC minute"
        shown[day].append(local.hour * 60 + local.minute)
        instant += _MINUTE
    patterns: dict[tuple[int, ...], tuple[int, ...]] = {}
    days = [LocalDay(day, begins[day], patterns.setdefault(tuple(shown[day]), tuple(shown[day]))) for day in begins]
    return tuple(days[1:-1])  # the scan began and ended within a day


@cache
def _runs(shown: tuple[int, ...], shape: Shape) -> tuple[tuple[int, int], ...]:
    """The runs of a day's minutes that are in the window: the index of each run's first minute, and its length."""
    runs: list[tuple[int, int]] = []
    length = 0
    for index, minute in enumerate(shown):
        if shape.start <= minute < shape.end:
            length += 1
        elif length:
            runs.append((index - length, length))
            length = 0
    if length:
        runs.append((len(shown) - length, length))
    return tuple(runs)


@cache
def daily_openings(shape: Shape) -> tuple[Opening, ...]:
    """The openings of a window on every scanned day."""
    return tuple(
        Opening(day, day.begins + first * _MINUTE, minutes)
        for day in local_days()
        for first, minutes in _runs(day.shown, shape)
    )


def openings(
    shape: Shape, weekdays: Collection[str], first: date = FIRST_DAY, last: date = LAST_DAY
) -> Iterator[Opening]:
    """The openings of a campaign's window: those on its weekdays and between its dates, both inclusive."""
    for opening in daily_openings(shape):
        if opening.day.weekday in weekdays and first <= opening.day.day <= last:
            yield opening


def calls(minute: int, rate: Rate) -> range:
    """Which calls of a period, counted from 0, are due in this minute of an opening.

    Call j is due `j * period / amount` minutes into the period. The range goes from the least j at or after the
    minute's beginning to the least j at or after its end, so an amount of 99,999,999,999 takes no longer.
    """
    into = minute % (rate.period + rate.rest)
    if into >= rate.period:
        return range(0)
    return range(
        math.ceil(Fraction(into * rate.amount, rate.period)),
        math.ceil(Fraction((into + 1) * rate.amount, rate.period)),
    )


def due_at(minute: int, call: int, rate: Rate) -> Fraction:
    """When one of a minute's calls is due, in minutes from the opening."""
    cycle = minute // (rate.period + rate.rest)
    return cycle * (rate.period + rate.rest) + Fraction(call * rate.period, rate.amount)


def microseconds(at: Fraction) -> timedelta:
    """Minutes as whole microseconds, rounded down."""
    return timedelta(microseconds=math.floor(at * 60_000_000))


@cache
def counts(minutes: int, rate: Rate) -> tuple[int, ...]:
    """How many calls are due in each minute of an opening of this length."""
    return tuple(len(calls(minute, rate)) for minute in range(minutes))


@cache
def _offsets(minutes: int, rate: Rate) -> tuple[timedelta, ...]:
    return tuple(microseconds(due_at(minute, call, rate)) for minute in range(minutes) for call in calls(minute, rate))


def instants(opening: Opening, rate: Rate) -> Iterator[datetime]:
    """When each of an opening's calls is due, in order."""
    for offset in _offsets(opening.minutes, rate):
        yield opening.opens + offset


def instant_of(number: int, opening: Opening, rate: Rate) -> datetime | None:
    """When the opening's call of this number, counted from 0, is due; None if the opening has fewer calls."""
    for minute, count in enumerate(counts(opening.minutes, rate)):
        if number < count:
            return opening.opens + microseconds(due_at(minute, calls(minute, rate)[number], rate))
        number -= count
    return None
