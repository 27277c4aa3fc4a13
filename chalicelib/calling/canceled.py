"""Canceled numbers in the queue: the pacer and the settler pass them without a call."""

from dataclasses import replace

from chalicelib.domain.cancellation import head_past
from chalicelib.domain.models import Campaign
from chalicelib.storage.stores import Stores


def pass_canceled(stores: Stores, campaign: Campaign) -> Campaign:
    """Move the head past canceled numbers, so that a campaign can end in which no other number is left."""
    head = head_past(campaign, stores.tasks.canceled_numbers(campaign))
    if head == campaign.head or not stores.progress.advance_head(campaign, head):
        return campaign
    return replace(campaign, head=head)
