"""Cancels numbers on their owner's request.

A number gets a record that no dialer can claim, on the condition that nobody has claimed it meanwhile. Its report is a
task, and its sequence number is listed for the pacer (`chalicelib.domain.cancellation`). This is one transaction.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from chalicelib.domain.call import ReportState, State
from chalicelib.domain.cancellation import REASON, Candidate
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.tasks import ReportTask
from chalicelib.storage.calls import call_key, uncounted
from chalicelib.storage.database import Database
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.undialled import ended, never_called, unchanged
from chalicelib.storage.writes import Transaction, WriteRefused, conditional

#: How many numbers are canceled in one transaction. Each takes up to three writes, and all together two.
CANCELED_AT_ONCE = 32

assert 3 * CANCELED_AT_ONCE + 2 <= 100  # the most writes of a transaction


class Cancellations:
    def __init__(
        self, database: Database, *, tasks: TaskStore, progress: ProgressStore, retention: timedelta | None
    ) -> None:
        """`retention` is that of `Calls`."""
        self._database = database
        self._tasks = tasks
        self._progress = progress
        self._retention = retention
        self._items = database.calls

    def cancel(self, campaign: Campaign, candidates: Sequence[Candidate], now: datetime) -> bool:
        """Cancel up to CANCELED_AT_ONCE numbers, all or none. False if one of them has changed since it was read."""
        transaction = self._database.transaction()
        is_reported = campaign.plan.result_url is not None
        for candidate in candidates:
            self._cancel(transaction, campaign, candidate, now, is_reported=is_reported)
        sequences = [candidate.key.sequence for candidate in candidates]
        self._tasks.add_withdrawn(transaction, campaign.key, sequences)
        self._progress.add_withdrawn_list(transaction, campaign, now)
        return transaction.is_committed()

    def _cancel(
        self, transaction: Transaction, campaign: Campaign, candidate: Candidate, now: datetime, *, is_reported: bool
    ) -> None:
        key, entry, call = candidate.key, candidate.entry, candidate.call
        actions = self._canceled(now, ReportState.DEFERRED if is_reported else ReportState.NONE)
        if call is None:
            actions += never_called(self._items, entry)
        part = f"call {key.sequence}"
        transaction.update(part, self._items(call_key(key)), actions, unchanged(self._items, call))
        if is_reported:
            self._tasks.add(transaction, ReportTask(key, 1, now), spread=campaign.spread)
        if call is not None and call.skipped:
            self._tasks.add_outcome(transaction, uncounted(key, State.CANCELED, campaign.spread))

    def record_again(self, key: CallKey, entry: Entry, now: datetime) -> None:
        """Record a canceled number whose record has expired, so that it can be counted. It was reported before."""
        actions = [*self._canceled(now, ReportState.NONE), *never_called(self._items, entry)]
        with suppress(WriteRefused), conditional():
            self._items(call_key(key)).update(actions, self._items.call.does_not_exist())

    def _canceled(self, now: datetime, report: ReportState) -> list[Action]:
        return ended(self._items, State.CANCELED, REASON, now, report, self._retention)
