"""The settler: each minute, count outcomes, finish what a crash left unfinished, and put idle campaigns to sleep.

It also moves what a request has left of the numbers that come first.

No counter is written when a call ends. The key of its record follows from its sequence number, so the settler sweeps
the records from `settled` on, without an index, and moves `settled` and the counts in one conditional write. The API's
progress adds the records between `settled` and `head`.

The sweep finds the calls and reports that a crash left unfinished. A number whose message is lost is deferred. A claim
whose dialer can't be alive any more becomes uncertain. A report that was begun and never finished is sent again.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from chalicelib.calling.first_reports import FirstReports
from chalicelib.calling.mending import Mender
from chalicelib.calling.open_calls import OpenCallsSettler
from chalicelib.calling.sharding import ForEach
from chalicelib.calling.sleeper import Sleeper
from chalicelib.calling.tick import Tick
from chalicelib.domain.call import Call, ReportState
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign
from chalicelib.domain.settling import (
    BATCH_SIZE,
    SweepInput,
    SweptBatch,
    batch,
    counted,
    owes_report,
    sweep_steps,
    swept,
    with_acknowledgement,
)
from chalicelib.domain.tasks import UncountedOutcome, Withdrawn, open_sequences
from chalicelib.domain.timetable import may_call
from chalicelib.gateway.queue import CallQueue
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores

logger = logging.getLogger(__name__)

#: How many outcomes of skipped numbers are counted in one transaction, which may have 100 parts.
COUNTED_AT_ONCE = 90
#: How long it moves numbers to the front of one campaign's queue, before it goes on.
MOVING_TIME = timedelta(seconds=10)
#: How many lists of withdrawn numbers are deleted in one transaction.
LISTS_AT_ONCE = 90
#: How many of a campaign's tasks are counted for the metrics: it is enough to see that there are many.
COUNTED_AT_MOST = 1000


class Settler:
    def __init__(
        self,
        stores: Stores,
        clock: Clock,
        metrics: Metrics,
        for_each: ForEach,
        sleeper: Sleeper,
        queue: CallQueue,
    ) -> None:
        self._database = stores.database
        self._progress = stores.progress
        self._campaigns = stores.campaigns
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._log = stores.log
        self._moved = stores.moved
        self._clock = clock
        self._metrics = metrics
        self._for_each = for_each
        self._sleeper = sleeper
        self._mender = Mender(stores, clock, metrics)
        self._first_reports = FirstReports(queue)
        self._open_calls = OpenCallsSettler(stores, clock, self._mender, self._first_reports)

    def settle(self, deadline: datetime, campaigns: Iterable[CampaignKey]) -> int:
        """Settle as many numbers of these campaigns as possible. Answers how many.

        It starts nothing new after `deadline`: what is left waits for the next tick. One campaign that fails doesn't
        hold up the others. Raises ExceptionGroup when all are done.
        """
        tick = Tick("settled", deadline, self._clock, self._metrics)

        def settle_one(key: CampaignKey) -> int | None:
            return tick.attempt(key, partial(self._settle_campaign, key, deadline))

        settled = sum(found or 0 for found in self._for_each(settle_one, campaigns))
        tick.close(Metric.SETTLER_TICKS, Metric.SETTLER_TICK_DURATION)
        return settled

    def _settle_campaign(self, key: CampaignKey, deadline: datetime) -> int:
        campaign = self._campaigns.find(key)
        if campaign is None:
            return 0
        if self._has_nothing_under_way(campaign):
            self._log.seal(key)
            self._sleeper.put_to_sleep(campaign)
            return 0
        # This is read before the campaign. So if another settler has deleted acknowledgements in between, they are for
        # numbers before the campaign's `settled`.
        known = SweepInput(self._clock.now(), self._tasks.acknowledgements(key), self._tasks.returned_sequences(key))
        campaign = self._campaigns.find(key)
        if campaign is None:
            return 0
        self._log.seal(key)
        before = campaign.settled
        self._mender.release_expired_leases(campaign)
        self._mender.record_what_was_returned(campaign, deadline)
        campaign = self._mender.pass_what_was_dispatched(campaign)
        campaign = self._count_skipped(campaign)
        campaign = self._open_calls.count(campaign, known, deadline)
        campaign = self._sweep(campaign, known, deadline)
        campaign = self._open_calls.count_corrections(campaign)
        if self._clock.now() < deadline:
            self._delete_withdrawn(campaign)
        self._delete_acknowledgements(campaign, known)
        reports = self._tasks.count_reports(key, COUNTED_AT_MOST, spread=campaign.spread)
        dials = self._tasks.count_dials(key, COUNTED_AT_MOST, spread=campaign.spread)
        self._metrics.count(Metric.REPORTS_PENDING, reports)
        self._metrics.count(Metric.NUMBERS_WAITING, dials)
        # It comes last, so that a failure holds up nothing else.
        campaign = self._move_to_front(campaign, deadline)
        self._sleeper.put_to_sleep(campaign)
        return campaign.settled - before

    def _has_nothing_under_way(self, campaign: Campaign) -> bool:
        """True if no number is dispatched and no task waits, as for thousands of campaigns outside their hours."""
        if campaign.settled < campaign.head or campaign.to_front or not may_call(campaign, self._clock.now()):
            return False
        return not self._tasks.any(campaign.key, spread=campaign.spread)

    def _sweep(self, campaign: Campaign, known: SweepInput, deadline: datetime) -> Campaign:
        """Settle batch by batch, as far as the first number that is being dialled.

        Answers the campaign as it is then.
        """
        while self._clock.now() < deadline:
            found = self._sweep_batch(campaign, known)
            if found.campaign != campaign and not self._write(campaign, found):
                break  # another settler sweeps, too
            for call in found.counted:
                self._mender.record_counted(call)
            self._first_reports.send(campaign, found.reports)
            was_whole, campaign = found.campaign.settled == campaign.settled + BATCH_SIZE, found.campaign
            if not was_whole:
                break  # a number is under way: another batch would read the same records again
        return campaign

    def _write(self, before: Campaign, found: SweptBatch) -> bool:
        if not found.opened:
            return self._progress.settle(before, found.campaign)
        transaction = self._database.transaction()
        self._progress.count(transaction, before, found.campaign)
        self._tasks.add_open(transaction, before.key, found.opened, found.dispatched)
        return transaction.is_committed()

    def _move_to_front(self, campaign: Campaign, deadline: datetime) -> Campaign:
        """Move what a request has left of its numbers. Answers the campaign as it is then."""
        if not campaign.to_front:
            return campaign
        until = min(deadline, self._clock.now() + MOVING_TIME)
        self._moved.move(campaign.key, lambda: self._clock.now() < until)
        return self._campaigns.find(campaign.key) or campaign

    def _delete_withdrawn(self, campaign: Campaign) -> None:
        """Delete the lists of withdrawn numbers that the sweep has passed, and what is left of canceled ones' tasks.

        If there are no lists, their number is wrong, as after a restore: the tables aren't restored to one instant.
        """
        if not campaign.withdrawn_lists:
            return
        lists = self._tasks.withdrawn(campaign.key)
        passed = [one for one in lists if max(one.sequences) < campaign.settled][:LISTS_AT_ONCE]
        if not passed and lists:
            return
        if passed:
            self._tasks.delete_dials(campaign.key, Withdrawn.of(passed).canceled, spread=campaign.spread)
        transaction = self._database.transaction()
        for one in passed:
            self._tasks.delete_withdrawn(transaction, campaign.key, one)
        number = len(passed) if lists else campaign.withdrawn_lists
        self._progress.remove_withdrawn_lists(transaction, campaign, number)
        transaction.is_committed()  # unless a request has canceled more meanwhile

    def _delete_acknowledgements(self, campaign: Campaign, known: SweepInput) -> None:
        """Those whose calls are all counted."""
        settled = [one for one in known.acknowledgements if max(one.sequences) < campaign.settled]
        if not settled:
            return
        still_open = open_sequences(self._tasks.open_calls(campaign.key))
        self._tasks.delete_acknowledgements(
            campaign.key, [one for one in settled if still_open.isdisjoint(one.sequences)]
        )

    def _sweep_batch(self, campaign: Campaign, known: SweepInput) -> SweptBatch:
        """Carry out what is to be done with each number of the next batch."""
        now, numbers = self._clock.now(), batch(campaign)
        found = self._calls.between(campaign.key, numbers.start, numbers.stop)
        calls = {call.key.sequence: with_acknowledgement(call, known.acknowledged) for call in found}
        steps = sweep_steps(campaign, calls, known, now)
        passable = {step.sequence for step in steps if self._mender.carry_out(step, campaign, now)}
        return swept(campaign, steps, passable, now)

    def _count_skipped(self, campaign: Campaign) -> Campaign:
        """Add the outcomes of skipped numbers to the counts, and delete their items in the same transaction.

        A number from the head on is still queued, though a pacer that died has sent it. So its outcome isn't counted
        before the head has passed it, unless it was moved to the front.
        """
        now, moved = self._clock.now(), self._tasks.withdrawn_numbers(campaign).moved
        found = self._tasks.uncounted_outcomes(campaign.key, spread=campaign.spread)
        outcomes = (one for one in found if one.key.sequence < campaign.head or one.key.sequence in moved)
        while some := list(islice(outcomes, COUNTED_AT_ONCE)):
            calls = {call.key: call for call in self._calls.among(one.key for one in some)}
            countable = [one for one in some if self._is_reported(calls.get(one.key), campaign, now)]
            if not countable:
                continue
            counts = campaign.counts
            for one in countable:
                counts = counted(counts, one.state)
            after = replace(campaign, counts=counts)
            if not self._count(campaign, after, countable):
                break
            campaign = after
            for one in countable:
                if one.key in calls:
                    self._mender.record_counted(calls[one.key])
        return campaign

    def _count(self, before: Campaign, after: Campaign, outcomes: list[UncountedOutcome]) -> bool:
        transaction = self._database.transaction()
        self._progress.count(transaction, before, after)
        for one in outcomes:
            self._tasks.delete_outcome(transaction, one)
        return transaction.is_committed()  # another settler counts, too

    def _is_reported(self, call: Call | None, campaign: Campaign, now: datetime) -> bool:
        """True if the report is finished or deferred. A report that its dialer left unfinished is deferred here."""
        if call is None or call.report is not ReportState.PENDING:
            return True
        if owes_report(call, now):
            self._mender.defer_report(call, campaign, now)
            return True
        return False
