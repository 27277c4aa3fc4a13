"""Campaigns as the last look sees them: as they are now, or were a moment ago."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from chalicelib.calling.blocking import RunBlocking
from chalicelib.domain.models import Campaign, Schedule
from chalicelib.errors import NotFound
from chalicelib.runtime.clock import Clock
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Schedules
from chalicelib.storage.switch import Switch

P = ParamSpec("P")
R = TypeVar("R")

#: How long what one call has read serves the others.
FRESH_FOR = timedelta(seconds=1)


@dataclass(frozen=True)
class CampaignSnapshot:
    """A campaign and its schedule, None for what is gone; and whether anything is dialled at all."""

    halted: bool
    campaign: Campaign | None
    schedule: Schedule | None
    #: when it was asked for, which is before it was read
    asked_at: datetime


class CampaignSnapshots:
    """What a function's calls see. Of many that want the same at once, one reads it.

    What was read serves the function's next invocation too: the switch and a schedule are read at most once in
    `FRESH_FOR` by each of the deployment's processes, however many calls it makes.
    """

    def __init__(
        self, switch: Switch, campaigns: Campaigns, schedules: Schedules, clock: Clock, run_blocking: RunBlocking
    ) -> None:
        self._switch = switch
        self._campaigns = campaigns
        self._schedules = schedules
        self._clock = clock
        self._run_blocking = run_blocking
        self._read: dict[tuple[object, ...], tuple[datetime, Any]] = {}
        self.begin()

    def begin(self) -> None:
        """Of an invocation, which has an event loop of its own: nobody waits for what another was reading."""
        self._locks: dict[tuple[object, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        now = self._clock.now()
        self._read = {key: read for key, read in self._read.items() if now - read[0] <= FRESH_FOR}

    async def of(self, account: str, campaign_id: int, since: datetime | None = None) -> CampaignSnapshot:
        """What was asked for within `FRESH_FOR`, and after `since`.

        A reading that takes long may be old when it is there: look at `asked_at`.
        """
        (switched_at, is_on), (asked_at, campaign) = await self._switch_and_campaign(since, account, campaign_id)
        asked_at = min(asked_at, switched_at)
        if campaign is None:
            return CampaignSnapshot(not is_on, None, None, asked_at)
        schedule_id = campaign.plan.schedule_id
        scheduled_at, schedule = await self._fresh(
            since, ("schedule", account, schedule_id), self._schedule, account, schedule_id
        )
        return CampaignSnapshot(not is_on, campaign, schedule, min(asked_at, scheduled_at))

    async def _switch_and_campaign(
        self, since: datetime | None, account: str, campaign_id: int
    ) -> tuple[tuple[datetime, bool], tuple[datetime, Campaign | None]]:
        switch, which = ("switch",), ("campaign", account, campaign_id)
        switched, found = self._known(since, switch), self._known(since, which)
        if switched is not None and found is not None:
            return switched, found  # to read both at once takes two tasks, and most calls find them read
        return await asyncio.gather(
            self._fresh(since, switch, self._switch.is_on),
            self._fresh(since, which, self._campaigns.find, account, campaign_id),
        )

    async def _fresh(
        self,
        since: datetime | None,
        key: tuple[object, ...],
        read: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> tuple[datetime, R]:
        """What was read, and when it was asked for."""
        async with self._locks[key]:
            known = self._known(since, key)
            if known is None:
                known = self._read[key] = self._clock.now(), await self._run_blocking(read, *args, **kwargs)
            return known

    def _known(self, since: datetime | None, key: tuple[object, ...]) -> tuple[datetime, Any] | None:
        """What need not be read again."""
        known = self._read.get(key)
        if known is None or self._clock.now() - known[0] > FRESH_FOR or (since is not None and known[0] <= since):
            return None
        return known

    def _schedule(self, account: str, schedule_id: int) -> Schedule | None:
        try:
            return self._schedules.get(account, schedule_id)
        except NotFound:
            return None
