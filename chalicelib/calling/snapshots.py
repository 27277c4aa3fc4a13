"""Snapshots of campaigns as they were a moment ago. The last look decides by them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from chalicelib.calling.blocking import RunBlocking
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.last_look import KNOWN_FOR, CampaignSnapshot
from chalicelib.domain.models import Campaign, Schedule
from chalicelib.errors import NotFound
from chalicelib.runtime.clock import Clock
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Schedules
from chalicelib.storage.switch import Switch

P = ParamSpec("P")
R = TypeVar("R")

#: How long what was read serves other calls.
FRESH_FOR = timedelta(seconds=1)

assert FRESH_FOR < KNOWN_FOR


class CampaignSnapshots:
    """Reads campaigns for the calls of a function. If many calls need the same campaign at once, one of them reads it.

    A reading serves the function's next invocation, too. So each process reads the switch and a schedule at most once
    in `FRESH_FOR`, however many calls it makes.
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
        """Begin an invocation. It has an event loop of its own, so it must not wait for a lock of an earlier one."""
        self._locks: dict[tuple[object, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        now = self._clock.now()
        self._read = {key: read for key, read in self._read.items() if now - read[0] <= FRESH_FOR}

    async def read(self, key: CampaignKey, since: datetime | None = None) -> CampaignSnapshot:
        """A snapshot that was asked for within `FRESH_FOR`, and after `since`.

        If reading takes long, the snapshot may be older than that: see its `asked_at`.
        """
        (switched_at, is_on), (asked_at, campaign) = await self._switch_and_campaign(since, key)
        asked_at = min(asked_at, switched_at)
        if campaign is None:
            return CampaignSnapshot(not is_on, None, None, asked_at)
        schedule_id = campaign.plan.schedule_id
        scheduled_at, schedule = await self._fresh(
            since, ("schedule", key.account, schedule_id), self._schedule, key.account, schedule_id
        )
        return CampaignSnapshot(not is_on, campaign, schedule, min(asked_at, scheduled_at))

    async def _switch_and_campaign(
        self, since: datetime | None, key: CampaignKey
    ) -> tuple[tuple[datetime, bool], tuple[datetime, Campaign | None]]:
        switch, which = ("switch",), ("campaign", key)
        switched, found = self._known(since, switch), self._known(since, which)
        if switched is not None and found is not None:
            return switched, found  # reading both at once takes two asyncio tasks, and most calls need neither
        return await asyncio.gather(
            self._fresh(since, switch, self._switch.is_on),
            self._fresh(since, which, self._campaigns.find, key),
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
        """When it was asked for, and what was read."""
        async with self._locks[key]:
            known = self._known(since, key)
            if known is None:
                known = self._read[key] = self._clock.now(), await self._run_blocking(read, *args, **kwargs)
            return known

    def _known(self, since: datetime | None, key: tuple[object, ...]) -> tuple[datetime, Any] | None:
        """An earlier reading, if it is fresh enough."""
        known = self._read.get(key)
        if known is None or self._clock.now() - known[0] > FRESH_FOR or (since is not None and known[0] <= since):
            return None
        return known

    def _schedule(self, account: str, schedule_id: int) -> Schedule | None:
        try:
            return self._schedules.get(account, schedule_id)
        except NotFound:
            return None
