"""A campaign's progress: exact at any moment, without a counter that every call writes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.call import Call, State
from chalicelib.domain.models import Campaign, Status
from chalicelib.domain.tasks import Correction, UncountedOutcome, Withdrawn
from chalicelib.domain.timetable import is_over


@dataclass(frozen=True)
class Progress:
    """How many numbers are in which state. All of these but `total` add up to `total`."""

    total: int
    queued: int
    dialling: int
    in_progress: int
    deferred: int
    completed: int
    failed: int
    uncertain: int
    canceled: int


def progress(
    campaign: Campaign,
    unsettled: Iterable[Call] = (),
    leased: Iterable[Call] = (),
    outcomes: Iterable[UncountedOutcome] = (),
    open_calls: Iterable[Call] = (),
    corrections: Iterable[Correction] = (),
    withdrawn: Withdrawn = Withdrawn(),  # noqa: B008 # it is frozen
) -> Progress:
    """Count each number once, in the place that depends on `settled` and `head`.

    A number from `settled` to before `head` is counted by its record, if that is among `unsettled`. Without a record it
    is dispatched, or was returned. A number before `settled` is in the counts, unless it is open or the settler skipped
    it. An open one is counted by its record, among `open_calls`. The difference between `settled` and all of these is
    how many were skipped and aren't counted yet. Of these, the numbers in `outcomes` have their outcome, those that are
    being dialled are among `leased`, and all others wait. So tasks that wait needn't be read. A number from `head` on
    is queued, even if a pacer sent it and died before it moved the head, unless it is `withdrawn`. One that was moved
    to the front counts as if the settler had passed and skipped it. One that was only canceled is canceled.

    A corrected number is uncertain in the counts and in `outcomes`, and not in its record.
    """
    ahead = frozenset(sequence for sequence in withdrawn.moved if sequence >= campaign.head)

    def is_passed(sequence: int) -> bool:
        return sequence < campaign.head or sequence in ahead

    def is_swept(sequence: int) -> bool:
        return sequence < campaign.settled or sequence in ahead

    uncounted = {one.key.sequence: one.state for one in outcomes if is_passed(one.key.sequence)}
    of_open = {
        call.key.sequence: call.state
        for call in open_calls
        if is_passed(call.key.sequence) and not call.skipped and call.key.sequence not in uncounted
    }
    others = [call for call in unsettled if call.key.sequence not in uncounted and call.key.sequence not in of_open]
    counted_early = sum(map(_is_counted_early, others))
    of_unsettled = {call.key.sequence: call.state for call in others if not _is_counted_early(call)}
    by_record = of_open | of_unsettled
    tally = Counter([*uncounted.values(), *by_record.values()])
    corrected = [one.state for one in corrections if is_passed(one.key.sequence) and one.key.sequence not in by_record]
    tally.update(corrected)
    tally[State.UNCERTAIN] -= len(corrected)
    open_and_swept = sum(map(is_swept, of_open))
    skipped = campaign.settled + len(ahead) + counted_early - campaign.counts.total - open_and_swept
    dialling = sum(
        call.state is State.DIALLING
        and is_swept(call.key.sequence)
        and call.key.sequence not in uncounted
        and call.key.sequence not in by_record
        for call in leased
    )
    ended = sum(map(is_swept, uncounted))
    deferred = tally[State.DEFERRED] + skipped - dialling - ended
    in_progress = tally[State.IN_PROGRESS]
    canceled = sum(sequence >= campaign.head for sequence in withdrawn.canceled - ahead)
    queued = campaign.tail - campaign.head - canceled - len(ahead)
    completed = campaign.counts.completed + tally[State.COMPLETED]
    failed = campaign.counts.failed + tally[State.FAILED]
    uncertain = campaign.counts.uncertain + tally[State.UNCERTAIN]
    canceled_in_all = campaign.counts.canceled + tally[State.CANCELED] + canceled
    ended_in_all = completed + failed + uncertain + canceled_in_all
    return Progress(
        total=campaign.tail,
        queued=queued,
        dialling=campaign.tail - queued - in_progress - deferred - ended_in_all,
        in_progress=in_progress,
        deferred=deferred,
        completed=completed,
        failed=failed,
        uncertain=uncertain,
        canceled=canceled_in_all,
    )


def _is_counted_early(call: Call) -> bool:
    """True if a number's outcome is in the counts already, though the sweep hasn't reached it."""
    return (call.skipped or call.listed) and call.state.is_final


def is_settled(campaign: Campaign) -> bool:
    """True if all numbers that were dispatched are counted, and its status doesn't depend on deferred ones."""
    is_counted = campaign.counts.total == campaign.settled == campaign.head
    is_counted = is_counted and not campaign.corrections_due and not campaign.withdrawn_lists
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
