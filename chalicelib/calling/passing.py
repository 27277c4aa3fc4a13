"""Numbers of the log that are passed without a call: canceled, moved to the front, expired, or too early."""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.cancellation import head_past
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import MOST_PASSED, Campaign, Entry
from chalicelib.domain.passing import is_passed
from chalicelib.runtime.clock import Clock
from chalicelib.storage.stores import Stores

#: How many times a tick records MOST_PASSED numbers of one campaign, before it dispatches others.
GROUPS_PASSED = 5


def pass_withdrawn(stores: Stores, campaign: Campaign) -> Campaign:
    """Move the head past withdrawn numbers, so that a campaign can end in which no other number is left."""
    head = head_past(campaign, stores.tasks.withdrawn_numbers(campaign))
    return _with_head(stores, campaign, head)


def pass_uncallable(stores: Stores, campaign: Campaign, clock: Clock, deadline: datetime) -> Campaign:
    """Move the head past withdrawn numbers, and past numbers whose time is over or has not come, which it records.

    It begins nothing new after `deadline`.
    """
    campaign = pass_withdrawn(stores, campaign)
    for _ in range(GROUPS_PASSED if campaign.has_times else 0):
        now = clock.now()
        if now >= deadline:
            break
        withdrawn = stores.tasks.withdrawn_numbers(campaign)
        head, passed = campaign.head, list[tuple[CallKey, Entry]]()
        for sequence, entry in stores.log.read(campaign.key, campaign.head, campaign.tail - campaign.head):
            if sequence not in withdrawn:
                if len(passed) == MOST_PASSED or not is_passed(entry, now):
                    break
                passed.append((campaign.key.call(sequence), entry))
            head = sequence + 1
        stores.passed.record(campaign, passed, now)
        campaign = _with_head(stores, campaign, head)
        if len(passed) < MOST_PASSED:
            break
    return campaign


def _with_head(stores: Stores, campaign: Campaign, head: int) -> Campaign:
    if head == campaign.head or not stores.progress.advance_head(campaign, head):
        return campaign
    return replace(campaign, head=head)
