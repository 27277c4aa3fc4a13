"""What becomes of open calls: numbers that the settler passed while their calls were in progress.

They are listed. A sweep lists hundreds in one item, and a dialer each retried call in an item of its own. So the
settler reads the lists in groups, and writes what is left of a group into one list.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.call import Call
from chalicelib.domain.models import Campaign
from chalicelib.domain.settling import BATCH_SIZE, SettlingAction, Step, counted_all, new_reports, step
from chalicelib.domain.tasks import OpenCalls, open_sequences

#: How many writes a transaction has at most, by DynamoDB's limit.
MOST_WRITES = 100
#: How many numbers a list has at most: as many as a sweep adds to one.
MOST_LISTED = BATCH_SIZE
#: How many lists are merged at once. The transaction also writes the campaign, and some deferred calls.
MOST_MERGED = 90


@dataclass(frozen=True)
class GroupChanges:
    """What has become of the numbers of a group of lists."""

    #: the campaign with the outcomes of those that are counted
    campaign: Campaign
    #: the calls that are counted
    counted: Sequence[Call]
    #: deferred calls that the settler skips from now on
    skipped: Sequence[Call]
    #: the numbers that stay listed
    left: frozenset[int]
    #: those of them whose first report is dispatched, by now or before
    dispatched: frozenset[int]
    #: calls whose first report is to be dispatched now
    reports: Sequence[Call]
    #: calls whose claim or report needs mending
    mended: Sequence[Step]


def groups(lists: Iterable[OpenCalls]) -> list[tuple[OpenCalls, ...]]:
    """The lists, in their order, in groups whose numbers fit into one list."""
    found: list[tuple[OpenCalls, ...]] = []
    for one in lists:
        last = found[-1] if found else ()
        size = sum(len(other.sequences) for other in last)
        if last and len(last) < MOST_MERGED and size + len(one.sequences) <= MOST_LISTED:
            found[-1] = (*last, one)
        else:
            found.append((one,))
    return found


def changes_of(
    campaign: Campaign,
    group: Sequence[OpenCalls],
    calls: Mapping[int, Call],
    *,
    now: datetime,
    read_at: datetime,
    moved: Container[int] = (),
) -> GroupChanges:
    """`calls` are the records of the group's numbers, with their acknowledgements as of `read_at`.

    A number from the head on is still queued, though a pacer that died has sent it. So it isn't counted before the head
    has passed it, unless it was `moved` to the front. If more calls are deferred than one transaction skips, the
    others stay listed.
    """
    steps = [
        step(campaign, sequence, replace(calls[sequence], listed=False), now=now, read_at=read_at)
        for sequence in sorted(open_sequences(group) & calls.keys())
    ]
    ended = [
        call
        for call in _calls(steps, SettlingAction.COUNT)
        if call.key.sequence < campaign.head or call.key.sequence in moved
    ]
    skipped = _calls(steps, SettlingAction.SKIP)[: MOST_WRITES - 1 - len(group)]
    left = open_sequences(group) - {call.key.sequence for call in (*ended, *skipped)}
    dispatched = frozenset[int]().union(*(one.dispatched for one in group))
    reports = new_reports(steps, dispatched, now)
    return GroupChanges(
        campaign=replace(campaign, counts=counted_all(campaign.counts, ended)),
        counted=ended,
        skipped=skipped,
        left=left,
        dispatched=left & {*dispatched, *(call.key.sequence for call in reports)},
        reports=reports,
        mended=[one for one in steps if one.action in (SettlingAction.EXPIRE, SettlingAction.DEFER_REPORT)],
    )


def is_to_be_written(group: Sequence[OpenCalls], changes: GroupChanges) -> bool:
    """True if a number has left the lists, a report is to be dispatched, or several lists become one."""
    return len(group) > 1 or changes.left != open_sequences(group) or len(changes.reports) > 0


def _calls(steps: Iterable[Step], action: SettlingAction) -> list[Call]:
    """The calls with which this is done."""
    return [one.call for one in steps if one.call is not None and one.action is action]
