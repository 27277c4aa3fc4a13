"""Eastern time. No other module knows about it.

The reference states every hour in Eastern time. An instant has exactly one local time. A local time may have two
instants, in the hour that comes twice when the clocks go back, or none, in the hour that they skip. So a stretch of
local time is turned into the instants whose local time is in it. On the day the clocks go back these may be two
stretches with a gap between them; on the day they go forward there may be none.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_EASTERN = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)
_SMALLEST = timedelta(microseconds=1)


def local_date(instant: datetime) -> date:
    """The day it is in New York."""
    return instant.astimezone(_EASTERN).date()


def local_time(instant: datetime) -> datetime:
    """What clocks in New York show, without a zone."""
    return instant.astimezone(_EASTERN).replace(tzinfo=None)


def instants(local: datetime) -> tuple[datetime, ...]:
    """The instants with this local time, which has no zone: one, or two or none on a day on which the clocks change."""
    both = (_utc(local.replace(fold=fold)) for fold in (0, 1))
    return tuple(dict.fromkeys(one for one in both if local_time(one) == local))


def clocks_change(day: date) -> bool:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 # a local time
    return _offset(_utc(midnight)) != _offset(_utc(midnight + _DAY))


@lru_cache(maxsize=1024)
def stretches(day: date, start: int, end: int) -> tuple[tuple[datetime, datetime], ...]:
    """The instants of `day` whose local time is from `start` to before `end`, in minutes after midnight.

    Answers UTC intervals in order, each from its beginning to before its end. None is empty, and no two touch.
    """
    if day == date.max:
        return ()  # the day's end is more than a datetime can hold
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 # a local time
    opens, closes = midnight + timedelta(minutes=start), midnight + timedelta(minutes=end)
    intervals: list[tuple[datetime, datetime]] = []
    for first, beyond, offset in _constant_offsets(_utc(midnight), _utc(midnight + _DAY)):
        since = max(first, (opens - offset).replace(tzinfo=UTC))
        until = min(beyond, (closes - offset).replace(tzinfo=UTC))
        if since >= until:
            continue
        if intervals and intervals[-1][1] == since:
            since = intervals.pop()[0]
        intervals.append((since, until))
    return tuple(intervals)


def _utc(local: datetime) -> datetime:
    return local.replace(tzinfo=_EASTERN).astimezone(UTC)


def _offset(instant: datetime) -> timedelta:
    offset = instant.astimezone(_EASTERN).utcoffset()
    assert offset is not None  # for the type checker: an aware instant has an offset
    return offset


def _constant_offsets(first: datetime, beyond: datetime) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """The day, cut where the clocks change. They do so at most once a day, and never at midnight."""
    before, after = _offset(first), _offset(beyond)
    if before == after:
        return ((first, beyond, before),)
    early, late = first, beyond
    while late - early > _SMALLEST:
        middle = early + (late - early) / 2
        if _offset(middle) == before:
            early = middle
        else:
            late = middle
    return ((first, late, before), (late, beyond, after))
