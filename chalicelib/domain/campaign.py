"""What the requests of its owner change in a campaign. Each function is pure, and answers the changed campaign.

If a request changes nothing, the function answers the same campaign. `chalicelib.storage.campaigns` writes the others.
"""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain import pacing
from chalicelib.domain.models import Campaign, Cursor, Plan, Status
from chalicelib.errors import Busy

#: how many ranges of numbers may wait to be moved to the front
MOST_TO_FRONT = 100


def started(campaign: Campaign, now: datetime) -> Campaign:
    """It calls from `now` on. Slots that passed before are not made up for."""
    if campaign.status is Status.RUNNING:
        return campaign
    cursors = pacing.fresh(len(campaign.plan.windows), now)
    running = replace(campaign, status=Status.RUNNING, generation=campaign.generation + 1)
    return _with_work(_with_cursors(running, cursors), now)


def stopped(campaign: Campaign) -> Campaign:
    """It makes no more calls. Its queue stays as it is."""
    return replace(campaign, status=Status.STOPPED) if campaign.status is Status.RUNNING else campaign


def appended(
    campaign: Campaign, count: int, now: datetime, *, has_times: bool = False, first: bool = False
) -> Campaign:
    """It has `count` more numbers, after those already queued, or before them if they are to be `first`.

    `has_times` is True if they have times of their own. Raises Busy if too many uploads are still to be moved to the
    front.

    While the queue was empty no slot was missed, so none is made up for.
    """
    longer = replace(campaign, tail=campaign.tail + count, has_times=campaign.has_times or has_times)
    if first:
        longer = replace(longer, to_front=_with_range(campaign.to_front, range(campaign.tail, longer.tail)))
    if campaign.head == campaign.tail:
        longer = _with_cursors(longer, pacing.fresh(len(campaign.cursors), now, campaign.cursors))
    return _with_work(longer, now)


def _with_range(ranges: tuple[range, ...], added: range) -> tuple[range, ...]:
    if ranges and ranges[-1].stop == added.start:
        return (*ranges[:-1], range(ranges[-1].start, added.stop))
    if len(ranges) == MOST_TO_FRONT:
        raise Busy(f"{MOST_TO_FRONT} uploads are still to be moved to the front")
    return (*ranges, added)


def changed(campaign: Campaign, plan: Plan, now: datetime) -> Campaign:
    """It follows another plan. New windows begin at `now`."""
    if plan == campaign.plan:
        return campaign
    revised = replace(campaign, plan=plan, revision=campaign.revision + 1)
    if plan.windows != campaign.plan.windows:
        windows = len(plan.windows) if campaign.cursors else 0
        revised = _with_cursors(revised, pacing.fresh(windows, now, campaign.cursors))
    return _with_work(revised, now)


def deleted(campaign: Campaign, now: datetime) -> Campaign:
    """It makes no more calls, and is kept only until the outcomes of its calls are reported."""
    return _with_work(replace(campaign, deleted=True, status=Status.STOPPED, to_front=()), now)


def _with_cursors(campaign: Campaign, cursors: tuple[Cursor, ...]) -> Campaign:
    """Storage gives the moved cursors a version. A pacer that read an older one reserves no slots by it."""
    return replace(campaign, cursors=cursors, pacing_version="")


def _with_work(campaign: Campaign, now: datetime) -> Campaign:
    """The work flag is set, and a campaign that sleeps is woken."""
    return replace(campaign, has_work=True, wakes_at=min(campaign.wakes_at, now))
