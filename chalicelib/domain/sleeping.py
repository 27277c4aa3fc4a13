"""How long a campaign is left alone: until shortly before the next call or report that it may make.

A deployment has thousands of campaigns that run and call nobody: their hours are over, or what failed is to be tried
again in an hour. Each of them would be looked at by every tick. Whatever its owner asks wakes a campaign that sleeps.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from chalicelib.domain import pacing
from chalicelib.domain.models import Cursor
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Timetable

#: The longest that a campaign sleeps: whatever was not foreseen is noticed within it.
LONGEST = timedelta(hours=1)
#: How long before its next call it wakes: a tick hands over what is due up to a minute and a quarter later, the tick
#: after it may come late or not at all, and an index is behind its table for a moment.
AHEAD = timedelta(minutes=3)
#: What is shorter isn't worth two writes.
SHORTEST = timedelta(minutes=2)


def wakes_at(due: Iterable[datetime], now: datetime, random_fraction: float) -> datetime:
    """When a campaign of which all this is due is to be looked at again; `now`: with the next tick.

    `chance` is a number from 0 to 1. Campaigns that fell asleep in the same minute, with nothing due, wake in many.
    """
    longest = LONGEST * (1 + random_fraction) / 2
    until = min([now + longest, *(instant - AHEAD for instant in due)])
    return until if until - now >= SHORTEST else now


def next_call(
    timetable: Timetable, paces: Sequence[Pace], cursors: Sequence[Cursor], since: datetime, now: datetime
) -> Iterable[datetime]:
    """When the first number may be called that may be called from `since` on, if that is soon enough to matter.

    The cursors are as in `pacing.slots`.
    """
    if since > now:
        cursors = pacing.idle(cursors, since)
    return [slot.due for slot in islice(pacing.slots(timetable, paces, cursors, now, LONGEST + AHEAD), 1)]
