"""A campaign's progress: exact at any moment, without a counter that every call writes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.call import Call, State
from chalicelib.domain.models import Campaign, Status
from chalicelib.domain.tasks import UncountedOutcome
from chalicelib.domain.timetable import is_over


@dataclass(frozen=True)
class Progress:
    """How many numbers are in which state. All of these but `total` add up to `total`."""

    total: int
    queued: int
    dialling: int
    deferred: int
    completed: int
    failed: int
    uncertain: int


def progress(
    campaign: Campaign, unsettled: Iterable[Call], leased: Iterable[Call], outcomes: Iterable[UncountedOutcome]
) -> Progress:
    """Count each number once, in the place that depends on `settled` and `head`.

    A number from `settled` to before `head` is counted by its record, if that is among `unsettled`. Without a record it
    is dispatched, or was returned. A number before `settled` is in the counts, unless the settler skipped it. The
    difference between `settled` and the counts is how many were skipped and aren't counted yet. Of these, the numbers
    in `outcomes` have their outcome, those that are being dialled are among `leased`, and all others wait. So tasks
    that wait needn't be read. A number from `head` on is queued, even if a pacer sent it and died before it moved the
    head.
    """
    tally = dict.fromkeys(State, 0)
    uncounted = {one.key.sequence: one.state for one in outcomes if one.key.sequence < campaign.head}
    for state in uncounted.values():
        tally[state] += 1
    skipped = campaign.settled - campaign.counts.total
    for call in unsettled:
        if call.key.sequence in uncounted:
            continue
        if call.skipped and call.state.is_final:
            skipped += 1  # it is in the counts already, though the sweep hasn't reached it
        else:
            tally[call.state] += 1
    dialling = sum(
        call.state is State.DIALLING and call.key.sequence < campaign.settled and call.key.sequence not in uncounted
        for call in leased
    )
    ended = sum(sequence < campaign.settled for sequence in uncounted)
    deferred = tally[State.DEFERRED] + skipped - dialling - ended
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
    """True if all numbers that were dispatched are counted, and its status doesn't depend on deferred ones."""
    is_counted = campaign.counts.total == campaign.settled == campaign.head
    return is_counted and (campaign.head < campaign.tail or not campaign.has_work)


def status(campaign: Campaign, now: datetime, *, anything_deferred: bool) -> Status:
    """What the API shows: what its owner last asked, unless the campaign is completed or its last day is over."""
    if campaign.status is Status.CREATED:
        return Status.CREATED
    if 0 < campaign.tail == campaign.settled and not anything_deferred:
        return Status.COMPLETED
    if is_over(campaign.plan, now):
        return Status.ENDED
    return campaign.status
