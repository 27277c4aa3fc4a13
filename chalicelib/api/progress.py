"""How far a campaign is at this moment, from reads that don't happen at one moment."""

from chalicelib.api.services import Services
from chalicelib.domain.models import Campaign
from chalicelib.domain.progress import Progress, is_settled, progress

#: How often everything is read again because the settler has moved meanwhile. It moves about once a minute.
_READS = 5


def read_progress(services: Services, campaign: Campaign) -> tuple[Progress, bool]:
    """The campaign's progress, and whether anything of it is deferred, to be counted, or to be reported.

    A number goes from those under way to the uncounted outcomes, and from there into the counts. So they are read in
    this order, and all again if the counts moved in between, or the tasks are in more partitions. A number that was a
    task is leased until the dialer is done; its record says whether it is being dialled.
    """
    if is_settled(campaign):
        return progress(campaign, (), (), ()), False
    key = campaign.key
    for _ in range(_READS):
        unsettled = list(services.calls.between(key, campaign.settled, campaign.head))
        leased = {key.call(sequence) for sequence in services.tasks.leased_sequences(key)}
        leased_calls = list(services.calls.among(leased))
        outcomes = list(services.tasks.uncounted_outcomes(key, spread=campaign.spread))
        anything_deferred = services.tasks.any_unfinished(key, spread=campaign.spread)
        now = services.campaigns.find(key)
        if now is None or _version(now) == _version(campaign):
            break
        campaign = now
    return progress(campaign, unsettled, leased_calls, outcomes), anything_deferred


def _version(campaign: Campaign) -> tuple[object, ...]:
    """What must not move while the rest is read."""
    return campaign.settled, campaign.counts, campaign.spread
