"""How far a campaign is: exact at any moment, without a counter that every call would have to write."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.call import State
from chalicelib.domain.models import Campaign, Status
from chalicelib.domain.timetable import is_over


@dataclass(frozen=True)
class Progress:
    """Numbers by what has become of them; all but `total` add up to it."""

    total: int
    queued: int
    dialling: int
    deferred: int
    completed: int
    failed: int
    uncertain: int


def progress(campaign: Campaign, unsettled: Iterable[State]) -> Progress:
    """`unsettled` are the states of the calls from the campaign's `settled` to its `head`, as far as they have one."""
    tally = dict.fromkeys(State, 0)
    for state in unsettled:
        tally[state] += 1
    released = campaign.head - campaign.settled
    return Progress(
        total=campaign.tail,
        queued=campaign.tail - campaign.head,
        # A number without a record is on its way to the dialer.
        dialling=tally[State.DIALLING] + released - sum(tally.values()),
        deferred=tally[State.DEFERRED],
        completed=campaign.counts.completed + tally[State.COMPLETED],
        failed=campaign.counts.failed + tally[State.FAILED],
        uncertain=campaign.counts.uncertain + tally[State.UNCERTAIN],
    )


def status(campaign: Campaign, now: datetime, *, reports_outstanding: bool) -> Status:
    """What the campaign has come to: its owner's last wish, unless it is completed or its last day is over."""
    if campaign.status is Status.CREATED:
        return Status.CREATED
    if 0 < campaign.tail == campaign.settled and not reports_outstanding:
        return Status.COMPLETED
    if is_over(campaign.plan, now):
        return Status.ENDED
    return campaign.status
