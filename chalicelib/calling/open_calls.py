"""Counts open calls: numbers that the settler passed while their calls were in progress.

A call in progress may last for hours and must not hold the settler up. Neither may it cost a write when the settler
passes it, nor another when it ends. So the settler lists such numbers, hundreds in one item, and looks into their
records at each tick. It counts those that have ended, and writes what is left of the lists in the same transaction. A
number is in one list at most, so it is counted once.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.calling.first_reports import FirstReports
from chalicelib.calling.mending import Mender
from chalicelib.domain.models import Campaign
from chalicelib.domain.open_calls import GroupChanges, changes_of, groups, is_to_be_written
from chalicelib.domain.settling import SweepInput, corrected, with_acknowledgement
from chalicelib.domain.tasks import Correction, OpenCalls, open_sequences
from chalicelib.runtime.clock import Clock
from chalicelib.storage.stores import Stores

#: How many outcomes are corrected in one transaction, which may have 100 parts.
MOST_CORRECTED = 90


class OpenCallsSettler:
    def __init__(self, stores: Stores, clock: Clock, mender: Mender, first_reports: FirstReports) -> None:
        self._database = stores.database
        self._progress = stores.progress
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._clock = clock
        self._mender = mender
        self._first_reports = first_reports

    def count(self, campaign: Campaign, known: SweepInput, deadline: datetime) -> Campaign:
        """Count the open calls that have ended, and merge small lists, group by group.

        Answers the campaign as it is then.
        """
        moved = self._tasks.withdrawn_numbers(campaign).moved
        for group in groups(self._tasks.open_calls(campaign.key)):
            now = self._clock.now()
            if now >= deadline:
                break
            keys = [campaign.key.call(sequence) for sequence in sorted(open_sequences(group))]
            found = self._calls.among(keys)
            calls = {call.key.sequence: with_acknowledgement(call, known.acknowledged) for call in found}
            changes = changes_of(campaign, group, calls, now=now, read_at=known.read_at, moved=moved)
            if is_to_be_written(group, changes):
                if not self._write(campaign, group, changes):
                    break
                campaign = changes.campaign
                for call in changes.counted:
                    self._mender.record_counted(call)
                self._first_reports.send(campaign, changes.reports)
            for step in changes.mended:
                self._mender.carry_out(step, campaign, now)
        return campaign

    def count_corrections(self, campaign: Campaign) -> Campaign:
        """Change the counts of calls that were counted as uncertain, and whose outcome is known since.

        A call that isn't counted yet is waited for.
        """
        if not campaign.corrections_due:
            return campaign
        uncounted = {one.key.sequence for one in self._tasks.uncounted_outcomes(campaign.key, spread=campaign.spread)}
        uncounted |= open_sequences(self._tasks.open_calls(campaign.key))
        moved = self._tasks.withdrawn_numbers(campaign).moved
        countable = [
            one
            for one in self._tasks.corrections(campaign.key)
            if (one.key.sequence < campaign.settled or one.key.sequence in moved) and one.key.sequence not in uncounted
        ][:MOST_CORRECTED]
        if not countable:
            return campaign
        counts = campaign.counts
        for one in countable:
            counts = corrected(counts, one.state)
        after = replace(campaign, counts=counts, corrections_due=campaign.corrections_due - len(countable))
        return after if self._write_corrections(campaign, after, countable) else campaign

    def _write(self, before: Campaign, group: Sequence[OpenCalls], changes: GroupChanges) -> bool:
        transaction = self._database.transaction()
        self._progress.count(transaction, before, changes.campaign)
        self._tasks.replace_open(transaction, before.key, group, changes.left, changes.dispatched)
        for call in changes.skipped:
            self._calls.skip_open(transaction, call)
        return transaction.is_committed()  # unless another settler counts, too, or a call was claimed

    def _write_corrections(self, before: Campaign, after: Campaign, corrections: list[Correction]) -> bool:
        transaction = self._database.transaction()
        self._progress.count(transaction, before, after)
        for one in corrections:
            self._tasks.delete_correction(transaction, one)
        return transaction.is_committed()  # unless another settler counts, too
