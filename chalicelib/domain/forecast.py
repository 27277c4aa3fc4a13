"""When a queue will be done at its pace, if every call goes out at its instant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.domain import eastern, pacing
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Opening, Timetable


@dataclass(frozen=True)
class Forecast:
    """When the queue will be done, and what will be left of it."""

    #: when the last number that has a slot is due; None if none has one
    last_call_at: datetime | None
    #: how many numbers will be left when the campaign ends
    left_over: int


def forecast(timetable: Timetable, paces: Sequence[Pace], queued: int, now: datetime) -> Forecast:
    """Fill the slots after `now` with `queued` numbers, day by day.

    Slots are counted, not listed. All days but the first are alike, except those on which the clocks change. So the
    slots of a usual day are counted once. The longest campaign that the API accepts, of 200 years, takes half a second.
    """
    left = queued
    today = eastern.local_date(now)
    usual: int | None = None
    last: tuple[date, int] | None = None
    for day in _days(max(today, timetable.start_date), timetable.end_date):
        if left == 0:
            break
        if not timetable.is_calling_day(day):
            continue
        is_usual = day > today and not eastern.clocks_change(day)
        if is_usual and usual is not None:
            fitting = usual
        else:
            fitting = _count(_openings(timetable, paces, day), now, None)
            usual = fitting if is_usual else usual
        if fitting:
            last = day, min(left, fitting)
        left -= min(left, fitting)
    last_call_at = None if last is None else _instant_of(_openings(timetable, paces, last[0]), now, last[1])
    return Forecast(last_call_at, left)


def _days(first: date, last: date) -> Iterator[date]:
    """Without the last day that Python knows, of which the end can't be computed."""
    return map(date.fromordinal, range(first.toordinal(), min(last.toordinal() + 1, date.max.toordinal())))


def _openings(timetable: Timetable, paces: Sequence[Pace], day: date) -> list[tuple[Opening, Pace]]:
    return [
        (Opening(*stretch), pace)
        for window, pace in zip(timetable.windows, paces, strict=True)
        for stretch in eastern.stretches(day, window.start, window.end)
    ]


def _count(openings: Sequence[tuple[Opening, Pace]], after: datetime, until: datetime | None) -> int:
    return sum(
        pacing.count(opening, pace, after, opening.closes if until is None else until) for opening, pace in openings
    )


def _instant_of(openings: Sequence[tuple[Opening, Pace]], after: datetime, number: int) -> datetime:
    """When the day's slot `number`, from 1, is due. It is found by halving, to the microsecond."""
    early, late = after, max(opening.closes for opening, _ in openings)
    while late - early > timedelta(microseconds=1):
        middle = early + (late - early) / 2
        if _count(openings, after, middle) >= number:
            late = middle
        else:
            early = middle
    return late
