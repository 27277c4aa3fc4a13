"""Numbers that are passed without a call, by the times of their upload.

A number whose time is over gets its outcome. One whose time has not come waits for it as a task, and its turn is then.
Both get a record, on the condition that no dialer has claimed the number, so a number that is passed twice isn't called
twice. Its record, its task and its report are one transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from chalicelib.domain.call import Call, ReportState, State, is_unclaimed
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.passing import EXPIRED, has_expired, waits_until
from chalicelib.domain.tasks import DialTask, ReportTask, ScheduledTask
from chalicelib.storage.calls import Calls, call_key, uncounted
from chalicelib.storage.database import Database
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.undialled import ended, never_called, unchanged
from chalicelib.storage.writes import Transaction, retried

#: How many numbers are passed in one transaction. Each takes two writes.
PASSED_AT_ONCE = 48

#: How many numbers whose tasks wait are ended in one transaction. Each takes up to three writes.
ENDED_AT_ONCE = 32

assert max(2 * PASSED_AT_ONCE, 3 * ENDED_AT_ONCE) <= 100  # the most writes of a transaction


class PassedNumbers:
    def __init__(self, database: Database, *, calls: Calls, tasks: TaskStore, retention: timedelta | None) -> None:
        """`retention` is that of `Calls`."""
        self._database = database
        self._calls = calls
        self._tasks = tasks
        self._retention = retention
        self._items = database.calls

    def record(self, campaign: Campaign, numbers: Sequence[tuple[CallKey, Entry]], now: datetime) -> None:
        """Record numbers of the log that aren't called now, but for those that have a record. Raises Busy."""
        for first in range(0, len(numbers), PASSED_AT_ONCE):
            self._record_together(campaign, numbers[first : first + PASSED_AT_ONCE], now)

    def _record_together(self, campaign: Campaign, numbers: Iterable[tuple[CallKey, Entry]], now: datetime) -> None:
        def write() -> None:
            recorded = {call.key for call in self._calls.among(key for key, _ in numbers)}
            transaction = self._database.transaction()
            left = [(key, entry) for key, entry in numbers if key not in recorded]
            for key, entry in left:
                if has_expired(entry, now):
                    self._expire(transaction, campaign, key, entry, None, now)
                else:
                    self._calls.add_deferred(
                        transaction, DialTask(key, entry, 1, waits_until(entry)), spread=campaign.spread
                    )
            if left:
                transaction.commit()

        retried(write)

    def end_tasks(self, campaign: Campaign, expired: Sequence[ScheduledTask], now: datetime) -> None:
        """End numbers whose tasks wait, each with an item of its own, and delete the tasks. Raises Busy."""
        for first in range(0, len(expired), ENDED_AT_ONCE):
            some = expired[first : first + ENDED_AT_ONCE]
            self._end_together(campaign, [one.task for one in some if isinstance(one.task, DialTask)], now)
            self._tasks.delete(some)

    def _end_together(self, campaign: Campaign, tasks: Sequence[DialTask], now: datetime) -> None:
        def write() -> None:
            calls = {call.key: call for call in self._calls.among(task.key for task in tasks)}
            transaction = self._database.transaction()
            left = {task.key: task for task in tasks if is_unclaimed(calls.get(task.key), task.attempt)}
            for key, task in left.items():
                self._expire(transaction, campaign, key, task.entry, calls.get(key), now)
            if left:
                transaction.commit()

        retried(write)

    def _expire(
        self,
        transaction: Transaction,
        campaign: Campaign,
        key: CallKey,
        entry: Entry,
        call: Call | None,
        now: datetime,
    ) -> None:
        is_reported = campaign.plan.result_url is not None
        report = ReportState.DEFERRED if is_reported else ReportState.NONE
        actions = ended(self._items, State.FAILED, EXPIRED, now, report, self._retention)
        if call is None:
            actions += never_called(self._items, entry)
        transaction.update(f"call {key.sequence}", self._items(call_key(key)), actions, unchanged(self._items, call))
        if is_reported:
            self._tasks.add(transaction, ReportTask(key, 1, now), spread=campaign.spread)
        if call is not None and call.skipped:
            self._tasks.add_outcome(transaction, uncounted(key, State.FAILED, campaign.spread))
