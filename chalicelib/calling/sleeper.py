"""Puts a campaign to sleep while neither pacer nor settler has anything to do for it.

`chalicelib.domain.sleeping` decides for how long. This module gathers what the decision depends on.
"""

import random
from collections.abc import Callable
from datetime import datetime

from chalicelib.calling.timetables import read_timetable
from chalicelib.domain.models import Campaign
from chalicelib.domain.sleeping import next_call, wakes_at
from chalicelib.domain.timetable import may_call
from chalicelib.errors import NotFound
from chalicelib.runtime.clock import Clock
from chalicelib.storage.stores import Stores


class Sleeper:
    def __init__(self, stores: Stores, clock: Clock, random_fraction: Callable[[], float] = random.random) -> None:
        """`random_fraction` answers a number from 0 to 1, which varies how long campaigns sleep."""
        self._stores = stores
        self._tasks = stores.tasks
        self._progress = stores.progress
        self._clock = clock
        self._random_fraction = random_fraction

    def put_to_sleep(self, campaign: Campaign) -> None:
        """Let it sleep until the pacer or the settler has work with it. It stays awake if there is work now."""
        key, now = campaign.key, self._clock.now()
        # Tasks in progress are read first. A task that begins to wait after that is found below. Only a pacer leases a
        # dial that waits, and then its write to the campaign's item makes the sleep fail.
        if campaign.settled < campaign.head or self._tasks.any_in_progress(key, spread=campaign.spread):
            return
        # The settler moves numbers to the front, and the pacer passes withdrawn ones, at their next ticks.
        if campaign.to_front or campaign.head in self._tasks.withdrawn_numbers(campaign):
            return
        # A pacer may have reserved slots whose calls it is still sending.
        if any(cursor.due > now for cursor in campaign.cursors):
            return
        due: list[datetime] = []
        report = self._tasks.first_report(key, spread=campaign.spread)
        if report is not None:
            due.append(report)
        elif self._tasks.any_in_progress(key, spread=campaign.spread):
            return  # a pacer has leased the report in between, without a write to the campaign's item
        callable_since = self._callable_since(campaign, now)
        if callable_since is not None:
            try:
                timetable, paces = read_timetable(self._stores, campaign)
            except NotFound:
                return
            due += next_call(timetable, paces, campaign.cursors, callable_since, now)
        elif report is None:
            self._progress.clear_work_flag(campaign)
            return
        until = wakes_at(due, now, self._random_fraction())
        if until > now:
            self._progress.sleep(campaign, until)

    def _callable_since(self, campaign: Campaign, now: datetime) -> datetime | None:
        """The first instant at which a number may be called; None if no number waits."""
        if not may_call(campaign, now):
            return None
        if campaign.head < campaign.tail:
            return now
        return self._tasks.first_dial(campaign.key, spread=campaign.spread)
