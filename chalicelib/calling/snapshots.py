"""Snapshots of campaigns as they were a moment ago. The last look decides by them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from chalicelib.calling.blocking import RunBlocking
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.last_look import KNOWN_FOR, CampaignSnapshot
from chalicelib.domain.models import Schedule
from chalicelib.domain.timetable import Timetable
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
        self._snapshots: dict[CampaignKey, CampaignSnapshot] = {}
        self.begin()

    def begin(self) -> None:
        """Begin an invocation. It has an event loop of its own, so it must not wait for a lock of an earlier one."""
        self._locks: dict[tuple[object, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._read = {key: read for key, read in self._read.items() if self._is_fresh(read[0])}
        self._snapshots = {key: one for key, one in self._snapshots.items() if self._is_fresh(one.asked_at)}

    async def read(self, key: CampaignKey, since: datetime | None = None) -> CampaignSnapshot:
        """A snapshot that was asked for within `FRESH_FOR`, and after `since`.

        If reading takes long, the snapshot may be older than that: see its `asked_at`.
        """
        known = self._snapshots.get(key)
        if known is None or not self._is_fresh(known.asked_at, since):
            known = self._snapshots[key] = await self._read_snapshot(key, since)
        return known

    async def _read_snapshot(self, key: CampaignKey, since: datetime | None) -> CampaignSnapshot:
        (switched_at, is_on), (asked_at, campaign) = await asyncio.gather(
            self._fresh(since, ("switch",), self._switch.is_on),
            self._fresh(since, ("campaign", key), self._campaigns.find, key),
        )
        asked_at = min(asked_at, switched_at)
        if campaign is None:
            return CampaignSnapshot(not is_on, None, None, asked_at)
        schedule_id = campaign.plan.schedule_id
        scheduled_at, schedule = await self._fresh(
            since, ("schedule", key.account, schedule_id), self._schedule, key.account, schedule_id
        )
        timetable = None if schedule is None else Timetable.of(campaign.plan, schedule)
        return CampaignSnapshot(not is_on, campaign, timetable, min(asked_at, scheduled_at))

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
            known = self._read.get(key)
            if known is None or not self._is_fresh(known[0], since):
                known = self._read[key] = self._clock.now(), await self._run_blocking(read, *args, **kwargs)
            return known

    def _is_fresh(self, asked_at: datetime, since: datetime | None = None) -> bool:
        """True if what was asked for then still serves."""
        return self._clock.now() - asked_at <= FRESH_FOR and (since is None or asked_at > since)

    def _schedule(self, account: str, schedule_id: int) -> Schedule | None:
        try:
            return self._schedules.get(account, schedule_id)
        except NotFound:
            return None
