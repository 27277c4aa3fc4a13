"""Leaves a campaign alone while neither pacer nor settler has anything to do for it.

The decision of how long is `chalicelib.domain.sleeping`'s; here is gathered what it is made from.
"""

import random
from collections.abc import Callable
from datetime import datetime

from chalicelib.calling.timetables import times_of
from chalicelib.domain.models import Campaign
from chalicelib.domain.sleeping import next_call, wakes_at
from chalicelib.domain.timetable import may_call
from chalicelib.errors import NotFound
from chalicelib.runtime.clock import Clock
from chalicelib.storage.stores import Stores


class Sleeper:
    def __init__(self, stores: Stores, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        """`chance` answers a number from 0 to 1, by which campaigns sleep longer or shorter."""
        self._stores = stores
        self._slips = stores.slips
        self._advances = stores.advances
        self._clock = clock
        self._chance = chance

    def let_sleep(self, campaign: Campaign) -> None:
        """Until there is anything to do for it again, or its owner asks something of it; not at all if there is now."""
        account, identifier, now = campaign.account, campaign.id, self._clock.now()
        # What is at work is looked for first: it may come to wait in between, but what waits comes to be at work only
        # by a pacer, whose writes are noticed.
        if campaign.settled < campaign.head or self._slips.any_at_work(account, identifier, spread=campaign.spread):
            return
        # A pacer may have reserved slots, and not have passed what it is sending.
        if any(cursor.due > now for cursor in campaign.cursors):
            return
        due: list[datetime] = []
        report = self._slips.first_report(account, identifier, spread=campaign.spread)
        if report is not None:
            due.append(report)
        elif self._slips.any_at_work(account, identifier, spread=campaign.spread):
            return  # a pacer has taken it in between, which it notes nowhere else
        callable_since = self._callable_since(campaign, now)
        if callable_since is not None:
            try:
                timetable, paces = times_of(self._stores, campaign)
            except NotFound:
                return
            due += next_call(timetable, paces, campaign.cursors, callable_since, now)
        elif report is None:
            self._advances.rest(campaign)
            return
        until = wakes_at(due, now, self._chance())
        if until > now:
            self._advances.sleep(campaign, until)

    def _callable_since(self, campaign: Campaign, now: datetime) -> datetime | None:
        """Since when, or from when on, there is a number that may be called. None if there is none."""
        if not may_call(campaign, now):
            return None
        if campaign.head < campaign.tail:
            return now
        return self._slips.first_dial(campaign.account, campaign.id, spread=campaign.spread)
