"""The last look: may this number be dialled at this very moment?

It is taken right before the first byte is sent. Since the number was dispatched, the campaign may have been stopped or
changed, the message may have waited too long, the window may have closed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.messages import Dial
from chalicelib.domain.models import Campaign
from chalicelib.domain.pacing import CLOCKS_DIFFER
from chalicelib.domain.passing import has_expired
from chalicelib.domain.timetable import Timetable

#: How old a snapshot may be. With this no call starts over 2 s after a stop (P4).
KNOWN_FOR = timedelta(seconds=1.5)


@dataclass(frozen=True)
class CampaignSnapshot:
    """A campaign and when it may call, None for what was deleted; and whether all dialling is halted."""

    halted: bool
    campaign: Campaign | None
    timetable: Timetable | None
    #: when the oldest part was asked for, which is before it was read
    asked_at: datetime


class Refusal(StrEnum):
    """Why a number is not dialled now. It stays queued."""

    #: the operator has halted all dialling
    HALTED = "halted"
    #: the campaign doesn't run, or is deleted
    STOPPED = "stopped"
    #: the campaign was stopped and started again since the number was dispatched
    SUPERSEDED = "superseded"
    #: no window is open, or the last one is about to close
    CLOSED = "closed"
    #: its instant has not come: a clock is wrong, or the function had no time to wait
    EARLY = "early"
    #: its own time is over: it fails when it is its turn again
    EXPIRED = "expired"
    #: its start deadline is over: it would come in a burst with others, or be one call too many for the next period
    LATE = "late"
    #: the snapshot is too old to decide by
    UNSURE = "unsure"
    #: the function would be ended before the call is over
    NO_TIME = "no_time"


def refusal(
    dial: Dial, snapshot: CampaignSnapshot, now: datetime, *, connected: bool, has_time: bool
) -> Refusal | None:
    """Why the number must not be dialled at `now`, or None if it may.

    A call must begin before its start deadline. One that is `connected` has begun, and must be sent within its period.
    `has_time` is True if the function has time left for the longest call.
    """
    if now - snapshot.asked_at > KNOWN_FOR:
        return Refusal.UNSURE
    why = stopped(dial, snapshot)
    if why is not None or snapshot.timetable is None:
        return why or Refusal.STOPPED
    closes = snapshot.timetable.open_until(now)
    if closes is None or now > closes - CLOCKS_DIFFER:
        return Refusal.CLOSED
    if now < max(dial.due, dial.entry.not_before or dial.due):
        return Refusal.EARLY
    if has_expired(dial.entry, now):
        return Refusal.EXPIRED
    if now >= (dial.expires if connected else dial.start_deadline):
        return Refusal.LATE
    if not has_time:
        return Refusal.NO_TIME
    return None


def refusal_unclaimed(dial: Dial, snapshot: CampaignSnapshot, now: datetime) -> Refusal | None:
    """Why the number isn't even claimed at `now`: the call can't be made in its slot any more. None if it may be."""
    return stopped(dial, snapshot) or (Refusal.LATE if now >= dial.start_deadline else None)


def stopped(dial: Dial, snapshot: CampaignSnapshot) -> Refusal | None:
    """Why the call is refused at any time; None if only its instant and the calling hours decide."""
    if snapshot.halted:
        return Refusal.HALTED
    if snapshot.campaign is None or not snapshot.campaign.is_running:
        return Refusal.STOPPED
    if snapshot.campaign.generation != dial.generation:
        return Refusal.SUPERSEDED
    return None


def hold(timetable: Timetable, now: datetime) -> timedelta:
    """How long a call waits if its calling hours have only just begun.

    The calls due in the first seconds follow each other at twice the pace, until the wait is made up for.
    """
    began = timetable.began(now)
    return timedelta(0) if began is None else max(timedelta(0), CLOCKS_DIFFER - (now - began) / 2)
