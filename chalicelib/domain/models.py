"""Schedules, profiles, campaigns, and the numbers that customers upload.

All of them are values: storage reads them, a decision makes new ones, and storage writes what changed.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from chalicelib.domain.keys import CampaignKey

#: How many numbers are sent between two moves of the head. After a crash at most so many are sent again.
MOST_SENT = 2000
#: How many numbers are passed without a slot between two moves of the head.
MOST_PASSED = 1000
#: characters; reference, "64 character maximum"
MAX_NICKNAME_LENGTH = 64
#: `wakes_at` of a campaign that was never put to sleep.
AWAKE = datetime(1970, 1, 1, tzinfo=UTC)


class Day(StrEnum):
    """A day of the week as the reference spells it, in the order of `datetime.date.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@dataclass(frozen=True)
class Schedule:
    """The days of the week on which campaigns may call."""

    account: str
    id: int
    nickname: str | None
    days: tuple[Day, ...]


@dataclass(frozen=True)
class Profile:
    """A pace: `amount_per_period` calls spread over `period` minutes, then `time_between_periods` minutes of rest."""

    account: str
    id: int
    nickname: str | None
    #: minutes
    period: int
    amount_per_period: int
    #: minutes
    time_between_periods: int


@dataclass(frozen=True)
class Window:
    """The hours of a calling day in which one profile's pace holds, in minutes after midnight, Eastern time."""

    profile_id: int
    #: the first minute of calling, 0 to 1439
    start: int
    #: the first minute after it, up to 1440, the midnight that ends the day
    end: int


class Status(StrEnum):
    """What the owner last asked for, or how the campaign ended."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"
    #: every number has its outcome, and every report is delivered or given up
    COMPLETED = "completed"
    #: its last day is over, and it isn't completed
    ENDED = "ended"


class RetryKind(StrEnum):
    """How an attempt may end that a campaign tries again."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"
    #: a machine answered
    MACHINE = "machine"
    #: any other failure
    FAILED = "failed"


@dataclass(frozen=True)
class RetryRule:
    """When a number is dialled again after an attempt that ended in one of these ways."""

    #: the most attempts at the number in all, 1 to 11, however the others ended
    attempts: int
    #: seconds from the end of the first attempt to the second, 60 to 172,800
    gap: int
    #: by which the gap is multiplied with each further attempt, 1 to 10
    growth: float = 1.0


#: How often a number may be dialled again at most, and the shortest and the longest gap between two attempts at it, in
#: seconds: the bounds of the vendor's queue API.
MOST_RETRIES = 10
SHORTEST_RETRY_GAP, LONGEST_RETRY_GAP = 60, 172_800
#: What a campaign has if its owner doesn't say otherwise, in seconds.
DEFAULT_RETRY_INTERVAL = DEFAULT_CALL_TIMEOUT = 3600


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do: all that its owner may change."""

    #: the first day of calling, Eastern time
    start_date: date
    #: the last day of calling, itself included
    end_date: date
    schedule_id: int
    windows: tuple[Window, ...]
    start_url: str
    result_url: str | None
    #: how often a number whose call failed is dialled again, 0 to 10
    max_retries: int = 0
    #: seconds from a failed call to the next try, 60 to 172,800
    retry_interval: int = DEFAULT_RETRY_INTERVAL
    #: seconds from the claim, 60 to 14,400, after which a call in progress without a final event becomes uncertain
    call_timeout: int = DEFAULT_CALL_TIMEOUT
    #: how many of its calls may be under way at once, from the claim to the outcome; None: any number
    max_concurrent_calls: int | None = None
    #: If there are any, only what they name is tried again. `max_retries` is the most retries of a number in all.
    retries: tuple[tuple[RetryKind, RetryRule], ...] = ()
    #: result_url is told of each attempt, and not only of the last one
    attempt_reports: bool = False

    @property
    def reports_attempts(self) -> bool:
        """True if an attempt after which the number is dialled again is reported."""
        return self.attempt_reports and self.result_url is not None

    @property
    def profile_ids(self) -> tuple[int, ...]:
        """The profiles that its windows refer to, each once."""
        return tuple(dict.fromkeys(window.profile_id for window in self.windows))


@dataclass(frozen=True)
class Counts:
    """How many numbers before `settled` have which outcome."""

    completed: int = 0
    failed: int = 0
    uncertain: int = 0
    canceled: int = 0

    @property
    def total(self) -> int:
        return self.completed + self.failed + self.uncertain + self.canceled


@dataclass(frozen=True)
class Cursor:
    """How far one window's slots are reserved."""

    #: the instant of the last reserved slot; before the first one, when the campaign was started
    paced_until: datetime
    #: when that slot's call goes out; later than its instant while missed ticks are made up for
    due: datetime


@dataclass(frozen=True)
class HeadObservation:
    """Where the head of a campaign was at some time. Every number before it had been dispatched by then."""

    head: int
    at: datetime


@dataclass(frozen=True)
class Load:
    """How much of a campaign one tick dispatched, as it is recorded for the next tick."""

    #: calls that the last tick dispatched
    dispatched: int = 0
    #: returned calls that the last tick didn't dispatch again
    left: int = 0
    #: calls of the tick before that weren't returned
    made: int = 0
    #: about how many calls a tick dispatches at most; None: all that are due
    most: int | None = None
    #: True if the last tick dispatched less than it could have, because of `most`
    limited: bool = False


@dataclass(frozen=True)
class Campaign:
    """A plan, and a queue of numbers.

    The queue is a log with sequence numbers 0, 1, 2… Those from `head` to before `tail` are still queued, unless
    they are canceled or were moved to the front.
    """

    account: str
    id: int
    plan: Plan
    #: created, running or stopped; `chalicelib.domain.progress` finds out whether it is completed or ended
    status: Status
    #: a deleted campaign is kept only until the outcomes of its calls are reported
    deleted: bool = False
    #: counts the changes of the plan
    revision: int = 0
    #: how often it was started; a call that was dispatched in an earlier generation isn't made
    generation: int = 0
    #: the next sequence number to be given to an upload
    tail: int = 0
    #: the next number to be dispatched
    head: int = 0
    #: every number before this one is counted, was skipped, or is listed among the open calls
    settled: int = 0
    counts: Counts = field(default_factory=Counts)
    #: where the head was at earlier ticks of the settler, the latest last; without those that aren't needed any more
    head_observations: tuple[HeadObservation, ...] = ()
    #: one for each of the plan's windows; empty before the first start
    cursors: tuple[Cursor, ...] = ()
    #: the version of head and cursors: each write of them makes a new one
    pacing_version: str = ""
    #: how much of what is due is dispatched
    load: Load = Load()
    #: the recent average time from a call's claim to its outcome; zero if nothing is known
    call_time: timedelta = timedelta(0)
    #: It sleeps until then: neither pacer nor settler has work with it. A request of its owner wakes it earlier.
    wakes_at: datetime = AWAKE
    #: in how many partitions the tasks of its numbers are; it only grows
    spread: int = 1
    #: the version of what the settler writes: each of its writes makes a new one
    settling_version: str = ""
    #: how many corrections aren't in the counts yet
    corrections_due: int = 0
    #: how many lists of numbers there are that were taken out of the log's order: canceled, or moved to the front
    withdrawn_lists: int = 0
    #: some of its numbers may have times of their own (`chalicelib.domain.passing`)
    has_times: bool = False
    #: the numbers that are still to be moved to the front of the queue; until then none of the log is dispatched
    to_front: tuple[range, ...] = ()
    #: the numbers from `settled` on whose calls events have ended, and whose first report is dispatched
    reports_ahead: tuple[int, ...] = ()
    #: the work flag: the pacer or the settler has something to do, now or later
    has_work: bool = False

    @property
    def key(self) -> CampaignKey:
        return CampaignKey(self.account, self.id)

    @property
    def is_running(self) -> bool:
        """True if it was started, and neither stopped nor deleted since."""
        return self.status is Status.RUNNING and not self.deleted


class Entry(NamedTuple):
    """One number as it was uploaded, in its normal form.

    It is a named tuple, because an upload makes hundreds of thousands, and a dataclass takes three times as long.
    """

    #: `tel:+12223334444`, with `;ani=…` and `;postd=…` where they were given
    destination: str
    #: the customer's own name for this call, at most 255 bytes, without control characters
    message_reference: str = ""
    #: it isn't called before this instant, a whole second; None: from the beginning
    not_before: datetime | None = None
    #: it isn't called at or after this instant, a whole second; None: as long as the campaign runs
    expires: datetime | None = None

    @property
    def line(self) -> str:
        """The entry as one line of text.

        What `chalicelib.domain.dialstring.parse` reads comes first. If the entry has times, a tab follows, and then
        both in seconds since 1970, with a hyphen in between. No other part has a tab.
        """
        said = f"{self.destination},{self.message_reference}" if self.message_reference else self.destination
        if not self.has_times:
            return said
        return f"{said}\t{_seconds(self.not_before)}-{_seconds(self.expires)}"

    @property
    def has_times(self) -> bool:
        return self.not_before is not None or self.expires is not None

    @classmethod
    def from_line(cls, line: str) -> "Entry":
        """The reverse of `line`. It checks nothing."""
        said, _, times = line.partition("\t")
        destination, _, message_reference = said.partition(",")
        if not times:
            return cls(destination, message_reference)
        not_before, _, expires = times.partition("-")
        return cls(destination, message_reference, _instant(not_before), _instant(expires))

    @property
    def ani(self) -> str:
        """The caller id to show, or nothing."""
        for parameter in self.destination.split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name == "ani":
                return value
        return ""


def _seconds(instant: datetime | None) -> str:
    return "" if instant is None else str(int(instant.timestamp()))


def _instant(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
