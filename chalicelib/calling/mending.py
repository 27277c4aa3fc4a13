"""What the settler does with a number that a crash, or a call without an end, has left behind."""

import logging
from datetime import datetime

from chalicelib.domain.call import Call, State
from chalicelib.domain.models import Campaign
from chalicelib.domain.settling import SettlingAction
from chalicelib.runtime.logs import about
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores

logger = logging.getLogger(__name__)

_METRICS = {State.COMPLETED: Metric.COMPLETED, State.FAILED: Metric.FAILED}


class Mender:
    def __init__(self, stores: Stores, metrics: Metrics) -> None:
        self._calls = stores.calls
        self._log = stores.log
        self._metrics = metrics

    def carry_out(self, action: SettlingAction, call: Call, campaign: Campaign, now: datetime) -> bool:
        """True if the sweep can go on from the number."""
        match action:
            case SettlingAction.COUNT | SettlingAction.ALREADY_SKIPPED:
                return True
            case SettlingAction.LIST_OPEN | SettlingAction.ALREADY_LISTED:
                return True
            case SettlingAction.SKIP:
                return self._calls.skip(call)
            case SettlingAction.EXPIRE:
                self.expire(call, campaign, now)
            case SettlingAction.DEFER_REPORT:
                self.defer_report(call, campaign, now)
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
        self._calls.defer_report(call, call.report_attempts, call.report_error, now, spread=campaign.spread)

    def defer_lost(self, campaign: Campaign, sequence: int) -> bool:
        key = campaign.key.call(sequence)
        ((_, entry),) = self._log.read(campaign.key, sequence, 1)
        logger.warning("dispatched, and never claimed", extra=about(key, entry))
        is_deferred = self._calls.defer_lost(key, entry, spread=campaign.spread)
        self._metrics.count(Metric.LOST, is_deferred)
        return is_deferred
