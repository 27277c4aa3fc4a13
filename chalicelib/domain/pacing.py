"""Which calls are due, and when: the whole of pacing, as arithmetic.

From a window's opening on, cycles of `period` and `time_between_periods` follow each other. In each cycle, call j of
`amount_per_period` is due at `cycle start + j * period / amount`. These are the due times of the opening. A tick takes
those after the last reserved one, up to a little past the next tick.

    opening                                                        closing
      |. . . . . .|           |. . . . . .|           |. . . . . .|
      |<- period ->|<- rest -->|<- period ->|

If a tick comes late, or not at all, some slots are overdue. Their calls are made up for within their own period only,
at twice the pace at most: the gap between two overdue calls is half the gap between their due times, until no call is
overdue. A slot that can't be made up for before its period ends is dropped. That costs the campaign a slot, never a
number.

Times are whole microseconds since the opening, so an amount of eleven digits costs no more than a small one.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from chalicelib.domain.models import Cursor, Profile
from chalicelib.domain.timetable import Opening, Timetable

#: The time from one tick to the next: the functions' rules say "rate(1 minute)".
TICK = timedelta(minutes=1)
#: How far ahead a tick dispatches: a little past the next tick, so that a tick which comes late leaves no gap.
HORIZON = timedelta(seconds=75)
#: How far the clocks of two functions may differ. No call is sent so close to the beginning or the end of its time that
#: it would be outside it by another clock.
CLOCKS_DIFFER = timedelta(seconds=1)
#: How late a call may begin, or half of the gap between two calls if that is longer. A later call waits for another
#: slot. Otherwise many calls would be made at once after a failure of the queue.
MISFIRE_GRACE = timedelta(seconds=2)
#: The first overdue call goes out so long after the tick: a dialer may have to be started for it.
LEAD = timedelta(seconds=8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_MINUTE = 60_000_000

assert TICK < HORIZON


@dataclass(frozen=True)
class Pace:
    """A profile in microseconds."""

    period: int
    rest: int
    amount: int

    @classmethod
    def of(cls, profile: Profile) -> Self:
        return cls(
            period=profile.period * _MICROSECONDS_PER_MINUTE,
            rest=profile.time_between_periods * _MICROSECONDS_PER_MINUTE,
            amount=profile.amount_per_period,
        )

    @property
    def cycle(self) -> int:
        return self.period + self.rest

    def due(self, index: int) -> int:
        """When the opening's call number `index`, from 0, is due, in microseconds since the opening."""
        cycle, call = divmod(index, self.amount)
        return cycle * self.cycle + call * self.period // self.amount

    def due_by(self, elapsed: int) -> int:
        """How many calls are due up to and including `elapsed` microseconds since the opening."""
        if elapsed < 0:
            return 0
        cycle, remainder = divmod(elapsed, self.cycle)
        return cycle * self.amount + min(self.amount, -(-(remainder + 1) * self.amount // self.period))


@dataclass(frozen=True)
class Slot:
    """One call that may be made."""

    #: the index of its window in the plan
    window: int
    #: its due time by the profile
    instant: datetime
    #: when the call goes out: at the instant, or later while missed ticks are made up for
    due: datetime
    #: the call must have begun by then, or it would come in a burst with later ones
    start_deadline: datetime
    #: the end of its period: a call that is sent later would be one too many for the next period
    expires: datetime


@dataclass(frozen=True)
class Selection:
    """Which slots are used if not all can be: one of each `step` slots, in some stretches of time and not in others.

    The stretches are the same for all windows, and at all ticks.
    """

    #: 1 or more
    step: float = 1.0
    #: how much of the stretches is used, above 0 and up to 1; they are evenly spread
    part: float = 1.0
    #: how long a stretch lasts
    stretch: timedelta = timedelta(seconds=1)
    #: from 0 to 1: campaigns with other phases use other stretches
    phase: float = 0.0

    def next_used(self, time: int) -> int:
        """`time` if it is in a used stretch, or else the beginning of the next one; both in microseconds since 1970."""
        length = self.stretch // _MICROSECOND
        stretch = time // length
        if self._is_used(stretch):
            return time
        # After the next used stretch the count of used ones is higher by one. So that stretch is the last whole number
        # below this quotient. The quotient may be rounded up, so the search begins one earlier.
        quotient = (self._used_before(stretch) + 1 - self.phase) / self.part
        stretch = max(stretch + 1, math.ceil(quotient) - 2)
        while not self._is_used(stretch):
            stretch += 1
        return stretch * length

    def _used_before(self, stretch: int) -> int:
        return math.floor(stretch * self.part + self.phase)

    def _is_used(self, stretch: int) -> bool:
        return self.part >= 1 or self._used_before(stretch + 1) > self._used_before(stretch)


ALL = Selection()


def slots(
    timetable: Timetable,
    paces: Sequence[Pace],
    cursors: Sequence[Cursor],
    now: datetime,
    horizon: timedelta,
    selection: Selection = ALL,
) -> Iterator[Slot]:
    """The slots to be reserved at `now`: those whose calls go out up to `now + horizon`, soonest first.

    `paces` and `cursors` are those of the timetable's windows, in the same order. The slots are computed lazily.
    """
    windows = zip(timetable.windows, paces, cursors, strict=True)
    return heapq.merge(
        *(
            _slots_of_window(
                index, timetable.openings(window, now, now + horizon), pace, cursor, now, now + horizon, selection
            )
            for index, (window, pace, cursor) in enumerate(windows)
        ),
        key=lambda slot: slot.due,
    )


def shortest_gap(paces: Sequence[Pace]) -> timedelta:
    """The gap between two calls of a period, in the window in which it is the shortest."""
    return min((pace.period // pace.amount * _MICROSECOND for pace in paces), default=timedelta(0))


def longest_grace(paces: Sequence[Pace]) -> timedelta:
    """How late a call may begin, in the window in which it is the latest."""
    return max([MISFIRE_GRACE, *(pace.period // pace.amount // 2 * _MICROSECOND for pace in paces)])


def fresh(windows: int, now: datetime, before: Sequence[Cursor] = ()) -> tuple[Cursor, ...]:
    """Cursors for so many windows. No slot before `now` is made up for.

    They are for a campaign that is started, for an empty queue that gets numbers, and for windows that are changed.
    `before` has the cursors so far. The slots that are reserved by them are not used again: their calls go out within
    about a minute.
    """
    since = max([now, *(cursor.due for cursor in before)])
    return (Cursor(since, since),) * windows


def advance(cursors: Sequence[Cursor], reserved: Sequence[Slot]) -> tuple[Cursor, ...]:
    """The cursors after these slots are reserved. The slots are in the order in which `slots` yields them."""
    moved = list(cursors)
    for slot in reserved:
        moved[slot.window] = Cursor(slot.instant, slot.due)
    return tuple(moved)


def drop_missed(cursors: Sequence[Cursor], now: datetime) -> tuple[Cursor, ...]:
    """The cursors without the slots up to `now`, which are not made up for."""
    return tuple(cursor if cursor.paced_until >= now else Cursor(now, max(now, cursor.due)) for cursor in cursors)


def estimate_slots(
    timetable: Timetable, paces: Sequence[Pace], cursors: Sequence[Cursor], now: datetime, horizon: timedelta
) -> int:
    """About how many slots `slots` yields for the same arguments. It counts them without listing them."""
    total = 0
    for window, pace, cursor in zip(timetable.windows, paces, cursors, strict=True):
        for opening in timetable.openings(window, now, now + horizon):
            cycle = max(0, _elapsed(opening, now)) // pace.cycle
            before_cycle = opening.opens + (cycle * pace.cycle - 1) * _MICROSECOND
            total += count(opening, pace, max(cursor.paced_until, before_cycle), now + horizon)
    return total


def count(opening: Opening, pace: Pace, after: datetime, until: datetime) -> int:
    """How many due times of the opening are in (after, until]."""
    last = min(until, opening.closes - _MICROSECOND)
    return max(0, pace.due_by(_elapsed(opening, last)) - pace.due_by(_elapsed(opening, after)))


def _slots_of_window(
    window: int,
    openings: Iterator[Opening],
    pace: Pace,
    cursor: Cursor,
    now: datetime,
    until: datetime,
    selection: Selection,
) -> Iterator[Slot]:
    for opening in openings:
        for slot in _slots_of_opening(window, opening, pace, cursor, now, until, selection):
            if slot.due > until:
                return
            cursor = replace(cursor, paced_until=slot.instant)
            yield slot


def _slots_of_opening(
    window: int, opening: Opening, pace: Pace, cursor: Cursor, now: datetime, until: datetime, selection: Selection
) -> Iterator[Slot]:
    """The last of each `step` slots, in used stretches only."""
    closing, last = _elapsed(opening, opening.closes), _elapsed(opening, until)
    current_cycle = max(0, _elapsed(opening, now)) // pace.cycle
    # Slots of an earlier period are not made up for.
    index = pace.due_by(max(_elapsed(opening, cursor.paced_until), current_cycle * pace.cycle - 1))
    index = _next_used(opening, pace, index, selection)
    first = pace.due(index)
    begin = _begin(opening, current_cycle * pace.cycle, first, cursor, now)
    position = index + selection.step - 1
    while (instant := pace.due(index := int(position))) < closing and instant <= last:
        used = _next_used(opening, pace, index, selection)
        if used > index:
            position = used + selection.step - 1
            continue
        cycle = index // pace.amount
        end = min(cycle * pace.cycle + pace.period, closing)
        due = max(instant, begin + (instant - first) // 2) if cycle == current_cycle else instant
        if due < end:
            start_deadline = min(end, due + max(MISFIRE_GRACE // _MICROSECOND, pace.period // pace.amount // 2))
            yield Slot(window, *(opening.opens + time * _MICROSECOND for time in (instant, due, start_deadline, end)))
            position += selection.step
        else:
            position = (cycle + 1) * pace.amount + selection.step - 1


def _next_used(opening: Opening, pace: Pace, index: int, selection: Selection) -> int:
    """`index` if that slot is in a used stretch, or else the index of the next one that is."""
    opens = (opening.opens - _EPOCH) // _MICROSECOND
    instant = opens + pace.due(index)
    used = selection.next_used(instant)
    return index if used == instant else pace.due_by(used - 1 - opens)


def _begin(opening: Opening, cycle_start: int, first: int, cursor: Cursor, now: datetime) -> int:
    """When the call for the due time `first` goes out: later if it is overdue, or if the call before it is late."""
    begin = first
    if first <= _elapsed(opening, now):
        begin = _elapsed(opening, now + LEAD)
    before = _elapsed(opening, cursor.paced_until)
    if before >= cycle_start:
        begin = max(begin, _elapsed(opening, cursor.due) + (first - before) // 2)
    return begin


def _elapsed(opening: Opening, instant: datetime) -> int:
    """Microseconds since the opening."""
    return (instant - opening.opens) // _MICROSECOND
