"""How far a campaign is at this moment, from reads that don't happen at one moment."""

from chalicelib.api.services import Services
from chalicelib.domain.call import State
from chalicelib.domain.models import CallKey, Campaign
from chalicelib.domain.progress import Progress, progress

#: How often a look is taken again because the settler has moved meanwhile; it moves about once a minute.
_LOOKS = 5


def look(services: Services, campaign: Campaign) -> tuple[Progress, bool]:
    """The campaign's progress, and whether anything of it is deferred, being counted, or to be reported.

    A number goes from the waiting to the ended, and from there into the counts: so they are read in this order, and
    once more from the beginning if the counts have moved in between, or the slips lie in more partitions. A slip may be
    left over of a number that was deferred twice, so it is the number's record that tells whether it waits.
    """
    account, identifier = campaign.account, campaign.id
    for _ in range(_LOOKS):
        spread = campaign.spread
        sequences = services.slips.waiting(account, identifier, spread=spread)
        slips = {CallKey(account, identifier, sequence) for sequence in sequences}
        ended = list(services.slips.ended(account, identifier, spread=spread))
        unsettled = list(services.calls.between(account, identifier, campaign.settled, campaign.head))
        waiting = [call.key.sequence for call in services.calls.among(slips) if call.state is State.DEFERRED]
        anything_deferred = bool(slips or ended) or services.slips.any_but_told(account, identifier, spread=spread)
        now = services.campaigns.find(account, identifier)
        if now is None or _seen(now) == _seen(campaign):
            break
        campaign = now
    return progress(campaign, unsettled, waiting, ended), anything_deferred


def _seen(campaign: Campaign) -> tuple[object, ...]:
    """What must not move while the rest is read."""
    return campaign.settled, campaign.counts, campaign.spread
