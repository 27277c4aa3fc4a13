"""The settler: each minute, count the outcomes behind the head of each queue, and let go of what needs nothing more.

No counter is written when a call ends. Its record's key is known from its sequence number, so the settler walks the
records from `settled` on, without an index, and moves `settled` and the counts in one conditional write. What lies
between `settled` and `head` is looked at by whoever wants to know how far the campaign is.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime

from chalicelib.clock import Clock
from chalicelib.domain.call import Call
from chalicelib.domain.models import Campaign, Status
from chalicelib.domain.settling import is_under_way, owed, walk
from chalicelib.domain.timetable import is_over
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import SHARDS, Campaigns, campaign_key
from chalicelib.storage.deferred import DeferredSlips
from chalicelib.storage.log import Log

logger = logging.getLogger(__name__)

#: How many records are read between two moves of `settled`.
STRIDE = 500


class Settler:
    def __init__(self, *, campaigns: Campaigns, calls: Calls, slips: DeferredSlips, log: Log, clock: Clock) -> None:
        self._campaigns = campaigns
        self._calls = calls
        self._slips = slips
        self._log = log
        self._clock = clock

    def settle(self, deadline: datetime, shards: Iterable[int] = range(SHARDS)) -> int:
        """Settle what can be settled, starting nothing new after `deadline`. Answers how many calls were settled.

        What fails for one campaign doesn't hold up the others. Raises ExceptionGroup, when all are done.
        """
        settled, failures = 0, []
        for account, identifier in (found for shard in shards for found in self._campaigns.with_work(shard)):
            try:
                settled += self._settle_campaign(account, identifier, deadline)
            except Exception as error:
                logger.exception("campaign %s was not settled", campaign_key(account, identifier))
                failures.append(error)
        if failures:
            raise ExceptionGroup("some campaigns were not settled", failures)
        return settled

    def _settle_campaign(self, account: str, identifier: int, deadline: datetime) -> int:
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return 0
        self._log.seal(campaign_key(account, identifier))
        before = campaign.settled
        for calls in self._strides(campaign):
            step = walk(campaign.settled, campaign.counts, calls)
            for key in owed(calls.values(), self._clock.now()):
                self._calls.defer_report(key, attempts=0, error=None, not_before=self._clock.now())
            if step.settled == campaign.settled:
                break
            moved = self._campaigns.settle(campaign, step.settled, step.counts)
            if moved is None:
                return campaign.settled - before
            campaign = moved
            if self._clock.now() >= deadline:
                break
        if not self._needs_more(campaign):
            self._campaigns.rest(campaign)
        return campaign.settled - before

    def _strides(self, campaign: Campaign) -> Iterator[dict[int, Call]]:
        for start in range(campaign.settled, campaign.head, STRIDE):
            beyond = min(start + STRIDE, campaign.head)
            calls = self._calls.between(campaign.account, campaign.id, start, beyond)
            yield {call.key.sequence: call for call in calls}

    def _needs_more(self, campaign: Campaign) -> bool:
        """Will the pacer or the settler have anything to do for it, if nobody asks anything new of it?"""
        account, identifier = campaign.account, campaign.id
        if self._slips.any_report(account, identifier):
            return True
        may_call = campaign.status is Status.RUNNING and not is_over(campaign.plan, self._clock.now())
        if may_call and (campaign.head < campaign.tail or self._slips.any_dial(account, identifier)):
            return True
        return self._is_anything_under_way(campaign)

    def _is_anything_under_way(self, campaign: Campaign) -> bool:
        recorded = 0
        for calls in self._strides(campaign):
            recorded += len(calls)
            if any(is_under_way(call) for call in calls.values()):
                return True
        return recorded < campaign.head - campaign.settled
