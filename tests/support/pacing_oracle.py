"""When a window is open and which calls are due in it, said again: slowly, minute by minute, without callpacer's code.

The code under test computes with intervals, offsets and whole microseconds. Here every minute of three years is
looked up on a wall clock in New York, and three questions are put to it. Is its day one of the campaign's? Does its
local time lie in the window? And how many minutes has the window been open by then, that is, which calls are due?

Nothing is lost by what is done once instead of over and over:

- The walk over the minutes doesn't depend on the window, so it is done once. It keeps the local time of every minute,
  day by day; two days whose clocks showed the same minutes in the same order share them, and the answer for a window.
- An opening is a run of minutes that follow each other, so two lists of openings are equal just if they agree on
  every minute. The code is asked for intervals of instants; that these begin and end with a minute is compared, too.
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
#: what is walked before and after the years, so that there are days that don't count
_MARGIN = timedelta(days=10)
_A_MONDAY = date(2024, 1, 1)
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Shape(NamedTuple):
    """A window, in minutes after midnight."""

    start: int
    end: int


class Rate(NamedTuple):
    """A pace as a customer states it: so many calls in so many minutes, then minutes of rest."""

    amount: int
    period: int
    rest: int = 0


@dataclass(frozen=True)
class LocalDay:
    """A day in New York, as its minutes passed."""

    day: date
    begins: datetime
    #: what the wall clock showed in each of its minutes, in minutes after midnight
    shown: tuple[int, ...]

    @property
    def weekday(self) -> str:
        return _WEEK[(self.day - _A_MONDAY).days % 7]


@dataclass(frozen=True)
class Opening:
    """Minutes of one local day that follow each other, with none before or after them that belongs to them."""

    day: LocalDay
    opens: datetime
    minutes: int

    @property
    def closes(self) -> datetime:
        return self.opens + self.minutes * _MINUTE


@cache
def local_days() -> tuple[LocalDay, ...]:
    """The days of the three years and some around them, from a walk over all of their minutes."""
    begins: dict[date, datetime] = {}
    shown: dict[date, list[int]] = {}
    instant = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) - _MARGIN
    beyond = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC) + _MARGIN
    latest = date.min
    while instant < beyond:
        local = instant.astimezone(_NEW_YORK)
        day = local.date()
        if day != latest:
            assert day > latest, "a day that was over came back"
            latest, begins[day], shown[day] = day, instant, []
        assert local.second == local.microsecond == 0, "minutes begin elsewhere in New York"
        shown[day].append(local.hour * 60 + local.minute)
        instant += _MINUTE
    patterns: dict[tuple[int, ...], tuple[int, ...]] = {}
    days = [LocalDay(day, begins[day], patterns.setdefault(tuple(shown[day]), tuple(shown[day]))) for day in begins]
    return tuple(days[1:-1])  # the walk began and ended somewhere within a day


@cache
def _runs(shown: tuple[int, ...], shape: Shape) -> tuple[tuple[int, int], ...]:
    """Where the minutes that the window names begin among those of a day, and how many follow each other."""
    runs: list[tuple[int, int]] = []
    length = 0
    for place, minute in enumerate(shown):
        if shape.start <= minute < shape.end:
            length += 1
        elif length:
            runs.append((place - length, length))
            length = 0
    if length:
        runs.append((len(shown) - length, length))
    return tuple(runs)


@cache
def daily_openings(shape: Shape) -> tuple[Opening, ...]:
    """The openings of a window on every day that was walked."""
    return tuple(
        Opening(day, day.begins + place * _MINUTE, minutes)
        for day in local_days()
        for place, minutes in _runs(day.shown, shape)
    )


def openings(
    shape: Shape, weekdays: Collection[str], first: date = FIRST_DAY, last: date = LAST_DAY
) -> Iterator[Opening]:
    """The openings of a campaign's window: those on its weekdays and between its dates, both included."""
    for opening in daily_openings(shape):
        if opening.day.weekday in weekdays and first <= opening.day.day <= last:
            yield opening


def calls(minute: int, rate: Rate) -> range:
    """Which of their period's calls, counted from 0, are due in this minute of an opening.

    Call j is due `j * period / amount` minutes into the period. Asking for the least j at or after the beginning of
    the minute, and for the least at or after its end, spares asking every one of 99,999,999,999.
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
    """Minutes as a clock tells them: whole microseconds, those that have passed."""
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
    """When the call of this number, counted from 0 at the opening, is due; None if there is none of this number."""
    for minute, count in enumerate(counts(opening.minutes, rate)):
        if number < count:
            return opening.opens + microseconds(due_at(minute, calls(minute, rate)[number], rate))
        number -= count
    return None
