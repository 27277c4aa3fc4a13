"""When a campaign may call: on its schedule's days, between its dates, in its windows' hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.domain import eastern
from chalicelib.domain.models import Campaign, Day, Plan, Schedule, Window

_WEEK = tuple(Day)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Opening:
    """One stretch of time in which a window is open: from `opens` to before `closes`."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True)
class Timetable:
    """The days and hours of one campaign."""

    #: the first day and the last, both included
    start_date: date
    end_date: date
    days: frozenset[Day]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, plan: Plan, schedule: Schedule) -> "Timetable":
        return cls(plan.start_date, plan.end_date, frozenset(schedule.days), plan.windows)

    def is_calling_day(self, day: date) -> bool:
        return self.start_date <= day <= self.end_date and _WEEK[day.weekday()] in self.days

    def openings(self, window: Window, since: datetime, until: datetime) -> Iterator[Opening]:
        """The window's openings that have any instant in [since, until], in order."""
        day = max(eastern.local_date(since), self.start_date)
        last = min(eastern.local_date(until), self.end_date)
        while day <= last:
            if self.is_calling_day(day):
                for opens, closes in eastern.stretches(day, window.start, window.end):
                    if opens <= until and closes > since:
                        yield Opening(opens, closes)
            if day == last:
                return
            day += _DAY

    def open_until(self, instant: datetime) -> datetime | None:
        """When the last of the windows open at `instant` closes; None if none is open."""
        return max((opening.closes for opening in self._open_at(instant)), default=None)

    def began(self, instant: datetime) -> datetime | None:
        """When the first of the windows open at `instant` opened. None if none is open, or one was open just before."""
        opened = min((opening.opens for opening in self._open_at(instant)), default=None)
        return None if opened is None or any(self._open_at(opened - _MICROSECOND)) else opened

    def _open_at(self, instant: datetime) -> Iterator[Opening]:
        # A dialer looks at each call's instant three times, so the local day is found once for all windows.
        day = eastern.local_date(instant)
        if not self.is_calling_day(day):
            return
        for window in self.windows:
            for opens, closes in eastern.stretches(day, window.start, window.end):
                if opens <= instant < closes:
                    yield Opening(opens, closes)


def is_over(plan: Plan, now: datetime) -> bool:
    """True if the plan's last day is past."""
    return eastern.local_date(now) > plan.end_date


def may_call(campaign: Campaign, now: datetime) -> bool:
    """True if it runs and its last day isn't past. It may call now or later."""
    return campaign.is_running and not is_over(campaign.plan, now)
