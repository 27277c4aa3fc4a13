"""How long a campaign sleeps: until shortly before the next call or report that may be made for it.

A deployment may have thousands of campaigns that run without a call to make: their hours are over, or failed calls are
retried in an hour. If they didn't sleep, every tick would read each of them. A request of its owner wakes a campaign.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from chalicelib.domain import pacing
from chalicelib.domain.models import Cursor
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Timetable

#: The longest sleep. If something unforeseen gives a campaign work, it waits no longer than this.
LONGEST = timedelta(hours=1)
#: How long before its next call it wakes. A tick dispatches what is due within its horizon, the next tick may come late
#: or not at all, and an index lags behind its table for a moment.
AHEAD = timedelta(minutes=3)
#: A shorter sleep isn't worth two writes.
SHORTEST = timedelta(minutes=2)

assert pacing.HORIZON + pacing.TICK < AHEAD
assert AHEAD + SHORTEST < LONGEST


def wakes_at(due: Iterable[datetime], now: datetime, random_fraction: float) -> datetime:
    """When a campaign wakes; `now` if it doesn't sleep. `due` has the instants of its next calls and reports.

    `random_fraction` is a number from 0 to 1. With it, campaigns that fell asleep in the same minute with nothing due
    wake in different minutes.
    """
    longest = LONGEST * (1 + random_fraction) / 2
    until = min([now + longest, *(instant - AHEAD for instant in due)])
    return until if until - now >= SHORTEST else now


def next_call(
    timetable: Timetable, paces: Sequence[Pace], cursors: Sequence[Cursor], since: datetime, now: datetime
) -> Iterable[datetime]:
    """When the next call goes out, if it does so before the longest sleep ends.

    `since` is the first instant at which a number may be called. The cursors are as in `pacing.slots`.
    """
    if since > now:
        cursors = pacing.drop_missed(cursors, since)
    return [slot.due for slot in islice(pacing.slots(timetable, paces, cursors, now, LONGEST + AHEAD), 1)]
