"""How far a campaign is: exact at any moment, without a counter that every call would have to write."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.call import Call, State
from chalicelib.domain.models import Campaign, Status
from chalicelib.domain.tasks import UncountedOutcome
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


def progress(
    campaign: Campaign, unsettled: Iterable[Call], handed: Iterable[Call], ended: Iterable[UncountedOutcome]
) -> Progress:
    """Each number is looked for in one place, by where the settler is with it.

    One from `settled` to `head` is told by its record, if it is among `unsettled`; without one it is on its way to the
    dialer. One behind `settled` is in the counts, unless it was passed over. How many were, and aren't counted yet, is
    told by arithmetic: of those, the numbers in `ended` have their outcome, those that are being dialled are among
    `handed`, and all others wait. So what waits needn't be read.
    """
    tally = dict.fromkeys(State, 0)
    over = {one.key.sequence: one.state for one in ended}
    for state in over.values():
        tally[state] += 1
    skipped = campaign.settled - campaign.counts.total
    for call in unsettled:
        if call.key.sequence in over:
            continue
        if call.skipped and call.state.is_final:
            skipped += 1  # it is in the counts already, before the settler has come to it
        else:
            tally[call.state] += 1
    dialled = sum(
        call.state is State.DIALLING and call.key.sequence < campaign.settled and call.key.sequence not in over
        for call in handed
    )
    ended_behind = sum(sequence < campaign.settled for sequence in over)
    deferred = tally[State.DEFERRED] + skipped - dialled - ended_behind
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


def is_settled(campaign: Campaign) -> bool:
    """Is all that was handed over in the counts, and nothing deferred that would matter to what the campaign is?"""
    is_counted = campaign.counts.total == campaign.settled == campaign.head
    return is_counted and (campaign.head < campaign.tail or not campaign.has_work)


def status(campaign: Campaign, now: datetime, *, anything_deferred: bool) -> Status:
    """What the campaign has come to: its owner's last wish, unless it is completed or its last day is over."""
    if campaign.status is Status.CREATED:
        return Status.CREATED
    if 0 < campaign.tail == campaign.settled and not anything_deferred:
        return Status.COMPLETED
    if is_over(campaign.plan, now):
        return Status.ENDED
    return campaign.status
