"""A campaign's progress. It is read with several requests, during which calls and counts change."""

from chalicelib.api.services import Services
from chalicelib.domain.models import Campaign
from chalicelib.domain.progress import Progress, is_settled, progress
from chalicelib.domain.tasks import open_sequences

#: How often everything is read at most. It is read again if the settler moved meanwhile, which is about once a minute.
_MAX_READS = 5


def read_progress(services: Services, campaign: Campaign) -> tuple[Progress, bool]:
    """The progress, and whether a call is deferred, an outcome isn't counted, or a report isn't finished.

    A number is first under way, then among the uncounted outcomes, then in the counts. They are read in this order, so
    that none is missed. If meanwhile the counts moved, or the tasks were spread over more partitions, all are read
    again. A task is leased until the dialer is done with it; the record of its number shows whether it is being
    dialled.
    """
    if is_settled(campaign):
        return progress(campaign), False
    key, read = campaign.key, campaign
    for _ in range(_MAX_READS):
        campaign = read
        unsettled = list(services.calls.between(key, campaign.settled, campaign.head))
        leased = {key.call(sequence) for sequence in services.tasks.leased_sequences(key)}
        leased_calls = list(services.calls.among(leased))
        outcomes = list(services.tasks.uncounted_outcomes(key, spread=campaign.spread))
        listed = open_sequences(services.tasks.open_calls(key))
        open_calls = list(services.calls.among(key.call(sequence) for sequence in sorted(listed)))
        corrections = services.tasks.corrections(key) if campaign.corrections_due else []
        withdrawn = services.tasks.withdrawn_numbers(campaign)
        anything_deferred = services.tasks.any_unfinished(key, spread=campaign.spread)
        read = services.campaigns.find(key) or campaign
        if _version(read) == _version(campaign):
            break
    return progress(campaign, unsettled, leased_calls, outcomes, open_calls, corrections, withdrawn), anything_deferred


def _version(campaign: Campaign) -> tuple[object, ...]:
    """What must be the same before and after the other reads."""
    return (
        campaign.settled,
        campaign.counts,
        campaign.spread,
        campaign.settling_version,
        campaign.corrections_due,
        campaign.withdrawn_lists,
        campaign.to_front,
    )
