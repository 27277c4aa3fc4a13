"""Which calls are due, and when: the whole of pacing, as arithmetic.

From a window's opening, cycles of `period` and `time_between_periods` follow each other. In each, call j of
`amount_per_period` is due at `cycle start + j * period / amount`. So every opening is a lattice of due instants, and
a tick asks: which of them lie after the last one released, and go out before the next tick?

    opening                                                        closing
      |. . . . . .|           |. . . . . .|           |. . . . . .|
      |<- period ->|<- rest -->|<- period ->|

A tick that comes late, or not at all, leaves instants behind it. They are made up within their own period only, at no
more than twice the pace: an overdue instant goes out half as far behind the one before it as it stood on the lattice,
until the lattice is caught up with. What can't be made up before its period ends is dropped: it costs the campaign a
slot, never a number.

Instants are counted in whole microseconds from the opening, so an amount of eleven digits costs what a small one does.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from chalicelib.domain.models import Cursor, Profile
from chalicelib.domain.timetable import Opening, Timetable

#: The misfire grace: how late a call may begin, or half of the time between two calls if that is longer. One that is
#: held up for longer waits for another slot: after a failure of the queue, many would be made at once.
MISFIRE_GRACE = timedelta(seconds=2)
#: How far ahead of the tick the first call is put that is overdue: the dialer may have to be woken for it.
LEAD = timedelta(seconds=8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_MINUTE = 60_000_000


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
        """When the opening's call number `index` is due, in microseconds from the opening."""
        cycle, call = divmod(index, self.amount)
        return cycle * self.cycle + call * self.period // self.amount

    def due_by(self, elapsed: int) -> int:
        """How many calls are due up to and including `elapsed` microseconds from the opening."""
        if elapsed < 0:
            return 0
        cycle, into = divmod(elapsed, self.cycle)
        return cycle * self.amount + min(self.amount, -(-(into + 1) * self.amount // self.period))


@dataclass(frozen=True)
class Slot:
    """One call that may be made."""

    #: the place of its window in the plan
    window: int
    #: the lattice's instant
    instant: datetime
    #: when it goes out: the instant itself, or later when it is made up
    due: datetime
    #: a call that has not begun by then would come in a burst with those after it
    start_deadline: datetime
    #: from then on it would be another period's call
    expires: datetime


@dataclass(frozen=True)
class Selection:
    """Which slots are used where not all can be: in some stretches of time, one of each `step` slots.

    The stretches of time are the same for all windows, and whenever it is asked.
    """

    #: 1 or more
    step: float = 1.0
    #: how many of the stretches are used, above 0 and up to 1; those are evenly spread
    part: float = 1.0
    #: how long one lasts
    stretch: timedelta = timedelta(seconds=1)
    #: from 0 to 1: campaigns with other phases use other stretches
    phase: float = 0.0

    def next_used(self, at: int) -> int:
        """`at` if it lies in a stretch that is used, or else where the next one begins: microseconds since 1970."""
        length = self.stretch // _MICROSECOND
        stretch = at // length
        if self._is_used(stretch):
            return at
        # The count of those used before rises after the one that is sought, which is the last before this quotient. As
        # the quotient may be rounded up, the search begins one earlier.
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
    """The calls to be handed over at `now`: those that go out up to `now + horizon`, soonest first.

    `paces` and `cursors` are those of the timetable's windows, in the same order. Lazy: what isn't asked for isn't
    computed.
    """
    windows = zip(timetable.windows, paces, cursors, strict=True)
    return heapq.merge(
        *(
            _slots_of_window(
                place, timetable.openings(window, now, now + horizon), pace, cursor, now, now + horizon, selection
            )
            for place, (window, pace, cursor) in enumerate(windows)
        ),
        key=lambda slot: slot.due,
    )


def apart(paces: Sequence[Pace]) -> timedelta:
    """The time from one call to the next in a period, of the window in which it is the shortest."""
    return min((pace.period // pace.amount * _MICROSECOND for pace in paces), default=timedelta(0))


def fresh(windows: int, now: datetime, before: Sequence[Cursor] = ()) -> tuple[Cursor, ...]:
    """Cursors that make up for nothing: for a start, for an empty queue that is filled, and for other windows.

    `before` are the cursors that stood until now. Their calls that are handed over already, and go out within the
    minute, are not handed over again.
    """
    since = max([now, *(cursor.due for cursor in before)])
    return (Cursor(since, since),) * windows


def advance(cursors: Sequence[Cursor], released: Sequence[Slot]) -> tuple[Cursor, ...]:
    """The cursors after these slots, in the order that `slots` gave them, went out."""
    moved = list(cursors)
    for slot in released:
        moved[slot.window] = Cursor(slot.instant, slot.due)
    return tuple(moved)


def idle(cursors: Sequence[Cursor], now: datetime) -> tuple[Cursor, ...]:
    """The cursors after a tick that had more slots than numbers: what nobody needed isn't made up for."""
    return tuple(cursor if cursor.released >= now else Cursor(now, max(now, cursor.due)) for cursor in cursors)


def waiting(
    timetable: Timetable, paces: Sequence[Pace], cursors: Sequence[Cursor], now: datetime, horizon: timedelta
) -> int:
    """About how many slots there are to be handed over at `now`, by arithmetic. The parameters are those of `slots`."""
    found = 0
    for window, pace, cursor in zip(timetable.windows, paces, cursors, strict=True):
        for opening in timetable.openings(window, now, now + horizon):
            cycle = max(0, _elapsed(opening, now)) // pace.cycle
            begins = opening.opens + (cycle * pace.cycle - 1) * _MICROSECOND
            found += count(opening, pace, max(cursor.released, begins), now + horizon)
    return found


def count(opening: Opening, pace: Pace, after: datetime, until: datetime) -> int:
    """How many due instants of the opening lie in (after, until]."""
    last = min(until, opening.closes - _MICROSECOND)
    return max(0, pace.due_by(_elapsed(opening, last)) - pace.due_by(_elapsed(opening, after)))


def _slots_of_window(
    place: int,
    openings: Iterator[Opening],
    pace: Pace,
    cursor: Cursor,
    now: datetime,
    until: datetime,
    selection: Selection,
) -> Iterator[Slot]:
    for opening in openings:
        for slot in _slots_of_opening(place, opening, pace, cursor, now, until, selection):
            if slot.due > until:
                return
            cursor = replace(cursor, released=slot.instant)
            yield slot


def _slots_of_opening(
    place: int, opening: Opening, pace: Pace, cursor: Cursor, now: datetime, until: datetime, selection: Selection
) -> Iterator[Slot]:
    """In the stretches that are used, the last one of each step's slots."""
    closing, looked_at = _elapsed(opening, opening.closes), _elapsed(opening, until)
    current_cycle = max(0, _elapsed(opening, now)) // pace.cycle
    # What an earlier period left undone stays undone.
    index = pace.due_by(max(_elapsed(opening, cursor.released), current_cycle * pace.cycle - 1))
    index = _next_used(opening, pace, index, selection)
    first = pace.due(index)
    begin = _begin(opening, current_cycle * pace.cycle, first, cursor, now)
    position = index + selection.step - 1
    while (instant := pace.due(index := int(position))) < closing and instant <= looked_at:
        used = _next_used(opening, pace, index, selection)
        if used > index:
            position = used + selection.step - 1
            continue
        cycle = index // pace.amount
        end = min(cycle * pace.cycle + pace.period, closing)
        due = max(instant, begin + (instant - first) // 2) if cycle == current_cycle else instant
        if due < end:
            start_deadline = min(end, due + max(MISFIRE_GRACE // _MICROSECOND, pace.period // pace.amount // 2))
            yield Slot(place, *(opening.opens + at * _MICROSECOND for at in (instant, due, start_deadline, end)))
            position += selection.step
        else:
            position = (cycle + 1) * pace.amount + selection.step - 1


def _next_used(opening: Opening, pace: Pace, index: int, selection: Selection) -> int:
    """The slot `index`, or the first one after it in a stretch that is used."""
    opens = (opening.opens - _EPOCH) // _MICROSECOND
    instant = opens + pace.due(index)
    used = selection.next_used(instant)
    return index if used == instant else pace.due_by(used - 1 - opens)


def _begin(opening: Opening, cycle_start: int, first: int, cursor: Cursor, now: datetime) -> int:
    """When the first instant that is left goes out: itself, unless it is overdue or the one before it is late."""
    begin = first
    if first <= _elapsed(opening, now):
        begin = _elapsed(opening, now + LEAD)
    released = _elapsed(opening, cursor.released)
    if released >= cycle_start:
        begin = max(begin, _elapsed(opening, cursor.due) + (first - released) // 2)
    return begin


def _elapsed(opening: Opening, instant: datetime) -> int:
    return (instant - opening.opens) // _MICROSECOND
