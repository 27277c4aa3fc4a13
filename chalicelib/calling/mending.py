"""What the settler does with a number that a crash, or a call without an end, has left behind."""

import logging
from dataclasses import replace
from datetime import datetime

from chalicelib.calling.passing import pass_withdrawn
from chalicelib.domain.call import Call, State, is_unclaimed
from chalicelib.domain.cancellation import is_passed_by_head, may_be_sent
from chalicelib.domain.models import Campaign
from chalicelib.domain.passing import is_passed
from chalicelib.domain.settling import SettlingAction, Step, is_stale, still_to_do
from chalicelib.domain.tasks import DialTask, Lease, Task
from chalicelib.domain.timetable import may_call
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import LEASE_TIME

logger = logging.getLogger(__name__)

_METRICS = {State.COMPLETED: Metric.COMPLETED, State.FAILED: Metric.FAILED}


class Mender:
    def __init__(self, stores: Stores, clock: Clock, metrics: Metrics) -> None:
        self._stores = stores
        self._calls = stores.calls
        self._call_reports = stores.call_reports
        self._cancellations = stores.cancellations
        self._log = stores.log
        self._progress = stores.progress
        self._tasks = stores.tasks
        self._clock = clock
        self._metrics = metrics

    def carry_out(self, step: Step, campaign: Campaign, now: datetime) -> bool:
        """True if the sweep can go on from the number."""
        if step.call is None:
            return step.action is SettlingAction.DEFER_LOST and self.defer_lost(campaign, step.sequence)
        match step.action:
            case SettlingAction.COUNT | SettlingAction.ALREADY_SKIPPED:
                return True
            case SettlingAction.LIST_OPEN | SettlingAction.ALREADY_LISTED:
                return True
            case SettlingAction.SKIP:
                return self._calls.skip(step.call)
            case SettlingAction.EXPIRE:
                self.expire(step.call, campaign, now)
            case SettlingAction.DEFER_REPORT:
                self.defer_report(step.call, campaign, now)
        return False

    def record_counted(self, call: Call) -> None:
        """Add an outcome that an event brought to the metrics. The dialer adds those that start_url's answer gave."""
        if call.ended_at is not None and call.state in _METRICS:
            self._metrics.count(_METRICS[call.state])

    def expire(self, call: Call, campaign: Campaign, now: datetime) -> None:
        logger.warning("claimed, and left without an outcome", extra=about(call.key, call.entry, call.attempt))
        is_reported = campaign.plan.result_url is not None
        if self._calls.expire(call, report=is_reported, now=now, spread=campaign.spread):
            self._metrics.count(Metric.UNCERTAIN)

    def defer_report(self, call: Call, campaign: Campaign, now: datetime) -> None:
        logger.warning("the report was begun, and never finished", extra=about(call.key))
        self._call_reports.defer_report(call, call.report_attempts, call.report_error, now, spread=campaign.spread)

    def defer_lost(self, campaign: Campaign, sequence: int) -> bool:
        key = campaign.key.call(sequence)
        ((_, entry),) = self._log.read(campaign.key, sequence, 1)
        withdrawn = self._tasks.withdrawn_numbers(campaign)
        if sequence in withdrawn.moved:
            return True  # It was called and counted so long before its turn that its record has expired.
        if sequence in withdrawn.canceled:
            # It was canceled so long before its turn that its record has expired. The next sweep counts it.
            self._cancellations.record_again(key, entry, self._clock.now())
            return False
        now = self._clock.now()
        if is_passed(entry, now):
            # The pacer passed it, and died before it recorded that.
            self._stores.passed.record(campaign, [(key, entry)], now)
            return False
        logger.warning("dispatched, and never claimed", extra=about(key, entry))
        is_deferred = self._calls.defer_lost(key, entry, spread=campaign.spread)
        self._metrics.count(Metric.LOST, is_deferred)
        return is_deferred

    def pass_what_was_dispatched(self, campaign: Campaign) -> Campaign:
        """Move the head past numbers that were sent by a pacer that died before it moved the head.

        In a running campaign the pacer does so, when it dispatches them again.
        """
        if may_call(campaign, self._clock.now()):
            return campaign
        campaign = pass_withdrawn(self._stores, campaign)
        sequences = may_be_sent(campaign, self._tasks.withdrawn_numbers(campaign))
        found = self._calls.among(map(campaign.key.call, sequences))
        head = max((call.key.sequence + 1 for call in found if is_passed_by_head(call)), default=campaign.head)
        if head == campaign.head or not self._progress.advance_head(campaign, head):
            return campaign
        return replace(campaign, head=head)

    def release_expired_leases(self, campaign: Campaign) -> None:
        """Release expired leases, except those of which a dialer still holds a number."""
        now = self._clock.now()
        for lease in list(self._tasks.expired_leases(campaign.key, now)):
            calls = {call.key: call for call in self._calls.among(task.key for task in lease.tasks)}
            held = [call for call in calls.values() if _is_held(call, lease, now)]
            if held:
                continue
            for task in lease.tasks:
                call = calls.get(task.key)
                if isinstance(task, DialTask) and call is not None and call.state is State.DIALLING:
                    self.expire(call, campaign, now)
            leased_at = now if lease.expires is None else lease.expires - LEASE_TIME
            left = [task for task in lease.tasks if still_to_do(task, calls.get(task.key), leased_at)]
            self._tasks.release(lease, now, left, spread=campaign.spread)

    def record_what_was_returned(self, campaign: Campaign, deadline: datetime) -> None:
        """Give each returned number of a campaign that doesn't run a record, with which the sweep can skip it.

        The returned numbers of a running campaign are dialled soon, and need none.
        """
        if may_call(campaign, self._clock.now()):
            return
        for returned in list(self._tasks.returned_slices(campaign.key)):
            if self._clock.now() >= deadline:
                return
            calls = {call.key: call for call in self._calls.among(task.key for task in returned.tasks)}
            again: list[Task] = []
            for task in returned.tasks:
                call = calls.get(task.key)
                if call is None and isinstance(task, DialTask):
                    self._calls.defer_lost(task.key, task.entry, spread=campaign.spread)
                elif call is not None and is_unclaimed(call, task.attempt):
                    again.append(task)
            self._tasks.replace_returned(returned, again, spread=campaign.spread)


def _is_held(call: Call, lease: Lease, now: datetime) -> bool:
    """True if a dialer may still work on a number of the lease."""
    is_dial = isinstance(lease.tasks[0], DialTask)
    return is_dial and call.state is State.DIALLING and not is_stale(call, now)
