"""Moves numbers to the front of their campaign's queue.

A number that was moved waits as a task, and tasks are dispatched before the log. It has a record from then on, which
counts as skipped, since the settler's sweep may be far behind it. Its sequence number is listed, so that the pacer
passes it in the log. All of this is one transaction. An upload is moved in many of them, by the request that added it
and then by the settler. Until all of it is moved, nothing of the log is dispatched.
"""

from collections.abc import Callable

from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.passing import waits_until
from chalicelib.domain.tasks import DialTask
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import Database
from chalicelib.storage.log import Log
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.writes import retried

#: How many numbers are moved in one transaction. Each takes two writes, and all together two.
MOVED_AT_ONCE = 48

assert 2 * MOVED_AT_ONCE + 2 <= 100  # the most writes of a transaction


class MovedNumbers:
    def __init__(
        self,
        database: Database,
        *,
        calls: Calls,
        campaigns: Campaigns,
        log: Log,
        progress: ProgressStore,
        tasks: TaskStore,
    ) -> None:
        self._database = database
        self._calls = calls
        self._campaigns = campaigns
        self._log = log
        self._progress = progress
        self._tasks = tasks

    def move(self, key: CampaignKey, goes_on: Callable[[], bool]) -> None:
        """Move what is to be first, as long as `goes_on` answers True. Raises Busy."""
        while goes_on() and retried(lambda: self._move_some(key)):
            pass

    def _move_some(self, key: CampaignKey) -> bool:
        """False if nothing was left to be moved. Raises WriteRefused."""
        campaign = self._campaigns.find(key)
        if campaign is None or campaign.deleted or not campaign.to_front:
            return False
        first, *others = campaign.to_front
        some = first[:MOVED_AT_ONCE]
        numbers = [(key.call(sequence), entry) for sequence, entry in self._log.read(key, some.start, len(some))]
        recorded = {call.key for call in self._calls.among(number for number, _ in numbers)}
        left = [one for one in (first[len(some) :], *others) if one]
        self._move(campaign, [one for one in numbers if one[0] not in recorded], left)
        return True

    def _move(self, campaign: Campaign, numbers: list[tuple[CallKey, Entry]], left: list[range]) -> None:
        transaction = self._database.transaction()
        for key, entry in numbers:
            task = DialTask(key, entry, 1, waits_until(entry))
            self._calls.add_deferred(transaction, task, spread=campaign.spread)
        if numbers:
            self._tasks.add_withdrawn(transaction, campaign.key, (key.sequence for key, _ in numbers), moved=True)
        self._progress.move_to_front(transaction, campaign, left, is_listed=bool(numbers))
        transaction.commit()
