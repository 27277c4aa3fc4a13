"""The metrics, and how they reach CloudWatch: as lines of the log, in CloudWatch's embedded metric format.

A metric costs no more than a line of the log, and no request. A function that dies loses only the metrics of one
invocation. The format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Protocol

from chalicelib.domain.keys import CampaignKey

#: CloudWatch's namespace of all metrics
NAMESPACE = "callpacer"
#: the dimension that distinguishes the deployments in one AWS account
DIMENSION = "Deployment"
#: the dimension that names a campaign that failed
CAMPAIGN = "Campaign"
#: How many failed campaigns one invocation names. Each name makes a metric of its own, which CloudWatch bills by the
#: hour. Campaigns that work aren't named, and when all fail at once a few names are enough.
NAMED_AT_MOST = 10
#: how many values of a metric one line may have
_VALUES_PER_LINE = 100


class Metric(StrEnum):
    """A metric's name in CloudWatch."""

    #: calls that got this outcome
    COMPLETED = "CallsCompleted"
    FAILED = "CallsFailed"
    UNCERTAIN = "CallsUncertain"
    #: calls that were returned, refused by the last look, or not sent, and calls that failed and are retried
    DEFERRED = "CallsDeferred"
    #: seconds from a call's instant to the moment at which it is sent
    PACE_LAG = "PaceLag"
    REPORTS_DELIVERED = "ReportsDelivered"
    REPORTS_FAILED = "ReportsFailed"
    #: reports to be sent again, and numbers that wait as tasks, at the settler's tick
    REPORTS_PENDING = "ReportsPending"
    NUMBERS_WAITING = "NumbersWaiting"
    #: numbers whose message was lost
    LOST = "MessagesLost"
    #: the pacer's ticks that were completed, and the seconds that they took
    TICKS = "Ticks"
    TICK_DURATION = "TickDuration"
    #: how many dialers the calls that are due keep busy, by the time that calls take now
    DIALERS_NEEDED = "DialersNeeded"
    #: completed ticks of the settler, and the seconds that they took
    SETTLER_TICKS = "SettlerTicks"
    SETTLER_TICK_DURATION = "SettlerTickDuration"
    #: ticks of either that had no time for some campaigns
    OUT_OF_TIME = "TicksOutOfTime"
    #: campaigns with which a tick of either failed
    CAMPAIGNS_FAILED = "CampaignsFailed"

    @property
    def unit(self) -> str:
        return "Seconds" if self in _SECONDS else "Count"


_SECONDS = frozenset({Metric.PACE_LAG, Metric.TICK_DURATION, Metric.SETTLER_TICK_DURATION})


class Metrics(Protocol):
    def count(self, metric: Metric, number: int = 1) -> None: ...

    def measure(self, metric: Metric, value: float) -> None: ...

    def blame(self, campaign: CampaignKey) -> None:
        """Count a campaign that failed."""


class EmbeddedMetrics:
    """Gathers what one invocation counts and measures, and writes it when the invocation ends."""

    def __init__(self, deployment: str, write: Callable[[str], None]) -> None:
        """`write` takes one line."""
        self._deployment = deployment
        self._write = write
        self._counts: Counter[Metric] = Counter()
        self._values: dict[Metric, list[float]] = {}
        self._blamed: list[str] = []
        # Several threads pace and settle campaigns at once.
        self._counts_lock = Lock()

    def count(self, metric: Metric, number: int = 1) -> None:
        with self._counts_lock:
            self._counts[metric] += number

    def measure(self, metric: Metric, value: float) -> None:
        self._values.setdefault(metric, []).append(round(value, 3))

    def blame(self, campaign: CampaignKey) -> None:
        if len(self._blamed) < NAMED_AT_MOST:
            self._blamed.append(str(campaign))
        else:
            self.count(Metric.CAMPAIGNS_FAILED)

    def flush(self, now: datetime) -> None:
        """Write one line, or as many as the values need; none if there are no values.

        A campaign that failed has a line of its own, which also counts it in the deployment's metric.
        """
        for campaign in self._blamed:
            self._write(json.dumps(self._line({Metric.CAMPAIGNS_FAILED: 1}, now, campaign)))
        self._blamed.clear()
        metrics: dict[Metric, int | list[float]] = {**self._counts}
        while metrics or self._values:
            metrics |= {metric: values[:_VALUES_PER_LINE] for metric, values in self._values.items()}
            self._write(json.dumps(self._line(metrics, now)))
            rest = {metric: values[_VALUES_PER_LINE:] for metric, values in self._values.items()}
            self._values = {metric: values for metric, values in rest.items() if values}
            metrics = {}
        self._counts.clear()

    def _line(
        self, metrics: dict[Metric, int | list[float]], now: datetime, campaign: str | None = None
    ) -> dict[str, object]:
        names = {DIMENSION: self._deployment} | ({} if campaign is None else {CAMPAIGN: campaign})
        dimensions = [[DIMENSION]] if campaign is None else [[DIMENSION], [DIMENSION, CAMPAIGN]]
        definitions = [{"Name": metric, "Unit": metric.unit} for metric in metrics]
        directive = {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": definitions}
        head: dict[str, object] = {
            "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]},
            **names,
        }
        return head | {str(metric): values for metric, values in metrics.items()}
