"""The last look: may this number be dialled now, in this very moment?

It is taken right before the first byte is sent. Whatever was true when the number was handed over, the campaign may
have been stopped or changed since, the message may have waited too long, the window may have closed.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.messages import Dial
from chalicelib.domain.models import Campaign, Schedule, Status
from chalicelib.domain.timetable import Timetable

#: How far the clocks of two functions may differ. No call is sent so close to either end of the calling hours that by
#: another's clock it would lie outside them.
CLOCKS_DIFFER = timedelta(seconds=1)
#: How old the knowledge of a campaign may be: with this no call starts over 2 s after a stop (P4).
KNOWN_FOR = timedelta(seconds=1.5)


class Refusal(StrEnum):
    """Why a number is not dialled now. All of them are no fault of the number, which stays queued."""

    #: the operator has halted all dialling
    HALTED = "halted"
    #: the campaign doesn't run, or is deleted
    STOPPED = "stopped"
    #: it was stopped and started again since the number was handed over
    SUPERSEDED = "superseded"
    #: no window is open, or the last one is about to close
    CLOSED = "closed"
    #: its instant has not come: somebody's clock is wrong, or the function had no time to wait for it
    EARLY = "early"
    #: its time is over; now it would come in a burst with others, or be one call too many for the next period
    LATE = "late"
    #: what is known of the campaign is too old to go by
    UNSURE = "unsure"
    #: the function would be ended before the call is
    NO_TIME = "no_time"


def refusal(
    dial: Dial,
    campaign: Campaign | None,
    schedule: Schedule | None,
    now: datetime,
    *,
    halted: bool,
    asked_at: datetime,
    connected: bool,
    time_left: timedelta,
    time_needed: timedelta,
) -> Refusal | None:
    """Why the number must not be dialled at `now`, or None if it may.

    `campaign` is None when it is deleted; all that is known was asked for at `asked_at`. Before there is a
    connection a late call is refused; once there is one, only a call of another period. `time_left` is what the
    function has before it is ended, `time_needed` what a call takes at most.
    """
    if now - asked_at > KNOWN_FOR:
        return Refusal.UNSURE
    why = stopped(dial, campaign, halted=halted)
    if why is not None or campaign is None or schedule is None:
        return why or Refusal.STOPPED
    closes = Timetable.of(campaign.plan, schedule).open_until(now)
    if closes is None or now > closes - CLOCKS_DIFFER:
        return Refusal.CLOSED
    if now < dial.due:
        return Refusal.EARLY
    if now >= (dial.expires if connected else dial.late):
        return Refusal.LATE
    if time_left < time_needed:
        return Refusal.NO_TIME
    return None


def refusal_unclaimed(dial: Dial, campaign: Campaign | None, now: datetime, *, halted: bool) -> Refusal | None:
    """Why the number need not even be claimed at `now`: it wouldn't be dialled, whatever happens before its instant."""
    return stopped(dial, campaign, halted=halted) or (Refusal.LATE if now >= dial.late else None)


def stopped(dial: Dial, campaign: Campaign | None, *, halted: bool) -> Refusal | None:
    """Why the number must not be dialled at any time, or None if it may at some time."""
    if halted:
        return Refusal.HALTED
    if campaign is None or campaign.status is not Status.RUNNING:
        return Refusal.STOPPED
    if campaign.generation != dial.generation:
        return Refusal.SUPERSEDED
    return None


def hold(campaign: Campaign, schedule: Schedule, now: datetime) -> timedelta:
    """How long a call waits that may be made, but whose calling hours have only just begun.

    Those due in the first seconds follow each other at twice the pace, until the wait is made up for.
    """
    began = Timetable.of(campaign.plan, schedule).began(now)
    return timedelta(0) if began is None else max(timedelta(0), CLOCKS_DIFFER - (now - began) / 2)
