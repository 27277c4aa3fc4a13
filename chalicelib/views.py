"""Campaigns as the last look sees them: as they are now, or were a moment ago."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.clock import Clock
from chalicelib.domain.models import CallKey, Campaign, Schedule
from chalicelib.errors import NotFound
from chalicelib.offload import Offload
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Schedules
from chalicelib.storage.switch import Switch

#: How long what one call of a batch has read serves the others.
FRESH_FOR = timedelta(seconds=1)


@dataclass(frozen=True)
class View:
    """A campaign and its schedule, None for what is gone; and whether anything is dialled at all."""

    halted: bool
    campaign: Campaign | None
    schedule: Schedule | None
    #: when it was asked for, which is before it was read
    asked_at: datetime


class Views:
    """What the calls of one batch see. Of many that want the same at once, one reads it."""

    def __init__(
        self, switch: Switch, campaigns: Campaigns, schedules: Schedules, clock: Clock, offload: Offload
    ) -> None:
        self._switch = switch
        self._campaigns = campaigns
        self._schedules = schedules
        self._clock = clock
        self._offload = offload
        self._locks: dict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._views: dict[tuple[str, int], View] = {}

    async def of(self, key: CallKey) -> View:
        """A reading that takes long may be old when it is there: look at `asked_at`."""
        campaign = (key.account, key.campaign_id)
        async with self._locks[campaign]:
            view = self._views.get(campaign)
            now = self._clock.now()
            if view is None or now - view.asked_at > FRESH_FOR:
                view = self._views[campaign] = View(*await self._offload(self._read, *campaign), asked_at=now)
            return view

    def _read(self, account: str, identifier: int) -> tuple[bool, Campaign | None, Schedule | None]:
        halted = not self._switch.is_on()
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return halted, None, None
        try:
            return halted, campaign, self._schedules.get(account, campaign.plan.schedule_id)
        except NotFound:
            return halted, campaign, None
