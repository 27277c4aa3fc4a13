"""How far a campaign is at this moment, from reads that don't happen at one moment."""

from chalicelib.api.services import Services
from chalicelib.domain.models import CallKey, Campaign
from chalicelib.domain.progress import Progress, is_settled, progress

#: How often a look is taken again because the settler has moved meanwhile; it moves about once a minute.
_LOOKS = 5


def look(services: Services, campaign: Campaign) -> tuple[Progress, bool]:
    """The campaign's progress, and whether anything of it is deferred, being counted, or to be reported.

    A number goes from those under way to the ended, and from there into the counts: so they are read in this order, and
    once more from the beginning if the counts have moved in between, or the slips lie in more partitions. What was
    handed over again has a slip until the dialer has dealt with it; its record tells whether it is being dialled.
    """
    if is_settled(campaign):
        return progress(campaign, (), (), ()), False
    account, identifier = campaign.account, campaign.id
    for _ in range(_LOOKS):
        spread = campaign.spread
        unsettled = list(services.calls.between(account, identifier, campaign.settled, campaign.head))
        again = {
            CallKey(account, identifier, sequence) for sequence in services.tasks.leased_sequences(account, identifier)
        }
        handed = list(services.calls.among(again))
        ended = list(services.tasks.ended(account, identifier, spread=spread))
        anything_deferred = services.tasks.any_unfinished(account, identifier, spread=spread)
        now = services.campaigns.find(account, identifier)
        if now is None or _seen(now) == _seen(campaign):
            break
        campaign = now
    return progress(campaign, unsettled, handed, ended), anything_deferred


def _seen(campaign: Campaign) -> tuple[object, ...]:
    """What must not move while the rest is read."""
    return campaign.settled, campaign.counts, campaign.spread
