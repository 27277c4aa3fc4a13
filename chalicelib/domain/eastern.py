"""Eastern time: the one module that knows about it.

The reference states every hour in Eastern time. An instant has exactly one local time, but a local time may have two
instants (the hour that the clocks go back through) or none (the hour that they skip). So a stretch of local time is
turned into the instants whose local time lies in it: on the day the clocks go back that may be two stretches with a
gap between them, on the day they go forward it may be none.
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


def clocks_change(day: date) -> bool:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 # a local time, read off a wall clock
    return _offset(_utc(midnight)) != _offset(_utc(midnight + _DAY))


@lru_cache(maxsize=1024)
def stretches(day: date, start: int, end: int) -> tuple[tuple[datetime, datetime], ...]:
    """The instants of `day` whose local time lies in [start, end), in minutes after midnight.

    Answers half-open UTC intervals, in order, none of them empty and no two touching.
    """
    if day == date.max:
        return ()  # calendars end before it does
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 # a local time, read off a wall clock
    opens, closes = midnight + timedelta(minutes=start), midnight + timedelta(minutes=end)
    found: list[tuple[datetime, datetime]] = []
    for first, beyond, offset in _constant_offsets(_utc(midnight), _utc(midnight + _DAY)):
        since = max(first, (opens - offset).replace(tzinfo=UTC))
        until = min(beyond, (closes - offset).replace(tzinfo=UTC))
        if since >= until:
            continue
        if found and found[-1][1] == since:
            since = found.pop()[0]
        found.append((since, until))
    return tuple(found)


def _utc(local: datetime) -> datetime:
    return local.replace(tzinfo=_EASTERN).astimezone(UTC)


def _offset(instant: datetime) -> timedelta:
    offset = instant.astimezone(_EASTERN).utcoffset()
    assert offset is not None  # for the type checker: a zone always has one
    return offset


def _constant_offsets(first: datetime, beyond: datetime) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """The day cut where the clocks change. They do so at most once a day, and never at midnight."""
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
