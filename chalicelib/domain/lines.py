"""Lines: how many calls of a campaign, or of an account, are under way at once.

A line is taken when a number is dispatched. It is free again when the record of the call shows that the attempt is
over, or when the attempt isn't claimed and its call can't begin any more. Nothing is written when a call ends. So no
lost answer, repeated message or crash frees a line too early, and a line that a crash has left behind comes back by
itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain import load, pacing
from chalicelib.domain.call import Call, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Cursor
from chalicelib.domain.pacing import CLOCKS_DIFFER, Pace
from chalicelib.domain.timetable import Timetable

#: The highest limit. A refill reads the record of each call that holds a line.
MOST_CONCURRENT_CALLS = 10_000
#: How long before its first slot a refill is sent. The queue may deliver it a second early.
LEAD = timedelta(seconds=1)
#: Refills of one campaign follow each other after this time at least, and at most.
SHORTEST_GAP, LONGEST_GAP = timedelta(seconds=1), timedelta(seconds=15)
#: How far past the next tick the refills of a tick go. If a tick is later, free lines wait for it. It is short, because
#: meanwhile the refills of two ticks read records.
OVERLAP = timedelta(seconds=5)
#: A free line waits for half of the gap between two refills, on average. So it waits for a 24th of the time of a call.
GAPS_IN_A_CALL = 12


@dataclass(frozen=True)
class HeldLine:
    """A line that an attempt holds."""

    call: CallKey
    attempt: int
    #: The call begins by then, or not at all. The last look refuses it after its start deadline, even if it is claimed.
    begins_by: datetime


@dataclass(frozen=True)
class LineLimits:
    """How many lines may be held at once; None if there is no limit."""

    of_campaign: int | None
    of_account: int | None

    @property
    def are_set(self) -> bool:
        return self.of_campaign is not None or self.of_account is not None

    @property
    def lowest(self) -> int:
        """Raises ValueError if there is no limit."""
        return min(limit for limit in (self.of_campaign, self.of_account) if limit is not None)


def scope(campaign: CampaignKey, limits: LineLimits) -> str:
    """Whose lines are counted together: those of the account if it has a limit, or else those of the campaign."""
    return str(campaign) if limits.of_account is None else campaign.account


@dataclass(frozen=True)
class Lines:
    """The lines that are held: those of a campaign, or of all campaigns of an account that has a limit."""

    held: tuple[HeldLine, ...] = ()
    #: for how long a call holds its line, the recent average; zero if nothing is known
    time_held: timedelta = timedelta(0)
    #: The revision of each campaign of which all calls under way are among `held`. Another revision may have had no
    #: limit, so that calls were dispatched without lines.
    revisions: Mapping[int, int] = field(default_factory=dict)
    #: each write makes a new one
    version: str = ""

    def of_campaign(self, campaign_id: int) -> Sequence[HeldLine]:
        return [line for line in self.held if line.call.campaign.id == campaign_id]

    def free(self, campaign_id: int, limits: LineLimits) -> int:
        """How many lines the campaign may take."""
        left = []
        if limits.of_campaign is not None:
            left.append(limits.of_campaign - len(self.of_campaign(campaign_id)))
        if limits.of_account is not None:
            left.append(limits.of_account - len(self.held))
        return max(0, min(left))

    def with_held(self, taken: Iterable[HeldLine]) -> "Lines":
        """With these lines, too. An attempt that is dispatched again keeps its line."""
        latest = {(line.call, line.attempt): line for line in (*self.held, *taken)}
        return replace(self, held=tuple(latest.values()))

    def without(self, over: Mapping[HeldLine, timedelta | None]) -> "Lines":
        """Without the lines of attempts that are over. Each comes with the time for which it was held, if known."""
        taken = [time for line, time in over.items() if time is not None and line in self.held]
        average = load.average_call_time(self.time_held, taken) if taken else self.time_held
        return replace(self, held=tuple(line for line in self.held if line not in over), time_held=average)


def taken(call: CallKey, attempt: int, start_deadline: datetime) -> HeldLine:
    """The line of an attempt that is dispatched. The deadline has passed for all functions when their clocks agree."""
    return HeldLine(call, attempt, start_deadline + CLOCKS_DIFFER)


def is_over(line: HeldLine, call: Call | None, now: datetime) -> bool:
    """True if the attempt is over, or can't begin any more. `call` is None for a number without a record.

    An older record than the newest is good enough, unless the attempt has no claim in it.
    """
    if call is None or call.attempt < line.attempt:
        return now >= line.begins_by
    if call.attempt > line.attempt:
        return True
    return call.state not in (State.DIALLING, State.IN_PROGRESS)


def is_unclaimed(line: HeldLine, call: Call | None) -> bool:
    """True if the record shows no claim of the attempt."""
    return call is None or call.attempt < line.attempt


def time_held(line: HeldLine, call: Call | None) -> timedelta | None:
    """From the claim to the end of the attempt; None if it isn't known."""
    if call is None or call.attempt != line.attempt or call.claimed_at is None:
        return None
    # That it was canceled ended no attempt.
    ended_at = None if call.state is State.CANCELED else call.ended_at
    ends = [call.last_attempt_at, ended_at, *(one.at for one in call.events if one.attempt == line.attempt)]
    known = [end for end in ends if end is not None]
    return max(timedelta(0), max(known) - call.claimed_at) if known else None


def gap(lines: int, rate: float, held: timedelta) -> timedelta:
    """How long a stretch is, for `rate` calls a second that hold a line for the time `held`.

    If lines are scarce, refills come often, so that no free line waits for long. If there are lines to spare, the next
    refill may come when half of those are in use. It comes with the first slot after the stretch, so the time from one
    slot to the next is taken off.
    """
    if rate <= 0:
        return LONGEST_GAP
    slot = timedelta(seconds=1 / rate)
    often, spare = held / GAPS_IN_A_CALL, lines * slot - held
    return max(SHORTEST_GAP, min(LONGEST_GAP, max(often, spare / 2) - slot))


@dataclass(frozen=True)
class Stretch:
    """A stretch of time in which slots are due, and whose numbers one refill dispatches."""

    #: when the refill is to be done
    begin: datetime
    #: the last slots are due then
    until: datetime


def stretches(
    timetable: Timetable, paces: Sequence[Pace], cursors: Sequence[Cursor], now: datetime, length: timedelta
) -> Iterator[Stretch]:
    """The stretches up to a little past the next tick. There is none where no slot is due."""
    horizon = now + pacing.TICK + OVERLAP
    after = now
    while after < horizon:
        left = pacing.drop_missed(cursors, after)
        slot = next(pacing.slots(timetable, paces, left, after, horizon - after), None)
        if slot is None:
            return
        after = slot.due + length
        yield Stretch(max(now, slot.due - LEAD), after)


assert LEAD <= SHORTEST_GAP <= LONGEST_GAP < pacing.TICK
