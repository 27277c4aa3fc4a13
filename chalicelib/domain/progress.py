"""How far a campaign is: exact at any moment, without a counter that every call would have to write."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.call import Call, Ended, State
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


def progress(campaign: Campaign, unsettled: Iterable[Call], waiting: Iterable[int], ended: Iterable[Ended]) -> Progress:
    """Each number is looked for in one place, by where the settler is with it.

    One behind `settled` is in the counts, unless it was passed over: then it is among `waiting`, the sequence numbers
    of the deferred, or among `ended`; in between it is being dialled. One from `settled` to `head` is told by its
    record, if it is among `unsettled`; without one it is on its way to the dialer.
    """
    tally = dict.fromkeys(State, 0)
    told_by_slip = set()
    for call in unsettled:
        if call.passed_over:
            told_by_slip.add(call.key.sequence)
        else:
            tally[call.state] += 1
    over = {one.key.sequence: one.state for one in ended}
    for state in over.values():
        tally[state] += 1
    deferred = tally[State.DEFERRED] + sum(
        1 for sequence in set(waiting) - over.keys() if sequence < campaign.settled or sequence in told_by_slip
    )
    queued = campaign.tail - campaign.head
    completed = campaign.counts.completed + tally[State.COMPLETED]
    failed = campaign.counts.failed + tally[State.FAILED]
    uncertain = campaign.counts.uncertain + tally[State.UNCERTAIN]
    return Progress(
        total=campaign.tail,
        queued=queued,
        dialling=campaign.tail - queued - deferred - completed - failed - uncertain,
        deferred=deferred,
        completed=completed,
        failed=failed,
        uncertain=uncertain,
    )


def status(campaign: Campaign, now: datetime, *, anything_deferred: bool) -> Status:
    """What the campaign has come to: its owner's last wish, unless it is completed or its last day is over."""
    if campaign.status is Status.CREATED:
        return Status.CREATED
    if 0 < campaign.tail == campaign.settled and not anything_deferred:
        return Status.COMPLETED
    if is_over(campaign.plan, now):
        return Status.ENDED
    return campaign.status
